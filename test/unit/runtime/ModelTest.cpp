// Loading and checking models: descriptors that lie, files that are none.
#include "FakeModel.h"
#include "runtime/abi/nacre_artifact.h"

#include <algorithm>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

using namespace nacre::test;

namespace {

int32_t doNothing(nacre_abi_context *, const nacre_abi_tensor *) { return 0; }

struct ModelTest : testing::Test {
  ModelTest() {
    fake.function("main", doNothing,
                  {fake.tensor("x", NACRE_DTYPE_F32, {"N", 784, -1})},
                  {fake.tensor("y", NACRE_DTYPE_I64, {"N"})}, 4096);
    fake.function("step", doNothing, {}, {});
    fake.kernel("gemm").kernel("softmax");
    fake.constant("w", {1, 2, 3}).state("v", 4, {5, 6, 7, 8});
    model = &fake.descriptor();
  }
  nacre_status create() {
    nacre_model *made = nullptr;
    nacre_status status =
        nacre_model_create(model, nullptr, nullptr, nullptr, &made);
    EXPECT_EQ(made == nullptr, status != NACRE_OK);
    nacre_model_release(made);
    return status;
  }

  FakeModel fake;
  nacre_abi_model *model;
};

TEST_F(ModelTest, Queries) {
  nacre_model *m = nullptr;
  ASSERT_EQ(nacre_model_create(model, nullptr, nullptr, nullptr, &m), NACRE_OK)
      << nacre_last_error();
  nacre_model_info info;
  ASSERT_EQ(nacre_model_get_info(m, &info), NACRE_OK);
  EXPECT_EQ(info.function_count, 2);
  EXPECT_EQ(info.kernel_count, 2);
  EXPECT_EQ(info.parameter_count, 2);
  EXPECT_EQ(info.abi_version, NACRE_ABI_VERSION);
  EXPECT_EQ(info.parameter_size, 128);
  EXPECT_EQ(info.state_size, 64);
  EXPECT_STREQ(info.target_cpu, "fake");

  nacre_function_info function;
  ASSERT_EQ(nacre_model_get_function(m, 0, &function), NACRE_OK);
  EXPECT_STREQ(function.name, "main");
  EXPECT_EQ(function.input_count, 1);
  EXPECT_EQ(function.arena_size, 4096);
  int32_t index = -1;
  ASSERT_EQ(nacre_model_find_function(m, "step", &index), NACRE_OK);
  EXPECT_EQ(index, 1);
  EXPECT_ERROR(nacre_model_find_function(m, "st\n", &index), NACRE_NOT_FOUND,
               "the model has no function 'st\\x0A'");
  EXPECT_ERROR(nacre_model_get_function(m, 2, &function),
               NACRE_INVALID_ARGUMENT,
               "the index of the function is 2, expected 0 to 1 (there are 2)");

  nacre_tensor_info tensor;
  ASSERT_EQ(nacre_model_get_input(m, 0, 0, &tensor), NACRE_OK);
  EXPECT_STREQ(tensor.name, "x");
  EXPECT_EQ(tensor.dtype, NACRE_F32);
  EXPECT_EQ(tensor.rank, 3);
  EXPECT_EQ(tensor.dims[0], -1);
  EXPECT_STREQ(tensor.symbols[0], "N");
  EXPECT_EQ(tensor.dims[1], 784);
  EXPECT_EQ(tensor.symbols[1], nullptr);
  EXPECT_EQ(tensor.dims[2], -1);
  EXPECT_EQ(tensor.symbols[2], nullptr);
  EXPECT_EQ(nacre_model_get_input(m, 0, 1, &tensor), NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_model_get_input(m, 0, -1, &tensor), NACRE_INVALID_ARGUMENT);
  ASSERT_EQ(nacre_model_get_output(m, 0, 0, &tensor), NACRE_OK);
  EXPECT_EQ(tensor.dtype, NACRE_I64);
  EXPECT_EQ(nacre_model_get_output(m, 1, 0, &tensor), NACRE_INVALID_ARGUMENT);

  nacre_kernel_info kernel;
  ASSERT_EQ(nacre_model_get_kernel(m, 1, &kernel), NACRE_OK);
  EXPECT_STREQ(kernel.name, "softmax");
  EXPECT_STREQ(kernel.nodes, "Node_0,Node_1");
  EXPECT_EQ(kernel.flops, 10);
  ASSERT_EQ(nacre_model_find_parameter(m, "v", &index), NACRE_OK);
  EXPECT_EQ(index, 1);
  ASSERT_EQ(nacre_model_get_parameter(m, index, &tensor), NACRE_OK);
  EXPECT_EQ(tensor.dims[0], 4);
  EXPECT_ERROR(nacre_model_find_parameter(m, "u", &index), NACRE_NOT_FOUND,
               "the model has no parameter 'u'");
  EXPECT_ERROR(nacre_model_get_info(m, nullptr), NACRE_INVALID_ARGUMENT,
               "nacre_model_get_info: 'info' is NULL");
  EXPECT_ERROR(nacre_model_get_info(nullptr, &info), NACRE_INVALID_ARGUMENT,
               "nacre_model_get_info: 'model' is NULL");
  nacre_model_release(m);
  nacre_model_release(nullptr);
}

TEST_F(ModelTest, Verify) {
  nacre_model *m = nullptr;
  ASSERT_EQ(nacre_model_create(model, nullptr, nullptr, nullptr, &m), NACRE_OK);
  EXPECT_EQ(nacre_model_verify(m), NACRE_OK);
  fake.section[1].bytes[3] ^= 1;
  EXPECT_EQ(nacre_model_verify(m), NACRE_CORRUPT);
  EXPECT_EQ(std::string(nacre_last_error()).find("the weights were altered"),
            0u)
      << nacre_last_error();
  nacre_model_release(m);
}

TEST_F(ModelTest, ReleaseCallbackWhenTheLastUserIsGone) {
  int released = 0;
  auto count = [](void *data) { ++*static_cast<int *>(data); };
  alignas(64) uint8_t weights[128] = {};
  nacre_model *m = nullptr;
  nacre_session *session = nullptr;
  model->parameter_data = nullptr;
  ASSERT_EQ(nacre_model_create(model, weights, count, &released, &m), NACRE_OK)
      << nacre_last_error();
  ASSERT_EQ(nacre_session_create(m, nullptr, &session), NACRE_OK);
  nacre_model_release(m);
  EXPECT_EQ(released, 0);
  nacre_tensor w;
  ASSERT_EQ(nacre_session_get_parameter(session, 0, &w), NACRE_OK);
  EXPECT_EQ(w.data, weights);
  nacre_session_destroy(session);
  EXPECT_EQ(released, 1);
  // Not after a failure.
  EXPECT_ERROR(nacre_model_create(model, nullptr, count, &released, &m),
               NACRE_INVALID_ARGUMENT,
               "model: the model has 128 bytes of parameters, but no data is "
               "given");
  EXPECT_ERROR(nacre_model_create(model, weights + 8, count, &released, &m),
               NACRE_INVALID_ARGUMENT,
               "model: the parameters are not aligned to 64 bytes");
  EXPECT_EQ(released, 1);
}

TEST_F(ModelTest, DescriptorsThatDoNotFit) {
  nacre_model *m = nullptr;
  EXPECT_ERROR(nacre_model_create(nullptr, nullptr, nullptr, nullptr, &m),
               NACRE_INVALID_ARGUMENT,
               "nacre_model_create: 'descriptor' is NULL");
  model->magic = 7;
  EXPECT_ERROR(create(), NACRE_CORRUPT,
               "model: not a Nacre model: the magic number is 0x00000007, "
               "expected 0x5243414E");
  model->magic = NACRE_ABI_MAGIC;
  model->abi_version = 99;
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: made for ABI version 99, this runtime runs versions 4 to "
               "10; compile the model again with this version of Nacre, or update "
               "the runtime");
  model->abi_version = NACRE_ABI_OLDEST - 1;
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: made for ABI version 3, this runtime runs versions 4 to "
               "10; compile the model again");
  model->abi_version = NACRE_ABI_OLDEST;
  EXPECT_EQ(create(), NACRE_OK) << nacre_last_error();
  model->abi_version = NACRE_ABI_VERSION;
  model->struct_size = 8;
  EXPECT_ERROR(create(), NACRE_CORRUPT,
               "model: the descriptor has 8 bytes, expected at least 120");
  model->struct_size = sizeof *model;
  model->pointer_bits = 32;
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: made for 32-bit pointers, expected 64");
  model->pointer_bits = 64;
  model->target_features = "+cmov,avx9000";
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: compiled for CPU 'fake', needs the CPU feature "
               "'avx9000', which this machine lacks; compile the model again "
               "with a --target-cpu that fits");
  model->target_features = nullptr;
  EXPECT_EQ(create(), NACRE_OK) << nacre_last_error();
}

