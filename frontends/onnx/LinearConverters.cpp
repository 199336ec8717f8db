//===- LinearConverters.cpp - Matrix products, attention --------*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static LogicalResult convertMatMul(NodeContext &c) {
  Value lhs = c.input(0), rhs = c.input(1);
  bool row = NodeContext::rankOf(lhs) == 1, column = NodeContext::rankOf(rhs) == 1;
  if (NodeContext::rankOf(lhs) == 0 || NodeContext::rankOf(rhs) == 0)
    return c.error("expected operands of rank 1 or more, found a scalar");
  // A vector is a matrix of one row, or of one column, that goes away again.
  if (row)
    lhs = c.make<nn::UnsqueezeOp>(lhs, ArrayRef<int64_t>{0});
  if (column)
    rhs = c.make<nn::UnsqueezeOp>(rhs, ArrayRef<int64_t>{1});
  Value product = c.make<nn::MatMulOp>(lhs, rhs, /*transpose_lhs=*/false, /*transpose_rhs=*/false);
  if (!product)
    return failure();
  int64_t rank = NodeContext::rankOf(product);
  SmallVector<int64_t> axes;
  if (row)
    axes.push_back(rank - 2);
  if (column)
    axes.push_back(rank - 1);
  if (!axes.empty())
    product = c.make<nn::SqueezeOp>(product, axes);
  return c.replaceWith(product);
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
  table.add("Einsum", convertEinsum);
}
