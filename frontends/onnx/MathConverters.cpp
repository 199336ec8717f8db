//===- MathConverters.cpp - Arithmetic, logic, activations ------*- C++ -*-===//
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/Converter.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// Opset 1 told executors which inputs they may overwrite.
static void ignoreConsumedInputs(NodeContext &c) {
  if (c.version() < 6)
    c.ignoreAttr("consumed_inputs");
}

template <typename Op> static LogicalResult convertFunction(NodeContext &c) {
  ignoreConsumedInputs(c);
  return c.replaceWith<Op>(c.input(0));
}

/// Of integers it is -1, 0 or 1: computed as f64, and cut off.
static LogicalResult convertErf(NodeContext &c) {
  Type type = c.inputType(0).getElementType();
  if (isa<FloatType>(type))
    return c.replaceWith<nn::ErfOp>(c.input(0));
  Value wide = c.make<nn::CastOp>(c.input(0), Type(c.getBuilder().getF64Type()));
  return c.replaceWith<nn::CastOp>(c.make<nn::ErfOp>(wide), type);
}

/// Max, Min and Sum of any number of tensors. Until opset 7 they were of one
/// shape, which broadcasting contains.
template <typename Op> static Value reduceInputs(NodeContext &c) {
  ignoreConsumedInputs(c);
  Value result = c.input(0);
  for (Value input : c.allInputs().drop_front())
    result = c.make<Op>(result, input);
  return result;
}

template <typename Op> static LogicalResult convertVariadic(NodeContext &c) {
  return c.replaceWith(reduceInputs<Op>(c));
}

static LogicalResult convertMean(NodeContext &c) {
  Value sum = reduceInputs<nn::AddOp>(c);
  Type element = c.inputType(0).getElementType();
  return c.replaceWith<nn::DivOp>(sum,
                                  c.scalarConstant(element, c.numInputs()));
}

static LogicalResult convertMod(NodeContext &c) {
  return c.getFlag("fmod") ? c.replaceWith<nn::FModOp>(c.input(0), c.input(1))
                           : c.replaceWith<nn::ModOp>(c.input(0), c.input(1));
}

/// Until opset 10 the limits were attributes.
static LogicalResult convertClip(NodeContext &c) {
  Value result = c.input(0), low = c.input(1), high = c.input(2);
  Type element = c.inputType(0).getElementType();
  if (c.version() < 11) {
    ignoreConsumedInputs(c);
    if (auto limit = c.getOptionalFloat("min"))
      low = c.scalarConstant(element, *limit);
    if (auto limit = c.getOptionalFloat("max"))
      high = c.scalarConstant(element, *limit);
  }
  // Not as nn.max and nn.min: at a limit the gradient passes whole, while equal operands of
  // these share it. NaN stays NaN.
  auto limit = [&](Value bound, nn::ComparePredicate isBeyond) {
    Value is = result && bound ? c.make<nn::CompareOp>(isBeyond, result, bound) : Value();
    result = is ? c.make<nn::WhereOp>(is, bound, result) : result;
  };
  limit(low, nn::ComparePredicate::lt);
  limit(high, nn::ComparePredicate::gt);
  return c.replaceWith(result);
}

//===----------------------------------------------------------------------===//
// Comparison, logic and bits
//===----------------------------------------------------------------------===//

template <nn::ComparePredicate predicate>
static LogicalResult convertCompare(NodeContext &c) {
  Value rhs = c.alignLegacyBroadcast(c.input(0), c.input(1));
  return c.replaceWith<nn::CompareOp>(predicate, c.input(0), rhs);
}

static LogicalResult convertEqual(NodeContext &c) {
  return isa<nn::StringType>(c.inputType(0).getElementType()) ? convertTextEqual(c)
                                                              : convertCompare<nn::ComparePredicate::eq>(c);
}

/// Floats of at most 8 bits as f32, which has all of them.
static Value widenFloat(NodeContext &c, Value x) {
  bool isCoded = x && nn::isCoded(c.typeOf(x).getElementType());
  return isCoded ? c.make<nn::CastOp>(x, c.getBuilder().getF32Type()) : x;
}

static LogicalResult convertIsNaN(NodeContext &c) {
  return c.replaceWith<nn::IsNaNOp>(widenFloat(c, c.input(0)));
}

