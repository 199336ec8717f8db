//===- MathFormulas.cpp - Functions on f32 by arithmetic
//--------------------===//
//
// Where nothing else is said: Cephes' single-precision polynomials, evaluated
// with fused multiply-adds. Conversions from float to integer go through the
// bits of x + 1.5 * 2^23, which are defined for every x (arith.fptosi is not).
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MathFormulas.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace nacre::tile;
using nacre::nn::Expr;

namespace nn = nacre::nn;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Added to a float below 2^22, leaves its nearest integer in the low bits.
static constexpr double kRounder = 12582912.0;
static constexpr int64_t kRounderBits = 0x4b400000;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

static Expr asInt(Expr x) {
  Type type = IntegerType::get(x.getBuilder().getContext(), x.getWidth());
  return x.convert<arith::BitcastOp>(type);
}
static Expr asFloat(Expr x) {
  Builder &b = x.getBuilder();
  return x.convert<arith::BitcastOp>(x.getWidth() == 64 ? Type(b.getF64Type()) : b.getF32Type());
}
static Expr bits(Expr like, int64_t value) { return like.constant(APInt(like.getWidth(), value)); }
static Expr shiftLeft(Expr x, int by) { return x.apply<arith::ShLIOp>(bits(x, by)); }
static Expr shiftRight(Expr x, int by) { return x.apply<arith::ShRSIOp>(bits(x, by)); }
static Expr copySign(Expr magnitude, Expr sign) { return magnitude.apply<math::CopySignOp>(sign); }
static Expr nan(Expr like) { return like.constant(APFloat::getNaN(APFloat::IEEEsingle())); }
/// Bounds that let NaN pass: one instruction each.
static Expr atMost(Expr x, double bound) { return select(x > bound, x.constant(bound), x); }
static Expr atLeast(Expr x, double bound) { return select(x < bound, x.constant(bound), x); }
/// 2^n of an i32 in the range of normal numbers.
static Expr powerOfTwo(Expr n) { return asFloat(shiftLeft(n + bits(n, 127), 23)); }

Expr MathFormulas::mulAdd(Expr a, Expr b, Expr c) const {
  if (!fma)
    return a * b + c;
  return a.with(math::FmaOp::create(a.getBuilder(), a.getLoc(), a, b, c));
}
Expr MathFormulas::mulAdd(Expr a, double b, Expr c) const { return mulAdd(a, a.constant(b), c); }

Expr MathFormulas::polynomial(Expr x, ArrayRef<double> highestFirst) const {
  Expr sum = x.constant(highestFirst.front());
  for (double coefficient : highestFirst.drop_front())
    sum = mulAdd(sum, x, x.constant(coefficient));
  return sum;
}

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

static constexpr double kLn2High = 0.693359375,
                        kLn2Low = -2.12194440e-4; // 9 bits, rest
static constexpr double kExp[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                                  4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};

MathFormulas::Reduced MathFormulas::reduceExp(Expr x) const {
  Expr shifted = mulAdd(x, 1.44269504088896341, x.constant(kRounder));
  Expr n = shifted - kRounder;
  Expr r = mulAdd(n, -kLn2Low, mulAdd(n, -kLn2High, x));
  Expr integer = asInt(shifted);
  return {r, integer - bits(integer, kRounderBits)};
}

/// exp(x) * 2^shift: 1 ulp. The power of two is applied in two steps, so that
/// the result may be denormal or overflow.
Expr MathFormulas::exponential(Expr x, int shift) const {
  x = atLeast(atMost(x, 89.5 - shift), -105.0);
  auto [r, n] = reduceExp(x);
  Expr p = mulAdd(r * r, polynomial(r, kExp), r) + 1.0;
  if (shift)
    n = n + bits(n, shift);
  Expr half = shiftRight(n, 1);
  return p * powerOfTwo(half) * powerOfTwo(n - half);
}

Expr MathFormulas::exp(Expr x) const { return exponential(x, 0); }

