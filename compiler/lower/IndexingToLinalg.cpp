//===- IndexingToLinalg.cpp - Gathers and scatters --------------*- C++ -*-===//
//
// Before: %y = nn.gather %x, %i along 0 : (tensor<9x768xf32>, tensor<?xi64>) -> tensor<?x768xf32>
// After:  %y = linalg.generic ins(%i : tensor<?xi64>) { tensor.extract %x[clamped %in, index 1] }
//
// Scatters are loops that insert in order, parallel where no two writes meet.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Indexing.h"
#include "dialects/nn/Expr.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;

namespace {

/// nn.checked_index → wraps, checks and clamps each.
struct LowerCheckedIndex : Lowering<nn::CheckedIndexOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::CheckedIndexOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Type original = getElementTypeOrSelf(op.getIndices());
    auto stored = cast<RankedTensorType>(adaptor.getIndices().getType());
    int64_t rank = stored.getRank(), limitRank = op.getLimit().getType().getRank();
    AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
    SmallVector<AffineExpr> limitExprs;
    for (auto [i, size] : llvm::enumerate(op.getLimit().getType().getShape()))
      limitExprs.push_back(size == 1 ? rewriter.getAffineConstantExpr(0)
                                     : rewriter.getAffineDimExpr(rank - limitRank + i));
    AffineMap limitMap = AffineMap::get(rank, 0, limitExprs, rewriter.getContext());
    Value result = lower::createElements(
        rewriter, op.getLoc(), {adaptor.getIndices(), adaptor.getLimit()}, {identity, limitMap},
        lower::resultSizes(rewriter, op), stored.getElementType(),
        [&](OpBuilder &b, Location loc, ValueRange inputs, ValueRange) -> Value {
          Value position = lower::toIndex(b, loc, inputs[0], original);
          Value limit = arith::IndexCastOp::create(b, loc, b.getIndexType(), inputs[1]);
          Value zero = arith::ConstantIndexOp::create(b, loc, 0);
          if (!original.isUnsignedInteger()) {
            Value isNegative = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, position, zero);
            Value fromEnd = arith::AddIOp::create(b, loc, position, limit);
            position = arith::SelectOp::create(b, loc, isNegative, fromEnd, position);
          }
          // As unsigned numbers, negative ones are too large as well.
          Value isGood = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, position, limit);
          rt::CheckOp::create(b, op.getLoc(), isGood, rt::Status::InvalidValue, "an index is out of range");
          position = arith::SelectOp::create(b, loc, isGood, position, zero);
          if (original.isUnsignedInteger())
            return arith::IndexCastUIOp::create(b, loc, inputs[0].getType(), position);
          return arith::IndexCastOp::create(b, loc, inputs[0].getType(), position);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct LowerGather : Lowering<nn::GatherOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::GatherOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    int64_t axis = op.getAxis(), indexRank = op.getIndices().getType().getRank(), rank = sizes.size();
    Type original = getElementTypeOrSelf(op.getIndices());
    SmallVector<AffineExpr> exprs;
    for (int64_t i = 0; i < indexRank; ++i)
      exprs.push_back(rewriter.getAffineDimExpr(axis + i));
    Value limit = m.value(m.dim(op.getData(), axis));
    Value result = lower::createElements(
        rewriter, loc, adaptor.getIndices(), AffineMap::get(rank, 0, exprs, rewriter.getContext()), sizes,
        getElementTypeOrSelf(adaptor.getData()),
        [&](OpBuilder &b, Location bodyLoc, ValueRange inputs, ValueRange places) -> Value {
          SmallVector<Value> from(places.take_front(axis));
          from.push_back(lower::loadPosition(b, bodyLoc, inputs[0], original, limit, op.getInBounds()));
          llvm::append_range(from, places.drop_front(axis + indexRank));
          return tensor::ExtractOp::create(b, bodyLoc, adaptor.getData(), from);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct LowerGatherElements : Lowering<nn::GatherElementsOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::GatherElementsOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    Type original = getElementTypeOrSelf(op.getIndices());
    Value limit = m.value(m.dim(op.getData(), op.getAxis()));
    Value result = lower::createElements(
        rewriter, loc, adaptor.getIndices(), rewriter.getMultiDimIdentityMap(sizes.size()), sizes,
        getElementTypeOrSelf(adaptor.getData()),
        [&](OpBuilder &b, Location bodyLoc, ValueRange inputs, ValueRange places) -> Value {
          SmallVector<Value> from(places);
          from[op.getAxis()] = lower::loadPosition(b, bodyLoc, inputs[0], original, limit, op.getInBounds());
          return tensor::ExtractOp::create(b, bodyLoc, adaptor.getData(), from);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// The positions of an index tuple: `tuple` are the places of the leading dimensions.
SmallVector<Value> loadTuple(OpBuilder &b, Location loc, Value indices, Type original, ValueRange tuple,
                             ArrayRef<Value> limits, bool inBounds) {
  SmallVector<Value> positions;
  for (auto [i, limit] : llvm::enumerate(limits)) {
    SmallVector<Value> at(tuple);
    at.push_back(arith::ConstantIndexOp::create(b, loc, i));
    Value integer = tensor::ExtractOp::create(b, loc, indices, at);
    positions.push_back(lower::loadPosition(b, loc, integer, original, limit, inBounds));
  }
  return positions;
}

SmallVector<Value> getLimits(nn::SizeMath &m, Value data, int64_t first, int64_t count) {
  SmallVector<Value> limits;
  for (int64_t i = 0; i < count; ++i)
    limits.push_back(m.value(m.dim(data, first + i)));
  return limits;
}

struct LowerGatherNd : Lowering<nn::GatherNdOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::GatherNdOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op);
    auto indices = op.getIndices().getType();
    int64_t batchDims = op.getBatchDims(), length = indices.getShape().back(), lead = indices.getRank() - 1;
    SmallVector<Value> limits = getLimits(m, op.getData(), batchDims, length);
    Value result = lower::createElements(
        rewriter, loc, {}, {}, sizes, getElementTypeOrSelf(adaptor.getData()),
        [&](OpBuilder &b, Location bodyLoc, ValueRange, ValueRange places) -> Value {
          SmallVector<Value> from(places.take_front(batchDims));
          llvm::append_range(from, loadTuple(b, bodyLoc, adaptor.getIndices(), indices.getElementType(),
                                             places.take_front(lead), limits, op.getInBounds()));
          llvm::append_range(from, places.drop_front(lead));
          return tensor::ExtractOp::create(b, bodyLoc, adaptor.getData(), from);
        });
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// Joins an element with what is there; booleans are stored as i8.
Value join(OpBuilder &b, Location loc, nn::ScatterReduction reduction, Value there, Value update, Type original) {
  if (reduction == nn::ScatterReduction::Replace)
    return update;
  nn::Expr l(b, loc, lower::loadElement(b, loc, there, original)),
      r(b, loc, lower::loadElement(b, loc, update, original));
  bool isUnsigned = original.isUnsignedInteger() || original.isInteger(1);
  auto joined = [&]() -> nn::Expr {
    switch (reduction) {
    case nn::ScatterReduction::Add:
      return original.isInteger(1) ? l | r : l + r;
    case nn::ScatterReduction::Mul:
      return original.isInteger(1) ? l & r : l * r;
    case nn::ScatterReduction::Min:
      return l.isFloat()  ? l.apply<arith::MinimumFOp>(r)
             : isUnsigned ? l.apply<arith::MinUIOp>(r)
                          : l.apply<arith::MinSIOp>(r);
    case nn::ScatterReduction::Max:
      return l.isFloat()  ? l.apply<arith::MaximumFOp>(r)
             : isUnsigned ? l.apply<arith::MaxUIOp>(r)
                          : l.apply<arith::MaxSIOp>(r);
    case nn::ScatterReduction::Replace:
      break;
    }
    llvm_unreachable("every reduction is handled");
  }();
  return lower::storeElement(b, loc, joined, original);
}

/// nn.scatter_elements → a copy, then loops over the updates. Writes meet only along
/// the axis, so another dimension runs in parallel.
struct LowerScatterElements : Lowering<nn::ScatterElementsOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ScatterElementsOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    auto type = cast<RankedTensorType>(adaptor.getData().getType());
    int64_t rank = type.getRank(), axis = op.getAxis();
    Type original = getElementTypeOrSelf(op.getData());
    Type indexType = getElementTypeOrSelf(op.getIndices());
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op), updates = m.dims(op.getUpdates());
    Value limit = m.value(sizes[axis]);
    Value result = lower::createCopy(rewriter, loc, adaptor.getData(), sizes);
    auto insertOne = [&](OpBuilder &b, Location bodyLoc, ValueRange update, MutableArrayRef<Value> at,
                         Value into) -> Value {
      Value index = tensor::ExtractOp::create(b, bodyLoc, adaptor.getIndices(), update);
      at[axis] = lower::loadPosition(b, bodyLoc, index, indexType, limit, op.getInBounds());
      Value value = tensor::ExtractOp::create(b, bodyLoc, adaptor.getUpdates(), update);
      if (op.getReduction() != nn::ScatterReduction::Replace) {
        Value there = tensor::ExtractOp::create(b, bodyLoc, into, at);
        value = join(b, bodyLoc, op.getReduction(), there, value, original);
      }
      return tensor::InsertOp::create(b, bodyLoc, value, into, at);
    };
    if (rank == 1) {
      result = lower::createLoops(rewriter, loc, updates, result,
                                  [&](OpBuilder &b, Location l, ValueRange places, ValueRange carried) {
                                    SmallVector<Value> at(places);
                                    return SmallVector<Value>{insertOne(b, l, places, at, carried[0])};
                                  })
                   .front();
      rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, type));
      return success();
    }
    int64_t lane = axis == 0 ? 1 : 0;
    SmallVector<OpFoldResult> laneUpdates(updates), partSizes(sizes);
    laneUpdates[lane] = partSizes[lane] = rewriter.getIndexAttr(1);
    SmallVector<int64_t> partShape(cast<RankedTensorType>(result.getType()).getShape());
    partShape[lane] = 1;
    auto parts = [&](ValueRange places) -> SmallVector<lower::Part> {
      SmallVector<OpFoldResult> offsets(rank, rewriter.getIndexAttr(0));
      offsets[lane] = places[0];
      return {{offsets, partSizes, type.clone(partShape)}};
    };
    result = lower::createParallelParts(
                 rewriter, loc, updates[lane], result, parts,
                 [&](OpBuilder &b, Location l, ValueRange places, ValueRange pieces) {
                   return lower::createLoops(b, l, laneUpdates, pieces,
                                             [&](OpBuilder &inner, Location at, ValueRange within, ValueRange carried) {
                                               SmallVector<Value> update(within), target(within);
                                               update[lane] = places[0];
                                               return SmallVector<Value>{
                                                   insertOne(inner, at, update, target, carried[0])};
                                             });
                 })
                 .front();
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, type));
    return success();
  }
};

