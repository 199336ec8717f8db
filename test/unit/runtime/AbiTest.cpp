// The headers that both sides share.
#include "runtime/abi/nacre_checksum.h"
#include "runtime/abi/nacre_dtype.h"
#include "runtime/abi/nacre_host.h"
#include "runtime/api/nacre.h"
#include "runtime/device/Cpu.h"

#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace {

TEST(ChecksumTest, PiecesDoNotMatter) {
  std::mt19937 random(1);
  std::vector<uint8_t> data(1000);
  for (uint8_t &byte : data)
    byte = uint8_t(random());
  for (size_t size : {0, 1, 7, 63, 64, 65, 128, 1000}) {
    uint64_t whole = nacre_checksum_of(data.data(), size);
    for (int round = 0; round < 20; ++round) {
      nacre_checksum state;
      nacre_checksum_begin(&state);
      for (size_t at = 0; at < size;) {
        size_t piece = std::min<size_t>(random() % 150, size - at);
        nacre_checksum_add(&state, data.data() + at, piece);
        at += piece;
      }
      ASSERT_EQ(nacre_checksum_end(&state), whole) << size;
    }
  }
}

TEST(ChecksumTest, EveryBitCounts) {
  std::vector<uint8_t> data(200);
  uint64_t whole = nacre_checksum_of(data.data(), data.size());
  for (size_t bit = 0; bit < 8 * data.size(); ++bit) {
    data[bit / 8] ^= uint8_t(1 << bit % 8);
    EXPECT_NE(nacre_checksum_of(data.data(), data.size()), whole);
    data[bit / 8] ^= uint8_t(1 << bit % 8);
  }
  // Zeros at the end count as well.
  EXPECT_NE(nacre_checksum_of(data.data(), 199), whole);
}

TEST(ChecksumTest, TheValueIsPartOfTheAbi) {
  EXPECT_EQ(nacre_checksum_of("", 0), 0x2d352aa0ecc1c1e1u);
  EXPECT_EQ(nacre_checksum_of("nacre", 5), 0xb4a6ee36bec9ee2au);
}

TEST(DTypeTest, SizesAndNames) {
  EXPECT_EQ(nacre_dtype_bits(NACRE_F32), 32);
  EXPECT_EQ(nacre_dtype_bits(NACRE_C128), 128);
  EXPECT_EQ(nacre_dtype_bits(NACRE_I2), 2);
  EXPECT_EQ(nacre_dtype_bits(NACRE_STRING), 0);
  EXPECT_EQ(nacre_dtype_bits(-1), 0);
  EXPECT_EQ(nacre_dtype_bits(29), 0);
  EXPECT_STREQ(nacre_dtype_name(NACRE_BF16), "bf16");
  EXPECT_STREQ(nacre_dtype_name(NACRE_I2), "i2");
  EXPECT_STREQ(nacre_dtype_name(29), "undefined");
  EXPECT_STREQ(nacre_dtype_name(INT32_MIN), "undefined");
  // The digits in a name are its bits, but for the complex ones' and bool's.
  for (int32_t dtype = 1; dtype <= NACRE_F6E3M2FN; ++dtype) {
    std::string name = nacre_dtype_name(dtype);
    if (name == "string" || name == "bool")
      continue;
    size_t digit = name.find_first_of("0123456789");
    EXPECT_EQ(std::stoi(name.substr(digit)), nacre_dtype_bits(dtype)) << name;
  }
  EXPECT_EQ(nacre_abi_dtype_bytes(NACRE_DTYPE_I4, 3), 2);
  EXPECT_EQ(nacre_abi_dtype_bytes(NACRE_DTYPE_U2, 5), 2);
  EXPECT_EQ(nacre_abi_dtype_bytes(NACRE_DTYPE_F6E2M3FN, 5), 4);
  EXPECT_EQ(nacre_abi_dtype_bytes(NACRE_DTYPE_F64, INT64_MAX / 8),
            INT64_MAX - 7);
  EXPECT_EQ(nacre_abi_dtype_bytes(NACRE_DTYPE_F64, INT64_MAX / 8 + 1), -1);
  EXPECT_EQ(nacre_abi_dtype_bytes(NACRE_DTYPE_F32, -1), -1);
}

