//===- LinearConverters.cpp - Matrix products, attention --------*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static LogicalResult convertMatMul(NodeContext &c) {
  if (NodeContext::rankOf(c.input(0)) < 2 ||
      NodeContext::rankOf(c.input(1)) < 2)
    return c.error("vectors are not supported");
  return c.replaceWith<nn::MatMulOp>(c.input(0), c.input(1),
                                     /*transpose_lhs=*/false,
                                     /*transpose_rhs=*/false);
}

/// value * factor, without an op where the factor is 1.
static Value scale(NodeContext &c, Value value, double factor) {
  if (factor == 1 || !value)
    return value;
  return c.make<nn::MulOp>(value,
                           c.scalarConstant(NodeContext::typeOf(value).getElementType(), factor));
}

/// alpha * A * B + beta * C.
static LogicalResult convertGemm(NodeContext &c) {
  double alpha = c.getFloat("alpha", 1), beta = c.getFloat("beta", 1);
  bool transposeA = c.getFlag("transA"), transposeB = c.getFlag("transB");
  for (unsigned i : {0, 1})
    if (NodeContext::rankOf(c.input(i)) != 2)
      return c.error("expected matrices, found " + Twine(NodeContext::rankOf(c.input(i))) +
                     " dimensions in input " + Twine(i));
  Value product = c.make<nn::MatMulOp>(c.input(0), c.input(1), transposeA, transposeB);
  product = scale(c, product, alpha);
  Value bias = c.input(2);
  if (bias && c.version() < 7)
    bias = c.alignLegacyBroadcast(product, bias);
  if (!bias || beta == 0)
    return c.replaceWith(product);
  if (NodeContext::rankOf(bias) > 2)
    return c.error("expected a C of at most 2 dimensions, found " + Twine(NodeContext::rankOf(bias)));
  return c.replaceWith<nn::AddOp>(product, scale(c, bias, beta));
}

void nacre::frontend::registerLinearConverters(ConverterTable &table) {
  table.add("MatMul", convertMatMul);
  table.add("Gemm", convertGemm);
}
