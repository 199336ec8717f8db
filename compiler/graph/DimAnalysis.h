//===- DimAnalysis.h - Dynamic sizes as SSA values --------------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_DIMANALYSIS_H
#define NACRE_COMPILER_GRAPH_DIMANALYSIS_H

#include "dialects/nn/NNShapes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace nacre::graph {

/// Knows the sizes of every tensor in a function, computed from the arguments'
/// sizes. Sizes are built where the tensor is defined, each distinct expression once
/// per block, so that two sizes are known equal if they are the same value. As the
/// listener of a builder it answers nn::getDim.
class DimAnalysis : public nn::SizeResolver {
public:
  explicit DimAnalysis(mlir::func::FuncOp func) : func(func), builder(func.getContext(), this) {}

  /// A trial: it knows what `other` knows, and may be told more. What it builds is its own.
  explicit DimAnalysis(const DimAnalysis &other)
      : func(other.func), builder(func.getContext(), this), known(other.known), symbols(other.symbols) {}
  DimAnalysis &operator=(const DimAnalysis &) = delete;

  /// From now on these are the sizes of `tensor`.
  void assume(mlir::Value tensor, llvm::ArrayRef<mlir::OpFoldResult> sizes) {
    known[tensor] = llvm::SmallVector<mlir::OpFoldResult>(sizes);
  }

  /// The size, valid wherever `tensor` is.
  mlir::OpFoldResult getDim(mlir::Value tensor, int64_t index);
  llvm::SmallVector<mlir::OpFoldResult> getDims(mlir::Value tensor);

  mlir::OpFoldResult resolveDim(mlir::Value tensor, int64_t index) override { return getDim(tensor, index); }

  /// Replaces tensor.dim by what is known and merges equal operations, in what this
  /// analysis or a builder that it listens to has built before `before`.
  mlir::OpFoldResult simplify(mlir::OpFoldResult size, mlir::Operation *before);

  /// The symbol of a dynamic size of one of the function's inputs; empty if it is none.
  mlir::StringAttr getSymbol(mlir::OpFoldResult size);

  /// Whether two sizes are known to be equal.
  static bool areEqual(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);

  /// To be called before a value is erased.
  void forget(mlir::Value tensor) { known.erase(tensor); }

  /// Erases what was built and has no use. The sizes handed out before that have
  /// none are invalid afterwards, and nothing more may be asked.
  void eraseUnused();

private:
  void notifyOperationInserted(mlir::Operation *op, mlir::OpBuilder::InsertPoint) override {
    built.push_back(op);
  }
  mlir::OpFoldResult dimOfArgument(mlir::BlockArgument argument, int64_t index);
  llvm::SmallVector<mlir::OpFoldResult> dimsOfResult(mlir::OpResult result);
  /// Computes the sizes of the tensors that a tensor's sizes depend on, without recursion.
  void computeOperands(mlir::Value tensor);

  mlir::func::FuncOp func;
  mlir::OpBuilder builder;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::OpFoldResult>> known;
  llvm::StringMap<mlir::OpFoldResult> symbols;
  llvm::DenseMap<mlir::Block *, llvm::DenseMap<llvm::hash_code, llvm::SmallVector<mlir::Operation *>>> expressions;
  llvm::DenseMap<mlir::Value, mlir::OpFoldResult> simplified;
  llvm::SmallVector<mlir::Operation *> built;
};

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_DIMANALYSIS_H
