//===- Recompute.cpp - What is computed again in outlined code --*- C++ -*-===//
#include "compiler/codegen/Recompute.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace nacre;

bool codegen::isRecomputed(Operation *op) {
  if (!op || op->getNumRegions() != 0 || !isMemoryEffectFree(op))
    return false;
  return op->hasTrait<OpTrait::ConstantLike>() ||
         isa<ViewLikeOpInterface, memref::DimOp, affine::AffineApplyOp, rt::ArenaOp,
             rt::ParameterOp, rt::InputOp, rt::StringsOp, rt::SeedOp, rt::RunOp>(op);
}

/// Total order of values that are visible in one place, where control flow is
/// structured.
static bool isDefinedBefore(Value a, Value b) {
  if (a.getParentRegion() != b.getParentRegion())
    return a.getParentRegion()->isProperAncestor(b.getParentRegion());
  Operation *x = a.getDefiningOp(), *y = b.getDefiningOp();
  if (!x || !y)
    return !x && (y || cast<BlockArgument>(a).getArgNumber() < cast<BlockArgument>(b).getArgNumber());
  if (x == y)
    return cast<OpResult>(a).getResultNumber() < cast<OpResult>(b).getResultNumber();
  return x->isBeforeInBlock(y);
}

SmallVector<Value> codegen::recomputeInside(Region &region) {
  Block &entry = region.front();
  OpBuilder builder = OpBuilder::atBlockBegin(&entry);
  // Upstream's getUsedValuesDefinedAbove wants the region still in its place.
  llvm::SetVector<Value> used;
  region.walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (!region.isAncestor(operand.getParentRegion()))
        used.insert(operand);
  });
  // What the clones use, later in the list than the clones.
  SmallVector<Value> captured;
  SmallVector<std::pair<Operation *, Operation *>> clones;
  llvm::DenseSet<Operation *> cloned;
  for (size_t i = 0; i < used.size(); ++i) {
    Operation *op = used[i].getDefiningOp();
    if (!isRecomputed(op)) {
      captured.push_back(used[i]);
      continue;
    }
    if (!cloned.insert(op).second)
      continue;
    Operation *clone = builder.clone(*op);
    clones.emplace_back(op, clone);
    used.insert(op->operand_begin(), op->operand_end());
  }
  // A clone may use what was cloned before it.
  for (auto [original, clone] : clones)
    for (auto [from, to] : llvm::zip(original->getResults(), clone->getResults()))
      replaceAllUsesInRegionWith(from, to, region);
  // In the order of their originals, so that definitions come before uses.
  llvm::sort(clones, [](auto &a, auto &b) {
    return isDefinedBefore(a.first->getResult(0), b.first->getResult(0));
  });
  for (auto [position, clone] : llvm::enumerate(llvm::make_second_range(clones))) {
    if (position == 0)
      clone->moveBefore(&entry, entry.begin());
    else
      clone->moveAfter(clones[position - 1].second);
  }
  llvm::sort(captured, isDefinedBefore);
  return captured;
}