TEST_F(ModelTest, Versions) {
  FakeModel other;
  other.functions = fake.functions;
  nacre_abi_model &second = other.descriptor();
  nacre_abi_model third = second;
  model->target_cpu = "great";
  model->target_features = "avx9000";
  model->fallback = &second;
  second.target_cpu = "good";
  second.target_features = "";
  second.parameter_count = 0; // it has tables of its own
  auto chosen = [&] {
    nacre_model *made = nullptr;
    std::string name;
    if (nacre_model_create(model, nullptr, nullptr, nullptr, &made))
      return std::string(nacre_last_error());
    nacre_model_info info;
    EXPECT_EQ(nacre_model_get_info(made, &info), NACRE_OK);
    name = info.target_cpu;
    int32_t count = 0;
    EXPECT_EQ(nacre_model_get_version_count(made, &count), NACRE_OK);
    EXPECT_EQ(count, second.fallback ? 3 : 2);
    for (int32_t i = 0; i < count; ++i) {
      nacre_version_info version;
      EXPECT_EQ(nacre_model_get_version(made, i, &version), NACRE_OK);
      EXPECT_EQ(version.is_chosen, name == version.target_cpu);
    }
    nacre_version_info version;
    EXPECT_EQ(nacre_model_get_version(made, count, &version),
              NACRE_INVALID_ARGUMENT);
    nacre_model_release(made);
    return name;
  };
  EXPECT_EQ(chosen(), "good");
  model->target_features = "";
  EXPECT_EQ(chosen(), "great");
  setenv("NACRE_TARGET_CPU", "good", 1);
  EXPECT_EQ(chosen(), "good");
  setenv("NACRE_TARGET_CPU", "", 1);
  EXPECT_EQ(chosen(), "great");
  third.target_cpu = "plain";
  second.fallback = &third;
  setenv("NACRE_TARGET_CPU", "plain", 1);
  EXPECT_EQ(chosen(), "plain");
  setenv("NACRE_TARGET_CPU", "bad", 1);
  EXPECT_EQ(chosen(), "model: NACRE_TARGET_CPU is 'bad', but the model is "
                      "compiled for the CPUs 'great', 'good', 'plain'");
  third.target_features = "avx9001";
  setenv("NACRE_TARGET_CPU", "plain", 1);
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: compiled for the CPUs 'great', 'good', 'plain', which "
               "need CPU features that this machine lacks: 'plain' needs "
               "'avx9001'; compile the model again with a --target-cpu that "
               "fits, or unset NACRE_TARGET_CPU");
  unsetenv("NACRE_TARGET_CPU");
  model->target_features = second.target_features = "avx9000";
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: compiled for the CPUs 'great', 'good', 'plain', which "
               "need CPU features that this machine lacks: 'great' needs "
               "'avx9000', 'good' needs 'avx9000', 'plain' needs 'avx9001'; "
               "compile the model again with a --target-cpu that fits");
  // Older models have no such list.
  model->abi_version = NACRE_ABI_WITH_FALLBACKS - 1;
  model->struct_size = offsetof(nacre_abi_model, fallback);
  EXPECT_ERROR(create(), NACRE_INCOMPATIBLE,
               "model: compiled for CPU 'great', needs the CPU feature "
               "'avx9000', which this machine lacks; compile the model again "
               "with a --target-cpu that fits");
}

