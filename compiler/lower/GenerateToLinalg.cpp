//===- GenerateToLinalg.cpp - Tensors made of places ------------*- C++ -*-===//
//
// Before: %y = nn.range from %start by %delta count %n : (tensor<f32>, tensor<f32>, tensor<i64>) -> tensor<?xf32>
// After:  %y = linalg.generic { %start + sitofp(index 0) * %delta }
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Indexing.h"
#include "dialects/nn/Expr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

struct LowerRange : Lowering<nn::RangeOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RangeOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Type element = getElementTypeOrSelf(adaptor.getStart());
    AffineMap scalar = AffineMap::get(1, 0, rewriter.getContext());
    // Narrow floats are computed in f32 and rounded once.
    bool narrow = isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32;
    Type wide = narrow ? rewriter.getF32Type() : element;
    Value result = lower::createElements(
        rewriter, op.getLoc(), {adaptor.getStart(), adaptor.getDelta()}, {scalar, scalar},
        lower::resultSizes(rewriter, op), element,
        [&](OpBuilder &b, Location loc, ValueRange inputs, ValueRange places) -> Value {
          Value place = arith::IndexCastOp::create(b, loc, b.getI64Type(), places[0]);
          if (!isa<FloatType>(element)) {
            if (element.getIntOrFloatBitWidth() < 64)
              place = arith::TruncIOp::create(b, loc, element, place);
            return nn::Expr(b, loc, inputs[0]) + nn::Expr(b, loc, place) * nn::Expr(b, loc, inputs[1]);
          }
          place = arith::SIToFPOp::create(b, loc, wide, place);
          Value start = inputs[0], delta = inputs[1];
          if (narrow) {
            start = arith::ExtFOp::create(b, loc, wide, start);
            delta = arith::ExtFOp::create(b, loc, wide, delta);
          }
          Value sum = nn::Expr(b, loc, start) + nn::Expr(b, loc, place) * nn::Expr(b, loc, delta);
          return narrow ? arith::TruncFOp::create(b, loc, element, sum).getResult() : sum;
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct LowerOneHot : Lowering<nn::OneHotOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::OneHotOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size(), axis = op.getAxis();
    Type original = getElementTypeOrSelf(op.getIndices());
    SmallVector<AffineExpr> exprs;
    for (int64_t i = 0; i < rank; ++i)
      if (i != axis)
        exprs.push_back(rewriter.getAffineDimExpr(i));
    nn::SizeMath m(rewriter, loc);
    Value depth = m.value(sizes[axis]);
    Value result = lower::createElements(
        rewriter, loc, adaptor.getIndices(), AffineMap::get(rank, 0, exprs, rewriter.getContext()), sizes,
        getElementTypeOrSelf(adaptor.getValues()),
        [&](OpBuilder &b, Location bodyLoc, ValueRange inputs, ValueRange places) -> Value {
          // Places and indices are compared in the indices' own kind of number, so that
          // no index, whatever its type, is cut to fit another.
          Value isHot;
          auto compare = [&](Value place) -> Value {
            Value wide = arith::IndexCastOp::create(b, bodyLoc, b.getI64Type(), place);
            if (isa<FloatType>(original)) {
              Value number = arith::SIToFPOp::create(b, bodyLoc, b.getF64Type(), wide);
              Value index = inputs[0];
              if (original.getIntOrFloatBitWidth() < 32)
                index = arith::ExtFOp::create(b, bodyLoc, b.getF32Type(), index);
              if (original.getIntOrFloatBitWidth() < 64)
                index = arith::ExtFOp::create(b, bodyLoc, b.getF64Type(), index);
              return arith::CmpFOp::create(b, bodyLoc, arith::CmpFPredicate::OEQ, index, number);
            }
            Value index = inputs[0];
            if (original.getIntOrFloatBitWidth() < 64)
              index = original.isUnsignedInteger()
                          ? arith::ExtUIOp::create(b, bodyLoc, b.getI64Type(), index).getResult()
                          : arith::ExtSIOp::create(b, bodyLoc, b.getI64Type(), index).getResult();
            return arith::CmpIOp::create(b, bodyLoc, arith::CmpIPredicate::eq, index, wide);
          };
          isHot = compare(places[axis]);
          if (!original.isUnsignedInteger()) {
            Value fromEnd = arith::SubIOp::create(b, bodyLoc, places[axis], depth);
            isHot = arith::OrIOp::create(b, bodyLoc, isHot, compare(fromEnd));
          }
          Value one = arith::ConstantIndexOp::create(b, bodyLoc, 1), zero = arith::ConstantIndexOp::create(b, bodyLoc, 0);
          Value off = tensor::ExtractOp::create(b, bodyLoc, adaptor.getValues(), zero);
          Value on = tensor::ExtractOp::create(b, bodyLoc, adaptor.getValues(), one);
          return arith::SelectOp::create(b, bodyLoc, isHot, on, off);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct LowerTrilu : Lowering<nn::TriluOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::TriluOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size();
    Type element = getElementTypeOrSelf(adaptor.getInput());
    AffineMap scalar = AffineMap::get(rank, 0, rewriter.getContext());
    Value result = lower::createElements(
        rewriter, op.getLoc(), {adaptor.getInput(), adaptor.getK()},
        {rewriter.getMultiDimIdentityMap(rank), scalar}, sizes, element,
        [&](OpBuilder &b, Location loc, ValueRange inputs, ValueRange places) -> Value {
          // The distance of two places cannot overflow; k may be any number.
          Value distance = arith::SubIOp::create(b, loc, places[rank - 1], places[rank - 2]);
          distance = arith::IndexCastOp::create(b, loc, b.getI64Type(), distance);
          bool isUpper = op.getTriangle() == nn::Triangle::Upper;
          Value isKept = arith::CmpIOp::create(
              b, loc, isUpper ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle, distance, inputs[1]);
          Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
          return arith::SelectOp::create(b, loc, isKept, inputs[0], zero);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct LowerReverseSequence : Lowering<nn::ReverseSequenceOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ReverseSequenceOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t rank = sizes.size(), time = op.getTimeAxis();
    nn::SizeMath m(rewriter, loc);
    Value size = m.value(sizes[time]);
    AffineMap batch = AffineMap::get(rank, 0, rewriter.getAffineDimExpr(op.getBatchAxis()));
    Value result = lower::createElements(
        rewriter, loc, adaptor.getLengths(), batch, sizes, getElementTypeOrSelf(adaptor.getInput()),
        [&](OpBuilder &b, Location bodyLoc, ValueRange inputs, ValueRange places) -> Value {
          Value length = arith::IndexCastOp::create(b, bodyLoc, b.getIndexType(), inputs[0]);
          length = arith::MinSIOp::create(b, bodyLoc, length, size);
          Value isReversed = arith::CmpIOp::create(b, bodyLoc, arith::CmpIPredicate::slt, places[time], length);
          Value one = arith::ConstantIndexOp::create(b, bodyLoc, 1);
          Value mirrored = arith::SubIOp::create(b, bodyLoc, arith::SubIOp::create(b, bodyLoc, length, one), places[time]);
          SmallVector<Value> from(places);
          from[time] = arith::SelectOp::create(b, bodyLoc, isReversed, mirrored, places[time]);
          return tensor::ExtractOp::create(b, bodyLoc, adaptor.getInput(), from);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct LowerCountNonZero : Lowering<nn::CountNonZeroOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::CountNonZeroOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t rank = op.getInput().getType().getRank();
    Value zero = arith::ConstantIntOp::create(rewriter, loc, 0, 64);
    Value init = lower::createFilled(rewriter, loc, {}, zero);
    SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::reduction);
    AffineMap scalar = AffineMap::get(rank, 0, rewriter.getContext());
    rewriter.replaceOpWithNewOp<linalg::GenericOp>(
        op, init.getType(), adaptor.getInput(), init,
        ArrayRef<AffineMap>{rewriter.getMultiDimIdentityMap(rank), scalar}, iterators,
        [&](OpBuilder &b, Location bodyLoc, ValueRange arguments) {
          Value isOne = lower::isNonZero(b, bodyLoc, arguments[0]);
          Value one = arith::ExtUIOp::create(b, bodyLoc, b.getI64Type(), isOne);
          linalg::YieldOp::create(b, bodyLoc, arith::AddIOp::create(b, bodyLoc, arguments[1], one).getResult());
        });
    return success();
  }
};

/// nn.non_zero → loops in order that write one column for each element found.
struct LowerNonZero : Lowering<nn::NonZeroOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::NonZeroOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Value count = m.value(sizes[1]), zero = m.value(m.constant(0)), one = m.value(m.constant(1));
    // A count that is too large leaves zeros, one that is too small is not exceeded.
    Value result = lower::createFilled(rewriter, loc, sizes, arith::ConstantIntOp::create(rewriter, loc, 0, 64));
    auto visit = [&](OpBuilder &b, Location bodyLoc, ValueRange places, ValueRange carried) -> SmallVector<Value> {
      Value element = tensor::ExtractOp::create(b, bodyLoc, adaptor.getInput(), places);
      Value isThere = arith::CmpIOp::create(b, bodyLoc, arith::CmpIPredicate::slt, carried[0], count);
      Value isFound = arith::AndIOp::create(b, bodyLoc, lower::isNonZero(b, bodyLoc, element), isThere);
      auto branch = scf::IfOp::create(
          b, bodyLoc, isFound,
          [&](OpBuilder &then, Location thenLoc) {
            Value column = carried[1];
            for (auto [row, place] : llvm::enumerate(places)) {
              Value value = arith::IndexCastOp::create(then, thenLoc, then.getI64Type(), place);
              Value at = arith::ConstantIndexOp::create(then, thenLoc, row);
              column = tensor::InsertOp::create(then, thenLoc, value, column, ValueRange{at, carried[0]});
            }
            Value next = arith::AddIOp::create(then, thenLoc, carried[0], one);
            scf::YieldOp::create(then, thenLoc, ValueRange{next, column});
          },
          [&](OpBuilder &otherwise, Location elseLoc) {
            scf::YieldOp::create(otherwise, elseLoc, carried);
          });
      return SmallVector<Value>(branch.getResults());
    };
    SmallVector<Value> results = lower::createLoops(rewriter, loc, m.dims(op.getInput()), {zero, result}, visit);
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, results[1], op.getType()));
    return success();
  }
};

} // namespace

void lower::populateGenerateToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerRange, LowerOneHot, LowerTrilu, LowerReverseSequence, LowerCountNonZero, LowerNonZero>(
      converter, patterns.getContext());
}
