//===- PlanMemory.cpp - Give every host buffer its place --------*- C++ -*-===//
//
// Before: %a = memref.alloc() : memref<16xf32>   %b = memref.alloc(%n) : memref<?xf32>
// After:  %a = rt.arena 0 : memref<16xf32>       %b = rt.alloc(%n) : memref<?xf32> ...
//                                                rt.release %b : memref<?xf32>
//
// The offsets follow «greedy by size» and «greedy by breadth» (Pisarchyk and Lee, Efficient Memory
// Management for Deep Neural Net Inference, 2020), whichever takes less: large buffers first, or
// those that live where most bytes live first, each at the lowest offset that no buffer alive at the same
// time covers. Where both take more than lives at a time, what has found no place below that comes first instead, and then
// large buffers change places in the better order, as long as that makes it no worse.
//
// A size that data decide has a bound where its arithmetic says so (minsi %n, %c24): then the most that a
// buffer can take is reserved, unless that is much, and the buffer is a view of it.
//
// Precondition: a host function on memrefs. Postcondition: no memref.alloc;
// `nacre.arena_size` is set.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/BufferSizes.h"
#include "compiler/buffer/Passes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Analysis/DataFlow/DeadCodeAnalysis.h"
#include "mlir/Analysis/DataFlow/IntegerRangeAnalysis.h"
#include "mlir/Analysis/DataFlowFramework.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "runtime/abi/nacre_abi.h"
#include <map>
#include <random>

namespace nacre::buffer {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "compiler/buffer/Passes.h.inc"
} // namespace nacre::buffer

using namespace mlir;
using namespace nacre;

namespace {

/// A buffer and the stretch of the function's entry block in which it lives.
struct Buffer {
  memref::AllocOp alloc;
  int64_t size = 0, offset = -1;
  int64_t first = 0, last = 0;

  bool livesWith(const Buffer &other) const { return first <= other.last && other.first <= last; }
};

/// Calls `visit` with every user of the buffer or of a view of it. Returns false if the
/// buffer may outlive an iteration of a loop that allocates it.
bool visitUsers(Value buffer, llvm::function_ref<void(Operation *)> visit) {
  SmallVector<Value> worklist{buffer};
  llvm::DenseSet<Value> seen{buffer};
  auto follow = [&](Value value) {
    if (isa<BaseMemRefType>(value.getType()) && seen.insert(value).second)
      worklist.push_back(value);
  };
  bool staysInIteration = true;
  Operation *alloc = buffer.getDefiningOp();
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    for (Operation *user : value.getUsers()) {
      visit(user);
      // Whatever memref comes out of a user that is no allocation may be a view.
      if (!isa<memref::AllocOp>(user))
        for (Value result : user->getResults())
          follow(result);
      if (user->hasTrait<OpTrait::IsTerminator>()) {
        Operation *parent = user->getParentOp();
        for (Value result : parent->getResults())
          follow(result);
        if (isa<LoopLikeOpInterface>(parent) && parent->isProperAncestor(alloc))
          staysInIteration = false;
      }
      for (Region &region : user->getRegions())
        for (BlockArgument argument : region.getArguments())
          follow(argument);
    }
  }
  return staysInIteration;
}

/// How large buffers can get, by upstream's analysis of ranges, which runs for the first of open size.
class Bounds {
public:
  explicit Bounds(func::FuncOp func) : func(func) {}

  /// Bytes of a buffer at most; nullopt if there is no bound, or one so large that memory would be wasted.
  std::optional<int64_t> getBytes(memref::AllocOp alloc) {
    MemRefType type = alloc.getType();
    if (type.hasStaticShape())
      return buffer::getStaticBytes(type);
    if (!analyze() || !type.getElementType().isIntOrIndexOrFloat() || !type.getLayout().isIdentity())
      return std::nullopt;
    int64_t bytes = DataLayout().getTypeSize(type.getElementType());
    auto dynamic = alloc.getDynamicSizes().begin();
    for (int64_t size : type.getShape()) {
      if (ShapedType::isDynamic(size)) {
        auto *state = solver.lookupState<dataflow::IntegerValueRangeLattice>(*dynamic++);
        if (!state || state->getValue().isUninitialized())
          return std::nullopt;
        size = std::max<int64_t>(state->getValue().getValue().smax().getSExtValue(), 0);
      }
      if (llvm::MulOverflow(bytes, size, bytes) || bytes > kMostReserved)
        return std::nullopt;
    }
    return bytes;
  }

private:
  /// Of one buffer, for sizes that data decide: they may be far smaller.
  static constexpr int64_t kMostReserved = int64_t(1) << 20;

