//===- ShapeConverters.cpp - Shapes, views and parts of tensors -*- C++ -*-===//
#include "frontends/onnx/Converter.h"
#include "llvm/ADT/Sequence.h"
#include <limits>

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

//===----------------------------------------------------------------------===//
// Vectors of sizes, known or not
//===----------------------------------------------------------------------===//

/// Elements [begin, end) of a vector.
static Value sliceVector(NodeContext &c, Value vector, int64_t begin, int64_t end) {
  return c.make<nn::SliceOp>(vector, c.intsConstant({begin}), c.intsConstant({end}),
                             c.intsConstant({1}));
}

static Value concatVectors(NodeContext &c, ArrayRef<Value> vectors) {
  if (llvm::is_contained(vectors, Value()))
    return {};
  return vectors.size() == 1 ? vectors.front() : c.make<nn::ConcatOp>(ValueRange(vectors), 0);
}

/// A vector with one number per dimension: `values` at `axes`, `otherwise` elsewhere.
static Value scatterAxes(NodeContext &c, Value values, ArrayRef<int64_t> axes, int64_t rank,
                         int64_t otherwise) {
  auto known = c.constantInts(values);
  if (known) {
    SmallVector<int64_t> all(rank, otherwise);
    for (auto [axis, value] : llvm::zip(axes, *known))
      all[axis] = value;
    return c.intsConstant(all);
  }
  SmallVector<Value> parts;
  for (int64_t dim = 0; dim < rank; ++dim) {
    auto it = llvm::find(axes, dim);
    int64_t place = it - axes.begin();
    parts.push_back(it == axes.end() ? c.intsConstant({otherwise})
                                     : sliceVector(c, values, place, place + 1));
  }
  return concatVectors(c, parts);
}

/// An integer vector as i64.
static Value asIndices(NodeContext &c, Value vector) {
  if (!vector)
    return {};
  Type i64 = c.getBuilder().getI64Type();
  return NodeContext::typeOf(vector).getElementType() == i64 ? vector
                                                            : c.make<nn::CastOp>(vector, i64);
}

//===----------------------------------------------------------------------===//
// Shapes and views
//===----------------------------------------------------------------------===//

/// Since opset 15 a slice of the shape can be asked for.
static LogicalResult convertShape(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  Value shape = c.make<nn::ShapeOp>(c.input(0));
  if (c.version() < 15)
    return c.replaceWith(shape);
  auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  int64_t start = clamp(c.getInt("start", 0)), end = clamp(c.getInt("end", rank));
  if (start == 0 && end == rank)
    return c.replaceWith(shape);
  return shape ? c.replaceWith(sliceVector(c, shape, start, std::max(start, end))) : failure();
}

static LogicalResult convertTranspose(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  auto reversed = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
  SmallVector<int64_t> permutation = c.getInts("perm", reversed);
  return c.replaceWith<nn::TransposeOp>(c.input(0), permutation);
}

static LogicalResult convertReshape(NodeContext &c) {
  if (c.version() < 5)
    c.ignoreAttr("consumed_inputs"); // said where memory may be shared
  bool allowZero = c.version() >= 14 && c.getFlag("allowzero");
  Value shape = c.intsOperand("shape", 1, 5);
  return shape ? c.replaceWith<nn::ReshapeOp>(c.input(0), shape, allowZero) : failure();
}

static LogicalResult convertSqueeze(NodeContext &c) {
  RankedTensorType type = c.inputType(0);
  auto given = c.constantIntsOperand("axes", 1, 13);
  if (c.hadError())
    return failure();
  SmallVector<int64_t> axes;
  if (given) {
    auto normalized = c.normalizeAxes(*given, type.getRank());
    if (!normalized)
      return failure();
    axes = *normalized;
  } else {
    if (!type.hasStaticShape())
      return c.error("without axes, which dimensions are 1 must be known at compile time");
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.getDimSize(dim) == 1)
        axes.push_back(dim);
  }
  llvm::sort(axes);
  return c.replaceWith<nn::SqueezeOp>(c.input(0), axes);
}

