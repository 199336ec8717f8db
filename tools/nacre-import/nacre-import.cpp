//===- nacre-import.cpp - Prints an ONNX model as nn ------------*- C++ -*-===//
//
// For developers and tests: the importer alone. MLIR's printing options apply,
// such as
// --mlir-print-debuginfo and --mlir-elide-resource-strings-if-larger.
//
//===----------------------------------------------------------------------===//
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/OnnxImporter.h"
#include "mlir/IR/AsmState.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"

namespace cl = llvm::cl;

static cl::opt<std::string> input(cl::Positional, cl::Required,
                                  cl::desc("MODEL.onnx"));
static cl::list<std::string> shapes("input-shape",
                                    cl::desc("fix an input's shape"),
                                    cl::value_desc("NAME=1x3x224x224"));
static cl::list<std::string> lengths("input-length", cl::desc("an input's number of elements"),
                                     cl::value_desc("NAME=3"));
static cl::list<std::string> dims("dim", cl::desc("fix a named dimension"),
                                  cl::value_desc("NAME=8"));
static cl::opt<bool>
    trainable("trainable", cl::desc("initializers are trainable parameters"));
static cl::opt<bool>
    allowSymlinks("allow-symlinks",
                  cl::desc("external data may be behind symbolic links"));
static cl::opt<bool> quiet("quiet", cl::desc("import, but print nothing"));

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  cl::ParseCommandLineOptions(argc, argv, "Nacre's ONNX importer\n");

  nacre::ImportOptions options;
  options.trainable = trainable;
  options.allowSymlinks = allowSymlinks;
  std::string problem;
  for (const std::string &text : shapes)
    if (!options.addInputShape(text, problem)) {
      llvm::errs() << "error: " << problem << "\n";
      return 2;
    }
  for (const std::string &text : lengths)
    if (!options.addInputLength(text, problem)) {
      llvm::errs() << "error: " << problem << "\n";
      return 2;
    }
  for (const std::string &text : dims)
    if (!options.addDim(text, problem)) {
      llvm::errs() << "error: " << problem << "\n";
      return 2;
    }

  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  mlir::ScopedDiagnosticHandler handler(
      &context, [](mlir::Diagnostic &diagnostic) {
        llvm::errs() << (diagnostic.getSeverity() ==
                                 mlir::DiagnosticSeverity::Error
                             ? "error: "
                             : "warning: ")
                     << nacre::nn::formatDiagnostic(
                            diagnostic, llvm::sys::path::filename(input))
                     << "\n";
        return mlir::success();
      });
  auto module = nacre::importOnnx(input, context, options);
  if (!module)
    return 1;
  if (!quiet) {
    module->print(llvm::outs());
    llvm::outs() << "\n";
  }
  return 0;
}
