//===- Exporter.cpp - Trained models back into files ------------*- C++ -*-===//
#include "compiler/api/Exporter.h"
#include "compiler/api/MlirExporter.h"

using namespace nacre;
using llvm::StringRef;

/// What is written again: a file of ONNX, or text of the nn dialect.
struct Exporter::Source {
  std::unique_ptr<OnnxExporter> onnx;
  std::unique_ptr<MlirExporter> module;

  bool isOpen() const { return onnx || module; }
  std::optional<InitializerInfo> find(StringRef name) const { return onnx ? onnx->find(name) : module->find(name); }
  bool write(StringRef path, const OnnxExporter::Values &values, std::string &error) {
    return onnx ? onnx->write(path, values, error) : module->write(path, values, error);
  }
  std::optional<std::string> serialize(const OnnxExporter::Values &values, std::string &error) {
    return onnx ? onnx->serialize(values, error) : module->serialize(values, error);
  }
  /// Whether a training step made the parameter for itself: `<initializer>.<slot>`.
  bool isState(StringRef name) const {
    return name.contains('.') && (name.starts_with("optimizer.") || find(name.rsplit('.').first));
  }
};

Exporter::Exporter() : source(std::make_unique<Source>()) {}
Exporter::Exporter(Exporter &&) noexcept = default;
Exporter &Exporter::operator=(Exporter &&) noexcept = default;
Exporter::~Exporter() = default;

Result<Exporter> Exporter::open(const std::string &path, const Model &model, bool allowSymlinks) {
  Exporter result;
  ImportOptions options;
  options.allowSymlinks = allowSymlinks;
  std::string message;
  if (StringRef(path).ends_with(".mlir"))
    result.source->module = MlirExporter::open(path, message);
  else
    result.source->onnx = OnnxExporter::open(path, options, message);
  if (!result.source->isOpen())
    return Error{NACRE_INVALID_VALUE, path + ": " + message};
  if (Status bound = result.bind(path, model); !bound)
    return bound.error();
  return result;
}

Result<Exporter> Exporter::open(std::span<const std::byte> bytes, const Model &model) {
  Exporter result;
  std::string message;
  result.source->onnx =
      OnnxExporter::openBytes({reinterpret_cast<const char *>(bytes.data()), bytes.size()}, ImportOptions(), message);
  if (!result.source->isOpen())
    return Error{NACRE_INVALID_VALUE, "model: " + message};
  if (Status bound = result.bind("model", model); !bound)
    return bound.error();
  return result;
}

Status Exporter::bind(const std::string &path, const Model &model) {
  int32_t index = -1;
  for (const TensorInfo &parameter : model.parameters()) {
    ++index;
    if (!parameter.isMutable)
      continue;
    std::string name(parameter.name);
    std::optional<InitializerInfo> initializer = source->find(name);
    if (!initializer && source->isState(name))
      continue;
    if (!initializer)
      return Error{NACRE_INVALID_VALUE, path + ": the trained parameter '" + name + "' is no weight of the model"};
    // The numbers of element types are ONNX's.
    bool fits = initializer->dataType == parameter.dtype && initializer->dims.size() == parameter.dims.size();
    for (size_t i = 0; fits && i < parameter.dims.size(); ++i)
      fits = initializer->dims[i] == parameter.dims[i].size;
    if (!fits)
      return Error{NACRE_INTERNAL, path + ": internal error: the trained parameter '" + name + "' is " +
                                       toString(parameter) + ", which it is not in the file"};
    parameters.emplace_back(index, std::move(name));
  }
  if (parameters.empty())
    return Error{NACRE_INVALID_VALUE, path + ": the model has no weights to train"};
  return {};
}

std::vector<std::string> Exporter::getParameters() const {
  std::vector<std::string> names;
  for (const auto &[index, name] : parameters)
    names.push_back(name);
  return names;
}

/// Where the parameters' values are now.
static Result<OnnxExporter::Values> getValues(Session &session,
                                              const std::vector<std::pair<int32_t, std::string>> &parameters) {
  OnnxExporter::Values values;
  for (const auto &[index, name] : parameters) {
    nacre_tensor tensor = {};
    if (nacre_status status = nacre_session_get_parameter(session.get(), index, &tensor))
      return Error::last(status);
    values[name] = {static_cast<const char *>(tensor.data), size_t(tensor.size)};
  }
  return values;
}

Result<std::vector<std::byte>> Exporter::serialize(Session &session) {
  Result<OnnxExporter::Values> values = getValues(session, parameters);
  if (!values)
    return values.error();
  std::string message;
  std::optional<std::string> bytes = source->serialize(*values, message);
  if (!bytes)
    return Error{NACRE_INVALID_VALUE, message};
  auto *data = reinterpret_cast<const std::byte *>(bytes->data());
  return std::vector<std::byte>(data, data + bytes->size());
}

Status Exporter::write(Session &session, const std::string &path) {
  Result<OnnxExporter::Values> values = getValues(session, parameters);
  if (!values)
    return values.error();
  std::string message;
  if (!source->write(path, *values, message))
    return Error{NACRE_IO_ERROR, message};
  return {};
}

std::optional<TrainedNodes> Exporter::countTrainedNodes() const {
  if (!source->onnx)
    return std::nullopt;
  TrainingNodes nodes = source->onnx->countTrainingNodes();
  return TrainedNodes{nodes.batchNormalizations, nodes.dropouts, nodes.foldedBatchNormalizations};
}