static LogicalResult convertIsInf(NodeContext &c) {
  return c.replaceWith<nn::IsInfOp>(widenFloat(c, c.input(0)),
                                    c.getFlag("detect_positive", true),
                                    c.getFlag("detect_negative", true));
}

static LogicalResult convertBitShift(NodeContext &c) {
  StringRef direction = c.getString("direction");
  if (direction == "LEFT")
    return c.replaceWith<nn::ShiftLeftOp>(c.input(0), c.input(1));
  if (direction == "RIGHT")
    return c.replaceWith<nn::ShiftRightOp>(c.input(0), c.input(1));
  return c.error("attribute 'direction' is " + nn::quoted(direction) +
                 ", expected LEFT or RIGHT");
}

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

/// Until opset 5 the type was given by name.
static Type getCastType(NodeContext &c) {
  if (c.version() >= 6)
    return c.elementType(c.getInt("to", 0));
  Builder &b = c.getBuilder();
  StringRef name = c.getString("to");
  auto type = llvm::StringSwitch<Type>(name)
                  .Case("FLOAT", b.getF32Type())
                  .Case("DOUBLE", b.getF64Type())
                  .Case("FLOAT16", b.getF16Type())
                  .Case("INT8", b.getI8Type())
                  .Case("INT16", b.getI16Type())
                  .Case("INT32", b.getI32Type())
                  .Case("INT64", b.getI64Type())
                  .Case("UINT8", b.getIntegerType(8, false))
                  .Case("UINT16", b.getIntegerType(16, false))
                  .Case("UINT32", b.getIntegerType(32, false))
                  .Case("UINT64", b.getIntegerType(64, false))
                  .Case("BOOL", b.getI1Type())
                  .Default(Type());
  if (!type)
    (void)c.error("attribute 'to' is " + nn::quoted(name) + ", which is not supported");
  return type;
}

static LogicalResult castTo(NodeContext &c, Type type) {
  bool saturates = c.version() < 19 || c.getInt("saturate", 1) != 0;
  StringRef mode = c.version() < 24 ? "up" : c.getString("round_mode", "up");
  auto rounding = nn::symbolizeRounding(mode);
  if (!rounding)
    return c.error("round_mode is " + nn::quoted(mode) + ", expected 'up', 'down' or 'nearest'");
  if (isa<nn::StringType>(type) || isa<nn::StringType>(c.inputType(0).getElementType()))
    return convertTextCast(c, c.input(0), type, saturates, *rounding);
  return c.replaceWith<nn::CastOp>(c.input(0), type, saturates, *rounding);
}

static LogicalResult convertCast(NodeContext &c) {
  Type type = getCastType(c);
  return type ? castTo(c, type) : failure();
}

static LogicalResult convertCastLike(NodeContext &c) {
  return castTo(c, c.inputType(1).getElementType());
}

