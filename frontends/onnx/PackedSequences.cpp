//===- PackedSequences.cpp - Sequences as tensors of a run ------*- C++ -*-===//
//
// Where only a run tells how many elements there are, a sequence is two tensors: the elements
// one after the other, and a row of sizes for each. So loops carry it and branches give it as
// they do tensors, and what takes it slices, joins and reshapes these.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Choices.h"
#include "frontends/onnx/Sequences.h"
#include "frontends/onnx/ShapeVectors.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static Value toTensor(NodeContext &c, Value number) {
  if (number.getType().isIndex())
    number = arith::IndexCastOp::create(c.getBuilder(), c.getLoc(), c.getBuilder().getI64Type(), number);
  return tensor::FromElementsOp::create(c.getBuilder(), c.getLoc(), RankedTensorType::get({}, number.getType()), number);
}

/// Nothing, of a type.
static Value makeEmpty(NodeContext &c, Type element, ArrayRef<int64_t> shape) {
  Value zero = c.scalarConstant(element, 0);
  return zero ? c.make<nn::BroadcastOp>(zero, c.intsConstant(shape)) : Value();
}

/// All elements of a tensor, and the row of its sizes.
static Value flattenTensor(NodeContext &c, Value tensor) {
  return tensor ? c.make<nn::CollapseOp>(tensor, 0, c.rankOf(tensor)) : Value();
}
static Value makeRow(NodeContext &c, Value sizes, int64_t rank) {
  ShapeVectors v(c);
  Value row = v.filledUp(sizes, rank, v.scalar(-1), "sizes of an element");
  return row ? c.make<nn::UnsqueezeOp>(row, ArrayRef<int64_t>{0}) : Value();
}

/// The rows with -1 in the columns that they lack.
static Value widenRows(NodeContext &c, Value shapes, int64_t rank) {
  int64_t missing = shapes ? rank - c.typeOf(shapes).getDimSize(1) : 0;
  if (missing <= 0)
    return shapes;
  ShapeVectors v(c);
  Value filler = v.broadcast(v.scalar(-1), v.concat({v.size(shapes, 0), v.constant(missing)}));
  return filler ? c.make<nn::ConcatOp>(ValueRange{shapes, filler}, 1) : Value();
}

static Value joinParts(NodeContext &c, ArrayRef<Value> parts, int64_t axis) {
  if (llvm::is_contained(parts, Value()))
    return {};
  return parts.size() == 1 ? parts.front() : c.make<nn::ConcatOp>(parts, axis);
}

/// How many elements each element of a sequence has: [length].
static Value countElements(NodeContext &c, Value shapes) {
  ShapeVectors v(c);
  if (c.typeOf(shapes).getDimSize(1) == 0)
    return v.broadcast(v.scalar(1), v.size(shapes, 0));
  Value isSize = v.compare(nn::ComparePredicate::ge, shapes, v.scalar(0));
  Value sizes = v.select(isSize, shapes, v.scalar(1));
  return sizes ? c.make<nn::ReduceOp>(nn::ReduceKind::prod, sizes, ArrayRef<int64_t>{1}, /*keepdims=*/false) : Value();
}

/// Rows of a tensor from `begin` to `end`, vectors of length 1.
static Value takeRows(NodeContext &c, Value tensor, Value begin, Value end) {
  ShapeVectors v(c);
  int64_t others = tensor ? c.rankOf(tensor) - 1 : 0;
  Value starts = v.concat({begin, v.repeat(0, others)}), ends = v.concat({end, v.repeat(INT64_MAX, others)});
  return tensor && starts && ends ? c.make<nn::SliceOp>(tensor, starts, ends, v.repeat(1, others + 1)) : Value();
}

namespace {

/// An element's place: in the rows, and in the data. Vectors of length 1.
struct Place {
  Value row, begin, count;
};

} // namespace

