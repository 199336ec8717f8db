//===- Exporter.cpp - Trained models back into ONNX -------------*- C++ -*-===//
#include "compiler/api/Exporter.h"
#include "frontends/onnx/OnnxExporter.h"
#include "llvm/ADT/StringRef.h"

using namespace nacre;

/// Whether a training step made the parameter for itself: `<initializer>.<slot>`.
static bool isState(const OnnxExporter &exporter, llvm::StringRef name) {
  llvm::StringRef owner = name.rsplit('.').first;
  return name.contains('.') && (name.starts_with("optimizer.") || exporter.find(owner.str()));
}

Exporter::Exporter() = default;
Exporter::Exporter(Exporter &&) noexcept = default;
Exporter &Exporter::operator=(Exporter &&) noexcept = default;
Exporter::~Exporter() = default;

Result<Exporter> Exporter::open(const std::string &source, const Model &model, bool allowSymlinks) {
  Exporter result;
  ImportOptions options;
  options.allowSymlinks = allowSymlinks;
  std::string message;
  result.exporter = OnnxExporter::open(source, options, message);
  if (!result.exporter)
    return Error{NACRE_INVALID_VALUE, source + ": " + message};
  if (Status bound = result.bind(source, model); !bound)
    return bound.error();
  return result;
}

Result<Exporter> Exporter::open(std::span<const std::byte> source, const Model &model) {
  Exporter result;
  std::string message;
  result.exporter =
      OnnxExporter::openBytes({reinterpret_cast<const char *>(source.data()), source.size()}, ImportOptions(), message);
  if (!result.exporter)
    return Error{NACRE_INVALID_VALUE, "model: " + message};
  if (Status bound = result.bind("model", model); !bound)
    return bound.error();
  return result;
}

Status Exporter::bind(const std::string &source, const Model &model) {
  int32_t index = -1;
  for (const TensorInfo &parameter : model.parameters()) {
    ++index;
    if (!parameter.isMutable)
      continue;
    std::string name(parameter.name);
    std::optional<InitializerInfo> initializer = exporter->find(name);
    if (!initializer && isState(*exporter, name))
      continue;
    if (!initializer)
      return Error{NACRE_INVALID_VALUE, source + ": the trained parameter '" + name + "' is no initializer of the model"};
    // The numbers of element types are ONNX's.
    bool fits = initializer->dataType == parameter.dtype && initializer->dims.size() == parameter.dims.size();
    for (size_t i = 0; fits && i < parameter.dims.size(); ++i)
      fits = initializer->dims[i] == parameter.dims[i].size;
    if (!fits)
      return Error{NACRE_INTERNAL, source + ": internal error: the trained parameter '" + name + "' is " +
                                       toString(parameter) + ", which its initializer is not"};
    parameters.emplace_back(index, std::move(name));
  }
  if (parameters.empty())
    return Error{NACRE_INVALID_VALUE, source + ": the model has no initializers to train"};
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
  std::optional<std::string> bytes = exporter->serialize(*values, message);
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
  if (!exporter->write(path, *values, message))
    return Error{NACRE_IO_ERROR, message};
  return {};
}
