//===- Optimizers.h - What there is to train with ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TRAIN_OPTIMIZERS_H
#define NACRE_COMPILER_TRAIN_OPTIMIZERS_H

#include "compiler/train/Update.h"

namespace nacre::train {

/// Reads "adamw:weight_decay=0.1": a name of the table and settings; false after a message.
bool parseOptimizer(spec::Text text, spec::Request &request, spec::Message &message);

/// A line for each optimiser and each of its settings.
std::string describeOptimizers();

/// Builds the parameter's new value, in the type of `update.value`, and sets its state.
nn::TensorExpr buildUpdate(Update &update);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_OPTIMIZERS_H
