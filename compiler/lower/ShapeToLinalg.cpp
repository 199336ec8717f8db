//===- ShapeToLinalg.cpp - Ops that move elements ---------------*- C++ -*-===//
#include "compiler/lower/Lowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

struct LowerTranspose : Lowering<nn::TransposeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::TransposeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Type element = getElementTypeOrSelf(adaptor.getInput());
    Value empty = lower::createEmpty(rewriter, op.getLoc(), lower::resultSizes(rewriter, op), element);
    rewriter.replaceOpWithNewOp<linalg::TransposeOp>(op, adaptor.getInput(), empty,
                                                     op.getPermutation());
    return success();
  }
};

/// nn.shape → tensor.from_elements of the sizes.
struct LowerShape : Lowering<nn::ShapeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ShapeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<Value> sizes;
    for (OpFoldResult size : nn::getDims(rewriter, loc, adaptor.getInput()))
      sizes.push_back(arith::IndexCastOp::create(
          rewriter, loc, rewriter.getI64Type(), getValueOrCreateConstantIndexOp(rewriter, loc, size)));
    rewriter.replaceOpWithNewOp<tensor::FromElementsOp>(op, op.getType(), sizes);
    return success();
  }
};

} // namespace

void lower::populateShapeToLinalgPatterns(const TypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<LowerTranspose, LowerShape>(converter, patterns.getContext());
}