Expr MathFormulas::exp2(Expr x) const {
  x = atLeast(atMost(x, 129.0), -151.0);
  Expr shifted = x + kRounder;
  Expr r = (x - (shifted - kRounder)) * 0.69314718055994530942;
  Expr n = asInt(shifted);
  n = n - bits(n, kRounderBits);
  Expr p = mulAdd(r * r, polynomial(r, kExp), r) + 1.0;
  Expr half = shiftRight(n, 1);
  return p * powerOfTwo(half) * powerOfTwo(n - half);
}

/// 2^n (exp(r) - 1) + (2^n - 1), in halves so that 2^128 does not overflow
/// early.
Expr MathFormulas::expm1(Expr x) const {
  auto [r, n] = reduceExp(atLeast(atMost(x, 89.0), -30.0));
  Expr q = mulAdd(r * r, polynomial(r, kExp), r);
  Expr half = powerOfTwo(n - bits(n, 1));
  Expr result = mulAdd(half, q, half - 0.5) * 2.0;
  return select(x == 0.0, x, result); // keeps -0
}

//===----------------------------------------------------------------------===//
// Logarithms
//===----------------------------------------------------------------------===//

static constexpr double kLog[] = {7.0376836292e-2,  -1.1514610310e-1, 1.1676998740e-1,
                                  -1.2420140846e-1, 1.4249322787e-1,  -1.6668057665e-1,
                                  2.0000714765e-1,  -2.4999993993e-1, 3.3333331174e-1};

/// For positive x: the mantissa in [sqrt(1/2), sqrt(2)).
MathFormulas::Logarithm MathFormulas::splitLog(Expr x) const {
  Expr tiny = x < 1.17549435e-38;
  Expr integer = asInt(select(tiny, x * 8388608.0, x));
  Expr offset = integer - bits(integer, 0x3f3504f3);
  Expr mantissa = (offset & bits(offset, 0x7fffff)) + bits(offset, 0x3f3504f3);
  Expr exponent = shiftRight(offset, 23).convert<arith::SIToFPOp>(x.getElementType());
  exponent = select(tiny, exponent - 23.0, exponent);
  Expr f = asFloat(mantissa) - 1.0;
  Expr square = f * f;
  Expr tail = mulAdd(square, -0.5, square * f * polynomial(f, kLog));
  return {exponent, f, tail};
}

/// What the formula does not hold for: NaN, infinity, zero, negative numbers.
Expr MathFormulas::finishLog(Expr x, Expr result) const {
  result = select(x < kInfinity, result, x);
  result = select(x == 0.0, x.constant(-kInfinity), result);
  return select(x < 0.0, nan(x), result);
}

Expr MathFormulas::log(Expr x) const {
  auto [exponent, f, tail] = splitLog(x);
  Expr low = mulAdd(exponent, kLn2Low, tail);
  return finishLog(x, mulAdd(exponent, kLn2High, f + low));
}

Expr MathFormulas::log2(Expr x) const {
  // log2(e) - 1 apart: the large summands are exact.
  auto [exponent, f, tail] = splitLog(x);
  Expr low = mulAdd(f + tail, 0.44269504088896341, tail);
  return finishLog(x, exponent + (f + low));
}

Expr MathFormulas::log10(Expr x) const {
  auto [exponent, f, tail] = splitLog(x);
  constexpr double high = 0.30102539062500,
                   low = 4.6050389811952137e-6; // log10(2)
  Expr small = mulAdd(exponent, low, (f + tail) * 0.43429448190325182765);
  return finishLog(x, mulAdd(exponent, high, small));
}

/// log(u) and what rounding took from u = 1 + x.
Expr MathFormulas::log1p(Expr x) const {
  Expr u = x + 1.0;
  Expr lost = x - (u - 1.0);
  Expr result = log(u) + lost / u;
  result = select(u == 1.0, x, result);
  return select(((x == kInfinity) | (x == -1.0)), log(u), result);
}

