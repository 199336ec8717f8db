//===- RtOps.h - The runtime's ABI as ops -----------------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_RT_RTOPS_H
#define NACRE_DIALECTS_RT_RTOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/rt/RtDialect.h.inc"

namespace nacre::rt {

/// How a run that a check ends has failed: values of enum nacre_abi_status.
enum class Status : int32_t { OutOfMemory = 1, InvalidShape = 2, InvalidValue = 3 };

/// `text` with the node that it is about in front: "node 'add' (Add): text", where
/// the location has a name, as every location that an importer made.
std::string nodeMessage(mlir::Location loc, const llvm::Twine &text);

} // namespace nacre::rt

#define GET_OP_CLASSES
#include "dialects/rt/RtOps.h.inc"

#endif // NACRE_DIALECTS_RT_RTOPS_H
