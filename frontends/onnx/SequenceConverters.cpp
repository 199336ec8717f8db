//===- SequenceConverters.cpp - Sequences and optionals ---------*- C++ -*-===//
//
// Both are resolved while importing (see Sequences.h). A split into pieces whose
// number only a run tells stays lazy: what takes it computes with its tensor.
//
//===----------------------------------------------------------------------===//
#include "frontends/onnx/Choices.h"
#include "frontends/onnx/GraphImporter.h"
#include "frontends/onnx/Sequences.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static Value makeSequence(NodeContext &c, ArrayRef<Value> elements) {
  if (!GraphImporter::spendOnSequence(c, elements.size() / 16)) // its type lists them all
    return {};
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

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

/// Whether a position is given, but known only in a run.
static bool isRuntimePosition(NodeContext &c, unsigned index) {
  return c.hasInput(index) && !c.constantInts(c.input(index));
}

/// A position that a run tells, checked and brought into [0, length), or with `orEnd` into
/// [0, length]; null after an error. `isChanged`: of an element that is put in or taken out.
static Value getRuntimePosition(NodeContext &c, unsigned index, int64_t length, bool isChanged, bool orEnd = false) {
  constexpr int64_t kMaxLength = 1024; // each element of a result is picked from as many
  if (length > kMaxLength) {
    (void)c.error("a position that is not known at compile time, in a sequence of more than " + Twine(kMaxLength) +
                  " elements, is not supported");
    return {};
  }
  if (!mayHaveOneElement(c.inputType(index))) {
    (void)c.error("the position has more or fewer elements than 1");
    return {};
  }
  // An If for each element, and for each of a changed sequence as often as it can be halved.
  if (!GraphImporter::spendOnSequence(c, uint64_t(length) * (isChanged ? 16 : 2)))
    return {};
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  auto number = [&](int64_t value) { return arith::ConstantIntOp::create(b, loc, value, 64); };
  auto compare = [&](arith::CmpIPredicate predicate, Value lhs, Value rhs) -> Value {
    return arith::CmpIOp::create(b, loc, predicate, lhs, rhs);
  };
  Value given = extractScalar(b, loc, c.input(index));
  if (!given.getType().isInteger(64))
    given = arith::ExtSIOp::create(b, loc, b.getI64Type(), given);
  Value isBehind = compare(arith::CmpIPredicate::slt, given, number(0));
  Value position = arith::SelectOp::create(b, loc, isBehind,
                                           arith::AddIOp::create(b, loc, given, number(length)), given);
  Value inRange =
      arith::AndIOp::create(b, loc, compare(arith::CmpIPredicate::sge, position, number(0)),
                            compare(arith::CmpIPredicate::slt, position, number(length + orEnd)));
  Value condition = tensor::FromElementsOp::create(b, loc, RankedTensorType::get({}, b.getI1Type()), inRange);
  if (failed(c.require(condition, "the position is out of range for " + Twine(length) + " elements")))
    return {};
  return position;
}

/// Of elements the one at a position in range, found by halves; a choice where their ranks differ. Null after an error.
static Value pick(NodeContext &c, Value position, ArrayRef<Value> elements, int64_t first = 0) {
  if (llvm::all_equal(elements))
    return elements.front();
  OpBuilder &b = c.getBuilder();
  int64_t middle = elements.size() / 2;
  Value isBefore = arith::CmpIOp::create(b, c.getLoc(), arith::CmpIPredicate::slt, position,
                                         arith::ConstantIntOp::create(b, c.getLoc(), first + middle, 64));
  auto values = mergeBranches(c, isBefore, [&](unsigned half, SmallVectorImpl<Value> &picked) {
    picked.push_back(half == 0 ? pick(c, position, elements.take_front(middle), first)
                               : pick(c, position, elements.drop_front(middle), first + middle));
    return picked.back() != Value();
  });
  return values ? values->front() : Value();
}

