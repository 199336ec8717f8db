//===- ShapeConverters.cpp - Shapes and what only changes them --*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// Since opset 15 a part of the shape can be asked for.
static LogicalResult convertShape(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank(), begin = 0, end = rank;
  if (c.version() >= 15) {
    auto clamp = [&](int64_t place) {
      return std::clamp<int64_t>(place < 0 ? place + rank : place, 0, rank);
    };
    begin = clamp(c.getInt("start", 0));
    end = std::max(begin, clamp(c.getInt("end", rank)));
  }
  ShapeVectors v(c);
  Value shape = v.shape(c.input(0));
  return c.replaceWith(begin == 0 && end == rank ? shape
                                                 : v.part(shape, begin, end));
}

static LogicalResult convertSize(NodeContext &c) {
  return c.replaceWith<nn::SizeOp>(c.input(0));
}

static LogicalResult convertTranspose(NodeContext &c) {
  int64_t rank = c.inputType(0).getRank();
  auto reversed = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
  SmallVector<int64_t> permutation = c.getInts("perm", reversed);
  return c.replaceWith<nn::TransposeOp>(c.input(0), permutation);
}

static LogicalResult convertReshape(NodeContext &c) {
  bool allowZero = c.version() >= 14 && c.getFlag("allowzero");
  if (c.version() < 5)
    c.ignoreAttr("consumed_inputs"); // said where memory may be shared
  ShapeVectors v(c);
  Value shape = v.toI64(c.intsOperand("shape", 1, 5));
  if (!shape)
    return c.error("the attribute 'shape' is missing");
  auto rank = v.resultRank(v.knownLength(shape), "sizes", [&] { return v.asLong(shape); });
  shape = rank ? v.ofLength(shape, *rank, "sizes") : Value();
  if (!shape)
    return failure();
  return c.replaceWith<nn::ReshapeOp>(c.input(0), shape, allowZero);
}

/// Constant axes in rising order; an error if they are not constant.
static std::optional<SmallVector<int64_t>>
getSortedAxes(NodeContext &c, ArrayRef<int64_t> given, int64_t rank) {
  auto axes = c.normalizeAxes(given, rank);
  if (axes)
    llvm::sort(*axes);
  return axes;
}

static LogicalResult convertSqueeze(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0), axes = v.toI64(c.intsOperand("axes", 1, 13));
  if (c.hadError())
    return failure();
  RankedTensorType type = c.typeOf(x);
  if (!axes && (type.hasStaticShape() || (c.isTraining() && !c.declaredRank(0)))) {
    // The result's rank is what is known to be 1, so the others must not be.
    SmallVector<int64_t> ones;
    for (auto [i, size] : llvm::enumerate(type.getShape())) {
      if (size == 1)
        ones.push_back(i);
      Value isOther = v.compare(nn::ComparePredicate::ne, v.toScalar(v.size(x, i)), v.scalar(1));
      if (ShapedType::isDynamic(size) &&
          failed(c.require(isOther, "dimension " + Twine(i) + " has size 1, which changes the result's rank")))
        return failure();
    }
    return c.replaceWith<nn::SqueezeOp>(x, ones);
  }
  if (auto known = c.constantInts(axes)) {
    auto sorted = getSortedAxes(c, *known, type.getRank());
    return sorted ? c.replaceWith<nn::SqueezeOp>(x, *sorted) : failure();
  }
  // Which dimensions remain is known only at run time.
  Value sizes = v.shape(x), isOne = v.compare(nn::ComparePredicate::eq, sizes, v.scalar(1));
  Value marks = axes ? v.marks(axes, type.getRank()) : v.toI64(isOne);
  Value isKept = v.compare(nn::ComparePredicate::eq, marks, v.scalar(0));
  auto count = v.knownLength(axes);
  auto rank = v.resultRank(count ? std::optional(type.getRank() - *count) : std::nullopt, "axes", [&] {
    ArrayRef<int64_t> shape = type.getShape();
    int64_t ones = axes ? 0 : llvm::count(shape, 1), open = axes ? shape.size() : llvm::count(shape, ShapedType::kDynamic);
    int64_t most = type.getRank() - ones;
    return OpenRank{v.sum(v.toI64(isKept)), most - open, most};
  });
  if (!rank)
    return failure();
  if (*rank < 0 || *rank > type.getRank())
    return c.error("it makes rank " + Twine(*rank) + " of rank " + Twine(type.getRank()));
  Value shape = v.unmarked(sizes, marks, *rank);
  if (!isOne || !isKept ||
      failed(c.require(v.all(c.make<nn::OrOp>(isOne, isKept)), "a dimension to squeeze has another size than 1")))
    return failure();
  return shape ? c.replaceWith<nn::ReshapeOp>(x, shape, /*allowzero=*/true)
               : failure();
}

