//===- VectorizeTilesNest.cpp - A structured op as loops and addresses
//------===//
//
// Reads indexing maps and memref layouts into sums of `stride * f(loop)`.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTiles.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace nacre::tile;

//===----------------------------------------------------------------------===//
// Access
//===----------------------------------------------------------------------===//

int64_t Access::strideAlong(unsigned loop) const {
  int64_t stride = 0;
  for (const Term &term : terms) {
    if (term.loop != loop)
      continue;
    if (term.kind != Term::Linear || !term.isStatic() || stride != 0)
      return ShapedType::kDynamic;
    stride = term.stride;
  }
  return stride;
}

const Term *Access::linearAlong(unsigned loop) const {
  const Term *only = nullptr;
  for (const Term &term : terms) {
    if (term.loop != loop)
      continue;
    if (only || term.kind != Term::Linear)
      return nullptr;
    only = &term;
  }
  return only;
}

Access::Lanes Access::along(unsigned loop, int64_t count) const {
  if (!contains(loops, loop))
    return None;
  int64_t unit = 0;
  bool strided = true;
  for (const Term &term : terms) {
    if (term.loop != loop)
      continue;
    if (term.kind == Term::FloorDiv && term.divisor % count == 0)
      continue; // the same for all lanes
    // Within the lanes the term is linear, or a fixed pattern.
    bool linear =
        term.kind == Term::Linear || (term.kind == Term::Mod && term.divisor % count == 0);
    bool pattern = term.kind != Term::Linear && term.isStatic() && count % term.divisor == 0;
    strided &= linear || pattern;
    unit += linear && term.stride == 1 ? 1 : 2;
  }
  if (unit == 0)
    return Same;
  if (unit == 1)
    return Contiguous;
  if (strideAlong(loop) == -1)
    return Reversed;
  return strided ? Strided : Unknown;
}

int64_t Access::groupAlong(unsigned lanes, int64_t count, unsigned steps) const {
  auto find = [&](unsigned loop, Term::Kind kind) {
    return llvm::find_if(terms, [&](const Term &term) { return term.loop == loop && term.kind == kind && term.isStatic(); });
  };
  const Term *lane = find(lanes, Term::Mod), *group = find(steps, Term::FloorDiv), *step = find(steps, Term::Mod);
  bool isGrouped = llvm::is_contained({lane, group, step}, terms.end()) ? false
                   : lane->divisor % count == 0 && lane->stride == step->divisor && group->divisor == step->divisor &&
                         step->stride == 1 && llvm::count_if(terms, [&](const Term &term) { return term.loop == steps; }) == 2;
  return isGrouped ? step->divisor : 1;
}

namespace {

/// Collects the terms of one operand.
class AccessReader {
public:
  AccessReader(Access &access, ArrayRef<int> loopOf, ArrayRef<int64_t> strides)
      : access(access), loopOf(loopOf), strides(strides) {}

  LogicalResult read(AffineMap map) {
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      if (failed(visit(expr, dim, 1)))
        return failure();
    return success();
  }

private:
  void addTerm(Term::Kind kind, unsigned opLoop, int64_t divisor, unsigned dim, int64_t factor) {
    if (loopOf[opLoop] < 0)
      return; // the only value is 0
    Term term{kind, unsigned(loopOf[opLoop]), divisor, strides[dim], factor, dim};
    if (term.isStatic())
      term.stride *= factor;
    if (term.stride == 0)
      return;
    access.loops |= bit(term.loop);
    for (Term &other : access.terms)
      if (other.loop == term.loop && other.kind == kind && other.divisor == divisor &&
          other.isStatic() && term.isStatic()) {
        other.stride += term.stride;
        return;
      }
    access.terms.push_back(term);
  }

  LogicalResult visit(AffineExpr expr, unsigned dim, int64_t factor) {
    if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
      addTerm(Term::Linear, loop.getPosition(), 1, dim, factor);
      return success();
    }
    if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
      if (constant.getValue() != 0)
        access.constants.push_back({dim, factor * constant.getValue()});
      return success();
    }
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary)
      return failure();
    if (binary.getKind() == AffineExprKind::Add)
      return success(succeeded(visit(binary.getLHS(), dim, factor)) &&
                     succeeded(visit(binary.getRHS(), dim, factor)));
    auto right = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (!right)
      return failure();
    int64_t value = right.getValue();
    if (binary.getKind() == AffineExprKind::Mul)
      return visit(binary.getLHS(), dim, factor * value);
    auto loop = dyn_cast<AffineDimExpr>(binary.getLHS());
    if (!loop || value <= 0)
      return failure();
    if (binary.getKind() == AffineExprKind::FloorDiv)
      return addTerm(Term::FloorDiv, loop.getPosition(), value, dim, factor), success();
    if (binary.getKind() == AffineExprKind::Mod)
      return addTerm(Term::Mod, loop.getPosition(), value, dim, factor), success();
    return failure();
  }

  Access &access;
  ArrayRef<int> loopOf;
  ArrayRef<int64_t> strides;
};

