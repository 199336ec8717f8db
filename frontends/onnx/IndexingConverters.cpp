//===- IndexingConverters.cpp - Reading and writing by index ----*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static std::optional<int64_t> getAxis(NodeContext &c, int64_t otherwise = 0) {
  return c.normalizeAxis(c.getInt("axis", otherwise), c.rankOf(c.input(0)));
}

static LogicalResult convertGather(NodeContext &c) {
  auto axis = getAxis(c);
  return axis ? c.replaceWith<nn::GatherOp>(c.input(0), c.input(1), *axis) : failure();
}

static LogicalResult convertGatherElements(NodeContext &c) {
  auto axis = getAxis(c);
  return axis ? c.replaceWith<nn::GatherElementsOp>(c.input(0), c.input(1), *axis) : failure();
}

/// Indices whose tuples have a known length: where their type does not tell it, the
/// ranks do, of which `others` is the sum of all but one tuple's.
static Value getTuples(NodeContext &c, int64_t others) {
  Value indices = c.input(1);
  int64_t rank = c.rankOf(indices);
  if (rank == 0 || !c.typeOf(indices).isDynamicDim(rank - 1))
    return indices;
  int64_t length = c.rankOf(c.input(0)) + rank - 1 - others;
  if (length < 1) {
    (void)c.error("the ranks of its operands do not fit together");
    return {};
  }
  return ShapeVectors(c).withSize(indices, rank - 1, length, "indices in a tuple");
}

static LogicalResult convertGatherND(NodeContext &c) {
  int64_t batchDims = c.version() >= 12 ? c.getInt("batch_dims", 0) : 0;
  Value tuples = c.input(1);
  // What does not fit, the op says.
  if (bool fits = batchDims >= 0 && batchDims <= c.rankOf(c.input(0)) && c.rankOf(tuples) > batchDims;
      fits && c.typeOf(tuples).isDynamicDim(c.rankOf(tuples) - 1)) {
    ShapeVectors v(c);
    auto rank = v.resultRank(std::nullopt, "indices in a tuple", [&] {
      int64_t most = c.rankOf(c.input(0)) + c.rankOf(tuples) - 1 - batchDims; // were a tuple empty
      Value length = v.size(tuples, c.rankOf(tuples) - 1);
      return OpenRank{v.toScalar(v.sub(v.constant(most), length)), c.rankOf(tuples) - 1, most - 1};
    });
    tuples = rank ? getTuples(c, *rank + batchDims) : Value();
  }
  return tuples ? c.replaceWith<nn::GatherNdOp>(c.input(0), tuples, batchDims) : failure();
}

/// `reduction` came with opset 16, max and min with 18.
static std::optional<nn::ScatterReduction> getReduction(NodeContext &c) {
  StringRef name = c.version() >= 16 ? c.getString("reduction", "none") : "none";
  auto reduction = llvm::StringSwitch<std::optional<nn::ScatterReduction>>(name)
                       .Case("none", nn::ScatterReduction::Replace)
                       .Case("add", nn::ScatterReduction::Add)
                       .Case("mul", nn::ScatterReduction::Mul)
                       .Case("min", nn::ScatterReduction::Min)
                       .Case("max", nn::ScatterReduction::Max)
                       .Default(std::nullopt);
  if (!reduction)
    (void)c.error("the attribute 'reduction' is " + nn::quoted(name) + ", expected none, add, mul, min or max");
  return reduction;
}

static LogicalResult convertScatterElements(NodeContext &c) {
  auto axis = getAxis(c);
  auto reduction = c.opType() == "Scatter" ? std::optional(nn::ScatterReduction::Replace) : getReduction(c);
  if (!axis || !reduction)
    return failure();
  return c.replaceWith<nn::ScatterElementsOp>(c.input(0), c.input(1), c.input(2), *axis, *reduction);
}

static LogicalResult convertScatterND(NodeContext &c) {
  auto reduction = getReduction(c);
  Value tuples = getTuples(c, c.rankOf(c.input(2)));
  return reduction && tuples ? c.replaceWith<nn::ScatterNdOp>(c.input(0), tuples, c.input(2), *reduction)
                             : failure();
}

static LogicalResult convertTopK(NodeContext &c) {
  auto axis = getAxis(c, -1);
  bool largest = c.version() < 11 || c.getFlag("largest", true);
  if (c.version() >= 11)
    c.ignoreAttr("sorted"); // in any order also means in this one
  ShapeVectors v(c);
  Value k = c.version() >= 10 ? v.toIndexScalar(c.input(1)) : v.scalar(c.getInt("k", -1));
  if (!axis || !k)
    return failure();
  return c.replaceWith<nn::TopKOp>(c.input(0), k, *axis,
                                   largest ? nn::TopKOrder::Largest : nn::TopKOrder::Smallest);
}

