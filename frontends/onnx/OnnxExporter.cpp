//===- OnnxExporter.cpp - An ONNX file with other weights -------*- C++ -*-===//
#include "frontends/onnx/OnnxExporter.h"
#include "compiler/support/OutputFile.h"
#include "dialects/nn/NodeLocation.h"
#include "frontends/onnx/ModelFile.h"
#include "frontends/onnx/TensorData.h"
#include "frontends/onnx/TrainingNodes.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include <climits>

using namespace nacre;
using namespace nacre::frontend;
using llvm::StringRef;
using nn::quoted;

/// Whether a file could be written; if not, `message` says why.
static bool succeed(llvm::Error error, StringRef path, std::string &message) {
  if (!error)
    return true;
  message = "cannot write " + quoted(path) + ": " + llvm::toString(std::move(error));
  return false;
}

namespace {

/// Gives each tensor of a model its bytes, new or as they were, and external
/// data a place in a new file.
class TensorRewriter {
public:
  TensorRewriter(ModelFile &file, const OnnxExporter::Values &values, StringRef path)
      : file(file), values(values), dataPath((path + ".data").str()) {}

  bool run(::onnx::ModelProto &model) {
    for (::onnx::TensorProto &tensor : *model.mutable_graph()->mutable_initializer())
      if (auto value = values.find(tensor.name()); value != values.end())
        fresh[&tensor] = value->second;
    bool done = rewrite(*model.mutable_graph());
    for (::onnx::TrainingInfoProto &info : *model.mutable_training_info())
      done = done && (!info.has_initialization() || rewrite(*info.mutable_initialization())) &&
             (!info.has_algorithm() || rewrite(*info.mutable_algorithm()));
    for (::onnx::FunctionProto &function : *model.mutable_functions())
      done = done && rewriteNodes(*function.mutable_node());
    return done;
  }

  /// After the last tensor: the file of external data appears, if there is one.
  bool commit() { return !data || succeed(data->commit(), dataPath, error); }

  std::string error;

private:
  bool rewrite(::onnx::GraphProto &graph) {
    for (::onnx::TensorProto &tensor : *graph.mutable_initializer())
      if (!rewrite(tensor))
        return false;
    for (::onnx::SparseTensorProto &sparse : *graph.mutable_sparse_initializer())
      if (!rewrite(sparse))
        return false;
    return rewriteNodes(*graph.mutable_node());
  }

  template <typename Nodes> bool rewriteNodes(Nodes &nodes) {
    for (::onnx::NodeProto &node : nodes)
      for (::onnx::AttributeProto &attribute : *node.mutable_attribute()) {
        bool done = (!attribute.has_t() || rewrite(*attribute.mutable_t())) &&
                    (!attribute.has_g() || rewrite(*attribute.mutable_g())) &&
                    (!attribute.has_sparse_tensor() || rewrite(*attribute.mutable_sparse_tensor()));
        for (::onnx::TensorProto &tensor : *attribute.mutable_tensors())
          done = done && rewrite(tensor);
        for (::onnx::GraphProto &graph : *attribute.mutable_graphs())
          done = done && rewrite(graph);
        for (::onnx::SparseTensorProto &sparse : *attribute.mutable_sparse_tensors())
          done = done && rewrite(sparse);
        if (!done)
          return false;
      }
    return true;
  }

  bool rewrite(::onnx::SparseTensorProto &sparse) {
    return (!sparse.has_values() || rewrite(*sparse.mutable_values())) &&
           (!sparse.has_indices() || rewrite(*sparse.mutable_indices()));
  }

  bool rewrite(::onnx::TensorProto &tensor) {
    bool isExternal = tensor.data_location() == ::onnx::TensorProto::EXTERNAL;
    llvm::ArrayRef<char> bytes;
    std::optional<FileBytes> old; // keeps the bytes mapped
    if (auto found = fresh.find(&tensor); found != fresh.end()) {
      bytes = found->second;
      clearTypedData(tensor);
    } else if (isExternal || tensor.has_raw_data()) {
      old = file.tensorBytes(tensor, error);
      if (!old) {
        error = "tensor " + quoted(tensor.name()) + ": " + error;
        return false;
      }
      bytes = old->open ? trim(tensor, old->bytes) : old->bytes;
    } else {
      return true; // its data stands in a typed field
    }
    if (isExternal)
      return store(tensor, bytes);
    tensor.set_raw_data(bytes.data(), bytes.size());
    return true;
  }

  static void clearTypedData(::onnx::TensorProto &tensor) {
    tensor.clear_float_data();
    tensor.clear_double_data();
    tensor.clear_int32_data();
    tensor.clear_int64_data();
    tensor.clear_uint64_data();
  }

