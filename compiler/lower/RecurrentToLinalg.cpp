//===- RecurrentToLinalg.cpp - Recurrent layers -----------------*- C++ -*-===//
//
// Before: %y, %h, %c = nn.lstm %gates, %r {...}
// After:  scf.for %t (%h, %c, %y) {
//           %s = linalg.generic {%h * %r^T}
//           %h', %c', %y_t = linalg.generic {activations of %s + %gates[%t]}
//           %y' = tensor.insert_slice %y_t into %y[%t] }
//
// The state is updated in place where its old value is read: the element-wise op's
// inits are the state itself.
//
//===----------------------------------------------------------------------===//
#include "compiler/lower/Accumulate.h"
#include "compiler/lower/Lowering.h"
#include "dialects/nn/Expr.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using nacre::lower::Lowering;
using nn::Expr;

namespace {

Expr buildActivation(StringRef name, double alpha, double beta, Expr x) {
  auto sigmoid = [](Expr x) { return 1.0 / (1.0 + exp(-x)); };
  if (name == "sigmoid")
    return sigmoid(x);
  if (name == "tanh")
    return tanh(x);
  if (name == "relu")
    return select(x < 0.0, x.constant(0), x);
  if (name == "affine")
    return alpha * x + beta;
  if (name == "leaky_relu")
    return select(x < 0.0, alpha * x, x);
  if (name == "thresholded_relu")
    return select(x <= alpha, x.constant(0), x);
  if (name == "scaled_tanh")
    return alpha * tanh(beta * x);
  if (name == "hard_sigmoid")
    return nn::max(nn::min(alpha * x + beta, x.constant(1)), x.constant(0));
  if (name == "elu")
    return select(x < 0.0, alpha * expm1(x), x);
  if (name == "softsign")
    return x / (1.0 + abs(x));
  assert(name == "softplus" && "the verifier knows the names");
  // log(1 + e^x) without overflow.
  return nn::max(x, x.constant(0)) + log1p(exp(-abs(x)));
}

/// The part that the recurrent layers share: a loop over time whose body is given.
template <typename Op> class Recurrence {
public:
  Recurrence(Op op, typename Op::Adaptor adaptor, RewriterBase &b)
      : op(op), adaptor(adaptor), b(b), loc(op.getLoc()),
        element(getElementTypeOrSelf(op.getGates().getType())),
        accumulator(lower::getAccumulatorType(element)),
        time(nn::getDim(b, loc, adaptor.getGates(), 0)),
        batch(nn::getDim(b, loc, adaptor.getGates(), 1)),
        state(nn::getDim(b, loc, adaptor.getRecurrent(), 1)) {}

  /// Runs `step` for each time. It gets the states and the row of results, and gives
  /// them after the step. Returns all results, then the last states.
  SmallVector<Value> run(ArrayRef<Value> initialStates,
                         function_ref<SmallVector<Value>(ValueRange states, Value row)> step) {
    Value zero = arith::ConstantIndexOp::create(b, loc, 0),
          one = arith::ConstantIndexOp::create(b, loc, 1);
    SmallVector<Value> inits{lower::createEmpty(b, loc, {time, batch, state}, element)};
    // What is known of the sizes of an initial state, and of the others' need not be the same.
    auto known = [](OpFoldResult size) { return getConstantIntValue(size).value_or(ShapedType::kDynamic); };
    auto stateType = RankedTensorType::get({known(batch), known(state)}, element);
    for (Value initial : initialStates)
      inits.push_back(initial ? lower::castTo(b, loc, initial, stateType) : createState());
    auto loop = scf::ForOp::create(
        b, loc, zero, getValueOrCreateConstantIndexOp(b, loc, time), one, inits,
        [](OpBuilder &b, Location loc, Value, ValueRange carried) {
          scf::YieldOp::create(b, loc, carried); // replaced below
        });
    OpBuilder::InsertionGuard guard(b);
    Operation *yield = loop.getBody()->getTerminator();
    b.setInsertionPoint(yield);
    AffineExpr t = b.getAffineSymbolExpr(0), last = b.getAffineSymbolExpr(1) - 1;
    now = op.getReverse() ? nn::computeAffine(b, loc, last - t, {loop.getInductionVar(), time})
                          : OpFoldResult(loop.getInductionVar());
    OpFoldResult unit = b.getIndexAttr(1), origin = b.getIndexAttr(0);
    SmallVector<OpFoldResult> offsets{now, origin, origin}, sizes{unit, batch, state},
        strides(3, unit);
    Value all = loop.getRegionIterArg(0);
    auto rowType = RankedTensorType::get(
        cast<RankedTensorType>(inits[0].getType()).getShape().drop_front(), element);
    Value row = tensor::ExtractSliceOp::create(b, loc, rowType, all, offsets, sizes, strides);
    SmallVector<Value> next = step(loop.getRegionIterArgs().drop_front(), row);
    all = tensor::InsertSliceOp::create(b, loc, next.back(), all, offsets, sizes, strides);
    next.pop_back();
    next.insert(next.begin(), all);
    yield->setOperands(next);
    return SmallVector<Value>(loop.getResults());
  }

  /// Rows [first, first + count) * H of the gates now: [B, H] of the part `first`.
  Value getGate(int64_t part) {
    auto type = cast<RankedTensorType>(adaptor.getGates().getType());
    OpFoldResult unit = b.getIndexAttr(1), origin = b.getIndexAttr(0);
    SmallVector<OpFoldResult> offsets{now, origin, times(part)}, sizes{unit, batch, state},
        strides(3, unit);
    auto gate = RankedTensorType::get({type.getShape()[1], getStaticState()}, element);
    return tensor::ExtractSliceOp::create(b, loc, gate, adaptor.getGates(), offsets, sizes, strides);
  }

  /// vector * R^T, over the parts [first, first + count) of R: [B, count * H].
  Value multiply(Value vector, int64_t first, int64_t count, int64_t allParts) {
    Value weight = adaptor.getRecurrent();
    OpFoldResult unit = b.getIndexAttr(1), origin = b.getIndexAttr(0);
    if (count != allParts)
      weight = tensor::ExtractSliceOp::create(
          b, loc, weight, SmallVector<OpFoldResult>{times(first), origin},
          SmallVector<OpFoldResult>{times(count), state}, SmallVector<OpFoldResult>{unit, unit});
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(accumulator));
    Value init = lower::createFilled(b, loc, {batch, times(count)}, zero);
    AffineExpr m, n, k;
    bindDims(b.getContext(), m, n, k);
    auto maps = AffineMap::inferFromExprList({ArrayRef{m, k}, ArrayRef{n, k}, ArrayRef{m, n}},
                                             b.getContext());
    auto parallel = utils::IteratorType::parallel;
    return linalg::GenericOp::create(b, loc, init.getType(), ValueRange{vector, weight}, init, maps,
                                     {parallel, parallel, utils::IteratorType::reduction},
                                     lower::multiplyAdd(vector.getType(), weight.getType()))
        .getResult(0);
  }

