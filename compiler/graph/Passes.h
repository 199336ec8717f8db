//===- Passes.h - Passes of the graph phase ------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_GRAPH_PASSES_H
#define NACRE_COMPILER_GRAPH_PASSES_H

#include "mlir/Pass/Pass.h"

namespace nacre::graph {

#define GEN_PASS_DECL
#include "compiler/graph/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/graph/Passes.h.inc"

} // namespace nacre::graph

#endif // NACRE_COMPILER_GRAPH_PASSES_H
