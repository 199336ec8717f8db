//===- Carried.cpp - Values where branches and iterations meet --*- C++ -*-===//
#include "frontends/onnx/Carried.h"
#include "frontends/onnx/Loops.h"
#include "frontends/onnx/Sequences.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

using Kind = Carried::Kind;

bool Carried::operator==(const Carried &other) const {
  return kind == other.kind && type == other.type && parts == other.parts && element == other.element &&
         rank == other.rank && isUniform == other.isUniform;
}

static Carried makeKind(Kind kind, std::vector<Carried> parts = {}) {
  return {kind, {}, std::move(parts), {}};
}
static Carried makePackedKind(Type element, int64_t rank, bool isUniform) {
  return {Kind::Packed, {}, {}, element, rank, isUniform};
}

/// `depth` is how many values there are around.
static std::optional<Carried> describeAt(Value value, unsigned depth) {
  constexpr unsigned kMaxDepth = 32; // choices among choices
  if (depth > kMaxDepth)
    return std::nullopt;
  if (auto type = dyn_cast<RankedTensorType>(value.getType()))
    return Carried{Kind::Tensor, type, {}, {}};
  auto part = [&](Kind kind, Value element) -> std::optional<Carried> {
    auto inner = describeAt(element, depth + 1);
    return inner ? std::optional(makeKind(kind, {*inner})) : std::nullopt;
  };
  if (auto choice = getChoice(value)) {
    auto yes = describeAt(choice->yes, depth + 1), no = describeAt(choice->no, depth + 1);
    if (!yes || !no)
      return std::nullopt;
    return Carried{Kind::Either, RankedTensorType::get({}, choice->condition.getType()), {*yes, *no}, {}};
  }
  if (auto optional = getRuntimeOptional(value)) {
    auto maybe = part(Kind::Maybe, optional->element);
    if (maybe)
      maybe->type = NodeContext::typeOf(optional->isThere);
    return maybe;
  }
  if (isOptionalValue(value)) {
    auto element = getOptionalElement(value);
    if (!element)
      return std::nullopt;
    return *element ? part(Kind::Some, *element) : makeKind(Kind::Nothing);
  }
  if (auto packed = getPacked(value))
    return makePackedKind(packed->getElementType(), packed->getRank(), packed->isUniform);
  if (auto split = getRuntimeSplit(value)) {
    RankedTensorType type = NodeContext::typeOf(split->source);
    return makePackedKind(type.getElementType(), type.getRank() - !split->keepsAxis, true);
  }
  auto elements = getSequenceElements(value);
  if (!elements)
    return std::nullopt;
  Carried list = makeKind(Kind::List);
  for (Value element : *elements) {
    auto inner = describeAt(element, depth + 1);
    if (!inner)
      return std::nullopt;
    list.parts.push_back(*inner);
  }
  return list;
}

std::optional<Carried> frontend::describe(Value value) { return describeAt(value, 0); }

//===----------------------------------------------------------------------===//
// Joining
//===----------------------------------------------------------------------===//

static bool isSequence(const Carried &carried) { return carried.kind == Kind::List || carried.kind == Kind::Packed; }
static bool isOptional(const Carried &carried) {
  return carried.kind == Kind::Nothing || carried.kind == Kind::Some || carried.kind == Kind::Maybe;
}

/// The tensors that a choice is between; false if it is between others.
static bool collectTensors(const Carried &carried, SmallVectorImpl<Carried> &tensors) {
  if (carried.kind == Kind::Either)
    return llvm::all_of(carried.parts, [&](const Carried &part) { return collectTensors(part, tensors); });
  if (carried.kind != Kind::Tensor)
    return false;
  for (Carried &known : tensors)
    if (auto joined = join(known, carried)) {
      known = *joined;
      return true;
    }
  tensors.push_back(carried);
  return true;
}

