// Nacre for C++20: a header over nacre.h and nothing else. Errors are values.
//
//   auto model = nacre::Model::load("mlp.so");
//   if (!model)
//     return complain(model.error().message);
//   auto session = nacre::Session::create(*model, {.threads = 4});
//   auto outputs = session->run({nacre::view(pixels, {1, 784})});
//   if (outputs)
//     std::span<const float> y = outputs->front().as<float>();
//
// What nacre.h says of a function holds for the method that calls it. Handles
// are owned by their object and given back by its destructor; moved-from
// objects may only be destroyed or assigned to.
#ifndef NACRE_HPP
#define NACRE_HPP

#include "nacre.h"

#include <cassert>
#include <complex>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace nacre {

// ---- Errors
// ------------------------------------------------------------------

struct Error {
  nacre_status status = NACRE_INTERNAL;
  std::string message;

  // That of the calling thread's last failed call.
  static Error last(nacre_status status) {
    return {status, nacre_last_error()};
  }
};

// A T, or why there is none. Ask before taking the value.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return content.index() == 0; }
  T &operator*() & { return *get(); }
  const T &operator*() const & { return *get(); }
  T &&operator*() && { return std::move(*get()); }
  T *operator->() { return get(); }
  const T *operator->() const { return get(); }
  const Error &error() const {
    assert(!*this && "there is a value, no error");
    return *std::get_if<1>(&content);
  }

private:
  T *get() {
    assert(*this && "there is an error, no value");
    return std::get_if<0>(&content);
  }
  const T *get() const { return const_cast<Result *>(this)->get(); }

  std::variant<T, Error> content;
};

// Success, or why not.
template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : content(std::move(error)) {}
  explicit operator bool() const { return !content; }
  const Error &error() const {
    assert(content && "it succeeded, there is no error");
    return *content;
  }

private:
  std::optional<Error> content;
};
using Status = Result<void>;

inline Status toStatus(nacre_status status) {
  return status == NACRE_OK ? Status() : Status(Error::last(status));
}

// ---- Tensors
// -----------------------------------------------------------------

// The element type of a C++ type; NACRE_UNDEFINED if it has none.
template <typename T> constexpr nacre_dtype dtypeOf() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, bool>)
    return NACRE_BOOL;
  else if constexpr (std::is_same_v<U, float>)
    return NACRE_F32;
  else if constexpr (std::is_same_v<U, double>)
    return NACRE_F64;
  else if constexpr (std::is_same_v<U, std::complex<float>>)
    return NACRE_C64;
  else if constexpr (std::is_same_v<U, std::complex<double>>)
    return NACRE_C128;
  else if constexpr (std::is_same_v<U, nacre_string>)
    return NACRE_STRING;
  else if constexpr (std::is_integral_v<U> && sizeof(U) == 1)
    return std::is_signed_v<U> ? NACRE_I8 : NACRE_U8;
  else if constexpr (std::is_integral_v<U> && sizeof(U) == 2)
    return std::is_signed_v<U> ? NACRE_I16 : NACRE_U16;
  else if constexpr (std::is_integral_v<U> && sizeof(U) == 4)
    return std::is_signed_v<U> ? NACRE_I32 : NACRE_U32;
  else if constexpr (std::is_integral_v<U> && sizeof(U) == 8)
    return std::is_signed_v<U> ? NACRE_I64 : NACRE_U64;
  else
    return NACRE_UNDEFINED;
}

// Somebody else's memory and what it holds.
class TensorView {
public:
  TensorView() = default;
  // More dimensions than NACRE_MAX_RANK make a view that every run refuses.
  TensorView(const void *data, nacre_dtype dtype,
             std::span<const int64_t> dims) {
    c.data = const_cast<void *>(data);
    c.dtype = dtype;
    c.rank = dims.size() <= NACRE_MAX_RANK ? int32_t(dims.size()) : -1;
    for (int32_t i = 0; i < c.rank; ++i)
      c.dims[i] = dims[size_t(i)];
  }
  TensorView(const void *data, nacre_dtype dtype,
             std::initializer_list<int64_t> dims)
      : TensorView(data, dtype, std::span(dims.begin(), dims.size())) {}
  explicit TensorView(const nacre_tensor &tensor) : c(tensor) {
    c.owner = nullptr;
  }

