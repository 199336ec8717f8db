// The C API: checks arguments, then hands over to core.
#include "runtime/api/nacre.h"

#include "runtime/abi/nacre_dtype.h"
#include "runtime/core/Session.h"

using namespace nacre::runtime;

// One set of numbers on both sides of the runtime.
static_assert(int(NACRE_UNDEFINED) == int(NACRE_DTYPE_UNDEFINED) &&
              int(NACRE_F32) == int(NACRE_DTYPE_F32) &&
              int(NACRE_U8) == int(NACRE_DTYPE_U8) &&
              int(NACRE_I8) == int(NACRE_DTYPE_I8) &&
              int(NACRE_U16) == int(NACRE_DTYPE_U16) &&
              int(NACRE_I16) == int(NACRE_DTYPE_I16) &&
              int(NACRE_I32) == int(NACRE_DTYPE_I32) &&
              int(NACRE_I64) == int(NACRE_DTYPE_I64) &&
              int(NACRE_STRING) == int(NACRE_DTYPE_STRING) &&
              int(NACRE_BOOL) == int(NACRE_DTYPE_BOOL) &&
              int(NACRE_F16) == int(NACRE_DTYPE_F16) &&
              int(NACRE_F64) == int(NACRE_DTYPE_F64) &&
              int(NACRE_U32) == int(NACRE_DTYPE_U32) &&
              int(NACRE_U64) == int(NACRE_DTYPE_U64) &&
              int(NACRE_C64) == int(NACRE_DTYPE_C64) &&
              int(NACRE_C128) == int(NACRE_DTYPE_C128) &&
              int(NACRE_BF16) == int(NACRE_DTYPE_BF16) &&
              int(NACRE_F8E4M3FN) == int(NACRE_DTYPE_F8E4M3FN) &&
              int(NACRE_F8E4M3FNUZ) == int(NACRE_DTYPE_F8E4M3FNUZ) &&
              int(NACRE_F8E5M2) == int(NACRE_DTYPE_F8E5M2) &&
              int(NACRE_F8E5M2FNUZ) == int(NACRE_DTYPE_F8E5M2FNUZ) &&
              int(NACRE_U4) == int(NACRE_DTYPE_U4) &&
              int(NACRE_I4) == int(NACRE_DTYPE_I4) &&
              int(NACRE_F4E2M1FN) == int(NACRE_DTYPE_F4E2M1FN) &&
              int(NACRE_F8E8M0FNU) == int(NACRE_DTYPE_F8E8M0FNU) &&
              int(NACRE_U2) == int(NACRE_DTYPE_U2) &&
              int(NACRE_I2) == int(NACRE_DTYPE_I2) &&
              int(NACRE_F6E2M3FN) == int(NACRE_DTYPE_F6E2M3FN) &&
              int(NACRE_F6E3M2FN) == int(NACRE_DTYPE_F6E3M2FN));
static_assert(NACRE_MAX_RANK == NACRE_ABI_MAX_RANK);

static Model *unwrap(nacre_model *m) { return reinterpret_cast<Model *>(m); }
static const Model *unwrap(const nacre_model *m) {
  return reinterpret_cast<const Model *>(m);
}
static Session *unwrap(nacre_session *s) {
  return reinterpret_cast<Session *>(s);
}
static const Session *unwrap(const nacre_session *s) {
  return reinterpret_cast<const Session *>(s);
}

