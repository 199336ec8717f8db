//===- Passes.h - Passes of the tile phase ------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_TILE_PASSES_H
#define NACRE_COMPILER_TILE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nacre::tile {

#define GEN_PASS_DECL
#include "compiler/tile/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/tile/Passes.h.inc"

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_PASSES_H
