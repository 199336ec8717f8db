// Strings in and out of a run, and outputs that are several tensors.
#include "FakeModel.h"

#include <climits>

using namespace nacre::test;

namespace {

using Handle = const nacre_abi_string *;

// y[N + 1] = x[N] without the first, then "made", then nothing; z = x.
int32_t shift(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  int64_t n = inputs[0].dims[0], more = n + 1;
  auto *x = static_cast<const Handle *>(inputs[0].data);
  auto *y = static_cast<Handle *>(context->output(context, 0, 1, &more));
  auto *z = static_cast<Handle *>(context->output(context, 1, 1, &n));
  auto *made = static_cast<nacre_abi_string *>(
      context->allocate(context, sizeof(nacre_abi_string)));
  if (!y || !z || !made)
    return NACRE_ABI_OUT_OF_MEMORY;
  *made = {"made", 4};
  for (int64_t i = 0; i < n; ++i) {
    z[i] = x[i];
    if (i > 0)
      y[i - 1] = x[i];
  }
  y[n > 0 ? n - 1 : 0] = made;
  y[n] = nullptr;
  return NACRE_ABI_OK;
}

std::string text(const nacre_tensor &tensor, int64_t i) {
  const nacre_string &s = static_cast<const nacre_string *>(tensor.data)[i];
  return std::string(s.data, static_cast<size_t>(s.size));
}

struct StringsTest : testing::Test {
  StringsTest() {
    fake.function("main", shift,
                  {fake.tensor("x", NACRE_DTYPE_STRING, {"N"})},
                  {fake.tensor("y", NACRE_DTYPE_STRING, {int64_t(-1)}),
                   fake.tensor("z", NACRE_DTYPE_STRING, {"N"})});
  }
  nacre_tensor in() {
    return tensorOf(data, {static_cast<int64_t>(data.size())}, NACRE_STRING);
  }

