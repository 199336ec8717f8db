//===- HoistAllocas.cpp - Stack memory to the function's entry --*- C++ -*-===//
//
// Before: ^loop: %p = llvm.alloca %c8 x f32 : (i64) -> !llvm.ptr
// After:  ^entry: %p = llvm.alloca %c8 x f32 : (i64) -> !llvm.ptr
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_HOISTALLOCASPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

struct HoistAllocasPass : codegen::impl::HoistAllocasPassBase<HoistAllocasPass> {
  void runOnOperation() override {
    LLVM::LLVMFuncOp function = getOperation();
    if (function.isExternal())
      return;
    Block *entry = &function.getBody().front();
    SmallVector<LLVM::AllocaOp> misplaced;
    function.walk([&](LLVM::AllocaOp op) {
      if (op->getBlock() != entry)
        misplaced.push_back(op);
    });
    for (LLVM::AllocaOp op : misplaced) {
      Attribute size;
      if (!matchPattern(op.getArraySize(), m_Constant(&size))) {
        op.emitOpError("of dynamic size outside of the function's entry: use rt.scratch");
        return signalPassFailure();
      }
      OpBuilder builder = OpBuilder::atBlockBegin(entry);
      Operation *constant = builder.clone(*op.getArraySize().getDefiningOp());
      op.getArraySizeMutable().assign(constant->getResult(0));
      op->moveAfter(constant);
    }
  }
};

} // namespace
