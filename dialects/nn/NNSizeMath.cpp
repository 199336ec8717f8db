//===- NNSizeMath.cpp - Arithmetic on sizes ---------------------*- C++ -*-===//
#include "dialects/nn/NNSizeMath.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <numeric>

using namespace mlir;
using namespace nacre::nn;

using Size = SizeMath::Size;

static bool isConstant(Size size, int64_t value) { return isConstantIntValue(size, value); }

/// Computes `lhs op rhs` now if both are known; wraps around like the op does.
template <typename Fn>
static std::optional<Size> compute(OpBuilder &b, Size lhs, Size rhs, Fn fn) {
  auto l = getConstantIntValue(lhs), r = getConstantIntValue(rhs);
  if (!l || !r)
    return std::nullopt;
  return Size(b.getIndexAttr(fn(*l, *r)));
}

static int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }

static bool isNonNegativeWithin(Size size, int depth) {
  if (auto known = getConstantIntValue(size))
    return *known >= 0;
  Operation *op = cast<Value>(size).getDefiningOp();
  if (!op || depth == 0)
    return false;
  auto isOperandNonNegative = [&](Value operand) { return isNonNegativeWithin(Size(operand), depth - 1); };
  // Sums and products of sizes do not overflow: a tensor so large does not exist.
  if (isa<arith::AddIOp, arith::MulIOp, arith::DivUIOp, arith::MinSIOp, arith::IndexCastOp>(op))
    return llvm::all_of(op->getOperands(), isOperandNonNegative);
  if (isa<arith::MaxSIOp>(op))
    return llvm::any_of(op->getOperands(), isOperandNonNegative);
  return isa<tensor::DimOp>(op);
}

bool nacre::nn::isNonNegative(OpFoldResult size) { return isNonNegativeWithin(size, 4); }

/// Larger than every size of a tensor.
static constexpr int64_t unboundedSize = int64_t(1) << 56;

std::optional<bool> nacre::nn::getKnownComparison(arith::CmpIPredicate predicate, OpFoldResult lhs,
                                                  OpFoldResult rhs) {
  auto l = getConstantIntValue(lhs), r = getConstantIntValue(rhs);
  if (l && r)
    return arith::applyCmpPredicate(predicate, APInt(64, *l, true), APInt(64, *r, true));
  if (isSameSize(lhs, rhs))
    return arith::applyCmpPredicate(predicate, APInt(64, 0), APInt(64, 0));
  // A size against a number below 0, or below 1.
  if (r && *r <= 0 && isNonNegative(lhs)) {
    switch (predicate) {
    case arith::CmpIPredicate::slt:
      return false;
    case arith::CmpIPredicate::sge:
      return true;
    case arith::CmpIPredicate::eq:
    case arith::CmpIPredicate::sle:
      return *r < 0 ? std::optional(false) : std::nullopt;
    case arith::CmpIPredicate::ne:
    case arith::CmpIPredicate::sgt:
      return *r < 0 ? std::optional(true) : std::nullopt;
    default:
      return std::nullopt;
    }
  }
  return std::nullopt;
}

Value SizeMath::value(Size size) { return getValueOrCreateConstantIndexOp(b, loc, size); }

Value SizeMath::valueI64(Size size) {
  if (auto known = getConstantIntValue(size))
    return arith::ConstantIntOp::create(b, loc, *known, 64);
  return b.createOrFold<arith::IndexCastOp>(loc, b.getI64Type(), value(size));
}

Size SizeMath::dim(Value tensor, int64_t index) { return getDim(b, loc, tensor, index); }

SmallVector<Size> SizeMath::dims(Value tensor) { return getDims(b, loc, tensor); }

Size SizeMath::element(Value tensor, int64_t index) {
  return getElementAsIndex(b, loc, tensor, index);
}

Size SizeMath::add(Size lhs, Size rhs) {
  if (auto known = compute(b, lhs, rhs, [](uint64_t l, uint64_t r) { return wrap(l + r); }))
    return *known;
  if (isConstant(lhs, 0))
    return rhs;
  if (isConstant(rhs, 0))
    return lhs;
  return getAsOpFoldResult(b.createOrFold<arith::AddIOp>(loc, value(lhs), value(rhs)));
}

Size SizeMath::sub(Size lhs, Size rhs) {
  if (auto known = compute(b, lhs, rhs, [](uint64_t l, uint64_t r) { return wrap(l - r); }))
    return *known;
  if (isConstant(rhs, 0))
    return lhs;
  if (isSameSize(lhs, rhs))
    return constant(0);
  return getAsOpFoldResult(b.createOrFold<arith::SubIOp>(loc, value(lhs), value(rhs)));
}