static LogicalResult convertUnsqueeze(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0), axes = v.toI64(c.intsOperand("axes", 1, 13));
  if (!axes)
    return c.error("the attribute 'axes' is missing");
  axes = v.toVector(axes);
  auto count = v.knownLength(axes);
  auto declared = v.resultRank(count ? std::optional(c.rankOf(x) + *count) : std::nullopt, "axes",
                               [&] { return v.asLong(axes, c.rankOf(x)); });
  if (!declared)
    return failure();
  int64_t rank = *declared;
  if (rank < c.rankOf(x))
    return c.error("it makes rank " + Twine(rank) + " of rank " + Twine(c.rankOf(x)));
  if (auto known = c.constantInts(axes)) {
    auto sorted = getSortedAxes(c, *known, rank);
    return sorted ? c.replaceWith<nn::UnsqueezeOp>(x, *sorted) : failure();
  }
  axes = v.ofLength(axes, rank - c.rankOf(x), "axes");
  Value shape = v.spread(v.shape(x), v.marks(axes, rank), 1);
  return shape ? c.replaceWith<nn::ReshapeOp>(x, shape, /*allowzero=*/true)
               : failure();
}

static LogicalResult convertFlatten(NodeContext &c) {
  int64_t rank = c.rankOf(c.input(0)), axis = c.getInt("axis", 1);
  if (axis < -rank || axis > rank)
    return c.error("the attribute 'axis' is " + Twine(axis) +
                   ", but the input has rank " + Twine(rank));
  axis = axis < 0 ? axis + rank : axis;
  Value right = c.make<nn::CollapseOp>(c.input(0), axis, rank);
  return right ? c.replaceWith<nn::CollapseOp>(right, 0, axis) : failure();
}

/// The shape may broadcast to the input as well as the input to it.
static LogicalResult convertExpand(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0), wanted = v.toI64(c.input(1));
  auto length = v.knownLength(wanted);
  auto declared = v.resultRank(length ? std::optional(std::max(*length, c.rankOf(x))) : std::nullopt, "sizes", [&] {
    Value sizes = v.asLong(wanted).rank;
    return OpenRank{sizes ? v.max(sizes, c.rankOf(x)) : Value(), c.rankOf(x), v.kMostChosen};
  });
  if (!declared)
    return failure();
  int64_t rank = *declared;
  if (rank < c.rankOf(x))
    return c.error("it makes rank " + Twine(rank) + " of rank " + Twine(c.rankOf(x)));
  Value given = v.concat({v.repeat(1, rank - c.rankOf(x)), v.shape(x)});
  wanted = v.filledUp(wanted, rank, v.scalar(1), "sizes", /*atEnd=*/false);
  Value isOne = v.compare(nn::ComparePredicate::eq, wanted, v.repeat(1, rank));
  Value shape = v.select(isOne, given, wanted);
  return shape ? c.replaceWith<nn::BroadcastOp>(x, shape) : failure();
}

/// A new dimension before each one that is repeated, stretched, and merged with it.
static LogicalResult tile(NodeContext &c, Value x, Value repeats) {
  ShapeVectors v(c);
  int64_t rank = c.rankOf(x);
  repeats = v.ofLength(repeats, rank, "repeats");
  if (!repeats)
    return failure();
  auto known = c.constantInts(repeats);
  SmallVector<int64_t> axes;
  SmallVector<Value> stretched;
  for (int64_t i = 0; i < rank; ++i) {
    if (known && (*known)[i] < 0)
      return c.error("it has a negative repeat: " + Twine((*known)[i]));
    if (!known || (*known)[i] != 1) {
      axes.push_back(stretched.size());
      stretched.push_back(v.part(repeats, i, i + 1));
    }
    stretched.push_back(v.size(x, i));
  }
  if (axes.empty())
    return c.replaceWith(x);
  Value shape = v.mul(v.shape(x), repeats), target = v.concat(stretched);
  Value apart = c.make<nn::UnsqueezeOp>(x, axes);
  Value copies = apart && target ? c.make<nn::BroadcastOp>(apart, target) : Value();
  return copies && shape ? c.replaceWith<nn::ReshapeOp>(copies, shape, /*allowzero=*/true)
                         : failure();
}

