//===- CodedTypes.cpp - Element types that are only converted --*- C++ -*-===//
#include "dialects/nn/CodedTypes.h"
#include "dialects/nn/NNOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::nn;
using llvm::fltSemantics;

bool nn::isCoded(Type element) {
  if (!isa<IntegerType, FloatType>(element) || element.isInteger(1))
    return false;
  return element.getIntOrFloatBitWidth() < (isa<FloatType>(element) ? 16 : 8);
}

bool nn::isArithmeticFloat(Type element) { return isa<FloatType>(element) && !isCoded(element); }

Type nn::getFormulaType(Type element) {
  if (isCoded(element))
    return IntegerType::get(element.getContext(), 8);
  if (element.isUnsignedInteger())
    return IntegerType::get(element.getContext(), element.getIntOrFloatBitWidth());
  return element;
}

Type nn::getStoredType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  if (isa<StringType>(element))
    return IntegerType::get(element.getContext(), 64);
  return getFormulaType(element);
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static APInt getBits(Attribute element) {
  if (auto number = dyn_cast<FloatAttr>(element))
    return number.getValue().bitcastToAPInt();
  return cast<IntegerAttr>(element).getValue();
}

Attribute nn::toFormula(Attribute element) {
  auto typed = dyn_cast<TypedAttr>(element);
  Type type = typed ? typed.getType() : Type(), formula = typed ? getFormulaType(type) : Type();
  if (type == formula)
    return element;
  APInt bits = getBits(element);
  unsigned width = formula.getIntOrFloatBitWidth();
  return IntegerAttr::get(formula, type.isSignlessInteger() ? bits.sextOrTrunc(width) : bits.zextOrTrunc(width));
}

Attribute nn::fromFormula(Attribute value, Type element) {
  auto integer = dyn_cast<IntegerAttr>(value);
  if (!integer || integer.getType() == element)
    return value;
  APInt bits = integer.getValue().zextOrTrunc(element.getIntOrFloatBitWidth());
  if (auto floatType = dyn_cast<FloatType>(element))
    return FloatAttr::get(floatType, APFloat(floatType.getFloatSemantics(), bits));
  return IntegerAttr::get(element, bits);
}

DenseElementsAttr nn::getStored(DenseElementsAttr elements) {
  auto type = elements.getType();
  Type stored = getStoredType(type.getElementType());
  if (stored == type.getElementType())
    return elements;
  if (!type.getElementType().isInteger(1) && stored.getIntOrFloatBitWidth() == type.getElementTypeBitWidth())
    return elements.bitcast(stored);
  SmallVector<Attribute> values;
  auto convert = [&](Attribute element) {
    if (!element || !type.getElementType().isInteger(1))
      return toFormula(element);
    return Attribute(IntegerAttr::get(stored, cast<IntegerAttr>(element).getValue().zext(8)));
  };
  if (elements.isSplat())
    values.push_back(convert(elements.getSplatValue<Attribute>()));
  else
    for (Attribute element : elements.getValues<Attribute>())
      values.push_back(convert(element));
  return DenseElementsAttr::get(cast<ShapedType>(type.clone(stored)), values);
}

uint64_t nn::getPackedBytes(uint64_t count, unsigned bits) {
  return count / 8 * bits + llvm::divideCeil(count % 8 * bits, 8);
}

void nn::unpackElements(ArrayRef<char> packed, unsigned bits, bool isSigned, MutableArrayRef<char> elements) {
  assert(packed.size() >= getPackedBytes(elements.size(), bits) && "elements are missing");
  for (size_t i = 0; i < elements.size(); ++i) {
    size_t byte = getPackedBytes(i / 8 * 8, bits) + i % 8 * bits / 8, shift = i % 8 * bits % 8;
    unsigned window = uint8_t(packed[byte]);
    if (shift + bits > 8) // six bits of two bytes
      window |= unsigned(uint8_t(packed[byte + 1])) << 8;
    unsigned code = window >> shift & ((1u << bits) - 1);
    elements[i] = char(isSigned ? llvm::SignExtend32(code, bits) : int(code));
  }
}

//===----------------------------------------------------------------------===//
// Codes as numbers
//===----------------------------------------------------------------------===//

