// A run of the simplest models: inputs, outputs, and what is said about wrong
// ones.
#include "FakeModel.h"

using namespace nacre::test;

namespace {

// y[N, 3] = a[N, 3] + b[N, 3]
int32_t add(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  int64_t dims[2] = {inputs[0].dims[0], 3};
  auto *a = static_cast<const float *>(inputs[0].data);
  auto *b = static_cast<const float *>(inputs[1].data);
  auto *y = static_cast<float *>(context->output(context, 0, 2, dims));
  if (!y)
    return NACRE_ABI_OUT_OF_MEMORY;
  parallelFor(context, dims[0], 2,
              [&](nacre_abi_context *, int64_t begin, int64_t end) {
                for (int64_t i = 3 * begin; i < 3 * end; ++i)
                  y[i] = a[i] + b[i];
              });
  return NACRE_ABI_OK;
}

struct RunTest : testing::Test {
  RunTest() {
    fake.function("main", add,
                  {fake.tensor("a", NACRE_DTYPE_F32, {"N", 3}),
                   fake.tensor("b", NACRE_DTYPE_F32, {"N", 3})},
                  {fake.tensor("y", NACRE_DTYPE_F32, {"N", 3})});
  }
  nacre_tensor in(int64_t n) { return tensorOf(data, {n, 3}); }

