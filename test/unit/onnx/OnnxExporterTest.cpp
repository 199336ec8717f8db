// An ONNX file written again with other weights: what is new, what stays as it was,
// external data, and files that cannot be written.
#include "frontends/onnx/OnnxExporter.h"
#include "onnx-ml.pb.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/stat.h>

using namespace nacre;
using onnx::TensorProto;

namespace {

class OnnxExporterTest : public testing::Test {
protected:
  void SetUp() override {
    llvm::SmallString<128> path;
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("exporter", path));
    folder = std::string(path);
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string at(const std::string &name) const { return folder + "/" + name; }

  /// w (raw), b (float_data), in a Constant node c (raw), in a function f (raw).
  static onnx::ModelProto makeModel() {
    onnx::ModelProto model;
    model.set_ir_version(10);
    model.set_doc_string("kept");
    onnx::GraphProto &graph = *model.mutable_graph();
    graph.set_name("g");
    TensorProto &w = *graph.add_initializer();
    w.set_name("w");
    fill(w, {1, 2, 3, 4}, true);
    TensorProto &b = *graph.add_initializer();
    b.set_name("b");
    fill(b, {5, 6}, false);
    onnx::AttributeProto &value = *graph.add_node()->add_attribute();
    value.set_name("value");
    fill(*value.mutable_t(), {7}, true);
    fill(*model.add_functions()->add_node()->add_attribute()->add_tensors(), {8}, true);
    return model;
  }

  static void fill(TensorProto &tensor, const std::vector<float> &values, bool isRaw) {
    tensor.set_data_type(TensorProto::FLOAT);
    tensor.add_dims(int64_t(values.size()));
    if (isRaw)
      tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    else
      tensor.mutable_float_data()->Assign(values.begin(), values.end());
  }

  void save(const onnx::ModelProto &model, const std::string &name) const {
    std::ofstream(at(name), std::ios::binary) << model.SerializeAsString();
  }
  std::string read(const std::string &name) const {
    std::stringstream text;
    text << std::ifstream(at(name), std::ios::binary).rdbuf();
    return text.str();
  }
  onnx::ModelProto load(const std::string &name) const {
    onnx::ModelProto model;
    EXPECT_TRUE(model.ParseFromString(read(name)));
    return model;
  }

  /// Writes `from` to `to` with a new w; the message of a failure, "" on success.
  std::string write(const std::string &from, const std::string &to) {
    std::string error;
    auto exporter = OnnxExporter::open(at(from), {}, error);
    if (!exporter)
      return error;
    OnnxExporter::Values values;
    values["w"] = {reinterpret_cast<const char *>(fresh.data()), fresh.size() * sizeof(float)};
    values["b"] = {reinterpret_cast<const char *>(fresh.data()), 2 * sizeof(float)};
    return exporter->write(at(to), values, error) ? "" : error;
  }
  std::string bytesOf(size_t count) const {
    return {reinterpret_cast<const char *>(fresh.data()), count * sizeof(float)};
  }

