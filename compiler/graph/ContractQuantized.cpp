//===- ContractQuantized.cpp - Products of quantised values -----*- C++ -*-===//
//
// Before: %a = nn.mul (nn.cast (nn.sub (nn.cast %qa : ui8 to i32), %za) to f32), %sa     (dequantised)
//         %b = nn.mul (nn.cast %qb : i8 to f32), %sb
//         %y = nn.matmul %a, %b : f32
// After:  %p = nn.matmul %qa, %qb : (ui8, i8) -> i32
//         %y = nn.mul (nn.cast (nn.sub %p, (nn.mul %za, column sums of %qb)) to f32), (nn.mul %sa, %sb)
//
// So that the product is one of 8-bit integers, and all else is on its result: of constants
// it is computed once, and the rest goes into the product's kernel. What MatMulInteger and
// ConvInteger say, without scales, likewise. A convolution pads with the zero point.
// Sums of integers are exact where those of floats are rounded.
//
// x86 multiplies unsigned by signed bytes: with `mixed-signs` signed values that weights are multiplied with become
// unsigned ones, 128 higher, and unsigned weights signed ones.
//
// Precondition: types inferred. Postcondition: no product of f32 of operands that are scaled
// 8-bit integers, one scale for each row or column, or of i32 of operands that are those minus
// their zero points; but for convolutions whose weights have zero points, and sums that i32
// might not hold.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/Quantized.h"
#include "dialects/nn/NNShapes.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace nacre::graph {
#define GEN_PASS_DEF_CONTRACTQUANTIZEDPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;
using graph::elementOf, graph::fitsSum, graph::getOtherZero, graph::getQuantized, graph::isByte, graph::Quantized,
    graph::TensorMath, graph::typeOf;

namespace {

/// The zero point as an element of `values`, to pad with; null if it is not known to be one.
Value getPadding(TensorMath &m, Value zero, Type element) {
  if (auto byte = zero.getDefiningOp<nn::CastOp>(); byte && elementOf(byte.getInput()) == element)
    return byte.getInput();
  APInt value;
  if (!matchPattern(zero, m_ConstantInt(&value)) || (element.isUnsignedInteger() ? !value.isIntN(8) : !value.isSignedIntN(8)))
    return {};
  return m.cast(zero, element);
}

/// Whether a parameter (may be null) of an operand of `rank` has one element, or moves along `dim`
/// alone.
bool movesAlong(Value parameter, int64_t rank, int64_t dim) {
  if (!parameter)
    return true;
  auto type = typeOf(parameter);
  if (!type.hasStaticShape() || type.getNumElements() == 1)
    return type.hasStaticShape();
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.getDimSize(i) != 1 && rank - type.getRank() + i != dim)
      return false;
  return true;
}

/// Such a parameter as a scalar or a vector.
Value toVector(OpBuilder &b, Value parameter) {
  if (!parameter || typeOf(parameter).getRank() == 0)
    return parameter;
  int64_t count = typeOf(parameter).getNumElements();
  return count == 1 ? nn::reshapeTo(b, parameter, {}) : nn::reshapeTo(b, parameter, {count});
}

/// A scalar stays, a vector [n] gets `behind` dimensions of 1 behind it.
Value alignTo(TensorMath &m, Value vector, int64_t behind) {
  if (!vector || typeOf(vector).getRank() == 0 || behind == 0)
    return vector;
  return m.make<nn::UnsqueezeOp>(vector, llvm::to_vector(llvm::seq<int64_t>(1, 1 + behind)));
}

/// `product` is the i32 sums of values minus zero points: scaled as `old` was, and of its type. A
/// narrow float does not hold the sums: they are scaled in f32.
Value scale(TensorMath &m, Value product, Value lhs, Value rhs, Value old) {
  Type element = elementOf(old);
  if (!isa<FloatType>(element))
    return product;
  Type wide = element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(element.getContext()) : element;
  Value factor = m.make<nn::MulOp>(m.cast(lhs, wide), m.cast(rhs, wide));
  return m.cast(m.make<nn::MulOp>(m.cast(product, wide), factor), element);
}

