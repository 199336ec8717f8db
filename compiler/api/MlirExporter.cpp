//===- MlirExporter.cpp - A module's text with other weights ----*- C++ -*-===//
#include "compiler/api/MlirExporter.h"
#include "compiler/api/ModuleText.h"
#include "compiler/codegen/Signature.h"
#include "compiler/support/OutputFile.h"
#include "dialects/nn/NNOps.h"
#include "dialects/nn/NodeLocation.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace nacre;

MlirExporter::MlirExporter() : context(getDialects(), MLIRContext::Threading::DISABLED) {}

std::unique_ptr<MlirExporter> MlirExporter::open(const std::string &path, std::string &error) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (std::error_code code = file.getError()) {
    error = "cannot be read: " + code.message();
    return nullptr;
  }
  std::unique_ptr<MlirExporter> exporter(new MlirExporter);
  ScopedDiagnosticHandler handler(&exporter->context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      error += (error.empty() ? "" : "\n") + nn::formatDiagnostic(diagnostic, path);
    return success();
  });
  exporter->module = parseSourceString<ModuleOp>((*file)->getBuffer(), ParserConfig(&exporter->context), path);
  return exporter->module ? std::move(exporter) : nullptr;
}

std::optional<InitializerInfo> MlirExporter::find(StringRef name) const {
  auto parameter = ModuleOp(module.get()).lookupSymbol<nn::ParameterOp>(name);
  if (!parameter)
    return std::nullopt;
  return InitializerInfo{codegen::getDtype(parameter.getType().getElementType()),
                         SmallVector<int64_t>(parameter.getType().getShape())};
}

std::optional<std::string> MlirExporter::serialize(const Values &values, std::string &error) {
  // What a weight and another operation share stays as it is for the other.
  llvm::DenseMap<DialectResourceBlobManager::BlobEntry *, int> uses;
  module->walk([&](Operation *op) {
    op->getAttrDictionary().walk(
        [&](DenseResourceElementsAttr resource) { ++uses[resource.getRawHandle().getResource()]; });
  });
  for (auto parameter : module->getOps<nn::ParameterOp>()) {
    auto value = values.find(parameter.getSymName());
    if (value == values.end())
      continue;
    RankedTensorType type = parameter.getType();
    auto resource = dyn_cast<DenseResourceElementsAttr>(parameter.getValue());
    if (!resource) {
      if (bool isSplat = false; !DenseElementsAttr::isValidRawBuffer(type, value->second, isSplat)) {
        error = "internal error: parameter " + nn::quoted(parameter.getSymName()) + " has a value of another size";
        return std::nullopt;
      }
      parameter.setValueAttr(DenseElementsAttr::getFromRawBuffer(type, value->second));
      continue;
    }
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(value->second, 64, /*dataIsMutable=*/false);
    if (auto *entry = resource.getRawHandle().getResource(); uses[entry] == 1)
      entry->setBlob(std::move(blob));
    else
      parameter.setValueAttr(DenseResourceElementsAttr::get(type, parameter.getSymName(), std::move(blob)));
  }
  return printComplete(*module);
}

bool MlirExporter::write(StringRef path, const Values &values, std::string &error) {
  std::optional<std::string> text = serialize(values, error);
  if (!text)
    return false;
  llvm::Error failure = writeTextFile(path, *text);
  if (failure)
    error = "cannot write " + nn::quoted(path) + ": " + llvm::toString(std::move(failure));
  return error.empty();
}
