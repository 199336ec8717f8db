//===- ExpandCopies.cpp - Copies of strided buffers as loops ----*- C++ -*-===//
//
// Before: memref.copy %a, %b : memref<4x4xf32, strided<[8, 1]>> to memref<4x4xf32>
// After:  linalg.generic ins(%a) outs(%b) { yield }
//
// A copy of dense buffers stays: it becomes a memcpy. Upstream lowers the others
// to a call of a library that we do not ship.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_EXPANDCOPIESPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

/// What finalize-memref-to-llvm makes a memcpy of.
bool isDense(BaseMemRefType type) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref && (memref.getLayout().isIdentity() ||
                    (memref.hasStaticShape() && memref.getNumElements() > 0 &&
                     memref::isStaticShapeAndContiguousRowMajor(memref)));
}

struct ExpandCopiesPass : codegen::impl::ExpandCopiesPassBase<ExpandCopiesPass> {
  void runOnOperation() override {
    SmallVector<memref::CopyOp> copies;
    getOperation()->walk([&](memref::CopyOp copy) {
      if (!isDense(copy.getSource().getType()) || !isDense(copy.getTarget().getType()))
        copies.push_back(copy);
    });
    for (memref::CopyOp copy : copies) {
      OpBuilder builder(copy);
      linalg::makeMemRefCopyOp(builder, copy.getLoc(), copy.getSource(), copy.getTarget());
      copy.erase();
    }
  }
};

} // namespace