  bool analyze() {
    if (!isReady) {
      solver.load<dataflow::DeadCodeAnalysis>();
      solver.load<dataflow::IntegerRangeAnalysis>();
      isReady = succeeded(solver.initializeAndRun(func));
    }
    return *isReady;
  }

  func::FuncOp func;
  DataFlowSolver solver;
  std::optional<bool> isReady;
};

/// Of a buffer in the arena.
int64_t align(int64_t bytes) { return llvm::alignTo(std::max<int64_t>(bytes, 1), NACRE_ABI_ALIGNMENT); }

struct PlanMemoryPass : buffer::impl::PlanMemoryPassBase<PlanMemoryPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    Block &entry = func.getBody().front();
    llvm::DenseMap<Operation *, int64_t> positions;
    for (auto [i, op] : llvm::enumerate(entry))
      positions[&op] = i;

    std::vector<Buffer> buffers;
    Bounds bounds(func);
    SmallVector<memref::AllocOp> dynamic;
    func.walk([&](memref::AllocOp alloc) {
      Buffer buffer{alloc};
      buffer.first = buffer.last = positions.lookup(entry.findAncestorOpInBlock(*alloc));
      bool stays = visitUsers(alloc, [&](Operation *user) {
        buffer.last = std::max(buffer.last, positions.lookup(entry.findAncestorOpInBlock(*user)));
      });
      std::optional<int64_t> bytes = separate || !stays ? std::nullopt : bounds.getBytes(alloc);
      if (!bytes)
        return dynamic.push_back(alloc);
      buffer.size = align(*bytes);
      buffers.push_back(buffer);
    });
    for (memref::AllocOp alloc : dynamic)
      allocateAtRunTime(alloc);
    func->setAttr("nacre.arena_size", IntegerAttr::get(IntegerType::get(&getContext(), 64), plan(buffers)));
    for (Buffer &buffer : buffers) {
      buffer.alloc.replaceAllUsesWith(makeInArena(buffer));
      buffer.alloc.erase();
    }
  }

