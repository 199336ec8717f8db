//===- Exporter.h - Trained models back into ONNX ---------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_EXPORTER_H
#define NACRE_COMPILER_API_EXPORTER_H

#include "runtime/api/nacre.hpp"
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace nacre {

class OnnxExporter;

/// Writes the ONNX file that a model was compiled from again, with the values that a
/// session's mutable parameters have now in its initializers; the rest stays as it is.
class Exporter {
public:
  /// Reads `source`. An error if it cannot be written again with the model's parameters:
  /// ask before training.
  static Result<Exporter> open(const std::string &source, const Model &model, bool allowSymlinks = false);
  /// The same for a model in memory, which need not outlive the call.
  static Result<Exporter> open(std::span<const std::byte> source, const Model &model);
  Exporter(Exporter &&) noexcept;
  Exporter &operator=(Exporter &&) noexcept;
  ~Exporter();

  /// The file appears complete or not at all; it may replace the source. External data
  /// goes to `path`.data.
  Status write(Session &session, const std::string &path);

  /// What the file would hold, of a source without external data.
  Result<std::vector<std::byte>> serialize(Session &session);

  /// The initializers that are trained.
  std::vector<std::string> getParameters() const;

private:
  Exporter();
  Status bind(const std::string &source, const Model &model);

  std::unique_ptr<OnnxExporter> exporter;
  /// Of the model: index and name.
  std::vector<std::pair<int32_t, std::string>> parameters;
};

} // namespace nacre

#endif // NACRE_COMPILER_API_EXPORTER_H
