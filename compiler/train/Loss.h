//===- Loss.h - What losses are built with ----------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_LOSS_H
#define NACRE_COMPILER_TRAIN_LOSS_H

#include "compiler/train/StepBuilder.h"
#include "compiler/train/Update.h"

namespace nacre::train {

/// One term of what is minimised, while it is built.
class Loss {
public:
  Loss(const spec::Request &settings, spec::Text outputs, StepBuilder &step);

  double operator[](spec::Text key) const { return settings[key]; }
  bool isOn(spec::Text flag) const { return settings[flag] != 0; }
  mlir::RankedTensorType getType() const { return outputs[0].getType(); }
  mlir::Type getElementType() const { return getType().getElementType(); }

  /// Takes the outputs that the term names, or the model's first ones, of floats.
  mlir::LogicalResult takeOutputs(unsigned count, llvm::StringRef what);
  /// Reports that an output is not what was expected.
  mlir::LogicalResult refuse(llvm::StringRef what);

  /// An input for what the outputs should be, as `like` but for dropped dimensions.
  mlir::FailureOr<mlir::Value> addTarget(llvm::StringRef role, mlir::Value like, llvm::ArrayRef<int64_t> dropped,
                                         mlir::Type element);
  /// The same of the dimensions `kept` alone, StepBuilder::kAnySize for others. One with
  /// `isExtra` has its name whatever the setting `target` says.
  mlir::FailureOr<mlir::Value> addTargetOf(llvm::StringRef role, mlir::Value like, llvm::ArrayRef<int64_t> kept,
                                           mlir::Type element, bool isExtra = false);
  /// As the first output.
  mlir::FailureOr<nn::TensorExpr> addTargets();

  /// The mean or the sum of all elements.
  nn::TensorExpr reduce(nn::TensorExpr losses);
  /// Weights that were given, one for each of `size` (-1: any number of) classes; null if none were.
  mlir::FailureOr<mlir::Value> getWeights(spec::Text key, int64_t size);

  mlir::InFlightDiagnostic error(const llvm::Twine &text);

  const spec::Request &settings;
  StepBuilder &step;
  llvm::StringRef outputNames;
  mlir::OpBuilder b;
  mlir::Location loc;
  /// The outputs, in f32 or f64.
  llvm::SmallVector<nn::TensorExpr> outputs;

private:
  llvm::SmallVector<mlir::Value> raw; // as the model has them
};

/// A loss that can be asked for.
struct LossKind {
  spec::Entry entry;
  mlir::FailureOr<mlir::Value> (*build)(Loss &loss);
};

template <size_t N>
constexpr spec::Entry makeEntry(spec::Text name, const spec::Setting (&settings)[N], spec::Text about) {
  static_assert(N <= size_t(spec::Request::kMost));
  return {name, settings, N, about};
}
inline constexpr spec::Setting kReduction = spec::choice("reduction", "mean|sum", "what becomes of the losses");
inline constexpr spec::Setting kTarget = spec::name("target", "the input with what the output should be");

llvm::ArrayRef<LossKind> getClassLosses();
llvm::ArrayRef<LossKind> getElementLosses();
llvm::ArrayRef<LossKind> getSequenceLosses();
llvm::ArrayRef<LossKind> getVectorLosses();

nn::TensorExpr softplus(nn::TensorExpr x);
nn::TensorExpr relu(nn::TensorExpr x);
/// The logarithm of the softmax along dimension 1.
nn::TensorExpr logSoftmax(nn::TensorExpr x);
/// The sum along dimensions, which go.
nn::TensorExpr sumOver(nn::TensorExpr x, llvm::ArrayRef<int64_t> axes);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_LOSS_H