TEST_F(ModelTest, DescriptorsThatLie) {
  auto with = [&](auto change) {
    std::vector<nacre_abi_function> functions = fake.functions;
    std::vector<nacre_abi_parameter_info> parameters = fake.parameters;
    std::vector<nacre_abi_tensor_info> inputs(
        functions[0].inputs, functions[0].inputs + functions[0].input_count);
    nacre_abi_model saved = *model;
    functions[0].inputs = inputs.data();
    model->functions = functions.data();
    model->parameters = parameters.data();
    change(*model, functions, parameters, inputs);
    nacre_status status = create();
    *model = saved;
    return status;
  };
#define WITH(change)                                                           \
  with([&](auto &m, auto &f, auto &p, auto &in) {                              \
    (void)m, (void)f, (void)p, (void)in;                                       \
    change;                                                                    \
  })
  EXPECT_EQ(WITH(), NACRE_OK) << nacre_last_error();
  EXPECT_ERROR(WITH(m.function_count = 0), NACRE_CORRUPT,
               "model: the model has no function");
  EXPECT_ERROR(WITH(m.functions = nullptr), NACRE_CORRUPT,
               "model: the model has no function");
  EXPECT_ERROR(WITH(f[1].run = nullptr), NACRE_CORRUPT,
               "model: function 1 is damaged");
  EXPECT_ERROR(WITH(f[0].arena_size = -1), NACRE_CORRUPT,
               "model: function 0 is damaged");
  EXPECT_ERROR(WITH(f[0].input_count = -1), NACRE_CORRUPT,
               "model: the table of inputs is damaged");
  EXPECT_ERROR(WITH(f[0].outputs = nullptr), NACRE_CORRUPT,
               "model: the table of outputs is damaged");
  EXPECT_ERROR(WITH(in[0].dtype = 77), NACRE_CORRUPT,
               "model: input 0 ('x') is damaged: its element type is unknown "
               "to this runtime");
  EXPECT_ERROR(WITH(in[0].rank = 17), NACRE_CORRUPT,
               "model: input 0 ('x') is damaged: its rank is out of range");
  EXPECT_ERROR(WITH(in[0].dims = nullptr), NACRE_CORRUPT,
               "model: input 0 ('x') is damaged: its dimensions are missing");
  EXPECT_ERROR(WITH(in[0].name = nullptr), NACRE_CORRUPT,
               "model: input 0 ('') is damaged: it has no name");
  EXPECT_ERROR(WITH(m.kernels = nullptr), NACRE_CORRUPT,
               "model: the table of kernels is damaged");
  EXPECT_ERROR(WITH(m.state_size = -1), NACRE_CORRUPT,
               "model: the table of parameters is damaged");
  EXPECT_ERROR(WITH(p[0].offset = 128), NACRE_CORRUPT,
               "model: parameter 'w' is damaged: its offset is out of range");
  EXPECT_ERROR(WITH(p[0].offset = -64), NACRE_CORRUPT,
               "model: parameter 'w' is damaged: its offset is out of range");
  EXPECT_ERROR(WITH(p[0].offset = 4), NACRE_CORRUPT,
               "model: parameter 'w' is damaged: its offset is out of range");
  EXPECT_ERROR(WITH(p[0].offset = INT64_MAX - 63), NACRE_CORRUPT,
               "model: parameter 'w' is damaged: its offset is out of range");
  EXPECT_ERROR(WITH(p[0].size = 16), NACRE_CORRUPT,
               "model: parameter 'w' is damaged: its size is not what its "
               "shape says");
  EXPECT_ERROR(WITH(p[1].offset = 64), NACRE_CORRUPT,
               "model: parameter 'v' is damaged: its offset is out of range");
  EXPECT_ERROR(WITH(p[1].initial_offset = 192), NACRE_CORRUPT,
               "model: parameter 'v' is damaged: the offset of its initial "
               "value is out of range");
  EXPECT_ERROR(WITH(p[1].tensor = in[0]), NACRE_CORRUPT,
               "model: parameter 'x' is damaged: its size is not what its "
               "shape says");
  EXPECT_ERROR(
      WITH(in.push_back(in[0]); f[0].inputs = in.data(); f[0].input_count = 2),
      NACRE_CORRUPT, "function 'main' has two inputs of name 'x'");
#undef WITH
}

