//===- Reductions.cpp - Passes over rows as linalg ops ----------*- C++ -*-===//
#include "compiler/lower/Reductions.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;
using namespace nacre;
using lower::Combiner;
using lower::RowBuilder;
using nn::Expr;
using nn::ReduceKind;

//===----------------------------------------------------------------------===//
// Combiner
//===----------------------------------------------------------------------===//

TypedAttr Combiner::getNeutral(Type type) const {
  Builder b(type.getContext());
  if (kind == ReduceKind::sum || kind == ReduceKind::mean)
    return b.getZeroAttr(type);
  if (kind == ReduceKind::prod)
    return b.getOneAttr(type);
  bool isMax = kind == ReduceKind::max;
  if (auto floatType = dyn_cast<FloatType>(type))
    return FloatAttr::get(type, APFloat::getInf(floatType.getFloatSemantics(), isMax));
  unsigned width = type.getIntOrFloatBitWidth();
  APInt low = isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
  APInt high = isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  return IntegerAttr::get(type, isMax ? low : high);
}

Expr Combiner::combine(Expr accumulator, Expr element) const {
  switch (kind) {
  case ReduceKind::sum:
  case ReduceKind::mean:
    return accumulator + element;
  case ReduceKind::prod:
    return accumulator * element;
  case ReduceKind::max:
    return accumulator.isFloat() ? accumulator.apply<arith::MaximumFOp>(element)
                                 : max(accumulator, element, isUnsigned);
  case ReduceKind::min:
    return accumulator.isFloat() ? accumulator.apply<arith::MinimumFOp>(element)
                                 : min(accumulator, element, isUnsigned);
  }
  llvm_unreachable("all kinds are above");
}

//===----------------------------------------------------------------------===//
// RowBuilder
//===----------------------------------------------------------------------===//

RowBuilder::RowBuilder(OpBuilder &b, Location loc, Value input, ArrayRef<int64_t> axes)
    : b(b), loc(loc), input(input), axes(axes), sizes(nn::getDims(b, loc, input)) {
  int64_t rank = sizes.size();
  SmallVector<AffineExpr> row;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      row.push_back(b.getAffineDimExpr(i));
  identity = b.getMultiDimIdentityMap(rank);
  toRow = AffineMap::get(rank, 0, row, b.getContext());

  SmallVector<OpFoldResult> factors;
  for (int64_t axis : axes)
    if (std::optional<int64_t> size = getConstantIntValue(sizes[axis]))
      staticCount *= *size;
    else
      factors.push_back(sizes[axis]);
  if (factors.empty())
    return;
  rowCount = arith::ConstantIndexOp::create(b, loc, staticCount);
  for (OpFoldResult factor : factors)
    rowCount = b.createOrFold<arith::MulIOp>(loc, rowCount,
                                             getValueOrCreateConstantIndexOp(b, loc, factor));
  rowCount = b.createOrFold<arith::IndexCastOp>(loc, b.getI64Type(), rowCount);
}

/// The elements of linalg's body, f16 and bf16 widened; the formula's result in `type`.
static Value applyFormula(OpBuilder &b, Location loc, ValueRange elements, lower::Formula formula,
                          Type type) {
  SmallVector<Expr> wide;
  for (Value element : elements) {
    Expr x(b, loc, element);
    wide.push_back(x.isFloat() ? convert(x, false, nn::getComputeType(x.getElementType())) : x);
  }
  Expr result = formula(wide);
  return result.isFloat() ? convert(result, false, type) : result;
}

