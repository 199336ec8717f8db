//===- OutputFile.h - A file that appears complete or not at all -*- C++ -*-===//
#ifndef NACRE_COMPILER_SUPPORT_OUTPUTFILE_H
#define NACRE_COMPILER_SUPPORT_OUTPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include <string>
#include <sys/types.h>

namespace nacre {

/// A file on its way to `target`. Until `commit` it has no name where the file system can
/// do that (O_TMPFILE), so that nothing is left of it however the process ends; elsewhere
/// it has a name of its own beside the target. (LLVM's TempFile and ToolOutputFile take over the
/// process's signals, which belong to the host.)
class OutputFile {
public:
  static llvm::Expected<OutputFile> create(llvm::StringRef target, mode_t mode = 0666);
  OutputFile(OutputFile &&other);
  OutputFile(const OutputFile &) = delete;
  ~OutputFile();

  int getDescriptor() const { return descriptor; }
  llvm::Error write(const void *data, size_t size, uint64_t offset);
  llvm::Error read(void *data, size_t size, uint64_t offset) const;
  /// The same at the end of what was appended so far.
  llvm::Error append(llvm::StringRef text);

  /// On to the disk, unless the file can be done without after a power failure, and to the
  /// target's name.
  llvm::Error commit(bool isSynced = true);

private:
  OutputFile() = default;

  int descriptor = -1;
  bool isNamed = false; // `path` is a name beside the target
  std::string target, path;
  uint64_t appended = 0;
};

/// The operating system's reason for a failed call, after `what`.
llvm::Error errnoError(const llvm::Twine &what);
/// A text as a file.
llvm::Error writeTextFile(llvm::StringRef target, llvm::StringRef text);

} // namespace nacre

#endif // NACRE_COMPILER_SUPPORT_OUTPUTFILE_H
