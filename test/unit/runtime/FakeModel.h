// Models written by hand: what the compiler would have made, as plain
// functions.
#ifndef NACRE_TEST_UNIT_RUNTIME_FAKEMODEL_H
#define NACRE_TEST_UNIT_RUNTIME_FAKEMODEL_H

#include "runtime/abi/nacre_abi.h"
#include "runtime/abi/nacre_checksum.h"
#include "runtime/abi/nacre_dtype.h"
#include "runtime/api/nacre.h"

#include <cstring>
#include <deque>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#if defined(__has_feature)
#define NACRE_TEST_SANITIZED                                                   \
  (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define NACRE_TEST_SANITIZED 0
#endif

namespace nacre::test {

// Where the libraries of the tests lie: relative to the executable, so that a
// build tree works under another path too.
inline std::string folder() {
  return std::filesystem::read_symlink("/proc/self/exe")
             .parent_path()
             .string() +
         "/" NACRE_TEST_FOLDER;
}

// A descriptor that owns its parts. Deques: pointers to elements stay valid.
class FakeModel {
public:
  using RunFunction = int32_t (*)(nacre_abi_context *,
                                  const nacre_abi_tensor *);

  struct Dim {
    int64_t size;
    const char *symbol = nullptr;
    Dim(int64_t size) : size(size) {}
    Dim(const char *symbol) : size(-1), symbol(symbol) {}
  };

  nacre_abi_tensor_info tensor(const char *name, int32_t dtype,
                               std::vector<Dim> dims) {
    std::vector<nacre_abi_dim> &stored = dimStorage.emplace_back();
    for (Dim dim : dims)
      stored.push_back({dim.size, dim.symbol});
    return {name, dtype, static_cast<int32_t>(dims.size()), stored.data()};
  }

  FakeModel &function(const char *name, RunFunction run,
                      std::vector<nacre_abi_tensor_info> inputs,
                      std::vector<nacre_abi_tensor_info> outputs,
                      int64_t arenaSize = 0) {
    auto &in = tensorStorage.emplace_back(std::move(inputs));
    auto &out = tensorStorage.emplace_back(std::move(outputs));
    functions.push_back({name, run, in.data(), out.data(),
                         static_cast<int32_t>(in.size()),
                         static_cast<int32_t>(out.size()), arenaSize, nullptr, 0, 0, nullptr});
    return *this;
  }

  FakeModel &kernel(const char *name, int64_t flops = 10) {
    kernels.push_back({name, "Node_0,Node_1", flops, 20});
    return *this;
  }

  // Appends to the parameter section, aligned.
  int64_t addData(const std::vector<float> &values) {
    int64_t offset = static_cast<int64_t>(section.size());
    section.resize(section.size() + (values.size() * 4 + 63) / 64);
    std::memcpy(section[static_cast<size_t>(offset)].bytes, values.data(),
                values.size() * 4);
    return offset * 64;
  }

  FakeModel &constant(const char *name, std::vector<float> values) {
    int64_t count = static_cast<int64_t>(values.size());
    parameters.push_back({tensor(name, NACRE_DTYPE_F32, {count}),
                          addData(values), count * 4, 0, 0, -1});
    return *this;
  }

  // A mutable parameter; without values it starts at zero.
  FakeModel &state(const char *name, int64_t count, std::vector<float> values) {
    parameters.push_back({tensor(name, NACRE_DTYPE_F32, {count}), stateSize,
                          count * 4, 1, 0,
                          values.empty() ? -1 : addData(values)});
    stateSize += (count * 4 + 63) / 64 * 64;
    return *this;
  }

  // One of any type and shape, which starts at zero.
  FakeModel &stateOf(const char *name, int32_t dtype,
                     const std::vector<int64_t> &sizes) {
    int64_t count = 1;
    for (int64_t size : sizes)
      count *= size;
    int64_t bytes = nacre_abi_dtype_bytes(dtype, count);
    parameters.push_back(
        {tensor(name, dtype, std::vector<Dim>(sizes.begin(), sizes.end())),
         stateSize, bytes, 1, 0, -1});
    stateSize += (bytes + 63) / 64 * 64;
    return *this;
  }

  nacre_abi_model &descriptor() {
    model.magic = NACRE_ABI_MAGIC;
    model.abi_version = NACRE_ABI_VERSION;
    model.struct_size = sizeof model;
    model.pointer_bits = 8 * sizeof(void *);
    model.functions = functions.data();
    model.kernels = kernels.data();
    model.parameters = parameters.data();
    model.function_count = static_cast<int32_t>(functions.size());
    model.kernel_count = static_cast<int32_t>(kernels.size());
    model.parameter_count = static_cast<int32_t>(parameters.size());
    model.parameter_data = section.empty() ? nullptr : section[0].bytes;
    model.parameter_size = static_cast<int64_t>(section.size()) * 64;
    model.state_size = stateSize;
    model.parameter_checksum = nacre_checksum_of(
        model.parameter_data, static_cast<size_t>(model.parameter_size));
    model.target_cpu = "fake";
    model.target_features = "";
    model.provenance = "{}";
    return model;
  }

  struct alignas(64) Line {
    uint8_t bytes[64] = {};
  };
  std::vector<nacre_abi_function> functions;
  std::vector<nacre_abi_kernel_info> kernels;
  std::vector<nacre_abi_parameter_info> parameters;
  std::vector<Line> section;
  int64_t stateSize = 0;

private:
  std::deque<std::vector<nacre_abi_dim>> dimStorage;
  std::deque<std::vector<nacre_abi_tensor_info>> tensorStorage;
  nacre_abi_model model{};
};

// A model and a session on it, for the length of a test.
class FakeSession {
public:
  explicit FakeSession(
      FakeModel &fake, int32_t threads = 2,
      nacre_session_options options = NACRE_SESSION_OPTIONS_INIT) {
    options.thread_count = threads;
    EXPECT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr,
                                 &model),
              NACRE_OK)
        << nacre_last_error();
    EXPECT_EQ(nacre_session_create(model, &options, &session), NACRE_OK)
        << nacre_last_error();
  }
  FakeSession(const FakeSession &) = delete;
  ~FakeSession() {
    nacre_session_destroy(session);
    nacre_model_release(model);
  }

  nacre_status run(const std::vector<nacre_tensor> &inputs,
                   std::vector<nacre_tensor> &outputs, int32_t function = 0) {
    return nacre_session_run(
        session, function, inputs.data(), static_cast<int32_t>(inputs.size()),
        outputs.data(), static_cast<int32_t>(outputs.size()));
  }

  nacre_model *model = nullptr;
  nacre_session *session = nullptr;
};

