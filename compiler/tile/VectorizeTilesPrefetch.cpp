//===- VectorizeTilesPrefetch.cpp - Ask for packed weights before their turn -===//
//
// The rows of a tile pass by one panel of a packed operand, which the first of them waits for
// if it is in no cache: a model reads each weight once. So each block of rows asks for its part
// of the next panel, some bytes in each step, for the second-level cache.
//
// The panel after the last one of a tile is the first of the next tile, or of the next
// operand; a prefetch never faults.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

namespace {
/// Smaller panels arrive while the first rows are computed.
constexpr int64_t kSmallestPanelBytes = 2048;
/// Where a run tells how many blocks of rows there are: rows of a number of 128 are in so many blocks.
constexpr uint64_t kAssumedLogBlocks = 4;

int64_t bytesOf(Type element) { return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8); }
} // namespace

/// How many elements after a panel the next one is that will be needed.
int64_t Emitter::panelOf(const Access &access, const Term &block) const {
  const Loop &columns = nest.loops[plan.lanes];
  int64_t extent = block.divisor;
  for (const Term &term : access.terms)
    if (contains(nest.reduction, term.loop) && term.isStatic() && nest.loops[term.loop].isStatic())
      extent = std::max<int64_t>(extent, term.stride * (term.kind == Term::FloorDiv ? llvm::divideCeil(nest.loops[term.loop].size, term.divisor)
                                                                                    : nest.loops[term.loop].size));
  // A piece of one panel, or of panels that a loop around goes on with (AccumulateProducts): what follows it in memory.
  bool isPiece = (columns.isStatic() && columns.size <= block.divisor) || extent <= block.stride / 2;
  return isPiece ? extent : block.stride * llvm::divideCeil(plan.width * plan.copies[plan.lanes], block.divisor);
}

/// Finds the packed operand that passes of rows have in common.
void Emitter::planPrefetch() {
  if (nest.loops[plan.lanes].reduction || plan.reductionOrder.empty())
    return;
  // Of the loops, those that walk inside of the columns.
  auto lanes = llvm::find(plan.parallelOrder, plan.lanes);
  SmallVector<unsigned> rows(lanes + 1, plan.parallelOrder.end());
  if (rows.empty()) // memory is read once, from start to end: the hardware sees that
    return;
  LoopSet rowSet = 0;
  for (unsigned loop : rows)
    rowSet |= bit(loop);
  for (auto [number, access] : llvm::enumerate(nest.getInputs())) {
    if (!flat[number] || (access.loops & rowSet))
      continue;
    const Term *block = llvm::find_if(access.terms, [&](const Term &term) {
      return term.kind == Term::FloorDiv && term.loop == plan.lanes;
    });
    if (block == access.terms.end() || !block->isStatic())
      continue;
    int64_t panel = panelOf(access, *block);
    if (panel * bytesOf(access.element) < kSmallestPanelBytes)
      continue;
    // Elements for each row, and what part of the panel a block of rows asks for.
    Value count;
    std::optional<int64_t> known = 1;
    int64_t copies = 1;
    for (unsigned loop : rows) {
      count = count ? mul(count, bounds[loop]) : bounds[loop];
      std::optional<int64_t> size = getConstantIntValue(bounds[loop]);
      known = known && size ? std::optional(*known * *size) : std::nullopt;
      copies *= plan.copies[loop];
    }
    uint64_t blocks = known ? std::max<int64_t>(llvm::divideCeil(*known, copies), 1) : uint64_t(1) << kAssumedLogBlocks;
    for (const Term &own : access.terms)
      if (Term term = inGroups(own); term.loop == plan.reductionOrder.back() && term.isStatic() && term.stride > 0) {
        constexpr uint64_t kLineBytes = 64;
        ahead.stepsOfLine = std::max<uint64_t>(kLineBytes * blocks / uint64_t(term.stride * bytesOf(access.element)), 1);
      }
    ahead.access = number;
    ahead.panel = panel;
    ahead.rows = std::move(rows);
    if (known) {
      ahead.perRow = index(panel / std::max<int64_t>(*known, 1));
      // Few blocks, between which memory is what is waited for, ask for equal parts; or else there would be bursts.
      constexpr uint64_t kLogPrecision = 8, kFewBlocks = 16;
      bool areFew = blocks <= kFewBlocks && !llvm::isPowerOf2_64(blocks);
      if (areFew)
        ahead.factor = index(llvm::divideCeil(uint64_t(1) << kLogPrecision, blocks));
      ahead.shift = index(areFew ? kLogPrecision : llvm::Log2_64(blocks));
    } else {
      Value some = arith::MaxUIOp::create(b, loc, count, index(1));
      ahead.perRow = arith::DivUIOp::create(b, loc, index(panel), some);
      Value blocks = arith::MaxUIOp::create(b, loc, arith::DivUIOp::create(b, loc, some, index(copies)), index(1));
      Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), blocks);
      Value zeros = math::CountLeadingZerosOp::create(b, loc, wide);
      Value log = arith::SubIOp::create(b, loc, constant(b.getI64IntegerAttr(63)), zeros);
      ahead.shift = arith::IndexCastOp::create(b, loc, b.getIndexType(), log);
    }
    ahead.start = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, nest.accesses[number].source);
    if (metadata[number])
      ahead.start = add(ahead.start, mul(metadata[number].getOffset(), index(bytesOf(access.element))));
    return;
  }
}

/// Where the running block of rows has its part of the next panel.
void Emitter::placePrefetch() {
  if (!ahead.start)
    return;
  Value row;
  for (unsigned loop : ahead.rows)
    row = add(row ? mul(row, bounds[loop]) : row, positions[loop].iv);
  Value place = add(bases.lookup({ahead.access, 0}), index(ahead.panel));
  if (row)
    place = add(place, mul(row, ahead.perRow));
  ahead.place = place;
}

/// Asks for what this step has to ask for.
void Emitter::emitPrefetch() {
  if (!ahead.start)
    return;
  Value place = ahead.place;
  if (Value step = moved[ahead.access]) {
    if (ahead.factor)
      step = mul(step, ahead.factor);
    place = add(place, arith::ShRUIOp::create(b, loc, step, ahead.shift));
  }
  Value bytes = mul(place, index(bytesOf(nest.accesses[ahead.access].element)));
  Value address = arith::IndexCastOp::create(b, loc, b.getI64Type(), add(ahead.start, bytes));
  Value pointer = LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), address);
  constexpr int kRead = 0, kSecondLevel = 2, kData = 1;
  LLVM::Prefetch::create(b, loc, pointer, kRead, kSecondLevel, kData);
}

/// Of a loop whose body has several steps, those that ask for a line that the one before asks for do not.
void Emitter::thinPrefetches(scf::ForOp loop) {
  SmallVector<LLVM::Prefetch> all(loop.getOps<LLVM::Prefetch>());
  for (auto [number, prefetch] : llvm::enumerate(all))
    if (number % std::min<uint64_t>(ahead.stepsOfLine, kStepsOfBody) != 0)
      prefetch.erase();
}