/// A position from 0 to the length, an i64.
static Place findPlace(NodeContext &c, const PackedSequence &sequence, Value position) {
  ShapeVectors v(c);
  Value row = v.toVector(toTensor(c, position)), counts = countElements(c, sequence.shapes);
  Value before = takeRows(c, counts, v.constant(0), row), own = takeRows(c, counts, row, v.add(row, 1));
  return {row, v.toVector(v.sum(before)), v.toVector(v.sum(own))};
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

namespace {

/// Collects elements in a loop's body.
class PackingLoop {
public:
  PackingLoop(NodeContext &c, Value count) : c(c), count(count), body{createDraft(c), {}, {}, {}} {
    number = body.draft.block->addArgument(c.getBuilder().getIndexType(), c.getLoc());
  }

  Block &getBlock() { return *body.draft.block; }
  /// The iteration, an i64.
  Value getNumber() {
    OpBuilder &b = c.getBuilder();
    return arith::IndexCastOp::create(b, c.getLoc(), b.getI64Type(), number);
  }
  /// At the end of the body: one more sequence gets an element, a tensor or a choice between tensors. Nothing
  /// after an error.
  void add(Value element) {
    auto flat = element ? toAnyRank(c, element) : std::nullopt;
    if (!flat)
      return;
    Value row = makeRow(c, flat->shape, getMostRank(element));
    if (!row)
      return;
    collected.emplace_back(flat->data, /*inFront=*/false, /*asRows=*/true);
    collected.emplace_back(row, /*inFront=*/false, /*asRows=*/true);
    areUniform.push_back(isa<RankedTensorType>(element.getType()));
  }
  /// The loop, before the builder; nullopt after an error.
  std::optional<SmallVector<PackedSequence>> finish() {
    if (c.hadError())
      return std::nullopt;
    OpBuilder &b = c.getBuilder();
    auto results = buildLoop(c, body, {}, {}, collected, count, /*condition=*/Value(),
                             arith::ConstantIntOp::create(b, c.getLoc(), 1, 1));
    if (!results)
      return std::nullopt;
    SmallVector<PackedSequence> sequences;
    for (size_t i = 0; i < results->size(); i += 2)
      sequences.push_back({(*results)[i], (*results)[i + 1], areUniform[i / 2]});
    return sequences;
  }

private:
  NodeContext &c;
  Value count, number;
  LoopBody body;
  SmallVector<Collected> collected;
  SmallVector<bool> areUniform;
};

} // namespace

static Value toIndex(NodeContext &c, Value number) {
  return arith::IndexCastOp::create(c.getBuilder(), c.getLoc(), c.getBuilder().getIndexType(), number);
}

static std::optional<PackedSequence> packSplit(NodeContext &c, const RuntimeSplit &split) {
  OpBuilder &b = c.getBuilder();
  PackingLoop loop(c, toIndex(c, getSplitLength(c, split)));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&loop.getBlock());
    loop.add(getSplitPiece(c, split, loop.getNumber()));
  }
  auto packed = loop.finish();
  return packed ? std::optional(packed->front()) : std::nullopt;
}