  /// Part `part` of a product: [B, H].
  Value getPart(Value product, int64_t part) {
    OpFoldResult unit = b.getIndexAttr(1), origin = b.getIndexAttr(0);
    return tensor::ExtractSliceOp::create(b, loc, product,
                                          SmallVector<OpFoldResult>{origin, times(part)},
                                          SmallVector<OpFoldResult>{batch, state},
                                          SmallVector<OpFoldResult>{unit, unit});
  }
  /// Part `part` of a vector of parts: [H].
  Value getVectorPart(Value vector, int64_t part) {
    return tensor::ExtractSliceOp::create(b, loc, vector, SmallVector<OpFoldResult>{times(part)},
                                          SmallVector<OpFoldResult>{state},
                                          SmallVector<OpFoldResult>{b.getIndexAttr(1)});
  }

  /// An element-wise op over [B, H]. `inputs` are [B, H], or [H]; `inits` are [B, H].
  /// The formula works in the accumulator's type and sees the inits' old elements after
  /// the inputs; what it gives is rounded to each init's type.
  SmallVector<Value> compute(ArrayRef<Value> inputs, ArrayRef<Value> inits,
                             function_ref<SmallVector<Expr>(ArrayRef<Expr>)> formula) {
    SmallVector<Value> operands(inputs);
    AffineExpr row, column;
    bindDims(b.getContext(), row, column);
    SmallVector<AffineMap> maps;
    for (Value input : inputs)
      maps.push_back(cast<RankedTensorType>(input.getType()).getRank() == 1
                         ? AffineMap::get(2, 0, column)
                         : b.getMultiDimIdentityMap(2));
    maps.append(inits.size(), b.getMultiDimIdentityMap(2));
    SmallVector<utils::IteratorType> iterators(2, utils::IteratorType::parallel);
    auto generic = linalg::GenericOp::create(
        b, loc, TypeRange(ValueRange(inits)), operands, inits, maps, iterators,
        [&](OpBuilder &b, Location loc, ValueRange elements) {
          SmallVector<Expr> e;
          for (Value value : elements)
            e.emplace_back(b, loc, lower::widen(b, loc, value, accumulator));
          SmallVector<Value> results;
          for (auto [value, init] : llvm::zip(formula(e), inits))
            results.push_back(lower::narrow(b, loc, value, getElementTypeOrSelf(init)));
          linalg::YieldOp::create(b, loc, results);
        });
    return SmallVector<Value>(generic.getResults());
  }

