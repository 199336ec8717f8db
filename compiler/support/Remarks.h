//===- Remarks.h - What passes say of kernels -------------------*- C++ -*-===//
//
// A pass that decides something about a kernel, or leaves out what it could have done, says so by one of
// MLIR's remarks (mlir/IR/Remarks.h), and why:
//
//   remark::passed(op.getLoc(), aboutKernel("choose-tiles", op)) << remark::add("tiles of {0}", sizes);
//   remark::missed(op.getLoc(), aboutKernel("choose-winograd", op)) << remark::reason("windows are 5 x 5");
//
// A compilation keeps them in a RemarkLog, for `nacre report`.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_COMPILER_SUPPORT_REMARKS_H
#define NACRE_COMPILER_SUPPORT_REMARKS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"
#include <mutex>
#include <string>
#include <vector>

namespace nacre {

/// Names a remark after a pass, by its argument on the command line, and after the function, a kernel, that the op is
/// or is in.
mlir::remark::RemarkOpts aboutKernel(llvm::StringRef pass, mlir::Operation *op);

/// Remarks in the order in which they came: those of one kernel in the same order in each compilation, as the passes
/// on a kernel come one after the other. Thread-safe but for `rewind`.
class RemarkLog {
public:
  struct Entry {
    std::string kernel, pass;
    llvm::StringRef kind; ///< passed, missed, analysis or failed
    std::string text;
  };

  /// Keeps what a context's passes say from now on, as long as the context lives. With `print` they are diagnostics
  /// as well.
  void attachTo(mlir::MLIRContext &context, bool print);

  /// Of one kernel, each once.
  std::vector<Entry> get(llvm::StringRef kernel) const;

  /// Forgets all but the first `size`: what was said of the module for another CPU.
  size_t size() const { return entries.size(); }
  void rewind(size_t size) { entries.resize(std::min(size, entries.size())); }

private:
  class Streamer;
  mutable std::mutex mutex;
  std::vector<Entry> entries;
};

} // namespace nacre

#endif // NACRE_COMPILER_SUPPORT_REMARKS_H
