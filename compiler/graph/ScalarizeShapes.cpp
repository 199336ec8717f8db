//===- ScalarizeShapes.cpp - Shape arithmetic as scalars --------*- C++ -*-===//
//
// Before: %s = nn.shape %x : (tensor<?x8xf32>) -> tensor<2xi64>
//         %n = nn.gather %s, %zero along 0
//         %t = nn.concat %n, %minus_one along 0
//         %y = nn.reshape %z, %t
// After:  %d = tensor.dim %x, %c0
//         %i = arith.index_cast %d : index to i64
//         %t = tensor.from_elements %i, %c16 : tensor<2xi64>
//         %y = nn.reshape %z, %t {exact} : (...) -> tensor<?x16xf32>
//
// Precondition: types inferred. Postcondition: a shape operand of at most 32 elements
// is a constant or a tensor.from_elements.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/DimAnalysis.h"
#include "compiler/graph/InferShapes.h"
#include "compiler/graph/Passes.h"
#include "dialects/nn/NNMovement.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/CodedTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

namespace nacre::graph {
#define GEN_PASS_DEF_SCALARIZESHAPESPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

/// Larger tensors are data, not shapes.
constexpr int64_t maxScalars = 32;

bool isSmall(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getRank() <= 1 && type.getNumElements() <= maxScalars &&
         (type.getElementType().isSignlessInteger() || isa<FloatType>(type.getElementType())) &&
         !nn::isCoded(type.getElementType());
}

/// Whether an op's result could be computed from scalars.
bool isScalarizable(Operation *op) {
  return op && op->getNumResults() == 1 &&
         isa<nn::ScalarsOpInterface, nn::MovementOpInterface, nn::ElementwiseOpInterface>(op);
}

class Scalarizer {
public:
  Scalarizer(func::FuncOp func) : func(func), dims(func), builder(func.getContext(), &dims) {}

  LogicalResult run() {
    demandAll();
    SmallVector<Operation *> ops;
    SmallVector<Value> arguments;
    func.walk<WalkOrder::PreOrder>([&](Operation *op) {
      ops.push_back(op);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          llvm::append_range(arguments, block.getArguments());
    });
    for (Value argument : arguments)
      if (demanded.contains(argument))
        replaceLeaf(argument);
    for (Operation *op : ops)
      if (failed(visit(op)))
        return failure();
    dims.eraseUnused();
    return success();
  }

private:
  /// Marks what shape operands and single elements depend on.
  void demandAll() {
    SmallVector<Value> open;
    auto demand = [&](Value value) {
      if (isSmall(value) && demanded.insert(value).second)
        open.push_back(value);
    };
    func.walk([&](Operation *op) {
      if (auto shaped = dyn_cast<nn::ShapeOperandsOpInterface>(op))
        for (unsigned operand : shaped.getShapeOperands())
          demand(op->getOperand(operand));
      if (auto extract = dyn_cast<tensor::ExtractOp>(op))
        demand(extract.getTensor());
    });
    while (!open.empty())
      if (Operation *op = open.pop_back_val().getDefiningOp(); isScalarizable(op))
        for (Value operand : op->getOperands())
          demand(operand);
  }

  LogicalResult visit(Operation *op) {
    if (failed(graph::refineResultTypes(op)))
      return failure();
    if (auto shaped = dyn_cast<nn::ShapeOperandsOpInterface>(op)) {
      builder.setInsertionPoint(op);
      shaped.resolveShapeOperands(builder);
      if (failed(graph::refineResultTypes(op)))
        return failure();
    }
    for (Value result : op->getResults())
      if (demanded.contains(result) && !op->hasTrait<OpTrait::ConstantLike>() &&
          !isa<tensor::FromElementsOp>(op))
        replace(result);
    return success();
  }

  /// Replaces a small tensor by its elements put together.
  void replace(Value result) {
    SmallVector<Value> scalars = compute(result.getDefiningOp());
    if (scalars.empty())
      return replaceLeaf(result);
    auto type = cast<RankedTensorType>(result.getType());
    OpBuilder b(result.getContext());
    b.setInsertionPointAfterValue(result);
    SmallVector<Attribute> constants;
    for (Value scalar : scalars) {
      Attribute constant;
      if (matchPattern(scalar, m_Constant(&constant)))
        constants.push_back(constant);
    }
    Value whole;
    if (constants.size() == scalars.size())
      whole = nn::ConstantOp::create(b, result.getLoc(), type, DenseElementsAttr::get(type, constants));
    else
      whole = tensor::FromElementsOp::create(b, result.getLoc(), type, scalars);
    elements[result] = scalars;
    elements[whole] = scalars; // a reference to the other would not survive the insertion
    bool isKnown = constants.size() == scalars.size();
    result.replaceUsesWithIf(whole, [&](OpOperand &use) { return isKnown || !isFloat(result) || isHostUse(use); });
  }