struct ContractMatMul : OpRewritePattern<nn::MatMulOp> {
  ContractMatMul(MLIRContext *context, bool mixedSigns) : OpRewritePattern(context), mixedSigns(mixedSigns) {}

  LogicalResult matchAndRewrite(nn::MatMulOp op, PatternRewriter &rewriter) const override {
    bool isScaled = isa<FloatType>(elementOf(op));
    std::optional<Quantized> a, b;
    if (isByte(op.getLhs()) || !(a = getQuantized(op.getLhs())) || !(b = getQuantized(op.getRhs())))
      return rewriter.notifyMatchFailure(op, "no product of quantised values");
    int64_t aRank = typeOf(a->values).getRank(), bRank = typeOf(b->values).getRank();
    int64_t aRows = aRank - (op.getTransposeLhs() ? 1 : 2), aSteps = aRank - (op.getTransposeLhs() ? 2 : 1);
    int64_t bColumns = bRank - (op.getTransposeRhs() ? 2 : 1), bSteps = bRank - (op.getTransposeRhs() ? 1 : 2);
    int64_t steps = typeOf(a->values).getDimSize(aSteps);
    if (ShapedType::isDynamic(steps))
      steps = typeOf(b->values).getDimSize(bSteps);
    if ((isScaled && !fitsSum(steps)) || (a->zero && b->zero && ShapedType::isDynamic(steps)))
      return rewriter.notifyMatchFailure(op, "sums that i32 might not hold");
    if (!movesAlong(a->zero, aRank, aRows) || !movesAlong(a->scale, aRank, aRows) || !movesAlong(b->zero, bRank, bColumns) ||
        !movesAlong(b->scale, bRank, bColumns))
      return rewriter.notifyMatchFailure(op, "a scale or zero point that moves along more than rows or columns");
    TensorMath m(rewriter, op.getLoc());
    Type i32 = rewriter.getI32Type();
    if (Quantized *wrong = mixedSigns && !ShapedType::isDynamic(steps) ? findWrongSign(*a, *b) : nullptr)
      changeSign(m, rewriter, *wrong);
    for (Value *parameter : {&a->zero, &a->scale, &b->zero, &b->scale})
      *parameter = toVector(rewriter, *parameter);
    a->zero = alignTo(m, a->zero, 1), a->scale = alignTo(m, a->scale, 1);
    Value product = m.make<nn::MatMulOp>(a->values, b->values, op.getTransposeLhs(), op.getTransposeRhs());
    auto sumOf = [&](Value values, int64_t dim) {
      return m.make<nn::ReduceOp>(nn::ReduceKind::sum, m.cast(values, i32), ArrayRef<int64_t>{dim}, /*keepdims=*/false);
    };
    if (a->zero) {
      Value columns = sumOf(b->values, bSteps);
      if (bRank > 2)
        columns = m.make<nn::UnsqueezeOp>(columns, ArrayRef<int64_t>{bRank - 2});
      product = m.make<nn::SubOp>(product, m.make<nn::MulOp>(a->zero, columns));
    }
    if (b->zero) {
      Value rows = m.make<nn::UnsqueezeOp>(sumOf(a->values, aSteps), ArrayRef<int64_t>{aRank - 1});
      product = m.make<nn::SubOp>(product, m.make<nn::MulOp>(rows, b->zero));
    }
    if (a->zero && b->zero) {
      Value both = m.make<nn::MulOp>(m.make<nn::MulOp>(a->zero, b->zero), m.cast(m.integer(steps), i32));
      product = m.make<nn::AddOp>(product, both);
    }
    Value result = scale(m, product, a->scale, b->scale, op);
    rewriter.replaceOp(op, result.getType() == op.getType() ? result : m.make<tensor::CastOp>(op.getType(), result));
    return success();
  }

private:
  bool mixedSigns;
};

struct ContractConv : OpRewritePattern<nn::ConvOp> {
  ContractConv(MLIRContext *context, bool mixedSigns) : OpRewritePattern(context), mixedSigns(mixedSigns) {}