static Value nonZero(NodeContext &c, Value x) {
  Value count = c.make<nn::CountNonZeroOp>(x);
  return count ? c.make<nn::NonZeroOp>(x, count) : Value();
}

static LogicalResult convertNonZero(NodeContext &c) {
  Value x = c.input(0);
  ShapeVectors v(c);
  if (c.rankOf(x) != 0) {
    Value result = nonZero(c, x);
    return result ? c.replaceWith(result) : failure();
  }
  // The places of a scalar have no coordinates: [0, 1] if it is not zero, else [0, 0].
  x = v.toVector(x);
  Value row = x ? nonZero(c, x) : Value();
  Value result = row ? c.make<nn::SliceOp>(row, c.intsConstant({0, 0}), c.intsConstant({0, INT64_MAX}), c.intsConstant({1, 1}))
                     : Value();
  return result ? c.replaceWith(result) : failure();
}

static Value flatten(NodeContext &c, Value x) {
  return c.make<nn::CollapseOp>(x, 0, c.rankOf(x));
}

/// The elements where the condition holds; it may be shorter than the dimension.
static LogicalResult convertCompress(NodeContext &c) {
  Value x = c.input(0);
  int64_t axis = 0;
  if (auto given = c.getOptionalInt("axis")) {
    auto normalized = c.normalizeAxis(*given, c.rankOf(x));
    if (!normalized)
      return failure();
    axis = *normalized;
  } else {
    x = flatten(c, x);
  }
  Value condition = ShapeVectors(c).asVector(c.input(1), "conditions");
  Value places = condition ? nonZero(c, condition) : Value();
  Value indices = places ? c.make<nn::SqueezeOp>(places, ArrayRef<int64_t>{0}) : Value();
  return x && indices ? c.replaceWith<nn::GatherOp>(x, indices, axis) : failure();
}

static LogicalResult convertUnique(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0);
  bool sorted = c.getFlag("sorted", true);
  int64_t axis = 0;
  Value slices;
  if (auto given = c.getOptionalInt("axis")) {
    auto normalized = c.normalizeAxis(*given, c.rankOf(x));
    if (!normalized)
      return failure();
    axis = *normalized;
    auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(x)));
    std::rotate(permutation.begin(), permutation.begin() + axis, permutation.begin() + axis + 1);
    slices = axis == 0 ? x : c.make<nn::TransposeOp>(x, permutation);
  } else {
    slices = x = flatten(c, x);
  }
  if (!slices)
    return failure();
  if (isa<nn::StringType>(c.typeOf(x).getElementType()))
    slices = c.make<nn::StringRankOp>(slices); // in the same order
  auto unique = slices ? c.create<nn::UniqueOp>(slices, sorted) : nn::UniqueOp();
  if (!unique)
    return failure();
  Value count = v.toVector(unique.getCount());
  auto firstOnes = [&](Value tensor) {
    return count ? c.make<nn::SliceOp>(tensor, v.constant(0), count, v.constant(1)) : Value();
  };
  Value first = firstOnes(unique.getFirst());
  Value values = first ? c.make<nn::GatherOp>(x, first, axis) : Value();
  Value repeats = firstOnes(unique.getRepeats());
  if (!values || !repeats)
    return failure();
  return c.setResults({values, first, unique.getInverse(), repeats});
}

static LogicalResult convertOneHot(NodeContext &c) {
  ShapeVectors v(c);
  auto axis = c.normalizeAxis(c.getInt("axis", -1), c.rankOf(c.input(0)) + 1);
  Value depth = v.toIndexScalar(c.input(1));
  Value indices = c.input(0);
  if (!axis || !depth || !indices)
    return failure();
  if (isa<FloatType>(c.inputType(0).getElementType()))
    indices = c.make<nn::CastOp>(indices, c.getBuilder().getI64Type()); // -0.5 is 0
  return c.replaceWith<nn::OneHotOp>(indices, depth, c.input(2), *axis);
}

static LogicalResult convertNonMaxSuppression(NodeContext &c) {
  ShapeVectors v(c);
  bool center = c.getFlag("center_point_box");
  Type f32 = c.getBuilder().getF32Type();
  Value most = c.hasInput(2) ? v.toIndexScalar(c.input(2)) : v.scalar(0);
  Value iou = c.hasInput(3) ? v.toScalar(c.input(3)) : c.scalarConstant(f32, 0);
  Value score = c.hasInput(4) ? v.toScalar(c.input(4))
                              : c.scalarConstant(f32, -std::numeric_limits<double>::infinity());
  if (!most || !iou || !score)
    return failure();
  auto nms = c.create<nn::NonMaxSuppressionOp>(c.input(0), c.input(1), most, iou, score, center);
  if (!nms)
    return failure();
  Value ends = v.concat({v.toVector(nms.getCount()), v.constant(3)});
  return ends ? c.replaceWith<nn::SliceOp>(nms.getSelected(), v.repeat(0, 2), ends, v.repeat(1, 2)) : failure();
}