/// nn.scatter_nd → a copy, then loops over the tuples, each of which joins a slice.
struct LowerScatterNd : Lowering<nn::ScatterNdOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::ScatterNdOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    nn::SizeMath m(rewriter, loc);
    auto type = cast<RankedTensorType>(adaptor.getData().getType());
    auto indices = op.getIndices().getType();
    Type original = getElementTypeOrSelf(op.getData());
    int64_t rank = type.getRank(), length = indices.getShape().back();
    SmallVector<OpFoldResult> sizes = lower::resultSizes(rewriter, op), tuples = m.dims(op.getIndices());
    tuples.pop_back();
    SmallVector<Value> limits = getLimits(m, op.getData(), 0, length);
    OpFoldResult zero = m.constant(0), one = m.constant(1);
    Value copy = lower::createCopy(rewriter, loc, adaptor.getData(), sizes);
    auto writeSlice = [&](OpBuilder &b, Location bodyLoc, ValueRange places, ValueRange carried) -> SmallVector<Value> {
      SmallVector<Value> at =
          loadTuple(b, bodyLoc, adaptor.getIndices(), indices.getElementType(), places, limits, op.getInBounds());
      auto joinOne = [&](OpBuilder &nested, Location l, ValueRange inner, Value there) -> Value {
        SmallVector<Value> from(places);
        llvm::append_range(from, inner);
        Value update = tensor::ExtractOp::create(nested, l, adaptor.getUpdates(), from);
        return join(nested, l, op.getReduction(), there, update, original);
      };
      if (rank == length) {
        Value there = tensor::ExtractOp::create(b, bodyLoc, carried[0], at);
        return {tensor::InsertOp::create(b, bodyLoc, joinOne(b, bodyLoc, {}, there), carried[0], at)};
      }
      SmallVector<OpFoldResult> offsets(rank, zero), partSizes(sizes), strides(rank, one);
      for (int64_t i = 0; i < length; ++i) {
        offsets[i] = at[i];
        partSizes[i] = one;
      }
      auto partType = type.clone(cast<RankedTensorType>(carried[0].getType()).getShape().drop_front(length));
      Value part = tensor::ExtractSliceOp::create(b, bodyLoc, partType, carried[0], offsets, partSizes, strides);
      SmallVector<utils::IteratorType> iterators(rank - length, utils::IteratorType::parallel);
      auto generic = linalg::GenericOp::create(
          b, bodyLoc, partType, ValueRange(), part, b.getMultiDimIdentityMap(rank - length), iterators,
          [&](OpBuilder &nested, Location l, ValueRange arguments) {
            SmallVector<Value> inner;
            for (int64_t i = 0; i < rank - length; ++i)
              inner.push_back(linalg::IndexOp::create(nested, l, i));
            linalg::YieldOp::create(nested, l, joinOne(nested, l, inner, arguments[0]));
          });
      return {tensor::InsertSliceOp::create(b, bodyLoc, generic.getResult(0), carried[0], offsets, partSizes, strides)};
    };
    Value result = lower::createLoops(rewriter, loc, tuples, copy, writeSlice).front();
    rewriter.replaceOp(op, lower::castTo(rewriter, loc, result, type));
    return success();
  }
};

} // namespace

void lower::populateIndexingToLinalgPatterns(const TypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LowerCheckedIndex, LowerGather, LowerGatherElements, LowerGatherNd, LowerScatterElements,
               LowerScatterNd>(converter, patterns.getContext());
}
