//===- HoistParameters.cpp - Compute on parameters ahead of time -*- C++ -*-===//
//
// Before: func.func @main(...) { %w = nn.get_parameter @w
//           %t = nn.transpose %w; ... nn.matmul %x, %t ... }
// After:  nn.parameter @w.t = dense<0.0> {nn.computed}
//         func.func @prepare() -> tensor { %w = nn.get_parameter @w
//           %t = nn.transpose %w; return %t }
//         func.func @main(...) { %t = nn.get_parameter @w.t; ... nn.matmul %x, %t ... }
//
// The compiler runs @prepare once, with the same kernels as any other function, and
// writes its results among the parameters.
//
// Precondition: types inferred. Postcondition: no op of @main and of its versions has only
// read-only parameters and constants as operands, unless hoisting it would cost too much space.
//
//===----------------------------------------------------------------------===//
#include "compiler/graph/Passes.h"
#include "compiler/graph/Prepare.h"
#include "compiler/graph/SpecializeSizes.h"
#include "dialects/nn/NNOps.h"
#include "mlir/IR/IRMapping.h"

namespace nacre::graph {
#define GEN_PASS_DEF_HOISTPARAMETERSPASS
#include "compiler/graph/Passes.h.inc"
} // namespace nacre::graph

using namespace mlir;
using namespace nacre;

namespace {

int64_t getBytes(Type value) {
  auto type = dyn_cast<RankedTensorType>(value);
  if (!type || !type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return -1;
  return type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

struct HoistParametersPass : graph::impl::HoistParametersPassBase<HoistParametersPass> {
  using Base::Base;

  void runOnOperation() override {
    graph::PrepareBuilder prepare(getOperation());
    // In relation to what the model brings along: a few kilobytes do not become gigabytes.
    int64_t limit = maxBytes;
    for (auto parameter : getOperation().getOps<nn::ParameterOp>())
      limit += 2 * std::max<int64_t>(getBytes(parameter.getType()), 0);
    for (func::FuncOp func : graph::getMainAndVersions(getOperation()))
      if (!func.isExternal())
        hoist(func, limit, prepare);
  }

private:
  void hoist(func::FuncOp func, int64_t limit, graph::PrepareBuilder &prepare) {
    SymbolTable symbols(getOperation());
    Block &body = func.getBody().front();
    llvm::DenseSet<Operation *> known;
    for (Operation &op : body)
      if (isKnown(op, known, symbols))
        known.insert(&op);

    // What the rest of the model reads of it becomes a parameter.
    int64_t grown = 0;
    for (Operation &op : llvm::make_early_inc_range(body)) {
      if (!known.contains(&op) || isa<nn::GetParameterOp>(op) || op.hasTrait<OpTrait::ConstantLike>())
        continue;
      for (Value result : op.getResults()) {
        bool needed = llvm::any_of(result.getUsers(), [&](Operation *user) {
          return !known.contains(body.findAncestorOpInBlock(*user));
        });
        if (!needed)
          continue;
        grown += getBytes(result.getType());
        if (grown > limit) {
          op.emitRemark() << "not computed at compile time: results would take more than "
                          << limit << " bytes";
          return;
        }
        prepare.hoist(result);
      }
    }
  }

  static bool isKnown(Operation &op, const llvm::DenseSet<Operation *> &known, SymbolTable &symbols) {
    if (auto get = dyn_cast<nn::GetParameterOp>(op)) {
      auto parameter = symbols.lookup<nn::ParameterOp>(get.getName());
      return parameter && !parameter.getTrainable();
    }
    if (op.hasTrait<OpTrait::ConstantLike>())
      return true;
    return isa<nn::NNDialect>(op.getDialect()) && isPure(&op) && op.getNumRegions() == 0 &&
           llvm::all_of(op.getResults(), [](Value result) { return getBytes(result.getType()) >= 0; }) &&
           llvm::all_of(op.getOperands(), [&](Value operand) {
             Operation *producer = operand.getDefiningOp();
             return producer && known.contains(producer);
           });
  }
};

} // namespace
