//===- Reductions.h - Passes over rows as linalg ops ------------*- C++ -*-===//
//
// Reductions, softmax and normalisations are several structured ops, each a pass
// over the rows that it reduces: tiling fuses them. What is computed per row is a
// tensor without the reduced dimensions. f16 and bf16 are computed in f32.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_LOWER_REDUCTIONS_H
#define NACRE_COMPILER_LOWER_REDUCTIONS_H

#include "compiler/lower/Lowering.h"
#include "dialects/nn/Expr.h"

namespace nacre::lower {

/// An element, or what is computed from some.
using Formula = llvm::function_ref<nn::Expr(llvm::ArrayRef<nn::Expr>)>;

/// How a reduction combines elements.
struct Combiner {
  nn::ReduceKind kind;
  bool isUnsigned = false;

  /// Over no elements.
  mlir::TypedAttr getNeutral(mlir::Type type) const;
  /// One op, so that the reduction vectorises.
  nn::Expr combine(nn::Expr accumulator, nn::Expr element) const;
};

/// Builds passes over an input's rows along some axes.
class RowBuilder {
public:
  RowBuilder(mlir::OpBuilder &b, mlir::Location loc, mlir::Value input,
             llvm::ArrayRef<int64_t> axes);

  /// Combines formula(element, rows...) along the axes, in the formula's type or if
  /// that is narrow in f32. With `keepdims` sizes of 1 stand for the axes.
  mlir::Value reduce(Combiner combiner, mlir::Type type, mlir::ValueRange rows,
                     Formula formula, bool keepdims = false);
  /// The first, or last, place along the only axis of the row's largest (smallest)
  /// element: i64. NaN counts as that.
  mlir::Value findExtreme(Combiner combiner, bool last, bool keepdims);
  /// formula(rows...) for each row.
  mlir::Value mapRows(mlir::Type type, mlir::ValueRange rows, Formula formula);
  /// formula(element of `from`, rows...) for each element of the input's shape.
  mlir::Value mapElements(mlir::Type type, mlir::Value from, mlir::ValueRange rows,
                          Formula formula);

  /// The number of elements of a row, in the type of `like`.
  nn::Expr countRow(nn::Expr like);
  /// The place of the element at hand along a dimension: i64. Within formulas.
  static nn::Expr getIndex(nn::Expr element, int64_t dim);

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Value input;
  llvm::SmallVector<int64_t> axes;
  llvm::SmallVector<mlir::OpFoldResult> sizes;
  mlir::Value rowCount; ///< Dynamic; null if static.
  int64_t staticCount = 1;
  /// From the input's dimensions to all, and to those of the rows.
  mlir::AffineMap identity, toRow;
};

} // namespace nacre::lower

#endif // NACRE_COMPILER_LOWER_REDUCTIONS_H