/// Until opset 5, inputs `tiles` and `axis` repeat one dimension.
static LogicalResult convertTile(NodeContext &c) {
  ShapeVectors v(c);
  if (c.version() >= 6)
    return tile(c, c.input(0), v.toI64(c.input(1)));
  int64_t rank = c.rankOf(c.input(0));
  Value repeats = v.scatter(v.repeat(1, rank), v.toVector(v.toI64(c.input(2))),
                            v.toVector(v.toI64(c.input(1))));
  return repeats ? tile(c, c.input(0), repeats) : failure();
}

/// Reshapes, permutes, and reshapes again.
static LogicalResult rearrange(NodeContext &c, Value apart, ArrayRef<int64_t> permutation,
                               Value together) {
  if (!apart || !together)
    return failure();
  Value x = c.make<nn::ReshapeOp>(c.input(0), apart, /*allowzero=*/true);
  Value moved = x ? c.make<nn::TransposeOp>(x, permutation) : Value();
  return moved ? c.replaceWith<nn::ReshapeOp>(moved, together, /*allowzero=*/true)
               : failure();
}

static LogicalResult convertDepthToSpace(NodeContext &c) {
  int64_t block = c.getInt("blocksize", 0);
  StringRef mode = c.version() >= 11 ? c.getString("mode", "DCR") : "DCR";
  bool crd = mode == "CRD";
  if (mode != "CRD" && mode != "DCR")
    return c.error("the attribute 'mode' is " + nn::quoted(mode) + ", expected DCR or CRD");
  if (block < 1 || block > 1 << 20)
    return c.error("the attribute 'blocksize' is " + Twine(block) + ", expected 1 to 1048576");
  if (c.rankOf(c.input(0)) != 4)
    return c.error("the input has rank " + Twine(c.rankOf(c.input(0))) + ", expected 4");
  ShapeVectors v(c);
  Value n = v.size(c.input(0), 0), h = v.size(c.input(0), 2), w = v.size(c.input(0), 3);
  Value depth = v.div(v.size(c.input(0), 1), block * block), b = v.constant(block);
  Value apart = crd ? v.concat({n, depth, b, b, h, w}) : v.concat({n, b, b, depth, h, w});
  Value together = v.concat({n, depth, v.mul(h, block), v.mul(w, block)});
  return crd ? rearrange(c, apart, {0, 1, 4, 2, 5, 3}, together)
             : rearrange(c, apart, {0, 3, 4, 1, 5, 2}, together);
}

static LogicalResult convertSpaceToDepth(NodeContext &c) {
  int64_t block = c.getInt("blocksize", 0);
  bool crd = c.hasAttr("mode") && c.getString("mode", "DCR") == "CRD";
  if (block < 1 || block > 1 << 20)
    return c.error("the attribute 'blocksize' is " + Twine(block) + ", expected 1 to 1048576");
  if (c.rankOf(c.input(0)) != 4)
    return c.error("the input has rank " + Twine(c.rankOf(c.input(0))) + ", expected 4");
  ShapeVectors v(c);
  Value n = v.size(c.input(0), 0), depth = v.size(c.input(0), 1), b = v.constant(block);
  Value h = v.div(v.size(c.input(0), 2), block), w = v.div(v.size(c.input(0), 3), block);
  Value apart = v.concat({n, depth, h, b, w, b});
  Value together = v.concat({n, v.mul(depth, block * block), h, w});
  return crd ? rearrange(c, apart, {0, 1, 3, 5, 2, 4}, together)
             : rearrange(c, apart, {0, 3, 5, 1, 2, 4}, together);
}

void nacre::frontend::registerShapeConverters(ConverterTable &table) {
  table.add("DepthToSpace", convertDepthToSpace);
  table.add("Expand", convertExpand);
  table.add("Flatten", convertFlatten);
  table.add("Reshape", convertReshape);
  table.add("Shape", convertShape);
  table.add("Size", convertSize);
  table.add("SpaceToDepth", convertSpaceToDepth);
  table.add("Squeeze", convertSqueeze);
  table.add("Tile", convertTile);
  table.add("Transpose", convertTranspose);
  table.add("Unsqueeze", convertUnsqueeze);
}