// The bytes are those of onnx.numpy_helper's packing.
TEST(DTypeTest, PackedElements) {
  auto check = [](int32_t dtype, std::vector<uint8_t> elements, std::vector<uint8_t> packed) {
    std::vector<uint8_t> made(packed.size(), 0xaa), back(elements.size(), 0xaa);
    nacre_dtype_pack(dtype, elements.data(), int64_t(elements.size()), made.data());
    EXPECT_EQ(made, packed) << nacre_dtype_name(dtype);
    nacre_dtype_unpack(dtype, packed.data(), int64_t(elements.size()), back.data());
    EXPECT_EQ(back, elements) << nacre_dtype_name(dtype);
  };
  check(NACRE_I4, {1, 0xfe, 7, 0xf8, 0xff}, {0xe1, 0x87, 0x0f});
  check(NACRE_U4, {1, 14, 7}, {0xe1, 0x07});
  check(NACRE_F4E2M1FN, {8, 15}, {0xf8});
  check(NACRE_I2, {1, 0xfe, 0, 0xff, 1}, {0xc9, 0x01});
  check(NACRE_U2, {1, 2, 0, 3, 1}, {0xc9, 0x01});
  check(NACRE_F6E2M3FN, {1, 2, 3, 63, 33}, {0x81, 0x30, 0xfc, 0x21});
  check(NACRE_I4, {}, {});
}

// What artefacts in the world rely on: change it with NACRE_ABI_VERSION only.
TEST(AbiTest, LayoutOf64Bits) {
  ASSERT_EQ(sizeof(void *), 8u);
  EXPECT_EQ(offsetof(nacre_abi_context, parallel_for), 24u);
  EXPECT_EQ(offsetof(nacre_abi_context, on_kernel), 72u);
  EXPECT_EQ(offsetof(nacre_abi_context, thread_count), 80u);
  EXPECT_EQ(offsetof(nacre_abi_context, stop), 88u);
  EXPECT_EQ(offsetof(nacre_abi_context, seed), 96u);
  EXPECT_EQ(offsetof(nacre_abi_context, run_number), 104u);
  EXPECT_EQ(offsetof(nacre_abi_context, work), 112u);
  EXPECT_EQ(offsetof(nacre_abi_context, allocate_for), 120u);
  EXPECT_EQ(offsetof(nacre_abi_context, output_for), 128u);
  EXPECT_EQ(offsetof(nacre_abi_context, mark), 136u);
  EXPECT_EQ(offsetof(nacre_abi_context, release_since), 144u);
  EXPECT_EQ(sizeof(nacre_abi_context), 152u);
  EXPECT_EQ(sizeof(nacre_abi_tensor), 16u);
  EXPECT_EQ(sizeof(nacre_abi_dim), 16u);
  EXPECT_EQ(sizeof(nacre_abi_tensor_info), 24u);
  EXPECT_EQ(sizeof(nacre_abi_function), 72u);
  EXPECT_EQ(sizeof(nacre_abi_value_info), 24u);
  EXPECT_EQ(sizeof(nacre_abi_string), 16u);
  EXPECT_EQ(sizeof(nacre_host_tensor), 24u);
  EXPECT_EQ(sizeof(nacre_host_call), 48u);
  EXPECT_EQ(sizeof(nacre_abi_kernel_info), 32u);
  EXPECT_EQ(sizeof(nacre_abi_parameter_info), 56u);
  EXPECT_EQ(offsetof(nacre_abi_model, parameter_data), 56u);
  EXPECT_EQ(sizeof(nacre_abi_model), 120u);
}

TEST(CpuTest, Features) {
  using nacre::runtime::findMissingFeature;
  char missing[64];
  EXPECT_FALSE(findMissingFeature(nullptr, missing));
  EXPECT_FALSE(findMissingFeature("", missing));
  EXPECT_FALSE(findMissingFeature(",,-avx512f, ,", missing));
  EXPECT_TRUE(findMissingFeature("warp-drive", missing));
  EXPECT_STREQ(missing, "warp-drive");
  std::string longName(500, 'q');
  EXPECT_TRUE(findMissingFeature(longName.c_str(), missing));
  EXPECT_EQ(std::strlen(missing), 63u);
#if defined(__x86_64__)
  EXPECT_FALSE(findMissingFeature("64bit,+sse,sse2, +cx8 ,cmov,fxsr", missing));
  EXPECT_TRUE(findMissingFeature("+sse2,+sse20,+sse", missing));
  EXPECT_STREQ(missing, "sse20");
  // The compiler's own detection is the reference.
#define AGREES(name)                                                           \
  EXPECT_EQ(findMissingFeature(name, missing), !__builtin_cpu_supports(name))  \
      << name
  AGREES("sse3");
  AGREES("ssse3");
  AGREES("sse4.1");
  AGREES("sse4.2");
  AGREES("popcnt");
  AGREES("avx");
  AGREES("fma");
  AGREES("avx2");
  AGREES("bmi");
  AGREES("bmi2");
  AGREES("avx512f");
  AGREES("avx512dq");
  AGREES("avx512bw");
  AGREES("avx512vl");
  AGREES("avx512cd");
  AGREES("avx512vbmi");
  AGREES("avx512vbmi2");
  AGREES("avx512vnni");
  AGREES("avx512bf16");
  AGREES("avx512bitalg");
  AGREES("avx512vpopcntdq");
  AGREES("gfni");
  AGREES("vpclmulqdq");
  AGREES("aes");
#endif
}

} // namespace
