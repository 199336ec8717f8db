//===- Contracts.h - What must hold after each phase ------------*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_CONTRACTS_H
#define NACRE_COMPILER_PIPELINE_CONTRACTS_H

#include "mlir/IR/BuiltinOps.h"

namespace nacre {

/// Every nn op has a location.
mlir::LogicalResult verifyAfterImport(mlir::ModuleOp module);
/// Every compute op stands in a kernel.
mlir::LogicalResult verifyAfterGraph(mlir::ModuleOp module);
/// No nn op is left but parameters and their uses.
mlir::LogicalResult verifyAfterLower(mlir::ModuleOp module);
/// Kernels consist of structured ops and loops on tensors.
mlir::LogicalResult verifyAfterTile(mlir::ModuleOp module);
/// No tensor and no unplanned allocation is left.
mlir::LogicalResult verifyAfterBuffer(mlir::ModuleOp module);
/// Code has been taken out of the module: parameters are left.
mlir::LogicalResult verifyAfterCodegen(mlir::ModuleOp module);

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_CONTRACTS_H
