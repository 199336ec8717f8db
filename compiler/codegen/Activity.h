//===- Activity.h - What a thread of the compiler is at ---------*- C++ -*-===//
//
// For who has to say where the compiler died: passes and kernels, thread by thread.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_CODEGEN_ACTIVITY_H
#define NACRE_COMPILER_CODEGEN_ACTIVITY_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace mlir {
class PassManager;
}

namespace nacre::codegen {

/// A pass, and the kernel that it runs on; empty: none, or unknown.
struct Activity {
  std::string pass, kernel;

  /// This thread's.
  static Activity &current();
  /// "pass 'p', kernel 'k'", or what of it is known.
  std::string describe() const;
};

/// While it lives, this thread is at a kernel.
class KernelScope {
public:
  explicit KernelScope(llvm::StringRef kernel) { Activity::current() = {"", kernel.str()}; }
  ~KernelScope() { Activity::current() = {}; }
};

/// Keeps the threads' activities while the passes run. The pass that fails is left in
/// `failed`; of several, that of the kernel that is first by name.
void trackActivity(mlir::PassManager &passes, Activity &failed);

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_ACTIVITY_H
