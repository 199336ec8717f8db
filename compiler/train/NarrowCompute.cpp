//===- NarrowCompute.cpp - Products in f16 or bf16 ---------------*- C++ -*-===//
//
// Before: %y = nn.matmul %x, %w : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
//         %z = nn.relu %y;  %p = nn.softmax %z
// After:  %xn = nn.cast %x {to = bf16};  %wn = nn.cast %w {to = bf16}
//         %yn = nn.matmul %xn, %wn : (…bf16, …bf16) -> tensor<?x4xbf16>
//         %zn = nn.relu %yn;  %z = nn.cast %zn {to = f32};  %p = nn.softmax %z
//
// What an op is computed in is said where it is defined (NNBase.td, "precision"), and is what
// PyTorch's autocast does where that has the op:
//   ComputesNarrow   products: operands are rounded to the narrow type, sums are in f32
//   KeepsPrecision, movements, element-wise ops: narrow if all operands are; else f32. A number,
//                    or a vector that is a parameter (a bias), does not widen: the op
//                    reads it as it is, and its result is rounded.
//   ComputesWide, and all others: f32
// Values keep their types for all that is not rewritten (loops, outputs, losses): behind each
// narrow op stands a cast back to f32, through which the ops behind look.
//
// Precondition: types inferred, shape arithmetic on scalars. Postcondition: no product of f32
// that has no operand of another float type; types of arguments and results unchanged.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/DimAnalysis.h"
#include "compiler/train/Passes.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace nacre::train {
#define GEN_PASS_DEF_NARROWCOMPUTEPASS
#include "compiler/train/Passes.h.inc"
} // namespace nacre::train

using namespace mlir;
using namespace nacre;

namespace {

bool isF32(Value value) { return getElementTypeOrSelf(value.getType()).isF32(); }
bool isFloat(Value value) { return nn::isArithmeticFloat(getElementTypeOrSelf(value.getType())); }

class Narrowing {
public:
  explicit Narrowing(FloatType type) : type(type) {}

  void visit(Operation *op) {
    if (op->getNumRegions() != 0 || llvm::none_of(op->getOperands(), isF32) || op->hasTrait<nn::ComputesWide>())
      return;
    if (op->hasTrait<nn::ComputesNarrow>()) {
      if (llvm::all_of(op->getOperands(), [](Value operand) { return isF32(operand) || !isFloat(operand); })) {
        rebuild(op);
        ++products;
      }
    } else if (isa<nn::ElementwiseOpInterface>(op)) {
      visitElementwise(op);
    } else if (isa<nn::MovementOpInterface, tensor::CastOp>(op) || op->hasTrait<nn::KeepsPrecision>()) {
      auto isReady = [&](Value operand) { return !isF32(operand) || isNarrow(operand, op) || isNumber(operand); };
      if (llvm::any_of(op->getOperands(), [&](Value operand) { return isNarrow(operand, op); }) &&
          llvm::all_of(op->getOperands(), isReady))
        rebuild(op);
    }
  }

  /// Erases casts that nothing reads.
  void finish() {
    for (nn::CastOp cast : llvm::reverse(casts))
      if (cast.use_empty())
        cast.erase();
  }

  unsigned products = 0;

private:
  /// Whether the value was computed in the narrow type, in the block of its user: in a loop a cast of
  /// its own makes the gradient of what comes from outside a sum of f32s.
  bool isNarrow(Value value, Operation *user) const {
    return value.getParentBlock() == user->getBlock() && widened.contains(value);
  }

  /// A constant of one element, in the narrow type's range.
  bool isNumber(Value value) const {
    DenseElementsAttr constant;
    if (!matchPattern(getSource(value), m_Constant(&constant)) || constant.getNumElements() != 1 || !isF32(value))
      return false;
    APFloat number = *constant.value_begin<APFloat>();
    bool losesInfo = false, isFinite = number.isFinite();
    number.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    return number.isFinite() == isFinite;
  }

  /// A parameter that is a vector, however it is laid out.
  static bool isVector(Value value) {
    auto get = getSource(value).getDefiningOp<nn::GetParameterOp>();
    return get && get.getType().hasStaticShape() &&
           llvm::count_if(get.getType().getShape(), [](int64_t size) { return size != 1; }) <= 1;
  }

  /// What ops with one operand have moved.
  static Value getSource(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (!isa<nn::MovementOpInterface, tensor::CastOp>(op) || llvm::count_if(op->getOperands(), isFloat) != 1)
        break;
      value = *llvm::find_if(op->getOperands(), isFloat);
    }
    return value;
  }

