// The C++ face, over the artefact written by hand.
#include "FakeModel.h"
#include "runtime/api/nacre.hpp"

#include <array>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

const std::string artifact = nacre::test::folder() + "/fake-artifact.so";

TEST(CppFaceTest, LoadAndRun) {
  nacre::Result<nacre::Model> model = nacre::Model::load(artifact);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_TRUE(model->verify());
  std::vector<nacre::Function> functions = model->functions();
  ASSERT_EQ(functions.size(), 1u);
  EXPECT_EQ(functions[0].name, "main");
  ASSERT_EQ(functions[0].inputs.size(), 1u);
  EXPECT_EQ(functions[0].inputs[0].name, "x");
  EXPECT_EQ(functions[0].inputs[0].dtype, NACRE_F32);
  ASSERT_EQ(functions[0].inputs[0].dims.size(), 2u);
  EXPECT_EQ(functions[0].inputs[0].dims[0].size, -1);
  EXPECT_EQ(functions[0].inputs[0].dims[0].symbol, "N");
  EXPECT_EQ(functions[0].outputs[0].dims[1].size, 3);
  EXPECT_STREQ(model->kernels().at(0).name, "scale");
  EXPECT_EQ(model->parameters().at(0).name, "w");
  EXPECT_EQ(*model->findFunction("main"), 0);
  EXPECT_EQ(*model->findParameter("w"), 0);
  EXPECT_EQ(model->findParameter("v").error().status, NACRE_NOT_FOUND);

  auto session = nacre::Session::create(*model, {.threads = 2});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ(session->threads(), 2);
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  auto outputs = session->run({nacre::view(x, {2, 3})});
  ASSERT_TRUE(outputs) << outputs.error().message;
  ASSERT_EQ(outputs->size(), 1u);
  nacre::Tensor &y = outputs->front();
  EXPECT_EQ(y.dtype(), NACRE_F32);
  EXPECT_EQ(std::vector<int64_t>(y.dims().begin(), y.dims().end()),
            (std::vector<int64_t>{2, 3}));
  std::span<float> values = y.as<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()),
            (std::vector<float>{3, 7, 13, 9, 16, 25}));
  EXPECT_TRUE(y.as<double>().empty());

  // Its output as an input, twice into the same memory.
  std::vector<nacre::Tensor> again(1);
  ASSERT_TRUE(session->run({y.view()}, again));
  EXPECT_EQ(again[0].as<float>()[5], 101.0f);
  void *memory = again[0].data();
  ASSERT_TRUE(session->run({y.view().named("x")}, again));
  EXPECT_EQ(again[0].data(), memory);

  // Into the caller's memory.
  std::array<float, 6> mine = {};
  std::vector<nacre::Tensor> into;
  into.push_back(nacre::Tensor::into(mine));
  ASSERT_TRUE(session->run({nacre::view(x, {2, 3})}, into));
  EXPECT_EQ(mine[5], 25.0f);
}

TEST(CppFaceTest, Checkpoints) {
  nacre::test::FakeModel fake;
  fake.function(
          "main", [](nacre_abi_context *, const nacre_abi_tensor *) { return 0; },
          {}, {})
      .state("w", 3, {1, 2, 3});
  nacre_model *made = nullptr;
  ASSERT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr,
                               &made),
            NACRE_OK);
  nacre::Model model(made);
  auto session = nacre::Session::create(model, {.threads = 1, .seed = 4});
  ASSERT_TRUE(session);
  EXPECT_EQ(session->randomState(), (std::pair<uint64_t, int64_t>(4, 0)));
  EXPECT_TRUE(session->setRandomState(5, 6));
  EXPECT_EQ(session->randomState(), (std::pair<uint64_t, int64_t>(5, 6)));
  EXPECT_FALSE(session->setRandomState(5, -6));

  std::string path = testing::TempDir() + "nacre-cpp-face-" +
                     std::to_string(getpid()) + ".safetensors";
  ASSERT_TRUE(session->save(path, {{"a", "b"}}));
  std::array<float, 3> values = {4, 5, 6};
  ASSERT_TRUE(session->writeParameter(0, nacre::view(values, {3})));
  auto metadata = session->load(path);
  ASSERT_TRUE(metadata) << metadata.error().message;
  EXPECT_EQ(*metadata, (nacre::Session::Metadata{{"a", "b"}}));
  ASSERT_TRUE(session->readParameter(0, values));
  EXPECT_EQ(values, (std::array<float, 3>{1, 2, 3}));
  auto zero = session->save(path, {{std::string("a\0b", 3), "c"}});
  ASSERT_FALSE(zero);
  EXPECT_EQ(zero.error().status, NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(session->load("/nonexistent").error().status, NACRE_NOT_FOUND);
  std::filesystem::remove(path);
}

