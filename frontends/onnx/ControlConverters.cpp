//===- ControlConverters.cpp - If, Loop, Scan -------------------*- C++ -*-===//
#include "frontends/onnx/Converter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "onnx-ml.pb.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::frontend;

/// The only element of a tensor, as a scalar.
static Value extractScalar(NodeContext &c, Value tensor) {
  OpBuilder &b = c.getBuilder();
  SmallVector<Value> zeros(
      NodeContext::rankOf(tensor),
      NodeContext::rankOf(tensor)
          ? Value(arith::ConstantIndexOp::create(b, c.getLoc(), 0))
          : Value());
  return tensor::ExtractOp::create(b, c.getLoc(), tensor, zeros);
}

/// A type that holds both: sizes that differ become dynamic. Null if ranks or
/// element types differ.
static Type joinTypes(Type lhs, Type rhs) {
  auto l = cast<RankedTensorType>(lhs), r = cast<RankedTensorType>(rhs);
  if (l.getElementType() != r.getElementType() || l.getRank() != r.getRank())
    return {};
  SmallVector<int64_t> shape(l.getShape());
  for (auto [size, other] : llvm::zip_equal(shape, r.getShape()))
    if (size != other)
      size = ShapedType::kDynamic;
  return RankedTensorType::get(shape, l.getElementType());
}

/// A branch whose condition is known is converted alone, in place. The others
/// become scf.if; tensors that the branches size differently get dynamic sizes.
static LogicalResult convertIf(NodeContext &c) {
  const ::onnx::GraphProto *graphs[] = {c.getGraph("then_branch"),
                                        c.getGraph("else_branch")};
  Value condition = c.input(0);
  if (c.inputType(0).hasStaticShape() && c.inputType(0).getNumElements() != 1)
    return c.error("the condition has " +
                   Twine(c.inputType(0).getNumElements()) +
                   " elements, expected 1");
  for (const ::onnx::GraphProto *graph : graphs)
    if (graph->input_size() || graph->output_size() < int(c.numOutputs()))
      return c.error("a branch has " + Twine(graph->input_size()) +
                     " inputs and " + Twine(graph->output_size()) +
                     " outputs, expected 0 and " + Twine(c.numOutputs()));
  OpBuilder &b = c.getBuilder();
  if (auto known = c.constantInts(condition)) {
    auto values = c.importSubgraph(*graphs[known->front() ? 0 : 1], {},
                                   *b.getInsertionBlock());
    return values ? c.setResults(*values) : failure();
  }

  // The branches are converted in an op without results, as its result types
  // are only known then.
  Value flag = extractScalar(c, condition);
  auto draft = scf::IfOp::create(b, c.getLoc(), flag, /*withElseRegion=*/true);
  SmallVector<Value> yields[2];
  bool complete = true;
  for (unsigned i : {0u, 1u}) {
    Block &block = draft->getRegion(i).front();
    block.getTerminator()->erase();
    auto values = c.importSubgraph(*graphs[i], {}, block);
    complete &= bool(values);
    if (values)
      yields[i] = std::move(*values);
  }
  if (!complete) {
    draft.erase();
    return failure();
  }
  SmallVector<Type> types;
  for (unsigned i = 0; i < c.numOutputs(); ++i) {
    types.push_back(joinTypes(yields[0][i].getType(), yields[1][i].getType()));
    if (!types.back())
      return c.error("output " + Twine(i) +
                     " has another rank or element type in one branch " +
                     "than in the other, which is not supported");
  }
  for (unsigned i : {0u, 1u}) {
    OpBuilder inside = OpBuilder::atBlockEnd(&draft->getRegion(i).front());
    SmallVector<Value> values;
    for (auto [value, type] : llvm::zip(yields[i], types))
      values.push_back(
          value.getType() == type
              ? value
              : tensor::CastOp::create(inside, c.getLoc(), type, value));
    scf::YieldOp::create(inside, c.getLoc(), values);
  }
  auto result = scf::IfOp::create(b, c.getLoc(), types, flag);
  for (unsigned i : {0u, 1u})
    result->getRegion(i).takeBody(draft->getRegion(i));
  draft.erase();
  return c.setResults(SmallVector<Value>(result.getResults()));
}

void nacre::frontend::registerControlConverters(ConverterTable &table) {
  table.add("If", convertIf);
}
