//===- VectorizeTilesPlan.cpp - Choose lanes and register blocks
//------------===//
//
// Lanes run along the loop where a vector costs least: a parallel loop along
// which outputs are contiguous, or a reduction loop along which inputs are,
// with one accumulator for each lane. Then as many independent accumulators as
// the registers hold are blocked along the loops that give reuse.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

namespace {

/// Describes values of bodies for lanes along one loop.
class Classifier {
public:
  Classifier(const Nest &nest, unsigned lanes, std::string &reason)
      : nest(nest), lanes(lanes), reason(reason) {}

  /// Fails if an op has no vector form.
  std::optional<DenseMap<Value, ValueInfo>> run() {
    bool lanesReduce = nest.loops[lanes].reduction;
    for (auto [number, access] : llvm::enumerate(nest.accesses)) {
      ValueInfo &info = values[nest.argumentOf(number)];
      info.loops = access.loops;
      bool isAccumulator = number >= nest.inputs && number < nest.epilogueStart();
      if (isAccumulator)
        info.loops |= nest.reduction;
      bool varies = contains(access.loops, lanes) || (isAccumulator && lanesReduce);
      info.form = varies ? ValueInfo::Varying : ValueInfo::Uniform;
    }
    if (!classify(nest.body()) ||
        (nest.epilogue && !classify(*linalg::GenericOp(nest.epilogue).getBody())))
      return std::nullopt;
    return std::move(values);
  }

private:
  bool classify(Block &body) {
    for (Operation &op : body.without_terminator())
      if (!classify(op))
        return false;
    return true;
  }

  bool classify(Operation &op) {
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      int loop = nest.loopOf[index.getDim()];
      if (op.getParentOp() != linalg::GenericOp(nest.op).getOperation()) {
        reason = "the epilogue reads loop numbers";
        return false;
      }
      ValueInfo &info = values[index];
      if (loop >= 0)
        info.loops = bit(loop);
      info.form = loop == int(lanes) ? ValueInfo::Ramp : ValueInfo::Uniform;
      return true;
    }
    bool mappable = OpTrait::hasElementwiseMappableTraits(&op) && op.getNumRegions() == 0;
    if (!mappable && !op.hasTrait<OpTrait::ConstantLike>()) {
      reason = ("no vector form of " + op.getName().getStringRef()).str();
      return false;
    }
    ValueInfo info;
    bool hasVarying = false;
    unsigned ramps = 0;
    for (Value operand : op.getOperands()) {
      ValueInfo of = values.lookup(operand); // captured values: uniform
      info.loops |= of.loops;
      info.pinned |= of.pinned;
      hasVarying |= of.form == ValueInfo::Varying;
      ramps += of.form == ValueInfo::Ramp;
    }
    bool keepsRamp =
        !hasVarying && ramps == 1 &&
        (isa<arith::AddIOp, arith::IndexCastOp, arith::ExtSIOp>(op) ||
         (isa<arith::SubIOp>(op) && values.lookup(op.getOperand(0)).form == ValueInfo::Ramp));
    if (keepsRamp)
      info.form = ValueInfo::Ramp;
    else if (hasVarying || ramps)
      info.form = ValueInfo::Varying;
    // What may trap is computed only where the op would compute it. An epilogue stands
    // outside of the reduction.
    if (isIntegerDivision(&op) && op.getBlock() == &nest.body())
      info.pinned = true;
    for (Value result : op.getResults()) {
      if (!result.getType().isIntOrIndexOrFloat()) {
        reason = "the body computes with values that no vector holds";
        return false;
      }
      values[result] = info;
    }
    return true;
  }

  const Nest &nest;
  unsigned lanes;
  std::string &reason;
  DenseMap<Value, ValueInfo> values;
};

/// The widest element that the lanes hold, in bits.
unsigned widestElement(const Nest &nest, const DenseMap<Value, ValueInfo> &values) {
  unsigned width = 8;
  for (auto [value, info] : values)
    if (info.form == ValueInfo::Varying && value.getType().isIntOrFloat() && !value.use_empty())
      width = std::max(width, value.getType().getIntOrFloatBitWidth());
  for (const Access &access : nest.getOutputs())
    width = std::max(width, access.element.isIndex() ? 64 : access.element.getIntOrFloatBitWidth());
  return width;
}