Value RowBuilder::reduce(Combiner combiner, Type type, ValueRange rows, Formula formula,
                         bool keepdims) {
  type = nn::getComputeType(type);
  // The dimensions of size 1 are parallel loops of their own, after the input's.
  int64_t rank = sizes.size(), loops = rank + (keepdims ? axes.size() : 0);
  SmallVector<utils::IteratorType> iterators(loops, utils::IteratorType::parallel);
  SmallVector<AffineExpr> out;
  SmallVector<OpFoldResult> outSizes;
  for (int64_t i = 0, unit = rank; i < rank; ++i) {
    bool reduced = llvm::is_contained(axes, i);
    if (reduced)
      iterators[i] = utils::IteratorType::reduction;
    if (reduced && !keepdims)
      continue;
    out.push_back(b.getAffineDimExpr(reduced ? unit++ : i));
    outSizes.push_back(reduced ? b.getIndexAttr(1) : sizes[i]);
  }
  auto overLoops = [&](AffineMap map) {
    return AffineMap::get(loops, 0, map.getResults(), b.getContext());
  };
  SmallVector<Value> inputs{input};
  SmallVector<AffineMap> maps{overLoops(identity)};
  llvm::append_range(inputs, rows);
  maps.append(rows.size(), overLoops(toRow));
  maps.push_back(AffineMap::get(loops, 0, out, b.getContext()));

  Value neutral = arith::ConstantOp::create(b, loc, combiner.getNeutral(type));
  Value init = createFilled(b, loc, outSizes, neutral);
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, maps, iterators,
             [&](OpBuilder &b, Location loc, ValueRange e) {
               Expr element(b, loc, applyFormula(b, loc, e.drop_back(), formula, type));
               linalg::YieldOp::create(b, loc, combiner.combine(element.with(e.back()), element).get());
             })
      .getResult(0);
}

// The row's extreme, then the first (last) place where it stands: two reductions that
// vectorise.
Value RowBuilder::findExtreme(Combiner combiner, bool last, bool keepdims) {
  Value extreme = reduce(combiner, getElementTypeOrSelf(input), {},
                         [](ArrayRef<Expr> e) { return e[0]; });
  Combiner place{last ? ReduceKind::max : ReduceKind::min};
  Type type = b.getI64Type();
  return reduce(
      place, type, extreme,
      [&](ArrayRef<Expr> e) {
        // Where there is a NaN, the extreme is NaN too and equals nothing.
        Expr isThere = e[0] == e[1];
        if (e[0].isFloat())
          isThere = isThere | isNaN(e[0]);
        Expr index = getIndex(e[0], axes.front());
        Value nowhere =
            arith::ConstantOp::create(e[0].getBuilder(), loc, place.getNeutral(type));
        return select(isThere, index, index.with(nowhere));
      },
      keepdims);
}

Value RowBuilder::mapRows(Type type, ValueRange rows, Formula formula) {
  SmallVector<OpFoldResult> rowSizes = nn::getDims(b, loc, rows.front());
  SmallVector<AffineMap> maps(rows.size() + 1, b.getMultiDimIdentityMap(rowSizes.size()));
  SmallVector<utils::IteratorType> iterators(rowSizes.size(), utils::IteratorType::parallel);
  Value init = createEmpty(b, loc, rowSizes, type);
  return linalg::GenericOp::create(b, loc, init.getType(), rows, init, maps, iterators,
                                   [&](OpBuilder &b, Location loc, ValueRange e) {
                                     Value result =
                                         applyFormula(b, loc, e.drop_back(), formula, type);
                                     linalg::YieldOp::create(b, loc, result);
                                   })
      .getResult(0);
}

Value RowBuilder::mapElements(Type type, Value from, ValueRange rows, Formula formula) {
  SmallVector<Value> inputs{from};
  SmallVector<AffineMap> maps{identity};
  llvm::append_range(inputs, rows);
  maps.append(rows.size(), toRow);
  maps.push_back(identity);
  SmallVector<utils::IteratorType> iterators(sizes.size(), utils::IteratorType::parallel);
  Value init = createEmpty(b, loc, sizes, type);
  return linalg::GenericOp::create(b, loc, init.getType(), inputs, init, maps, iterators,
                                   [&](OpBuilder &b, Location loc, ValueRange e) {
                                     Value result =
                                         applyFormula(b, loc, e.drop_back(), formula, type);
                                     linalg::YieldOp::create(b, loc, result);
                                   })
      .getResult(0);
}

Expr RowBuilder::countRow(Expr like) {
  if (!rowCount)
    return like.constant(static_cast<double>(staticCount));
  return convert(like.with(rowCount), false, like.getElementType());
}

Expr RowBuilder::getIndex(Expr element, int64_t dim) {
  OpBuilder &b = element.getBuilder();
  Value index = linalg::IndexOp::create(b, element.getLoc(), dim);
  return element.with(arith::IndexCastOp::create(b, element.getLoc(), b.getI64Type(), index));
}
