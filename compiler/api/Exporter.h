//===- Exporter.h - Trained models back into files --------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_EXPORTER_H
#define NACRE_COMPILER_API_EXPORTER_H

#include "runtime/api/nacre.hpp"
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nacre {

/// What a training treats otherwise than inference, and what an exporter has told of
/// BatchNormalizations that it made parts of convolutions.
struct TrainedNodes {
  int64_t batchNormalizations = 0, dropouts = 0, foldedBatchNormalizations = 0;
};

/// Writes the file that a model was compiled from again, with the values that a session's
/// mutable parameters have now. Of an ONNX file the rest stays as it is, but for what has
/// BatchNormalization and Dropout train; the text of an nn module (*.mlir) is printed anew,
/// which keeps all but comments.
class Exporter {
public:
  /// Reads the file. An error if it cannot be written again with the model's parameters:
  /// ask before training.
  static Result<Exporter> open(const std::string &path, const Model &model, bool allowSymlinks = false);
  /// The same for an ONNX model in memory, which need not outlive the call.
  static Result<Exporter> open(std::span<const std::byte> bytes, const Model &model);
  Exporter(Exporter &&) noexcept;
  Exporter &operator=(Exporter &&) noexcept;
  ~Exporter();

  /// The file appears complete or not at all; it may replace the source. External data
  /// of ONNX goes to `path`.data.
  Status write(Session &session, const std::string &path);

  /// What the file would hold, of a source without external data.
  Result<std::vector<std::byte>> serialize(Session &session);

  /// The weights that are trained: initializers of ONNX, `nn.parameter`s.
  std::vector<std::string> getParameters() const;

  /// Of an ONNX file; nothing of a module's text.
  std::optional<TrainedNodes> countTrainedNodes() const;

private:
  Exporter();
  Status bind(const std::string &path, const Model &model);

  struct Source;
  std::unique_ptr<Source> source;
  /// Of the model: index and name.
  std::vector<std::pair<int32_t, std::string>> parameters;
};

} // namespace nacre

#endif // NACRE_COMPILER_API_EXPORTER_H
