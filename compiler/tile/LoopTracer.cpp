//===- LoopTracer.cpp - A root op's loops in its producers ------*- C++ -*-===//
#include "compiler/tile/LoopTracer.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::tile;

LoopTracer::LoopTracer(linalg::LinalgOp root) : fixed(root.getNumLoops()) {
  SmallVector<int64_t> loops(root.getNumLoops());
  for (auto [i, loop] : llvm::enumerate(loops))
    loop = i;
  visit(root, loops);
}

SmallVector<int64_t> LoopTracer::getTransposedLoops(int64_t innermost) const {
  llvm::SmallSetVector<int64_t, 2> loops;
  for (auto &[value, dims] : uses) {
    bool isComputed = isa_and_present<linalg::LinalgOp>(value.getDefiningOp());
    bool crosses = !dims.empty() && llvm::any_of(ArrayRef(dims).drop_back(), [&](DimUse dim) { return dim.loop == innermost; });
    if (!isComputed && crosses && dims.back().loop >= 0 && dims.back().loop != innermost)
      loops.insert(dims.back().loop);
  }
  SmallVector<int64_t> sorted(loops.begin(), loops.end());
  llvm::sort(sorted);
  return sorted;
}

SmallVector<unsigned> LoopTracer::getSummedLoops(linalg::LinalgOp op) const {
  SmallVector<unsigned> summed;
  for (auto [loop, rootLoop, iterator] : llvm::enumerate(rootLoopsOf.at(op), op.getIteratorTypesArray()))
    if (rootLoop < 0 && iterator == utils::IteratorType::parallel)
      summed.push_back(loop);
  return summed;
}

void LoopTracer::visit(linalg::LinalgOp op, ArrayRef<int64_t> rootLoops) {
  ops.insert(op);
  rootLoopsOf[op].assign(rootLoops.begin(), rootLoops.end());
  auto iterators = op.getIteratorTypesArray();
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    auto &dims = uses[operand.get()];
    dims.resize(map.getNumResults());
    SmallVector<int64_t> loops(map.getNumResults(), -1);
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      expr.walk([&, i = i](AffineExpr inner) {
        auto dim = dyn_cast<AffineDimExpr>(inner);
        if (!dim)
          return;
        bool reduction = iterators[dim.getPosition()] == utils::IteratorType::reduction;
        int64_t loop = reduction ? -1 : rootLoops[dim.getPosition()];
        // A window (d0 + d1) is tiled along d0 and may overlap: not a repetition.
        bool isPlain = isa<AffineDimExpr>(expr);
        if (loop >= 0) {
          if (dims[i].reduced)
            fixed[loop] = true;
          dims[i].loop = loop;
          loops[i] = loop;
        } else if (reduction && isPlain) {
          dims[i].reduced = true;
          if (dims[i].loop >= 0)
            fixed[dims[i].loop] = true;
        }
      });
    auto result = dyn_cast<OpResult>(operand.get());
    auto producer = result ? dyn_cast<linalg::LinalgOp>(result.getOwner()) : nullptr;
    if (!producer)
      continue;
    AffineMap out = producer.getIndexingMapMatchingResult(result);
    SmallVector<int64_t> producerLoops(producer.getNumLoops(), -1);
    for (auto [expr, loop] : llvm::zip(out.getResults(), loops))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        producerLoops[dim.getPosition()] = loop;
    visit(producer, producerLoops);
  }
}
