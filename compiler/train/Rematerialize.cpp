//===- Rematerialize.cpp - Compute again instead of keeping -----*- C++ -*-===//
//
// Before: %h = nn.matmul %x, %w;  %a = nn.relu %h;  %loss = ... %a ...
//         %da = ...;  %dh = ... %da, %a;  %dw = nn.matmul %a, %dh
// After:  %h = nn.matmul %x, %w;  %a = nn.relu %h;  %loss = ... %a ...
//         %da = ...;  %h2 = nn.matmul %x, %w;  %a2 = nn.relu %h2
//         %dh = ... %da, %a2;  %dw = nn.matmul %a2, %dh
//
// What the forward pass leaves for the backward pass is kept, or computed again from what is
// kept when the backward pass asks for it. The forward pass is cut into segments; of a segment
// that is computed again only what later segments read is kept (Chen et al., "Training Deep
// Nets with Sublinear Memory Cost", 2016). Plans are tried in the order of what they compute
// again, each on a copy that goes through all passes that plan memory, until one fits.
//
// Precondition: nothing merges equal ops any more before kernels are formed. Postcondition: @step
// holds no more than the budget at a time, with the sizes assumed, or the pass has failed.
//
//===----------------------------------------------------------------------===//
#include "compiler/buffer/BufferSizes.h"
#include "compiler/graph/KernelRoles.h"
#include "compiler/graph/Passes.h"
#include "compiler/train/Passes.h"
#include "compiler/train/StepMemory.h"
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

namespace nacre::train {
#define GEN_PASS_DEF_REMATERIALIZEPASS
#include "compiler/train/Passes.h.inc"
} // namespace nacre::train

using namespace mlir;
using namespace nacre;

namespace {

/// How much of the forward pass is computed again: of so many segments the first few, and
/// everywhere what costs little.
struct Plan {
  int64_t segments = 1, recomputed = 0;
  bool cheap = false;

  double getCost() const { return double(recomputed) / double(segments); }
};

/// Whether an op gives the same again, wherever it stands.
bool isRepeatable(Operation *op) {
  return isa<nn::NNDialect>(op->getDialect()) && op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         !isa<nn::GetParameterOp>(op) && !op->hasTrait<OpTrait::ConstantLike>();
}

/// Whether computing it again costs about what reading it does.
bool isCheap(Operation *op) {
  if (isa<nn::ElementwiseOpInterface>(op) && !isa<nn::KernelOpInterface>(op))
    return true;
  nn::KernelRole role = graph::getRole(op);
  return role == nn::KernelRole::View || role == nn::KernelRole::Host || role == nn::KernelRole::Row;
}

/// A training step in two parts.
class Step {
public:
  explicit Step(func::FuncOp func) : block(func.getBody().front()) {
    // The loss ends the forward pass.
    Operation *loss = block.getTerminator()->getOperand(0).getDefiningOp();
    bool isForward = loss != nullptr;
    for (Operation &op : block.without_terminator()) {
      (isForward ? forward : backward).push_back(&op);
      isForward &= &op != loss;
    }
    for (auto [i, op] : llvm::enumerate(forward))
      place[op] = i;
  }

  /// Where segments end, so that each keeps about as much for the backward pass.
  SmallVector<int64_t> cut(int64_t segments, const graph::BatchSizes &sizes) const {
    SmallVector<int64_t> kept(forward.size() + 1, 0), crossing(forward.size() + 1, 0);
    for (auto [i, op] : llvm::enumerate(forward)) {
      kept[i + 1] = kept[i];
      if (!isRepeatable(op)) // a parameter, or what is kept anyway
        continue;
      for (Value result : op->getResults()) {
        int64_t last = int64_t(i);
        bool isKept = false;
        for (Operation *user : result.getUsers()) {
          auto it = place.find(block.findAncestorOpInBlock(*user));
          isKept |= it == place.end();
          last = it == place.end() ? last : std::max(last, it->second);
        }
        int64_t bytes = sizes.getBytes(result.getType());
        kept[i + 1] += isKept ? bytes : 0;
        crossing[i + 1] += bytes;
        crossing[last + 1] -= bytes;
      }
    }
    std::partial_sum(crossing.begin(), crossing.end(), crossing.begin());
    SmallVector<int64_t> ends;
    int64_t begin = 0;
    for (int64_t i = 1; i < segments; ++i) {
      // Around the even cut, where the least crosses.
      double share = double(kept.back()) / double(segments);
      auto at = [&](double bytes) { return llvm::lower_bound(kept, int64_t(bytes)) - kept.begin(); };
      int64_t first = std::max<int64_t>(begin + 1, at(share * (double(i) - 0.25))),
              last = std::min<int64_t>(at(share * (double(i) + 0.25)), int64_t(forward.size()) - 1);
      if (first > last)
        continue;
      begin = first;
      for (int64_t candidate = first; candidate <= last; ++candidate)
        if (crossing[candidate] < crossing[begin])
          begin = candidate;
      ends.push_back(begin);
    }
    ends.push_back(int64_t(forward.size()));
    return ends;
  }