namespace {
/// A float's layout: [sign] exponent mantissa.
struct Layout {
  explicit Layout(FloatType type) : semantics(type.getFloatSemantics()) {
    mantissa = APFloat::semanticsPrecision(semantics) - 1;
    isSigned = APFloat::semanticsHasSignedRepr(semantics);
    least = APFloat::semanticsMinExponent(semantics);
    signBit = type.getWidth() - 1;
    hasInfinity = APFloat::semanticsHasInf(semantics);
    hasNaN = APFloat::semanticsHasNaN(semantics);
    largest = code(APFloat::getLargest(semantics));
    infinity = hasInfinity ? code(APFloat::getInf(semantics)) : largest;
    nan = hasNaN ? code(APFloat::getNaN(semantics)) : 0;
    hasNegativeZero = isSigned && code(APFloat::getZero(semantics, /*Negative=*/true)) != 0;
  }

  static int64_t code(const APFloat &value) { return value.bitcastToAPInt().getZExtValue(); }

  const fltSemantics &semantics;
  unsigned mantissa, signBit;
  bool isSigned, hasInfinity, hasNaN, hasNegativeZero;
  /// The exponent of the smallest normal number.
  int least;
  /// Codes, without a sign but for a NaN in the place of -0.
  int64_t largest, infinity, nan;
};

constexpr int64_t kInfinity = 0x7f800000, kNaN = 0x7fc00000; // of f32
} // namespace

static Expr shiftLeft(Expr x, unsigned by) { return x.apply<arith::ShLIOp>(x.constant(by)); }
static Expr shiftRight(Expr x, unsigned by) { return x.apply<arith::ShRUIOp>(x.constant(by)); }
static Expr bitsOf(Expr x) { return x.convert<arith::BitcastOp>(x.getBuilder().getI32Type()); }
static Expr fromBits(Expr x) { return x.convert<arith::BitcastOp>(x.getBuilder().getF32Type()); }

/// Powers of two: the exponent of f32, but for the smallest, which f32 has as a denormal.
static Expr decodePower(Expr code) {
  Expr bits = select(code == 0.0, code.constant(0x400000), shiftLeft(code, 23));
  return fromBits(select(code == 255.0, code.constant(kNaN), bits));
}

static Expr decodeFloat(Expr code, const Layout &layout) {
  code = code.convert<arith::ExtUIOp>(code.getBuilder().getI32Type());
  if (!layout.isSigned)
    return decodePower(code);
  Expr magnitude = code & code.constant((1 << layout.signBit) - 1);
  Expr normal = shiftLeft(magnitude, 23 - layout.mantissa) + double((int64_t(layout.least) + 126) << 23);
  Type f32 = code.getBuilder().getF32Type();
  Expr small = magnitude.convert<arith::SIToFPOp>(f32) * std::ldexp(1.0, layout.least - int(layout.mantissa));
  Expr bits = select(magnitude < double(1 << layout.mantissa), bitsOf(small), normal);
  if (layout.hasInfinity)
    bits = select(magnitude == double(layout.infinity), code.constant(kInfinity), bits);
  if (layout.hasNaN && layout.hasNegativeZero)
    bits = select(magnitude > double(layout.infinity), code.constant(kNaN), bits);
  Expr sign = shiftLeft(shiftRight(code, layout.signBit), 31);
  bits = bits | sign;
  if (layout.hasNaN && !layout.hasNegativeZero)
    bits = select(code == double(layout.nan), code.constant(kNaN), bits);
  return fromBits(bits);
}

Expr nn::decode(Expr code, Type coded) {
  auto type = dyn_cast<FloatType>(coded);
  return type ? decodeFloat(code, Layout(type)) : code;
}

//===----------------------------------------------------------------------===//
// Numbers as codes
//===----------------------------------------------------------------------===//

/// A number as f32; wider ones rounded to odd, which leaves the decision to the next rounding.
static Expr toF32(Expr x, bool isUnsigned) {
  Builder &b = x.getBuilder();
  if (!x.isFloat())
    x = convert(x, isUnsigned, x.getWidth() > 24 ? Type(b.getF64Type()) : Type(b.getF32Type()));
  return x.getWidth() == 64 ? roundToOdd(x) : convert(x, false, b.getF32Type());
}

