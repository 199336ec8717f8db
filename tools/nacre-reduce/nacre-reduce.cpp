//===- nacre-reduce.cpp - Cuts a module down while a test holds -*- C++ -*-===//
//
//   nacre-reduce m.mlir -opt-reduction-pass="opt-pass=canonicalize test=still-fails.sh" |
//   nacre-reduce - -reduction-tree="traversal-mode=0 test=still-fails.sh"    and again
//
// The test gets a file and exits with 1 while it shows what is looked for. Upstream erases
// ops that nothing needs; what Nacre adds is how to do without one in the middle. Upstream
// also folds, and must not lose what is looked for by that: so canonicalize comes first.
//
//===----------------------------------------------------------------------===//
#include "compiler/pipeline/Register.h"
#include "dialects/nn/NNOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Reducer/ReductionPatternInterface.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

using namespace mlir;
using namespace nacre;

namespace {

/// An op of the graph becomes an operand of its type, else an input of the function, if the
/// test still holds then: what computed its operands is needed no more.
struct SkipOp : RewritePattern {
  SkipOp(MLIRContext *context, Tester &tester)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context), tester(tester) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa_and_present<nn::NNDialect>(op->getDialect()) || op->getNumResults() != 1 ||
        op->getNumOperands() == 0)
      return rewriter.notifyMatchFailure(op, "is no computation of one value");
    // Upstream tries patterns on everything at once and needs what comes out to pass.
    IRMapping mapping;
    OwningOpRef<ModuleOp> trial = cast<ModuleOp>(op->getParentOfType<ModuleOp>()->clone(mapping));
    Operation *copy = mapping.lookup(op);
    Value replacement = findReplacement(copy);
    if (!replacement)
      return rewriter.notifyMatchFailure(op, "nothing can stand for it");
    copy->replaceAllUsesWith(ValueRange(replacement));
    copy->erase();
    if (tester.isInteresting(*trial).first != Tester::Interestingness::True)
      return rewriter.notifyMatchFailure(op, "the test needs it");
    rewriter.replaceOp(op, findReplacement(op));
    return success();
  }

private:
  static Value findReplacement(Operation *op) {
    Type type = op->getResult(0).getType();
    for (Value operand : op->getOperands())
      if (operand.getType() == type)
        return operand;
    auto function = dyn_cast<func::FuncOp>(op->getParentOp());
    if (!function)
      return nullptr;
    unsigned number = function.getNumArguments();
    Builder builder(op->getContext());
    auto name = builder.getNamedAttr("nn.name", builder.getStringAttr("input" + Twine(number)));
    if (failed(function.insertArgument(number, type, builder.getDictionaryAttr(name), op->getLoc())))
      return nullptr;
    return function.getArgument(number);
  }

  Tester &tester;
};

struct Reduction : DialectReductionPatternInterface {
  explicit Reduction(Dialect *dialect) : DialectReductionPatternInterface(dialect) {}
  void populateReductionPatterns(RewritePatternSet &) const override {}
  void populateReductionPatternsWithTester(RewritePatternSet &patterns, Tester &tester) const override {
    patterns.add<SkipOp>(patterns.getContext(), tester);
  }
};

} // namespace

int main(int argc, char **argv) {
  DialectRegistry registry;
  registerDialects(registry);
  registry.addExtension(+[](MLIRContext *, nn::NNDialect *dialect) { dialect->addInterfaces<Reduction>(); });
  registerAllPasses();
  registerPasses();
  MLIRContext context(registry);
  return failed(mlirReduceMain(argc, argv, context));
}