/// Body ops that cost many instructions each.
unsigned countHeavyOps(const Nest &nest) {
  unsigned heavy = 0;
  for (Operation &op : nest.body())
    if (op.getName().getDialectNamespace() == "math" &&
        !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::CopySignOp>(op))
      ++heavy;
  return heavy;
}

struct Candidate {
  unsigned lanes;
  int64_t width;
  int transposed;
  double cost; ///< Of one iteration of the whole nest.
  DenseMap<Value, ValueInfo> values;
};

/// Relative costs of getting one vector of an operand.
constexpr double kVectorLoad = 1, kScalarLoad = 0.5, kTransposed = 4, kGatherPerLane = 1.2;
/// Squares larger than this do not fit the registers.
constexpr int64_t kLargestSquare = 16;

/// The loop along which all operands are contiguous that are strided along the
/// lanes. -1 if there is none.
int findTransposed(const Nest &nest, unsigned lanes, int64_t width) {
  if (nest.reduction || (nest.loops[lanes].isStatic() && nest.loops[lanes].size < 2))
    return -1;
  for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
    if (loop == lanes || (nest.loops[loop].isStatic() && nest.loops[loop].size < 4))
      continue;
    bool any = false, all = true;
    for (auto [number, access] : llvm::enumerate(nest.accesses)) {
      if (!nest.isRead(number) || access.along(lanes, width) != Access::Strided)
        continue;
      any = true;
      all &= access.along(loop, width) == Access::Contiguous && access.linearAlong(lanes);
    }
    if (any && all)
      return loop;
  }
  return -1;
}

std::optional<Candidate> tryLanes(const Nest &nest, unsigned lanes, const VectorTarget &target,
                                  std::string &reason) {
  const Loop &loop = nest.loops[lanes];
  if (loop.reduction)
    for (unsigned output = 0; output < nest.outputs; ++output)
      if (!nest.combiner(output)) {
        reason = "a reduction that lanes cannot share";
        return std::nullopt;
      }
  auto values = Classifier(nest, lanes, reason).run();
  if (!values)
    return std::nullopt;
  int64_t width = target.vectorBits / widestElement(nest, *values);
  if (loop.isStatic())
    width = std::min<int64_t>(width, llvm::PowerOf2Ceil(loop.size));
  // Packed operands: a vector must not cross a block.
  for (const Access &access : nest.accesses)
    for (const Term &term : access.terms)
      if (term.loop == lanes && term.kind == Term::Mod && term.stride == 1)
        while (width > 1 && term.divisor % width)
          width /= 2;
  if (width < 2) {
    reason = "too few lanes";
    return std::nullopt;
  }
  std::optional<Grouping> grouping = findGrouping(nest, target, lanes, width);
  int transposed = findTransposed(nest, lanes, std::min(width, kLargestSquare));
  if (transposed >= 0)
    width = std::min(width, kLargestSquare);
  double cost = 1;
  int64_t steps = 1; // that one vector of a packed operand is for
  for (auto [number, access] : llvm::enumerate(nest.accesses)) {
    if (!nest.isRead(number) && !nest.isWritten(number))
      continue;
    Access::Lanes along = access.along(lanes, width);
    if (grouping && access.groupAlong(lanes, width, grouping->loop) == grouping->size) {
      along = Access::Contiguous;
      steps = grouping->size;
    }
    bool writable = along == Access::Contiguous || along == Access::None;
    if (along == Access::Unknown || (nest.isWritten(number) && !writable)) {
      reason = "an operand that lanes cannot follow";
      return std::nullopt;
    }
    cost += along == Access::None || along == Access::Same ? kScalarLoad
            : along == Access::Contiguous                  ? kVectorLoad
            : along == Access::Reversed                    ? 2 * kVectorLoad
            : transposed >= 0                              ? kTransposed
                                                           : kGatherPerLane * width;
  }
  double efficiency = 1;
  if (loop.isStatic() && loop.size > 0)
    efficiency = double(loop.size) / llvm::alignTo(loop.size, width);
  cost /= width * efficiency * steps;
  if (loop.reduction && loop.isStatic() && loop.size > 0)
    cost += 2.0 * llvm::Log2_64(width) / loop.size; // the sum over lanes at the end
  return Candidate{lanes, width, transposed, cost, std::move(*values)};
}