TEST(CppFaceTest, ErrorsAreValues) {
  auto missing = nacre::Model::load("/nonexistent.so");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().status, NACRE_NOT_FOUND);
  EXPECT_EQ(missing.error().message,
            "/nonexistent.so: No such file or directory");
  auto model = nacre::Model::load(artifact);
  ASSERT_TRUE(model);
  auto none = nacre::Session::create(*model, {.threads = -3});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().status, NACRE_INVALID_ARGUMENT);

  auto session = nacre::Session::create(*model, {.threads = 1});
  ASSERT_TRUE(session);
  std::vector<float> x(6);
  auto shorter = session->run({nacre::view(x, {3, 3})});
  ASSERT_FALSE(shorter);
  EXPECT_EQ(shorter.error().message,
            "input 'x': its memory is 24 bytes, expected 36 for its shape");
  std::vector<float> empty;
  EXPECT_FALSE(session->run({nacre::view(empty, {1, 3})}));
  EXPECT_TRUE(session->run({nacre::view(empty, {0, 3})}));
  EXPECT_FALSE(session->run({nacre::view(x, {2, 3})}, 5));
  std::vector<int64_t> tooMany(20, 1);
  EXPECT_FALSE(session->run({nacre::TensorView(x.data(), NACRE_F32, tooMany)}));
  std::vector<float> w(3);
  EXPECT_TRUE(session->readParameter(0, w));
  EXPECT_EQ(w[2], 4.0f);
  EXPECT_EQ(session->parameter(0)->as<float>()[2], 4.0f);
  EXPECT_FALSE(session->writeParameter(0, nacre::view(w, {3})));
  EXPECT_FALSE(session->parameter(1));
}

TEST(CppFaceTest, TensorsOutliveTheirSession) {
  nacre::Tensor y;
  {
    auto model = nacre::Model::load(artifact);
    ASSERT_TRUE(model) << model.error().message;
    auto session = nacre::Session::create(*model);
    ASSERT_TRUE(session) << session.error().message;
    std::vector<float> x(3, 1);
    auto outputs = session->run({nacre::view(x, {1, 3})});
    ASSERT_TRUE(outputs);
    y = std::move(outputs->front());
  }
  EXPECT_EQ(y.as<float>()[2], 5.0f);
}

/// A packed sequence's elements, taken apart.
struct Unpacked {
  Unpacked(nacre::TensorView data, std::vector<int64_t> shapes, int64_t rank)
      : value({"s", NACRE_VALUE_PACKED, 0, 0, 2}) {
    int64_t length = int64_t(shapes.size()) / rank;
    elements = nacre::unpack(value, {data, nacre::view(shapes, {length, rank})},
                             copies);
    EXPECT_EQ(value.kind, NACRE_VALUE_SEQUENCE);
    EXPECT_EQ(value.count, int32_t(length));
  }
  std::vector<int64_t> dims(size_t i) const {
    return {elements[i].dims().begin(), elements[i].dims().end()};
  }
  nacre::ValueInfo value;
  std::vector<std::vector<uint8_t>> copies;
  std::vector<nacre::TensorView> elements;
};

TEST(CppFaceTest, UnpacksSequences) {
  std::vector<float> numbers = {1, 2, 3, 4, 5, 6, 7};
  Unpacked views(nacre::view(numbers, {7}), {2, 2, 3, -1, 0, 9}, 2);
  EXPECT_EQ(views.dims(0), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(views.dims(1), (std::vector<int64_t>{3}));
  EXPECT_EQ(views.dims(2), (std::vector<int64_t>{0, 9}));
  EXPECT_EQ(views.elements[0].data(), numbers.data());
  EXPECT_EQ(views.elements[1].as<float>()[0], 5.0f);
  EXPECT_TRUE(views.copies.empty());

  std::vector<nacre_string> strings = {{"a", 1}, {"bb", 2}, {"ccc", 3}};
  Unpacked texts(nacre::view(strings, {3}), {1, 2}, 1);
  EXPECT_EQ(texts.elements[0].as<nacre_string>()[0].size, 1);
  EXPECT_EQ(texts.elements[1].as<nacre_string>()[0].size, 2);
  EXPECT_EQ(texts.elements[1].as<nacre_string>()[1].size, 3);
}

TEST(CppFaceTest, UnpacksElementsBelowAByte) {
  std::vector<uint8_t> values = {1, 2, 3, 4, 5, 0xfe}, packed(3);
  nacre_dtype_pack(NACRE_I4, values.data(), 6, packed.data());
  Unpacked quads(nacre::TensorView(packed.data(), NACRE_I4, {6}), {3, 0, 2, 1}, 1);
  std::vector<uint8_t> found;
  for (const nacre::TensorView &element : quads.elements) {
    std::vector<uint8_t> own(size_t(element.elements()));
    nacre_dtype_unpack(NACRE_I4, element.data(), element.elements(), own.data());
    found.insert(found.end(), own.begin(), own.end());
  }
  EXPECT_EQ(found, values);
  EXPECT_EQ(quads.dims(0), (std::vector<int64_t>{3}));
}

TEST(CppFaceTest, ElementTypes) {
  EXPECT_EQ(nacre::dtypeOf<const float>(), NACRE_F32);
  EXPECT_EQ(nacre::dtypeOf<double>(), NACRE_F64);
  EXPECT_EQ(nacre::dtypeOf<int8_t>(), NACRE_I8);
  EXPECT_EQ(nacre::dtypeOf<uint8_t>(), NACRE_U8);
  EXPECT_EQ(nacre::dtypeOf<int64_t>(), NACRE_I64);
  EXPECT_EQ(nacre::dtypeOf<long long>(), NACRE_I64);
  EXPECT_EQ(nacre::dtypeOf<bool>(), NACRE_BOOL);
  EXPECT_EQ(nacre::dtypeOf<std::string>(), NACRE_UNDEFINED);
}

} // namespace
