//===- Activity.cpp - What a thread of the compiler is at -------*- C++ -*-===//
#include "compiler/codegen/Activity.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace nacre;
using namespace nacre::codegen;

Activity &Activity::current() {
  static thread_local Activity activity;
  return activity;
}

std::string Activity::describe() const {
  std::string text;
  if (!pass.empty())
    text += "pass '" + pass + "'";
  if (!kernel.empty())
    text += (text.empty() ? "kernel '" : ", kernel '") + kernel + "'";
  return text;
}

namespace {

class Tracker : public PassInstrumentation {
public:
  explicit Tracker(Activity &failed) : failed(failed) {}

  void runBeforePass(Pass *pass, Operation *op) override {
    if (!isNamed(pass))
      return;
    Activity &now = Activity::current();
    now.pass = pass->getArgument();
    if (auto kernel = dyn_cast<kern::FuncOp>(op))
      now.kernel = kernel.getSymName();
  }
  void runAfterPass(Pass *pass, Operation *op) override { end(pass, op); }

  /// Callbacks come one at a time, whatever the threads.
  void runAfterPassFailed(Pass *pass, Operation *op) override {
    const Activity &now = Activity::current();
    if (isNamed(pass) && (failed.pass.empty() || now.kernel < failed.kernel))
      failed = now;
    end(pass, op);
  }

private:
  /// Adaptors, which run a pipeline on each nested op, are not.
  static bool isNamed(Pass *pass) { return !pass->getArgument().empty(); }

  static void end(Pass *pass, Operation *op) {
    if (!isNamed(pass))
      return;
    Activity &now = Activity::current();
    now.pass.clear();
    if (isa<kern::FuncOp>(op))
      now.kernel.clear();
  }

  Activity &failed;
};

} // namespace

void codegen::trackActivity(PassManager &passes, Activity &failed) {
  passes.addInstrumentation(std::make_unique<Tracker>(failed));
}
