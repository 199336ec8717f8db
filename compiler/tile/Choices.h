//===- Choices.h - Decisions that could be others ---------------*- C++ -*-===//
//
// A pass that decides about kernels by a model of costs may be told to decide otherwise, and may
// leave on the kernel what it decided and what else it could have been (`nacre compile --tune`).
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_TILE_CHOICES_H
#define NACRE_COMPILER_TILE_CHOICES_H

#include "dialects/kern/KernOps.h"
#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <string>

namespace nacre::tile {

/// A kernel's list of dictionaries, one for each choice: {key = "tiles.0123456789abcdef",
/// chosen = "1x8x0x64", others = ["1x4x0x64", ...]}, and `open` if sizes are known in a run only. The
/// others come in the order in which they are worth a trial.
constexpr llvm::StringLiteral kChoices = "kern.choices";

/// One decision about a kernel. Its key is what is decided, and a hash of the kernel: structure, shapes and
/// types, whatever its name and wherever it comes from. So it is made before the kernel is changed.
class Choice {
public:
  /// `decisions` are "key=chosen". `context` is all that the choice depends on and the kernel does not show.
  Choice(kern::FuncOp func, llvm::StringRef kind, llvm::ArrayRef<std::string> decisions, bool isRecorded,
         llvm::StringRef context = "");

  /// What is decided, if something is.
  std::optional<llvm::StringRef> getDecision() const { return decision; }
  /// Says with a warning that it means nothing for the kernel.
  void warnOfDecision() const;
  /// Nobody asks for it or decides it.
  bool isIdle() const { return key.empty(); }
  /// Leaves it on the kernel, if it is asked for.
  void record(llvm::StringRef chosen, llvm::ArrayRef<std::string> others) const;

private:
  mutable kern::FuncOp func; // ops are not const
  std::string key;
  std::optional<llvm::StringRef> decision;
  bool isRecorded, isOpen = false;
};

} // namespace nacre::tile

#endif // NACRE_COMPILER_TILE_CHOICES_H