/// Each value to its place in a tensor of zeros; places count the whole output.
static LogicalResult convertMaxUnpool(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0);
  SmallVector<int64_t> kernel = c.getInts("kernel_shape");
  int64_t n = kernel.size();
  SmallVector<int64_t> strides = c.getInts("strides", SmallVector<int64_t>(n, 1));
  SmallVector<int64_t> pads = c.getInts("pads", SmallVector<int64_t>(2 * n, 0));
  if (c.rankOf(x) != n + 2 || static_cast<int64_t>(strides.size()) != n ||
      static_cast<int64_t>(pads.size()) != 2 * n)
    return c.error("kernel_shape, strides and pads do not fit an input of rank " + Twine(c.rankOf(x)));
  for (int64_t size : llvm::concat<int64_t>(kernel, strides))
    if (size < 1 || size > 1 << 20)
      return c.error("a size of 'kernel_shape' or 'strides' is " + Twine(size) + ", expected 1 to 1048576");
  for (int64_t pad : pads)
    if (pad < 0 || pad > 1 << 20)
      return c.error("a size of 'pads' is " + Twine(pad) + ", expected 0 to 1048576");
  SmallVector<Value> inferred{v.size(x, 0), v.size(x, 1)};
  for (int64_t i = 0; i < n; ++i)
    inferred.push_back(v.add(v.mul(v.sub(v.size(x, i + 2), 1), strides[i]),
                             kernel[i] - pads[i] - pads[n + i]));
  Value shape = v.concat(inferred), wanted = v.ofLength(v.toI64(c.input(2)), n + 2, "sizes");
  if (!shape)
    return failure();
  // Places are counted in the shape that kernel and strides give.
  Value zero = c.scalarConstant(c.typeOf(x).getElementType(), 0);
  Value zeros = c.make<nn::BroadcastOp>(zero, shape);
  Value flat = zeros ? flatten(c, zeros) : Value();
  Value places = flatten(c, c.input(1)), values = flatten(c, x);
  if (!flat || !places || !values)
    return failure();
  Value filled = c.make<nn::ScatterElementsOp>(flat, places, values, 0, nn::ScatterReduction::Replace);
  Value result = filled ? c.make<nn::ReshapeOp>(filled, shape, /*allowzero=*/true) : Value();
  if (!wanted || !result)
    return result ? c.replaceWith(result) : failure();
  Value more = v.sub(wanted, shape);
  Value allPads = v.concat({v.repeat(0, n + 2), more});
  return allPads ? c.replaceWith<nn::PadOp>(result, allPads, zero, nn::PadMode::Constant) : failure();
}

static LogicalResult convertTensorScatter(NodeContext &c) {
  ShapeVectors v(c);
  auto axis = c.normalizeAxis(c.getInt("axis", -2), c.rankOf(c.input(0)));
  StringRef mode = c.getString("mode", "linear");
  if (!axis)
    return failure();
  if (mode != "linear" && mode != "circular")
    return c.error("the attribute 'mode' is " + nn::quoted(mode) + ", expected linear or circular");
  Value positions = v.toI64(c.input(2));
  if (!positions) {
    Value batch = v.size(c.input(0), 0);
    positions = batch ? c.make<nn::BroadcastOp>(v.scalar(0), batch) : Value();
  }
  if (!positions)
    return failure();
  return c.replaceWith<nn::CacheWriteOp>(c.input(0), c.input(1), positions, *axis, mode == "circular");
}

void nacre::frontend::registerIndexingConverters(ConverterTable &table) {
  table.add("Compress", convertCompress);
  table.add("Gather", convertGather);
  table.add("GatherElements", convertGatherElements);
  table.add("GatherND", convertGatherND);
  table.add("MaxUnpool", convertMaxUnpool);
  table.add("NonMaxSuppression", convertNonMaxSuppression);
  table.add("NonZero", convertNonZero);
  table.add("OneHot", convertOneHot);
  table.add("Scatter", convertScatterElements);
  table.add("ScatterElements", convertScatterElements);
  table.add("ScatterND", convertScatterND);
  table.add("TensorScatter", convertTensorScatter);
  table.add("TopK", convertTopK);
  table.add("Unique", convertUnique);
}