/// Trip count for decisions: large if unknown.
int64_t guess(const Loop &loop) { return loop.isStatic() ? loop.size : 64; }

/// A loop's copies in a block of at most `limit`: a divisor if there is a good
/// one, else as even as can be.
int64_t chooseCopies(const Loop &loop, int64_t limit) {
  if (!loop.isStatic())
    return llvm::bit_floor(uint64_t(limit));
  int64_t size = std::max<int64_t>(loop.size, 1), preferred = std::min<int64_t>(limit, 8);
  if (size <= preferred)
    return size;
  for (int64_t copies = preferred; copies >= 4 && copies > preferred / 2; --copies)
    if (size % copies == 0)
      return copies;
  int64_t blocks = llvm::divideCeil(size, preferred);
  return llvm::divideCeil(size, blocks);
}

class Planner {
public:
  Planner(const Nest &nest, const VectorTarget &target, Candidate &&chosen)
      : nest(nest), target(target) {
    plan.fma = target.fma;
    plan.lanes = chosen.lanes;
    plan.width = chosen.width;
    plan.transposed = chosen.transposed;
    plan.values = std::move(chosen.values);
    plan.copies.assign(nest.loops.size(), 1);
  }

  Plan run() {
    if (plan.transposed >= 0)
      plan.copies[plan.transposed] = std::min(guess(nest.loops[plan.transposed]), plan.width);
    else if (nest.loops[plan.lanes].reduction)
      blockForReductionLanes();
    else if (nest.reduction)
      blockForContraction();
    else
      blockForElementwise();
    orderLoops();
    groupSteps();
    return std::move(plan);
  }

private:
  int64_t vectors() const { return llvm::divideCeil(guess(nest.loops[plan.lanes]), plan.width); }

  /// Inputs that a block along `loop` loads once for all its copies; those that
  /// come as vectors count double.
  unsigned reuse(unsigned loop) const {
    unsigned gain = 0;
    for (const Access &access : nest.getInputs())
      if (!access.scalar && access.used && !contains(access.loops, loop))
        gain += contains(access.loops, plan.lanes) ? 2 : 1;
    return gain;
  }

