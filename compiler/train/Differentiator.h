//===- Differentiator.h - Gradients through a block's ops -------*- C++ -*-===//
//
// Internal to differentiation. One of these for a block: the function's, and those that the
// gradients of loops and branches are computed in.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TRAIN_DIFFERENTIATOR_H
#define NACRE_COMPILER_TRAIN_DIFFERENTIATOR_H

#include "compiler/graph/DimAnalysis.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::train {

class Differentiator {
public:
  /// Gradients are built in front of `before`. With `checks` the run ends at the first that is not finite.
  Differentiator(mlir::Operation *before, graph::DimAnalysis &dims, bool checks)
      : before(before), dims(dims), checks(checks), builder(before->getContext(), &dims) {
    builder.setInsertionPoint(before);
  }

  /// A value whose gradient is wanted.
  void addVariable(mlir::Value variable) { active.insert(variable); }
  /// Adds to a value's gradient.
  void addGradient(mlir::Location loc, mlir::Value value, mlir::Value gradient);
  /// Builds the gradients of what `ops` compute, in order; all are ops of one block. Fails,
  /// with a diagnostic, where one that a gradient goes through has none.
  llvm::LogicalResult run(llvm::ArrayRef<mlir::Operation *> ops);
  /// Null where nothing depends on the value.
  mlir::Value getGradient(mlir::Value value) const { return gradients.lookup(value); }

private:
  //===--- Differentiate.cpp ---===//
  /// Finds the values that depend on the variables through floats, and puts ops that have
  /// gradients in the place of those that do not but can be computed by such.
  llvm::SmallVector<mlir::Operation *> prepare(llvm::ArrayRef<mlir::Operation *> ops);
  /// Whether an op, or one in its regions, reads an active value.
  bool readsActive(mlir::Operation *op);
  llvm::SmallVector<mlir::Operation *> decompose(mlir::Operation *op);
  llvm::LogicalResult visit(mlir::Operation *op);
  mlir::Value sumToShape(mlir::Location loc, mlir::Value gradient, mlir::Value operand, mlir::Value shape);
  bool haveEqualSize(mlir::Value gradient, mlir::Value shape, int64_t i, mlir::Value operand, int64_t dim);
  mlir::Value sumAtRunTime(mlir::Location loc, mlir::Value gradient, mlir::Value operand, int64_t dim);
  /// Zeros of the shape of `like`, of its very type.
  mlir::Value createZeros(mlir::Location loc, mlir::Value like);
  mlir::Value castTo(mlir::Location loc, mlir::Value value, mlir::Type type);

  //===--- ControlFlowGradients.cpp ---===//
  void visitExtractSlice(mlir::tensor::ExtractSliceOp op, mlir::Value gradient);
  void visitInsertSlice(mlir::tensor::InsertSliceOp op, mlir::Value gradient);
  llvm::LogicalResult visitIf(mlir::scf::IfOp op, llvm::ArrayRef<mlir::Value> own);
  llvm::LogicalResult visitWhile(mlir::scf::WhileOp op, llvm::ArrayRef<mlir::Value> own);
  /// In LoopGradients.cpp.
  llvm::LogicalResult visitFor(mlir::scf::ForOp op, llvm::ArrayRef<mlir::Value> own);
  /// The active values from outside that ops in a region read.
  llvm::SetVector<mlir::Value> getCaptured(mlir::Operation *op);

  /// Of a gradient that consists of disjoint slices so far: the zeros below them, and the whole.
  struct Slices {
    mlir::Value zeros, sum;
    llvm::SmallVector<mlir::tensor::ExtractSliceOp> ops;
  };

  mlir::Operation *before;
  graph::DimAnalysis &dims;
  bool checks;
  mlir::OpBuilder builder;
  llvm::DenseSet<mlir::Value> active;
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
  llvm::DenseMap<mlir::Value, Slices> slicesOf;
};

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_DIFFERENTIATOR_H