inline nacre_tensor tensorOf(void *data, std::vector<int64_t> dims,
                             int32_t dtype = NACRE_F32) {
  nacre_tensor tensor = {};
  tensor.data = data;
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(dims.size());
  for (size_t i = 0; i < dims.size(); ++i)
    tensor.dims[i] = dims[i];
  return tensor;
}

template <typename T>
nacre_tensor tensorOf(std::vector<T> &data, std::vector<int64_t> dims,
                      int32_t dtype = NACRE_F32) {
  return tensorOf(static_cast<void *>(data.data()), std::move(dims), dtype);
}

// A body of generated code as a lambda: parallelFor(context, count, grain,
// [&](context, begin, end) { ... }).
template <typename Body>
void parallelFor(nacre_abi_context *context, int64_t count, int64_t grain,
                 Body body) {
  context->parallel_for(
      context,
      [](nacre_abi_context *inner, void *environment, int64_t begin,
         int64_t end) {
        (*static_cast<Body *>(environment))(inner, begin, end);
      },
      &body, count, grain);
}

#define EXPECT_ERROR(call, status, message)                                    \
  do {                                                                         \
    EXPECT_EQ(call, status);                                                   \
    EXPECT_STREQ(nacre_last_error(), message);                                 \
  } while (false)

} // namespace nacre::test

#endif // NACRE_TEST_UNIT_RUNTIME_FAKEMODEL_H
