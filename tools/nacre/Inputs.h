//===- Inputs.h - The inputs of a run from the command line -----*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_INPUTS_H
#define NACRE_TOOLS_NACRE_INPUTS_H

#include "tools/nacre/Command.h"
#include "tools/nacre/HostTensor.h"

namespace nacre::tool {

/// --input, --random, --input-dim: where a run's inputs come from.
class InputFlags {
public:
  explicit InputFlags(llvm::cl::SubCommand &command);

  /// One tensor for each input of the function, in order. Inputs without a file are
  /// random with --random (or if `alwaysRandom`), else an error that lists them.
  Result<std::vector<HostTensor>> read(const Function &function, bool alwaysRandom) const;

private:
  llvm::cl::list<std::string> files, sizes;
  llvm::cl::opt<uint64_t> seed;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_INPUTS_H