// ---- Files ------------------------------------------------------------------

const std::string folder = nacre::test::folder();
const std::string artifact = folder + "/fake-artifact.so";

struct LoaderTest : testing::Test {
  nacre_status load(const std::string &path) {
    nacre_model *made = nullptr;
    nacre_status status = nacre_model_load(path.c_str(), &made);
    EXPECT_EQ(made == nullptr, status != NACRE_OK);
    nacre_model_release(made);
    return status;
  }
  std::string bytesOf(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string write(const std::string &bytes) {
    std::ofstream(scratch, std::ios::binary | std::ios::trunc) << bytes;
    return scratch;
  }
  ~LoaderTest() override { unlink(scratch.c_str()); }

  std::string scratch =
      testing::TempDir() + "nacre-loader-" + std::to_string(getpid()) + ".so";
};

TEST_F(LoaderTest, LoadsVerifiesAndRuns) {
  nacre_model *model = nullptr;
  ASSERT_EQ(nacre_model_load(artifact.c_str(), &model), NACRE_OK)
      << nacre_last_error();
  EXPECT_EQ(nacre_model_verify(model), NACRE_OK) << nacre_last_error();
  nacre_model *again = nullptr;
  ASSERT_EQ(nacre_model_load(artifact.c_str(), &again), NACRE_OK);
  nacre_session *a = nullptr, *b = nullptr;
  ASSERT_EQ(nacre_session_create(model, nullptr, &a), NACRE_OK);
  ASSERT_EQ(nacre_session_create(again, nullptr, &b), NACRE_OK);
  // One copy of the weights.
  nacre_tensor wa, wb;
  ASSERT_EQ(nacre_session_get_parameter(a, 0, &wa), NACRE_OK);
  ASSERT_EQ(nacre_session_get_parameter(b, 0, &wb), NACRE_OK);
  EXPECT_EQ(wa.data, wb.data);
  nacre_model_release(model);
  nacre_model_release(again);
  nacre_session_destroy(a);
  std::vector<float> x(300, 2);
  nacre_tensor in = tensorOf(x, {100, 3}), y = {};
  ASSERT_EQ(nacre_session_run(b, 0, &in, 1, &y, 1), NACRE_OK);
  EXPECT_EQ(static_cast<float *>(y.data)[299], 9.0f);
  nacre_session_destroy(b);
  nacre_tensor_release(&y);
}

TEST_F(LoaderTest, RelativePathWithoutSlash) {
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(chdir(folder.c_str()), 0);
  EXPECT_EQ(load("fake-artifact.so"), NACRE_OK) << nacre_last_error();
  ASSERT_EQ(chdir(before), 0);
}

TEST_F(LoaderTest, WhatIsNoArtifact) {
  EXPECT_ERROR(load("/nonexistent/m.so"), NACRE_NOT_FOUND,
               "/nonexistent/m.so: No such file or directory");
  EXPECT_ERROR(load(""), NACRE_NOT_FOUND, ": No such file or directory");
  EXPECT_ERROR(load("/"), NACRE_IO_ERROR, "/: not a regular file");
  EXPECT_ERROR(load("/dev/zero"), NACRE_IO_ERROR,
               "/dev/zero: not a regular file");
  EXPECT_ERROR(load(write("")), NACRE_CORRUPT,
               (scratch + ": not a Nacre artefact (a shared library made by "
                          "`nacre compile`)")
                   .c_str());
  EXPECT_EQ(load(write(std::string(100000, 'x'))), NACRE_CORRUPT);
  EXPECT_ERROR(load(folder + "/not-an-artifact.so"), NACRE_CORRUPT,
               (folder +
                "/not-an-artifact.so: not a Nacre artefact: a shared library "
                "without the symbol 'nacre_model'")
                   .c_str());
  unlink(scratch.c_str());
  ASSERT_EQ(mkfifo(scratch.c_str(), 0600), 0);
  EXPECT_ERROR(load(scratch), NACRE_IO_ERROR,
               (scratch + ": not a regular file").c_str());
  EXPECT_ERROR(nacre_model_load(nullptr, nullptr), NACRE_INVALID_ARGUMENT,
               "nacre_model_load: 'model' is NULL");
}

TEST_F(LoaderTest, AnotherMachine) {
  std::string bytes = bytesOf(artifact);
#if defined(__x86_64__)
  bytes[18] = char(183); // EM_AARCH64
  EXPECT_ERROR(load(write(bytes)), NACRE_INCOMPATIBLE,
               (scratch + ": made for aarch64, this machine is x86-64; compile "
                          "the model again for it")
                   .c_str());
#endif
}

// Cut anywhere: an error, no crash. What lies behind the last segment (section
// headers, symbols for debuggers) is not needed to run.
TEST_F(LoaderTest, TruncatedAnywhere) {
  std::string bytes = bytesOf(artifact);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  size_t needed = 0;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof segment,
                sizeof segment);
    needed = std::max<size_t>(needed, segment.p_offset + segment.p_filesz);
  }
  ASSERT_GT(needed, 1000u);
  for (size_t size = 0; size < bytes.size(); size += 100)
    EXPECT_EQ(load(write(bytes.substr(0, size))),
              size < needed ? NACRE_CORRUPT : NACRE_OK)
        << size << " of " << needed << ": " << nacre_last_error();
  EXPECT_EQ(load(write(bytes.substr(0, needed))), NACRE_OK);
  EXPECT_ERROR(load(write(bytes.substr(0, needed - 1))), NACRE_CORRUPT,
               (scratch + ": truncated: it has " + std::to_string(needed - 1) +
                " bytes, but a segment ends at " + std::to_string(needed) +
                "; copy or compile it again")
                   .c_str());
}