/// exp2(y log2(x)) in f64: 1 ulp.
Expr MathFormulas::pow(Expr x, Expr y) const {
  Attribute attribute;
  if (matchPattern(y.get(), m_Constant(&attribute))) {
    if (auto splat = dyn_cast<SplatElementsAttr>(attribute))
      attribute = splat.getSplatValue<Attribute>();
    if (auto number = dyn_cast<FloatAttr>(attribute)) {
      double value = number.getValueAsDouble();
      if (value == 1.0)
        return x;
      if (value == 2.0)
        return x * x;
      if (value == 3.0)
        return x * x * x;
      if (value == -1.0)
        return x.constant(1.0) / x;
      if (value == 0.5) // pow(-0, 0.5) is +0, pow(-inf, 0.5) is inf
        return select(x == -kInfinity, x.constant(kInfinity), sqrt(x + 0.0));
    }
  }
  Builder &b = x.getBuilder();
  Expr magnitude = abs(x);
  Expr wide = magnitude.convert<arith::ExtFOp>(b.getF64Type());
  Expr exponent = y.convert<arith::ExtFOp>(b.getF64Type());
  // log2 of the magnitude: 2 artanh(s) / ln(2), s = (m - 1) / (m + 1).
  Expr integer = asInt(wide);
  Expr offset = integer - bits(integer, 0x3fe6a09e667f3bcd);
  Expr mantissa =
      asFloat((offset & bits(offset, 0xfffffffffffff)) + bits(offset, 0x3fe6a09e667f3bcd));
  Expr n = shiftRight(offset, 52).convert<arith::SIToFPOp>(b.getF64Type());
  Expr s = (mantissa - 1.0) / (mantissa + 1.0);
  SmallVector<double> artanh;
  for (int k = 7; k >= 0; --k)
    artanh.push_back(2.0 / M_LN2 / (2 * k + 1));
  Expr log2 = mulAdd(s, polynomial(s * s, artanh), n);
  log2 = select(wide < kInfinity, log2, wide);
  log2 = select(wide == 0.0, wide.constant(-kInfinity), log2);
  // exp2.
  Expr power = atLeast(atMost(exponent * log2, 1000.0), -1000.0);
  Expr shifted = power + 6755399441055744.0; // 1.5 * 2^52
  Expr r = power - (shifted - 6755399441055744.0);
  Expr scale = asInt(shifted);
  scale = shiftLeft(scale - bits(scale, 0x4338000000000000) + bits(scale, 1023), 52);
  SmallVector<double> exp2;
  double coefficient = 1;
  for (int k = 0; k <= 9; coefficient *= M_LN2 / ++k)
    exp2.insert(exp2.begin(), coefficient);
  Expr result = (polynomial(r, exp2) * asFloat(scale)).convert<arith::TruncFOp>(b.getF32Type());
  // Negative bases: by the parity of the exponent.
  Expr isInteger = y == y.apply<math::TruncOp>(), half = y * 0.5;
  Expr isOdd = ((isInteger) & (half != half.apply<math::TruncOp>()));
  Expr negative = asInt(x) < 0.0;
  result = select(((negative) & (isOdd)), -result, result);
  Expr undefined = ((((x < 0.0) & (x > -kInfinity))) & (y != y.apply<math::TruncOp>()));
  result = select(undefined, nan(x), result);
  result = select(((magnitude == 1.0) & (abs(y) == kInfinity)), x.constant(1.0), result);
  return select(((x == 1.0) | (y == 0.0)), x.constant(1.0), result);
}

//===----------------------------------------------------------------------===//
// Circular functions
//===----------------------------------------------------------------------===//

/// Angles up to this are reduced in f32 with three parts of pi/2.
static constexpr double kLargestAngle = 1e5;

MathFormulas::Angle MathFormulas::reduceAngle(Expr x) const {
  Expr bounded = select(abs(x) <= kLargestAngle, x, x.constant(0.0));
  Expr shifted = mulAdd(bounded, 0.636619772367581343, x.constant(kRounder));
  Expr n = shifted - kRounder;
  Expr r = bounded;
  // Parts of pi/2 whose products with n are exact, or nearly so with an fma.
  for (double part :
       {1.5703125, 4.8351287841796875e-4, 3.13855707645416259765625e-7, 6.077100506506192601e-11})
    r = mulAdd(n, -part, r);
  Expr z = r * r;
  Expr sine =
      mulAdd(z * r, polynomial(z, {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}), r);
  Expr cosine = polynomial(z, {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2});
  cosine = mulAdd(z * z, cosine, mulAdd(z, -0.5, x.constant(1.0)));
  Expr quadrant = asInt(shifted);
  return {sine, cosine, quadrant - bits(quadrant, kRounderBits)};
}

