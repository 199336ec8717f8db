//===- OnnxExporter.h - An ONNX file with other weights ---------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_ONNX_ONNXEXPORTER_H
#define NACRE_FRONTENDS_ONNX_ONNXEXPORTER_H

#include "frontends/onnx/OnnxImporter.h"
#include "llvm/ADT/ArrayRef.h"
#include <memory>
#include <optional>

namespace nacre {
namespace frontend {
class ModelFile;
}

/// What an initializer must look like.
struct InitializerInfo {
  int64_t dataType = 0; // TensorProto.DataType
  llvm::SmallVector<int64_t> dims;
};

/// What training treats otherwise than inference.
struct TrainingNodes {
  int64_t batchNormalizations = 0, dropouts = 0;
  /// Into convolutions, as far as an exporter has left traces of it.
  int64_t foldedBatchNormalizations = 0;
};

/// Writes an ONNX file again with new values in its initializers. Everything
/// else is as it was: nodes, names, metadata, fields that this version of ONNX
/// does not know. Only BatchNormalization and Dropout lose what has them
/// train, so that runtimes infer with the file.
class OnnxExporter {
public:
  /// Little-endian elements by the initializer's name.
  using Values = std::map<std::string, llvm::ArrayRef<char>, std::less<>>;

  /// Reads the file that is to be written again, as the importer does. Null
  /// with a message if it can't be.
  static std::unique_ptr<OnnxExporter>
  open(llvm::StringRef path, const ImportOptions &options, std::string &error);
  /// The same for a model in memory, which is copied and has no external data.
  static std::unique_ptr<OnnxExporter>
  openBytes(llvm::ArrayRef<char> model, const ImportOptions &options, std::string &error);
  ~OnnxExporter();

  /// The initializer of the main graph of that name.
  std::optional<InitializerInfo> find(llvm::StringRef name) const;

  TrainingNodes countTrainingNodes() const;

  /// Writes the model to `path`. It appears complete or not at all: written
  /// beside, synced, renamed. What was external data is so again, copied into
  /// one file beside it, NAME.data, which appears first. `path` may be the
  /// file that is read. False with a message after a failure.
  bool write(llvm::StringRef path, const Values &values, std::string &error);

  /// The bytes of that file, for a model without external data; nullopt with a
  /// message after a failure.
  std::optional<std::string> serialize(const Values &values, std::string &error);

private:
  OnnxExporter();

  std::unique_ptr<frontend::ModelFile> file;
};

} // namespace nacre

#endif // NACRE_FRONTENDS_ONNX_ONNXEXPORTER_H
