//===- ConstantConverters.cpp - Constants and copies -*- C++ -*-===//
#include "frontends/onnx/ShapeVectors.h"
#include "mlir/Support/DebugStringHelper.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// One of several attributes holds the value; until opset 11, only `value`.
static LogicalResult convertConstant(NodeContext &c) {
  OpBuilder &b = c.getBuilder();
  if (Value tensor = c.getTensor("value"))
    return c.replaceWith(tensor);
  if (c.version() >= 12) {
    if (auto value = c.getOptionalInt("value_int"))
      return c.replaceWith(c.constant(DenseElementsAttr::get(
          RankedTensorType::get({}, b.getI64Type()), *value)));
    if (auto values = c.getOptionalInts("value_ints"))
      return c.replaceWith(c.intsConstant(*values));
    if (auto value = c.getOptionalFloat("value_float"))
      return c.replaceWith(c.scalarConstant(b.getF32Type(), *value));
    if (c.hasAttr("value_floats")) {
      SmallVector<float> values(llvm::map_range(
          c.getFloats("value_floats"), [](double v) { return float(v); }));
      auto type =
          RankedTensorType::get({int64_t(values.size())}, b.getF32Type());
      return c.replaceWith(
          c.constant(DenseElementsAttr::get(type, ArrayRef<float>(values))));
    }
    if (c.hasAttr("value_string"))
      return c.replaceWith(c.stringConstant(c.getString("value_string")));
    if (c.hasAttr("value_strings"))
      return c.replaceWith(c.stringsConstant(c.getStrings("value_strings")));
  }
  return c.hadError() ? failure()
                      : c.error("it has no value of a supported form");
}

/// The value, one element, stretched to the shape.
static LogicalResult convertConstantOfShape(NodeContext &c) {
  Value fill = c.getTensor("value");
  if (c.hadError())
    return failure();
  Value scalar;
  if (fill && isa<nn::StringType>(c.typeOf(fill).getElementType())) {
    if (c.typeOf(fill).getNumElements() != 1)
      return c.error("the attribute 'value' has more or fewer elements than 1");
    auto axes = llvm::to_vector(llvm::seq<int64_t>(0, c.rankOf(fill)));
    scalar = c.make<nn::SqueezeOp>(fill, axes);
    if (!scalar)
      return failure();
  } else if (fill) {
    auto value = dyn_cast_or_null<DenseElementsAttr>(c.constantValue(fill));
    if (!value || value.getNumElements() != 1)
      return c.error("the attribute 'value' has the type " +
                     mlir::debugString(fill.getType()) +
                     ", expected one element");
    scalar = c.constant(
        value.reshape(RankedTensorType::get({}, value.getElementType())));
  } else {
    scalar = c.scalarConstant(c.getBuilder().getF32Type(), 0);
  }
  ShapeVectors v(c);
  auto rank = v.resultRank(v.knownLength(c.input(0)), "sizes", [&] { return v.asLong(c.input(0)); });
  Value shape = rank ? v.ofLength(c.input(0), *rank, "sizes") : Value();
  return shape ? c.replaceWith<nn::BroadcastOp>(scalar, shape) : failure();
}

static LogicalResult convertIdentity(NodeContext &c) {
  return c.replaceWith(c.input(0));
}

void nacre::frontend::registerConstantConverters(ConverterTable &table) {
  table.add("Constant", convertConstant);
  table.add("ConstantOfShape", convertConstantOfShape);
  table.add("Identity", convertIdentity);
}
