//===- ExpandViews.cpp - Views that split dimensions ------------*- C++ -*-===//
//
// Before: memref.expand_shape %a [[0, 1]] output_shape [%m, %n] : memref<?xf32> into memref<?x?xf32>
// After:  memref.reinterpret_cast %a to offset: [0], sizes: [%m, %n], strides: [%n, 1]
//
// Upstream's expand-strided-metadata fails where a dimension is split into two or more
// of dynamic size.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_EXPANDVIEWSPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

void expandView(memref::ExpandShapeOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto source = memref::ExtractStridedMetadataOp::create(b, loc, op.getSrc());
  MemRefType type = op.getResultType();
  auto [knownStrides, knownOffset] = type.getStridesAndOffset();
  // What the type says as an attribute, the rest as a value.
  auto known = [&](int64_t size, Value value) -> OpFoldResult {
    return ShapedType::isDynamic(size) ? OpFoldResult(value) : OpFoldResult(b.getIndexAttr(size));
  };
  SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
  // Dimensions of no group, where a scalar is viewed, have size 1.
  SmallVector<OpFoldResult> strides(type.getRank(), b.getIndexAttr(1));
  for (auto [dimension, group] : llvm::enumerate(op.getReassociationIndices())) {
    Value stride = source.getStrides()[dimension];
    for (int64_t i : llvm::reverse(group)) {
      strides[i] = known(knownStrides[i], stride);
      if (i != group.front())
        stride = arith::MulIOp::create(b, loc, stride,
                                       getValueOrCreateConstantIndexOp(b, loc, sizes[i]));
    }
  }
  OpFoldResult offset = known(knownOffset, source.getOffset());
  auto view = memref::ReinterpretCastOp::create(b, loc, type, source.getBaseBuffer(), offset, sizes,
                                                strides);
  op.replaceAllUsesWith(view.getResult());
  op.erase();
}

struct ExpandViewsPass : codegen::impl::ExpandViewsPassBase<ExpandViewsPass> {
  void runOnOperation() override {
    SmallVector<memref::ExpandShapeOp> views;
    getOperation()->walk([&](memref::ExpandShapeOp op) { views.push_back(op); });
    for (memref::ExpandShapeOp op : views)
      expandView(op);
  }
};

} // namespace
