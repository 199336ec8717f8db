//===- SequenceSplits.cpp - SplitToSequence and what takes it ---*- C++ -*-===//
//
// Where the number of pieces is known, they are slices. Where only a run tells
// it, the sequence stays a split (RuntimeSplit), and what takes it computes with
// the tensor: a piece is a slice at a place known then, all pieces are the
// tensor itself.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/Sequences.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// `value` from `start` to `end`, 64-bit integers, along a dimension.
static Value sliceAlong(NodeContext &c, Value value, int64_t axis,
                        OpFoldResult start, OpFoldResult end) {
  OpBuilder &b = c.getBuilder();
  int64_t rank = NodeContext::rankOf(value);
  auto vector = [&](int64_t elsewhere, OpFoldResult here) -> Value {
    SmallVector<int64_t> numbers(rank, elsewhere);
    if (auto known = getConstantIntValue(here)) {
      numbers[axis] = *known;
      return c.intsConstant(numbers);
    }
    SmallVector<Value> values;
    for (int64_t i = 0; i < rank; ++i)
      values.push_back(i == axis ? cast<Value>(here)
                                 : arith::ConstantIntOp::create(b, c.getLoc(),
                                                                elsewhere, 64));
    return tensor::FromElementsOp::create(b, c.getLoc(), values);
  };
  return c.make<nn::SliceOp>(value, vector(0, start), vector(INT64_MAX, end),
                             c.intsConstant(SmallVector<int64_t>(rank, 1)));
}

static Value makeInt(NodeContext &c, int64_t value) {
  return arith::ConstantIntOp::create(c.getBuilder(), c.getLoc(), value, 64);
}

static Value toTensor(NodeContext &c, Value number) {
  return tensor::FromElementsOp::create(c.getBuilder(), c.getLoc(),
                                        RankedTensorType::get({}, number.getType()), number);
}

/// The only element of an integer tensor, as i64.
static Value extractInt(NodeContext &c, Value tensor) {
  Value number = extractScalar(c.getBuilder(), c.getLoc(), tensor);
  Type wide = c.getBuilder().getI64Type();
  return number.getType() == wide ? number
                                  : arith::ExtSIOp::create(c.getBuilder(), c.getLoc(), wide, number);
}

/// The size of a dimension, as i64.
static Value getSize(NodeContext &c, Value value, int64_t axis) {
  OpBuilder &b = c.getBuilder();
  return arith::IndexCastOp::create(b, c.getLoc(), b.getI64Type(),
                                    tensor::DimOp::create(b, c.getLoc(), value, axis));
}

static Value compare(NodeContext &c, arith::CmpIPredicate predicate, Value lhs, Value rhs) {
  return arith::CmpIOp::create(c.getBuilder(), c.getLoc(), predicate, lhs, rhs);
}

Value frontend::getSplitLength(NodeContext &c, const RuntimeSplit &split) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  if (split.isVector())
    return getSize(c, split.sizes, 0);
  Value size = getSize(c, split.source, split.axis);
  Value whole = arith::DivSIOp::create(b, loc, size, split.sizes);
  Value rest = arith::RemSIOp::create(b, loc, size, split.sizes);
  Value more = arith::ExtUIOp::create(b, loc, b.getI64Type(),
                                      compare(c, arith::CmpIPredicate::ne, rest, makeInt(c, 0)));
  return arith::AddIOp::create(b, loc, whole, more);
}

/// The elements of a vector before `end` added up, as i64.
static Value sumBefore(NodeContext &c, Value vector, Value end) {
  Value part = sliceAlong(c, vector, 0, c.getBuilder().getI64IntegerAttr(0), end);
  Value sum = c.make<nn::ReduceOp>(nn::ReduceKind::sum, part, ArrayRef<int64_t>{0}, /*keepdims=*/false);
  return sum ? extractInt(c, sum) : Value();
}

LogicalResult frontend::convertSplitLength(NodeContext &c, const RuntimeSplit &split) {
  return c.replaceWith(toTensor(c, getSplitLength(c, split)));
}

Value frontend::getPositionWithin(NodeContext &c, unsigned index, Value length, bool orEnd) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  if (!mayHaveOneElement(c.inputType(index))) {
    (void)c.error("the position has more or fewer elements than 1");
    return {};
  }
  Value zero = makeInt(c, 0), given = extractInt(c, c.input(index));
  Value isBehind = compare(c, arith::CmpIPredicate::slt, given, zero);
  Value position = arith::SelectOp::create(b, loc, isBehind,
                                           arith::AddIOp::create(b, loc, given, length), given);
  auto isBelow = orEnd ? arith::CmpIPredicate::sle : arith::CmpIPredicate::slt;
  Value inRange = arith::AndIOp::create(b, loc, compare(c, arith::CmpIPredicate::sge, position, zero),
                                        compare(c, isBelow, position, length));
  if (failed(c.require(toTensor(c, inRange), "the position is out of range for the sequence")))
    return {};
  return position;
}