  LogicalResult matchAndRewrite(nn::ConvOp op, PatternRewriter &rewriter) const override {
    bool isScaled = isa<FloatType>(elementOf(op));
    std::optional<Quantized> x, w;
    if (isByte(op.getInput()) || op.getChannelsLast() || !(x = getQuantized(op.getInput())) ||
        !(w = getQuantized(op.getWeight())) || (w->zero && getOtherZero(*w) != 0))
      return rewriter.notifyMatchFailure(op, "no convolution of quantised values without a zero point of the weights");
    // Weights around 128 have no zero point as signed ones. x86 multiplies bytes of two signs.
    bool changesWeights = bool(w->zero), isSame = x->isUnsigned() == (w->isUnsigned() != changesWeights);
    bool changesValues = isSame && mixedSigns && op.getAutoPad() == nn::AutoPad::NotSet && getOtherZero(*x) &&
                         graph::isKnownAtCompileTime(w->values);
    auto weight = typeOf(w->values);
    int64_t steps = 1, rank = weight.getRank();
    for (int64_t size : weight.getShape().drop_front())
      steps = ShapedType::isDynamic(size) || ShapedType::isDynamic(steps) ? ShapedType::kDynamic : steps * size;
    if (isScaled && !fitsSum(steps))
      return rewriter.notifyMatchFailure(op, "sums that i32 might not hold");
    Type i32 = rewriter.getI32Type();
    if (!movesAlong(x->scale, rank, -1) || !movesAlong(w->scale, rank, 0))
      return rewriter.notifyMatchFailure(op, "a scale that moves along more than output channels");
    TensorMath m(rewriter, op.getLoc());
    if (changesValues)
      changeSign(m, rewriter, *x);
    Value padding;
    if (x->zero && (!movesAlong(x->zero, rank, -1) || op.getAutoPad() != nn::AutoPad::NotSet ||
                    !(padding = getPadding(m, x->zero, elementOf(x->values)))))
      return rewriter.notifyMatchFailure(op, "a zero point that cannot be padded with");
    if (changesWeights)
      changeSign(m, rewriter, *w);
    x->scale = toVector(rewriter, x->scale), w->scale = toVector(rewriter, w->scale), x->zero = toVector(rewriter, x->zero);
    Value input = x->values;
    SmallVector<int64_t> pads(op.getPads());
    if (x->zero) {
      // The padding is 0 once the zero point is taken off.
      if (llvm::any_of(pads, [](int64_t pad) { return pad != 0; })) {
        SmallVector<int64_t> all(2 * rank, 0);
        for (int64_t i = 0; i < rank - 2; ++i) {
          all[2 + i] = pads[i];
          all[rank + 2 + i] = pads[rank - 2 + i];
        }
        input = m.make<nn::PadOp>(input, m.ints(all), toVector(rewriter, padding), nn::PadMode::Constant);
        pads.assign(pads.size(), 0);
      }
    }
    // A bias of i32 is added to the sums, one of floats to what they are scaled to.
    Value product = m.make<nn::ConvOp>(input, w->values, isScaled ? Value() : op.getBias(), op.getStrides(), op.getDilations(),
                                       pads, op.getAutoPad(), op.getGroups(), /*channels_last=*/false);
    if (x->zero) {
      Value sums = m.make<nn::ReduceOp>(nn::ReduceKind::sum, m.cast(w->values, i32),
                                        llvm::to_vector(llvm::seq<int64_t>(1, rank)), /*keepdims=*/false);
      product = m.make<nn::SubOp>(product, alignTo(m, m.make<nn::MulOp>(x->zero, sums), rank - 2));
    }
    Value result = scale(m, product, x->scale, alignTo(m, w->scale, rank - 2), op);
    if (isScaled && op.getBias())
      result = m.make<nn::AddOp>(result, alignTo(m, op.getBias(), rank - 2));
    rewriter.replaceOp(op, result.getType() == op.getType() ? result : m.make<tensor::CastOp>(op.getType(), result));
    return success();
  }

private:
  bool mixedSigns;
};

struct ContractQuantizedPass : graph::impl::ContractQuantizedPassBase<ContractQuantizedPass> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ContractMatMul, ContractConv>(&getContext(), mixedSigns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
