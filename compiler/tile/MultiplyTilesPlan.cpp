//===- MultiplyTilesPlan.cpp - Rows, columns and steps of matrix tiles ------===//
//
// Columns lie next to each other in the output. Rows are the loop of the left operand that fills
// tiles best. Steps lie next to each other in the left operand, whose tiles are then read where
// they are; if nothing but rows does, it is transposed. The right operand is always moved: the
// instruction wants two steps of each column side by side.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/MultiplyTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace nacre::tile;

namespace {

/// Below that moving operands costs more than vectors' arithmetic.
constexpr int64_t kFewestSteps = 8;
/// What is moved of the right operand, and in all, is on the thread's stack.
constexpr int64_t kBufferBytes = 256 << 10, kBytesOfGroup = 4, kMostColumns = 256, kMostLeftGroups = 512;
/// Steps of a piece where their number is not known.
constexpr int64_t kOpenSteps = 1024;

bool isLinear(const Access &access) {
  return llvm::all_of(access.terms, [&](const Term &term) { return access.linearAlong(term.loop); });
}

/// The terms of groups of steps in panels of columns (PackParameters): n / 16, k / 2, n % 16, k % 2.
bool liesInTiles(const Access &access, unsigned columns, unsigned step, int64_t group) {
  unsigned found = 0;
  for (const Term &term : access.terms) {
    auto is = [&](unsigned loop, Term::Kind kind, int64_t divisor) {
      return term.loop == loop && term.kind == kind && term.divisor == divisor;
    };
    if (is(columns, Term::FloorDiv, kTileEdge) || (is(columns, Term::Mod, kTileEdge) && term.stride == group) ||
        (is(step, Term::FloorDiv, group) && term.stride == kTileEdge * group) || (is(step, Term::Mod, group) && term.stride == 1))
      ++found;
    else if (!access.linearAlong(term.loop))
      return false;
  }
  return found == 4;
}

class MatrixPlanner {
public:
  MatrixPlanner(const Nest &nest, std::string &reason) : nest(nest), reason(reason) {}

  std::optional<MatrixPlan> run() {
    std::optional<TileProduct> product = getTileProduct(nest.op);
    if (!product)
      return fail("no sum of products of bf16 or 8-bit integers");
    plan.product = *product;
    plan.depth = plan.tileSteps();
    if (!chooseColumns() || !classifyReductions() || !chooseRows())
      return std::nullopt;
    for (auto [number, access] : llvm::enumerate(nest.accesses)) {
      bool inTiles = number == plan.right && plan.form == MatrixPlan::Right::Tiles;
      if (!access.scalar && access.used && !inTiles && !isLinear(access))
        return fail("an operand in panels");
    }
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
      if (contains(nest.parallel, loop) && loop != plan.rows && loop != plan.columns) {
        bool onlyLeft = contains(left().loops, loop) && !contains(right().loops, loop);
        (onlyLeft ? plan.inner : plan.outer).push_back(loop);
      }
    chooseForm();
    chooseSizes();
    return plan;
  }

private:
  const Access &left() const { return nest.accesses[plan.left]; }
  const Access &right() const { return nest.accesses[plan.right]; }
  const Access &output() const { return nest.accesses[nest.inputs]; }
  int64_t sizeOf(unsigned loop) const { return nest.loops[loop].size; }
  bool isOpen(unsigned loop) const { return !nest.loops[loop].isStatic(); }
  bool isShort(unsigned loop, int64_t fewest) const { return !isOpen(loop) && sizeOf(loop) < fewest; }

  std::nullopt_t fail(const char *why) {
    reason = why;
    return std::nullopt;
  }

  bool chooseColumns() {
    int found = -1;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
      if (contains(nest.parallel, loop) && output().strideAlong(loop) == 1)
        found = loop;
    if (found < 0 || isShort(found, kFewestTileColumns))
      return reason = "too few columns side by side", false;
    plan.columns = found;
    plan.left = contains(nest.accesses[0].loops, plan.columns) ? 1 : 0;
    plan.right = 1 - plan.left;
    if (contains(left().loops, plan.columns) || !contains(right().loops, plan.columns))
      return reason = "both operands move along the columns, or none does", false;
    return true;
  }

  /// All reductions must move both operands.
  bool classifyReductions() {
    int64_t steps = 1;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
      if (!contains(nest.reduction, loop))
        continue;
      if (!contains(left().loops & right().loops, loop))
        return reason = "a reduction over one operand", false;
      plan.taps.push_back(loop);
      steps = isOpen(loop) ? kFewestSteps : steps * sizeOf(loop);
    }
    if (steps < kFewestSteps)
      return reason = "too few steps", false;
    return true;
  }

  /// How full tiles of rows along a loop are; larger numbers of rows share what is read of the
  /// right operand.
  double fillOf(unsigned loop) const {
    if (isOpen(loop))
      return 1;
    double tiles = llvm::divideCeil(sizeOf(loop), kTileEdge);
    return sizeOf(loop) / (tiles * kTileEdge) * (tiles > 1 ? 1.0 : 0.7);
  }