Value frontend::getSplitPiece(NodeContext &c, const RuntimeSplit &split, Value position) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  if (!split.keepsAxis)
    return c.make<nn::GatherOp>(split.source, toTensor(c, position), split.axis);
  Value start, end, next = arith::AddIOp::create(b, loc, position, makeInt(c, 1));
  if (split.isVector()) {
    start = sumBefore(c, split.sizes, position);
    end = sumBefore(c, split.sizes, next);
  } else {
    // In range, so that nothing overflows; what is behind the end is not sliced.
    Value size = getSize(c, split.source, split.axis);
    start = arith::MulIOp::create(b, loc, position, split.sizes);
    Value rest = arith::SubIOp::create(b, loc, size, start);
    end = arith::AddIOp::create(b, loc, start, arith::MinSIOp::create(b, loc, rest, split.sizes));
  }
  return start && end ? sliceAlong(c, split.source, split.axis, start, end) : Value();
}

/// One piece, at a position that may be a negative one.
LogicalResult frontend::convertSplitAt(NodeContext &c, const RuntimeSplit &split) {
  Value position = getPositionWithin(c, 1, getSplitLength(c, split));
  Value piece = position ? getSplitPiece(c, split, position) : Value();
  return piece ? c.replaceWith(piece) : failure();
}

/// All pieces along the axis of the split: the tensor that it took.
LogicalResult frontend::convertSplitConcat(NodeContext &c, const RuntimeSplit &split, int64_t axis, bool isNew) {
  int64_t rank = NodeContext::rankOf(split.source);
  auto normal = c.normalizeAxis(axis, rank - !split.keepsAxis + isNew);
  if (!normal)
    return failure();
  if (*normal != split.axis || isNew == split.keepsAxis) { // of other tensors than the one that was split
    auto packed = pack(c, c.input(0), NodeContext::typeOf(split.source).getElementType(), 0);
    return packed ? convertPackedConcat(c, *packed, axis, isNew) : failure();
  }
  Value some = compare(c, arith::CmpIPredicate::sgt, getSplitLength(c, split), makeInt(c, 0));
  if (failed(c.require(toTensor(c, some), "the sequence is empty")))
    return failure();
  return c.replaceWith(split.source);
}

/// Once a run has begun: the sizes are those of pieces that fill the dimension.
static LogicalResult checkSizes(NodeContext &c, Value sizes, int64_t axis) {
  auto reduce = [&](nn::ReduceKind kind) {
    Value number = c.make<nn::ReduceOp>(kind, sizes, ArrayRef<int64_t>{0}, /*keepdims=*/false);
    return number ? extractInt(c, number) : Value();
  };
  Value sum = reduce(nn::ReduceKind::sum), least = reduce(nn::ReduceKind::min), most = reduce(nn::ReduceKind::max);
  if (!sum || !least || !most)
    return failure();
  // With none above the dimension, the sum does not overflow.
  Value size = getSize(c, c.input(0), axis);
  Value positive = compare(c, arith::CmpIPredicate::sge, least, makeInt(c, 0));
  Value fills = arith::AndIOp::create(c.getBuilder(), c.getLoc(), compare(c, arith::CmpIPredicate::sle, most, size),
                                      compare(c, arith::CmpIPredicate::eq, sum, size));
  if (failed(c.require(toTensor(c, positive), "a piece of the split has a negative size")))
    return failure();
  return c.require(toTensor(c, fills), "the pieces of the split do not add up to the dimension");
}

/// The split itself: along an axis into pieces of the node's sizes, which are checked.
static LogicalResult convertRuntimeSplit(NodeContext &c, int64_t axis, bool keepsAxis) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  RuntimeSplit split{c.input(0), {}, axis, keepsAxis};
  if (!c.hasInput(1)) {
    split.sizes = makeInt(c, 1);
  } else if (c.inputType(1).getRank() == 1) {
    split.sizes = c.make<nn::CastOp>(c.input(1), Type(b.getI64Type()));
    if (!split.sizes || failed(checkSizes(c, split.sizes, axis)))
      return failure();
  } else {
    if (auto known = c.constantInts(c.input(1))) {
      split.sizes = makeInt(c, known->front());
      return c.replaceWith(makeRuntimeSplit(b, loc, split));
    }
    Value given = extractInt(c, c.input(1)), one = makeInt(c, 1);
    Value isPositive = compare(c, arith::CmpIPredicate::sge, given, one);
    if (failed(c.require(toTensor(c, isPositive), "the pieces of the split have a size below 1")))
      return failure();
    split.sizes = arith::MaxSIOp::create(b, loc, given, one);
  }
  return c.replaceWith(makeRuntimeSplit(b, loc, split));
}

