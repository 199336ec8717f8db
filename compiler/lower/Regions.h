//===- Regions.h - What lowerings of regions share --------------*- C++ -*-===//
#ifndef NACRE_COMPILER_LOWER_REGIONS_H
#define NACRE_COMPILER_LOWER_REGIONS_H

#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Coordinates.h"
#include "compiler/lower/Indexing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace nacre::lower::regions {

inline mlir::Value constantIndex(mlir::OpBuilder &b, mlir::Location loc, int64_t value) {
  return mlir::arith::ConstantIndexOp::create(b, loc, value);
}
inline mlir::Value constantBool(mlir::OpBuilder &b, mlir::Location loc, bool value) {
  return mlir::arith::ConstantIntOp::create(b, loc, value, 1);
}
inline mlir::Value constantZero(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type) {
  return mlir::arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
}

/// Number `i` of a region.
inline nn::Expr loadNumber(mlir::OpBuilder &b, mlir::Location loc, mlir::Value rois, mlir::Value region, int64_t i,
                           mlir::Type wide) {
  mlir::Value at = mlir::tensor::ExtractOp::create(b, loc, rois, mlir::ValueRange{region, constantIndex(b, loc, i)});
  return {b, loc, lower::widen(b, loc, at, wide)};
}

inline llvm::SmallVector<mlir::Value> getSizeValues(mlir::OpBuilder &b, mlir::Location loc, mlir::Value images) {
  nn::SizeMath m(b, loc);
  return llvm::map_to_vector(m.dims(images), [&](mlir::OpFoldResult size) { return m.value(size); });
}

/// Where an element stands among [N, C, H, W], as an i64.
inline mlir::Value linearize(mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange place,
                             llvm::ArrayRef<mlir::Value> sizes) {
  mlir::Value sum = place[0];
  for (size_t i = 1; i < place.size(); ++i)
    sum = mlir::arith::AddIOp::create(b, loc, mlir::arith::MulIOp::create(b, loc, sum, sizes[i]), place[i]);
  return mlir::arith::IndexCastOp::create(b, loc, b.getI64Type(), sum);
}

/// Whether a part counts rather than the best so far: it is larger, or the first NaN.
inline nn::Expr isBetter(nn::Expr value, nn::Expr best) {
  mlir::OpBuilder &b = value.getBuilder();
  auto compare = [&](mlir::arith::CmpFPredicate predicate, nn::Expr l, nn::Expr r) {
    return value.with(mlir::arith::CmpFOp::create(b, value.getLoc(), predicate, l, r));
  };
  return compare(mlir::arith::CmpFPredicate::UGT, value, best) & compare(mlir::arith::CmpFPredicate::ORD, best, best);
}

} // namespace nacre::lower::regions

#endif // NACRE_COMPILER_LOWER_REGIONS_H