/// A sequence in packed form; null element type for an empty one.
static std::optional<Carried> toPacked(const Carried &carried) {
  if (carried.kind == Kind::Packed)
    return carried;
  Carried packed = makePackedKind({}, 0, true);
  for (const Carried &part : carried.parts) {
    SmallVector<Carried> tensors;
    if (!collectTensors(part, tensors))
      return std::nullopt;
    for (const Carried &tensor : tensors) {
      if (packed.element && packed.element != tensor.type.getElementType())
        return std::nullopt;
      packed.isUniform &= !packed.element || packed.rank == tensor.type.getRank();
      packed.element = tensor.type.getElementType();
      packed.rank = std::max(packed.rank, tensor.type.getRank());
    }
  }
  return packed;
}

/// Null if the element is nothing by itself: an empty sequence of no type.
static std::optional<Carried> makeMaybe(Carried part) {
  SmallVector<Type> types;
  getTypes(part, types);
  if (types.empty())
    return std::nullopt;
  Carried maybe = makeKind(Kind::Maybe, {std::move(part)});
  maybe.type = RankedTensorType::get({}, IntegerType::get(types.front().getContext(), 1));
  return maybe;
}

static std::optional<Carried> joinSequences(const Carried &lhs, const Carried &rhs) {
  if (lhs.kind == Kind::List && rhs.kind == Kind::List && lhs.parts.size() == rhs.parts.size()) {
    Carried list = makeKind(Kind::List);
    for (auto [l, r] : llvm::zip_equal(lhs.parts, rhs.parts))
      if (auto joined = join(l, r))
        list.parts.push_back(*joined);
    if (list.parts.size() == lhs.parts.size())
      return list;
  }
  auto l = toPacked(lhs), r = toPacked(rhs);
  if (!l || !r || (l->element && r->element && l->element != r->element))
    return std::nullopt;
  if (!l->element || !r->element) // an empty one has any type
    return l->element ? l : r;
  return makePackedKind(l->element, std::max(l->rank, r->rank), l->isUniform && r->isUniform && l->rank == r->rank);
}

/// With a choice: part by part, or into the part that holds the other.
static std::optional<Carried> joinChoices(const Carried &choice, const Carried &other) {
  Carried result = choice;
  if (other.kind == Kind::Either) {
    for (auto [part, more] : llvm::zip_equal(result.parts, other.parts)) {
      auto joined = join(part, more);
      if (!joined)
        return std::nullopt;
      part = *joined;
    }
    return result;
  }
  for (Carried &part : result.parts)
    if (auto joined = join(part, other)) {
      part = *joined;
      return result;
    }
  return std::nullopt;
}

std::optional<Carried> frontend::join(const Carried &lhs, const Carried &rhs) {
  if (lhs.kind == Kind::Either || rhs.kind == Kind::Either)
    return lhs.kind == Kind::Either ? joinChoices(lhs, rhs) : joinChoices(rhs, lhs);
  if (lhs.kind == Kind::Tensor && rhs.kind == Kind::Tensor) {
    RankedTensorType type = joinTypes(lhs.type, rhs.type);
    return type ? std::optional(Carried{Kind::Tensor, type, {}, {}}) : std::nullopt;
  }
  if (isSequence(lhs) && isSequence(rhs))
    return joinSequences(lhs, rhs);
  if (!isOptional(lhs) && !isOptional(rhs))
    return std::nullopt;
  if (lhs.kind == Kind::Nothing && rhs.kind == Kind::Nothing)
    return lhs;
  // What is no optional stands for one that has an element.
  auto partOf = [](const Carried &carried) -> const Carried & { return isOptional(carried) ? carried.parts.front() : carried; };
  bool isMaybe = llvm::is_contained({Kind::Nothing, Kind::Maybe}, lhs.kind) ||
                 llvm::is_contained({Kind::Nothing, Kind::Maybe}, rhs.kind);
  std::optional<Carried> part;
  if (lhs.kind == Kind::Nothing || rhs.kind == Kind::Nothing)
    part = partOf(lhs.kind == Kind::Nothing ? rhs : lhs);
  else
    part = join(partOf(lhs), partOf(rhs));
  if (!part)
    return std::nullopt;
  if (isMaybe) // nothing has other sizes than something
    return makeMaybe(withoutSizes(*part));
  return isOptional(lhs) && isOptional(rhs) ? makeKind(Kind::Some, {*part}) : *part;
}