  FakeModel fake;
  std::vector<nacre_string> data = {
      {"one", 3}, {nullptr, 0}, {"a\0b", 3}, {"\xC3\xA4", 2}};
  std::vector<nacre_tensor> outputs = {nacre_tensor{}, nacre_tensor{}};
};

TEST_F(StringsTest, GoInAndOut) {
  FakeSession s(fake);
  ASSERT_EQ(s.run({in()}, outputs), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(outputs[0].dtype, NACRE_STRING);
  EXPECT_EQ(outputs[0].dims[0], 5);
  EXPECT_EQ(outputs[0].size, int64_t(5 * sizeof(nacre_string)));
  EXPECT_EQ(text(outputs[0], 0), "");
  EXPECT_EQ(text(outputs[0], 1), std::string("a\0b", 3));
  EXPECT_EQ(text(outputs[0], 2), "\xC3\xA4");
  EXPECT_EQ(text(outputs[0], 3), "made");
  EXPECT_EQ(text(outputs[0], 4), "");
  EXPECT_EQ(text(outputs[1], 0), "one");
  // What it gave is an input of the next run, and goes into the same tensor.
  ASSERT_EQ(s.run({outputs[0]}, outputs), NACRE_INVALID_ARGUMENT);
  nacre_tensor first = outputs[0];
  outputs[0] = {};
  ASSERT_EQ(s.run({first}, outputs), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(text(outputs[0], 0), std::string("a\0b", 3));
  EXPECT_EQ(text(outputs[1], 3), "made");
  nacre_tensor_release(&first);
  for (nacre_tensor &output : outputs)
    nacre_tensor_release(&output);
}

TEST_F(StringsTest, NoneAtAll) {
  FakeSession s(fake);
  data.clear();
  ASSERT_EQ(s.run({in()}, outputs), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(outputs[0].dims[0], 1);
  EXPECT_EQ(outputs[1].dims[0], 0);
  for (nacre_tensor &output : outputs)
    nacre_tensor_release(&output);
}

TEST_F(StringsTest, WhatIsNoStringIsRefused) {
  FakeSession s(fake);
  data[2] = {nullptr, 3};
  EXPECT_ERROR(s.run({in()}, outputs), NACRE_INVALID_VALUE,
               "input 'x': element 2 is no string: its size is 3, its data "
               "NULL");
  data[2] = {"abc", -1};
  EXPECT_ERROR(s.run({in()}, outputs), NACRE_INVALID_VALUE,
               "input 'x': element 2 is no string: its size is -1, its data "
               "not NULL");
  data[2] = {"abc", 3};
  nacre_string own[5];
  outputs[0] = tensorOf(own, {5}, NACRE_STRING);
  EXPECT_ERROR(s.run({in()}, outputs), NACRE_INVALID_ARGUMENT,
               "output 'y': strings need the runtime's memory: leave data "
               "NULL");
  nacre_tensor many = in();
  many.dims[0] = INT64_MAX / 8;
  outputs[0] = {};
  EXPECT_ERROR(s.run({many}, outputs), NACRE_INVALID_SHAPE,
               "input 'x': it is larger than 2^63 bytes");
}

TEST_F(StringsTest, CountForTheMemoryLimit) {
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  options.memory_limit = 1 << 20;
  FakeSession s(fake, 1, options);
  std::string large(1 << 20, 'x');
  data[0] = {large.data(), static_cast<int64_t>(large.size())};
  EXPECT_EQ(s.run({in()}, outputs), NACRE_OUT_OF_MEMORY);
  EXPECT_TRUE(std::string(nacre_last_error()).starts_with("output 'z': no memory"))
      << nacre_last_error();
  data[0] = {"one", 3};
  EXPECT_EQ(s.run({in()}, outputs), NACRE_OK) << nacre_last_error();
  for (nacre_tensor &output : outputs)
    nacre_tensor_release(&output);
}

TEST_F(StringsTest, ValuesOfSeveralTensors) {
  nacre_abi_value_info values[] = {{"s", NACRE_ABI_SEQUENCE, 1, 0, 2},
                                   {"n", NACRE_ABI_NOTHING, 1, 2, 0}};
  nacre_value_info info;
  {
    FakeSession plain(fake);
    ASSERT_EQ(nacre_model_get_output_value(plain.model, 0, 1, &info), NACRE_OK);
    EXPECT_STREQ(info.name, "z");
    EXPECT_EQ(info.kind, NACRE_VALUE_TENSOR);
    EXPECT_EQ(info.first, 1);
    EXPECT_EQ(nacre_model_get_output_value(plain.model, 0, 2, &info),
              NACRE_INVALID_ARGUMENT);
  }
  fake.functions[0].output_values = values;
  fake.functions[0].output_value_count = 2;
  {
    FakeSession s(fake);
    ASSERT_EQ(nacre_model_get_output_value(s.model, 0, 0, &info), NACRE_OK);
    EXPECT_STREQ(info.name, "s");
    EXPECT_EQ(info.kind, NACRE_VALUE_SEQUENCE);
    EXPECT_EQ(info.is_optional, 1);
    EXPECT_EQ(info.count, 2);
  }
  // Maps are two tensors each.
  values[0] = {"m", NACRE_ABI_MAPS, 0, 0, 2};
  {
    FakeSession s(fake);
    ASSERT_EQ(nacre_model_get_output_value(s.model, 0, 0, &info), NACRE_OK);
    EXPECT_EQ(info.kind, NACRE_VALUE_MAPS);
    EXPECT_EQ(info.count, 2);
  }
  // The same for inputs.
  nacre_abi_value_info given = {"o", NACRE_ABI_TENSOR, 1, 0, 1};
  fake.functions[0].input_values = &given;
  fake.functions[0].input_value_count = 1;
  {
    FakeSession s(fake);
    ASSERT_EQ(nacre_model_get_input_value(s.model, 0, 0, &info), NACRE_OK);
    EXPECT_STREQ(info.name, "o");
    EXPECT_EQ(info.is_optional, 1);
    EXPECT_EQ(nacre_model_get_input_value(s.model, 0, 1, &info),
              NACRE_INVALID_ARGUMENT);
  }
  // Values that do not cover the outputs, or are made of more than there are.
  nacre_model *model = nullptr;
  given.first = 1;
  EXPECT_ERROR(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr,
                                  &model),
               NACRE_CORRUPT, "model: the table of input values is damaged");
  given.first = 0;
  for (int32_t kind : {NACRE_ABI_SEQUENCE, NACRE_ABI_MAP, NACRE_ABI_MAPS})
    for (int32_t count : {1, 3, -1, INT32_MAX}) {
      values[0].kind = kind;
      values[0].count = count;
      EXPECT_ERROR(nacre_model_create(&fake.descriptor(), nullptr, nullptr,
                                      nullptr, &model),
                   NACRE_CORRUPT,
                   "model: the table of output values is damaged");
    }
}

} // namespace