Size SizeMath::mul(Size lhs, Size rhs) {
  if (auto known = compute(b, lhs, rhs, [](uint64_t l, uint64_t r) { return wrap(l * r); }))
    return *known;
  if (isConstant(lhs, 1) || isConstant(rhs, 0))
    return rhs;
  if (isConstant(rhs, 1) || isConstant(lhs, 0))
    return lhs;
  return getAsOpFoldResult(b.createOrFold<arith::MulIOp>(loc, value(lhs), value(rhs)));
}

Size SizeMath::min(Size lhs, Size rhs) {
  if (auto known = compute(b, lhs, rhs, [](int64_t l, int64_t r) { return std::min(l, r); }))
    return *known;
  auto isAbove = [](Size limit, Size size) {
    return getConstantIntValue(limit).value_or(0) >= unboundedSize && isNonNegative(size);
  };
  auto isBelow = [](Size limit, Size size) {
    return getConstantIntValue(limit).value_or(1) <= 0 && isNonNegative(size);
  };
  if (isSameSize(lhs, rhs) || isAbove(rhs, lhs) || isBelow(lhs, rhs))
    return lhs;
  if (isAbove(lhs, rhs) || isBelow(rhs, lhs))
    return rhs;
  return getAsOpFoldResult(b.createOrFold<arith::MinSIOp>(loc, value(lhs), value(rhs)));
}

Size SizeMath::max(Size lhs, Size rhs) {
  if (auto known = compute(b, lhs, rhs, [](int64_t l, int64_t r) { return std::max(l, r); }))
    return *known;
  auto isAtMostZero = [](Size size) { return getConstantIntValue(size).value_or(1) <= 0; };
  if (isSameSize(lhs, rhs) || (isAtMostZero(rhs) && isNonNegative(lhs)))
    return lhs;
  if (isAtMostZero(lhs) && isNonNegative(rhs))
    return rhs;
  return getAsOpFoldResult(b.createOrFold<arith::MaxSIOp>(loc, value(lhs), value(rhs)));
}

Size SizeMath::div(Size lhs, Size rhs) {
  auto divide = [](int64_t l, int64_t r) { return std::max<int64_t>(l, 0) / std::max<int64_t>(r, 1); };
  if (auto known = compute(b, lhs, rhs, divide))
    return *known;
  if (isConstant(rhs, 1))
    return lhs;
  return getAsOpFoldResult(
      b.createOrFold<arith::DivUIOp>(loc, value(lhs), value(max(rhs, constant(1)))));
}

Size SizeMath::ceilDiv(Size lhs, Size rhs) {
  if (isConstant(rhs, 1))
    return lhs;
  return div(add(lhs, sub(max(rhs, constant(1)), constant(1))), rhs);
}

Size SizeMath::modulo(Size lhs, Size rhs) {
  auto mod = [](int64_t l, int64_t r) {
    r = std::max<int64_t>(r, 1);
    return ((l % r) + r) % r;
  };
  if (auto known = compute(b, lhs, rhs, mod))
    return *known;
  Size divisor = max(rhs, constant(1));
  Size rest = getAsOpFoldResult(b.createOrFold<arith::RemSIOp>(loc, value(lhs), value(divisor)));
  return select(Predicate::slt, rest, constant(0), add(rest, divisor), rest);
}

Size SizeMath::product(ArrayRef<Size> sizes) {
  Size result = constant(1);
  for (Size size : sizes)
    result = mul(result, size);
  return result;
}

Size SizeMath::select(Predicate predicate, Size lhs, Size rhs, Size yes, Size no) {
  if (auto known = getKnownComparison(predicate, lhs, rhs))
    return *known ? yes : no;
  if (isSameSize(yes, no))
    return yes;
  return getAsOpFoldResult(
      b.createOrFold<arith::SelectOp>(loc, compare(predicate, lhs, rhs), value(yes), value(no)));
}

Value SizeMath::compare(Predicate predicate, Size lhs, Size rhs) {
  if (auto known = getKnownComparison(predicate, lhs, rhs))
    return arith::ConstantIntOp::create(b, loc, *known, 1);
  return b.createOrFold<arith::CmpIOp>(loc, predicate, value(lhs), value(rhs));
}

bool nacre::nn::isSameSize(OpFoldResult lhs, OpFoldResult rhs) {
  auto isSame = [](auto &self, Value l, Value r, int depth) -> bool {
    if (l == r)
      return true;
    Operation *lop = l.getDefiningOp(), *rop = r.getDefiningOp();
    if (!lop || !rop || depth == 0 || !isMemoryEffectFree(lop) ||
        cast<OpResult>(l).getResultNumber() != cast<OpResult>(r).getResultNumber())
      return false;
    return OperationEquivalence::isEquivalentTo(
        lop, rop, [&](Value a, Value b) { return success(self(self, a, b, depth - 1)); },
        /*markEquivalent=*/nullptr, OperationEquivalence::IgnoreLocations);
  };
  auto l = getConstantIntValue(lhs), r = getConstantIntValue(rhs);
  if (l || r)
    return l == r;
  return isSame(isSame, cast<Value>(lhs), cast<Value>(rhs), 4);
}

