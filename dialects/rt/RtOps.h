//===- RtOps.h - The runtime's ABI as ops -----------------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_RT_RTOPS_H
#define NACRE_DIALECTS_RT_RTOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/rt/RtDialect.h.inc"

#define GET_OP_CLASSES
#include "dialects/rt/RtOps.h.inc"

#endif // NACRE_DIALECTS_RT_RTOPS_H
