//===- LayoutParameters.cpp - Give every parameter its place ----*- C++ -*-===//
//
// Before: nn.parameter @w = ... : tensor<64xf32>     nn.parameter @unused = ...
//         rt.parameter "w" : memref<64xf32>
// After:  nn.parameter @w = ... {nacre.offset = 0}
//         rt.parameter "w" at 0 : memref<64xf32>
//
// In order of first use, so that a run walks through the section; in the state what an
// optimiser keeps of a parameter (@w.exp_avg) stands next to it. What nobody reads is dropped. @prepare runs once
// in the compiler: it reads the parameters where they are, as inputs listed in `nacre.prepare_inputs`,
// and what it alone reads gets no place. What code for another CPU has already (`nacre.shared_offset`)
// stays there, and the rest comes behind it.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/Parameters.h"
#include "compiler/codegen/Passes.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "runtime/abi/nacre_abi.h"
#include <set>

namespace nacre::codegen {
#define GEN_PASS_DEF_LAYOUTPARAMETERSPASS
#include "compiler/codegen/Passes.h.inc"
} // namespace nacre::codegen

using namespace mlir;
using namespace nacre;

namespace {

class Layout {
public:
  explicit Layout(ModuleOp module) : module(module), symbols(module), builder(module.getContext()) {
    if (auto shared = module->getAttrOfType<IntegerAttr>(codegen::kSharedEndAttr))
      end = llvm::alignTo(shared.getInt(), NACRE_ABI_ALIGNMENT);
  }

  LogicalResult run() {
    if (failed(placeState()))
      return failure();
    for (auto function : module.getOps<func::FuncOp>()) {
      bool isPrepare = function.getName() == "prepare";
      WalkResult result = function.walk([&](rt::ParameterOp use) {
        auto parameter = symbols.lookup<nn::ParameterOp>(use.getName());
        if (!parameter) {
          use.emitOpError("names no parameter: ") << use.getName();
          return WalkResult::interrupt();
        }
        used.insert(parameter);
        if (isPrepare)
          makeInput(use);
        else if (failed(place(use, parameter)))
          return WalkResult::interrupt();
        return WalkResult::advance();
      });
      if (result.wasInterrupted())
        return failure();
      if (isPrepare)
        function->setAttr("nacre.prepare_inputs", builder.getStrArrayAttr(prepareInputs.getArrayRef()));
    }
    for (auto parameter : llvm::make_early_inc_range(module.getOps<nn::ParameterOp>()))
      if (!used.contains(parameter))
        parameter.erase();
    return success();
  }

private:
  /// Gives all mutable parameters their places.
  LogicalResult placeState() {
    llvm::SetVector<StringRef> inOrder;
    module.walk([&](rt::ParameterOp use) {
      if (use.getState() && symbols.lookup<nn::ParameterOp>(use.getName()))
        inOrder.insert(use.getName());
    });
    std::set<StringRef> sorted(inOrder.begin(), inOrder.end());
    auto assign = [&](StringRef name) -> LogicalResult {
      auto parameter = symbols.lookup<nn::ParameterOp>(name);
      FailureOr<codegen::ParameterBytes> bytes = codegen::ParameterBytes::get(parameter);
      if (failed(bytes))
        return failure();
      if (!parameter->hasAttr("nacre.state_offset")) {
        parameter->setAttr("nacre.state_offset", builder.getI64IntegerAttr(stateEnd));
        stateEnd = llvm::alignTo(stateEnd + bytes->size(), NACRE_ABI_ALIGNMENT);
      }
      return success();
    };
    for (StringRef name : inOrder) {
      if (failed(assign(name)))
        return failure();
      std::string prefix = name.str() + ".";
      for (auto own = sorted.lower_bound(prefix); own != sorted.end() && own->starts_with(prefix); ++own)
        if (failed(assign(*own)))
          return failure();
    }
    return success();
  }

  LogicalResult place(rt::ParameterOp use, nn::ParameterOp parameter) {
    FailureOr<codegen::ParameterBytes> bytes = codegen::ParameterBytes::get(parameter);
    if (failed(bytes))
      return failure();
    auto assign = [&] {
      auto offset = parameter->getAttrOfType<IntegerAttr>("nacre.offset");
      if (!offset) {
        offset = parameter->getAttrOfType<IntegerAttr>(codegen::kSharedOffsetAttr);
        if (!offset) {
          offset = builder.getI64IntegerAttr(end);
          end = llvm::alignTo(end + bytes->size(), NACRE_ABI_ALIGNMENT);
        }
        parameter->setAttr("nacre.offset", offset);
      }
      return offset;
    };
    bool isComputed = parameter->hasAttr("nn.computed");
    if (use.getState()) {
      use.setOffsetAttr(parameter->getAttrOfType<IntegerAttr>("nacre.state_offset"));
      if (!bytes->isZero() || isComputed)
        assign(); // the initial value
    } else {
      use.setOffsetAttr(assign());
    }
    return success();
  }

  void makeInput(rt::ParameterOp use) {
    prepareInputs.insert(use.getName());
    int64_t index = llvm::find(prepareInputs, use.getName()) - prepareInputs.begin();
    OpBuilder at(use);
    auto input = rt::InputOp::create(at, use.getLoc(), use.getType(), index);
    use.replaceAllUsesWith(input.getResult());
    use.erase();
  }

  ModuleOp module;
  SymbolTable symbols;
  Builder builder;
  llvm::DenseSet<Operation *> used;
  llvm::SetVector<StringRef> prepareInputs;
  int64_t end = 0, stateEnd = 0;
};

struct LayoutParametersPass : codegen::impl::LayoutParametersPassBase<LayoutParametersPass> {
  void runOnOperation() override {
    if (failed(Layout(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