bool isHandledElement(Type type) {
  if (type.isF16() || type.isBF16() || type.isF32() || type.isF64() || type.isIndex())
    return true;
  auto integer = dyn_cast<IntegerType>(type);
  return integer && llvm::is_contained({8u, 16u, 32u, 64u}, integer.getWidth());
}

/// Removes from a set the loop `gone`; later loops move up.
LoopSet withoutLoop(LoopSet set, unsigned gone) {
  LoopSet low = bit(gone) - 1;
  return (set & low) | ((set >> 1) & ~low);
}

/// Merges loop `inner` into loop `outer` if every address walks through both as
/// through one loop.
bool mergeLoops(Nest &nest, unsigned outer, unsigned inner) {
  Loop &a = nest.loops[outer], &b = nest.loops[inner];
  if (a.reduction != b.reduction || !b.isStatic())
    return false;
  for (const Access &access : nest.accesses) {
    if (!contains(access.loops, outer) && !contains(access.loops, inner))
      continue;
    int64_t strideA = access.strideAlong(outer), strideB = access.strideAlong(inner);
    if (ShapedType::isDynamic(strideA) || ShapedType::isDynamic(strideB) ||
        strideA != strideB * b.size)
      return false;
  }
  b.size = a.isStatic() ? a.size * b.size : ShapedType::kDynamic;
  b.origin.insert(b.origin.begin(), a.origin.begin(), a.origin.end());
  nest.loops.erase(nest.loops.begin() + outer);
  for (Access &access : nest.accesses) {
    access.loops = withoutLoop(access.loops & ~bit(outer), outer);
    llvm::erase_if(access.terms, [&](const Term &term) { return term.loop == outer; });
    for (Term &term : access.terms)
      term.loop -= term.loop > outer;
  }
  for (int &loop : nest.loopOf)
    if (loop == int(outer))
      loop = inner;
  for (int &loop : nest.loopOf)
    loop -= loop > int(outer);
  return true;
}

void mergeAllLoops(Nest &nest) {
  // A loop whose number the body reads stays alone.
  LoopSet indexed = 0;
  nest.op.walk([&](linalg::IndexOp index) {
    if (int loop = nest.loopOf[index.getDim()]; loop >= 0)
      indexed |= bit(loop);
  });
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned outer = 0; outer < nest.loops.size() && !changed; ++outer)
      for (unsigned inner = 0; inner < nest.loops.size() && !changed; ++inner)
        if (outer != inner && !contains(indexed, outer) && !contains(indexed, inner) &&
            mergeLoops(nest, outer, inner)) {
          indexed = withoutLoop(indexed, outer);
          changed = true;
        }
  }
}

/// The halos that are still about all iterations of their loops.
SmallVector<Halo> readHalos(const Nest &nest) {
  SmallVector<Halo> halos;
  linalg::GenericOp op = nest.op;
  auto list = op->getAttrOfType<ArrayAttr>(nacre::kern::kHalo);
  if (!list)
    return halos;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  for (auto halo : list.getAsRange<nacre::kern::HaloAttr>()) {
    if (halo.getTap() >= sizes.size() || halo.getPlace() >= sizes.size() || sizes[halo.getTap()] != halo.getTaps() ||
        sizes[halo.getPlace()] != halo.getPlaces())
      continue;
    int loop = nest.loopOf[halo.getTap()], place = nest.loopOf[halo.getPlace()];
    // Of merged loops the outermost may be the taps; places that are merged are not told apart.
    if (loop < 0 || nest.loops[loop].origin.front() != halo.getTap() || !nest.loops[loop].isStatic() ||
        (place >= 0 && nest.loops[place].origin.size() != 1))
      continue;
    halos.push_back({unsigned(loop), place, nest.loops[loop].size / halo.getTaps(), halo.getStride(), halo.getDilation(),
                     halo.getBegin(), halo.getSize(), halo.getPlaces(), halo.getTaps()});
  }
  return halos;
}

} // namespace

//===----------------------------------------------------------------------===//
// Nest
//===----------------------------------------------------------------------===//