  /// The parallel loop with most reuse; among equals the longest up to 8
  /// iterations, then one that no window moves with whose taps may be left out
  /// (copies have them in common), then the innermost. -1 if there is no reuse.
  int chooseBlockLoop(LoopSet excluded) const {
    int best = -1;
    std::tuple<unsigned, int64_t, bool> bestScore;
    auto isPlace = [&](unsigned loop) {
      return llvm::any_of(nest.halos, [&](const Halo &halo) { return halo.place == int(loop); });
    };
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
      if (!contains(nest.parallel & ~excluded, loop) || !reuse(loop))
        continue;
      std::tuple<unsigned, int64_t, bool> score(reuse(loop), std::min<int64_t>(guess(nest.loops[loop]), 8),
                                                !isPlace(loop));
      if (best < 0 || score >= bestScore)
        best = loop, bestScore = score;
    }
    return best;
  }

  /// Some operand lies in blocks of three vectors.
  bool isPackedInThrees() const {
    return llvm::any_of(nest.getInputs(), [&](const Access &access) {
      return llvm::any_of(access.terms, [&](const Term &term) {
        return term.loop == plan.lanes && term.kind == Term::Mod && term.divisor == 3 * plan.width;
      });
    });
  }

  void blockForContraction() {
    int64_t registers = target.registers / nest.outputs;
    blockLoop = chooseBlockLoop(bit(plan.lanes));
    if (blockLoop < 0) {
      plan.copies[plan.lanes] = std::min<int64_t>(vectors(), 4);
      return;
    }
    int64_t rows = guess(nest.loops[blockLoop]);
    // Two vectors for each row; more when rows are few, and three rather than 2
    // + 1 or where an operand is packed so.
    int64_t columns = std::min<int64_t>(vectors(), 2);
    if (registers >= 32 && (isPackedInThrees() || (vectors() == 3 && nest.loops[plan.lanes].isStatic())))
      columns = 3;
    if (rows < 4)
      columns = std::min<int64_t>(vectors(), 8 / rows);
    // Accumulators, the vectors of one step, and one broadcast.
    int64_t limit = std::max<int64_t>((registers - columns - 2) / columns, 1);
    plan.copies[plan.lanes] = columns;
    plan.copies[blockLoop] = chooseCopies(nest.loops[blockLoop], limit);
  }

  void blockForReductionLanes() {
    int64_t budget = target.registers >= 32 ? 16 : 8;
    LoopSet excluded = 0;
    int64_t used = 1;
    for (int64_t copies : {int64_t(4), budget / 4}) {
      int loop = chooseBlockLoop(excluded);
      if (loop < 0 || copies < 2)
        break;
      excluded |= bit(loop);
      plan.copies[loop] = chooseCopies(nest.loops[loop], copies);
      used *= plan.copies[loop];
    }
    int64_t wanted = countHeavyOps(nest) ? 4 : 8;
    int64_t chains = std::max<int64_t>(wanted / used / nest.outputs, 1);
    plan.copies[plan.lanes] = std::min<int64_t>(std::min<int64_t>(chains, 4), vectors());
  }

  void blockForElementwise() {
    bool small =
        !countHeavyOps(nest) && llvm::range_size(nest.body()) <= 8 && nest.accesses.size() <= 4;
    plan.copies[plan.lanes] = std::max<int64_t>(std::min<int64_t>(vectors(), small ? 4 : 2), 1);
  }

  void orderLoops() {
    SmallVector<unsigned> last;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
      if (loop == plan.lanes)
        continue;
      if (nest.loops[loop].reduction)
        plan.reductionOrder.push_back(loop);
      else if (blockLoop >= 0 && reuse(loop))
        (int(loop) == blockLoop ? last : inner).push_back(loop);
      else
        plan.parallelOrder.push_back(loop);
    }
    // Loops over which nothing is reused, lanes, the rest: the vectors of one
    // column block stay in the cache while the rows pass.
    if (nest.loops[plan.lanes].reduction)
      plan.reductionOrder.push_back(plan.lanes);
    else
      plan.parallelOrder.push_back(plan.lanes);
    llvm::append_range(plan.parallelOrder, inner);
    llvm::append_range(plan.parallelOrder, last);
  }

  /// Takes a reduction loop, the innermost one then, in groups.
  void groupSteps() {
    std::optional<Grouping> grouping = findGrouping(nest, target, plan.lanes, plan.width);
    if (!grouping || plan.copies[grouping->loop] != 1)
      return;
    plan.grouped = grouping->loop;
    plan.group = grouping->size;
    plan.dot = grouping->dot;
    llvm::erase(plan.reductionOrder, grouping->loop);
    plan.reductionOrder.push_back(grouping->loop);
  }

  const Nest &nest;
  const VectorTarget &target;
  Plan plan;
  int blockLoop = -1;
  SmallVector<unsigned> inner;
};

} // namespace

std::optional<Plan> Plan::get(const Nest &nest, const VectorTarget &target, std::string &reason) {
  std::optional<Candidate> best;
  double scalarCost = 1;
  for (const Access &access : nest.accesses)
    scalarCost += access.scalar ? 0 : 1;
  for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
    auto candidate = tryLanes(nest, loop, target, reason);
    if (candidate && (!best || candidate->cost <= best->cost))
      best = std::move(candidate);
  }
  if (nest.loops.empty())
    reason = "no loops";
  if (!best)
    return std::nullopt;
  if (best->cost > scalarCost) {
    reason = "vectors would cost more than scalars";
    return std::nullopt;
  }
  return Planner(nest, target, std::move(*best)).run();
}