/// Rounds to a power of two; the thresholds are f32's bits.
static Expr encodePower(Expr x, bool saturate, Rounding rounding) {
  Expr magnitude = bitsOf(x) & x.with(bitsOf(x)).constant(0x7fffffff);
  // What carries into the exponent, from where f32's denormals become 2^-126, and from
  // where 2^-127.
  int64_t carry = 0x7fffff, second = 0x400001, first = 1;
  if (rounding == Rounding::nearest)
    carry = 0x400000, second = 0x600000, first = 0x300000;
  else if (rounding == Rounding::down)
    carry = 0, second = 0x800000, first = 0x400000;
  Expr zero = magnitude.constant(0), one = magnitude.constant(1), nan = magnitude.constant(255);
  Expr small = select(magnitude >= double(second), one, zero);
  if (!saturate)
    small = select(magnitude < double(first), nan, small);
  Expr code = shiftRight(magnitude + double(carry), 23);
  if (saturate)
    code = min(code, magnitude.constant(254));
  else
    code = min(code, nan);
  code = select(magnitude < double(0x800000), small, code);
  return select(magnitude > double(kInfinity), nan, code);
}

static Expr encodeFloat(Expr x, const Layout &layout, bool saturate) {
  Expr bits = bitsOf(x), magnitude = bits & bits.constant(0x7fffffff);
  // To nearest even: half a unit less one, and one more if the last bit kept is odd, is
  // what carries.
  unsigned dropped = 23 - layout.mantissa;
  Expr odd = shiftRight(magnitude, dropped) & magnitude.constant(1);
  Expr normal = shiftRight(magnitude + double((1 << (dropped - 1)) - 1) + odd, dropped) -
                double((int64_t(layout.least) + 126) << layout.mantissa);
  // Denormals: the sum with a number whose last bit is worth the smallest of them.
  Expr magic = x.constant(std::ldexp(1.0, 23 + layout.least - int(layout.mantissa)));
  Expr small = bitsOf(fromBits(magnitude) + magic) - bitsOf(magic);
  Expr code = select(fromBits(magnitude) < std::ldexp(1.0, layout.least), small, normal);
  bool clamps = saturate || !(layout.hasInfinity || layout.hasNaN);
  Expr signless = code;
  if (clamps) {
    signless = min(code, code.constant(layout.largest));
  } else {
    Expr over = code.constant(layout.hasInfinity ? layout.infinity : layout.nan);
    signless = select(code > double(layout.largest), over, code);
  }
  Expr isNumber = magnitude <= double(kInfinity);
  // Where there is no NaN it is -0, as ml_dtypes has it.
  if (layout.hasNegativeZero)
    signless = select(isNumber, signless, code.constant(layout.hasNaN ? layout.nan : 0));
  Expr sign = shiftLeft(shiftRight(bits, 31), layout.signBit);
  if (layout.hasNegativeZero)
    return layout.hasNaN ? signless | sign : signless | select(isNumber, sign, code.constant(1 << layout.signBit));
  // One zero, and one NaN in the place of the other.
  Expr hasSign = (code > 0.0) & isNumber;
  if (!clamps)
    hasSign = hasSign & (code <= double(layout.largest));
  return select(isNumber, select(hasSign, signless | sign, signless), code.constant(layout.nan));
}

/// The low bits of an i8 as an integer of so many.
static Expr wrap(Expr x, IntegerType type) {
  unsigned unused = 8 - type.getWidth();
  if (type.isUnsigned())
    return x & x.constant((1 << type.getWidth()) - 1);
  Expr by = x.constant(unused);
  return x.apply<arith::ShLIOp>(by).apply<arith::ShRSIOp>(by);
}

Expr nn::encode(Expr number, bool isUnsigned, Type coded, bool saturate, Rounding rounding) {
  Type i8 = IntegerType::get(coded.getContext(), 8);
  if (auto integer = dyn_cast<IntegerType>(coded))
    return wrap(convert(number, isUnsigned, i8), integer);
  Layout layout(cast<FloatType>(coded));
  Expr x = toF32(number, isUnsigned);
  Expr code = layout.isSigned ? encodeFloat(x, layout, saturate) : encodePower(x, saturate, rounding);
  return code.convert<arith::TruncIOp>(i8);
}
