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

/// nn.broadcast → linalg.broadcast-like generic. A dimension that may or may not be
/// stretched is read at its place times 0 or 1.
struct LowerBroadcast : Lowering<nn::BroadcastOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::BroadcastOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(getTypeConverter()->convertType(op.getType()));
    auto inputType = cast<RankedTensorType>(adaptor.getInput().getType());
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = type.getRank(), offset = rank - inputType.getRank();
    SmallVector<AffineExpr> exprs;
    SmallVector<OpFoldResult> factors;
    bool isKnown = true;
    for (int64_t i = 0; i < inputType.getRank(); ++i) {
      OpFoldResult size = m.dim(op.getInput(), i);
      bool isStretched = inputType.getDimSize(i) == 1 && type.getDimSize(offset + i) != 1;
      bool isSame = nn::isSameSize(size, sizes[offset + i]) ||
                    (inputType.isDynamicDim(i) && type.getDimSize(offset + i) == 1);
      exprs.push_back(isStretched ? rewriter.getAffineConstantExpr(0)
                                  : rewriter.getAffineDimExpr(offset + i));
      isKnown &= isStretched || isSame || !inputType.isDynamicDim(i);
      factors.push_back(m.select(nn::SizeMath::Predicate::eq, size, m.constant(1),
                                 m.constant(0), m.constant(1)));
    }
    Value empty = lower::createEmpty(rewriter, loc, sizes, type.getElementType());
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
    SmallVector<AffineMap> maps;
    SmallVector<Value> inputs;
    if (isKnown) {
      inputs.push_back(adaptor.getInput());
      maps.push_back(AffineMap::get(rank, 0, exprs, rewriter.getContext()));
    }
    maps.push_back(rewriter.getMultiDimIdentityMap(rank));
    auto generic = linalg::GenericOp::create(
        rewriter, loc, empty.getType(), inputs, empty, maps, iterators,
        [&](OpBuilder &b, Location bodyLoc, ValueRange arguments) {
          Value element = arguments[0];
          if (!isKnown) {
            nn::SizeMath body(b, bodyLoc);
            SmallVector<Value> indices;
            for (auto [i, factor] : llvm::enumerate(factors))
              indices.push_back(body.value(body.mul(
                  linalg::IndexOp::create(b, bodyLoc, offset + i).getResult(), factor)));
            element = tensor::ExtractOp::create(b, bodyLoc, adaptor.getInput(), indices);
          }
          linalg::YieldOp::create(b, bodyLoc, element);
        });
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, generic.getResult(0), type)); // sizes may be known that the type lacks
    return success();
  }
};

/// nn.size → the product of the sizes.
struct LowerSize : Lowering<nn::SizeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::SizeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    nn::SizeMath m(rewriter, op.getLoc());
    rewriter.replaceOpWithNewOp<tensor::FromElementsOp>(
        op, op.getType(), m.valueI64(m.product(m.dims(adaptor.getInput()))));
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

/// Booleans in scalar code are i1, in tensors i8.
struct ConvertFromElements : OpConversionPattern<tensor::FromElementsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::FromElementsOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Type original = getElementTypeOrSelf(op.getType());
    if (!original.isInteger(1))
      return rewriter.notifyMatchFailure(op, "not booleans");
    SmallVector<Value> elements;
    for (Value element : adaptor.getElements())
      elements.push_back(lower::storeElement(rewriter, op.getLoc(), element, original));
    rewriter.replaceOpWithNewOp<tensor::FromElementsOp>(op, getTypeConverter()->convertType(op.getType()), elements);
    return success();
  }
};

struct ConvertExtract : OpConversionPattern<tensor::ExtractOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(tensor::ExtractOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    if (!op.getType().isInteger(1))
      return rewriter.notifyMatchFailure(op, "not a boolean");
    Value stored = tensor::ExtractOp::create(rewriter, op.getLoc(), adaptor.getTensor(), adaptor.getIndices());
    rewriter.replaceOp(op, lower::loadElement(rewriter, op.getLoc(), stored, op.getType()));
    return success();
  }
};

} // namespace

void lower::populateShapeToLinalgPatterns(const TypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<LowerTranspose, LowerBroadcast, LowerShape, LowerSize>(converter, patterns.getContext());
  patterns.add<ConvertFromElements, ConvertExtract>(converter, patterns.getContext(), /*benefit=*/2);
}