std::optional<Carried> frontend::joinOrChoose(const Carried &lhs, const Carried &rhs) {
  if (auto joined = join(lhs, rhs))
    return joined;
  SmallVector<Carried> tensors;
  if (!collectTensors(lhs, tensors) || !collectTensors(rhs, tensors) || tensors.size() > kMostRanks ||
      !llvm::all_of(tensors, [&](const Carried &tensor) {
        return tensor.type.getElementType() == tensors.front().type.getElementType();
      }))
    return std::nullopt;
  Carried choice = tensors.pop_back_val();
  auto truth = RankedTensorType::get({}, IntegerType::get(choice.type.getContext(), 1));
  for (Carried &tensor : llvm::reverse(tensors))
    choice = Carried{Kind::Either, truth, {std::move(tensor), std::move(choice)}, {}};
  return choice;
}

size_t frontend::countChoices(const Carried &carried) {
  return carried.kind == Kind::Either ? countChoices(carried.parts[0]) + countChoices(carried.parts[1]) : 1;
}

Carried frontend::withoutSizes(Carried carried) {
  if (carried.type)
    carried.type = carried.type.clone(SmallVector<int64_t>(carried.type.getRank(), ShapedType::kDynamic));
  for (Carried &part : carried.parts)
    part = withoutSizes(part);
  return carried;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

void frontend::getTypes(const Carried &carried, SmallVectorImpl<Type> &types) {
  if (carried.kind == Kind::Tensor)
    types.push_back(carried.type);
  if (carried.kind == Kind::Packed) {
    MLIRContext *context = carried.element.getContext();
    types.push_back(RankedTensorType::get({ShapedType::kDynamic}, carried.element));
    types.push_back(RankedTensorType::get({ShapedType::kDynamic, carried.rank}, IntegerType::get(context, 64)));
  }
  if (carried.kind == Kind::Maybe || carried.kind == Kind::Either)
    types.push_back(carried.type); // the truth
  for (const Carried &part : carried.parts)
    getTypes(part, types);
}

bool frontend::makeStandIns(NodeContext &c, const Carried &carried, SmallVectorImpl<Value> &tensors) {
  SmallVector<Type> types;
  getTypes(carried, types);
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape(tensor.getShape());
    for (int64_t &size : shape)
      size = ShapedType::isDynamic(size) ? 0 : size;
    Value zero = tensor.getElementType().isInteger(1)
                     ? c.constant(DenseElementsAttr::get(RankedTensorType::get({}, tensor.getElementType()), false))
                     : c.scalarConstant(tensor.getElementType(), 0);
    tensors.push_back(zero ? c.make<nn::BroadcastOp>(zero, c.intsConstant(shape)) : Value());
    if (!tensors.back())
      return false;
  }
  return true;
}

/// Whether a choice's parts are held by the parts of `carried`, the first by the first.
static bool holdsPartwise(const Carried &carried, const std::optional<Carried> &own) {
  return own && llvm::all_of(llvm::zip_equal(carried.parts, own->parts),
                             [](auto parts) { return join(std::get<0>(parts), std::get<1>(parts)).has_value(); });
}

/// A choice that has other parts than `carried`, or the same in another order: its values, each for itself.
static bool flattenBranches(NodeContext &c, const Carried &carried, const Choice &choice,
                            SmallVectorImpl<Value> &tensors) {
  auto merged = mergeBranches(c, choice.condition, [&](unsigned branch, SmallVectorImpl<Value> &values) {
    return flatten(c, carried, branch == 0 ? choice.yes : choice.no, values);
  });
  if (merged)
    llvm::append_range(tensors, *merged);
  return bool(merged);
}

