//===- KernOps.h - Fused kernels --------------------------------*- C++ -*-===//
#ifndef NACRE_DIALECTS_KERN_KERNOPS_H
#define NACRE_DIALECTS_KERN_KERNOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/TilingInterface.h"

#include "dialects/kern/KernDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kern/KernAttrs.h.inc"

namespace nacre::kern {
/// The name of the list of halos (HaloAttr) on a structured op.
inline constexpr llvm::StringLiteral kHalo = "kern.halo";
/// On a call: numbers of the destinations that the kernel reads where it writes, all of them.
inline constexpr llvm::StringLiteral kOverwrites = "kern.overwrites";
/// On a call of a kernel whose code is another's: the kernel that it was formed as.
inline constexpr llvm::StringLiteral kFormedAsAttr = "formed_as";
/// Places along each dimension that one transformed tile of kern.winograd gives, of those that it reads.
inline constexpr int64_t getWinogradPlaces(int64_t reads) { return reads - 2; }
} // namespace nacre::kern

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.h.inc"

#endif // NACRE_DIALECTS_KERN_KERNOPS_H
