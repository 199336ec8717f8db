//===- VectorizeTilesPairs.cpp - Two products of bf16 at once ---------------===//
//
// Before: c(m, n) += f32(a(m, k)) * f32(b(k, n))
// After:  for k in steps of 2:
//           pair of a = (a(m, k), a(m, k + 1)), the same in all lanes
//           pairs of b = rows b(k, n) and b(k + 1, n), interleaved in registers
//           c(m, n) = dot of the pairs + c(m, n)
//
// An odd iteration at the end takes 0 for the second of each pair. The instruction
// (avx512bf16's vdpbf16ps) rounds to nearest after each product and takes denormal numbers
// for 0.
//
//===----------------------------------------------------------------------===//
#include "compiler/tile/VectorizeTilesEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace nacre::tile;

static bool isProductOfBF16(linalg::GenericOp op) {
  std::optional<TileProduct> product = getTileProduct(op);
  return product && product->element.isBF16();
}

int nacre::tile::findPaired(const Nest &nest, const Plan &plan) {
  if (plan.reductionOrder.empty() || plan.transposed >= 0 || nest.loops[plan.lanes].reduction ||
      (plan.width != 4 && plan.width != 8 && plan.width != 16) || !isProductOfBF16(nest.op))
    return -1;
  unsigned loop = plan.reductionOrder.back(), vectors = 0;
  if (plan.copies[loop] != 1 || (nest.loops[loop].isStatic() && nest.loops[loop].size < 2))
    return -1;
  for (const Access &access : nest.getInputs()) {
    Access::Lanes along = access.along(plan.lanes, plan.width);
    if (access.scalar || !access.linearAlong(loop) || (along != Access::None && along != Access::Contiguous))
      return -1;
    vectors += along == Access::Contiguous;
  }
  return vectors == 1 ? int(loop) : -1;
}

/// Elements k and k + 1 of an operand of bf16: interleaved rows, or a pair that is the same in all lanes.
Value Emitter::loadPair(unsigned number, const Coordinate &at) {
  const Access &access = nest.accesses[number];
  const Term *term = access.linearAlong(plan.paired);
  bool isOdd = positions[plan.paired].isOdd;
  auto pairs = VectorType::get(2 * plan.width, access.element);
  Value address = addressOf(number, at);
  auto nextAddress = [&] { return add(address, strideOf(number, *term)); };
  if (access.along(plan.lanes, plan.width) == Access::Contiguous) {
    auto type = vectorOf(access.element);
    Value mask = maskAt(at), none = constant(b.getZeroAttr(type));
    auto row = [&](Value from) -> Value {
      if (mask)
        return vector::MaskedLoadOp::create(b, loc, type, flat[number], from, mask, none);
      return vector::LoadOp::create(b, loc, type, flat[number], from);
    };
    Value first = row(address), second = isOdd ? none : row(nextAddress());
    SmallVector<int64_t> lanes;
    for (int64_t lane = 0; lane < plan.width; ++lane)
      llvm::append_values(lanes, lane, plan.width + lane);
    return vector::ShuffleOp::create(b, loc, first, second, lanes);
  }
  Type i16 = b.getI16Type(), i32 = b.getI32Type();
  Value pair;
  if (!isOdd && term->isStatic() && term->stride == 1) {
    auto two = VectorType::get(2, access.element);
    Value both = vector::LoadOp::create(b, loc, two, flat[number], address);
    pair = vector::ExtractOp::create(b, loc, vector::BitCastOp::create(b, loc, VectorType::get(1, i32), both), 0);
  } else {
    auto element = [&](Value from) -> Value {
      Value narrow = memref::LoadOp::create(b, loc, flat[number], from);
      return arith::ExtUIOp::create(b, loc, i32, arith::BitcastOp::create(b, loc, i16, narrow));
    };
    pair = element(address);
    if (!isOdd) {
      Value second = arith::ShLIOp::create(b, loc, element(nextAddress()), constant(b.getI32IntegerAttr(16)));
      pair = arith::OrIOp::create(b, loc, pair, second);
    }
  }
  Value same = vector::BroadcastOp::create(b, loc, vectorOf(i32), pair);
  return vector::BitCastOp::create(b, loc, pairs, same);
}

/// The accumulator and the dot product of the pairs that `sum` would add, one by one.
Value Emitter::addPairs(Operation &sum, const Coordinate &at) {
  unsigned side = isa<BlockArgument>(sum.getOperand(0)) ? 1 : 0;
  auto product = sum.getOperand(side).getDefiningOp<arith::MulFOp>();
  auto pairOf = [&](Value wide) { return vectorOf(wide.getDefiningOp()->getOperand(0), at); };
  Value accumulator = vectorOf(sum.getOperand(1 - side), at);
  auto name = b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps." + Twine(plan.width * 32));
  return LLVM::CallIntrinsicOp::create(b, loc, accumulator.getType(), name,
                                       ValueRange{accumulator, pairOf(product.getLhs()), pairOf(product.getRhs())})
      .getResult(0);
}
