//===- CpuTarget.h - LLVM IR to objects for a CPU ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_CODEGEN_CPUTARGET_H
#define NACRE_COMPILER_CODEGEN_CPUTARGET_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Triple.h"
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace nacre::codegen {

/// How much work LLVM does. Host code is straight-line calls, and of thousands of
/// calls it only translates one by one. Tiled kernels are blocked and vectorized as
/// they should be: they are cleaned up, and not unrolled once more. In other kernels
/// LLVM shall find vectors itself.
enum class Effort { LongHost, Host, TiledKernel, Kernel };

/// A CPU that code is generated for. Immutable; threads may share it.
class CpuTarget {
public:
  /// The CPU by LLVM's name; empty, or "native": this machine's, with exactly
  /// the features that its operating system offers. `features` are changes to
  /// them, "+avx2,-fma". Of SVE code may use no more of a vector than every CPU has, 128 bits, but
  /// for CPUs that are known to have more, or with "+sve256", "+sve512", ... among the features.
  /// `triple` names another machine ("aarch64-linux-gnu"), whose CPU is then its most
  /// general one if none is given; empty: this machine's kind.
  static llvm::Expected<CpuTarget> create(llvm::StringRef cpu, llvm::StringRef features,
                                          llvm::StringRef triple = "");

  /// The CPUs of a list of names, separated by commas; one without commas may be empty. The
  /// best first: those of more features before those of fewer. No two of the same features.
  static llvm::Expected<std::vector<CpuTarget>> createAll(llvm::StringRef cpus, llvm::StringRef features,
                                                          llvm::StringRef triple = "");

  /// Any CPU of this one's machine: what runs before a CPU is known is for that.
  CpuTarget getMostGeneral() const;

  /// This machine.
  static llvm::Expected<CpuTarget> host() { return create("", ""); }

  const llvm::Triple &getTriple() const { return triple; }
  /// This machine can run the code, but for the CPU's features.
  bool isNative() const;
  const std::string &getCPU() const { return cpu; }
  /// LLVM's features, and after them the least length of a vector of SVE, "sve256".
  std::string getFeatureString() const;
  /// The features that the code may use, as nacre_abi_model.target_features
  /// wants them: "avx2,fma".
  const std::string &getRequiredFeatures() const { return required; }
  bool hasFeature(llvm::StringRef feature) const;
  /// Bits of a vector register of the widest kind, and the number of these registers.
  unsigned getVectorBits() const;
  unsigned getVectorRegisters() const;
  /// Products of f32 that a core adds in a cycle.
  unsigned getLanes() const;

  bool operator==(const CpuTarget &other) const {
    return triple == other.triple && cpu == other.cpu && features == other.features && sveBits == other.sveBits;
  }

  /// Code checks its accesses with AddressSanitizer from now on.
  void sanitizeAddress() { sanitize = true; }

  /// Optimizes the module and emits an object. Sets the module's data layout
  /// and triple. Thread-safe for modules of different contexts. Fails soon after
  /// `cancel` becomes true.
  llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
  compile(llvm::Module &module, Effort effort, const std::atomic<bool> *cancel = nullptr) const;

  /// The assembly of a module that is optimized already.
  llvm::Expected<std::string> assemble(llvm::Module &module) const;

private:
  /// ",sve256" or nothing.
  std::string getSveFeature() const;
  std::unique_ptr<llvm::TargetMachine> makeMachine(llvm::CodeGenOptLevel level) const;

  llvm::Error emit(llvm::Module &module, llvm::TargetMachine &machine, bool asText,
                   llvm::SmallVectorImpl<char> &bytes) const;

  llvm::Triple triple;
  std::string cpu, features, required;
  /// The length of SVE's vectors that code may rely on; 0: none but what SVE guarantees.
  unsigned sveBits = 0;
  bool sanitize = false;
};

} // namespace nacre::codegen

#endif // NACRE_COMPILER_CODEGEN_CPUTARGET_H