  /// A tensor that is computed elsewhere: its elements are read one by one. Kernels go
  /// on reading the tensor itself.
  void replaceLeaf(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getNumElements() == 0)
      return;
    OpBuilder b(value.getContext());
    b.setInsertionPointAfterValue(value);
    SmallVector<Value> scalars;
    SmallPtrSet<Operation *, 8> readers;
    for (int64_t i = 0; i < type.getNumElements(); ++i) {
      SmallVector<Value> at;
      if (type.getRank() == 1)
        at.push_back(arith::ConstantIndexOp::create(b, value.getLoc(), i));
      scalars.push_back(tensor::ExtractOp::create(b, value.getLoc(), value, at));
      readers.insert(scalars.back().getDefiningOp());
    }
    Value whole = tensor::FromElementsOp::create(b, value.getLoc(), type, scalars);
    value.replaceUsesWithIf(whole, [&](OpOperand &use) {
      return !readers.contains(use.getOwner()) && isHostUse(use);
    });
    elements[value] = scalars;
    elements[whole] = scalars;
  }

  static bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

  /// Gradients go through tensors: what is computed of floats stays as it is beside the scalars.
  bool isHostUse(OpOperand &use) {
    Operation *user = use.getOwner();
    if (isa<tensor::ExtractOp>(user))
      return true;
    if (isFloat(use.get()))
      return false;
    if (isScalarizable(user) && demanded.contains(user->getResult(0)))
      return true;
    auto shaped = dyn_cast<nn::ShapeOperandsOpInterface>(user);
    return shaped && llvm::is_contained(shaped.getShapeOperands(), use.getOperandNumber());
  }

  /// The elements of a value that is already known as scalars; none if it is not.
  SmallVector<Value> getElements(Value value) {
    if (!isSmall(value))
      return {};
    if (auto it = elements.find(value); it != elements.end())
      return it->second;
    DenseElementsAttr constant;
    SmallVector<Value> scalars;
    if (matchPattern(value, m_Constant(&constant))) {
      OpBuilder b(value.getDefiningOp());
      for (Attribute element : constant.getValues<Attribute>())
        scalars.push_back(arith::ConstantOp::create(b, value.getLoc(), cast<TypedAttr>(element)));
    } else if (auto whole = value.getDefiningOp<tensor::FromElementsOp>()) {
      llvm::append_range(scalars, whole.getElements());
    }
    if (!scalars.empty())
      elements[value] = scalars;
    return scalars;
  }

  /// The elements of an op's result in terms of those of its operands.
  SmallVector<Value> compute(Operation *op) {
    if (!isScalarizable(op) || !isSmall(op->getResult(0)))
      return {};
    SmallVector<SmallVector<Value>> operands;
    for (Value operand : op->getOperands())
      operands.push_back(getElements(operand));
    builder.setInsertionPoint(op);
    Operation *before = op->getPrevNode();
    SmallVector<Value> results;
    if (auto scalars = dyn_cast<nn::ScalarsOpInterface>(op)) {
      if (failed(scalars.buildScalars(builder, operands, results)))
        return {};
    } else if (auto movement = dyn_cast<nn::MovementOpInterface>(op)) {
      SmallVector<nn::ElementSource> sources;
      if (failed(movement.getElementSources(sources)))
        return {};
      for (nn::ElementSource source : sources) {
        if (operands[source.operand].empty())
          return {};
        results.push_back(operands[source.operand][source.element]);
      }
    } else if (!computeElementwise(cast<nn::ElementwiseOpInterface>(op), operands, results)) {
      return {};
    }
    // Fold what was built, in order.
    DenseMap<Value, Value> replaced;
    for (Operation *built = before ? before->getNextNode() : &op->getBlock()->front(); built != op;) {
      Operation *next = built->getNextNode();
      for (OpOperand &operand : built->getOpOperands())
        if (Value other = replaced.lookup(operand.get()))
          operand.set(other);
      if (built->getNumResults() == 1)
        if (Value simpler = simplify(built); simpler != built->getResult(0))
          replaced[built->getResult(0)] = simpler;
      built = next;
    }
    for (Value &result : results)
      if (Value other = replaced.lookup(result))
        result = other;
    return results;
  }

