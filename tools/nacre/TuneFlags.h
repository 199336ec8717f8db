//===- TuneFlags.h - Options of tuning --------------------------*- C++ -*-===//
#ifndef NACRE_TOOLS_NACRE_TUNEFLAGS_H
#define NACRE_TOOLS_NACRE_TUNEFLAGS_H

#include "tools/nacre/Command.h"

namespace nacre::tool {

/// --tune, with --threads and --size of the runs that are measured; --decisions.
class TuneFlags {
public:
  explicit TuneFlags(llvm::cl::SubCommand &command);
  /// False after a message if an option is malformed, or the file of decisions cannot be read.
  bool fill(CompileOptions &options) const;

private:
  llvm::cl::opt<std::string> tune, decisions;
  llvm::cl::opt<int> threads;
  llvm::cl::list<std::string> sizes;
};

/// "tuning: 3 of 12 decisions changed, ..."
std::string describe(const TuneResult &result);
llvm::json::Object toJson(const TuneResult &result);

} // namespace nacre::tool

#endif // NACRE_TOOLS_NACRE_TUNEFLAGS_H
