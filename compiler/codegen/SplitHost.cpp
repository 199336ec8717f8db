//===- SplitHost.cpp - Cut long host functions into parts -------*- C++ -*-===//
//
// Before: func.func @main() { kern.call @k0 ...  kern.call @k1 ...  ... }
// After:  func.func @main() { call @main.part0()  call @main.part1()  ... }
//         func.func private @main.part0() attributes {nacre.part} { kern.call @k0 ... }
//
// Some of LLVM's passes take time that grows with the square of a function's
// blocks, and a host function has a block for each kernel.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Passes.h"
#include "compiler/codegen/Recompute.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/RegionUtils.h"

namespace nacre::codegen {
#define GEN_PASS_DEF_SPLITHOSTPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

/// Ops that become code where they stand, those inside included.
int64_t getWeight(Operation *op) {
  int64_t weight = 0;
  op->walk([&](Operation *inner) { weight += !codegen::isRecomputed(inner); });
  return weight;
}

class Splitter {
public:
  Splitter(func::FuncOp host, int64_t limit) : host(host), limit(limit) {}

  void run() {
    SmallVector<Block *> blocks;
    host.walk<WalkOrder::PostOrder>([&](Block *block) { blocks.push_back(block); });
    for (Block *block : blocks)
      split(*block);
  }

private:
  void split(Block &block) {
    SmallVector<Operation *> part;
    SmallVector<SmallVector<Operation *>> parts;
    int64_t weight = 0;
    // What depends on nothing that moves into a part is computed again in each;
    // a view or a size of something that moves goes with it.
    llvm::DenseSet<Operation *> stays;
    for (Operation &op : block.without_terminator()) {
      bool dependsOnParts = llvm::any_of(op.getOperands(), [&](Value operand) {
        Operation *definition = operand.getDefiningOp();
        return definition && definition->getBlock() == &block && !stays.contains(definition);
      });
      if (codegen::isRecomputed(&op) && !dependsOnParts) {
        stays.insert(&op);
        continue;
      }
      int64_t own = getWeight(&op);
      if (weight + own > limit && !part.empty()) {
        parts.push_back(std::move(part));
        part.clear();
        weight = 0;
      }
      part.push_back(&op);
      weight += own;
    }
    if (parts.empty())
      return;
    if (!part.empty())
      parts.push_back(std::move(part));
    for (auto &ops : parts)
      outline(ops);
    // What only the parts used, they have now themselves.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (codegen::isRecomputed(&op) && op.use_empty())
        op.erase();
  }

  void outline(ArrayRef<Operation *> ops) {
    llvm::DenseSet<Operation *> inside(ops.begin(), ops.end());
    auto isInside = [&](Operation *op) {
      while (op && op != host) {
        if (inside.contains(op))
          return true;
        op = op->getParentOp();
      }
      return false;
    };
    SmallVector<Value> results;
    for (Operation *op : ops)
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !isInside(user); }))
          results.push_back(result);

    Location loc = ops.front()->getLoc();
    OpBuilder builder(host);
    std::string name = (host.getName() + ".part" + Twine(count++)).str();
    SmallVector<Type> resultTypes(ValueRange(results).getTypes());
    auto part = func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, resultTypes));
    part.setPrivate();
    part->setAttr("nacre.part", builder.getUnitAttr());
    Block *entry = part.addEntryBlock();
    builder.setInsertionPoint(ops.front());
    // The call takes the place of the first op; its arguments are found below.
    Operation *place = ops.back();
    builder.setInsertionPointAfter(place);
    auto call = func::CallOp::create(builder, loc, part, ValueRange());
    for (Operation *op : ops)
      op->moveBefore(entry, entry->end());
    OpBuilder inPart = OpBuilder::atBlockEnd(entry);
    func::ReturnOp::create(inPart, loc, results);
    for (auto [result, replacement] : llvm::zip(results, call.getResults()))
      result.replaceUsesWithIf(replacement, [&](OpOperand &use) {
        return !part->isProperAncestor(use.getOwner());
      });

    SmallVector<Value> captures = codegen::recomputeInside(part.getBody());
    for (Value capture : captures) {
      BlockArgument argument = entry->addArgument(capture.getType(), capture.getLoc());
      replaceAllUsesInRegionWith(capture, argument, part.getBody());
    }
    part.setFunctionType(builder.getFunctionType(ValueRange(captures).getTypes(), resultTypes));
    call->setOperands(captures);
  }

  func::FuncOp host;
  int64_t limit;
  unsigned count = 0;
};

struct SplitHostPass : codegen::impl::SplitHostPassBase<SplitHostPass> {
  using SplitHostPassBase::SplitHostPassBase;
  void runOnOperation() override {
    for (auto host : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (!host.isDeclaration())
        Splitter(host, limit).run();
  }
};

} // namespace