  // For the input or output of this name, whatever the position. The string
  // must outlive the view.
  TensorView &named(const char *name) & {
    c.name = name;
    return *this;
  }
  TensorView &&named(const char *name) && {
    c.name = name;
    return std::move(*this);
  }

  nacre_dtype dtype() const { return nacre_dtype(c.dtype); }
  std::span<const int64_t> dims() const {
    return {c.dims, c.rank > 0 ? size_t(c.rank) : 0};
  }
  int64_t elements() const {
    int64_t count = 1;
    for (int64_t dim : dims())
      count *= dim;
    return count;
  }
  const void *data() const { return c.data; }

  // The elements, row-major; empty if T is not the element type.
  template <typename T> std::span<const T> as() const {
    if (c.dtype != dtypeOf<T>())
      return {};
    return {static_cast<const T *>(c.data), size_t(elements())};
  }

  const nacre_tensor &get() const { return c; }

private:
  nacre_tensor c = {};
};

// A view of a DLPack tensor, which must outlive it: see nacre_tensor_from_dlpack.
inline Result<TensorView> fromDLPack(const DLTensor &dlpack) {
  nacre_tensor tensor = {};
  nacre_status status = nacre_tensor_from_dlpack(&dlpack, &tensor);
  if (status != NACRE_OK)
    return Error::last(status);
  return TensorView(tensor);
}

// A view of contiguous elements; their number must be what the dims say, else
// every run refuses it.
template <typename Range>
TensorView view(const Range &range, std::initializer_list<int64_t> dims) {
  using T = std::remove_cvref_t<decltype(*std::data(range))>;
  static_assert(dtypeOf<T>() != NACRE_UNDEFINED, "not an element type");
  TensorView result(std::data(range), dtypeOf<T>(), dims);
  nacre_tensor c = result.get();
  c.size = int64_t(std::size(range) * sizeof(T));
  // A size of 0 would mean: what the dims say.
  if (c.size == 0)
    c.data = nullptr;
  return TensorView(c);
}

// An output: empty until a run fills it. Owns memory that the runtime gave, or
// refers to the caller's.
class Tensor {
public:
  Tensor() = default;
  Tensor(Tensor &&other) noexcept : c(std::exchange(other.c, {})) {}
  Tensor &operator=(Tensor &&other) noexcept {
    std::swap(c, other.c);
    return *this;
  }
  ~Tensor() { nacre_tensor_release(&c); }

  // An output that is to be written to the caller's memory.
  static Tensor into(void *data, int64_t bytes) {
    Tensor tensor;
    tensor.c.data = data;
    tensor.c.size = bytes;
    return tensor;
  }
  // To a contiguous range: a vector, array or span of elements.
  template <typename Range> static Tensor into(Range &&range) {
    return into(std::data(range),
                int64_t(std::size(range) * sizeof(*std::data(range))));
  }

  Tensor &named(const char *name) & {
    c.name = name;
    return *this;
  }

  nacre_dtype dtype() const { return nacre_dtype(c.dtype); }
  std::span<const int64_t> dims() const { return {c.dims, size_t(c.rank)}; }
  int64_t bytes() const { return c.size; }
  void *data() const { return c.data; }

  // The elements, row-major; empty if T is not the element type.
  template <typename T> std::span<T> as() const {
    if (c.dtype != dtypeOf<T>())
      return {};
    return {static_cast<T *>(c.data), size_t(c.size) / sizeof(T)};
  }

