//===- TrainResult.h - What a training comes to -----------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TRAINRESULT_H
#define NACRE_TOOLS_NACRE_TRAINRESULT_H

#include "compiler/api/Compiler.h"
#include "compiler/api/Exporter.h"
#include "llvm/ADT/StringRef.h"

namespace nacre::tool {

/// Why the trained model of `path` cannot be called `output`; empty: it can.
std::string checkName(llvm::StringRef path, llvm::StringRef output);
/// Whether a file can be written there: asked before time goes into training.
Status checkPlace(const std::string &output);
/// Writes the model as it was read, or compiles that for inference.
Status writeResult(Exporter &exporter, Session &session, const CompileOptions &trained, const std::string &path,
                   const std::string &output);

/// What the file has of nodes that training treats otherwise, so that nobody trains without them
/// unawares.
std::string describe(const TrainedNodes &nodes);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TRAINRESULT_H