std::optional<PackedSequence> frontend::pack(NodeContext &c, Value sequence, Type element, int64_t rank) {
  PackedSequence result;
  if (auto packed = getPacked(sequence)) {
    result = *packed;
  } else if (auto split = getRuntimeSplit(sequence)) {
    auto made = packSplit(c, *split);
    if (!made)
      return std::nullopt;
    result = *made;
  } else if (auto elements = getSequenceElements(sequence)) {
    SmallVector<Value> data, rows;
    int64_t most = rank;
    for (Value tensor : *elements) {
      Type type = isTensorOrChoice(tensor) ? getElementTypeOf(tensor) : Type();
      if (!type || (element && type != element)) {
        (void)c.error("a sequence of elements of different types, whose length is not known at compile time, is not "
                      "supported");
        return std::nullopt;
      }
      element = type;
      most = std::max(most, getMostRank(tensor));
    }
    for (Value tensor : *elements) {
      auto flat = toAnyRank(c, tensor);
      data.push_back(flat ? flat->data : Value());
      rows.push_back(flat ? makeRow(c, flat->shape, most) : Value());
      result.isUniform &= isa<RankedTensorType>(tensor.getType()) && c.rankOf(tensor) == most;
    }
    if (elements->empty() && !element) {
      (void)c.error("the type of an empty sequence's elements is not known");
      return std::nullopt;
    }
    if (elements->empty())
      return PackedSequence{makeEmpty(c, element, 0), makeEmpty(c, c.getBuilder().getI64Type(), {0, most})};
    result.data = joinParts(c, data, 0);
    result.shapes = joinParts(c, rows, 0);
  } else {
    (void)c.error("a sequence whose length is not known at compile time is not supported");
    return std::nullopt;
  }
  if (!result.data || !result.shapes || c.hadError())
    return std::nullopt;
  if (result.getRank() < rank) {
    result.shapes = widenRows(c, result.shapes, rank);
    result.isUniform = false;
  }
  return result.shapes ? std::optional(result) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// What takes packed sequences
//===----------------------------------------------------------------------===//

Value frontend::getPackedLength(NodeContext &c, const PackedSequence &sequence) {
  OpBuilder &b = c.getBuilder();
  return arith::IndexCastOp::create(b, c.getLoc(), b.getI64Type(),
                                    tensor::DimOp::create(b, c.getLoc(), sequence.shapes, 0));
}

/// How many sizes a row has: an i64 scalar.
static Value countSizes(NodeContext &c, Value row) {
  ShapeVectors v(c);
  return v.sum(v.toI64(v.compare(nn::ComparePredicate::ge, row, v.scalar(0))));
}

Value frontend::getPackedElement(NodeContext &c, const PackedSequence &sequence, Value position) {
  ShapeVectors v(c);
  Place place = findPlace(c, sequence, position);
  Value data = takeRows(c, sequence.data, place.begin, v.add(place.begin, place.count));
  Value row = takeRows(c, sequence.shapes, place.row, v.add(place.row, 1));
  int64_t most = sequence.getRank();
  Value sizes = row ? v.ofLength(flattenTensor(c, row), most, "sizes of an element") : Value();
  if (!data || !sizes)
    return {};
  return chooseByRank(c, sequence.isUniform ? v.scalar(most) : countSizes(c, sizes), sequence.isUniform ? most : 0, most,
                      [&](int64_t rank) {
                        return c.make<nn::ReshapeOp>(data, v.part(sizes, 0, rank), /*allowzero=*/true);
                      });
}

/// The last place, or the one that an input tells.
static Value getPosition(NodeContext &c, const PackedSequence &sequence, unsigned index, bool orEnd) {
  Value length = getPackedLength(c, sequence);
  if (c.hasInput(index))
    return getPositionWithin(c, index, length, orEnd);
  if (orEnd)
    return length;
  OpBuilder &b = c.getBuilder();
  Value one = arith::ConstantIntOp::create(b, c.getLoc(), 1, 64);
  Value some = arith::CmpIOp::create(b, c.getLoc(), arith::CmpIPredicate::sge, length, one);
  if (failed(c.require(toTensor(c, some), "the sequence is empty")))
    return {};
  return arith::SubIOp::create(b, c.getLoc(), length, one);
}

LogicalResult frontend::convertPackedAt(NodeContext &c, const PackedSequence &sequence) {
  Value position = getPosition(c, sequence, 1, /*orEnd=*/false);
  Value element = position ? getPackedElement(c, sequence, position) : Value();
  return element ? c.replaceWith(element) : failure();
}

LogicalResult frontend::convertPackedInsert(NodeContext &c, PackedSequence sequence) {
  Value tensor = c.input(1);
  if (!isa<RankedTensorType>(tensor.getType()) || c.inputType(1).getElementType() != sequence.getElementType())
    return c.error("the new element is of another type than the sequence's");
  int64_t rank = std::max(sequence.getRank(), c.rankOf(tensor));
  sequence.isUniform &= sequence.getRank() == c.rankOf(tensor);
  sequence.shapes = widenRows(c, sequence.shapes, rank);
  Value data = flattenTensor(c, tensor), row = makeRow(c, ShapeVectors(c).shape(tensor), rank);
  if (!sequence.shapes || !data || !row)
    return failure();
  if (!c.hasInput(2)) {
    sequence.data = joinParts(c, {sequence.data, data}, 0);
    sequence.shapes = joinParts(c, {sequence.shapes, row}, 0);
  } else {
    ShapeVectors v(c);
    Value position = getPosition(c, sequence, 2, /*orEnd=*/true);
    if (!position)
      return failure();
    Place place = findPlace(c, sequence, position);
    Value first = v.constant(0), last = v.constant(INT64_MAX);
    auto between = [&](Value all, Value middle, Value at) {
      return joinParts(c, {takeRows(c, all, first, at), middle, takeRows(c, all, at, last)}, 0);
    };
    sequence.data = between(sequence.data, data, place.begin);
    sequence.shapes = between(sequence.shapes, row, place.row);
  }
  return sequence.data && sequence.shapes ? c.replaceWith(makePacked(c.getBuilder(), c.getLoc(), sequence)) : failure();
}

LogicalResult frontend::convertPackedErase(NodeContext &c, const PackedSequence &sequence) {
  ShapeVectors v(c);
  Value position = getPosition(c, sequence, 1, /*orEnd=*/false);
  if (!position)
    return failure();
  Place place = findPlace(c, sequence, position);
  auto without = [&](Value all, Value begin, Value end) {
    return joinParts(c, {takeRows(c, all, v.constant(0), begin), takeRows(c, all, end, v.constant(INT64_MAX))}, 0);
  };
  PackedSequence rest = sequence;
  rest.data = without(sequence.data, place.begin, v.add(place.begin, place.count));
  rest.shapes = without(sequence.shapes, place.row, v.add(place.row, 1));
  return rest.data && rest.shapes ? c.replaceWith(makePacked(c.getBuilder(), c.getLoc(), rest)) : failure();
}

/// The first dimension moved to `axis`, or with `back` the other way.
static Value moveFirst(NodeContext &c, Value tensor, int64_t axis, bool back = false) {
  if (!tensor || axis == 0)
    return tensor;
  auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(tensor)));
  if (back)
    std::rotate(permutation.begin(), permutation.begin() + axis, permutation.begin() + axis + 1);
  else
    std::rotate(permutation.begin(), permutation.begin() + 1, permutation.begin() + axis + 1);
  return c.make<nn::TransposeOp>(tensor, permutation);
}

