//===- InPlaceUpdate.h - Kernels that change tensors where they are -*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_INPLACEUPDATE_H
#define NACRE_COMPILER_TILE_INPLACEUPDATE_H

#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace nacre::tile {

/// The op that is all of a kernel beside constants, if it changes all destinations where they
/// are, element by element, by tensors of the same static shape and by scalars, all of them
/// arguments: an optimiser's update of a parameter. Null if the kernel is another. On tensors
/// and on memrefs.
mlir::linalg::GenericOp getInPlaceUpdate(kern::FuncOp kernel);

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_INPLACEUPDATE_H
