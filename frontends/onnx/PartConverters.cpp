//===- PartConverters.cpp - Parts of tensors, put together ------*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ShapeVectors.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

static LogicalResult convertSlice(NodeContext &c) {
  ShapeVectors v(c);
  int64_t rank = c.rankOf(c.input(0));
  Value starts = v.toI64(c.intsOperand("starts", 1, 10));
  Value ends = v.toI64(c.intsOperand("ends", 2, 10));
  Value axes = v.toI64(c.intsOperand("axes", 3, 10));
  Value steps = c.version() >= 10 ? v.toI64(c.input(4)) : Value();
  if (!starts || !ends)
    return c.error("'starts' and 'ends' are missing");
  if (auto count = v.knownLength(starts)) {
    if (*count > rank)
      return c.error("it has " + Twine(*count) + " starts for an input of rank " + Twine(rank));
    axes = axes ? axes : v.constant(llvm::to_vector(llvm::seq<int64_t>(0, *count)));
    steps = steps ? steps : v.repeat(1, *count);
  } else {
    Value all = v.constant(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
    axes = axes ? axes : v.first(all, v.shape(starts), "starts");
    steps = steps ? steps : v.broadcast(v.scalar(1), v.shape(starts));
  }
  if (auto known = c.constantInts(axes))
    if (!c.normalizeAxes(*known, rank))
      return failure();
  starts = v.scatter(v.repeat(0, rank), axes, starts);
  ends = v.scatter(v.repeat(kEnd, rank), axes, ends);
  steps = v.scatter(v.repeat(1, rank), axes, steps);
  return starts && ends && steps
             ? c.replaceWith<nn::SliceOp>(c.input(0), starts, ends, steps)
             : failure();
}

static LogicalResult convertConcat(NodeContext &c) {
  // Until opset 3 the axis had a default.
  int64_t given = c.getInt("axis", 1);
  if (c.numInputs() == 0)
    return c.error("it has no inputs");
  auto axis = c.normalizeAxis(given, c.rankOf(c.input(0)));
  if (!axis)
    return failure();
  return c.replaceWith<nn::ConcatOp>(ValueRange(c.allInputs()), *axis);
}

/// One slice for each output.
static LogicalResult convertSplit(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0);
  auto axis = c.normalizeAxis(c.getInt("axis", 0), c.rankOf(x));
  if (!axis)
    return failure();
  int64_t rank = c.rankOf(x), outputs = c.numOutputs();
  if (c.version() >= 18)
    if (auto wanted = c.getOptionalInt("num_outputs"); wanted && *wanted != outputs)
      return c.error("the attribute 'num_outputs' is " + Twine(*wanted) + ", but it has " +
                     Twine(outputs) + " outputs");
  // The input of opset 1 is the second as well, of the first one's type.
  Value sizes = c.version() < 2 && c.hasInput(1) ? v.toI64(c.input(1)) : v.toI64(c.intsOperand("split", 1, 13));
  if (c.hadError())
    return failure();
  Value total = v.size(x, *axis);
  SmallVector<Value> lengths;
  if (sizes) {
    sizes = v.ofLength(sizes, outputs, "sizes");
    if (!sizes)
      return failure();
    if (auto known = c.constantInts(sizes)) {
      int64_t sum = 0, size = c.typeOf(x).getDimSize(*axis);
      for (int64_t part : *known)
        if (part < 0 || llvm::AddOverflow(sum, part, sum))
          return c.error("it has a size of " + Twine(part));
      if (!ShapedType::isDynamic(size) && sum != size)
        return c.error("its sizes add up to " + Twine(sum) + ", but dimension " + Twine(*axis) +
                       " of the input has " + Twine(size) + " elements");
    }
    Value arePositive = v.all(v.compare(nn::ComparePredicate::ge, sizes, v.scalar(0)));
    Value fit = v.compare(nn::ComparePredicate::eq, v.sum(sizes), v.toScalar(total));
    if (failed(c.require(arePositive, "a size is negative")) ||
        failed(c.require(fit, "its sizes do not add up to dimension " + Twine(*axis) + " of the input")))
      return failure();
    for (int64_t i = 0; i < outputs; ++i)
      lengths.push_back(v.part(sizes, i, i + 1));
  } else {
    // Equal parts; the last may be smaller since opset 18.
    Value part = c.version() >= 18 ? v.div(v.add(total, outputs - 1), outputs) : v.div(total, outputs);
    int64_t size = c.typeOf(x).getDimSize(*axis);
    if (c.version() < 18 && !ShapedType::isDynamic(size) && size % outputs != 0)
      return c.error("dimension " + Twine(*axis) + " of the input has " + Twine(size) +
                     " elements, which " + Twine(outputs) + " outputs cannot share equally");
    lengths.assign(outputs, part);
  }
  SmallVector<Value> parts;
  Value begin = v.constant(0), at = v.constant(*axis), steps = v.repeat(1, rank);
  for (Value length : lengths) {
    Value end = v.add(begin, length);
    Value starts = v.scatter(v.repeat(0, rank), at, begin), ends = v.scatter(v.repeat(kEnd, rank), at, end);
    if (!starts || !ends || !steps)
      return failure();
    parts.push_back(c.make<nn::SliceOp>(x, starts, ends, steps));
    begin = end;
  }
  return c.hadError() ? failure() : c.setResults(parts);
}

