/* An artefact written by hand: y[n, 3] = x[n, 3] * w[3] + 1, in a parallel
 * loop. */
#include "runtime/abi/nacre_abi.h"

#include <stddef.h>

static _Alignas(64) const float weights[16] = {2, 3, 4};

struct environment {
  const float *x;
  const float *w;
  float *y;
};

static void body(nacre_abi_context *context, void *pointer, int64_t begin,
                 int64_t end) {
  struct environment *e = pointer;
  (void)context;
  for (int64_t i = begin; i < end; ++i)
    for (int j = 0; j < 3; ++j)
      e->y[3 * i + j] = e->x[3 * i + j] * e->w[j] + 1;
}

static int32_t run(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  int64_t dims[2] = {inputs[0].dims[0], 3};
  struct environment e;
  e.x = inputs[0].data;
  e.w = (const float *)context->parameters;
  e.y = context->output(context, 0, 2, dims);
  if (!e.y)
    return NACRE_ABI_OUT_OF_MEMORY;
  context->parallel_for(context, body, &e, dims[0], 16);
  return NACRE_ABI_OK;
}

static const nacre_abi_dim dims[] = {{-1, "N"}, {3, NULL}};
static const nacre_abi_dim weight_dims[] = {{3, NULL}};
static const nacre_abi_tensor_info input = {"x", NACRE_DTYPE_F32, 2, dims};
static const nacre_abi_tensor_info output = {"y", NACRE_DTYPE_F32, 2, dims};
static const nacre_abi_function function = {"main", run, &input, &output,
                                            1,      1,   0};
static const nacre_abi_kernel_info kernel = {"scale", "Mul_0,Add_1", -1, -1};
static const nacre_abi_parameter_info parameter = {
    {"w", NACRE_DTYPE_F32, 1, weight_dims}, 0, 12, 0, 0, -1};

__attribute__((visibility("default"))) const nacre_abi_model nacre_model = {
    .magic = NACRE_ABI_MAGIC,
    .abi_version = NACRE_ABI_VERSION,
    .struct_size = sizeof(nacre_abi_model),
    .pointer_bits = 64,
    .functions = &function,
    .kernels = &kernel,
    .parameters = &parameter,
    .function_count = 1,
    .kernel_count = 1,
    .parameter_count = 1,
    .parameter_data = (const uint8_t *)weights,
    .parameter_size = 64,
    /* nacre_checksum_of the 64 bytes above; LoaderTest computes it again. */
    .parameter_checksum = 0x12e15aeaf809b3b5ull,
    .target_cpu = "x86-64",
    .target_features = "",
    .provenance = "{\"source\": \"by hand\"}",
};
