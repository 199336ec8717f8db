//===- Losses.h - What there is to minimise ---------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_LOSSES_H
#define NACRE_COMPILER_TRAIN_LOSSES_H

#include "compiler/train/StepBuilder.h"
#include "runtime/api/nacre_spec.hpp"

namespace nacre::train {

/// Whether a sum of losses, "softmax-cross-entropy + 0.4*mse@aux", names losses that exist
/// and settings that they take; false after a message.
bool checkLosses(spec::Text sum, spec::Message &message);

/// The label that does not count in the loss of the model's first output; -100 unless given.
int64_t getIgnoredLabel(spec::Text sum);

/// A line for each loss and each of its settings.
std::string describeLosses();

/// Builds the sum, a scalar, at the end of the function, with inputs for its targets. Fails
/// after a diagnostic.
mlir::FailureOr<mlir::Value> buildLosses(spec::Text sum, StepBuilder &step);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_LOSSES_H
