// The importer, within a budget that lets it finish soon.
#include "frontends/onnx/OnnxImporter.h"
#include "test/fuzz/Budget.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

using namespace nacre;

// A context takes longer to make than most models to import, but keeps every type and
// attribute that it has seen: each serves some hundred models.
static mlir::MLIRContext &getContext() {
  static std::unique_ptr<mlir::MLIRContext> context;
  static int uses = 0;
  if (!context || ++uses % 256 == 0) {
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
    context->printOpOnDiagnostic(false);
  }
  return *context;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Budget budget;
  mlir::MLIRContext &context = getContext();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  ImportOptions options;
  options.limits.nodes = 2000;
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(bytes, "model.onnx");
  (void)importOnnx(std::move(buffer), "", context, options);
  return 0;
}
