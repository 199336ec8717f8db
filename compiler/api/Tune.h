//===- Tune.h - A compilation that measures ---------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_TUNE_H
#define NACRE_COMPILER_API_TUNE_H

#include "compiler/api/Call.h"

namespace nacre {

/// Tunes a model as `options.tune` says, in the form that it will have: the options to compile it with, whose
/// decisions are what was found.
Result<CompileOptions> tuneOptions(const ModelSource &source, const CompileOptions &options, bool isFile);

} // namespace nacre

#endif // NACRE_COMPILER_API_TUNE_H