/// The sequence as one of elements of a rank; that they have it is required.
static std::optional<PackedSequence> withRank(NodeContext &c, const PackedSequence &sequence, int64_t rank) {
  ShapeVectors v(c);
  Value wanted = v.concat({v.repeat(1, rank), v.repeat(0, sequence.getRank() - rank)});
  Value isSize = v.toI64(v.compare(nn::ComparePredicate::ge, sequence.shapes, v.scalar(0)));
  Value all = v.all(flattenTensor(c, v.compare(nn::ComparePredicate::eq, isSize, wanted)));
  if (!all || failed(c.require(all, "the elements of the sequence have different ranks")))
    return std::nullopt;
  Value shapes = c.make<nn::SliceOp>(sequence.shapes, v.repeat(0, 2), v.constant({INT64_MAX, rank}), v.repeat(1, 2));
  return shapes ? std::optional(PackedSequence{sequence.data, shapes}) : std::nullopt;
}

/// The elements joined, which have one rank. Null after an error.
static Value joinElements(NodeContext &c, PackedSequence sequence, int64_t axis, bool isNew) {
  ShapeVectors v(c);
  OpBuilder &b = c.getBuilder();
  int64_t rank = sequence.getRank();
  auto normal = c.normalizeAxis(axis, rank + isNew);
  if (!normal)
    return {};
  Value length = getPackedLength(c, sequence);
  Value some = arith::CmpIOp::create(b, c.getLoc(), arith::CmpIPredicate::sgt, length,
                                     arith::ConstantIntOp::create(b, c.getLoc(), 0, 64));
  if (failed(c.require(toTensor(c, some), "the sequence is empty")))
    return {};
  if (!isNew && *normal > 0) {
    // Each with the axis first, so that they can stand one after the other.
    PackingLoop loop(c, toIndex(c, length));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&loop.getBlock());
      loop.add(moveFirst(c, getPackedElement(c, sequence, loop.getNumber()), *normal, /*back=*/true));
    }
    auto moved = loop.finish();
    if (!moved)
      return {};
    sequence = moved->front();
  }
  // All other sizes are those of the first.
  Value row = c.make<nn::GatherOp>(sequence.shapes, v.scalar(0), 0);
  int64_t skipped = isNew ? 0 : 1;
  Value rest = v.part(row, skipped, rank);
  if (rank > skipped) {
    Value same = v.compare(nn::ComparePredicate::eq, sequence.shapes, row);
    if (!isNew && same) { // but in the first column
      Value starts = v.constant({0, 1}), ends = v.repeat(INT64_MAX, 2);
      same = c.make<nn::SliceOp>(same, starts, ends, v.repeat(1, 2));
    }
    Value all = same ? v.all(flattenTensor(c, same)) : Value();
    if (!all || failed(c.require(all, "the elements of the sequence have different sizes")))
      return {};
  }
  Value count = v.size(sequence.shapes, 0);
  if (!isNew) {
    Value column = c.make<nn::GatherOp>(sequence.shapes, v.scalar(0), 1, /*in_bounds=*/true);
    count = v.toVector(v.sum(column));
  }
  Value shape = v.concat({count, rest});
  Value joined = shape ? c.make<nn::ReshapeOp>(sequence.data, shape, /*allowzero=*/true) : Value();
  return moveFirst(c, joined, *normal);
}

