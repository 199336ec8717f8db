//===- LoopTracer.h - A root op's loops in its producers --------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_LOOPTRACER_H
#define NACRE_COMPILER_TILE_LOOPTRACER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::tile {

/// Follows the root's loops through the kernel's producers.
class LoopTracer {
public:
  explicit LoopTracer(mlir::linalg::LinalgOp root);

  /// Loops that must not be tiled: a reduction would be repeated in every tile.
  llvm::ArrayRef<bool> getFixedLoops() const { return fixed; }
  /// Loops that run along the last dimension of a tensor from memory which the root's innermost
  /// loop crosses: the tensor is transposed on the way.
  llvm::SmallVector<int64_t> getTransposedLoops(int64_t innermost) const;
  /// All structured ops that the root depends on, itself included.
  llvm::ArrayRef<mlir::Operation *> getOps() const { return ops.getArrayRef(); }
  /// The parallel loops of an op that no loop of the root runs along: what they compute is summed for the root.
  llvm::SmallVector<unsigned> getSummedLoops(mlir::linalg::LinalgOp op) const;

private:
  /// For each dimension of a value: the root loop that runs along it (-1: none), and
  /// whether some reduction runs along it.
  struct DimUse {
    int64_t loop = -1;
    bool reduced = false;
  };

  void visit(mlir::linalg::LinalgOp op, llvm::ArrayRef<int64_t> rootLoops);

  llvm::SmallVector<bool> fixed;
  llvm::SetVector<mlir::Operation *> ops;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<int64_t>> rootLoopsOf;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<DimUse>> uses;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_LOOPTRACER_H
