//===- ShapeConverters.cpp - Ops that move elements -*- C++ -*-===//
#include "frontends/onnx/Converter.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// Since opset 15 a slice of the shape can be asked for.
static LogicalResult convertShape(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  if (c.version() >= 15 &&
      (c.getInt("start", 0) != 0 || c.getInt("end", rank) < rank))
    return c.error("a part of the shape is not supported");
  return c.replaceWith<nn::ShapeOp>(c.input(0));
}

static LogicalResult convertTranspose(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  auto reversed = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
  SmallVector<int64_t> permutation = c.getInts("perm", reversed);
  return c.replaceWith<nn::TransposeOp>(c.input(0), permutation);
}

void nacre::frontend::registerShapeConverters(ConverterTable &table) {
  table.add("Shape", convertShape);
  table.add("Transpose", convertTranspose);
}
