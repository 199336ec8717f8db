//===- Inputs.h - The inputs of a run from the command line -----*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_INPUTS_H
#define NACRE_TOOLS_NACRE_INPUTS_H

#include "tools/nacre/Command.h"
#include "tools/nacre/TensorFiles.h"
#include <map>

namespace nacre::tool {

/// --input, --inputs, --random, --size: where a run's inputs come from.
class InputFlags {
public:
  explicit InputFlags(llvm::cl::SubCommand &command);

  /// Before anything is opened: false after a message if an option is malformed.
  /// `compiled` says the sizes that --dim gives, which hold for random inputs too.
  bool parse(const CompileOptions &compiled);

  /// Reads the files, and says what is in them for a model that is yet to be compiled: how
  /// long sequences are, and ranks.
  Status read(CompileOptions &options);

  /// One tensor for each input of the function, in order. Inputs without a file are
  /// random with --random (or if `alwaysRandom`), else an error that lists them.
  Result<std::vector<HostTensor>> collect(const Function &function, bool alwaysRandom);

  /// Draws the random ones of these tensors again, with integers below a limit.
  void limitIntegers(std::vector<HostTensor> &tensors, uint64_t limit) const;

private:
  /// A value, and the file that it is from.
  struct Given {
    HostValue value;
    std::string file;
  };
  /// An input's tensors, of those of a function, to the end of `tensors`.
  Status take(const ValueInfo &input, llvm::ArrayRef<TensorInfo> inputs, Given given,
              std::vector<HostTensor> &tensors) const;

  llvm::cl::list<std::string> files, archives, sizes;
  llvm::cl::opt<uint64_t> seed;
  std::map<std::string, std::string, std::less<>> places; // file by input
  std::map<std::string, int64_t, std::less<>> symbols;
  std::map<std::string, Given, std::less<>> values; // by input
  std::vector<size_t> randomTensors;                // of those that were collected
};

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_INPUTS_H
