//===- NNOps.h - The nn dialect ---------------------------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_NN_NNOPS_H
#define NACRE_DIALECTS_NN_NNOPS_H

#include "dialects/nn/NNFolding.h"
#include "dialects/nn/NNInterfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/nn/NNDialect.h.inc"
#include "dialects/nn/NNEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NNTypes.h.inc"

#include "dialects/nn/NNShapes.h"
#include "dialects/nn/NNSizeMath.h"

#define GET_OP_CLASSES
#include "dialects/nn/NNOps.h.inc"

namespace nacre::nn {
/// Which element of a dimension of `size` nn.pad takes for a position that may lie
/// outside of it; -1 for its value.
int64_t mapPadded(PadMode mode, int64_t position, int64_t size);
/// Whether an op may give a parameter this value.
llvm::LogicalResult verifySetsParameter(mlir::Operation *op, mlir::FlatSymbolRefAttr name, mlir::Value value,
                                        mlir::SymbolTableCollection &symbols);
} // namespace nacre::nn

#endif // NACRE_DIALECTS_NN_NNOPS_H