// With the compiler's trailer, any change is told before code of it runs.
TEST_F(LoaderTest, AlteredAnywhere) {
  std::string bytes = bytesOf(artifact);
  // Some bytes in the middle stand for the parameters.
  uint64_t offset = 512, size = 64;
  auto trailer =
      nacre_artifact_trailer_of(bytes.data(), bytes.size(), offset, size);
  bytes.append(reinterpret_cast<const char *>(&trailer), sizeof trailer);
  EXPECT_EQ(load(write(bytes)), NACRE_OK) << nacre_last_error();
  for (size_t at = 64; at < bytes.size(); at += 1 + at / 50) {
    bool parameters = at >= offset && at < offset + size;
    bool magic = at >= bytes.size() - 24; // then it has no trailer
    if (parameters || magic)
      continue;
    std::string altered = bytes;
    altered[at] = char(altered[at] ^ 0x10);
    nacre_status status = load(write(altered));
    EXPECT_TRUE(status == NACRE_CORRUPT || status == NACRE_INCOMPATIBLE) << at;
  }
  for (size_t cut = 0; cut < bytes.size(); cut += 512)
    load(write(bytes.substr(0, cut)));
  bytes[bytes.size() - 32] = 9; // the version
  EXPECT_ERROR(load(write(bytes)), NACRE_INCOMPATIBLE,
               (scratch + ": made as artefact version 9, this runtime reads "
                          "version 1; compile the model again, or update the "
                          "runtime")
                   .c_str());
}

} // namespace
