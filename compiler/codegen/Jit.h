//===- Jit.h - Objects in this process's memory -----------------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_JIT_H
#define NACRE_COMPILER_CODEGEN_JIT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBufferRef.h"
#include <memory>

namespace nacre::codegen {

/// Linked code, as long as the object lives. Sees libc and libm, as an artefact
/// does, and nothing else of the process.
class JitCode {
public:
  static llvm::Expected<std::unique_ptr<JitCode>> load(llvm::ArrayRef<llvm::MemoryBufferRef> objects);
  ~JitCode();

  /// The address of a symbol. Links on first use: the objects must stay till then.
  llvm::Expected<void *> lookup(llvm::StringRef symbol);

private:
  struct Session;
  explicit JitCode(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_JIT_H