bool frontend::flatten(NodeContext &c, const Carried &carried, Value value, SmallVectorImpl<Value> &tensors) {
  auto elementOf = [](Value optional) { return isOptionalValue(optional) ? *getOptionalElement(optional) : optional; };
  if (!isOptional(carried) && carried.kind != Kind::Either)
    value = elementOf(value);
  auto constant = [&](bool truth) {
    auto type = RankedTensorType::get({}, c.getBuilder().getI1Type());
    return c.constant(DenseElementsAttr::get(type, truth));
  };
  switch (carried.kind) {
  case Kind::Tensor:
    tensors.push_back(value);
    return true;
  case Kind::List:
    for (auto [part, element] : llvm::zip_equal(carried.parts, *getSequenceElements(value)))
      if (!flatten(c, part, element, tensors))
        return false;
    return true;
  case Kind::Packed: {
    auto packed = pack(c, value, carried.element, carried.rank);
    if (packed)
      tensors.append({packed->data, packed->shapes});
    return bool(packed);
  }
  case Kind::Nothing:
    return true;
  case Kind::Some:
    return flatten(c, carried.parts.front(), elementOf(value), tensors);
  case Kind::Either: {
    auto own = describe(value);
    if (auto choice = getChoice(value); choice && !holdsPartwise(carried, *own))
      return flattenBranches(c, carried, *choice, tensors);
    else if (choice) {
      tensors.push_back(tensor::FromElementsOp::create(c.getBuilder(), c.getLoc(), carried.type, choice->condition));
      return flatten(c, carried.parts[0], choice->yes, tensors) && flatten(c, carried.parts[1], choice->no, tensors);
    }
    bool isFirst = own && join(carried.parts[0], *own);
    tensors.push_back(constant(isFirst));
    return isFirst ? flatten(c, carried.parts[0], value, tensors) && makeStandIns(c, carried.parts[1], tensors)
                   : makeStandIns(c, carried.parts[0], tensors) && flatten(c, carried.parts[1], value, tensors);
  }
  case Kind::Maybe: {
    if (auto optional = getRuntimeOptional(value)) {
      tensors.push_back(optional->isThere);
      return flatten(c, carried.parts.front(), optional->element, tensors);
    }
    Value element = elementOf(value);
    tensors.push_back(constant(bool(element)));
    return element ? flatten(c, carried.parts.front(), element, tensors)
                   : makeStandIns(c, carried.parts.front(), tensors);
  }
  }
  return false;
}

Value frontend::assemble(NodeContext &c, const Carried &carried, ValueRange &tensors) {
  OpBuilder &b = c.getBuilder();
  Location loc = c.getLoc();
  auto take = [&] {
    Value first = tensors.front();
    tensors = tensors.drop_front();
    return first;
  };
  switch (carried.kind) {
  case Kind::Tensor:
    return take();
  case Kind::List: {
    SmallVector<Value> elements;
    for (const Carried &part : carried.parts)
      elements.push_back(assemble(c, part, tensors));
    return makeSequence(b, loc, elements);
  }
  case Kind::Packed: {
    Value data = take(), shapes = take();
    return makePacked(b, loc, {data, shapes, carried.isUniform});
  }
  case Kind::Nothing:
    return makeOptional(b, loc, Value());
  case Kind::Some:
    return makeOptional(b, loc, assemble(c, carried.parts.front(), tensors));
  case Kind::Either: {
    Value condition = tensor::ExtractOp::create(b, loc, take(), ValueRange());
    Value yes = assemble(c, carried.parts[0], tensors), no = assemble(c, carried.parts[1], tensors);
    return makeChoice(b, loc, {condition, yes, no});
  }
  case Kind::Maybe: {
    Value isThere = take();
    return makeRuntimeOptional(b, loc, {isThere, assemble(c, carried.parts.front(), tensors)});
  }
  }
  return {};
}