  // Hands the memory that the runtime gave over: see nacre_tensor_to_dlpack.
  Result<DLManagedTensor *> toDLPack() && {
    DLManagedTensor *result = nullptr;
    nacre_status status = nacre_tensor_to_dlpack(&c, &result);
    if (status != NACRE_OK)
      return Error::last(status);
    return result;
  }

  // As an input of another run.
  TensorView view() const {
    TensorView result{c};
    return std::move(result).named(nullptr);
  }

  nacre_tensor &get() { return c; }

private:
  nacre_tensor c = {};
};

// ---- Models
// ------------------------------------------------------------------

struct Dim {
  int64_t size = -1;       // -1: known only in a run
  std::string_view symbol; // equal ones have equal sizes; may be empty
};

struct TensorInfo {
  std::string_view name;
  nacre_dtype dtype = NACRE_UNDEFINED;
  std::vector<Dim> dims;
  bool isMutable = false; // a parameter that each session has its own of

  explicit TensorInfo(const nacre_tensor_info &info)
      : name(info.name ? info.name : ""), dtype(nacre_dtype(info.dtype)),
        isMutable(info.is_mutable) {
    for (int32_t i = 0; i < info.rank; ++i)
      dims.push_back({info.dims[i], info.symbols[i] ? info.symbols[i] : ""});
  }
};

// "f32[batch, 3, 224]"
inline std::string toString(const TensorInfo &info) {
  std::string text = nacre_dtype_name(info.dtype);
  text += '[';
  for (const Dim &dim : info.dims) {
    text += text.back() == '[' ? "" : ", ";
    text += dim.size >= 0        ? std::to_string(dim.size)
            : dim.symbol.empty() ? "?"
                                 : std::string(dim.symbol);
  }
  return text + ']';
}
inline std::string toString(const TensorView &tensor) {
  std::string text = nacre_dtype_name(tensor.dtype());
  text += '[';
  for (int64_t dim : tensor.dims())
    text += (text.back() == '[' ? "" : ", ") + std::to_string(dim);
  return text + ']';
}

// An input or output as the model's author sees it: `count` of the function's
// inputs or outputs, from `first` on.
struct ValueInfo {
  explicit ValueInfo(const nacre_value_info &info)
      : name(info.name), kind(nacre_value_kind(info.kind)),
        isOptional(info.is_optional != 0), isMaybe(info.is_optional == 2),
        first(info.first), count(info.count) {}

  std::string_view name;
  nacre_value_kind kind = NACRE_VALUE_TENSOR;
  bool isOptional = false;
  bool isMaybe = false; // optional, and a run tells whether it has an element
  int32_t first = 0;
  int32_t count = 0;
};

// What a run gave for a value: `value` becomes a tensor, a sequence or nothing, and
// of its `tensors`, of which there are `count`, come views of these. Elements of
// a sequence that are of a type below a byte begin anywhere in one: these views
// are of `copies`.
inline std::vector<TensorView>
unpack(ValueInfo &value, std::vector<TensorView> tensors,
       std::vector<std::vector<uint8_t>> &copies) {
  if (value.isMaybe) {
    bool isThere = *static_cast<const uint8_t *>(tensors.back().data());
    tensors.pop_back();
    if (!isThere) {
      value.kind = NACRE_VALUE_NOTHING;
      tensors.clear();
    }
  }
  if (value.kind == NACRE_VALUE_ANY_RANK) {
    tensors = {TensorView(tensors[0].data(), tensors[0].dtype(),
                          tensors[1].as<int64_t>())};
    value.kind = NACRE_VALUE_TENSOR;
  }
  if (value.kind == NACRE_VALUE_PACKED) {
    TensorView all = tensors[0];
    std::span<const int64_t> sizes = tensors[1].as<int64_t>();
    size_t rank = size_t(tensors[1].dims()[1]);
    int64_t length = tensors[1].dims()[0];
    int64_t bits = all.dtype() == NACRE_STRING
                       ? 8 * int64_t(sizeof(nacre_string))
                       : nacre_dtype_bits(all.dtype());
    auto *memory = static_cast<const char *>(all.data());
    std::vector<uint8_t> apart(bits < 8 ? size_t(all.elements()) : 0);
    nacre_dtype_unpack(all.dtype(), all.data(), int64_t(apart.size()),
                       apart.data());
    int64_t begin = 0;
    tensors.clear();
    for (int64_t i = 0; i < length; ++i) {
      std::span<const int64_t> row = sizes.subspan(size_t(i) * rank, rank);
      size_t own = 0;
      while (own < rank && row[own] >= 0)
        ++own;
      TensorView element(memory + begin * bits / 8, all.dtype(),
                         row.first(own));
      int64_t count = element.elements();
      if (bits < 8) {
        auto &copy = copies.emplace_back(size_t(count * bits + 7) / 8);
        nacre_dtype_pack(all.dtype(), apart.data() + begin, count, copy.data());
        element = TensorView(copy.data(), all.dtype(), row.first(own));
      }
      tensors.push_back(element);
      begin += count;
    }
    value.kind = NACRE_VALUE_SEQUENCE;
  }
  value.isMaybe = false;
  value.count = int32_t(tensors.size());
  return tensors;
}

