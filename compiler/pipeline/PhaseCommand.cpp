//===- PhaseCommand.cpp - How to run one phase by itself --------*- C++ -*-===//
#include "compiler/pipeline/PhaseCommand.h"
#include "compiler/pipeline/Phases.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;
using namespace nacre;

namespace {

/// A phase's contract as a pass.
struct VerifyPhasePass : PassWrapper<VerifyPhasePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(VerifyPhasePass)
  VerifyPhasePass() = default;
  VerifyPhasePass(const VerifyPhasePass &other) : PassWrapper(other) {}
  explicit VerifyPhasePass(StringRef name) { phaseName = name.str(); }

  StringRef getArgument() const override { return "verify-phase"; }
  StringRef getDescription() const override { return "Checks what must hold after a phase"; }
  void runOnOperation() override {
    const Phase *phase = llvm::find_if(getPhases(), [&](const Phase &phase) { return phase.name == phaseName; });
    if (phase == getPhases().end()) {
      emitError(getOperation().getLoc(), "no phase is named '") << phaseName << "'";
      return signalPassFailure();
    }
    if (failed(verifyAfterPhase(*phase, getOperation())))
      signalPassFailure();
  }

  Option<std::string> phaseName{*this, "phase", llvm::cl::desc("The phase's name")};
};

} // namespace

PhaseCommand nacre::getPhaseCommand(const Phase &phase, const Compilation &compilation) {
  if (phase.run) {
    PhaseCommand command{"nacre compile", {"--start-at=" + phase.name.str(), "--no-cache"}};
    if (!compilation.codegen.targetCPU.empty())
      command.arguments.push_back("--target-cpu=" + compilation.codegen.targetCPU);
    if (!compilation.codegen.targetFeatures.empty())
      command.arguments.push_back("--target-features=" + compilation.codegen.targetFeatures);
    if (!compilation.codegen.targetTriple.empty())
      command.arguments.append({"--target-triple=" + compilation.codegen.targetTriple, "--emit=object"});
    return command;
  }
  PassManager passes(compilation.module.get()->getContext(), ModuleOp::getOperationName());
  phase.build(passes, compilation.options);
  passes.addPass(std::make_unique<VerifyPhasePass>(phase.name));
  std::string pipeline;
  llvm::raw_string_ostream stream(pipeline);
  passes.printAsTextualPipeline(stream);
  return {"nacre-opt", {"--verify-each=0", "--pass-pipeline=" + pipeline}};
}

void nacre::registerVerifyPhasePass() { PassRegistration<VerifyPhasePass>(); }
