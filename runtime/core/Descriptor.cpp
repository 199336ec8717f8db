// Checks a model's descriptor, so that nothing behind needs to.
#include "runtime/abi/nacre_dtype.h"
#include "runtime/core/Model.h"
#include "runtime/device/Cpu.h"

#include <cstddef>

namespace nacre::runtime {

int64_t staticBytes(const nacre_abi_tensor_info &info) {
  int64_t count = 1;
  for (int32_t i = 0; i < info.rank; ++i)
    if (info.dims[i].size < 0 ||
        __builtin_mul_overflow(count, info.dims[i].size, &count))
      return -1;
  return nacre_abi_dtype_bytes(info.dtype, count);
}

static bool isAligned(const void *pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % NACRE_ABI_ALIGNMENT == 0;
}

// Whether the parts of a tensor's description make sense; null, or what not.
static const char *faultOf(const nacre_abi_tensor_info &info) {
  if (!info.name)
    return "it has no name";
  if (nacre_abi_dtype_bits(info.dtype) == 0 &&
      info.dtype != NACRE_DTYPE_STRING)
    return "its element type is unknown to this runtime";
  if (info.rank < 0 || info.rank > NACRE_ABI_MAX_RANK)
    return "its rank is out of range";
  if (info.rank > 0 && !info.dims)
    return "its dimensions are missing";
  for (int32_t i = 0; i < info.rank; ++i)
    if (info.dims[i].size < -1)
      return "a dimension is negative";
  return nullptr;
}

static nacre_status checkTensors(const char *what, const char *kind,
                                 const nacre_abi_tensor_info *tensors,
                                 int32_t count) {
  if (count < 0 || (count > 0 && !tensors))
    return fail(NACRE_CORRUPT, "%s: the table of %ss is damaged", what, kind);
  for (int32_t i = 0; i < count; ++i)
    if (const char *fault = faultOf(tensors[i]))
      return fail(NACRE_CORRUPT, "%s: %s %d ('%s') is damaged: %s", what, kind,
                  i, Quoted(tensors[i].name).text, fault);
  return NACRE_OK;
}

static nacre_status checkValues(const char *what, const char *kind,
                                const nacre_abi_value_info *values,
                                int32_t count, int32_t tensorCount) {
  int32_t next = 0;
  bool good = count >= 0 && (count == 0 || values);
  for (int32_t i = 0; good && i < count; ++i) {
    const nacre_abi_value_info &value = values[i];
    int32_t own = value.count - (value.is_optional == 2);
    good = value.name && value.first == next && own >= 0 &&
           value.count <= tensorCount - next &&
           (value.kind == NACRE_ABI_SEQUENCE ||
            (value.kind == NACRE_ABI_TENSOR && own == 1) ||
            ((value.kind == NACRE_ABI_PACKED || value.kind == NACRE_ABI_MAP ||
              value.kind == NACRE_ABI_MAPS || value.kind == NACRE_ABI_ANY_RANK) &&
             own == 2) ||
            (value.kind == NACRE_ABI_NOTHING && value.count == 0));
    next += value.count;
  }
  if (good && (count == 0 || next == tensorCount))
    return NACRE_OK;
  return fail(NACRE_CORRUPT, "%s: the table of %s values is damaged", what,
              kind);
}

static nacre_status checkParameter(const char *what,
                                   const nacre_abi_model &model,
                                   const nacre_abi_parameter_info &p) {
  const char *fault = faultOf(p.tensor);
  auto outside = [](int64_t offset, int64_t size, int64_t total) {
    return offset < 0 || size > total || offset > total - size ||
           offset % NACRE_ABI_ALIGNMENT != 0;
  };
  if (!fault && (p.size < 0 || p.size != staticBytes(p.tensor)))
    fault = "its size is not what its shape says";
  if (!fault && outside(p.offset, p.size,
                        p.is_state ? model.state_size : model.parameter_size))
    fault = "its offset is out of range";
  if (!fault && p.is_state && p.initial_offset != -1 &&
      outside(p.initial_offset, p.size, model.parameter_size))
    fault = "the offset of its initial value is out of range";
  if (!fault)
    return NACRE_OK;
  return fail(NACRE_CORRUPT, "%s: parameter '%s' is damaged: %s", what,
              Quoted(p.tensor.name).text, fault);
}

nacre_status checkHeader(const char *what, const nacre_abi_model *model) {
  if (model->magic != NACRE_ABI_MAGIC)
    return fail(NACRE_CORRUPT,
                "%s: not a Nacre model: the magic number is 0x%08X, expected "
                "0x%08X",
                what, model->magic, NACRE_ABI_MAGIC);
  if (model->abi_version > NACRE_ABI_VERSION ||
      model->abi_version < NACRE_ABI_OLDEST)
    return fail(NACRE_INCOMPATIBLE,
                "%s: made for ABI version %u, this runtime runs versions %u to "
                "%u; compile the model again%s",
                what, model->abi_version, NACRE_ABI_OLDEST, NACRE_ABI_VERSION,
                model->abi_version > NACRE_ABI_VERSION
                    ? " with this version of Nacre, or update the runtime"
                    : "");
  if (model->pointer_bits != 8 * sizeof(void *))
    return fail(NACRE_INCOMPATIBLE, "%s: made for %u-bit pointers, expected %u",
                what, model->pointer_bits, 8u * unsigned(sizeof(void *)));
  // Fields were added at the end.
  unsigned expected = model->abi_version < NACRE_ABI_WITH_FALLBACKS
                          ? offsetof(nacre_abi_model, fallback)
                          : sizeof(nacre_abi_model);
  if (model->struct_size < expected)
    return fail(NACRE_CORRUPT,
                "%s: the descriptor has %u bytes, expected at least %u", what,
                model->struct_size, expected);
  return NACRE_OK;
}

nacre_status checkDescriptor(const char *what, const nacre_abi_model *model,
                             const void *parameters) {
  if (nacre_status status = checkHeader(what, model))
    return status;
  char missing[64];
  if (findMissingFeature(model->target_features, missing))
    return fail(NACRE_INCOMPATIBLE,
                "%s: compiled for CPU '%s', needs the CPU feature '%s', which "
                "this machine lacks; compile the model again with a "
                "--target-cpu that fits",
                what, Quoted(model->target_cpu).text, Quoted(missing).text);

  if (model->function_count < 1 || !model->functions)
    return fail(NACRE_CORRUPT, "%s: the model has no function", what);
  for (int32_t i = 0; i < model->function_count; ++i) {
    const nacre_abi_function &function = model->functions[i];
    if (!function.name || !function.run || function.arena_size < 0)
      return fail(NACRE_CORRUPT, "%s: function %d is damaged", what, i);
    nacre_status status =
        checkTensors(what, "input", function.inputs, function.input_count);
    if (status == NACRE_OK)
      status =
          checkTensors(what, "output", function.outputs, function.output_count);
    if (status == NACRE_OK)
      status =
          checkValues(what, "input", function.input_values,
                      function.input_value_count, function.input_count);
    if (status == NACRE_OK)
      status =
          checkValues(what, "output", function.output_values,
                      function.output_value_count, function.output_count);
    if (status != NACRE_OK)
      return status;
  }
  if (model->kernel_count < 0 || (model->kernel_count > 0 && !model->kernels))
    return fail(NACRE_CORRUPT, "%s: the table of kernels is damaged", what);
  for (int32_t i = 0; i < model->kernel_count; ++i)
    if (!model->kernels[i].name)
      return fail(NACRE_CORRUPT, "%s: kernel %d has no name", what, i);

  if (model->parameter_size < 0 || model->state_size < 0 ||
      model->parameter_count < 0 ||
      (model->parameter_count > 0 && !model->parameters))
    return fail(NACRE_CORRUPT, "%s: the table of parameters is damaged", what);
  if (model->parameter_size > 0 && !parameters)
    return fail(NACRE_INVALID_ARGUMENT,
                "%s: the model has %lld bytes of parameters, but no data is "
                "given",
                what, static_cast<long long>(model->parameter_size));
  if (!isAligned(parameters))
    return fail(NACRE_INVALID_ARGUMENT,
                "%s: the parameters are not aligned to %d bytes", what,
                NACRE_ABI_ALIGNMENT);
  for (int32_t i = 0; i < model->parameter_count; ++i)
    if (nacre_status status =
            checkParameter(what, *model, model->parameters[i]))
      return status;
  return NACRE_OK;
}

} // namespace nacre::runtime
