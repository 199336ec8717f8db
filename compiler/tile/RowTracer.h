//===- RowTracer.h - Rows that are computed apart ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_ROWTRACER_H
#define NACRE_COMPILER_TILE_ROWTRACER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"

namespace nacre::tile {

/// Which dimension of each tensor the rows lie along, if a kernel's rows are computed apart.
class RowTracer {
public:
  /// Follows from the first dimension of `seed`. Fails if rows are mixed somewhere.
  bool run(mlir::Value seed);

  /// Null for what all rows share.
  std::optional<unsigned> getDim(mlir::Value value) const;
  int64_t getRows() const { return rows; }
  /// The loop of a structured op that runs along rows.
  std::optional<unsigned> getLoop(mlir::linalg::LinalgOp op) const;

private:
  void assign(mlir::Value value, unsigned dim);
  /// Gives all values that must have rows along the same dimension that one.
  void unify(mlir::ValueRange values);
  void visit(mlir::Operation *op);
  void visitStructured(mlir::linalg::LinalgOp op);
  /// A part of `whole`, with whole rows.
  void visitSlice(mlir::OffsetSizeAndStrideOpInterface slice, mlir::Value whole, mlir::Value part,
                  const llvm::SmallBitVector &dropped);
  /// Dimensions of size 1 come or go.
  void visitReshape(mlir::Value few, mlir::Value many, llvm::ArrayRef<mlir::ReassociationIndices> groups);

  llvm::DenseMap<mlir::Value, unsigned> dims;
  llvm::SmallVector<mlir::Value> worklist;
  int64_t rows = 0;
  bool failed = false;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_ROWTRACER_H