static LogicalResult convertUnsqueeze(NodeContext &c) {
  auto given = c.constantIntsOperand("axes", 1, 13);
  if (c.hadError() || !given)
    return c.hadError() ? failure() : c.error("it has no axes");
  auto axes = c.normalizeAxes(*given, c.inputType(0).getRank() + given->size());
  if (!axes)
    return failure();
  llvm::sort(*axes);
  return c.replaceWith<nn::UnsqueezeOp>(c.input(0), *axes);
}

static LogicalResult convertFlatten(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  int64_t axis = c.getInt("axis", 1);
  if (axis < -rank || axis > rank)
    return c.error("axis is " + Twine(axis) + ", expected between " + Twine(-rank) + " and " +
                   Twine(rank));
  axis = axis < 0 ? axis + rank : axis;
  Value rows = c.make<nn::CollapseOp>(c.input(0), 0, axis);
  return rows ? c.replaceWith<nn::CollapseOp>(rows, 1, NodeContext::rankOf(rows)) : failure();
}

/// A vector with ones put before it up to the given length.
static Value alignShape(NodeContext &c, Value shape, int64_t length) {
  int64_t missing = shape ? length - NodeContext::typeOf(shape).getDimSize(0) : 0;
  if (missing <= 0)
    return shape;
  return concatVectors(c, {c.intsConstant(SmallVector<int64_t>(missing, 1)), shape});
}

/// Expand stretches both ways: a 1 in the shape keeps the input's size.
static LogicalResult convertExpand(NodeContext &c) {
  Value shape = c.input(1);
  int64_t length = c.inputType(1).getDimSize(0);
  if (ShapedType::isDynamic(length))
    return c.error("the length of the shape must be known at compile time");
  int64_t rank = std::max(length, c.inputType(0).getRank());
  Value own = alignShape(c, c.make<nn::ShapeOp>(c.input(0)), rank);
  shape = alignShape(c, shape, rank);
  if (!own || !shape)
    return failure();
  if (rank == 0)
    return c.replaceWith(c.input(0));
  Value keeps = c.make<nn::CompareOp>(nn::ComparePredicate::eq, shape, c.intsConstant({1}));
  Value wanted = keeps ? c.make<nn::WhereOp>(keeps, own, shape) : Value();
  return wanted ? c.replaceWith<nn::BroadcastOp>(c.input(0), wanted) : failure();
}

/// Each dimension gets a new one before it, which is stretched and merged into it.
static LogicalResult convertTile(NodeContext &c) {
  if (c.version() < 6)
    return c.error("the form of opset 1 (tiles, axis) is not supported");
  int64_t rank = c.inputType(0).getRank();
  if (c.inputType(1).getDimSize(0) != rank)
    return c.error("expected " + Twine(rank) + " repeats, one for each dimension");
  if (rank == 0)
    return c.replaceWith(c.input(0));
  Value sizes = c.make<nn::ShapeOp>(c.input(0)), repeats = c.input(1);
  if (!sizes)
    return failure();
  SmallVector<int64_t> axes;
  SmallVector<Value> parts;
  for (int64_t dim = 0; dim < rank; ++dim) {
    axes.push_back(2 * dim);
    parts.push_back(sliceVector(c, repeats, dim, dim + 1));
    parts.push_back(sliceVector(c, sizes, dim, dim + 1));
  }
  Value shape = concatVectors(c, parts), total = c.make<nn::MulOp>(sizes, repeats);
  Value split = c.make<nn::UnsqueezeOp>(c.input(0), axes);
  if (!shape || !split || !total)
    return failure();
  Value stretched = c.make<nn::BroadcastOp>(split, shape);
  return stretched ? c.replaceWith<nn::ReshapeOp>(stretched, total, true) : failure();
}

//===----------------------------------------------------------------------===//
// Parts of tensors
//===----------------------------------------------------------------------===//

