//===- LinearConverters.cpp - Matrix products, attention -*- C++ -*-===//
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

void nacre::frontend::registerLinearConverters(ConverterTable &table) {
  table.add("MatMul", convertMatMul);
}