private:
  static Value makeInArena(const Buffer &buffer) {
    memref::AllocOp alloc = buffer.alloc;
    OpBuilder b(alloc);
    Location loc = alloc.getLoc();
    MemRefType type = alloc.getType();
    if (type.hasStaticShape())
      return rt::ArenaOp::create(b, loc, type, buffer.offset);
    Value bytes = rt::ArenaOp::create(b, loc, MemRefType::get({buffer.size}, b.getI8Type()), buffer.offset);
    return memref::ViewOp::create(b, loc, type, bytes, arith::ConstantIndexOp::create(b, loc, 0), alloc.getDynamicSizes());
  }

  /// Assigns offsets; returns the size of the arena.
  int64_t plan(std::vector<Buffer> &buffers) {
    const int64_t bound = findLowerBound(buffers);
    int64_t arena = INT64_MAX;
    std::vector<Buffer *> order;
    std::vector<Buffer> best;
    auto consider = [&](const std::vector<Buffer *> &candidate) {
      int64_t current = place(candidate);
      if (current > arena)
        return;
      arena = current;
      best = buffers;
      order = candidate;
    };
    // Placing is quadratic; the large buffers matter.
    constexpr size_t kTrials = 256, kRaised = 24, kWork = 1 << 26, kLarge = 48;
    size_t trials = std::min(kTrials, kWork / (buffers.size() * buffers.size() + 1));
    auto improve = [&](std::vector<Buffer *> candidate) {
      for (size_t trial = 0; trial < std::min(kRaised, trials + 1) && arena > bound; ++trial) {
        consider(candidate);
        raise(candidate, bound);
      }
    };
    std::vector<Buffer *> bySize = orderBySize(buffers);
    improve(bySize);
    if (arena > bound)
      improve(orderByBreadth(bySize));
    size_t large = std::min(kLarge, order.size());
    std::minstd_rand random; // the same numbers everywhere
    for (size_t trial = 0; trial < trials && arena > bound; ++trial) {
      std::vector<Buffer *> candidate = order;
      std::swap(candidate[random() % large], candidate[random() % large]);
      consider(candidate);
    }
    buffers = std::move(best);
    arenaBytes += arena;
    return arena;
  }

  static std::vector<Buffer *> orderBySize(std::vector<Buffer> &buffers) {
    std::vector<Buffer *> order;
    for (Buffer &buffer : buffers)
      order.push_back(&buffer);
    llvm::sort(order, [](Buffer *l, Buffer *r) { return std::pair(-l->size, l->first) < std::pair(-r->size, r->first); });
    return order;
  }

  /// Those that live where most bytes live first, of them the larger ones.
  static std::vector<Buffer *> orderByBreadth(ArrayRef<Buffer *> bySize) {
    std::map<int64_t, int64_t> breadths; // at each position where something begins to live
    for (const Buffer *buffer : bySize)
      breadths[buffer->first];
    for (const Buffer *buffer : bySize)
      for (auto at = breadths.lower_bound(buffer->first); at != breadths.end() && at->first <= buffer->last; ++at)
        at->second += buffer->size;
    std::vector<std::pair<int64_t, int64_t>> positions(breadths.begin(), breadths.end());
    llvm::stable_sort(positions, [](auto l, auto r) { return l.second > r.second; });
    // The widest position that a buffer lives at decides.
    llvm::DenseMap<int64_t, size_t> rank;
    for (auto [i, position] : llvm::enumerate(positions))
      rank[position.first] = i;
    std::vector<std::pair<size_t, Buffer *>> ranked;
    for (Buffer *buffer : bySize) {
      size_t least = SIZE_MAX;
      for (auto at = breadths.lower_bound(buffer->first); at != breadths.end() && at->first <= buffer->last; ++at)
        least = std::min(least, rank.lookup(at->first));
      ranked.emplace_back(least, buffer);
    }
    llvm::stable_sort(ranked, llvm::less_first());
    std::vector<Buffer *> order;
    for (auto [rank, buffer] : ranked)
      order.push_back(buffer);
    return order;
  }

  /// Moves what has found no place below the bound to the front.
  static void raise(std::vector<Buffer *> &order, int64_t bound) {
    std::stable_partition(order.begin(), order.end(), [&](Buffer *buffer) { return buffer->offset + buffer->size > bound; });
  }

  /// The most bytes that live at a time.
  static int64_t findLowerBound(ArrayRef<Buffer> buffers) {
    std::map<int64_t, int64_t> changes;
    for (const Buffer &buffer : buffers) {
      changes[buffer.first] += buffer.size;
      changes[buffer.last + 1] -= buffer.size;
    }
    int64_t live = 0, most = 0;
    for (auto [position, change] : changes)
      most = std::max(most, live += change);
    return most;
  }

  /// Each buffer, in an order, at the lowest offset that is free.
  static int64_t place(ArrayRef<Buffer *> order) {
    int64_t arena = 0;
    std::vector<Buffer *> placed; // by offset
    for (Buffer *buffer : order) {
      int64_t offset = 0;
      for (Buffer *other : placed) {
        if (!buffer->livesWith(*other))
          continue;
        if (other->offset >= offset + buffer->size)
          break;
        offset = std::max(offset, other->offset + other->size);
      }
      buffer->offset = offset;
      arena = std::max(arena, offset + buffer->size);
      placed.insert(llvm::upper_bound(placed, buffer,
                                      [](Buffer *l, Buffer *r) { return l->offset < r->offset; }),
                    buffer);
    }
    return arena;
  }

  void allocateAtRunTime(memref::AllocOp alloc) {
    OpBuilder b(alloc);
    auto buffer = rt::AllocOp::create(b, alloc.getLoc(), alloc.getType(), alloc.getDynamicSizes());
    Block *block = alloc->getBlock();
    Operation *last = buffer;
    bool leaves = false;
    leaves |= !visitUsers(alloc, [&](Operation *user) {
      Operation *ancestor = block->findAncestorOpInBlock(*user);
      leaves |= !ancestor || ancestor->hasTrait<OpTrait::IsTerminator>();
      if (ancestor && last->isBeforeInBlock(ancestor))
        last = ancestor;
    });
    alloc.replaceAllUsesWith(buffer.getResult());
    alloc.erase();
    // What leaves its block lives until the run ends, or in a loop as long as it is carried.
    if (leaves)
      return;
    b.setInsertionPointAfter(last);
    rt::ReleaseOp::create(b, buffer.getLoc(), buffer);
  }
};

} // namespace
