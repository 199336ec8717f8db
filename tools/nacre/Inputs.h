//===- Inputs.h - The inputs of a run from the command line -----*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_INPUTS_H
#define NACRE_TOOLS_NACRE_INPUTS_H

#include "tools/nacre/Command.h"
#include "tools/nacre/HostTensor.h"
#include <map>

namespace nacre::tool {

/// --input, --inputs, --random, --size: where a run's inputs come from.
class InputFlags {
public:
  explicit InputFlags(llvm::cl::SubCommand &command);

  /// Before anything is opened: false after a message if an option is malformed.
  /// `compiled` says the sizes that --dim gives, which hold for random inputs too.
  bool parse(const CompileOptions &compiled);

  /// One tensor for each input of the function, in order. Inputs without a file are
  /// random with --random (or if `alwaysRandom`), else an error that lists them.
  Result<std::vector<HostTensor>> read(const Function &function, bool alwaysRandom) const;

private:
  Result<std::map<std::string, HostTensor, std::less<>>> readFiles() const;

  llvm::cl::list<std::string> files, archives, sizes;
  llvm::cl::opt<uint64_t> seed;
  std::map<std::string, std::string, std::less<>> places; // file by input
  std::map<std::string, int64_t, std::less<>> symbols;
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_INPUTS_H
