//===- Sequences.cpp - Sequences, optionals, maps ---------------*- C++ -*-===//
#include "frontends/onnx/Sequences.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

static UnrealizedConversionCastOp makeTuple(OpBuilder &b, Location loc, TypeRange types, ValueRange values) {
  return UnrealizedConversionCastOp::create(b, loc, TupleType::get(b.getContext(), types), values);
}

/// The cast that made a tuple; null if the value is none, or comes from a loop.
static UnrealizedConversionCastOp getTuple(Value value) {
  return isa<TupleType>(value.getType()) ? value.getDefiningOp<UnrealizedConversionCastOp>()
                                         : UnrealizedConversionCastOp();
}

/// Whether the value is a tuple whose first type is a T.
template <typename T> static bool beginsWith(Value value) {
  auto tuple = dyn_cast<TupleType>(value.getType());
  return tuple && tuple.size() > 0 && isa<T>(tuple.getType(0));
}

/// A tuple that is told apart by its mark, a type, and what else there is to know of it.
static Value makeMarked(OpBuilder &b, Location loc, Type mark, ValueRange values,
                        ArrayRef<NamedAttribute> attributes = {}) {
  UnrealizedConversionCastOp made = makeTuple(b, loc, mark, values);
  for (NamedAttribute attribute : attributes)
    made->setAttr(attribute.getName(), attribute.getValue());
  return made.getResult(0);
}

/// The cast that made a tuple with such a mark; null if the value is none.
static UnrealizedConversionCastOp getMarked(Value value, Type mark) {
  UnrealizedConversionCastOp made = getTuple(value);
  return made && llvm::equal(cast<TupleType>(value.getType()).getTypes(), ArrayRef(mark)) ? made
                                                                                   : UnrealizedConversionCastOp();
}

Value frontend::makeSequence(OpBuilder &b, Location loc, ValueRange elements) {
  return makeTuple(b, loc, elements.getTypes(), elements).getResult(0);
}

std::optional<SmallVector<Value>> frontend::getSequenceElements(Value value) {
  UnrealizedConversionCastOp made = getTuple(value);
  if (!made || isOptionalValue(value) || beginsWith<IndexType>(value) || beginsWith<IntegerType>(value) ||
      beginsWith<FloatType>(value))
    return std::nullopt;
  return SmallVector<Value>(made.getInputs());
}

Value frontend::makeOptional(OpBuilder &b, Location loc, Value element) {
  SmallVector<Type> types{b.getNoneType()};
  SmallVector<Value> elements;
  if (element) {
    types.push_back(element.getType());
    elements.push_back(element);
  }
  return makeTuple(b, loc, types, elements).getResult(0);
}

bool frontend::isOptionalValue(Value value) { return beginsWith<NoneType>(value); }

std::optional<Value> frontend::getOptionalElement(Value value) {
  UnrealizedConversionCastOp made = getTuple(value);
  if (!made || !isOptionalValue(value) || getRuntimeOptional(value))
    return std::nullopt;
  return made.getInputs().empty() ? Value() : made.getInputs().front();
}

Value frontend::makeRuntimeOptional(OpBuilder &b, Location loc, const RuntimeOptional &optional) {
  return makeTuple(b, loc, {b.getNoneType(), b.getI1Type()}, {optional.isThere, optional.element}).getResult(0);
}

std::optional<RuntimeOptional> frontend::getRuntimeOptional(Value value) {
  UnrealizedConversionCastOp made = getTuple(value);
  auto type = dyn_cast<TupleType>(value.getType());
  if (!made || !isOptionalValue(value) || type.size() != 2 || !isa<IntegerType>(type.getType(1)))
    return std::nullopt;
  return RuntimeOptional{made.getInputs()[0], made.getInputs()[1]};
}

Value frontend::makeChoice(OpBuilder &b, Location loc, const Choice &choice) {
  return makeMarked(b, loc, b.getF64Type(), {choice.condition, choice.yes, choice.no});
}

std::optional<Choice> frontend::getChoice(Value value) {
  UnrealizedConversionCastOp made = getMarked(value, Float64Type::get(value.getContext()));
  if (!made)
    return std::nullopt;
  return Choice{made.getInputs()[0], made.getInputs()[1], made.getInputs()[2]};
}

Value frontend::makePacked(OpBuilder &b, Location loc, const PackedSequence &sequence) {
  return makeMarked(b, loc, b.getI1Type(), {sequence.data, sequence.shapes},
                    b.getNamedAttr("is_uniform", b.getBoolAttr(sequence.isUniform)));
}

std::optional<PackedSequence> frontend::getPacked(Value value) {
  UnrealizedConversionCastOp made = getMarked(value, IntegerType::get(value.getContext(), 1));
  if (!made)
    return std::nullopt;
  return PackedSequence{made.getInputs()[0], made.getInputs()[1],
                        made->getAttrOfType<BoolAttr>("is_uniform").getValue()};
}

Value frontend::makeMap(OpBuilder &b, Location loc, const MapValue &map) {
  return makeMarked(b, loc, b.getI8Type(), {map.keys, map.values},
                    b.getNamedAttr("is_sequence", b.getBoolAttr(map.isSequence)));
}

std::optional<MapValue> frontend::getMap(Value value) {
  UnrealizedConversionCastOp made = getMarked(value, IntegerType::get(value.getContext(), 8));
  if (!made)
    return std::nullopt;
  return MapValue{made.getInputs()[0], made.getInputs()[1], made->getAttrOfType<BoolAttr>("is_sequence").getValue()};
}

Value frontend::makeRuntimeSplit(OpBuilder &b, Location loc, const RuntimeSplit &split) {
  return makeMarked(b, loc, b.getIndexType(), {split.source, split.sizes},
                    {b.getNamedAttr("axis", b.getI64IntegerAttr(split.axis)),
                     b.getNamedAttr("keeps_axis", b.getBoolAttr(split.keepsAxis))});
}

std::optional<RuntimeSplit> frontend::getRuntimeSplit(Value value) {
  UnrealizedConversionCastOp made = getMarked(value, IndexType::get(value.getContext()));
  if (!made)
    return std::nullopt;
  return RuntimeSplit{made.getInputs()[0], made.getInputs()[1],
                      made->getAttrOfType<IntegerAttr>("axis").getInt(),
                      made->getAttrOfType<BoolAttr>("keeps_axis").getValue()};
}