  /// External data of no stated length: what the tensor's type needs of it.
  llvm::ArrayRef<char> trim(const ::onnx::TensorProto &tensor, llvm::ArrayRef<char> bytes) {
    std::string ignored;
    mlir::RankedTensorType type = getTensorType(&context, tensor, ignored);
    if (!type)
      return bytes;
    uint64_t width = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
    return bytes.take_front(uint64_t(type.getNumElements()) * width);
  }

  bool store(::onnx::TensorProto &tensor, llvm::ArrayRef<char> bytes) {
    if (!data) {
      auto created = OutputFile::create(dataPath);
      if (!created)
        return succeed(created.takeError(), dataPath, error);
      data.emplace(std::move(*created));
    }
    uint64_t offset = llvm::alignTo(dataSize, 4096); // as ONNX recommends, so that the data can be mapped
    if (!succeed(data->write(bytes.data(), bytes.size(), offset), dataPath, error))
      return false;
    dataSize = offset + bytes.size();
    tensor.clear_raw_data();
    tensor.clear_external_data();
    auto add = [&](const char *key, const std::string &value) {
      auto *entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", llvm::sys::path::filename(dataPath).str());
    add("offset", std::to_string(offset));
    add("length", std::to_string(bytes.size()));
    return true;
  }

  ModelFile &file;
  const OnnxExporter::Values &values;
  std::map<const ::onnx::TensorProto *, llvm::ArrayRef<char>> fresh;
  std::string dataPath;
  std::optional<OutputFile> data;
  uint64_t dataSize = 0;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
};

} // namespace

OnnxExporter::OnnxExporter() : file(std::make_unique<ModelFile>()) {}
OnnxExporter::~OnnxExporter() = default;

std::unique_ptr<OnnxExporter> OnnxExporter::open(StringRef path, const ImportOptions &options,
                                                 std::string &error) {
  auto buffer = mapFile(path, error);
  if (!buffer)
    return nullptr;
  std::unique_ptr<OnnxExporter> exporter(new OnnxExporter);
  StringRef folder = llvm::sys::path::parent_path(path);
  if (!exporter->file->parse(std::move(buffer), folder.empty() ? "." : folder, options, error))
    return nullptr;
  return exporter;
}

std::unique_ptr<OnnxExporter> OnnxExporter::openBytes(llvm::ArrayRef<char> model, const ImportOptions &options,
                                                 std::string &error) {
  std::unique_ptr<OnnxExporter> exporter(new OnnxExporter);
  std::shared_ptr<llvm::MemoryBuffer> buffer =
      llvm::MemoryBuffer::getMemBufferCopy(StringRef(model.data(), model.size()), "model");
  if (!exporter->file->parse(std::move(buffer), "", options, error))
    return nullptr;
  return exporter;
}

std::optional<InitializerInfo> OnnxExporter::find(StringRef name) const {
  for (const ::onnx::TensorProto &tensor : file->model().graph().initializer())
    if (tensor.name() == name)
      return InitializerInfo{tensor.data_type(), {tensor.dims().begin(), tensor.dims().end()}};
  return std::nullopt;
}

TrainingNodes OnnxExporter::countTrainingNodes() const { return frontend::countTrainingNodes(file->model()); }

/// Whether a file can hold the model.
static bool checkSize(const ::onnx::ModelProto &model, std::string &error) {
  if (model.ByteSizeLong() <= INT_MAX)
    return true;
  error = "the model is larger than the 2 GiB that a file without external data can hold";
  return false;
}

std::optional<std::string> OnnxExporter::serialize(const Values &values, std::string &error) {
  ::onnx::ModelProto model(file->model());
  makeInferenceForm(model);
  TensorRewriter rewriter(*file, values, "");
  std::string bytes;
  if (!rewriter.run(model))
    error = rewriter.error;
  else if (checkSize(model, error) && !model.SerializeToString(&bytes))
    error = "Protobuf cannot serialize the model";
  return error.empty() ? std::optional(std::move(bytes)) : std::nullopt;
}

bool OnnxExporter::write(StringRef path, const Values &values, std::string &error) {
  ::onnx::ModelProto model(file->model());
  makeInferenceForm(model);
  TensorRewriter rewriter(*file, values, path);
  if (!rewriter.run(model)) {
    error = rewriter.error;
    return false;
  }
  if (!checkSize(model, error))
    return false;
  auto written = OutputFile::create(path);
  if (!written)
    return succeed(written.takeError(), path, error);
  google::protobuf::io::FileOutputStream stream(written->getDescriptor());
  if (!model.SerializeToZeroCopyStream(&stream) || !stream.Flush()) {
    std::error_code code(stream.GetErrno(), std::generic_category());
    return succeed(llvm::createStringError(code, code.message()), path, error);
  }
  // The data first: a model never lacks what it names.
  if (!rewriter.commit()) {
    error = rewriter.error;
    return false;
  }
  return succeed(written->commit(), path, error);
}