  /// Gives the backward pass copies of what the plan does not keep.
  int64_t apply(const Plan &plan, ArrayRef<int64_t> ends) {
    llvm::DenseMap<Operation *, int64_t> segment; // of what is not kept
    for (auto [i, op] : llvm::enumerate(forward)) {
      if (!isRepeatable(op))
        continue;
      int64_t own = llvm::upper_bound(ends, int64_t(i)) - ends.begin();
      bool isWhole = own < plan.recomputed && !leaves(op, ends[own]);
      if (isWhole || (plan.cheap && isCheap(op)))
        segment[op] = own;
    }
    int64_t copies = 0;
    IRMapping copied;
    for (Operation *user : backward) {
      SmallVector<OpOperand *> uses;
      user->walk([&](Operation *inner) {
        for (OpOperand &operand : inner->getOpOperands())
          uses.push_back(&operand);
      });
      for (OpOperand *use : uses)
        use->set(copy(use->get(), user, segment, copied, copies));
    }
    return copies;
  }

private:
  /// Whether a later segment's forward pass reads an op's results.
  bool leaves(Operation *op, int64_t end) const {
    return llvm::any_of(op->getUsers(), [&](Operation *user) {
      auto it = place.find(block.findAncestorOpInBlock(*user));
      return it != place.end() && it->second >= end;
    });
  }

  /// The value computed again before `user`, from what is kept; itself if it is.
  Value copy(Value value, Operation *user, const llvm::DenseMap<Operation *, int64_t> &dropped, IRMapping &copied,
             int64_t &copies) {
    if (Value other = copied.lookupOrNull(value))
      return other;
    Operation *op = value.getDefiningOp();
    if (!op || !dropped.contains(op))
      return value;
    SmallVector<Operation *> stack{op};
    while (!stack.empty()) {
      Operation *next = stack.back();
      if (copied.contains(next->getResult(0))) {
        stack.pop_back();
        continue;
      }
      size_t depth = stack.size();
      for (Value operand : next->getOperands())
        if (Operation *producer = operand.getDefiningOp();
            producer && dropped.contains(producer) && !copied.contains(operand))
          stack.push_back(producer);
      if (stack.size() != depth)
        continue;
      OpBuilder(user).clone(*next, copied);
      ++copies;
      stack.pop_back();
    }
    return copied.lookup(value);
  }

  Block &block;
  std::vector<Operation *> forward, backward;
  llvm::DenseMap<Operation *, int64_t> place;
};

struct RematerializePass : train::impl::RematerializePassBase<RematerializePass> {
  using Base::Base;
  RematerializePass(const train::RematerializePassOptions &options, std::function<void(OpPassManager &)> finish)
      : Base(options), finish(std::move(finish)) {}

