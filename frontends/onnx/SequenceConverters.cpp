//===- SequenceConverters.cpp - Sequences and optionals ---------*- C++ -*-===//
//
// A sequence whose length is known is resolved while importing: its value is a
// cast of its tensors to a tuple, which nothing but the converters here looks
// into and which is gone when the import is done. An optional is its element,
// or a cast to `none`.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Converter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static Value makeSequence(NodeContext &c, ArrayRef<Value> elements) {
  auto type = TupleType::get(c.getContext(), ValueRange(elements).getTypes());
  return UnrealizedConversionCastOp::create(c.getBuilder(), c.getLoc(), type,
                                            elements)
      .getResult(0);
}

/// The tensors of a sequence; nullopt after an error.
static std::optional<SmallVector<Value>> getElements(NodeContext &c,
                                                     Value sequence) {
  auto made = sequence.getDefiningOp<UnrealizedConversionCastOp>();
  if (made && isa<TupleType>(sequence.getType()))
    return SmallVector<Value>(made.getInputs());
  (void)c.error(
      "a sequence whose length is not known at compile time is not supported");
  return std::nullopt;
}

/// A position in a sequence, brought into [0, length); nullopt after an error.
static std::optional<int64_t> getPosition(NodeContext &c, unsigned index,
                                          int64_t length, int64_t otherwise) {
  if (!c.hasInput(index))
    return otherwise;
  auto known = c.constantInts(c.input(index));
  if (!known || known->size() != 1) {
    (void)c.error(
        "a position that is not known at compile time is not supported");
    return std::nullopt;
  }
  int64_t position = known->front();
  if (position < -length || position >= length) {
    (void)c.error("position " + Twine(position) + " is out of range for " +
                  Twine(length) + " elements");
    return std::nullopt;
  }
  return position < 0 ? position + length : position;
}

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

static LogicalResult convertSequenceConstruct(NodeContext &c) {
  return c.replaceWith(makeSequence(c, c.allInputs()));
}

static LogicalResult convertSequenceEmpty(NodeContext &c) {
  c.ignoreAttr("dtype"); // what is inserted has its own type
  return c.replaceWith(makeSequence(c, {}));
}

static LogicalResult convertSequenceInsert(NodeContext &c) {
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  int64_t length = elements->size();
  // One place more than there are elements: behind the last.
  std::optional<int64_t> position = length;
  if (c.hasInput(2)) {
    auto known = c.constantInts(c.input(2));
    if (known && known->size() == 1 && known->front() == length)
      position = length;
    else
      position = getPosition(c, 2, length, length);
  }
  if (!position)
    return failure();
  elements->insert(elements->begin() + *position, c.input(1));
  return c.replaceWith(makeSequence(c, *elements));
}

static LogicalResult convertSequenceErase(NodeContext &c) {
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  if (elements->empty())
    return c.error("the sequence is empty");
  auto position = getPosition(c, 1, elements->size(), elements->size() - 1);
  if (!position)
    return failure();
  elements->erase(elements->begin() + *position);
  return c.replaceWith(makeSequence(c, *elements));
}

static LogicalResult convertSequenceAt(NodeContext &c) {
  auto elements = getElements(c, c.input(0));
  auto position =
      elements ? getPosition(c, 1, elements->size(), 0) : std::nullopt;
  return position ? c.replaceWith((*elements)[*position]) : failure();
}

static LogicalResult convertSequenceLength(NodeContext &c) {
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  return c.replaceWith(
      c.scalarConstant(c.getBuilder().getI64Type(), elements->size()));
}

static LogicalResult convertConcatFromSequence(NodeContext &c) {
  int64_t axis = c.getInt("axis", 0);
  bool isNew = c.getFlag("new_axis");
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  if (elements->empty())
    return c.error("the sequence is empty");
  auto normal =
      c.normalizeAxis(axis, NodeContext::rankOf(elements->front()) + isNew);
  if (!normal)
    return failure();
  if (isNew)
    for (Value &element : *elements)
      element = c.make<nn::UnsqueezeOp>(element, ArrayRef<int64_t>{*normal});
  if (c.hadError())
    return failure();
  return c.replaceWith<nn::ConcatOp>(*elements, *normal);
}

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

/// Where the pieces of a split begin and end; nullopt after an error.
static std::optional<SmallVector<OpFoldResult>> getBorders(NodeContext &c,
                                                           int64_t size) {
  constexpr int64_t kMaxPieces = 1 << 20;
  OpBuilder &b = c.getBuilder();
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
    return borders;
  }
  if (isList && !c.inputType(1).isDynamicDim(0) &&
      c.inputType(1).getDimSize(0) <= kMaxPieces &&
      c.inputType(1).getElementType().isSignlessInteger(64)) {
    // How many is known, only how long is not.
    Value sum;
    for (int64_t i = 0; i < c.inputType(1).getDimSize(0); ++i) {
      Value place = arith::ConstantIndexOp::create(b, c.getLoc(), i);
      Value piece = tensor::ExtractOp::create(b, c.getLoc(), c.input(1), place);
      sum =
          sum ? Value(arith::AddIOp::create(b, c.getLoc(), sum, piece)) : piece;
      borders.push_back(sum);
    }
    return borders;
  }
  if (isList || !known || known->size() != 1 || ShapedType::isDynamic(size)) {
    (void)c.error("a split into a number of pieces that is not known at "
                  "compile time is not "
                  "supported");
    return std::nullopt;
  }
  if (known->front() < 1 || size / known->front() > kMaxPieces) {
    (void)c.error("the split has the piece " + Twine(known->front()) +
                  " for a dimension of " + Twine(size));
    return std::nullopt;
  }
  for (int64_t end = 0; end < size;) {
    end = size - end > known->front() ? end + known->front() : size;
    borders.push_back(b.getI64IntegerAttr(end));
  }
  return borders;
}