static LogicalResult convertSlice(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  Value starts = asIndices(c, c.intsOperand("starts", 1, 10));
  Value ends = asIndices(c, c.intsOperand("ends", 2, 10));
  auto givenAxes = c.constantIntsOperand("axes", 3, 10);
  if (c.hadError() || !starts || !ends)
    return failure();
  int64_t count = NodeContext::typeOf(starts).getDimSize(0);
  if (ShapedType::isDynamic(count) || NodeContext::typeOf(ends).getDimSize(0) != count)
    return c.error("the number of starts and ends must be equal and known at compile time");
  auto axes = c.normalizeAxes(
      givenAxes ? *givenAxes : llvm::to_vector(llvm::seq<int64_t>(0, count)), rank);
  if (!axes)
    return failure();
  if (static_cast<int64_t>(axes->size()) != count)
    return c.error("expected one axis for each start, found " + Twine(axes->size()) + " for " +
                   Twine(count));
  Value steps = c.intsConstant(SmallVector<int64_t>(count, 1));
  if (c.version() >= 10 && c.hasInput(4))
    steps = asIndices(c, c.input(4));
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  starts = scatterAxes(c, starts, *axes, rank, 0);
  ends = scatterAxes(c, ends, *axes, rank, kEnd);
  steps = steps ? scatterAxes(c, steps, *axes, rank, 1) : Value();
  return starts && ends && steps ? c.replaceWith<nn::SliceOp>(c.input(0), starts, ends, steps)
                                 : failure();
}

static LogicalResult convertConcat(NodeContext &c) {
  auto axis = c.normalizeAxis(c.getInt("axis", 1), c.inputType(0).getRank());
  return axis ? c.replaceWith<nn::ConcatOp>(ValueRange(c.allInputs()), *axis) : failure();
}

/// Parts of given sizes, or equal ones, of which the last may be smaller.
static LogicalResult convertSplit(NodeContext &c) {
  RankedTensorType type = c.inputType(0);
  auto axis = c.normalizeAxis(c.getInt("axis", 0), type.getRank());
  auto sizes = c.constantIntsOperand("split", 1, 13);
  int64_t parts = c.version() >= 18 ? c.getInt("num_outputs", c.numOutputs()) : c.numOutputs();
  if (c.hadError() || !axis)
    return failure();
  int64_t total = type.getDimSize(*axis);
  if (!sizes) {
    if (ShapedType::isDynamic(total))
      return c.error("equal parts of a dimension that is not known at compile time are not supported");
    int64_t size = parts > 0 ? llvm::divideCeil(total, parts) : 0;
    sizes.emplace();
    for (int64_t i = 0, rest = total; i < parts; ++i, rest -= size)
      sizes->push_back(std::clamp<int64_t>(rest, 0, size));
  }
  if (sizes->size() != c.numOutputs())
    return c.error("expected " + Twine(c.numOutputs()) + " parts, one for each output, found " +
                   Twine(sizes->size()));
  int64_t sum = 0;
  for (int64_t size : *sizes)
    if (size < 0 || (sum += size) < 0)
      return c.error("the size of a part must not be negative");
  if (!ShapedType::isDynamic(total) && sum != total)
    return c.error("the parts have " + Twine(sum) + " elements, but the dimension has " + Twine(total));
  if (ShapedType::isDynamic(total))
    return c.error("parts of a dimension that is not known at compile time are not supported");
  SmallVector<Value> results;
  SmallVector<int64_t> starts(type.getRank(), 0), ends(type.getRank(), std::numeric_limits<int64_t>::max()),
      steps(type.getRank(), 1);
  int64_t begin = 0;
  for (int64_t size : *sizes) {
    starts[*axis] = begin;
    ends[*axis] = begin + size;
    begin += size;
    results.push_back(c.make<nn::SliceOp>(c.input(0), c.intsConstant(starts), c.intsConstant(ends),
                                          c.intsConstant(steps)));
  }
  return c.setResults(results);
}

static LogicalResult convertPad(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  StringRef mode = c.getString("mode", "constant");
  auto kind = nn::symbolizePadMode(mode);
  if (!kind)
    return c.error("the mode '" + mode + "' is not supported");
  Value pads = c.intsOperand(c.version() < 2 ? "paddings" : "pads", 1, 11);
  Type element = c.inputType(0).getElementType();
  Value value;
  if (c.version() < 11)
    value = c.scalarConstant(element, c.getFloat("value", 0));
  else if (c.hasInput(2))
    value = c.input(2);
  else
    value = c.scalarConstant(element, 0);
  if (!pads || !value)
    return failure();
  if (NodeContext::rankOf(value) != 0)
    value = c.make<nn::ReshapeOp>(value, c.intsConstant({}), false);
  if (c.version() >= 18 && c.hasInput(3)) {
    auto given = c.constantInts(c.input(3));
    if (!given)
      return c.error("axes must be known at compile time");
    auto axes = c.normalizeAxes(*given, rank);
    if (!axes)
      return failure();
    int64_t count = axes->size();
    if (NodeContext::typeOf(pads).getDimSize(0) != 2 * count)
      return c.error("expected " + Twine(2 * count) + " pads, two for each axis");
    // One number for the begin and one for the end of each dimension.
    for (int64_t i = 0; i < count; ++i)
      axes->push_back((*axes)[i] + rank);
    pads = scatterAxes(c, pads, *axes, 2 * rank, 0);
  }
  return pads && value ? c.replaceWith<nn::PadOp>(c.input(0), pads, value, *kind) : failure();
}

