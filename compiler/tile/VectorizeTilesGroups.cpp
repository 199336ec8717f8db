//===- VectorizeTilesGroups.cpp - Several narrow products at once -----------===//
//
// Before: c(m, n) += f32(a(m, k)) * f32(b(k, n))
// After:  for k in steps of 2:
//           group of a = (a(m, k), a(m, k + 1)), the same in all lanes
//           groups of b = rows b(k, n) and b(k + 1, n), interleaved in registers
//           c(m, n) = dot of the groups + c(m, n)
//
// Of 8-bit integers four steps are a group. Iterations that fill none at the end are one with 0 beside
// them, or, if their number is open, each by itself. Weights lie in groups already (PackParameters).
// Of bf16 the instruction (avx512bf16's vdpbf16ps) rounds to nearest
// after each product and takes denormal numbers for 0; that of integers (avx512vnni's vpdpbusd)
// multiplies unsigned by signed ones and is exact. AArch64 has it for integers of one sign (sdot,
// udot: dotprod) and of two (usdot: i8mm). Where x86 lacks it, integers are widened to i16, of which
// two are a group (pmaddwd): exact as well, as no sum of two products of bytes is beyond i32.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace nacre::tile;

static Dot chooseInstruction(const TileProduct &product, const VectorTarget &target) {
  if (product.element.isBF16())
    return target.dotBF16 ? Dot::BF16 : Dot::None;
  bool isMixed = product.isUnsigned[0] != product.isUnsigned[1];
  if (isMixed && target.dotI8)
    return Dot::UnsignedSigned;
  if (isMixed ? target.dotMixedI8 : target.dotSameI8)
    return Dot::Arm;
  return target.dotI16 ? Dot::Words : Dot::None;
}

Grouping nacre::tile::chooseDot(const TileProduct &product, const VectorTarget &target, int64_t width) {
  Dot dot = chooseInstruction(product, target);
  if (width * 32 > target.vectorBits || (width != 4 && width != 8 && width != 16) || dot == Dot::None)
    return {0, 1, Dot::None};
  return {0, dot == Dot::Words ? 2 : product.group(), dot};
}

std::optional<Grouping> nacre::tile::findGrouping(const Nest &nest, const VectorTarget &target, unsigned lanes, int64_t width) {
  std::optional<TileProduct> product = getTileProduct(nest.op);
  if (!product || nest.loops[lanes].reduction)
    return std::nullopt;
  Grouping grouping = chooseDot(*product, target, width);
  if (grouping.dot == Dot::None)
    return std::nullopt;
  // The loop that an operand is packed for, or else the innermost one.
  int found = -1;
  for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
    if (nest.loops[loop].reduction &&
        (found < 0 || llvm::none_of(nest.getInputs(), [&](const Access &access) { return access.groupAlong(lanes, width, found) > 1; })))
      found = loop;
  if (found < 0 || (nest.loops[found].isStatic() && nest.loops[found].size < grouping.size))
    return std::nullopt;
  grouping.loop = found;
  unsigned vectors = 0;
  for (const Access &access : nest.getInputs()) {
    if (access.scalar)
      return std::nullopt;
    if (access.groupAlong(lanes, width, found) == grouping.size) {
      ++vectors;
      continue;
    }
    Access::Lanes along = access.along(lanes, width);
    if (!access.linearAlong(found) || (along != Access::None && along != Access::Contiguous))
      return std::nullopt;
    vectors += along == Access::Contiguous;
  }
  return vectors == 1 ? std::optional(grouping) : std::nullopt;
}

/// Rows of a group, lane by lane.
Value Emitter::interleave(SmallVector<Value> rows) {
  while (rows.size() > 1) {
    SmallVector<Value> next;
    for (size_t i = 0; i < rows.size(); i += 2) {
      auto type = cast<VectorType>(rows[i].getType());
      SmallVector<int64_t> lanes;
      for (int64_t lane = 0; lane < type.getNumElements(); ++lane)
        llvm::append_values(lanes, lane, type.getNumElements() + lane);
      Value both = vector::ShuffleOp::create(b, loc, rows[i], rows[i + 1], lanes);
      Type unit = b.getIntegerType(2 * type.getElementTypeBitWidth());
      next.push_back(rows.size() == 2 ? both
                                      : vector::BitCastOp::create(b, loc, VectorType::get(type.getNumElements(), unit), both).getResult());
    }
    rows = std::move(next);
  }
  return rows.front();
}

