//===- VectorizeTilesGroups.cpp - Several narrow products at once -----------===//
//
// Before: c(m, n) += f32(a(m, k)) * f32(b(k, n))
// After:  for k in steps of 2:
//           group of a = (a(m, k), a(m, k + 1)), the same in all lanes
//           groups of b = rows b(k, n) and b(k + 1, n), interleaved in registers
//           c(m, n) = dot of the groups + c(m, n)
//
// Of 8-bit integers four steps are a group. Iterations that fill none at the end are groups by
// themselves, with 0 beside them. Of bf16 the instruction (avx512bf16's vdpbf16ps) rounds to nearest
// after each product and takes denormal numbers for 0; that of integers (avx512vnni's vpdpbusd)
// multiplies unsigned by signed ones and is exact.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace nacre::tile;

void nacre::tile::groupSteps(const Nest &nest, const VectorTarget &target, Plan &plan) {
  std::optional<TileProduct> product = getTileProduct(nest.op);
  if (!product || plan.reductionOrder.empty() || plan.transposed >= 0 || nest.loops[plan.lanes].reduction ||
      (plan.width != 4 && plan.width != 8 && plan.width != 16))
    return;
  bool isFloat = product->element.isBF16();
  if (isFloat ? !target.dotBF16 : !target.dotI8 || product->isUnsigned[0] == product->isUnsigned[1])
    return;
  unsigned loop = plan.reductionOrder.back(), vectors = 0;
  if (plan.copies[loop] != 1 || (nest.loops[loop].isStatic() && nest.loops[loop].size < product->group()))
    return;
  for (const Access &access : nest.getInputs()) {
    Access::Lanes along = access.along(plan.lanes, plan.width);
    if (access.scalar || !access.linearAlong(loop) || (along != Access::None && along != Access::Contiguous))
      return;
    vectors += along == Access::Contiguous;
  }
  if (vectors != 1)
    return;
  plan.grouped = loop;
  plan.group = product->group();
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

/// Elements k, k + 1, ... of an operand: interleaved rows, or a group that is the same in all lanes.
Value Emitter::loadGroup(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  const Term *term = access.linearAlong(plan.grouped);
  bool isAlone = positions[plan.grouped].isAlone;
  auto groups = VectorType::get(plan.group * plan.width, access.element);
  Value start = addressOf(number, at), address = start;
  auto next = [&] { return address = add(address, strideOf(number, *term)); };
  if (access.along(plan.lanes, plan.width) == Access::Contiguous) {
    auto type = vectorOf(access.element);
    Value mask = maskAt(at), none = constant(b.getZeroAttr(type));
    SmallVector<Value> rows;
    for (int64_t i = 0; i < plan.group; ++i) {
      if (i > 0 && isAlone) {
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
  Type i32 = b.getI32Type(), bits = b.getIntegerType(access.element.getIntOrFloatBitWidth());
  Value group;
  if (!isAlone && term->isStatic() && term->stride == 1) {
    auto type = VectorType::get(plan.group, access.element);
    Value all = vector::LoadOp::create(b, loc, type, flat[number], start);
    group = vector::ExtractOp::create(b, loc, vector::BitCastOp::create(b, loc, VectorType::get(1, i32), all), 0);
  } else {
    auto element = [&](Value from) -> Value {
      Value narrow = memref::LoadOp::create(b, loc, flat[number], from);
      if (narrow.getType() != bits)
        narrow = arith::BitcastOp::create(b, loc, bits, narrow);
      return arith::ExtUIOp::create(b, loc, i32, narrow);
    };
    group = element(start);
    for (int64_t i = 1; i < plan.group && !isAlone; ++i) {
      Value place = constant(b.getI32IntegerAttr(i * access.element.getIntOrFloatBitWidth()));
      group = arith::OrIOp::create(b, loc, group, arith::ShLIOp::create(b, loc, element(next()), place));
    }
  }
  Value same = vector::BroadcastOp::create(b, loc, vectorOf(i32), group);
  return vector::BitCastOp::create(b, loc, groups, same);
}

/// The accumulator and the dot product of the groups that `sum` would add, one by one.
Value Emitter::addGroups(Operation &sum, const Coordinate &at) {
  unsigned side = isa<BlockArgument>(sum.getOperand(0)) ? 1 : 0;
  Operation *product = sum.getOperand(side).getDefiningOp();
  Value accumulator = vectorOf(sum.getOperand(1 - side), at);
  Operation *wide[] = {product->getOperand(0).getDefiningOp(), product->getOperand(1).getDefiningOp()};
  if (isa<arith::ExtUIOp>(wide[1])) // the unsigned one is the first
    std::swap(wide[0], wide[1]);
  bool isFloat = isa<arith::MulFOp>(product);
  auto name = b.getStringAttr((isFloat ? "llvm.x86.avx512bf16.dpbf16ps." : "llvm.x86.avx512.vpdpbusd.") + Twine(plan.width * 32));
  return LLVM::CallIntrinsicOp::create(
             b, loc, accumulator.getType(), name,
             ValueRange{accumulator, vectorOf(wide[0]->getOperand(0), at), vectorOf(wide[1]->getOperand(0), at)})
      .getResult(0);
}