static LogicalResult convertSplitToSequence(NodeContext &c) {
  // Dimensions are only dropped if there is no split.
  bool keep = c.getFlag("keepdims", true) || c.hasInput(1);
  auto axis = c.normalizeAxis(c.getInt("axis", 0), c.inputType(0).getRank());
  if (!axis)
    return failure();
  auto borders = getBorders(c, c.inputType(0).getDimSize(*axis));
  if (!borders)
    return failure();
  SmallVector<Value> pieces;
  for (size_t i = 1; i < borders->size(); ++i) {
    Value piece =
        sliceAlong(c, c.input(0), *axis, (*borders)[i - 1], (*borders)[i]);
    if (!keep)
      piece = c.make<nn::SqueezeOp>(piece, ArrayRef<int64_t>{*axis});
    pieces.push_back(piece);
  }
  return c.hadError() ? failure() : c.replaceWith(makeSequence(c, pieces));
}

/// The graph once for each element, in place.
static LogicalResult convertSequenceMap(NodeContext &c) {
  const ::onnx::GraphProto &graph = *c.getGraph("body");
  auto first = getElements(c, c.input(0));
  if (!first)
    return failure();
  SmallVector<SmallVector<Value>> results(c.numOutputs());
  if (graph.input_size() != int(c.numInputs()) ||
      graph.output_size() < int(c.numOutputs()))
    return c.error("the body has " + Twine(graph.input_size()) +
                   " inputs and " + Twine(graph.output_size()) +
                   " outputs, which does not fit the node's " +
                   Twine(c.numInputs()) + " and " + Twine(c.numOutputs()));
  for (size_t i = 0; i < first->size(); ++i) {
    SmallVector<Value> arguments;
    for (Value input : c.allInputs()) {
      arguments.push_back(input);
      if (!isa<TupleType>(input.getType()))
        continue;
      auto elements = getElements(c, input);
      if (!elements)
        return failure();
      if (elements->size() != first->size())
        return c.error("the sequences have " + Twine(first->size()) + " and " +
                       Twine(elements->size()) + " elements");
      arguments.back() = (*elements)[i];
    }
    auto values =
        c.importSubgraph(graph, arguments, *c.getBuilder().getInsertionBlock());
    if (!values)
      return failure();
    for (auto [list, value] : llvm::zip(results, *values))
      list.push_back(value);
  }
  for (auto [i, list] : llvm::enumerate(results))
    c.setResult(i, makeSequence(c, list));
  return success();
}

//===----------------------------------------------------------------------===//
// Optionals
//===----------------------------------------------------------------------===//

/// An optional is a cast of its element, if there is one, to a tuple that
/// begins with `none`, which no sequence has.
static bool isOptional(Value value) {
  auto tuple = dyn_cast<TupleType>(value.getType());
  return tuple && tuple.size() > 0 && isa<NoneType>(tuple.getType(0));
}

static LogicalResult convertOptional(NodeContext &c) {
  c.ignoreAttr("type"); // of what is not there
  SmallVector<Value> elements;
  SmallVector<Type> types{c.getBuilder().getNoneType()};
  if (c.hasInput(0)) {
    elements.push_back(c.input(0));
    types.push_back(c.input(0).getType());
  }
  Type type = TupleType::get(c.getContext(), types);
  return c.replaceWith(UnrealizedConversionCastOp::create(
                           c.getBuilder(), c.getLoc(), type, elements)
                           .getResult(0));
}

/// The element of an optional, null if it has none. Since opset 18 what is no
/// optional may stand for one that has an element.
static Value getElement(Value value) {
  if (!isOptional(value))
    return value;
  auto cast = value.getDefiningOp<UnrealizedConversionCastOp>();
  return cast && !cast.getInputs().empty() ? cast.getInputs().front() : Value();
}

static LogicalResult convertOptionalHasElement(NodeContext &c) {
  bool has = c.hasInput(0) && getElement(c.input(0));
  auto type = RankedTensorType::get({}, c.getBuilder().getI1Type());
  return c.replaceWith(c.constant(DenseElementsAttr::get(type, has)));
}

static LogicalResult convertOptionalGetElement(NodeContext &c) {
  Value element = getElement(c.input(0));
  return element ? c.replaceWith(element)
                 : c.error("the optional has no element");
}

void nacre::frontend::registerSequenceConverters(ConverterTable &table) {
  table.add("SequenceConstruct", convertSequenceConstruct);
  table.add("SequenceEmpty", convertSequenceEmpty);
  table.add("SequenceInsert", convertSequenceInsert);
  table.add("SequenceErase", convertSequenceErase);
  table.add("SequenceAt", convertSequenceAt);
  table.add("SequenceLength", convertSequenceLength);
  table.add("SequenceMap", convertSequenceMap);
  table.add("ConcatFromSequence", convertConcatFromSequence);
  table.add("SplitToSequence", convertSplitToSequence);
  table.add("Optional", convertOptional);
  table.add("OptionalHasElement", convertOptionalHasElement);
  table.add("OptionalGetElement", convertOptionalGetElement);
}
