//===- Precision.h - What a training computes in ------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_PRECISION_H
#define NACRE_COMPILER_TRAIN_PRECISION_H

#include "compiler/train/Update.h"

namespace nacre::train {

/// Reads "f16:scale=1024": f32, bf16 or f16, and settings; false after a message.
bool parsePrecision(spec::Text text, spec::Request &request, spec::Message &message);

/// Whether products are to be computed in a narrower type than the model's.
bool isNarrow(const spec::Request &precision);
/// Whether the gradients' range is so small that the loss is to be scaled.
bool needsLossScale(const spec::Request &precision);

/// A factor of the loss that keeps small gradients from vanishing in f16, and is lowered
/// whenever they overflow: torch.amp.GradScaler. It is a parameter, `optimizer.scale`, beside the
/// number of updates that it has held for.
class LossScale {
public:
  /// `accumulate`: so many steps' gradients make an update.
  LossScale(const spec::Request &settings, int64_t accumulate, mlir::SymbolTable &symbols, mlir::OpBuilder &builder,
            mlir::Location loc);

  /// The loss that is differentiated: a share of an update's, times the factor.
  nn::TensorExpr scale(nn::TensorExpr loss);
  /// The gradient of the loss as it was.
  nn::TensorExpr unscale(nn::TensorExpr gradient);
  /// Sets the factor for the next step, where `isDue` (may be null) holds. Whether all of the
  /// gradients are finite: else there must be no update.
  mlir::Value update(llvm::ArrayRef<nn::TensorExpr> gradients, mlir::Value isDue);

  /// Its parameters after the step.
  llvm::SmallVector<std::pair<mlir::StringAttr, mlir::Value>> finish() { return state.finish(due); }

private:
  const spec::Request &settings;
  int64_t accumulate;
  StepState state;
  nn::TensorExpr factor;
  mlir::Value due;
};

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_PRECISION_H