  bool chooseRows() {
    // Steps that lie side by side in the left operand.
    int step = -1;
    for (unsigned loop : plan.taps)
      if (left().strideAlong(loop) == 1)
        step = loop;
    plan.movesLeft = step < 0;
    int best = -1;
    for (unsigned loop = 0; loop < nest.loops.size(); ++loop) {
      if (!contains(nest.parallel & left().loops & ~right().loops, loop) || isShort(loop, kFewestTileRows) ||
          (plan.movesLeft && left().strideAlong(loop) != 1))
        continue;
      if (best < 0 || fillOf(loop) >= fillOf(best))
        best = loop;
    }
    if (best < 0)
      return reason = "too few rows, or a left operand that lies along neither rows nor steps", false;
    plan.rows = best;
    if (plan.movesLeft)
      return chooseAnyStep(), true;
    take(step);
    if (liesInTiles(right(), plan.columns, step, plan.group())) {
      plan.form = MatrixPlan::Right::Tiles;
      return true;
    }
    // Few steps: those of other reductions that follow them in memory.
    int64_t extent = sizeOf(step);
    for (bool found = !isOpen(step); found && extent < plan.tileSteps();) {
      found = false;
      for (unsigned loop : plan.taps)
        if (!isOpen(loop) && left().strideAlong(loop) == extent) {
          extent *= sizeOf(loop);
          take(loop);
          found = true;
          break;
        }
    }
    return true;
  }

  /// Puts a reduction in front of the steps.
  void take(unsigned loop) {
    plan.steps.insert(plan.steps.begin(), loop);
    llvm::erase(plan.taps, loop);
  }

  /// Where both operands are moved, steps are groups of any loop: best of one that they divide.
  void chooseAnyStep() {
    unsigned step = plan.taps.back();
    for (unsigned loop : plan.taps)
      if (isOpen(loop) || sizeOf(loop) % plan.group() == 0)
        step = loop;
    for (unsigned loop : plan.taps) // one of unknown size must be the one in pieces
      if (isOpen(loop))
        step = loop;
    take(step);
  }

  int64_t extentOf(ArrayRef<unsigned> loops) const {
    int64_t extent = 1;
    for (unsigned loop : loops)
      extent *= sizeOf(loop);
    return extent;
  }

  void chooseForm() {
    bool single = plan.steps.size() == 1;
    if (plan.form == MatrixPlan::Right::Tiles)
      ;
    else if (single && right().strideAlong(plan.columns) == 1)
      plan.form = MatrixPlan::Right::Columns;
    else if (single && right().strideAlong(plan.steps[0]) == 1)
      plan.form = MatrixPlan::Right::Steps;
    else
      plan.form = MatrixPlan::Right::Elsewhere;
    if (plan.movesLeft || isOpen(plan.steps.back()))
      return;
    plan.depth = getTileDepth(extentOf(plan.steps), plan.group());
  }

  /// In the right operand a tap's steps are shorter than those of `step`.
  bool isWithin(unsigned tap, unsigned step) const {
    int64_t inner = right().strideAlong(tap), outer = right().strideAlong(step);
    return !ShapedType::isDynamic(inner) && !ShapedType::isDynamic(outer) && inner < outer;
  }

  void chooseSizes() {
    int64_t mostColumns = plan.movesLeft ? kMostColumns : 64;
    if (!isOpen(plan.columns))
      plan.width = std::min<int64_t>(llvm::alignTo(sizeOf(plan.columns), kTileEdge), mostColumns);
    if (plan.form == MatrixPlan::Right::Tiles)
      return;
    int64_t most = kBufferBytes / (plan.width * kBytesOfGroup);
    if (plan.form == MatrixPlan::Right::Elsewhere)
      most /= 2;
    if (plan.movesLeft)
      most = std::min(most, kMostLeftGroups);
    for (unsigned i = 0; i < plan.taps.size(); ++i)
      if (isOpen(plan.taps[i]))
        plan.outerTaps = i + 1;
    bool isOpenStep = isOpen(plan.steps.back());
    int64_t unit = plan.movesLeft ? plan.group() : plan.depth;
    int64_t stepGroups = isOpenStep ? 0 : llvm::alignTo(extentOf(plan.steps), unit) / plan.group();
    // What is copied lies taps within steps, as a weight [O, C, K, L] does: pieces of steps with all
    // their taps are read in order.
    if (plan.form == MatrixPlan::Right::Elsewhere && plan.steps.size() == 1 && !isOpenStep && plan.outerTaps == 0 &&
        llvm::all_of(plan.taps, [&](unsigned tap) { return isWithin(tap, plan.steps[0]); })) {
      int64_t taps = extentOf(plan.taps), fit = most / taps * plan.group() / plan.depth * plan.depth;
      if (taps * stepGroups > most && fit > 0) {
        plan.piece = fit;
        stepGroups = fit / plan.group();
      }
    }
    while (plan.outerTaps < plan.taps.size() && (isOpenStep || extentOf(plan.innerTaps()) * stepGroups > most))
      ++plan.outerTaps;
    if (plan.outerTaps == plan.taps.size() && plan.piece == 0 && (isOpenStep || stepGroups > most)) {
      // Several loops of steps are short: such tiles of one loop fit.
      plan.piece = std::min(kOpenSteps, plan.group() * most) / plan.depth * plan.depth;
      stepGroups = plan.piece / plan.group();
    }
    plan.groups = llvm::alignTo(extentOf(plan.innerTaps()) * stepGroups, kTileEdge) + kTileEdge;
  }

  const Nest &nest;
  std::string &reason;
  MatrixPlan plan;
};

} // namespace

int64_t nacre::tile::getTileDepth(int64_t steps, int64_t group) {
  int64_t most = kTileEdge * group;
  for (int64_t depth = most; depth >= most / 2; depth -= group)
    if (steps % depth == 0)
      return depth;
  return steps < most ? llvm::alignTo(steps, group) : most;
}

std::optional<MatrixPlan> MatrixPlan::get(const Nest &nest, std::string &reason) {
  return MatrixPlanner(nest, reason).run();
}