struct Function {
  int32_t index = 0;
  std::string_view name;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<ValueInfo> inputValues, outputValues;
  int64_t arenaSize = 0;
};

class Model {
public:
  static Result<Model> load(const std::string &path) {
    nacre_model *model = nullptr;
    nacre_status status = nacre_model_load(path.c_str(), &model);
    if (status != NACRE_OK)
      return Error::last(status);
    return Model(model);
  }
  // Takes over a reference.
  explicit Model(nacre_model *model) : handle(model) {}

  Status verify() const { return toStatus(nacre_model_verify(get())); }

  nacre_model_info info() const {
    nacre_model_info info = {};
    nacre_model_get_info(get(), &info);
    return info;
  }
  // The CPUs that it has code for, the best first.
  std::vector<nacre_version_info> versions() const {
    int32_t count = 0;
    nacre_model_get_version_count(get(), &count);
    std::vector<nacre_version_info> result(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i)
      nacre_model_get_version(get(), i, &result[size_t(i)]);
    return result;
  }
  std::vector<Function> functions() const { return functionsOf(get()); }
  static std::vector<Function> functionsOf(const nacre_model *model) {
    std::vector<Function> result;
    nacre_function_info f = {};
    for (int32_t i = 0; nacre_model_get_function(model, i, &f) == NACRE_OK;
         ++i) {
      Function &function = result.emplace_back();
      function.index = i;
      function.name = f.name;
      function.arenaSize = f.arena_size;
      nacre_tensor_info info = {};
      for (int32_t j = 0; j < f.input_count; ++j)
        if (nacre_model_get_input(model, i, j, &info) == NACRE_OK)
          function.inputs.emplace_back(info);
      for (int32_t j = 0; j < f.output_count; ++j)
        if (nacre_model_get_output(model, i, j, &info) == NACRE_OK)
          function.outputs.emplace_back(info);
      nacre_value_info value = {};
      for (int32_t j = 0; j < f.output_value_count; ++j)
        if (nacre_model_get_output_value(model, i, j, &value) == NACRE_OK)
          function.outputValues.emplace_back(value);
      for (int32_t j = 0; j < f.input_value_count; ++j)
        if (nacre_model_get_input_value(model, i, j, &value) == NACRE_OK)
          function.inputValues.emplace_back(value);
    }
    return result;
  }
  Result<int32_t> findFunction(const std::string &name) const {
    int32_t index = 0;
    nacre_status status =
        nacre_model_find_function(get(), name.c_str(), &index);
    if (status != NACRE_OK)
      return Error::last(status);
    return index;
  }
  std::vector<nacre_kernel_info> kernels() const {
    std::vector<nacre_kernel_info> result(size_t(info().kernel_count));
    for (size_t i = 0; i < result.size(); ++i)
      nacre_model_get_kernel(get(), int32_t(i), &result[i]);
    return result;
  }
  std::vector<TensorInfo> parameters() const {
    std::vector<TensorInfo> result;
    nacre_tensor_info info = {};
    for (int32_t i = 0, n = this->info().parameter_count; i < n; ++i)
      if (nacre_model_get_parameter(get(), i, &info) == NACRE_OK)
        result.emplace_back(info);
    return result;
  }
  Result<int32_t> findParameter(const std::string &name) const {
    int32_t index = 0;
    nacre_status status =
        nacre_model_find_parameter(get(), name.c_str(), &index);
    if (status != NACRE_OK)
      return Error::last(status);
    return index;
  }

