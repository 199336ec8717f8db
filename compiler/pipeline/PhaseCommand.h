//===- PhaseCommand.h - How to run one phase by itself ----------*- C++ -*-===//
#ifndef NACRE_COMPILER_PIPELINE_PHASECOMMAND_H
#define NACRE_COMPILER_PIPELINE_PHASECOMMAND_H

#include "llvm/ADT/SmallVector.h"
#include <string>

namespace nacre {

struct Compilation;
struct Phase;

/// A command line: `tool` FILE `arguments`.
struct PhaseCommand {
  std::string tool;
  llvm::SmallVector<std::string> arguments;
};

/// Runs the phase on a file with a module that enters it, and checks the phase's contract:
/// nacre-opt where the phase is passes and no more, else the compiler, started there.
PhaseCommand getPhaseCommand(const Phase &phase, const Compilation &compilation);

/// Registers `verify-phase`, which checks a phase's contract.
void registerVerifyPhasePass();

} // namespace nacre

#endif // NACRE_COMPILER_PIPELINE_PHASECOMMAND_H