Expr MathFormulas::sineOfQuadrant(Angle angle, int shift) const {
  Expr quadrant = angle.quadrant;
  if (shift)
    quadrant = quadrant + bits(quadrant, shift);
  Expr odd = (quadrant & bits(quadrant, 1)) != 0.0;
  Expr sign = shiftLeft(quadrant & bits(quadrant, 2), 30);
  return asFloat(asInt(select(odd, angle.cosine, angle.sine)) ^ sign);
}

/// Lanes with angles beyond f32's reduction (and NaN) are computed in f64 by
/// the library, under a branch that is almost never taken.
template <typename Op> static Expr withLargeAngles(Expr x, Expr result) {
  OpBuilder &b = x.getBuilder();
  Expr far = ~(abs(x) <= kLargestAngle);
  Value any = far;
  if (auto type = dyn_cast<VectorType>(x.getType()))
    any = vector::ReductionOp::create(b, x.getLoc(), vector::CombiningKind::OR, far);
  auto branch = scf::IfOp::create(b, x.getLoc(), x.getType(), any,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Expr exact = x.convert<arith::ExtFOp>(b.getF64Type()).template apply<Op>();
  exact = exact.convert<arith::TruncFOp>(x.getElementType());
  scf::YieldOp::create(b, x.getLoc(), select(far, exact, result).get());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, x.getLoc(), result.get());
  return x.with(branch.getResult(0));
}

Expr MathFormulas::sin(Expr x) const {
  Expr result = sineOfQuadrant(reduceAngle(x), 0);
  return withLargeAngles<math::SinOp>(x, select(x == 0.0, x, result));
}

Expr MathFormulas::cos(Expr x) const {
  return withLargeAngles<math::CosOp>(x, sineOfQuadrant(reduceAngle(x), 1));
}

Expr MathFormulas::tan(Expr x) const {
  Angle angle = reduceAngle(x);
  Expr odd = (angle.quadrant & bits(angle.quadrant, 1)) != 0.0;
  Expr result = select(odd, -angle.cosine, angle.sine) / select(odd, angle.sine, angle.cosine);
  return withLargeAngles<math::TanOp>(x, select(x == 0.0, x, result));
}

//===----------------------------------------------------------------------===//
// Inverse circular functions
//===----------------------------------------------------------------------===//

static constexpr double kAsin[] = {4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2,
                                   7.4953002686e-2, 1.6666752422e-1};
static constexpr double kPi = 3.14159265358979323846;

/// Above 1/2: pi/2 - 2 asin(sqrt((1 - x) / 2)). Beyond 1 the root is NaN.
Expr MathFormulas::asin(Expr x) const {
  Expr magnitude = abs(x);
  Expr large = magnitude > 0.5;
  Expr z = select(large, (x.constant(1.0) - magnitude) * 0.5, x * x);
  Expr root = select(large, sqrt(z), magnitude);
  Expr p = mulAdd(root * z, polynomial(z, kAsin), root);
  return copySign(select(large, mulAdd(p, -2.0, x.constant(kPi / 2)), p), x);
}

Expr MathFormulas::acos(Expr x) const {
  Expr magnitude = abs(x);
  Expr large = magnitude > 0.5;
  Expr z = select(large, (x.constant(1.0) - magnitude) * 0.5, x * x);
  Expr root = select(large, sqrt(z), magnitude);
  Expr p = mulAdd(root * z, polynomial(z, kAsin), root);
  Expr outer = select(x < 0.0, mulAdd(p, -2.0, x.constant(kPi)), p * 2.0);
  // pi/2 in two parts: the low one is lost otherwise.
  Expr inner = x.constant(1.57079637050628662109375) - (copySign(p, x) + 4.37113883e-8);
  return select(large, outer, inner);
}