  nacre_model *get() const { return handle.get(); }
  // Hands the reference over to the caller.
  nacre_model *release() { return handle.release(); }

private:
  struct Release {
    void operator()(nacre_model *model) const { nacre_model_release(model); }
  };
  std::unique_ptr<nacre_model, Release> handle;
};

// ---- Sessions
// ----------------------------------------------------------------

struct SessionOptions {
  int32_t threads = 0;                // 0: all cores
  std::span<const int32_t> cpus = {}; // empty: threads float
  int64_t memoryLimit = 0;            // bytes; 0: the machine's memory
  bool hugePages = true;
  nacre_profiling profiling = NACRE_PROFILING_OFF;
  uint64_t seed = 0; // of random numbers: see Session::setSeed
  bool copyParameters = false; // of a file, to huge pages
};

class Session {
public:
  // Texts that a checkpoint carries beside its tensors.
  using Metadata = std::map<std::string, std::string>;

  static Result<Session> create(const Model &model,
                                const SessionOptions &options = {}) {
    nacre_session_options c = NACRE_SESSION_OPTIONS_INIT;
    c.thread_count = options.threads;
    c.cpu_count = int32_t(options.cpus.size());
    c.cpus = options.cpus.data();
    c.memory_limit = options.memoryLimit;
    c.no_huge_pages = !options.hugePages;
    c.profiling = options.profiling;
    c.seed = options.seed;
    c.copy_parameters = options.copyParameters;
    nacre_session *session = nullptr;
    nacre_status status = nacre_session_create(model.get(), &c, &session);
    if (status != NACRE_OK)
      return Error::last(status);
    return Session(session);
  }
  // Takes the session over.
  explicit Session(nacre_session *session) : handle(session) {}

  int32_t threads() const {
    int32_t count = 0;
    nacre_session_get_thread_count(get(), &count);
    return count;
  }

  // What random numbers are made from, and the runs counted from 0 again: see
  // nacre_session_set_seed.
  void setSeed(uint64_t seed) { nacre_session_set_seed(get(), seed); }

  // Runs into `outputs`, whose memory is used again.
  Status run(std::span<const TensorView> inputs, std::span<Tensor> outputs,
             int32_t function = 0) {
    // Both wrap one nacre_tensor and nothing else.
    static_assert(sizeof(TensorView) == sizeof(nacre_tensor) &&
                  sizeof(Tensor) == sizeof(nacre_tensor));
    return toStatus(nacre_session_run(
        get(), function, reinterpret_cast<const nacre_tensor *>(inputs.data()),
        int32_t(inputs.size()),
        reinterpret_cast<nacre_tensor *>(outputs.data()),
        int32_t(outputs.size())));
  }
  Status run(std::initializer_list<TensorView> inputs,
             std::span<Tensor> outputs, int32_t function = 0) {
    return run(std::span(inputs.begin(), inputs.size()), outputs, function);
  }

