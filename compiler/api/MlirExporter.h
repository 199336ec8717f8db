//===- MlirExporter.h - A module's text with other weights ------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_MLIREXPORTER_H
#define NACRE_COMPILER_API_MLIREXPORTER_H

#include "frontends/onnx/OnnxExporter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace nacre {

/// Writes the text of an nn module again with new values in its `nn.parameter`s. It is printed
/// anew: operations, names and locations stay, comments and the way of writing do not.
class MlirExporter {
public:
  using Values = OnnxExporter::Values;

  /// Null with a message if the file holds no module.
  static std::unique_ptr<MlirExporter> open(const std::string &path, std::string &error);

  /// What the parameter of that name is, its element type as ONNX numbers them.
  std::optional<InitializerInfo> find(llvm::StringRef name) const;
  bool write(llvm::StringRef path, const Values &values, std::string &error);
  std::optional<std::string> serialize(const Values &values, std::string &error);

private:
  MlirExporter();

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace nacre

#endif // NACRE_COMPILER_API_MLIREXPORTER_H
