//===- SequenceConverters.cpp - Sequences and optionals ---------*- C++ -*-===//
//
// Both are resolved while importing (see Sequences.h). A split into pieces whose
// number only a run tells stays lazy: what takes it computes with its tensor.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Converter.h"
#include "frontends/onnx/Sequences.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static Value makeSequence(NodeContext &c, ArrayRef<Value> elements) {
  return makeSequence(c.getBuilder(), c.getLoc(), elements);
}

/// The tensors of a sequence; nullopt after an error.
static std::optional<SmallVector<Value>> getElements(NodeContext &c,
                                                     Value sequence) {
  if (auto elements = getSequenceElements(sequence))
    return elements;
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
  if (auto split = getRuntimeSplit(c.input(0)))
    return convertSplitAt(c, *split);
  auto elements = getElements(c, c.input(0));
  auto position =
      elements ? getPosition(c, 1, elements->size(), 0) : std::nullopt;
  return position ? c.replaceWith((*elements)[*position]) : failure();
}

static LogicalResult convertSequenceLength(NodeContext &c) {
  if (auto split = getRuntimeSplit(c.input(0)))
    return convertSplitLength(c, *split);
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  return c.replaceWith(
      c.scalarConstant(c.getBuilder().getI64Type(), elements->size()));
}

static LogicalResult convertConcatFromSequence(NodeContext &c) {
  int64_t axis = c.getInt("axis", 0);
  bool isNew = c.getFlag("new_axis");
  if (auto split = getRuntimeSplit(c.input(0)))
    return convertSplitConcat(c, *split, axis, isNew);
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

static LogicalResult convertOptional(NodeContext &c) {
  c.ignoreAttr("type"); // of what is not there
  return c.replaceWith(makeOptional(c.getBuilder(), c.getLoc(), c.input(0)));
}

/// The element of an optional, null if it has none. Since opset 18 what is no
/// optional may stand for one that has an element.
static Value getElement(Value value) {
  return isOptionalValue(value) ? getOptionalElement(value).value_or(Value()) : value;
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