/// Groups of a packed operand whose first elements are those of the running step, which may be in the middle of its group.
Value Emitter::loadOneOfGroup(unsigned number, Value start) {
  const Access &access = nest.accesses[number];
  const Term &term = *llvm::find_if(access.terms, [&](const Term &own) { return int(own.loop) == plan.grouped && own.kind == Term::FloorDiv; });
  Value place = arith::RemUIOp::create(b, loc, positions[plan.grouped].iv, index(plan.group));
  Value begin = arith::SubIOp::create(b, loc, start, mul(place, index(inGroups(term).stride)));
  auto groups = VectorType::get(plan.group * plan.width, access.element);
  unsigned elementBits = access.element.getIntOrFloatBitWidth();
  Type unit = b.getIntegerType(plan.group * elementBits);
  Value all = vector::BitCastOp::create(b, loc, vectorOf(unit), vector::LoadOp::create(b, loc, groups, flat[number], begin));
  Value bits = arith::IndexCastUIOp::create(b, loc, unit, mul(place, index(elementBits)));
  all = arith::ShRUIOp::create(b, loc, all, vector::BroadcastOp::create(b, loc, all.getType(), bits));
  return vector::BitCastOp::create(b, loc, groups, all);
}

/// Elements k, k + 1, ... of an operand: interleaved rows, what is packed so, or a group that is the same in
/// all lanes.
Value Emitter::loadGroup(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  const int64_t count = positions[plan.grouped].group;
  auto groups = VectorType::get(plan.group * plan.width, access.element);
  Value start = addressOf(number, at), address = start;
  if (access.groupAlong(plan.lanes, plan.width, plan.grouped) > 1) { // whole panels: zeros follow the last step and lane
    if (count == plan.group || nest.loops[plan.grouped].isStatic())
      return vector::LoadOp::create(b, loc, groups, flat[number], start);
    return loadOneOfGroup(number, start);
  }
  const Term *term = access.linearAlong(plan.grouped);
  auto next = [&] { return address = add(address, strideOf(number, *term)); };
  if (access.along(plan.lanes, plan.width) == Access::Contiguous) {
    auto type = vectorOf(access.element);
    Value mask = maskAt(at), none = constant(b.getZeroAttr(type));
    SmallVector<Value> rows;
    for (int64_t i = 0; i < plan.group; ++i) {
      if (i >= count) {
        rows.push_back(none);
        continue;
      }
      Value from = i == 0 ? start : next();
      if (mask)
        rows.push_back(vector::MaskedLoadOp::create(b, loc, type, flat[number], from, mask, none));
      else
        rows.push_back(vector::LoadOp::create(b, loc, type, flat[number], from));
    }
    Value all = interleave(std::move(rows));
    return all.getType() == groups ? all : vector::BitCastOp::create(b, loc, groups, all).getResult();
  }
  unsigned elementBits = access.element.getIntOrFloatBitWidth();
  Type unit = b.getIntegerType(plan.group * elementBits), bits = b.getIntegerType(elementBits);
  Value group;
  if (count == plan.group && term->isStatic() && term->stride == 1) {
    auto type = VectorType::get(plan.group, access.element);
    Value all = vector::LoadOp::create(b, loc, type, flat[number], start);
    group = vector::ExtractOp::create(b, loc, vector::BitCastOp::create(b, loc, VectorType::get(1, unit), all), 0);
  } else {
    auto element = [&](Value from) -> Value {
      Value narrow = memref::LoadOp::create(b, loc, flat[number], from);
      if (narrow.getType() != bits)
        narrow = arith::BitcastOp::create(b, loc, bits, narrow);
      return arith::ExtUIOp::create(b, loc, unit, narrow);
    };
    group = element(start);
    for (int64_t i = 1; i < count; ++i) {
      Value place = constant(b.getIntegerAttr(unit, i * elementBits));
      group = arith::OrIOp::create(b, loc, group, arith::ShLIOp::create(b, loc, element(next()), place));
    }
  }
  Value same = vector::BroadcastOp::create(b, loc, vectorOf(unit), group);
  return vector::BitCastOp::create(b, loc, groups, same);
}

