// Models that are compiled for the ranks that they are given.
#include "compiler/api/Compiler.h"
#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace nacre;

namespace {

/// A field of a Protobuf message: text or a message, or a number.
std::string field(int number, const std::string &content) {
  return std::string{char(number << 3 | 2), char(content.size())} + content;
}
std::string field(int number, int value) { return {char(number << 3), char(value)}; }

/// y = Expand(x, size), of an f32 x without a shape and an i64 size of one dimension.
std::string makeModel() {
  std::string type = field(1, field(1, 1)), vector = field(1, field(1, 7) + field(2, field(1, "")));
  std::string node = field(1, "x") + field(1, "size") + field(2, "y") + field(4, "Expand");
  std::string graph = field(1, node) + field(2, "g") + field(11, field(1, "x") + field(2, type)) +
                      field(11, field(1, "size") + field(2, vector)) + field(12, field(1, "y") + field(2, type));
  return field(1, 10) + field(8, field(2, 21)) + field(7, graph);
}

class OpenModelTest : public testing::Test {
protected:
  void SetUp() override {
    path = std::filesystem::temp_directory_path() / ("nacre-open-" + std::to_string(getpid()) + ".onnx");
    std::ofstream(path) << makeModel();
  }
  void TearDown() override { std::filesystem::remove(path); }

  static CompileOptions getOptions() {
    CompileOptions options;
    options.cacheDirectory = "";
    return options;
  }
  std::filesystem::path path;
};

} // namespace

TEST_F(OpenModelTest, OneForEachRank) {
  Result<OpenModel> open = OpenModel::open(path, getOptions());
  ASSERT_TRUE(open) << open.error().message;
  ASSERT_EQ(open->inputs().size(), 2u);
  EXPECT_EQ(open->inputs()[0].name, "x");
  EXPECT_TRUE(open->inputs()[0].lacksRank);
  EXPECT_FALSE(open->inputs()[1].lacksRank);

  auto get = [&](std::vector<int64_t> x, int64_t length) {
    std::map<std::string, ExampleShapes> shapes;
    shapes["x"].emplace().push_back(x);
    shapes["size"].emplace().push_back({length});
    auto model = open->specialize(shapes);
    EXPECT_TRUE(model) << model.error().message;
    return model ? *model : nullptr;
  };
  auto plane = get({2, 3}, 2), space = get({2, 3, 4}, 3);
  EXPECT_EQ(plane, get({7, 1}, 2)); // sizes stay open
  EXPECT_NE(plane, space);
  EXPECT_NE(plane, get({2, 3}, 3)); // the result has another rank
  EXPECT_EQ(space, get({1, 1, 1}, 3));

  Result<Session> session = Session::create(*plane, {.threads = 1});
  ASSERT_TRUE(session) << session.error().message;
  std::vector<float> x = {1, 2};
  std::vector<int64_t> size = {2, 3}, dims = {2, 1}, length = {2};
  auto y = session->run({TensorView(x.data(), NACRE_F32, dims), TensorView(size.data(), NACRE_I64, length)});
  ASSERT_TRUE(y) << y.error().message;
  auto given = y->front().view().as<float>();
  EXPECT_EQ(std::vector<float>(given.begin(), given.end()), (std::vector<float>{1, 1, 1, 2, 2, 2}));
}

TEST_F(OpenModelTest, WhatIsMissing) {
  Result<OpenModel> open = OpenModel::open(path, getOptions());
  ASSERT_TRUE(open);
  auto model = open->specialize({});
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("input 'x' has no shape"), std::string::npos) << model.error().message;
  EXPECT_FALSE(OpenModel::open(path.string() + ".missing"));
}