static nacre_status nullArgument(const char *function, const char *argument) {
  return fail(NACRE_INVALID_ARGUMENT, "%s: '%s' is NULL", function, argument);
}
#define REQUIRE(argument)                                                      \
  do {                                                                         \
    if (!(argument))                                                           \
      return nullArgument(__func__, #argument);                                \
  } while (false)

// Checks an index against a count.
static nacre_status checkIndex(const char *what, int32_t index, int32_t count) {
  if (index >= 0 && index < count)
    return NACRE_OK;
  return fail(NACRE_INVALID_ARGUMENT,
              "the index of the %s is %d, expected 0 to %d (there are %d)",
              what, index, count - 1, count);
}

const char *nacre_last_error(void) { return lastError(); }

nacre_status nacre_error_set(nacre_status status, const char *message) {
  return fail(status, "%s", message ? message : "");
}

const char *nacre_status_name(nacre_status status) {
  switch (status) {
  case NACRE_OK:
    return "ok";
  case NACRE_OUT_OF_MEMORY:
    return "out of memory";
  case NACRE_INVALID_SHAPE:
    return "invalid shape";
  case NACRE_INVALID_VALUE:
    return "invalid value";
  case NACRE_CANCELLED:
    return "cancelled";
  case NACRE_INVALID_ARGUMENT:
    return "invalid argument";
  case NACRE_NOT_FOUND:
    return "not found";
  case NACRE_INCOMPATIBLE:
    return "incompatible";
  case NACRE_CORRUPT:
    return "corrupt";
  case NACRE_IO_ERROR:
    return "input/output error";
  case NACRE_INTERNAL:
    return "internal error";
  }
  return "unknown status";
}

#define STRING2(x) #x
#define STRING(x) STRING2(x)
const char *nacre_version(void) {
  return STRING(NACRE_VERSION_MAJOR) "." STRING(NACRE_VERSION_MINOR) "." STRING(
      NACRE_VERSION_PATCH);
}

const char *nacre_dtype_name(int32_t dtype) {
  return nacre_abi_dtype_name(dtype);
}

int32_t nacre_dtype_bits(int32_t dtype) { return nacre_abi_dtype_bits(dtype); }

static bool isPacked(int32_t dtype) {
  int32_t bits = nacre_abi_dtype_bits(dtype);
  return bits > 0 && bits < 8;
}

void nacre_dtype_pack(int32_t dtype, const void *elements, int64_t count,
                      void *packed) {
  if (isPacked(dtype))
    nacre_abi_pack(dtype, elements, count, packed);
}

void nacre_dtype_unpack(int32_t dtype, const void *packed, int64_t count,
                        void *elements) {
  if (isPacked(dtype))
    nacre_abi_unpack(dtype, packed, count, elements);
}

// ---- Models -----------------------------------------------------------------

nacre_status nacre_model_load(const char *path, nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(path);
  Model *loaded = nullptr;
  nacre_status status = Model::load(path, loaded);
  *model = reinterpret_cast<nacre_model *>(loaded);
  return status;
}

nacre_status nacre_model_create(const nacre_abi_model *descriptor,
                                const void *parameter_data,
                                void (*release_callback)(void *),
                                void *user_data, nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(descriptor);
  Model *made = nullptr;
  nacre_status status = Model::make(descriptor, parameter_data,
                                    release_callback, user_data, made);
  *model = reinterpret_cast<nacre_model *>(made);
  return status;
}

void nacre_model_release(nacre_model *model) {
  if (model)
    unwrap(model)->release();
}

nacre_status nacre_model_verify(const nacre_model *model) {
  REQUIRE(model);
  return unwrap(model)->verify();
}

nacre_status nacre_model_get_info(const nacre_model *model,
                                  nacre_model_info *info) {
  REQUIRE(info);
  *info = {};
  REQUIRE(model);
  const nacre_abi_model &abi = unwrap(model)->abi();
  auto text = [](const char *string) { return string ? string : ""; };
  *info = {
      abi.function_count,   abi.kernel_count,          abi.parameter_count,
      abi.abi_version,      abi.parameter_size,        abi.state_size,
      text(abi.target_cpu), text(abi.target_features), text(abi.provenance)};
  return NACRE_OK;
}

nacre_status nacre_model_get_version_count(const nacre_model *model,
                                           int32_t *count) {
  REQUIRE(count);
  *count = 0;
  REQUIRE(model);
  for (const nacre_abi_model *version = &unwrap(model)->bestVersion(); version;
       version = getFallback(*version))
    ++*count;
  return NACRE_OK;
}

nacre_status nacre_model_get_version(const nacre_model *model, int32_t index,
                                     nacre_version_info *info) {
  REQUIRE(info);
  *info = {};
  int32_t count = 0;
  if (nacre_status s = nacre_model_get_version_count(model, &count))
    return s;
  if (nacre_status s = checkIndex("version", index, count))
    return s;
  const nacre_abi_model *version = &unwrap(model)->bestVersion();
  for (; index > 0; --index)
    version = getFallback(*version);
  auto text = [](const char *string) { return string ? string : ""; };
  *info = {text(version->target_cpu), text(version->target_features),
           version == &unwrap(model)->abi()};
  return NACRE_OK;
}

static nacre_status getFunction(const nacre_model *model, int32_t index,
                                const nacre_abi_function **function) {
  REQUIRE(model);
  const nacre_abi_model &abi = unwrap(model)->abi();
  if (nacre_status s = checkIndex("function", index, abi.function_count))
    return s;
  *function = &abi.functions[index];
  return NACRE_OK;
}

nacre_status nacre_model_get_function(const nacre_model *model,
                                      int32_t function,
                                      nacre_function_info *info) {
  REQUIRE(info);
  *info = {};
  const nacre_abi_function *from = nullptr;
  if (nacre_status s = getFunction(model, function, &from))
    return s;
  *info = {from->name, from->input_count, from->output_count, from->arena_size,
           from->output_value_count ? from->output_value_count
                                   : from->output_count,
           from->input_value_count ? from->input_value_count : from->input_count};
  return NACRE_OK;
}

nacre_status nacre_model_find_function(const nacre_model *model,
                                       const char *name, int32_t *function) {
  REQUIRE(function);
  *function = 0;
  REQUIRE(model);
  REQUIRE(name);
  int32_t index = unwrap(model)->findFunction(name);
  if (index < 0)
    return fail(NACRE_NOT_FOUND, "the model has no function '%s'",
                Quoted(name).text);
  *function = index;
  return NACRE_OK;
}

static void describe(const nacre_abi_tensor_info &from, nacre_tensor_info &to) {
  to.name = from.name;
  to.dtype = from.dtype;
  to.rank = from.rank;
  for (int32_t i = 0; i < from.rank; ++i) {
    to.dims[i] = from.dims[i].size;
    const char *symbol = from.dims[i].size < 0 ? from.dims[i].symbol : nullptr;
    to.symbols[i] = symbol && *symbol ? symbol : nullptr;
  }
}

nacre_status nacre_model_get_input(const nacre_model *model, int32_t function,
                                   int32_t index, nacre_tensor_info *info) {
  REQUIRE(info);
  *info = {};
  const nacre_abi_function *from = nullptr;
  if (nacre_status s = getFunction(model, function, &from))
    return s;
  if (nacre_status s = checkIndex("input", index, from->input_count))
    return s;
  describe(from->inputs[index], *info);
  return NACRE_OK;
}

nacre_status nacre_model_get_output(const nacre_model *model, int32_t function,
                                    int32_t index, nacre_tensor_info *info) {
  REQUIRE(info);
  *info = {};
  const nacre_abi_function *from = nullptr;
  if (nacre_status s = getFunction(model, function, &from))
    return s;
  if (nacre_status s = checkIndex("output", index, from->output_count))
    return s;
  describe(from->outputs[index], *info);
  return NACRE_OK;
}

// The value `index` of a function's inputs or outputs. Without a table each
// tensor is a value.
static nacre_status getValue(const char *what,
                             const nacre_abi_tensor_info *tensors,
                             int32_t tensorCount,
                             const nacre_abi_value_info *values,
                             int32_t valueCount, int32_t index,
                             nacre_value_info &info) {
  static_assert(int(NACRE_VALUE_TENSOR) == NACRE_ABI_TENSOR &&
                int(NACRE_VALUE_SEQUENCE) == NACRE_ABI_SEQUENCE &&
                int(NACRE_VALUE_NOTHING) == NACRE_ABI_NOTHING &&
                int(NACRE_VALUE_PACKED) == NACRE_ABI_PACKED &&
                int(NACRE_VALUE_MAP) == NACRE_ABI_MAP &&
                int(NACRE_VALUE_MAPS) == NACRE_ABI_MAPS &&
                int(NACRE_VALUE_ANY_RANK) == NACRE_ABI_ANY_RANK);
  bool isPlain = valueCount == 0;
  if (nacre_status s =
          checkIndex(what, index, isPlain ? tensorCount : valueCount))
    return s;
  if (isPlain) {
    info = {tensors[index].name, NACRE_VALUE_TENSOR, 0, index, 1};
    return NACRE_OK;
  }
  const nacre_abi_value_info &value = values[index];
  info = {value.name, value.kind, value.is_optional, value.first, value.count};
  return NACRE_OK;
}

nacre_status nacre_model_get_input_value(const nacre_model *model,
                                         int32_t function, int32_t index,
                                         nacre_value_info *info) {
  REQUIRE(info);
  *info = {};
  const nacre_abi_function *from = nullptr;
  if (nacre_status s = getFunction(model, function, &from))
    return s;
  return getValue("input value", from->inputs, from->input_count,
                  from->input_values, from->input_value_count, index, *info);
}

nacre_status nacre_model_get_output_value(const nacre_model *model,
                                          int32_t function, int32_t index,
                                          nacre_value_info *info) {
  REQUIRE(info);
  *info = {};
  const nacre_abi_function *from = nullptr;
  if (nacre_status s = getFunction(model, function, &from))
    return s;
  return getValue("output value", from->outputs, from->output_count,
                  from->output_values, from->output_value_count, index, *info);
}

nacre_status nacre_model_get_kernel(const nacre_model *model, int32_t kernel,
                                    nacre_kernel_info *info) {
  REQUIRE(info);
  *info = {};
  REQUIRE(model);
  const nacre_abi_model &abi = unwrap(model)->abi();
  if (nacre_status s = checkIndex("kernel", kernel, abi.kernel_count))
    return s;
  const nacre_abi_kernel_info &from = abi.kernels[kernel];
  *info = {from.name, from.nodes ? from.nodes : "", from.flops, from.bytes};
  return NACRE_OK;
}

nacre_status nacre_model_get_parameter(const nacre_model *model,
                                       int32_t parameter,
                                       nacre_tensor_info *info) {
  REQUIRE(info);
  *info = {};
  REQUIRE(model);
  const nacre_abi_model &abi = unwrap(model)->abi();
  if (nacre_status s = checkIndex("parameter", parameter, abi.parameter_count))
    return s;
  describe(abi.parameters[parameter].tensor, *info);
  info->is_mutable = abi.parameters[parameter].is_state;
  return NACRE_OK;
}

nacre_status nacre_model_find_parameter(const nacre_model *model,
                                        const char *name, int32_t *parameter) {
  REQUIRE(parameter);
  *parameter = 0;
  REQUIRE(model);
  REQUIRE(name);
  int32_t index = unwrap(model)->findParameter(name);
  if (index < 0)
    return fail(NACRE_NOT_FOUND, "the model has no parameter '%s'",
                Quoted(name).text);
  *parameter = index;
  return NACRE_OK;
}

// ---- Tensors ----------------------------------------------------------------

void nacre_tensor_release(nacre_tensor *tensor) {
  if (!tensor || !tensor->owner)
    return;
  Allocator::release(static_cast<Block *>(tensor->owner));
  tensor->owner = nullptr;
  tensor->data = nullptr;
  tensor->size = 0;
}

// ---- Sessions ---------------------------------------------------------------

nacre_status nacre_session_create(nacre_model *model,
                                  const nacre_session_options *options,
                                  nacre_session **session) {
  REQUIRE(session);
  *session = nullptr;
  REQUIRE(model);
  nacre_session_options all = NACRE_SESSION_OPTIONS_INIT;
  if (options) {
    // A caller built with an older header has fewer fields, one with a newer
    // header more than we would honour.
    if (options->struct_size < offsetof(nacre_session_options, cpu_count) ||
        options->struct_size > sizeof all)
      return fail(NACRE_INVALID_ARGUMENT,
                  "the options' struct_size is %zu, expected %zu; start from "
                  "NACRE_SESSION_OPTIONS_INIT",
                  options->struct_size, sizeof all);
    std::memcpy(&all, options, options->struct_size);
  }
  Session *made = nullptr;
  nacre_status status = Session::make(*unwrap(model), all, made);
  *session = reinterpret_cast<nacre_session *>(made);
  return status;
}

void nacre_session_destroy(nacre_session *session) { destroy(unwrap(session)); }

nacre_status nacre_session_get_model(const nacre_session *session,
                                     nacre_model **model) {
  REQUIRE(model);
  *model = nullptr;
  REQUIRE(session);
  *model = reinterpret_cast<nacre_model *>(&unwrap(session)->getModel());
  return NACRE_OK;
}

nacre_status nacre_session_get_thread_count(const nacre_session *session,
                                            int32_t *count) {
  REQUIRE(count);
  *count = 0;
  REQUIRE(session);
  *count = unwrap(session)->getThreadCount();
  return NACRE_OK;
}

nacre_status nacre_session_run(nacre_session *session, int32_t function,
                               const nacre_tensor *inputs, int32_t input_count,
                               nacre_tensor *outputs, int32_t output_count) {
  REQUIRE(session);
  return unwrap(session)->run(function, inputs, input_count, outputs,
                              output_count);
}

nacre_status nacre_session_set_seed(nacre_session *session, uint64_t seed) {
  REQUIRE(session);
  unwrap(session)->setRandomState(seed, 0);
  return NACRE_OK;
}

nacre_status nacre_session_get_random_state(nacre_session *session,
                                            uint64_t *seed,
                                            int64_t *run_count) {
  REQUIRE(seed);
  REQUIRE(run_count);
  *seed = 0;
  *run_count = 0;
  REQUIRE(session);
  unwrap(session)->getRandomState(*seed, *run_count);
  return NACRE_OK;
}

nacre_status nacre_session_set_random_state(nacre_session *session,
                                            uint64_t seed, int64_t run_count) {
  REQUIRE(session);
  if (run_count < 0)
    return fail(NACRE_INVALID_ARGUMENT,
                "run_count is %lld, expected no negative number",
                static_cast<long long>(run_count));
  unwrap(session)->setRandomState(seed, run_count);
  return NACRE_OK;
}

nacre_status nacre_session_cancel(nacre_session *session) {
  REQUIRE(session);
  unwrap(session)->cancel();
  return NACRE_OK;
}

nacre_status nacre_session_trim(nacre_session *session) {
  REQUIRE(session);
  unwrap(session)->trim();
  return NACRE_OK;
}

// ---- Parameters -------------------------------------------------------------

static nacre_status checkParameter(nacre_session *session, int32_t parameter) {
  return checkIndex("parameter", parameter,
                    unwrap(session)->getModel().abi().parameter_count);
}

nacre_status nacre_session_get_parameter(nacre_session *session,
                                         int32_t parameter,
                                         nacre_tensor *tensor) {
  REQUIRE(tensor);
  *tensor = {};
  REQUIRE(session);
  if (nacre_status status = checkParameter(session, parameter))
    return status;
  unwrap(session)->describeParameter(parameter, *tensor);
  return NACRE_OK;
}

nacre_status nacre_session_read_parameter(nacre_session *session,
                                          int32_t parameter, void *data,
                                          int64_t size) {
  REQUIRE(session);
  if (nacre_status status = checkParameter(session, parameter))
    return status;
  if (size != 0)
    REQUIRE(data);
  return unwrap(session)->readParameter(parameter, data, size);
}

nacre_status nacre_session_write_parameter(nacre_session *session,
                                           int32_t parameter,
                                           const nacre_tensor *tensor) {
  REQUIRE(session);
  REQUIRE(tensor);
  if (nacre_status status = checkParameter(session, parameter))
    return status;
  return unwrap(session)->writeParameter(parameter, *tensor);
}

nacre_status nacre_session_reset_parameters(nacre_session *session) {
  REQUIRE(session);
  unwrap(session)->resetParameters();
  return NACRE_OK;
}

// ---- Checkpoints ------------------------------------------------------------

nacre_status nacre_session_save(nacre_session *session, const char *path,
                                const nacre_metadata *metadata,
                                int32_t metadata_count) {
  REQUIRE(session);
  REQUIRE(path);
  if (metadata_count != 0)
    REQUIRE(metadata);
  return unwrap(session)->save(path, metadata, metadata_count);
}

nacre_status nacre_session_load(
    nacre_session *session, const char *path, uint32_t flags,
    nacre_status (*metadata_callback)(void *, const char *, const char *),
    void *user_data) {
  REQUIRE(session);
  REQUIRE(path);
  constexpr uint32_t known = NACRE_LOAD_WITHOUT_STATE | NACRE_LOAD_OTHER_TENSORS;
  if (flags & ~known)
    return fail(NACRE_INVALID_ARGUMENT,
                "flags is %u, expected a sum of nacre_load_flags", flags);
  return unwrap(session)->load(path, flags, metadata_callback, user_data);
}

// ---- Profiles ---------------------------------------------------------------

nacre_status nacre_session_set_profiling(nacre_session *session,
                                         nacre_profiling profiling) {
  REQUIRE(session);
  if (nacre_status status = checkIndex("profiling mode", profiling, 3))
    return status;
  unwrap(session)->profiling.store(profiling);
  return NACRE_OK;
}

nacre_status nacre_session_get_kernel_time(nacre_session *session,
                                           int32_t kernel,
                                           nacre_kernel_time *time) {
  REQUIRE(time);
  *time = {};
  REQUIRE(session);
  const nacre_abi_model &abi = unwrap(session)->getModel().abi();
  if (nacre_status status = checkIndex("kernel", kernel, abi.kernel_count))
    return status;
  *time = unwrap(session)->profile.get(kernel);
  if (abi.kernels[kernel].flops >= 0)
    time->flops = time->launches * abi.kernels[kernel].flops;
  return NACRE_OK;
}

nacre_status nacre_session_reset_profile(nacre_session *session) {
  REQUIRE(session);
  unwrap(session)->profile.reset();
  return NACRE_OK;
}

nacre_status nacre_session_write_trace(nacre_session *session,
                                       const char *path) {
  REQUIRE(session);
  REQUIRE(path);
  return unwrap(session)->profile.writeTrace(path, unwrap(session)->getModel());
}