/// Calls an intrinsic of AArch64's: of SVE, whose operands have no fixed length, if the vectors are
/// longer than NEON's.
static Value callArm(OpBuilder &b, Location loc, StringRef name, Value accumulator, Value left, Value right) {
  auto type = cast<VectorType>(accumulator.getType());
  auto call = [&](const Twine &callee, Type result, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(callee), operands).getResult(0);
  };
  if (type.getNumElements() == 4)
    return call("llvm.aarch64.neon." + name + ".v4i32.v16i8", type, {accumulator, left, right});
  auto widen = [&](Value value) -> Value {
    Type element = cast<VectorType>(value.getType()).getElementType();
    auto scalable = VectorType::get(128 / element.getIntOrFloatBitWidth(), element, /*scalableDims=*/true);
    Value none = LLVM::PoisonOp::create(b, loc, scalable);
    return vector::ScalableInsertOp::create(b, loc, value, none, 0);
  };
  Value wide = widen(accumulator);
  Value sum = call("llvm.aarch64.sve." + name + ".nxv4i32", wide.getType(), {wide, widen(left), widen(right)});
  return vector::ScalableExtractOp::create(b, loc, type, sum, 0);
}

/// The accumulator and the dot product of the groups that `sum` would add, one by one.
Value Emitter::addGroups(Operation &sum, const Coordinate &at) {
  unsigned side = isa<BlockArgument>(sum.getOperand(0)) ? 1 : 0;
  Operation *product = sum.getOperand(side).getDefiningOp();
  Value accumulator = vectorOf(sum.getOperand(1 - side), at);
  Operation *wide[] = {product->getOperand(0).getDefiningOp(), product->getOperand(1).getDefiningOp()};
  if (isa<arith::ExtUIOp>(wide[1])) // the unsigned one is the first
    std::swap(wide[0], wide[1]);
  Value groups[] = {vectorOf(wide[0]->getOperand(0), at), vectorOf(wide[1]->getOperand(0), at)};
  auto call = [&](const Twine &name, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, loc, accumulator.getType(), b.getStringAttr(name), operands).getResult(0);
  };
  switch (plan.dot) {
  case Dot::None:
    break;
  case Dot::BF16:
    return call("llvm.x86.avx512bf16.dpbf16ps." + Twine(plan.width * 32), {accumulator, groups[0], groups[1]});
  case Dot::UnsignedSigned:
    return call("llvm.x86.avx512.vpdpbusd." + Twine(plan.width * 32), {accumulator, groups[0], groups[1]});
  case Dot::Arm: {
    bool isMixed = wide[0]->getName() != wide[1]->getName();
    return callArm(b, loc, isMixed ? "usdot" : isa<arith::ExtUIOp>(wide[0]) ? "udot" : "sdot", accumulator, groups[0], groups[1]);
  }
  case Dot::Words: {
    auto type = VectorType::get(2 * plan.width, b.getI16Type());
    for (auto [group, op] : llvm::zip(groups, wide))
      group = isa<arith::ExtUIOp>(op) ? arith::ExtUIOp::create(b, loc, type, group).getResult()
                                      : arith::ExtSIOp::create(b, loc, type, group).getResult();
    StringRef name = plan.width == 4   ? "llvm.x86.sse2.pmadd.wd"
                     : plan.width == 8 ? "llvm.x86.avx2.pmadd.wd"
                                       : "llvm.x86.avx512.pmaddw.d.512";
    return arith::AddIOp::create(b, loc, accumulator, call(name, {groups[0], groups[1]}));
  }
  }
  llvm_unreachable("products that are not grouped");
}
