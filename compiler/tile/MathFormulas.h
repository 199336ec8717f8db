//===- MathFormulas.h - Functions on f32 by arithmetic ------------*- C++
//-*-===//
//
// Every formula takes and gives f32, scalars or vectors of any length, and is
// right for all inputs: NaN, infinities, denormals, signed zeros. The bounds
// are in units in the last place (ulp) of the result against the exact value;
// the test test/compiler/tile/approximate_math.test measures them.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TILE_MATHFORMULAS_H
#define NACRE_COMPILER_TILE_MATHFORMULAS_H

#include "dialects/nn/Expr.h"

namespace nacre::tile {

/// Writes formulas; holds what the target has.
struct MathFormulas {
  /// The target has a fused multiply-add.
  bool fma = true;

  nn::Expr exp(nn::Expr x) const;
  nn::Expr exp2(nn::Expr x) const;
  nn::Expr expm1(nn::Expr x) const;
  nn::Expr log(nn::Expr x) const;
  nn::Expr log2(nn::Expr x) const;
  nn::Expr log10(nn::Expr x) const;
  nn::Expr log1p(nn::Expr x) const;
  nn::Expr pow(nn::Expr x, nn::Expr y) const;
  nn::Expr sin(nn::Expr x) const;
  nn::Expr cos(nn::Expr x) const;
  nn::Expr tan(nn::Expr x) const;
  nn::Expr asin(nn::Expr x) const;
  nn::Expr acos(nn::Expr x) const;
  nn::Expr atan(nn::Expr x) const;
  nn::Expr sinh(nn::Expr x) const;
  nn::Expr cosh(nn::Expr x) const;
  nn::Expr tanh(nn::Expr x) const;
  nn::Expr asinh(nn::Expr x) const;
  nn::Expr acosh(nn::Expr x) const;
  nn::Expr atanh(nn::Expr x) const;
  nn::Expr erf(nn::Expr x) const;
  nn::Expr rsqrt(nn::Expr x) const;

private:
  /// exp(r) = 2^n exp(r'), |r'| <= ln(2)/2.
  struct Reduced {
    nn::Expr r, n; ///< n: i32
  };
  struct Logarithm {
    nn::Expr exponent, f, tail; ///< log(x) = exponent * ln(2) + f + tail
  };
  struct Angle {
    nn::Expr sine, cosine, quadrant; ///< Of x minus quadrant right angles; i32.
  };

  nn::Expr mulAdd(nn::Expr a, nn::Expr b, nn::Expr c) const;
  nn::Expr mulAdd(nn::Expr a, double b, nn::Expr c) const;
  nn::Expr polynomial(nn::Expr x, llvm::ArrayRef<double> highestFirst) const;
  Reduced reduceExp(nn::Expr x) const;
  nn::Expr exponential(nn::Expr x, int shift) const;
  Logarithm splitLog(nn::Expr x) const;
  nn::Expr finishLog(nn::Expr x, nn::Expr result) const;
  Angle reduceAngle(nn::Expr x) const;
  nn::Expr sineOfQuadrant(Angle angle, int shift) const;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_MATHFORMULAS_H