  std::string folder;
  std::vector<float> fresh = {-1, -2, -3, -4};
};

TEST_F(OnnxExporterTest, OnlyTheNamedInitializersChange) {
  onnx::ModelProto model = makeModel();
  save(model, "in.onnx");
  ASSERT_EQ(write("in.onnx", "out.onnx"), "");
  onnx::ModelProto out = load("out.onnx");
  EXPECT_EQ(out.graph().initializer(0).raw_data(), bytesOf(4));
  EXPECT_EQ(out.graph().initializer(1).raw_data(), bytesOf(2));
  EXPECT_EQ(out.graph().initializer(1).float_data_size(), 0);
  // The rest is the same bytes.
  out.mutable_graph()->clear_initializer();
  model.mutable_graph()->clear_initializer();
  EXPECT_EQ(out.SerializeAsString(), model.SerializeAsString());
}

TEST_F(OnnxExporterTest, FieldsOfOtherVersionsAreKept) {
  std::string bytes = makeModel().SerializeAsString();
  std::string unknown("\xf2\x3e\x03new", 6); // field 1006, three bytes
  std::ofstream(at("in.onnx"), std::ios::binary) << bytes << unknown;
  ASSERT_EQ(write("in.onnx", "out.onnx"), "");
  EXPECT_NE(read("out.onnx").find(unknown), std::string::npos);
}

TEST_F(OnnxExporterTest, TheFileItselfCanBeReplaced) {
  save(makeModel(), "in.onnx");
  ASSERT_EQ(write("in.onnx", "in.onnx"), "");
  EXPECT_EQ(load("in.onnx").graph().initializer(0).raw_data(), bytesOf(4));
}

TEST_F(OnnxExporterTest, Find) {
  save(makeModel(), "in.onnx");
  std::string error;
  auto exporter = OnnxExporter::open(at("in.onnx"), {}, error);
  ASSERT_TRUE(exporter) << error;
  auto w = exporter->find("w");
  ASSERT_TRUE(w);
  EXPECT_EQ(w->dataType, TensorProto::FLOAT);
  EXPECT_EQ(w->dims, llvm::SmallVector<int64_t>({4}));
  EXPECT_FALSE(exporter->find("v"));
}

void setExternal(TensorProto &tensor, const std::string &location, const std::string &offset) {
  tensor.clear_raw_data();
  tensor.set_data_location(TensorProto::EXTERNAL);
  for (auto [key, value] : {std::pair("location", location), std::pair("offset", offset)}) {
    auto *entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
}

std::string getEntry(const TensorProto &tensor, const std::string &key) {
  for (const auto &entry : tensor.external_data())
    if (entry.key() == key)
      return entry.value();
  return "";
}

TEST_F(OnnxExporterTest, ExternalDataMovesToAFileBesideTheModel) {
  onnx::ModelProto model = makeModel();
  setExternal(*model.mutable_graph()->mutable_initializer(0), "w.bin", "0");
  // Not trained, of no stated length, in another folder than the output.
  setExternal(*model.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_t(), "w.bin", "16");
  std::vector<float> data = {1, 2, 3, 4, 7, 99};
  std::ofstream(at("w.bin"), std::ios::binary)
      .write(reinterpret_cast<const char *>(data.data()), std::streamsize(data.size() * sizeof(float)));
  save(model, "in.onnx");
  ASSERT_FALSE(llvm::sys::fs::create_directory(at("sub")));
  ASSERT_EQ(write("in.onnx", "sub/out.onnx"), "");

  onnx::ModelProto out = load("sub/out.onnx");
  const TensorProto &w = out.graph().initializer(0), &c = out.graph().node(0).attribute(0).t();
  EXPECT_EQ(getEntry(w, "location"), "out.onnx.data");
  std::string stored = read("sub/out.onnx.data");
  EXPECT_EQ(stored.substr(std::stoul(getEntry(w, "offset")), std::stoul(getEntry(w, "length"))), bytesOf(4));
  float seven = 7;
  EXPECT_EQ(stored.substr(std::stoul(getEntry(c, "offset")), std::stoul(getEntry(c, "length"))),
            std::string(reinterpret_cast<const char *>(&seven), sizeof seven));
  // What was inside stays inside.
  EXPECT_EQ(out.graph().initializer(1).raw_data(), bytesOf(2));
}

TEST_F(OnnxExporterTest, FailuresLeaveNothing) {
  save(makeModel(), "in.onnx");
  EXPECT_NE(write("in.onnx", "absent/out.onnx").find("absent/out.onnx"), std::string::npos);
  EXPECT_NE(write("absent.onnx", "out.onnx").find("can't open"), std::string::npos);
  std::ofstream(at("bad.onnx")) << "no model";
  EXPECT_NE(write("bad.onnx", "out.onnx"), "");
  ASSERT_FALSE(llvm::sys::fs::create_directory(at("taken")));
  EXPECT_NE(write("in.onnx", "taken"), "");
  onnx::ModelProto model = makeModel();
  setExternal(*model.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_t(), "absent.bin", "0");
  save(model, "lacks.onnx");
  EXPECT_NE(write("lacks.onnx", "out.onnx").find("absent.bin"), std::string::npos);
  std::error_code error;
  for (llvm::sys::fs::directory_iterator i(folder, error), end; i != end && !error; i.increment(error)) {
    std::string name = llvm::sys::path::filename(i->path()).str();
    EXPECT_TRUE(name == "in.onnx" || name == "bad.onnx" || name == "lacks.onnx" || name == "taken") << name;
  }
}

} // namespace