  bool computeElementwise(nn::ElementwiseOpInterface op, ArrayRef<SmallVector<Value>> operands,
                          SmallVectorImpl<Value> &results) {
    for (const auto &scalars : operands)
      if (scalars.empty())
        return false;
    // Signedness is asked of the operands' types, so unsigned ones do not get here.
    int64_t count = cast<RankedTensorType>(op->getResult(0).getType()).getNumElements();
    for (int64_t i = 0; i < count; ++i) {
      SmallVector<Value> arguments;
      for (const auto &scalars : operands)
        arguments.push_back(scalars.size() == 1 ? scalars[0] : scalars[i]);
      results.push_back(op.buildElements(builder, op.getLoc(), arguments)[0]);
    }
    return true;
  }

  /// A simpler value for a new op's result: folded, computed as index where that is
  /// what sizes are, and shared with equal ops.
  Value simplify(Operation *op) {
    Value result = op->getResult(0);
    SmallVector<OpFoldResult> folded;
    SmallVector<Attribute> constants(op->getNumOperands());
    for (auto [constant, operand] : llvm::zip(constants, op->getOperands()))
      (void)matchPattern(operand, m_Constant(&constant));
    if (!op->hasTrait<OpTrait::ConstantLike>() && succeeded(op->fold(constants, folded)) && folded.size() == 1)
      return materialize(op, folded.front());
    if (Value asIndex = computeAsIndex(op))
      return asIndex;
    return materialize(op, dims.simplify(result, op->getNextNode()));
  }

  Value materialize(Operation *op, OpFoldResult value) {
    if (auto known = dyn_cast<Value>(value))
      return known;
    OpBuilder b(op);
    auto attr = cast<TypedAttr>(cast<Attribute>(value));
    return arith::ConstantOp::create(b, op->getLoc(), attr);
  }

  /// i64 arithmetic on sizes, which are of type index, as index arithmetic: the same in
  /// 64 bits, and comparable with other sizes.
  Value computeAsIndex(Operation *op) {
    if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::DivSIOp, arith::RemSIOp, arith::MinSIOp,
             arith::MaxSIOp, arith::CmpIOp, arith::SelectOp, arith::FloorDivSIOp, arith::CeilDivSIOp>(op))
      return {};
    OpBuilder b(op->getContext(), &dims);
    b.setInsertionPointAfter(op);
    SmallVector<Value> operands;
    bool isSize = false;
    for (Value operand : op->getOperands()) {
      APInt constant;
      if (operand.getType().isInteger(1)) {
        operands.push_back(operand);
      } else if (!operand.getType().isInteger(64)) {
        return {};
      } else if (auto cast = operand.getDefiningOp<arith::IndexCastOp>(); cast && cast.getIn().getType().isIndex()) {
        operands.push_back(cast.getIn());
        isSize = true;
      } else if (matchPattern(operand, m_ConstantInt(&constant))) {
        operands.push_back(arith::ConstantIndexOp::create(b, op->getLoc(), constant.getSExtValue()));
      } else {
        return {};
      }
    }
    if (!isSize)
      return {};
    Operation *clone = b.clone(*op);
    clone->setOperands(operands);
    bool isCondition = clone->getResult(0).getType().isInteger(1);
    if (auto compare = dyn_cast<arith::CmpIOp>(clone))
      if (auto known = nn::getKnownComparison(compare.getPredicate(), getAsOpFoldResult(operands[0]),
                                              getAsOpFoldResult(operands[1])))
        return materialize(clone, b.getBoolAttr(*known));
    if (!isCondition)
      clone->getResult(0).setType(b.getIndexType());
    Operation *end = clone->getNextNode();
    SmallVector<OpFoldResult> folded;
    SmallVector<Attribute> constants(clone->getNumOperands());
    for (auto [constant, operand] : llvm::zip(constants, clone->getOperands()))
      (void)matchPattern(operand, m_Constant(&constant));
    OpFoldResult value;
    if (succeeded(clone->fold(constants, folded)) && folded.size() == 1)
      value = folded.front();
    else
      value = dims.simplify(clone->getResult(0), end);
    if (isCondition)
      return materialize(end, value);
    nn::SizeMath math(b, op->getLoc());
    b.setInsertionPoint(end);
    return math.valueI64(value);
  }

  func::FuncOp func;
  graph::DimAnalysis dims;
  OpBuilder builder;
  DenseSet<Value> demanded;
  DenseMap<Value, SmallVector<Value>> elements;
};

struct ScalarizeShapesPass : graph::impl::ScalarizeShapesPassBase<ScalarizeShapesPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    if (failed(Scalarizer(func).run()))
      return signalPassFailure();
    func.setFunctionType(FunctionType::get(&getContext(), func.getArgumentTypes(),
                                           func.getBody().back().getTerminator()->getOperandTypes()));
  }
};

} // namespace