  /// What the states and the row become when a sequence may have ended: new states
  /// `next` against `old` ones, of which the first is the result.
  SmallVector<Expr> finish(ArrayRef<Expr> next, ArrayRef<Expr> old) {
    SmallVector<Expr> results(next);
    Expr output = next.front();
    if (adaptor.getLengths()) {
      OpBuilder &bodyBuilder = output.getBuilder();
      Value row = linalg::IndexOp::create(bodyBuilder, loc, 0);
      Value length = tensor::ExtractOp::create(bodyBuilder, loc, adaptor.getLengths(), row);
      Value position = arith::IndexCastOp::create(
          bodyBuilder, loc, bodyBuilder.getI32Type(),
          getValueOrCreateConstantIndexOp(bodyBuilder, loc, now));
      Expr runs = output.with(arith::CmpIOp::create(bodyBuilder, loc, arith::CmpIPredicate::slt,
                                                    position, length));
      for (auto [result, before] : llvm::zip(results, old))
        result = select(runs, result, before);
      output = select(runs, output, output.constant(0));
    }
    results.push_back(output);
    return results;
  }

  Expr activate(unsigned index, Expr x) {
    if (op.getClip()) {
      double clip = op.getClip()->convertToDouble();
      x = nn::min(nn::max(x, x.constant(-clip)), x.constant(clip));
    }
    auto name = cast<StringAttr>(op.getActivations()[index]).getValue();
    return buildActivation(name, op.getAlphas()[index], op.getBetas()[index], x);
  }

  /// Where a new state goes whose formula does not read the old one: the old one's
  /// place only if ended sequences keep it.
  Value getInit(Value old) { return adaptor.getLengths() ? old : createScratch(); }

  Value createScratch() { return lower::createEmpty(b, loc, {batch, state}, element); }

private:
  Value createState() {
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
    return lower::createFilled(b, loc, {batch, state}, zero);
  }
  OpFoldResult times(int64_t count) {
    return nn::computeAffine(b, loc, b.getAffineSymbolExpr(0) * count, {state});
  }
  int64_t getStaticState() {
    return getConstantIntValue(state).value_or(ShapedType::kDynamic);
  }

  Op op;
  typename Op::Adaptor adaptor;
  RewriterBase &b;
  Location loc;
  Type element, accumulator;
  OpFoldResult time, batch, state, now;
};

/// Replaces an op by results that may know less about their sizes.
template <typename Op>
void replace(Op op, ArrayRef<Value> results, ConversionPatternRewriter &rewriter) {
  SmallVector<Value> casted;
  for (auto [result, value] : llvm::zip(results, op->getResults()))
    casted.push_back(lower::castTo(rewriter, op.getLoc(), result, value.getType()));
  rewriter.replaceOp(op, casted);
}

struct LowerRnn : Lowering<nn::RnnOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::RnnOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Recurrence r(op, adaptor, rewriter);
    auto step = [&](ValueRange states, Value row) {
      Value sum = r.multiply(states[0], 0, 1, 1);
      return r.compute({sum, r.getGate(0)}, {r.getInit(states[0]), row}, [&](ArrayRef<Expr> e) {
        return r.finish({r.activate(0, e[0] + e[1])}, {e[2]});
      });
    };
    replace(op, r.run({adaptor.getInitialH()}, step), rewriter);
    return success();
  }
};

