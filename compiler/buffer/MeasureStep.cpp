//===- MeasureStep.cpp - How much memory a training step holds --*- C++ -*-===//
//
// Before: func.func @step() attributes {nacre.arena_size = 64} {
//           %a = rt.alloc(%n) ...; rt.release %a; ... }
// After:  module attributes {nacre.parameter_bytes = 4096, nacre.step_bytes = 9000}
//
// Precondition: memory is planned. Postcondition: the module says what parameters and state
// take, and what @step holds beside them at a time: its inputs, outputs, arena and buffers as
// the runtime keeps them, with a number for each size that is open, or says nothing where a batch's shapes do not
// decide it. Of a loop one iteration counts.
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
    int64_t bytes = sizes.getInputBytes(step) + measure(step, sizes);
    if (!sizes.isExact())
      return;
    Builder b(&getContext());
    module->setAttr(buffer::kParameterBytes, b.getI64IntegerAttr(parameters));
    module->setAttr(buffer::kStepBytes, b.getI64IntegerAttr(bytes));
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
    struct Block {
      int64_t capacity = 0, touched = 0; // once it was in use
    };
    int64_t held = 0, most = 0, live = 0, mostLive = 0, kept = 0;
    graph::BatchSizes::Known known;
    llvm::DenseMap<int64_t, SmallVector<Block>> released; // by capacity
    llvm::DenseMap<Operation *, Block> used;
    auto touch = [&](Block &block, int64_t bytes) {
      int64_t before = block.touched;
      block.touched = std::max(before, nacre_abi_block_touched(bytes, block.capacity));
      held += block.touched - before;
    };
    auto makeBlock = [&](int64_t bytes) {
      Block block;
      nacre_abi_block_class(bytes, &block.capacity);
      return block;
    };
    if (auto arena = step->getAttrOfType<IntegerAttr>("nacre.arena_size")) {
      Block block = makeBlock(arena.getInt());
      touch(block, arena.getInt());
      live = block.capacity;
    }
    auto visit = [&](Operation *op) {
      if (auto alloc = dyn_cast<rt::AllocOp>(op)) {
        int64_t bytes = sizes.getBytes(alloc.getType(), alloc.getSizes(), known);
        Block block = makeBlock(bytes);
        if (SmallVector<Block> &free = released[block.capacity]; !free.empty()) {
          block = free.pop_back_val();
          kept -= block.capacity;
        }
        touch(block, bytes);
        mostLive = std::max(mostLive, live += block.capacity);
        used[op] = block;
      } else if (auto output = dyn_cast<rt::OutputOp>(op)) {
        int64_t bytes = sizes.getBytes(output.getType(), output.getSizes(), known);
        Block block = makeBlock(bytes);
        touch(block, bytes);
      } else if (auto release = dyn_cast<rt::ReleaseOp>(op)) {
        Operation *alloc = sizes.resolve(release.getBuffer(), known).getDefiningOp();
        auto found = used.find(alloc);
        if (!alloc || found == used.end())
          return;
        Block block = found->second;
        used.erase(found);
        live -= block.capacity;
        if (kept + block.capacity > mostLive) { // it goes back to the system
          held -= block.touched;
        } else {
          kept += block.capacity;
          released[block.capacity].push_back(block);
        }
      }
      most = std::max(most, held);
    };
    // Of branches that sizes decide the one that is taken.
    auto visitAll = [&](auto &self, Region &region) -> void {
      for (Operation &op : region.getOps()) {
        visit(&op);
        auto branch = dyn_cast<scf::IfOp>(op);
        std::optional<bool> taken = branch ? sizes.isTaken(branch, known) : std::nullopt;
        for (Region &inner : op.getRegions())
          if (!taken || (&inner == &branch.getThenRegion()) == *taken)
            self(self, inner);
      }
    };
    visitAll(visitAll, step.getBody());
    return most;
  }
};

} // namespace