  void visitElementwise(Operation *op) {
    bool isAllNarrow = true, isAny = false;
    for (Value operand : op->getOperands()) {
      if (!isFloat(operand))
        continue;
      if (isNarrow(operand, op))
        isAny = true;
      else if (isNumber(operand) || isVector(operand))
        isAllNarrow = false;
      else
        return;
    }
    if (!isAny)
      return;
    if (isAllNarrow)
      return rebuild(op);
    OpBuilder b(op->getContext());
    b.setInsertionPointAfter(op);
    for (Value result : op->getResults())
      if (isF32(result)) {
        nn::CastOp rounded = createCast(b, result, type), wide = createCast(b, rounded, b.getF32Type());
        result.replaceAllUsesExcept(wide, rounded);
        setNarrow(wide, rounded);
      }
  }

  /// The value rounded to the narrow type, once for all in a block that want it.
  Value round(Value value, Block *block) {
    Value &rounded = narrow[{value, block}];
    if (!rounded) {
      OpBuilder b = OpBuilder::atBlockBegin(block);
      if (value.getParentBlock() == block)
        b.setInsertionPointAfterValue(value);
      rounded = createCast(b, value, type);
    }
    return rounded;
  }

  /// Computes the op in the narrow type.
  void rebuild(Operation *op) {
    OpBuilder b(op);
    IRMapping operands;
    for (Value operand : op->getOperands())
      if (isF32(operand))
        operands.map(operand, round(operand, op->getBlock()));
    Operation *copy = b.clone(*op, operands);
    for (auto [old, result] : llvm::zip_equal(op->getResults(), copy->getResults())) {
      if (isF32(old)) {
        result.setType(cast<RankedTensorType>(old.getType()).clone(type));
        nn::CastOp wide = createCast(b, result, b.getF32Type());
        old.replaceAllUsesWith(wide);
        setNarrow(wide, result);
      } else {
        old.replaceAllUsesWith(result);
      }
    }
    op->erase();
  }

  /// `wide` is the same in f32.
  void setNarrow(Value wide, Value value) {
    narrow[{wide, wide.getParentBlock()}] = value;
    widened.insert(wide);
  }

  nn::CastOp createCast(OpBuilder &b, Value value, Type to) {
    casts.push_back(nn::CastOp::create(b, value.getLoc(), value, to));
    return casts.back();
  }

  FloatType type;
  /// A value of f32, in a block → the same in the narrow type.
  llvm::DenseMap<std::pair<Value, Block *>, Value> narrow;
  llvm::DenseSet<Value> widened;
  SmallVector<nn::CastOp> casts;
};

struct NarrowComputePass : train::impl::NarrowComputePassBase<NarrowComputePass> {
  using Base::Base;

  void runOnOperation() override {
    FloatType narrow = llvm::StringSwitch<FloatType>(type)
                           .Case("f16", Float16Type::get(&getContext()))
                           .Case("bf16", BFloat16Type::get(&getContext()))
                           .Default({});
    if (!narrow) {
      getOperation().emitError("expected a type of f16 or bf16 to compute in, found '") << type.getValue() << "'";
      return signalPassFailure();
    }
    decomposeProducts();
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) { ops.push_back(op); });
    Narrowing narrowing(narrow);
    for (Operation *op : ops)
      narrowing.visit(op);
    narrowing.finish();
    if (narrowing.products == 0) {
      getOperation().emitError("there is nothing to compute in ")
          << type.getValue() << ": no matrix product, convolution or recurrent layer of the model takes f32";
      signalPassFailure();
    }
  }

private:
  /// A recurrent layer becomes its loop, in which the products alone are narrow: a state that
  /// is rounded at each step forgets.
  void decomposeProducts() {
    SmallVector<Operation *> layers;
    getOperation().walk([&](Operation *op) {
      if (isa<nn::DecomposableOpInterface>(op) && op->hasTrait<nn::ComputesNarrow>() && isF32(op->getResult(0)))
        layers.push_back(op);
    });
    if (layers.empty())
      return;
    graph::DimAnalysis dims(getOperation());
    OpBuilder b(&getContext(), &dims);
    for (Operation *op : layers) {
      b.setInsertionPoint(op);
      SmallVector<Value> results;
      if (failed(cast<nn::DecomposableOpInterface>(op).decompose(b, results)))
        continue; // all of it is narrow, then
      for (auto [old, result] : llvm::zip_equal(op->getResults(), results)) {
        old.replaceAllUsesWith(b.createOrFold<tensor::CastOp>(op->getLoc(), old.getType(), result));
        dims.forget(old);
      }
      op->erase();
    }
    dims.eraseUnused();
  }
};

} // namespace
