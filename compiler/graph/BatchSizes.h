//===- BatchSizes.h - Open sizes, for one batch -----------------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_BATCHSIZES_H
#define NACRE_COMPILER_GRAPH_BATCHSIZES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/StringMap.h"

namespace nacre::graph {

/// A number for each size that a model leaves open: that of a batch's shapes ("x=64x128", by
/// inputs' names), or of sizes computed of these; or else one for all.
class BatchSizes {
public:
  BatchSizes(int64_t openSize, llvm::ArrayRef<std::string> shapes);

  /// Whether sizes may be open at all.
  bool isGiven() const { return openSize > 0 || !batch.empty(); }
  /// Whether the batch's shapes, where they are given, were all that was needed so far: a size that
  /// values decide was not.
  bool isExact() const { return batch.empty() || !isGuessed; }
  /// A size of an input.
  int64_t getSize(llvm::StringRef input, int64_t dim) const;
  /// Sizes that were computed already, while the function they are of does not change, and whether they
  /// are guessed.
  using Known = llvm::DenseMap<mlir::Value, std::pair<int64_t, bool>>;
  /// A size as a host function computes it of its inputs' sizes, of tensors or of buffers.
  int64_t evaluate(mlir::Value size, Known &known) const;
  /// Whether the first branch is; nothing where sizes do not decide it.
  std::optional<bool> isTaken(mlir::scf::IfOp branch, Known &known) const;
  /// The buffer itself where branches that sizes decide give it.
  mlir::Value resolve(mlir::Value buffer, Known &known) const;
  /// Bytes of a tensor or buffer, in a planned place; with these values of its open sizes, or guessed ones.
  int64_t getBytes(mlir::Type type) const;
  int64_t getBytes(mlir::Type type, mlir::ValueRange openSizes, Known &known) const;
  /// Bytes of a function's inputs ("nacre.inputs").
  int64_t getInputBytes(mlir::func::FuncOp func) const;

private:
  int64_t align(mlir::ShapedType type, llvm::function_ref<int64_t(unsigned)> getOpenSize) const;

  int64_t compute(mlir::Value size, Known &known) const;
  int64_t getSizeOf(mlir::Value buffer, int64_t dim, Known &known) const;
  mlir::Value getYielded(mlir::scf::IfOp branch, mlir::OpResult result, Known &known) const;
  int64_t guess() const {
    isGuessed = true;
    return openSize;
  }

  int64_t openSize;
  mutable bool isGuessed = false;
  mutable llvm::DenseMap<std::pair<mlir::Value, int64_t>, int64_t> carriedSizes; // of loops that are looked at
  llvm::StringMap<llvm::SmallVector<int64_t>> batch;
};

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_BATCHSIZES_H
