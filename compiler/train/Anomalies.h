//===- Anomalies.h - Where numbers go wrong ---------------------*- C++ -*-===//
//
// With --detect-anomaly a step ends at the first node that makes a NaN, forward, or whose
// gradient is none, backward, and says which it was.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TRAIN_ANOMALIES_H
#define NACRE_COMPILER_TRAIN_ANOMALIES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace nacre::train {

/// What ends a run: a NaN, or that and an infinity, which is no number to go on with either
/// where a gradient or a weight should be.
enum class Anomaly { NaN, NotFinite };

/// Ends the run with the text, which follows the node that `loc` names, if `value` has such an
/// element. Nothing for what is no tensor of floats.
void checkNumbers(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, Anomaly anomaly, const llvm::Twine &text);

/// What an op is called in a message: its node is named by its location; "'nn.log' in line 3: "
/// where there is none.
std::string describeUnnamed(mlir::Operation *op);

/// Checks the function's inputs, the parameters that it reads, and what each of its nodes gives to
/// others, in the order in which they are computed. What a node computes for itself may be
/// anything: it may look for NaNs.
void checkForward(mlir::func::FuncOp func);

} // namespace nacre::train

#endif // NACRE_COMPILER_TRAIN_ANOMALIES_H
