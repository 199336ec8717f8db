//===- NNChecks.cpp - Checks of what tensors hold ---------------*- C++ -*-===//
#include "dialects/nn/NNChecks.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NNSizeMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre::nn;

void nacre::nn::pushRangeCheck(OpBuilder &b, Location loc, Value tensor, OpFoldResult most, StringRef text,
                               SmallVectorImpl<RuntimeCheck> &checks) {
  auto type = cast<RankedTensorType>(tensor.getType());
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  auto extreme = [&](ReduceKind kind) -> Value {
    Value reduced = ReduceOp::create(b, loc, kind, tensor, axes, /*keepdims=*/false);
    return tensor::ExtractOp::create(b, loc, reduced, ValueRange());
  };
  Value least = extreme(ReduceKind::min), largest = extreme(ReduceKind::max);
  Value high = SizeMath(b, loc).valueI64(most), isNotBelow, isNotAbove;
  if (auto element = dyn_cast<FloatType>(type.getElementType())) {
    // In f64, where no size is rounded.
    auto widen = [&](Value value) -> Value {
      return element.isF64() ? value : Value(arith::ExtFOp::create(b, loc, b.getF64Type(), value));
    };
    Value zero = arith::ConstantOp::create(b, loc, b.getF64FloatAttr(0));
    isNotBelow = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, widen(least), zero);
    isNotAbove = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLE, widen(largest),
                                       arith::SIToFPOp::create(b, loc, b.getF64Type(), high));
  } else {
    auto widen = [&](Value value) -> Value {
      return value.getType().isInteger(64) ? value : Value(arith::ExtSIOp::create(b, loc, b.getI64Type(), value));
    };
    Value zero = arith::ConstantIntOp::create(b, loc, 0, 64);
    isNotBelow = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, widen(least), zero);
    isNotAbove = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, widen(largest), high);
  }
  // Without elements the smallest is above everything, and the largest below.
  Value isGood = arith::AndIOp::create(b, loc, isNotBelow, isNotAbove);
  checks.push_back({isGood, RuntimeCheck::Value, text.str()});
}

void nacre::nn::checkSame(SizeMath &m, OpFoldResult lhs, OpFoldResult rhs, const Twine &text,
                          SmallVectorImpl<RuntimeCheck> &checks) {
  if (!isSameSize(lhs, rhs))
    checks.push_back({m.compare(SizeMath::Predicate::eq, lhs, rhs), RuntimeCheck::Shape, text.str()});
}

void nacre::nn::checkNotEmpty(SizeMath &m, ArrayRef<OpFoldResult> sizes, SmallVectorImpl<RuntimeCheck> &checks) {
  for (OpFoldResult size : sizes)
    checks.push_back({m.compare(SizeMath::Predicate::sgt, size, m.constant(0)), RuntimeCheck::Shape,
                      "the input has a dimension without elements"});
}
