//===- OutlineParallel.cpp - Outline rt.parallel bodies ---------*- C++ -*-===//
//
// Before: kern.func @k(%a: memref<64xf32>) {
//           rt.parallel (%begin, %end) to %n grain 4 { ... %a ... }
// After:  kern.func @k(%a: memref<64xf32>) {
//           rt.launch @k.parallel0(%a : memref<64xf32>) to %n grain 4
//         kern.func private @k.parallel0(%a: memref<64xf32>, %begin: index, %end: index) { ... }
//
// Views, constants and sizes that the body uses are computed again in it, so
// that what it captures are whole buffers: their attributes (llvm.noalias)
// stay true, and the loops see static sizes.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "compiler/codegen/Recompute.h"
#include "dialects/kern/KernOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Transforms/RegionUtils.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

/// What is known of a captured buffer, as argument attributes: the attributes
/// of the kernel's argument, or those of fresh memory.
DictionaryAttr captureAttributes(Value capture) {
  MLIRContext *context = capture.getContext();
  if (auto argument = dyn_cast<BlockArgument>(capture)) {
    auto kernel = dyn_cast<kern::FuncOp>(argument.getOwner()->getParentOp());
    DictionaryAttr attributes = kernel ? kernel.getArgAttrDict(argument.getArgNumber()) : nullptr;
    return attributes ? attributes : DictionaryAttr::get(context);
  }
  NamedAttrList attributes;
  if (isa<rt::ScratchOp, memref::AllocaOp>(capture.getDefiningOp()))
    attributes.set(LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(context));
  return attributes.getDictionary(context);
}

/// Moves the body of a parallel loop into a function of its own.
void outline(rt::ParallelOp parallel, kern::FuncOp kernel, StringRef name) {
  Region &body = parallel.getBody();
  SmallVector<Value> captured = codegen::recomputeInside(body);

  OpBuilder builder(kernel);
  SmallVector<Type> types;
  SmallVector<Attribute> attributes;
  for (Value capture : captured) {
    types.push_back(capture.getType());
    attributes.push_back(captureAttributes(capture));
  }
  types.append(2, builder.getIndexType());
  attributes.append(2, builder.getDictionaryAttr({}));

  auto function = kern::FuncOp::create(builder, parallel.getLoc(), name,
                                       builder.getFunctionType(types, {}));
  SymbolTable::setSymbolVisibility(function, SymbolTable::Visibility::Private);
  function.setArgAttrsAttr(builder.getArrayAttr(attributes));
  function.getBody().takeBody(body);
  Block &entry = function.getBody().front();
  for (auto [i, capture] : llvm::enumerate(captured)) {
    BlockArgument argument = entry.insertArgument(i, capture.getType(), capture.getLoc());
    replaceAllUsesInRegionWith(capture, argument, function.getBody());
  }
  Operation *terminator = entry.getTerminator();
  builder.setInsertionPoint(terminator);
  kern::ReturnOp::create(builder, terminator->getLoc());
  terminator->erase();

  builder.setInsertionPoint(parallel);
  rt::LaunchOp::create(builder, parallel.getLoc(), name, captured,
                       parallel.getCount(), parallel.getGrain(), parallel.getAlternating());
  parallel.erase();
}

struct OutlineParallelPass : codegen::impl::OutlineParallelPassBase<OutlineParallelPass> {
  void runOnOperation() override {
    SmallVector<kern::FuncOp> kernels(getOperation().getOps<kern::FuncOp>());
    for (kern::FuncOp kernel : kernels) {
      // Outer loops first: an inner one then captures what the outer's function
      // holds. Numbered in order, so names depend on the kernel alone.
      std::string stem = kernel.getName().str();
      unsigned count = 0;
      SmallVector<kern::FuncOp> todo{kernel};
      while (!todo.empty()) {
        kern::FuncOp function = todo.pop_back_val();
        SmallVector<rt::ParallelOp> loops;
        function.walk<WalkOrder::PreOrder>([&](rt::ParallelOp loop) {
          loops.push_back(loop);
          return WalkResult::skip();
        });
        for (rt::ParallelOp loop : loops) {
          outline(loop, function, stem + ".parallel" + std::to_string(count++));
          todo.push_back(cast<kern::FuncOp>(function->getPrevNode()));
        }
      }
    }
  }
};

} // namespace