static LogicalResult convertBitCast(NodeContext &c) {
  Type type = c.elementType(c.getInt("to", 0));
  return type ? c.replaceWith<nn::BitcastOp>(c.input(0), type) : failure();
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static FloatAttr getF64(NodeContext &c, double value) {
  return c.getBuilder().getF64FloatAttr(value);
}

static LogicalResult convertLeakyRelu(NodeContext &c) {
  ignoreConsumedInputs(c);
  return c.replaceWith<nn::LeakyReluOp>(c.input(0),
                                        getF64(c, c.getFloat("alpha", 0.01f)));
}

/// Until opset 6 a slope of one dimension stood for the channels (or was of size 1), from
/// then on it broadcasts like NumPy's.
static LogicalResult convertPRelu(NodeContext &c) {
  ignoreConsumedInputs(c);
  Value slope = c.input(1);
  int64_t spatial = c.rankOf(c.input(0)) - 2;
  if (c.version() < 7 && c.rankOf(slope) > 1)
    return c.error("slopes have rank " + Twine(c.rankOf(slope)) +
                   ", expected a vector of the channels");
  if (c.version() < 7 && c.rankOf(slope) == 1 && spatial > 0)
    slope = c.make<nn::UnsqueezeOp>(
        slope, llvm::to_vector(llvm::seq<int64_t>(1, spatial + 1)));
  return c.replaceWith<nn::PReluOp>(c.input(0), slope);
}

static LogicalResult convertElu(NodeContext &c) {
  ignoreConsumedInputs(c);
  double alpha = c.getFloat("alpha", 1);
  return c.replaceWith<nn::EluOp>(c.input(0), getF64(c, alpha), getF64(c, 1),
                                  getF64(c, 1));
}

static LogicalResult convertSelu(NodeContext &c) {
  ignoreConsumedInputs(c);
  bool rounded = c.version() < 6;
  double alpha = c.getFloat("alpha", rounded ? 1.6732f : 1.67326324f);
  double gamma = c.getFloat("gamma", rounded ? 1.0507f : 1.05070102f);
  return c.replaceWith<nn::EluOp>(c.input(0), getF64(c, alpha),
                                  getF64(c, gamma), getF64(c, 1));
}

static LogicalResult convertCelu(NodeContext &c) {
  double alpha = c.getFloat("alpha", 1);
  return c.replaceWith<nn::EluOp>(c.input(0), getF64(c, alpha), getF64(c, 1),
                                  getF64(c, 1 / alpha));
}

static LogicalResult convertGelu(NodeContext &c) {
  StringRef approximate = c.getString("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return c.error("attribute 'approximate' is " + nn::quoted(approximate) +
                   ", expected none or tanh");
  return c.replaceWith<nn::GeluOp>(c.input(0), approximate == "tanh");
}

static LogicalResult convertHardSigmoid(NodeContext &c) {
  ignoreConsumedInputs(c);
  return c.replaceWith<nn::HardSigmoidOp>(c.input(0),
                                          getF64(c, c.getFloat("alpha", 0.2f)),
                                          getF64(c, c.getFloat("beta", 0.5f)));
}

static LogicalResult convertHardSwish(NodeContext &c) {
  Value gate =
      c.make<nn::HardSigmoidOp>(c.input(0), getF64(c, 1.0 / 6), getF64(c, 0.5));
  return c.replaceWith<nn::MulOp>(c.input(0), gate);
}

static LogicalResult convertMish(NodeContext &c) {
  Value gate = c.make<nn::TanhOp>(c.make<nn::SoftplusOp>(c.input(0)));
  return c.replaceWith<nn::MulOp>(c.input(0), gate);
}

static LogicalResult convertSwish(NodeContext &c) {
  Value x = c.input(0), scaled = x;
  if (double alpha = c.getFloat("alpha", 1); alpha != 1)
    scaled = c.make<nn::MulOp>(
        x, c.scalarConstant(c.inputType(0).getElementType(), alpha));
  return c.replaceWith<nn::MulOp>(x, c.make<nn::SigmoidOp>(scaled));
}

static LogicalResult convertThresholdedRelu(NodeContext &c) {
  Type element = c.inputType(0).getElementType();
  Value alpha = c.scalarConstant(element, c.getFloat("alpha", 1));
  Value isAbove =
      c.make<nn::CompareOp>(nn::ComparePredicate::gt, c.input(0), alpha);
  return c.replaceWith<nn::WhereOp>(isAbove, c.input(0),
                                    c.scalarConstant(element, 0));
}

/// Integers are compared and moved as f64, by whose fractions they are not
/// moved.
static LogicalResult convertShrink(NodeContext &c) {
  double bias = c.getFloat("bias", 0), lambda = c.getFloat("lambd", 0.5);
  Type original = c.inputType(0).getElementType(), type = original;
  Value x = c.input(0);
  if (!isa<FloatType>(original)) {
    type = c.getBuilder().getF64Type();
    x = c.make<nn::CastOp>(x, type);
  }
  auto scalar = [&](double value) { return c.scalarConstant(type, value); };
  Value isBelow =
            c.make<nn::CompareOp>(nn::ComparePredicate::lt, x, scalar(-lambda)),
        isAbove =
            c.make<nn::CompareOp>(nn::ComparePredicate::gt, x, scalar(lambda));
  Value upper = c.make<nn::WhereOp>(isAbove, c.make<nn::SubOp>(x, scalar(bias)),
                                    scalar(0));
  Value result =
      c.make<nn::WhereOp>(isBelow, c.make<nn::AddOp>(x, scalar(bias)), upper);
  if (type != original)
    result = c.make<nn::CastOp>(result, original);
  return c.replaceWith(result);
}

static LogicalResult convertWhere(NodeContext &c) {
  return c.replaceWith<nn::WhereOp>(c.input(0), c.input(1), c.input(2));
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

void nacre::frontend::registerMathConverters(ConverterTable &table) {
  table.add("Add", convertBroadcasting<nn::AddOp>);
  table.add("Sub", convertBroadcasting<nn::SubOp>);
  table.add("Mul", convertBroadcasting<nn::MulOp>);
  table.add("Div", convertBroadcasting<nn::DivOp>);
  table.add("Pow", convertBroadcasting<nn::PowOp>);
  table.add("Mod", convertMod);
  table.add("Max", convertVariadic<nn::MaxOp>);
  table.add("Min", convertVariadic<nn::MinOp>);
  table.add("Sum", convertVariadic<nn::AddOp>);
  table.add("Mean", convertMean);
  table.add("Clip", convertClip);

  table.add("Abs", convertFunction<nn::AbsOp>);
  table.add("Neg", convertFunction<nn::NegOp>);
  table.add("Sign", convertFunction<nn::SignOp>);
  table.add("Floor", convertFunction<nn::FloorOp>);
  table.add("Ceil", convertFunction<nn::CeilOp>);
  table.add("Round", convertFunction<nn::RoundOp>);
  table.add("Reciprocal", convertFunction<nn::ReciprocalOp>);
  table.add("Sqrt", convertFunction<nn::SqrtOp>);
  table.add("Exp", convertFunction<nn::ExpOp>);
  table.add("Log", convertFunction<nn::LogOp>);
  table.add("Erf", convertErf);
  table.add("Sin", convertFunction<nn::SinOp>);
  table.add("Cos", convertFunction<nn::CosOp>);
  table.add("Tan", convertFunction<nn::TanOp>);
  table.add("Asin", convertFunction<nn::AsinOp>);
  table.add("Acos", convertFunction<nn::AcosOp>);
  table.add("Atan", convertFunction<nn::AtanOp>);
  table.add("Sinh", convertFunction<nn::SinhOp>);
  table.add("Cosh", convertFunction<nn::CoshOp>);
  table.add("Tanh", convertFunction<nn::TanhOp>);
  table.add("Asinh", convertFunction<nn::AsinhOp>);
  table.add("Acosh", convertFunction<nn::AcoshOp>);
  table.add("Atanh", convertFunction<nn::AtanhOp>);

  table.add("Equal", convertEqual);
  table.add("Less", convertCompare<nn::ComparePredicate::lt>);
  table.add("LessOrEqual", convertCompare<nn::ComparePredicate::le>);
  table.add("Greater", convertCompare<nn::ComparePredicate::gt>);
  table.add("GreaterOrEqual", convertCompare<nn::ComparePredicate::ge>);
  table.add("IsNaN", convertIsNaN);
  table.add("IsInf", convertIsInf);
  table.add("And", convertBroadcasting<nn::AndOp>);
  table.add("Or", convertBroadcasting<nn::OrOp>);
  table.add("Xor", convertBroadcasting<nn::XorOp>);
  table.add("Not", convertUnary<nn::NotOp>);
  table.add("BitwiseAnd", convertBinary<nn::AndOp>);
  table.add("BitwiseOr", convertBinary<nn::OrOp>);
  table.add("BitwiseXor", convertBinary<nn::XorOp>);
  table.add("BitwiseNot", convertUnary<nn::NotOp>);
  table.add("BitShift", convertBitShift);
  table.add("Where", convertWhere);
  table.add("Cast", convertCast);
  table.add("CastLike", convertCastLike);
  table.add("BitCast", convertBitCast);

  table.add("Relu", convertFunction<nn::ReluOp>);
  table.add("LeakyRelu", convertLeakyRelu);
  table.add("PRelu", convertPRelu);
  table.add("Elu", convertElu);
  table.add("Selu", convertSelu);
  table.add("Celu", convertCelu);
  table.add("Gelu", convertGelu);
  table.add("Sigmoid", convertFunction<nn::SigmoidOp>);
  table.add("HardSigmoid", convertHardSigmoid);
  table.add("HardSwish", convertHardSwish);
  table.add("Mish", convertMish);
  table.add("Swish", convertSwish);
  table.add("Softplus", convertUnary<nn::SoftplusOp>);
  table.add("Softsign", convertUnary<nn::SoftsignOp>);
  table.add("ThresholdedRelu", convertThresholdedRelu);
  table.add("Shrink", convertShrink);

  table.addRankKeeping({"Abs", "Cast", "CastLike", "Ceil", "Exp", "Floor", "Log", "Neg", "Not",
                        "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sqrt", "Tanh"});
}