LogicalResult frontend::convertPackedConcat(NodeContext &c, const PackedSequence &sequence, int64_t axis, bool isNew) {
  if (sequence.isUniform) {
    Value joined = joinElements(c, sequence, axis, isNew);
    return joined ? c.replaceWith(joined) : failure();
  }
  // All have the first one's rank, or cannot be joined.
  ShapeVectors v(c);
  Value first = takeRows(c, sequence.shapes, v.constant(0), v.constant(1));
  Value joined = chooseByRank(c, countSizes(c, flattenTensor(c, first)), 0, sequence.getRank(), [&](int64_t rank) {
    auto uniform = withRank(c, sequence, rank);
    return uniform ? joinElements(c, *uniform, axis, isNew) : Value();
  });
  return joined ? c.replaceWith(joined) : failure();
}

LogicalResult frontend::convertPackedMap(NodeContext &c) {
  const ::onnx::GraphProto &graph = *c.getGraph("body");
  OpBuilder &b = c.getBuilder();
  SmallVector<std::optional<PackedSequence>> sequences;
  Value length;
  for (Value input : c.allInputs()) {
    sequences.emplace_back();
    if (!isa<TupleType>(input.getType()))
      continue;
    auto packed = pack(c, input, Type(), 0);
    if (!packed)
      return failure();
    Value own = getPackedLength(c, *packed);
    if (length) {
      Value same = arith::CmpIOp::create(b, c.getLoc(), arith::CmpIPredicate::eq, length, own);
      if (failed(c.require(toTensor(c, same), "the sequences differ in length")))
        return failure();
    }
    length = length ? length : own;
    sequences.back() = *packed;
  }
  PackingLoop loop(c, toIndex(c, length));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&loop.getBlock());
    SmallVector<Value> arguments;
    Value number = loop.getNumber();
    for (auto [input, sequence] : llvm::zip_equal(c.allInputs(), sequences)) {
      arguments.push_back(sequence ? getPackedElement(c, *sequence, number) : input);
      if (!arguments.back())
        return failure();
    }
    auto values = c.importSubgraph(graph, arguments, loop.getBlock());
    if (!values)
      return failure();
    b.setInsertionPointToEnd(&loop.getBlock());
    for (Value value : ArrayRef(*values).take_front(c.numOutputs())) {
      if (!isTensorOrChoice(value))
        return c.error("a graph that makes something else than tensors of a sequence's elements is not supported");
      loop.add(value);
    }
  }
  auto results = loop.finish();
  if (!results)
    return failure();
  for (auto [i, sequence] : llvm::enumerate(*results))
    c.setResult(i, makePacked(b, c.getLoc(), sequence));
  return success();
}
