//===- Anomalies.cpp - Where numbers go wrong -------------------*- C++ -*-===//
#include "compiler/train/Anomalies.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NodeLocation.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::train;

static bool isChecked(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(tensor.getElementType());
}

void train::checkNumbers(OpBuilder &b, Location loc, Value value, Anomaly anomaly, const Twine &text) {
  if (!isChecked(value.getType()))
    return;
  Value isBad = nn::IsNaNOp::create(b, loc, value);
  if (anomaly == Anomaly::NotFinite)
    isBad = nn::OrOp::create(b, loc, isBad, nn::IsInfOp::create(b, loc, value, true, true));
  if (int64_t rank = cast<RankedTensorType>(value.getType()).getRank())
    isBad = nn::ReduceOp::create(b, loc, nn::ReduceKind::max, isBad, llvm::to_vector(llvm::seq<int64_t>(rank)),
                                 /*keepdims=*/false);
  Value any = tensor::ExtractOp::create(b, loc, isBad, ValueRange());
  Value isGood = arith::XOrIOp::create(b, loc, any, arith::ConstantIntOp::create(b, loc, 1, 1));
  rt::CheckOp::create(b, loc, isGood, rt::Status::InvalidValue, text);
}

std::string train::describeUnnamed(Operation *op) {
  if (!nn::describeNode(op->getLoc()).empty())
    return "";
  std::string text = "'" + op->getName().getStringRef().str() + "'";
  if (auto place = op->getLoc()->findInstanceOf<FileLineColLoc>())
    text += " in line " + std::to_string(place.getLine());
  return text + ": ";
}

/// Whether two ops are parts of one node.
static bool areOfOneNode(Operation *l, Operation *r) {
  std::string node = nn::describeNode(l->getLoc());
  return l == r || (!node.empty() && node == nn::describeNode(r->getLoc()));
}

static void checkParameter(OpBuilder &b, nn::GetParameterOp get) {
  auto parameter = SymbolTable::lookupNearestSymbolFrom<nn::ParameterOp>(get, get.getNameAttr());
  bool isTrained = parameter.getTrainable();
  // A mask may have infinities; a weight may not.
  checkNumbers(b, UnknownLoc::get(b.getContext()), get, isTrained ? Anomaly::NotFinite : Anomaly::NaN,
               "the parameter '" + nn::printable(get.getName()) + (isTrained ? "' has a NaN or an infinity" : "' has a NaN") +
                   ", before this step");
}

void train::checkForward(func::FuncOp func) {
  // A value has several names for those that only move or cast it.
  SmallVector<Operation *> ops;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!isa<nn::MovementOpInterface, tensor::CastOp>(op))
      ops.push_back(op);
  });
  OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
  for (BlockArgument input : func.getArguments())
    if (auto name = func.getArgAttrOfType<StringAttr>(input.getArgNumber(), "nn.name"))
      checkNumbers(b, UnknownLoc::get(b.getContext()), input, Anomaly::NaN,
                   "the input '" + nn::printable(name) + "' has a NaN");
  for (Operation *op : ops) {
    b.setInsertionPointAfter(op);
    if (auto get = dyn_cast<nn::GetParameterOp>(op)) {
      checkParameter(b, get);
      continue;
    }
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !areOfOneNode(op, user); }))
        checkNumbers(b, op->getLoc(), result, Anomaly::NaN,
                     describeUnnamed(op) + "its result has a NaN, the first of this step");
  }
}
