// Modules of our dialects as text, as `nacre compile model.mlir` reads them.
#include "dialects/kern/KernOps.h"
#include "dialects/nn/NNOps.h"
#include "dialects/rt/RtOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  context.loadDialect<nacre::nn::NNDialect, nacre::kern::KernDialect, nacre::rt::RtDialect,
                      mlir::func::FuncDialect>();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  (void)mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context));
  return 0;
}