  FakeModel fake;
  std::vector<float> data = std::vector<float>(3000, 1.5f);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
};

TEST_F(RunTest, SessionMemoryIsProvidedAndUsedAgain) {
  FakeSession s(fake);
  ASSERT_EQ(s.run({in(7), in(7)}, y), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(y[0].dtype, NACRE_F32);
  EXPECT_EQ(y[0].rank, 2);
  EXPECT_EQ(y[0].dims[0], 7);
  EXPECT_EQ(y[0].dims[1], 3);
  EXPECT_EQ(y[0].size, 84);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(y[0].data) % 64, 0u);
  for (int i = 0; i < 21; ++i)
    EXPECT_EQ(static_cast<float *>(y[0].data)[i], 3.0f);
  void *first = y[0].data;
  ASSERT_EQ(s.run({in(5), in(5)}, y), NACRE_OK);
  EXPECT_EQ(y[0].data, first);
  EXPECT_EQ(y[0].dims[0], 5);
  ASSERT_EQ(s.run({in(900), in(900)}, y), NACRE_OK); // grows
  EXPECT_EQ(static_cast<float *>(y[0].data)[2699], 3.0f);
  nacre_tensor_release(&y[0]);
  EXPECT_EQ(y[0].data, nullptr);
  nacre_tensor_release(&y[0]);
}

TEST_F(RunTest, CallersMemory) {
  FakeSession s(fake);
  std::vector<float> out(30, -1);
  y[0] = tensorOf(out, {});
  y[0].size = 120;
  ASSERT_EQ(s.run({in(7), in(7)}, y), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(y[0].data, out.data());
  EXPECT_EQ(y[0].size, 84);
  EXPECT_EQ(out[20], 3.0f);
  EXPECT_EQ(out[21], -1.0f);
  EXPECT_EQ(y[0].owner, nullptr);
}

TEST_F(RunTest, CallersMemoryTooSmallTellsWhatIsNeeded) {
  FakeSession s(fake);
  std::vector<float> out(21);
  y[0] = tensorOf(out, {7, 3});
  EXPECT_ERROR(s.run({in(8), in(8)}, y), NACRE_INVALID_SHAPE,
               "output 'y': its memory is 84 bytes, expected at least 96");
  EXPECT_EQ(y[0].dims[0], 8);
  EXPECT_EQ(y[0].size, 96);
  out.resize(24);
  y[0].data = out.data();
  EXPECT_EQ(s.run({in(8), in(8)}, y), NACRE_OK) << nacre_last_error();
}

TEST_F(RunTest, OutputsMayBeDropped) {
  FakeSession s(fake);
  std::vector<nacre_tensor> none;
  EXPECT_EQ(s.run({in(4), in(4)}, none), NACRE_OK) << nacre_last_error();
}

TEST_F(RunTest, ZeroSizedTensors) {
  FakeSession s(fake);
  nacre_tensor empty = tensorOf(nullptr, {0, 3});
  ASSERT_EQ(s.run({empty, empty}, y), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(y[0].dims[0], 0);
  EXPECT_EQ(y[0].size, 0);
  nacre_tensor_release(&y[0]);
}

TEST_F(RunTest, InputsByName) {
  FakeSession s(fake);
  nacre_tensor a = in(2), b = in(2);
  a.name = "a";
  b.name = "b";
  EXPECT_EQ(s.run({b, a}, y), NACRE_OK) << nacre_last_error();
  b.name = "c";
  EXPECT_ERROR(s.run({a, b}, y), NACRE_NOT_FOUND,
               "input 'c': function 'main' has no such input; its inputs: "
               "'a', 'b'");
  b.name = "a";
  EXPECT_ERROR(s.run({a, b}, y), NACRE_INVALID_ARGUMENT,
               "input 'a': given twice");
  nacre_tensor_release(&y[0]);
  y[0].name = "z";
  EXPECT_ERROR(s.run({in(2), in(2)}, y), NACRE_NOT_FOUND,
               "output 'z': function 'main' has no such output; its outputs: "
               "'y'");
}

TEST_F(RunTest, HostileNamesAreEscapedAndCut) {
  FakeSession s(fake);
  nacre_tensor a = in(2);
  a.name = "%s%n'\n\x1b[31m";
  EXPECT_ERROR(s.run({a, in(2)}, y), NACRE_NOT_FOUND,
               "input '%s%n\\x27\\x0A\\x1B[31m': function 'main' has no such "
               "input; its inputs: 'a', 'b'");
  std::string longName(1 << 20, 'x');
  a.name = longName.c_str();
  EXPECT_EQ(s.run({a, in(2)}, y), NACRE_NOT_FOUND);
  EXPECT_LT(std::strlen(nacre_last_error()), 300u);
}

TEST_F(RunTest, WrongInputs) {
  FakeSession s(fake);
  auto second = [&](auto change) {
    nacre_tensor b = in(4);
    change(b);
    return s.run({in(4), b}, y);
  };
  EXPECT_ERROR(s.run({in(4)}, y), NACRE_INVALID_ARGUMENT,
               "function 'main': 1 inputs are given, expected 2: 'a', 'b'");
  EXPECT_ERROR(second([](auto &t) { t.dtype = NACRE_F64; }),
               NACRE_INVALID_SHAPE,
               "input 'b': the element type is f64, expected f32");
  EXPECT_ERROR(second([](auto &t) { t.dtype = 4711; }), NACRE_INVALID_SHAPE,
               "input 'b': the element type is undefined, expected f32");
  EXPECT_ERROR(second([](auto &t) { t.rank = 1; }), NACRE_INVALID_SHAPE,
               "input 'b': the rank is 1, expected 2: [N, 3]");
  EXPECT_ERROR(second([](auto &t) { t.rank = -5; }), NACRE_INVALID_SHAPE,
               "input 'b': the rank is -5, expected 2: [N, 3]");
  EXPECT_ERROR(second([](auto &t) { t.dims[1] = 5; }), NACRE_INVALID_SHAPE,
               "input 'b': dimension 1 is 5, expected 3");
  EXPECT_ERROR(second([](auto &t) { t.dims[0] = -1; }), NACRE_INVALID_SHAPE,
               "input 'b': dimension 0 is -1, expected no negative size");
  EXPECT_ERROR(second([](auto &t) { t.dims[0] = INT64_MAX; }),
               NACRE_INVALID_SHAPE, "input 'b': it is larger than 2^63 bytes");
  EXPECT_ERROR(second([](auto &t) { t.dims[0] = 3; }), NACRE_INVALID_SHAPE,
               "input 'b': dimension 0 ('N') is 3, expected 4 as in dimension "
               "0 of input 'a'");
  EXPECT_ERROR(second([](auto &t) { t.data = nullptr; }),
               NACRE_INVALID_ARGUMENT,
               "input 'b': the data is NULL, expected 48 bytes");
  EXPECT_ERROR(second([](auto &t) { t.size = 47; }), NACRE_INVALID_SHAPE,
               "input 'b': its memory is 47 bytes, expected 48 for its shape");
  EXPECT_ERROR(
      second([](auto &t) { t.data = static_cast<char *>(t.data) + 1; }),
      NACRE_INVALID_ARGUMENT,
      "input 'b': the data is not aligned to its element type f32");
  EXPECT_EQ(s.run({in(4), in(4)}, y), NACRE_OK) << nacre_last_error();
  nacre_tensor_release(&y[0]);
}

TEST_F(RunTest, Strides) {
  FakeSession s(fake);
  nacre_tensor b = in(4);
  int64_t rowMajor[] = {3, 1}, transposed[] = {1, 4}, unit[] = {77, 1};
  b.strides = rowMajor;
  EXPECT_EQ(s.run({in(4), b}, y), NACRE_OK) << nacre_last_error();
  b.strides = transposed;
  EXPECT_ERROR(s.run({in(4), b}, y), NACRE_INVALID_ARGUMENT,
               "input 'b': the strides are not those of row-major memory; copy "
               "it to contiguous memory first");
  b = in(1);
  b.strides = unit; // the stride of a dimension of one element is never used
  EXPECT_EQ(s.run({in(1), b}, y), NACRE_OK) << nacre_last_error();
  nacre_tensor_release(&y[0]);
}

TEST_F(RunTest, WrongOutputs) {
  FakeSession s(fake);
  std::vector<float> out(12);
  y.resize(2);
  EXPECT_ERROR(s.run({in(4), in(4)}, y), NACRE_INVALID_ARGUMENT,
               "function 'main': 2 outputs are asked for, it has 1: 'y'");
  y.resize(1);
  y[0] = tensorOf(out, {4, 3}, NACRE_I32);
  EXPECT_ERROR(s.run({in(4), in(4)}, y), NACRE_INVALID_SHAPE,
               "output 'y': the element type is i32, expected f32");
  y[0] = tensorOf(out, {-4, 3});
  EXPECT_ERROR(s.run({in(4), in(4)}, y), NACRE_INVALID_ARGUMENT,
               "output 'y': its size, rank or dimensions are out of range");
  y[0] = tensorOf(data.data() + 9, {4, 3});
  EXPECT_ERROR(s.run({in(4), in(4)}, y), NACRE_INVALID_ARGUMENT,
               "output 'y': its memory overlaps that of input 'a'");
  y[0] = tensorOf(data.data() + 12, {4, 3}); // right behind: no overlap
  EXPECT_EQ(s.run({in(4), in(4)}, y), NACRE_OK) << nacre_last_error();
}

TEST_F(RunTest, AnOutputFedBackIntoItsOwnInputIsRefused) {
  FakeSession s(fake);
  ASSERT_EQ(s.run({in(4), in(4)}, y), NACRE_OK);
  nacre_tensor previous = y[0];
  EXPECT_ERROR(s.run({previous, in(4)}, y), NACRE_INVALID_ARGUMENT,
               "output 'y': its memory overlaps that of input 'a'");
  std::vector<nacre_tensor> other = {nacre_tensor{}};
  EXPECT_EQ(s.run({previous, in(4)}, other), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(static_cast<float *>(other[0].data)[11], 4.5f);
  nacre_tensor_release(&y[0]);
  nacre_tensor_release(&other[0]);
}

TEST_F(RunTest, WrongCalls) {
  FakeSession s(fake);
  EXPECT_ERROR(s.run({in(4), in(4)}, y, 1), NACRE_INVALID_ARGUMENT,
               "the function's index is 1, the model has 1 functions");
  EXPECT_ERROR(nacre_session_run(nullptr, 0, nullptr, 0, nullptr, 0),
               NACRE_INVALID_ARGUMENT, "nacre_session_run: 'session' is NULL");
  EXPECT_ERROR(nacre_session_run(s.session, 0, nullptr, 2, nullptr, 0),
               NACRE_INVALID_ARGUMENT, "the array of inputs is NULL");
  nacre_tensor inputs[] = {in(4), in(4)};
  EXPECT_ERROR(nacre_session_run(s.session, 0, inputs, 2, nullptr, 1),
               NACRE_INVALID_ARGUMENT, "the array of outputs is NULL");
}

// ---- Thousands of inputs, given in another order ----------------------------

int32_t sumAll(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  auto *y = static_cast<float *>(context->output(context, 0, 0, nullptr));
  *y = 0;
  for (int i = 0; i < 4000; ++i)
    *y = 2 * *y * (i < 20) + static_cast<float *>(inputs[i].data)[0] * (i < 20);
  return NACRE_ABI_OK;
}

TEST(RunManyTest, NamedInputsInAnyOrder) {
  FakeModel fake;
  std::vector<std::string> names;
  for (int i = 0; i < 4000; ++i)
    names.push_back("input" + std::to_string(i));
  std::vector<nacre_abi_tensor_info> infos;
  for (std::string &name : names)
    infos.push_back(fake.tensor(name.c_str(), NACRE_DTYPE_F32, {"N"}));
  fake.function("main", sumAll, infos, {fake.tensor("y", NACRE_DTYPE_F32, {})});
  FakeSession s(fake, 1);
  std::vector<float> values(4000);
  std::vector<nacre_tensor> inputs, y = {nacre_tensor{}};
  for (int i = 3999; i >= 0; --i) {
    values[i] = i % 2;
    inputs.push_back(tensorOf(&values[i], {1}));
    inputs.back().name = names[i].c_str();
  }
  ASSERT_EQ(s.run(inputs, y), NACRE_OK) << nacre_last_error();
  nacre_tensor_release(&y[0]);
  inputs[17].dims[0] = 2;
  EXPECT_ERROR(s.run(inputs, y), NACRE_INVALID_SHAPE,
               "input 'input3982': dimension 0 ('N') is 2, expected 1 as in "
               "dimension 0 of input 'input0'");
}

} // namespace