/// A position in a sequence, brought into [0, length); nullopt after an error.
static std::optional<int64_t> getPosition(NodeContext &c, unsigned index,
                                          int64_t length, int64_t otherwise) {
  if (!c.hasInput(index))
    return otherwise;
  auto known = c.constantInts(c.input(index));
  if (!known || known->size() != 1) {
    (void)c.error("the position has more or fewer elements than 1");
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

/// Whether the sequence's length is not known; then it is to be taken in packed form.
static bool isOfRun(NodeContext &c) { return !getSequenceElements(c.input(0)); }

static LogicalResult convertSequenceInsert(NodeContext &c) {
  if (isOfRun(c)) {
    auto packed = pack(c, c.input(0), Type(), 0);
    return packed ? convertPackedInsert(c, *packed) : failure();
  }
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  int64_t length = elements->size();
  if (isRuntimePosition(c, 2)) {
    Value position = getRuntimePosition(c, 2, length, /*isChanged=*/true, /*orEnd=*/true);
    SmallVector<Value> results;
    // At j stands what was at j - 1 if the new one stands before, and what was at j if
    // it stands behind.
    for (int64_t j = 0; position && j <= length; ++j) {
      SmallVector<Value> choices(j, j > 0 ? (*elements)[j - 1] : Value());
      choices.push_back(c.input(1));
      choices.append(length - j, j < length ? (*elements)[j] : Value());
      results.push_back(pick(c, position, choices));
    }
    return c.hadError() ? failure() : c.replaceWith(makeSequence(c, results));
  }
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
  if (isOfRun(c)) {
    auto packed = pack(c, c.input(0), Type(), 0);
    return packed ? convertPackedErase(c, *packed) : failure();
  }
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  if (elements->empty())
    return c.error("the sequence is empty");
  int64_t length = elements->size();
  if (isRuntimePosition(c, 1)) {
    Value position = getRuntimePosition(c, 1, length, /*isChanged=*/true);
    SmallVector<Value> results;
    for (int64_t j = 0; position && j + 1 < length; ++j) {
      SmallVector<Value> choices(j + 1, (*elements)[j + 1]);
      choices.append(length - j - 1, (*elements)[j]);
      results.push_back(pick(c, position, choices));
    }
    return c.hadError() ? failure() : c.replaceWith(makeSequence(c, results));
  }
  auto position = getPosition(c, 1, length, length - 1);
  if (!position)
    return failure();
  elements->erase(elements->begin() + *position);
  return c.replaceWith(makeSequence(c, *elements));
}

static LogicalResult convertSequenceAt(NodeContext &c) {
  if (auto split = getRuntimeSplit(c.input(0)))
    return convertSplitAt(c, *split);
  if (auto packed = getPacked(c.input(0)))
    return convertPackedAt(c, *packed);
  auto elements = getElements(c, c.input(0));
  if (elements && !elements->empty() && isRuntimePosition(c, 1)) {
    Value position = getRuntimePosition(c, 1, elements->size(), /*isChanged=*/false);
    return position ? c.replaceWith(pick(c, position, *elements)) : failure();
  }
  if (elements && elements->empty())
    return c.error("the sequence is empty");
  auto position =
      elements ? getPosition(c, 1, elements->size(), 0) : std::nullopt;
  return position ? c.replaceWith((*elements)[*position]) : failure();
}

static LogicalResult convertSequenceLength(NodeContext &c) {
  if (auto split = getRuntimeSplit(c.input(0)))
    return convertSplitLength(c, *split);
  if (auto packed = getPacked(c.input(0))) {
    Value length = getPackedLength(c, *packed);
    return c.replaceWith(tensor::FromElementsOp::create(
        c.getBuilder(), c.getLoc(), RankedTensorType::get({}, length.getType()), length));
  }
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
  if (auto packed = getPacked(c.input(0)))
    return convertPackedConcat(c, *packed, axis, isNew);
  auto elements = getElements(c, c.input(0));
  if (!elements)
    return failure();
  if (elements->empty())
    return c.error("the sequence is empty");
  if (!llvm::all_of(*elements, [](Value element) { return isa<RankedTensorType>(element.getType()); })) {
    auto packed = pack(c, c.input(0), Type(), 0);
    return packed ? convertPackedConcat(c, *packed, axis, isNew) : failure();
  }
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

/// The graph once for each element, in place, or in a loop.
static LogicalResult convertSequenceMap(NodeContext &c) {
  const ::onnx::GraphProto &graph = *c.getGraph("body");
  SmallVector<SmallVector<Value>> results(c.numOutputs());
  if (graph.input_size() != int(c.numInputs()) ||
      graph.output_size() < int(c.numOutputs()))
    return c.error("the body has " + Twine(graph.input_size()) +
                   " inputs and " + Twine(graph.output_size()) +
                   " outputs, which does not fit the node's " +
                   Twine(c.numInputs()) + " and " + Twine(c.numOutputs()));
  if (llvm::any_of(c.allInputs(), [](Value input) { return isa<TupleType>(input.getType()) && !getSequenceElements(input); }))
    return convertPackedMap(c);
  auto first = getElements(c, c.input(0));
  if (!first)
    return failure();
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
    for (auto [list, value] : llvm::zip(results, *values)) {
      // Sequences of sequences, of which each may hold the same one twice, would have any number of parts.
      if (!isTensorOrChoice(value))
        return c.error("the body gives a sequence or optional, expected tensors");
      list.push_back(value);
    }
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
  if (c.hasInput(0) && isOptionalValue(c.input(0)))
    return c.error("its input is an optional, expected a tensor or sequence");
  return c.replaceWith(makeOptional(c.getBuilder(), c.getLoc(), c.input(0)));
}

/// The element of an optional, null if it has none. Since opset 18 what is no
/// optional may stand for one that has an element.
static Value getElement(Value value) {
  return isOptionalValue(value) ? getOptionalElement(value).value_or(Value()) : value;
}

static LogicalResult convertOptionalHasElement(NodeContext &c) {
  if (auto optional = c.hasInput(0) ? getRuntimeOptional(c.input(0)) : std::nullopt)
    return c.replaceWith(optional->isThere);
  bool has = c.hasInput(0) && getElement(c.input(0));
  auto type = RankedTensorType::get({}, c.getBuilder().getI1Type());
  return c.replaceWith(c.constant(DenseElementsAttr::get(type, has)));
}

static LogicalResult convertOptionalGetElement(NodeContext &c) {
  if (auto optional = getRuntimeOptional(c.input(0))) {
    if (failed(c.require(optional->isThere, "the optional has no element")))
      return failure();
    return c.replaceWith(optional->element);
  }
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