struct LowerGru : Lowering<nn::GruOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::GruOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Recurrence r(op, adaptor, rewriter);
    Value bias = adaptor.getRecurrentBias();
    auto mix = [](Expr z, Expr n, Expr h) { return (1.0 - z) * n + z * h; };

    auto linearFirst = [&](ValueRange states, Value row) {
      Value sum = r.multiply(states[0], 0, 3, 3);
      SmallVector<Value> inputs;
      for (int64_t part : {0, 1, 2})
        inputs.append({r.getPart(sum, part), r.getGate(part)});
      if (bias)
        inputs.push_back(bias);
      return r.compute(inputs, {states[0], row}, [&](ArrayRef<Expr> e) {
        Expr h = e[e.size() - 2];
        Expr z = r.activate(0, e[0] + e[1]), reset = r.activate(0, e[2] + e[3]);
        Expr n = r.activate(1, e[5] + reset * (bias ? e[4] + e[6] : e[4]));
        return r.finish({mix(z, n, h)}, {h});
      });
    };
    auto resetFirst = [&](ValueRange states, Value row) {
      Value sum = r.multiply(states[0], 0, 2, 3);
      SmallVector<Value> gated = r.compute(
          {r.getPart(sum, 0), r.getGate(0), r.getPart(sum, 1), r.getGate(1), states[0]},
          {r.createScratch(), r.createScratch()}, [&](ArrayRef<Expr> e) -> SmallVector<Expr> {
            return {r.activate(0, e[0] + e[1]), r.activate(0, e[2] + e[3]) * e[4]};
          });
      SmallVector<Value> inputs{r.multiply(gated[1], 2, 1, 3), r.getGate(2), gated[0]};
      if (bias)
        inputs.push_back(bias);
      return r.compute(inputs, {states[0], row}, [&](ArrayRef<Expr> e) {
        Expr h = e[e.size() - 2], x = bias ? e[0] + e[1] + e[3] : e[0] + e[1];
        return r.finish({mix(e[2], r.activate(1, x), h)}, {h});
      });
    };
    SmallVector<Value> results = op.getLinearBeforeReset()
                                     ? r.run({adaptor.getInitialH()}, linearFirst)
                                     : r.run({adaptor.getInitialH()}, resetFirst);
    replace(op, results, rewriter);
    return success();
  }
};

struct LowerLstm : Lowering<nn::LstmOp> {
  using Lowering::Lowering;

  LogicalResult matchAndRewrite(nn::LstmOp op, Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Recurrence r(op, adaptor, rewriter);
    Value peepholes = adaptor.getPeepholes();
    auto step = [&](ValueRange states, Value row) {
      Value sum = r.multiply(states[0], 0, 4, 4);
      SmallVector<Value> inputs;
      for (int64_t part : {0, 1, 2, 3})
        inputs.append({r.getPart(sum, part), r.getGate(part)});
      if (peepholes)
        for (int64_t part : {0, 1, 2})
          inputs.push_back(r.getVectorPart(peepholes, part));
      return r.compute(inputs, {r.getInit(states[0]), states[1], row}, [&](ArrayRef<Expr> e) {
        Expr h = e[e.size() - 3], c = e[e.size() - 2];
        auto look = [&](Expr x, unsigned part, Expr cell) {
          return peepholes ? x + e[8 + part] * cell : x;
        };
        Expr i = r.activate(0, look(e[0] + e[1], 0, c));
        Expr f = op.getInputForget() ? 1.0 - i : r.activate(0, look(e[4] + e[5], 2, c));
        Expr cell = f * c + i * r.activate(1, e[6] + e[7]);
        Expr o = r.activate(0, look(e[2] + e[3], 1, cell));
        return r.finish({o * r.activate(2, cell), cell}, {h, c});
      });
    };
    replace(op, r.run({adaptor.getInitialH(), adaptor.getInitialC()}, step), rewriter);
    return success();
  }
};

} // namespace

void lower::populateRecurrentToLinalgPatterns(const TypeConverter &converter,
                                              RewritePatternSet &patterns) {
  patterns.add<LowerRnn, LowerGru, LowerLstm>(converter, patterns.getContext());
}