  void runOnOperation() override {
    step = getOperation().lookupSymbol<func::FuncOp>("step");
    if (!step || budget == 0)
      return;
    graph::BatchSizes sizes(openSize, batch);
    // What kernels need inside makes the real number larger than the estimate, by about as much
    // for all plans.
    double factor = 1;
    int64_t least = std::numeric_limits<int64_t>::max();
    std::optional<Plan> smallest;
    int64_t smallestEstimate = least;
    for (const Plan &plan : makePlans()) {
      FailureOr<int64_t> estimate = measure(plan, sizes, /*isExact=*/false);
      if (failed(estimate))
        return signalPassFailure();
      if (*estimate < smallestEstimate) {
        smallestEstimate = *estimate;
        smallest = plan;
      }
      if (double(*estimate) * factor > double(budget))
        continue;
      FailureOr<int64_t> held = measure(plan, sizes, /*isExact=*/true);
      if (failed(held))
        return signalPassFailure();
      if (*held <= budget)
        return apply(plan, sizes);
      least = std::min(least, *held);
      factor = std::max(factor, double(*held) / double(std::max<int64_t>(*estimate, 1)));
    }
    FailureOr<int64_t> held = measure(*smallest, sizes, /*isExact=*/true);
    if (failed(held))
      return signalPassFailure();
    if (*held <= budget)
      return apply(*smallest, sizes);
    step.emitError(llvm::formatv("parameters, the optimizer's state and a training step take {0:F2} MB of memory at "
                                 "least, and the budget is {1:F2} MB; make the batch smaller, or the budget larger",
                                 double(std::min(least, *held)) / 1e6, double(budget) / 1e6)
                       .str());
    signalPassFailure();
  }

private:
  /// By what they compute again, the least first.
  static std::vector<Plan> makePlans() {
    std::vector<Plan> plans{{}, {1, 0, true}};
    for (int64_t segments : {2, 3, 4, 6, 8, 12, 16, 24, 32})
      for (int64_t recomputed = 1; recomputed < segments; ++recomputed)
        if (segments < 6 || recomputed * 8 % segments == 0 || recomputed == segments - 1)
          plans.push_back({segments, recomputed, true});
    llvm::stable_sort(plans, [](const Plan &l, const Plan &r) { return l.getCost() < r.getCost(); });
    return plans;
  }

  void apply(const Plan &plan, const graph::BatchSizes &sizes) {
    Step whole(step);
    numCopies += whole.apply(plan, whole.cut(plan.segments, sizes));
  }

  /// The most that parameters and a step hold at a time by that plan: estimated, or measured at the
  /// end of all passes that plan memory.
  FailureOr<int64_t> measure(const Plan &plan, const graph::BatchSizes &sizes, bool isExact) {
    OwningOpRef<ModuleOp> copy(cast<ModuleOp>(getOperation()->clone()));
    for (auto func : llvm::make_early_inc_range(copy->getOps<func::FuncOp>()))
      if (func.getName() != "step")
        func.erase();
    Step whole(copy->lookupSymbol<func::FuncOp>("step"));
    whole.apply(plan, whole.cut(plan.segments, sizes));
    PassManager passes(&getContext(), ModuleOp::getOperationName());
    passes.enableVerifier(false);
    isExact = isExact && finish;
    if (isExact)
      finish(passes);
    else
      passes.addPass(graph::createFormKernelsPass());
    if (failed(passes.run(*copy)))
      return failure();
    if (isExact) {
      auto read = [&](StringRef name) { return (*copy)->getAttrOfType<IntegerAttr>(name); };
      IntegerAttr parameters = read(buffer::kParameterBytes), held = read(buffer::kStepBytes);
      if (parameters && held)
        return parameters.getInt() + held.getInt();
      return step.emitError(sizes.isGiven() ? "a memory budget needs all sizes of a step, and some depend on values that it "
                                              "computes: fix them (--dim, --input-shape)"
                                            : "a memory budget needs the size of a batch, which the model leaves open: fix "
                                              "it (--dim), or give open_size or batch_shapes");
    }
    int64_t bytes = sizes.getInputBytes(step);
    for (auto parameter : copy->getOps<nn::ParameterOp>())
      bytes += sizes.getBytes(parameter.getType());
    return bytes + train::estimateHeldBytes(copy->lookupSymbol<func::FuncOp>("step"), sizes);
  }

  std::function<void(OpPassManager &)> finish;
  func::FuncOp step;
};

} // namespace

std::unique_ptr<Pass> train::createRematerializePass(const RematerializePassOptions &options,
                                                     std::function<void(OpPassManager &)> finish) {
  return std::make_unique<RematerializePass>(options, std::move(finish));
}
