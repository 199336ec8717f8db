//===- InferShapes.h - Refine the types of an nn op -------------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_INFERSHAPES_H
#define NACRE_COMPILER_GRAPH_INFERSHAPES_H

#include "mlir/IR/Operation.h"

namespace nacre::graph {

/// Makes an op's result types as precise as its operands imply; nothing for ops that
/// are not of nn. Fails, with a diagnostic, if the operands do not fit together.
mlir::LogicalResult refineResultTypes(mlir::Operation *op);

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_INFERSHAPES_H
