// Modules of our dialects as text, as `nacre compile model.mlir` reads them.
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "test/fuzz/Budget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

// Each context serves some hundred modules: see FuzzImport.cpp.
static mlir::MLIRContext &getContext() {
  static std::unique_ptr<mlir::MLIRContext> context;
  static int uses = 0;
  if (!context || ++uses % 256 == 0) {
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
    context->printOpOnDiagnostic(false);
    context->loadDialect<nacre::nn::NNDialect, nacre::kern::KernDialect, nacre::rt::RtDialect,
                         mlir::func::FuncDialect>();
  }
  return *context;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Budget budget;
  std::string text(reinterpret_cast<const char *>(data), size); // ends with a NUL, as files do when they are read
  // MLIR makes a list of as many types as the result has elements, and then finds that there
  // are not so many operands (docs/security.md).
  if (text.find("tensor.from_elements") != std::string::npos)
    return -1;
  mlir::MLIRContext &context = getContext();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  (void)mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context));
  return 0;
}
