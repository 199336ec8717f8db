//===- LoopStates.h - What a loop keeps for its gradient --------*- C++ -*-===//
//
// Internal to differentiation.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TRAIN_LOOPSTATES_H
#define NACRE_COMPILER_TRAIN_LOOPSTATES_H

#include "compiler/graph/DimAnalysis.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/SetVector.h"

namespace nacre::train {

/// What a loop reads and writes row by row, and what it may keep of each iteration.
class LoopStates {
public:
  /// A value of the loop with a row for each iteration.
  struct Tape {
    mlir::Value value;
    /// The value's shape, which stays.
    llvm::SmallVector<mlir::OpFoldResult> shape;
    /// All rows: memory in front of the loop, later the loop's result.
    mlir::Value whole;
    /// The row that a loop which runs backwards reads.
    mlir::Value row = {};
  };

  /// A tensor that is carried and whose sizes change: those of all iterations, one behind the
  /// other. Memory in front of the loop, later the loop's results.
  struct Ragged {
    mlir::Value value;
    /// For each iteration where it begins in `whole`, and its dynamic sizes; null for static ones.
    mlir::Value offsets;
    llvm::SmallVector<mlir::Value> sizes;
    mlir::Value whole;
    mlir::Value row = {};
  };

  LoopStates(mlir::scf::ForOp op, llvm::ArrayRef<mlir::Value> captured, graph::DimAnalysis &dims);

  static bool isFloatTensor(mlir::Type type);
  static llvm::SmallVector<mlir::OpFoldResult> mapAll(llvm::ArrayRef<mlir::OpFoldResult> values,
                                                      const mlir::IRMapping &mapping);
  /// Where the rows of an iteration stand: its number, or that from the end.
  mlir::Value createPlace(mlir::OpBuilder &b, mlir::Value iteration) const;
  mlir::Value extractRow(mlir::OpBuilder &b, const Tape &tape, mlir::Value place) const;
  mlir::Value extractRow(mlir::OpBuilder &b, const Ragged &ragged, mlir::Value place) const;
  /// Puts a row, whose shape this is, into a stack of such.
  static mlir::Value insertRow(mlir::OpBuilder &b, mlir::Location loc, mlir::Value row, mlir::Value stack,
                               mlir::Value place, llvm::ArrayRef<mlir::OpFoldResult> shape);
  /// The shape of a value of a loop, if it is known in front of it. `fixed` are those of what
  /// the loop carries whose sizes stay.
  static std::optional<llvm::SmallVector<mlir::OpFoldResult>>
  getFixedShape(mlir::Value value, mlir::scf::ForOp loop, const llvm::BitVector &fixed, graph::DimAnalysis &dims);
  /// Makes the loop keep the tapes that are read behind it; erases the op, which another replaces.
  void keep(mlir::scf::ForOp backward, graph::DimAnalysis &dims);

  mlir::scf::ForOp op;
  mlir::Location loc;
  /// How often it runs, known in front of it.
  mlir::Value count;
  /// Values from outside that are read row by row, each row in the iteration of its place.
  llvm::DenseSet<mlir::Value> scanned;
  /// Of what is carried: the op that writes a row in each iteration, and nothing reads what was
  /// there; null for others.
  llvm::SmallVector<mlir::tensor::InsertSliceOp> written;
  /// Of what is carried, but for floating-point scalars, then of products.
  llvm::SmallVector<Tape> tapes;
  llvm::SmallVector<Ragged> ragged;
  /// Of what is carried: the tensors whose sizes stay.
  llvm::BitVector fixed;

private:
  /// Whether a slice of `whole` is the row of the iteration's place.
  bool isRow(mlir::OffsetSizeAndStrideOpInterface slice, mlir::RankedTensorType row,
             llvm::ArrayRef<mlir::OpFoldResult> whole);
  void findRows(llvm::ArrayRef<mlir::Value> captured, graph::DimAnalysis &dims);
  void findProducts(graph::DimAnalysis &dims);
  void addTape(mlir::Value value, llvm::ArrayRef<mlir::OpFoldResult> shape);
  void addRagged(mlir::Value value);
  /// How many elements each of these has in all iterations: a loop of the same steps in front
  /// of this one.
  llvm::SmallVector<mlir::Value> countElements(llvm::ArrayRef<Ragged *> counted, graph::DimAnalysis &dims);

  /// Rows stand from the end; null while there are none.
  std::optional<bool> isReversed;
  llvm::SmallVector<llvm::SmallVector<mlir::OpFoldResult>> shapes; // of what is carried
};

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_LOOPSTATES_H