Expr MathFormulas::atan(Expr x) const {
  Expr magnitude = abs(x), one = x.constant(1.0);
  Expr large = magnitude > 2.414213562373095, middle = magnitude > 0.4142135623730950;
  Expr numerator = select(large, x.constant(-1.0), select(middle, magnitude - 1.0, magnitude));
  Expr denominator = select(large, magnitude, select(middle, magnitude + 1.0, one));
  Expr base =
      select(large, x.constant(kPi / 2), select(middle, x.constant(kPi / 4), x.constant(0.0)));
  Expr t = numerator / denominator;
  Expr z = t * t;
  Expr p =
      polynomial(z, {8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1});
  Expr angle = base + mulAdd(z * t, p, t);
  return copySign(select(nn::isNaN(x), x, angle), x);
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions
//===----------------------------------------------------------------------===//

Expr MathFormulas::sinh(Expr x) const {
  Expr magnitude = abs(x);
  Expr half = exponential(magnitude, -1);
  Expr large = half - x.constant(0.25) / half;
  Expr z = x * x;
  Expr p = polynomial(z, {2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1});
  Expr small = mulAdd(z * magnitude, p, magnitude);
  return copySign(select(magnitude > 1.0, large, small), x);
}

Expr MathFormulas::cosh(Expr x) const {
  Expr half = exponential(abs(x), -1);
  return half + x.constant(0.25) / half;
}

/// An odd polynomial near zero, else 1 - 2 / (exp(2x) + 1).
Expr MathFormulas::tanh(Expr x) const {
  Expr magnitude = abs(x);
  auto [r, n] = reduceExp(atMost(magnitude * 2.0, 20.0));
  Expr exponential = (mulAdd(r * r, polynomial(r, kExp), r) + 1.0) * powerOfTwo(n);
  Expr large = x.constant(1.0) - x.constant(2.0) / (exponential + 1.0);
  Expr z = x * x;
  Expr p = polynomial(z, {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                          -3.33332819422e-1});
  Expr small = mulAdd(z * magnitude, p, magnitude);
  return copySign(select(magnitude < 0.625, small, large), x);
}

/// log1p(a + a^2 / (1 + sqrt(1 + a^2))); where a^2 overflows, log(a) + ln(2).
Expr MathFormulas::asinh(Expr x) const {
  Expr magnitude = abs(x);
  Expr large = magnitude > 1e9;
  Expr a = select(large, x.constant(0.0), magnitude);
  Expr square = a * a;
  Expr small = log1p(a + square / (sqrt(square + 1.0) + 1.0));
  return copySign(select(large, log(magnitude) + M_LN2, small), x);
}

Expr MathFormulas::acosh(Expr x) const {
  Expr large = x > 1e9;
  Expr t = select(large, x.constant(0.0), x - 1.0);
  Expr small = log1p(t + sqrt(mulAdd(t, t, t * 2.0)));
  return select(large, log(x) + M_LN2, select(x < 1.0, nan(x), small));
}

Expr MathFormulas::atanh(Expr x) const {
  Expr magnitude = abs(x);
  Expr result = log1p(magnitude * 2.0 / (x.constant(1.0) - magnitude)) * 0.5;
  return copySign(select(magnitude > 1.0, nan(x), result), x);
}

//===----------------------------------------------------------------------===//
// Others
//===----------------------------------------------------------------------===//

/// A rational minimax approximation of our own: 6 ulp, 4e-7 absolute, never
/// beyond 1.
Expr MathFormulas::erf(Expr x) const {
  Expr inside = select(abs(x) > 3.925, copySign(x.constant(3.925), x), x);
  Expr z = inside * inside;
  Expr p = polynomial(z, {2.0460049654502654e-06, 0.0002848234726116061, 0.0037720210384577513,
                          0.05276762321591377, 0.19058258831501007, 1.1283791065216064});
  Expr q = polynomial(z, {3.8046495319576934e-05, 0.0011637144489213824, 0.014982139691710472,
                          0.11417792737483978, 0.5022321343421936, 1.0});
  Expr result = atLeast(atMost(inside * p / q, 1.0), -1.0);
  return select(abs(x) > 3.925, copySign(x.constant(1.0), x), result);
}

Expr MathFormulas::rsqrt(Expr x) const { return x.constant(1.0) / sqrt(x); }