void SizeMath::cancel(SmallVectorImpl<Size> &lhs, SmallVectorImpl<Size> &rhs) {
  auto expand = [](SmallVectorImpl<Size> &product) {
    for (unsigned i = 0; i < product.size(); ++i)
      while (auto value = dyn_cast<Value>(product[i])) {
        auto mul = value.getDefiningOp<arith::MulIOp>();
        if (!mul)
          break;
        product[i] = getAsOpFoldResult(mul.getLhs());
        product.push_back(getAsOpFoldResult(mul.getRhs()));
      }
  };
  expand(lhs);
  expand(rhs);
  for (auto *it = lhs.begin(); it != lhs.end();) {
    auto *other = llvm::find_if(rhs, [&](Size size) { return isSameSize(size, *it); });
    if (other == rhs.end() || isConstant(*it, 0)) {
      ++it;
      continue;
    }
    rhs.erase(other);
    it = lhs.erase(it);
  }
  auto takeConstant = [](SmallVectorImpl<Size> &product) {
    int64_t constant = 1;
    llvm::erase_if(product, [&](Size size) {
      auto known = getConstantIntValue(size);
      int64_t next;
      if (!known || *known < 1 || llvm::MulOverflow(constant, *known, next))
        return false;
      constant = next;
      return true;
    });
    return constant;
  };
  int64_t l = takeConstant(lhs), r = takeConstant(rhs), common = std::gcd(l, r);
  if (l != common)
    lhs.push_back(constant(l / common));
  if (r != common)
    rhs.push_back(constant(r / common));
}

bool SizeMath::areSameProducts(ArrayRef<Size> lhs, ArrayRef<Size> rhs) {
  SmallVector<Size> l(lhs), r(rhs);
  cancel(l, r);
  return l.empty() && r.empty();
}

/// A negative position counts from the end.
static Size fromEnd(SizeMath &m, Size position, Size size) {
  return m.select(SizeMath::Predicate::slt, position, m.constant(0), m.add(position, size), position);
}

SliceRange nacre::nn::resolveSlice(SizeMath &m, Size size, Size start, Size end, Size step) {
  using Predicate = SizeMath::Predicate;
  Size zero = m.constant(0), one = m.constant(1);
  Size last = m.sub(size, one);
  start = fromEnd(m, start, size);
  end = fromEnd(m, end, size);
  auto clamp = [&](Size position, Size low, Size high) { return m.min(m.max(position, low), high); };

  // Going up: start and end in [0, size]. Going down: start in [0, size - 1], end in [-1, size - 1].
  auto upward = [&]() -> SliceRange {
    Size begin = clamp(start, zero, size);
    Size span = m.max(m.sub(clamp(end, zero, size), begin), zero);
    // (span - 1) / step + 1 cannot overflow, however large the step.
    Size count = m.select(Predicate::eq, step, one, span,
                          m.select(Predicate::sgt, span, zero,
                                   m.add(m.div(m.sub(span, one), step), one), zero));
    return {begin, count, step};
  };
  auto downward = [&]() -> SliceRange {
    Size begin = clamp(start, zero, last);
    Size span = m.max(m.sub(begin, clamp(end, m.constant(-1), last)), zero);
    Size distance = m.sub(zero, m.max(step, m.constant(std::numeric_limits<int64_t>::min() + 1)));
    Size count = m.select(Predicate::sgt, span, zero,
                          m.add(m.div(m.sub(span, one), distance), one), zero);
    return {begin, count, step};
  };
  if (auto known = getConstantIntValue(step))
    return *known < 0 ? downward() : upward();
  SliceRange up = upward(), down = downward();
  auto choose = [&](Size yes, Size no) { return m.select(Predicate::sgt, step, zero, yes, no); };
  return {choose(up.begin, down.begin), choose(up.count, down.count), step};
}

void nacre::nn::pushSizeCheck(OpBuilder &b, Location loc, OpFoldResult lhs, OpFoldResult rhs,
                              StringRef text, SmallVectorImpl<RuntimeCheck> &checks) {
  if (isSameSize(lhs, rhs))
    return;
  SizeMath m(b, loc);
  checks.push_back({m.compare(SizeMath::Predicate::eq, lhs, rhs), RuntimeCheck::Shape, text.str()});
}