static std::optional<nn::PadMode> getPadMode(NodeContext &c) {
  StringRef name = c.getString("mode", "constant");
  auto mode = llvm::StringSwitch<std::optional<nn::PadMode>>(name)
                  .Case("constant", nn::PadMode::Constant)
                  .Case("edge", nn::PadMode::Edge)
                  .Case("reflect", nn::PadMode::Reflect)
                  .Case("wrap", nn::PadMode::Wrap)
                  .Default(std::nullopt);
  if (!mode)
    (void)c.error("the attribute 'mode' is " + nn::quoted(name) + ", expected constant, edge, reflect or wrap");
  return mode;
}

static LogicalResult convertPad(NodeContext &c) {
  ShapeVectors v(c);
  int64_t rank = c.rankOf(c.input(0)), version = c.version();
  auto mode = getPadMode(c);
  if (!mode)
    return failure();
  Type element = c.inputType(0).getElementType();
  Value pads = v.toI64(c.intsOperand(version >= 2 ? "pads" : "paddings", 1, 11));
  Value value = version >= 11 ? v.toScalar(c.input(2)) : c.scalarConstant(element, c.getFloat("value", 0));
  Value axes = version >= 18 ? v.toI64(c.input(3)) : Value();
  if (!pads)
    return c.error("the attribute 'pads' is missing");
  if (version >= 11 && !value)
    value = c.scalarConstant(element, 0);
  if (axes) {
    if (auto known = c.constantInts(axes); known && !c.normalizeAxes(*known, rank))
      return failure();
    Value first = v.normalize(axes, rank);
    pads = v.scatter(v.repeat(0, 2 * rank), v.concat({first, v.add(first, rank)}), pads);
  }
  pads = v.ofLength(pads, 2 * rank, "pads");
  return pads && value ? c.replaceWith<nn::PadOp>(c.input(0), pads, value, *mode) : failure();
}

/// Pads where the wanted size is larger, takes away where it is smaller: half before,
/// the rest after.
static LogicalResult convertCenterCropPad(NodeContext &c) {
  ShapeVectors v(c);
  Value x = c.input(0), wanted = v.toI64(c.input(1));
  int64_t rank = c.rankOf(x);
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  auto axes = c.normalizeAxes(c.getInts("axes", all), rank);
  wanted = axes ? v.ofLength(wanted, axes->size(), "sizes") : Value();
  if (!wanted)
    return failure();
  Value difference = v.sub(wanted, v.pick(v.shape(x), v.constant(*axes)));
  Value before = v.div(difference, 2), after = v.sub(difference, before);
  SmallVector<int64_t> positions(*axes);
  for (int64_t axis : *axes)
    positions.push_back(axis + rank);
  Value pads = v.scatter(v.repeat(0, 2 * rank), v.constant(positions), v.concat({before, after}));
  if (!pads)
    return failure();
  Value zero = c.scalarConstant(c.typeOf(x).getElementType(), 0);
  return c.replaceWith<nn::PadOp>(x, pads, zero, nn::PadMode::Constant);
}

void nacre::frontend::registerPartConverters(ConverterTable &table) {
  table.add("CenterCropPad", convertCenterCropPad);
  table.add("Concat", convertConcat);
  table.add("Pad", convertPad);
  table.add("Slice", convertSlice);
  table.add("Split", convertSplit);
}