SmallVector<unsigned> nacre::tile::matchEpilogueLoops(linalg::GenericOp op,
                                                      linalg::GenericOp epilogue) {
  Value result = op.getDpsInits().front();
  AffineMap inner = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  SmallVector<unsigned> loops;
  for (OpOperand &operand : epilogue->getOpOperands()) {
    if (operand.get() != result)
      continue;
    AffineMap outer = epilogue.getMatchingIndexingMap(&operand);
    if (!outer.isPermutation() || !inner.isProjectedPermutation())
      return {};
    SmallVector<unsigned> matched(epilogue.getNumLoops());
    for (auto [from, to] : llvm::zip(outer.getResults(), inner.getResults()))
      matched[cast<AffineDimExpr>(from).getPosition()] = cast<AffineDimExpr>(to).getPosition();
    if (!loops.empty() && loops != matched)
      return {};
    loops = matched;
  }
  return loops;
}

bool Nest::isRead(unsigned number) const {
  if (number < inputs)
    return accesses[number].used && !accesses[number].scalar;
  if (number < epilogueStart())
    return (accesses[number].used || reduction) && !start[number - inputs];
  return accesses[number].used && !accesses[number].scalar && !isResult(number);
}

std::optional<Nest> Nest::get(linalg::GenericOp op, linalg::GenericOp epilogue,
                              std::string &reason) {
  auto fail = [&](const char *why) {
    reason = why;
    return std::nullopt;
  };
  if (!op.hasPureBufferSemantics())
    return fail("not on memrefs");
  if (op.getNumLoops() > 60)
    return fail("too many loops");

  Nest nest;
  nest.op = op;
  nest.epilogue = epilogue;
  nest.inputs = op.getNumDpsInputs();
  nest.outputs = op.getNumDpsInits();
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  for (auto [loop, size, type] : llvm::enumerate(sizes, op.getIteratorTypesArray())) {
    nest.loopOf.push_back(size == 1 ? -1 : int(nest.loops.size()));
    if (size != 1)
      nest.loops.push_back({type == utils::IteratorType::reduction, size, {unsigned(loop)}});
  }
  auto readOperands = [&](linalg::GenericOp from, ArrayRef<int> loopOf) -> const char * {
    for (OpOperand &operand : from->getOpOperands()) {
      Access &access = nest.accesses.emplace_back();
      access.source = operand.get();
      access.used = from.payloadUsesValueFromOperand(&operand);
      if (!access.used && from.isDpsInput(&operand))
        continue; // it only gives sizes, as the window of a pooling
      auto type = dyn_cast<MemRefType>(operand.get().getType());
      if (!type) {
        access.scalar = true;
        access.element = operand.get().getType();
        continue;
      }
      access.element = type.getElementType();
      SmallVector<int64_t> strides;
      int64_t offset;
      if (failed(type.getStridesAndOffset(strides, offset)))
        return "memref without strides";
      if (!isHandledElement(access.element))
        return "element type without vector loads";
      AffineMap map = from.getMatchingIndexingMap(&operand);
      if (failed(AccessReader(access, loopOf, strides).read(map)))
        return "address is not a sum over loops";
    }
    return nullptr;
  };
  if (const char *why = readOperands(op, nest.loopOf))
    return fail(why);
  if (epilogue) {
    SmallVector<unsigned> matched = matchEpilogueLoops(op, epilogue);
    if (matched.size() != epilogue.getNumLoops())
      return fail("loops of the epilogue do not match");
    SmallVector<int> loopOf;
    for (unsigned loop : matched)
      loopOf.push_back(nest.loopOf[loop]);
    if (const char *why = readOperands(epilogue, loopOf))
      return fail(why);
  }
  mergeAllLoops(nest);
  for (auto [loop, info] : llvm::enumerate(nest.loops))
    (info.reduction ? nest.reduction : nest.parallel) |= bit(loop);
  for (auto [number, access] : llvm::enumerate(nest.accesses))
    if (nest.isWritten(number) && access.loops != nest.parallel)
      return fail("an output does not move with all parallel loops, or moves with a reduction");
  nest.start.resize(nest.outputs);
  nest.halos = readHalos(nest);
  return nest;
}

Operation *Nest::combiner(unsigned output) const {
  SmallVector<Operation *, 4> combiners;
  Value reduced = matchReduction(linalg::GenericOp(op).getRegionOutputArgs(), output, combiners);
  if (!reduced || combiners.size() != 1)
    return nullptr;
  Operation *combiner = combiners.front();
  if (combiner->getNumOperands() != 2 || combiner->getNumResults() != 1 ||
      !arith::getNeutralElement(combiner))
    return nullptr;
  return combiner;
}

bool nacre::tile::isIntegerDivision(Operation *op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::CeilDivSIOp,
             arith::CeilDivUIOp, arith::FloorDivSIOp>(op);
}