//===----------------------------------------------------------------------===//
// Space and depth
//===----------------------------------------------------------------------===//

/// reshape → transpose → reshape; only the batch may be dynamic.
static LogicalResult rearrange(NodeContext &c, ArrayRef<int64_t> split, ArrayRef<int64_t> permutation,
                               ArrayRef<int64_t> merged) {
  Value x = c.make<nn::ReshapeOp>(c.input(0), c.intsConstant(split), false);
  x = x ? c.make<nn::TransposeOp>(x, permutation) : x;
  return x ? c.replaceWith<nn::ReshapeOp>(x, c.intsConstant(merged), false) : failure();
}

/// Channels, height and width and the block of SpaceToDepth and DepthToSpace.
static std::optional<std::array<int64_t, 4>> getBlocks(NodeContext &c) {
  RankedTensorType type = c.inputType(0);
  int64_t block = c.getInt("blocksize", 1);
  if (type.getRank() != 4 || block < 1) {
    (void)c.error("expected an input of rank 4 and a positive block size");
    return std::nullopt;
  }
  if (llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic) ||
      llvm::is_contained(type.getShape(), 0)) {
    (void)c.error("channels, height and width must be known at compile time and not 0");
    return std::nullopt;
  }
  return std::array<int64_t, 4>{type.getDimSize(1), type.getDimSize(2), type.getDimSize(3), block};
}

static LogicalResult convertDepthToSpace(NodeContext &c) {
  StringRef mode = c.getString("mode", "DCR");
  auto blocks = getBlocks(c);
  if (!blocks)
    return failure();
  auto [channels, height, width, b] = *blocks;
  if (channels % (b * b) != 0)
    return c.error("the channels are no multiple of the block's area");
  int64_t depth = channels / (b * b);
  if (mode == "DCR")
    return rearrange(c, {-1, b, b, depth, height, width}, {0, 3, 4, 1, 5, 2},
                     {-1, depth, height * b, width * b});
  if (mode == "CRD")
    return rearrange(c, {-1, depth, b, b, height, width}, {0, 1, 4, 2, 5, 3},
                     {-1, depth, height * b, width * b});
  return c.error("the mode '" + mode + "' is not supported");
}

static LogicalResult convertSpaceToDepth(NodeContext &c) {
  auto blocks = getBlocks(c);
  if (!blocks)
    return failure();
  auto [channels, height, width, b] = *blocks;
  if (height % b != 0 || width % b != 0)
    return c.error("height and width are no multiples of the block");
  return rearrange(c, {-1, channels, height / b, b, width / b, b}, {0, 3, 5, 1, 2, 4},
                   {-1, channels * b * b, height / b, width / b});
}

void nacre::frontend::registerShapeConverters(ConverterTable &table) {
  table.add("Concat", convertConcat);
  table.add("DepthToSpace", convertDepthToSpace);
  table.add("Expand", convertExpand);
  table.add("Flatten", convertFlatten);
  table.add("Pad", convertPad);
  table.add("Reshape", convertReshape);
  table.add("Shape", convertShape);
  table.add("Size", convertUnary<nn::SizeOp>);
  table.add("Slice", convertSlice);
  table.add("SpaceToDepth", convertSpaceToDepth);
  table.add("Split", convertSplit);
  table.add("Squeeze", convertSqueeze);
  table.add("Tile", convertTile);
  table.add("Transpose", convertTranspose);
  table.add("Unsqueeze", convertUnsqueeze);
}
