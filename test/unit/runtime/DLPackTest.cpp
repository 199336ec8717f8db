// DLPack in and out, with the structs as dlpack.h declares them.
#include "test/unit/runtime/FakeModel.h"

#include "runtime/api/nacre.hpp"

using namespace nacre::test;

struct DLTensor {
  void *data;
  struct {
    int32_t type, id;
  } device;
  int32_t ndim;
  struct {
    uint8_t code, bits;
    uint16_t lanes;
  } dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void *manager_ctx;
  void (*deleter)(DLManagedTensor *self);
};

namespace {

int32_t twice(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  int64_t dims[] = {inputs[0].dims[0], 2};
  auto *y = static_cast<float *>(c->output(c, 0, 2, dims));
  if (!y)
    return NACRE_ABI_INVALID_SHAPE;
  for (int64_t i = 0; i < dims[0] * 2; ++i)
    y[i] = 2 * static_cast<const float *>(inputs[0].data)[i];
  return 0;
}

struct DLPackTest : testing::Test {
  DLPackTest() {
    fake.function("main", twice, {fake.tensor("x", NACRE_DTYPE_F32, {"N", 2})},
                  {fake.tensor("y", NACRE_DTYPE_F32, {"N", 2})});
  }
  FakeModel fake;
  float values[7] = {-1, 1, 2, 3, 4, 5, 6};
  int64_t shape[2] = {3, 2}, strides[2] = {2, 1};
  DLTensor x = {values, {1, 0}, 2, {2, 32, 1}, shape, strides, 4};
};

TEST_F(DLPackTest, InAndOutWithoutCopies) {
  FakeSession s(fake);
  nacre_tensor in = {}, out = {};
  ASSERT_EQ(nacre_tensor_from_dlpack(&x, &in), NACRE_OK);
  EXPECT_EQ(in.data, values + 1);
  ASSERT_EQ(nacre_session_run(s.session, 0, &in, 1, &out, 1), NACRE_OK);
  void *memory = out.data;
  DLManagedTensor *managed = nullptr;
  ASSERT_EQ(nacre_tensor_to_dlpack(&out, &managed), NACRE_OK);
  EXPECT_EQ(out.owner, nullptr);
  EXPECT_EQ(out.data, nullptr);
  const DLTensor &y = managed->dl_tensor;
  EXPECT_EQ(y.data, memory);
  EXPECT_EQ(y.device.type, 1);
  ASSERT_EQ(y.ndim, 2);
  EXPECT_EQ(y.shape[0], 3);
  EXPECT_EQ(y.strides[0], 2);
  EXPECT_EQ(y.dtype.code, 2);
  EXPECT_EQ(y.dtype.bits, 32);
  EXPECT_EQ(static_cast<float *>(y.data)[5], 12);
  managed->deleter(managed);
}

TEST_F(DLPackTest, MemoryForAnOutput) {
  FakeSession s(fake);
  float result[6] = {};
  DLTensor y = {result, {1, 0}, 2, {2, 32, 1}, shape, nullptr, 0};
  nacre_tensor in = {}, out = {};
  ASSERT_EQ(nacre_tensor_from_dlpack(&x, &in), NACRE_OK);
  ASSERT_EQ(nacre_tensor_from_dlpack(&y, &out), NACRE_OK);
  ASSERT_EQ(nacre_session_run(s.session, 0, &in, 1, &out, 1), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(result[5], 12);
  DLManagedTensor *managed = nullptr;
  EXPECT_EQ(nacre_tensor_to_dlpack(&out, &managed), NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(managed, nullptr);
}

TEST_F(DLPackTest, WhatIsRefused) {
  nacre_tensor in = {};
  strides[0] = 3;
  EXPECT_ERROR(nacre_tensor_from_dlpack(&x, &in), NACRE_INVALID_SHAPE,
               "DLPack: the stride of dimension 0 is 3, expected 2: row-major memory without gaps");
  EXPECT_EQ(in.rank, 0);
  strides[0] = 2;
  x.device.type = 2;
  EXPECT_ERROR(nacre_tensor_from_dlpack(&x, &in), NACRE_INVALID_ARGUMENT,
               "DLPack: the tensor is on a device of type 2, expected the CPU (1)");
  x.device.type = 1;
  x.dtype.lanes = 4;
  EXPECT_ERROR(nacre_tensor_from_dlpack(&x, &in), NACRE_INVALID_SHAPE,
               "DLPack: no element type of models has code 2, 32 bits and 4 lanes");
  x.dtype.lanes = 1;
  x.ndim = 17;
  EXPECT_EQ(nacre_tensor_from_dlpack(&x, &in), NACRE_INVALID_SHAPE);
  x.ndim = 2;
  shape[0] = shape[1] = int64_t(1) << 40;
  EXPECT_EQ(nacre_tensor_from_dlpack(&x, &in), NACRE_INVALID_SHAPE);
  shape[0] = -1;
  EXPECT_EQ(nacre_tensor_from_dlpack(&x, &in), NACRE_INVALID_SHAPE);
  EXPECT_EQ(nacre_tensor_from_dlpack(nullptr, &in), NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_tensor_from_dlpack(&x, nullptr), NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_tensor_to_dlpack(&in, nullptr), NACRE_INVALID_ARGUMENT);
}

TEST_F(DLPackTest, CppFace) {
  FakeSession s(fake);
  nacre::Session session(std::exchange(s.session, nullptr));
  auto view = nacre::fromDLPack(x);
  ASSERT_TRUE(view);
  auto outputs = session.run({*view});
  ASSERT_TRUE(outputs);
  auto managed = std::move(outputs->front()).toDLPack();
  ASSERT_TRUE(managed);
  EXPECT_EQ(static_cast<float *>((*managed)->dl_tensor.data)[0], 2);
  (*managed)->deleter(*managed);
}

} // namespace
