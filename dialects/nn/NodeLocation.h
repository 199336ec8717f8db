//===- NodeLocation.h - The node of a model as a location -------*- C++ -*-===//
//
// Every op carries the node of the source model that it came from, as
// NameLoc("<node name> (<op type>)"). Messages to the user quote it as
// node '<name>' (<op type>).
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_DIALECTS_NN_NODELOCATION_H
#define NACRE_DIALECTS_NN_NODELOCATION_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include <string>

namespace nacre::nn {

/// The location of the ops that a node becomes.
mlir::Location getNodeLocation(mlir::MLIRContext *context, llvm::StringRef name,
                               llvm::StringRef opType);

/// "node '<name>' (<op type>)" for an op's location, "" if it names no node.
std::string describeNode(mlir::Location location);

/// Any bytes made fit for a message: control characters and what is no UTF-8
/// escaped as \xNN, the middle of a long name replaced by "...".
std::string printable(llvm::StringRef name, size_t maxLength = 120);
/// printable() in single quotes.
std::string quoted(llvm::StringRef name);

/// One diagnostic as a line for the user, without a newline:
/// "<file>: node '<name>' (<op>): <message>", notes after it on lines of their
/// own.
std::string formatDiagnostic(mlir::Diagnostic &diagnostic,
                             llvm::StringRef fileName);

} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NODELOCATION_H
