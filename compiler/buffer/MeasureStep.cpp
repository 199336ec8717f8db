//===- MeasureStep.cpp - How much memory a training step holds --*- C++ -*-===//
//
// Before: func.func @step() attributes {nacre.arena_size = 64} {
//           %a = rt.alloc(%n) ...; rt.release %a; ... }
// After:  module attributes {nacre.parameter_bytes = 4096, nacre.step_bytes = 9000}
//
// Precondition: memory is planned. Postcondition: the module says what parameters and state
// take, and what @step holds beside them at a time: its inputs, outputs, arena and buffers as
// the runtime keeps them, with a number for each size that is open. Of a loop one iteration counts.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/BufferSizes.h"
#include "compiler/buffer/Passes.h"
#include "compiler/graph/BatchSizes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/abi/nacre_blocks.h"

namespace nacre::buffer {
#define GEN_PASS_DEF_MEASURESTEPPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

struct MeasureStepPass : buffer::impl::MeasureStepPassBase<MeasureStepPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto step = module.lookupSymbol<func::FuncOp>("step");
    graph::BatchSizes sizes(openSize, batch);
    if (!step || (!sizes.isGiven() && hasOpenSizes(step)))
      return;
    int64_t parameters = 0;
    for (auto parameter : module.getOps<nn::ParameterOp>())
      parameters += sizes.getBytes(parameter.getType());
    Builder b(&getContext());
    module->setAttr(buffer::kParameterBytes, b.getI64IntegerAttr(parameters));
    module->setAttr(buffer::kStepBytes, b.getI64IntegerAttr(sizes.getInputBytes(step) + measure(step, sizes)));
  }

private:
  static bool hasOpenSizes(func::FuncOp step) {
    return step
        .walk([](Operation *op) {
          auto buffer = isa<rt::AllocOp, rt::InputOp, rt::OutputOp>(op)
                            ? dyn_cast<MemRefType>(op->getResult(0).getType())
                            : MemRefType();
          return buffer && !buffer.hasStaticShape() ? WalkResult::interrupt() : WalkResult::advance();
        })
        .wasInterrupted();
  }

  /// What the runtime takes from the system: a block that is released serves later ones of its
  /// size, unless more would be kept than was ever in use.
  static int64_t measure(func::FuncOp step, const graph::BatchSizes &sizes) {
    int64_t held = 0, most = 0, live = 0, mostLive = 0, kept = 0;
    llvm::DenseMap<int64_t, SmallVector<int64_t>> released; // bytes in use once, by capacity
    if (auto arena = step->getAttrOfType<IntegerAttr>("nacre.arena_size"))
      held = live = arena.getInt();
    step.walk<WalkOrder::PreOrder>([&](Operation *op) {
      int64_t capacity = 0;
      if (auto alloc = dyn_cast<rt::AllocOp>(op)) {
        int64_t bytes = sizes.getBytes(alloc.getType(), alloc.getSizes());
        nacre_abi_block_class(bytes, &capacity);
        SmallVector<int64_t> &free = released[capacity];
        kept -= free.empty() ? 0 : capacity;
        held += std::max<int64_t>(0, bytes - (free.empty() ? 0 : free.pop_back_val()));
        mostLive = std::max(mostLive, live += capacity);
      } else if (auto output = dyn_cast<rt::OutputOp>(op)) {
        held += sizes.getBytes(output.getType(), output.getSizes());
      } else if (auto release = dyn_cast<rt::ReleaseOp>(op)) {
        auto alloc = release.getBuffer().getDefiningOp<rt::AllocOp>();
        int64_t bytes = alloc ? sizes.getBytes(alloc.getType(), alloc.getSizes()) : 0;
        nacre_abi_block_class(bytes, &capacity);
        if (!alloc)
          return;
        live -= capacity;
        if (kept + capacity > mostLive) { // it goes back to the system
          held -= bytes;
        } else {
          kept += capacity;
          released[capacity].push_back(bytes);
        }
      }
      most = std::max(most, held);
    });
    return most;
  }
};

} // namespace