/// Where the pieces of a split begin and end, if their number is known: none if it is
/// not, nullopt after an error.
static std::optional<SmallVector<OpFoldResult>> getBorders(NodeContext &c,
                                                           int64_t axis) {
  // A number in a file must not become any number of ops: more pieces are made at run time.
  constexpr int64_t kMaxPieces = 4096;
  OpBuilder &b = c.getBuilder();
  int64_t size = c.inputType(0).getDimSize(axis);
  SmallVector<OpFoldResult> borders{b.getI64IntegerAttr(0)};
  bool isList = c.hasInput(1) && c.inputType(1).getRank() == 1;
  auto known =
      c.hasInput(1) ? c.constantInts(c.input(1)) : SmallVector<int64_t>{1};
  if (isList && known) {
    int64_t sum = 0;
    for (int64_t piece : *known) {
      if (piece < 0 || llvm::AddOverflow(sum, piece, sum)) {
        (void)c.error("the split has the piece " + Twine(piece));
        return std::nullopt;
      }
      borders.push_back(b.getI64IntegerAttr(sum));
    }
    if (!ShapedType::isDynamic(size) && sum != size) {
      (void)c.error("the pieces add up to " + Twine(sum) +
                    ", the dimension has size " + Twine(size));
      return std::nullopt;
    }
    if (ShapedType::isDynamic(size)) {
      Value fills = compare(c, arith::CmpIPredicate::eq, makeInt(c, sum), getSize(c, c.input(0), axis));
      (void)c.require(toTensor(c, fills), "the pieces of the split do not add up to the dimension");
    }
    return borders;
  }
  if (isList && !c.inputType(1).isDynamicDim(0) &&
      c.inputType(1).getDimSize(0) <= kMaxPieces) {
    // How many is known, only how long is not.
    Value sizes = c.make<nn::CastOp>(c.input(1), Type(b.getI64Type()));
    if (!sizes || failed(checkSizes(c, sizes, axis)))
      return std::nullopt;
    Value sum;
    for (int64_t i = 0; i < c.inputType(1).getDimSize(0); ++i) {
      Value place = arith::ConstantIndexOp::create(b, c.getLoc(), i);
      Value piece = tensor::ExtractOp::create(b, c.getLoc(), sizes, place);
      sum =
          sum ? Value(arith::AddIOp::create(b, c.getLoc(), sum, piece)) : piece;
      borders.push_back(sum);
    }
    return borders;
  }
  if (known && !isList && known->front() < 1) {
    (void)c.error("the split has the piece " + Twine(known->front()));
    return std::nullopt;
  }
  if (isList || !known || ShapedType::isDynamic(size) || size / known->front() > kMaxPieces)
    return SmallVector<OpFoldResult>();
  for (int64_t end = 0; end < size;) {
    end = size - end > known->front() ? end + known->front() : size;
    borders.push_back(b.getI64IntegerAttr(end));
  }
  return borders;
}

LogicalResult frontend::convertSplitToSequence(NodeContext &c) {
  // Dimensions are only dropped if there is no split.
  bool keep = c.getFlag("keepdims", true) || c.hasInput(1);
  auto axis = c.normalizeAxis(c.getInt("axis", 0), c.inputType(0).getRank());
  if (!axis)
    return failure();
  if (c.hasInput(1) && c.inputType(1).getRank() != 1 && !mayHaveOneElement(c.inputType(1)))
    return c.error("the split is neither a number nor a list of numbers");
  auto borders = getBorders(c, *axis);
  if (!borders)
    return failure();
  if (borders->empty())
    return convertRuntimeSplit(c, *axis, keep);
  if (!GraphImporter::spendOnSequence(c, borders->size()))
    return failure();
  SmallVector<Value> pieces;
  for (size_t i = 1; i < borders->size(); ++i) {
    Value piece =
        sliceAlong(c, c.input(0), *axis, (*borders)[i - 1], (*borders)[i]);
    if (!keep)
      piece = c.make<nn::SqueezeOp>(piece, ArrayRef<int64_t>{*axis});
    pieces.push_back(piece);
  }
  return c.hadError() ? failure() : c.replaceWith(makeSequence(c.getBuilder(), c.getLoc(), pieces));
}