  // Runs and returns all outputs.
  Result<std::vector<Tensor>> run(std::span<const TensorView> inputs,
                                  int32_t function = 0) {
    nacre_function_info info = {};
    nacre_model *model = nullptr;
    nacre_status found = nacre_session_get_model(get(), &model);
    if (found == NACRE_OK)
      found = nacre_model_get_function(model, function, &info);
    if (found != NACRE_OK)
      return Error::last(found);
    std::vector<Tensor> outputs(static_cast<size_t>(info.output_count));
    if (Status status = run(inputs, std::span(outputs), function); !status)
      return status.error();
    return outputs;
  }
  Result<std::vector<Tensor>> run(std::initializer_list<TensorView> inputs,
                                  int32_t function = 0) {
    return run(std::span(inputs.begin(), inputs.size()), function);
  }

  // What the next run's random numbers depend on: the seed, and how many runs
  // began since it was set.
  std::pair<uint64_t, int64_t> randomState() const {
    std::pair<uint64_t, int64_t> state;
    nacre_session_get_random_state(get(), &state.first, &state.second);
    return state;
  }
  Status setRandomState(uint64_t seed, int64_t runs) {
    return toStatus(nacre_session_set_random_state(get(), seed, runs));
  }

  void cancel() { nacre_session_cancel(get()); }
  void trim() { nacre_session_trim(get()); }

  Result<TensorView> parameter(int32_t index) {
    nacre_tensor tensor = {};
    nacre_status status = nacre_session_get_parameter(get(), index, &tensor);
    if (status != NACRE_OK)
      return Error::last(status);
    return TensorView(tensor);
  }
  template <typename Range> Status readParameter(int32_t index, Range &&range) {
    return toStatus(nacre_session_read_parameter(
        get(), index, std::data(range),
        int64_t(std::size(range) * sizeof(*std::data(range)))));
  }
  Status writeParameter(int32_t index, const TensorView &tensor) {
    return toStatus(nacre_session_write_parameter(get(), index, &tensor.get()));
  }
  Status resetParameters() {
    return toStatus(nacre_session_reset_parameters(get()));
  }

  // Writes all mutable parameters, and texts beside them, as a .safetensors file
  // that appears complete or not at all: see nacre_session_save.
  Status save(const std::string &path, const Metadata &metadata = {}) {
    std::vector<nacre_metadata> pairs;
    for (const auto &[key, value] : metadata) {
      if ((key + value).find('\0') != std::string::npos)
        return Error{NACRE_INVALID_ARGUMENT,
                     "metadata '" + key + "': expected no zero in it"};
      pairs.push_back({key.c_str(), value.c_str()});
    }
    return toStatus(nacre_session_save(get(), path.c_str(), pairs.data(),
                                       int32_t(pairs.size())));
  }
  // Sets them to what a .safetensors file has, which may come from strangers: see
  // nacre_session_load. The texts beside it; `flags` are nacre_load_flags.
  Result<Metadata> load(const std::string &path,
                        uint32_t flags = NACRE_LOAD_ALL) {
    Metadata metadata;
    auto keep = [](void *to, const char *key, const char *value) {
      (*static_cast<Metadata *>(to))[key] = value;
      return NACRE_OK;
    };
    nacre_status status =
        nacre_session_load(get(), path.c_str(), flags, keep, &metadata);
    if (status != NACRE_OK)
      return Error::last(status);
    return metadata;
  }

  void setProfiling(nacre_profiling profiling) {
    nacre_session_set_profiling(get(), profiling);
  }
  nacre_kernel_time kernelTime(int32_t kernel) {
    nacre_kernel_time time = {};
    nacre_session_get_kernel_time(get(), kernel, &time);
    return time;
  }
  void resetProfile() { nacre_session_reset_profile(get()); }
  Status writeTrace(const std::string &path) {
    return toStatus(nacre_session_write_trace(get(), path.c_str()));
  }

  nacre_session *get() const { return handle.get(); }
  // Hands the session over to the caller.
  nacre_session *release() { return handle.release(); }

private:
  struct Destroy {
    void operator()(nacre_session *s) const { nacre_session_destroy(s); }
  };
  std::unique_ptr<nacre_session, Destroy> handle;
};

} // namespace nacre

#endif // NACRE_HPP
