//===- StepBuilder.h - The signature of a training step ---------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_STEPBUILDER_H
#define NACRE_COMPILER_TRAIN_STEPBUILDER_H

#include "compiler/graph/DimAnalysis.h"
#include "dialects/nn/NNOps.h"

namespace nacre::train {

/// A copy of @main of that name, behind it. Fails after a diagnostic if the name is taken.
mlir::FailureOr<mlir::func::FuncOp> cloneMain(mlir::func::FuncOp main, llvm::StringRef name);

/// Adds inputs and outputs to a function that is being made from @main.
class StepBuilder {
public:
  StepBuilder(mlir::func::FuncOp func, graph::DimAnalysis &dims)
      : func(func), dims(dims), inputCount(func.getNumArguments()) {}

  mlir::func::FuncOp getFunction() { return func; }
  mlir::Operation *getTerminator() { return func.getBody().front().getTerminator(); }

  /// The model's output of that name, or the one at that place; null if there is none.
  mlir::Value findOutput(llvm::StringRef name);
  mlir::Value getOutput(unsigned index);
  std::string getOutputName(unsigned index);
  /// The names of the outputs, for messages.
  std::string listOutputs();

  mlir::BlockArgument addInput(llvm::StringRef name, mlir::RankedTensorType type, mlir::ArrayAttr symbols = {});
  /// As the first output, in f32.
  void addLoss(mlir::Value total);

  /// An input with the sizes of `like` in the dimensions `kept`, where kAnySize is any size:
  /// the one that was made for that name before, one of the model's own if `mayBeOwn`, or a
  /// new one. Where sizes may differ at run time they are checked. Null if what has the name
  /// is of another type.
  static constexpr int64_t kAnySize = -1;
  mlir::Value addTarget(llvm::StringRef name, mlir::Value like, llvm::ArrayRef<int64_t> kept, mlir::Type element,
                        bool mayBeOwn);
  /// What knows sizes.
  graph::DimAnalysis &getDims() { return dims; }

private:
  void addFirstOutput(llvm::StringRef name, mlir::Value value);
  /// Where the function says what its inputs or outputs are together: one tensor more.
  void addValue(llvm::StringRef attribute, mlir::Attribute name, bool isFirst);
  /// The name, or a longer one that no input or output has.
  std::string makeFree(llvm::StringRef name);
  /// Ends the run where sizes differ.
  void checkSizes(mlir::Value target, mlir::Value like, llvm::ArrayRef<int64_t> dims);

  mlir::func::FuncOp func;
  graph::DimAnalysis &dims;
  unsigned inputCount; // the model's own
  llvm::StringMap<mlir::Value> targets;
};

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_STEPBUILDER_H
