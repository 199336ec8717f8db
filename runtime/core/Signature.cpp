#include "runtime/core/Signature.h"

#include "runtime/abi/nacre_dtype.h"

#include <cstdarg>
#include <cstdio>

namespace nacre::runtime {

namespace {

// A shape or a list of names for a message, "[N, 784]"; cut when too long.
struct List {
  char text[200] = "";
  size_t used = 0;

  [[gnu::format(printf, 2, 3)]] void add(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (used < sizeof text - 1) {
      int length =
          std::vsnprintf(text + used, sizeof text - used, format, arguments);
      used += length > 0 ? static_cast<size_t>(length) : 0;
      if (used >= sizeof text) {
        used = sizeof text - 1;
        std::memcpy(text + used - 3, "...", 3);
      }
    }
    va_end(arguments);
  }
};

struct Shape : List {
  explicit Shape(const nacre_abi_tensor_info &info) {
    add("[");
    for (int32_t i = 0; i < info.rank; ++i) {
      const char *comma = i ? ", " : "";
      const nacre_abi_dim &dim = info.dims[i];
      if (dim.size >= 0)
        add("%s%lld", comma, static_cast<long long>(dim.size));
      else
        add("%s%s", comma,
            dim.symbol && *dim.symbol ? Quoted(dim.symbol).text : "?");
    }
    add("]");
  }
};

struct Names : List {
  Names(const nacre_abi_tensor_info *infos, int32_t count) {
    if (count == 0)
      add("none");
    for (int32_t i = 0; i < count && used < sizeof text - 1; ++i)
      add("%s'%s'", i ? ", " : "", Quoted(infos[i].name).text);
  }
};

} // namespace

using ll = long long;

int64_t bytesOf(int32_t dtype, int32_t rank, const int64_t *dims) {
  int64_t count = 1;
  bool empty = false;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0)
      return -1;
    empty |= dims[i] == 0;
  }
  if (empty)
    return 0;
  for (int32_t i = 0; i < rank; ++i)
    if (__builtin_mul_overflow(count, dims[i], &count))
      return -1;
  if (dtype == NACRE_STRING)
    return count > INT64_MAX / int64_t(sizeof(nacre_string))
               ? -1
               : count * int64_t(sizeof(nacre_string));
  return nacre_abi_dtype_bytes(dtype, count);
}

// Whether the strides describe row-major memory without gaps.
static bool isRowMajor(const nacre_tensor &tensor) {
  if (!tensor.strides)
    return true;
  int64_t expected = 1;
  for (int32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] == 0)
      return true;
  for (int32_t i = tensor.rank - 1; i >= 0; --i) {
    if (tensor.dims[i] != 1 && tensor.strides[i] != expected)
      return false;
    if (__builtin_mul_overflow(expected, tensor.dims[i], &expected))
      return false;
  }
  return true;
}

static bool isAligned(const void *data, int32_t dtype) {
  // Complex numbers are pairs; nothing is aligned to more than 8 bytes.
  int32_t bytes = nacre_abi_dtype_bits(dtype) / 8;
  bytes = bytes > 8 || dtype == NACRE_STRING ? 8 : bytes;
  return bytes <= 1 ||
         reinterpret_cast<uintptr_t>(data) % static_cast<uint32_t>(bytes) == 0;
}

// Records "input 'x': " and the sentence.
[[gnu::format(printf, 4, 5)]] static nacre_status
refuseTensor(const char *kind, const char *name, nacre_status code,
             const char *format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return fail(code, "%s '%s': %s", kind, Quoted(name).text, text);
}

nacre_status checkTensor(const char *kind, const nacre_tensor &tensor,
                         const nacre_abi_tensor_info &info) {
  if (tensor.dtype != info.dtype)
    return refuseTensor(kind, info.name, NACRE_INVALID_SHAPE,
                        "the element type is %s, expected %s",
                        nacre_abi_dtype_name(tensor.dtype),
                        nacre_abi_dtype_name(info.dtype));
  if (tensor.rank != info.rank)
    return refuseTensor(kind, info.name, NACRE_INVALID_SHAPE,
                        "the rank is %d, expected %d: %s", tensor.rank,
                        info.rank, Shape(info).text);
  for (int32_t d = 0; d < info.rank; ++d) {
    if (tensor.dims[d] < 0)
      return refuseTensor(kind, info.name, NACRE_INVALID_SHAPE,
                          "dimension %d is %lld, expected no negative size", d,
                          ll(tensor.dims[d]));
    if (info.dims[d].size >= 0 && tensor.dims[d] != info.dims[d].size)
      return refuseTensor(kind, info.name, NACRE_INVALID_SHAPE,
                          "dimension %d is %lld, expected %lld", d,
                          ll(tensor.dims[d]), ll(info.dims[d].size));
  }
  int64_t bytes = bytesOf(info.dtype, info.rank, tensor.dims);
  if (bytes < 0)
    return refuseTensor(kind, info.name, NACRE_INVALID_SHAPE,
                        "it is larger than 2^63 bytes");
  if (tensor.size != 0 && tensor.size != bytes)
    return refuseTensor(kind, info.name, NACRE_INVALID_SHAPE,
                        "its memory is %lld bytes, expected %lld for its shape",
                        ll(tensor.size), ll(bytes));
  if (!tensor.data && bytes > 0)
    return refuseTensor(kind, info.name, NACRE_INVALID_ARGUMENT,
                        "the data is NULL, expected %lld bytes", ll(bytes));
  if (!isRowMajor(tensor))
    return refuseTensor(
        kind, info.name, NACRE_INVALID_ARGUMENT,
        "the strides are not those of row-major memory; copy it to "
        "contiguous memory first");
  if (bytes > 0 && !isAligned(tensor.data, info.dtype))
    return refuseTensor(kind, info.name, NACRE_INVALID_ARGUMENT,
                        "the data is not aligned to its element type %s",
                        nacre_abi_dtype_name(info.dtype));
  return NACRE_OK;
}

static nacre_status checkSymbols(const nacre_abi_function &function,
                                 const FunctionInfo &info, int32_t input,
                                 const int64_t *dims, SymbolValue *symbols) {
  const int32_t *numbers = info.symbols.data() + info.firstSymbol[input];
  for (int32_t d = 0; d < function.inputs[input].rank; ++d) {
    if (numbers[d] < 0)
      continue;
    SymbolValue &value = symbols[numbers[d]];
    if (value.input < 0) {
      value = {dims[d], input, d};
    } else if (value.size != dims[d]) {
      Quoted symbol(function.inputs[input].dims[d].symbol);
      return fail(NACRE_INVALID_SHAPE,
                  "input '%s': dimension %d ('%s') is %lld, expected %lld as "
                  "in dimension %d of input '%s'",
                  Quoted(function.inputs[input].name).text, d, symbol.text,
                  ll(dims[d]), ll(value.size), value.dim,
                  Quoted(function.inputs[value.input].name).text);
    }
  }
  return NACRE_OK;
}

// Which input or output the caller means by position i of its array.
static nacre_status resolve(const nacre_abi_function &function,
                            const FunctionInfo &info, bool isInput,
                            const char *name, int32_t i, int32_t &index) {
  index = i;
  if (!name)
    return NACRE_OK;
  const nacre_abi_tensor_info *infos =
      isInput ? function.inputs : function.outputs;
  int32_t count = isInput ? function.input_count : function.output_count;
  if (i < count && std::strcmp(infos[i].name, name) == 0)
    return NACRE_OK;
  index = (isInput ? info.inputs : info.outputs).find(name);
  if (index >= 0)
    return NACRE_OK;
  const char *kind = isInput ? "input" : "output";
  return fail(NACRE_NOT_FOUND,
              "%s '%s': function '%s' has no such %s; its %ss: %s", kind,
              Quoted(name).text, Quoted(function.name).text, kind, kind,
              Names(infos, count).text);
}

nacre_status bindInputs(const Model &model, int32_t index,
                        const nacre_tensor *inputs, int32_t count,
                        nacre_abi_tensor *bound, SymbolValue *symbols) {
  const nacre_abi_function &function = model.abi().functions[index];
  const FunctionInfo &info = model.function(index);
  if (count < 0 || (count > 0 && !inputs))
    return fail(NACRE_INVALID_ARGUMENT, "the array of inputs is NULL");
  if (count != function.input_count)
    return fail(NACRE_INVALID_ARGUMENT,
                "function '%s': %d inputs are given, expected %d: %s",
                Quoted(function.name).text, count, function.input_count,
                Names(function.inputs, function.input_count).text);
  for (int32_t i = 0; i < count; ++i)
    bound[i] = {nullptr, nullptr};
  for (int32_t i = 0; i < info.symbolCount; ++i)
    symbols[i] = {};
  for (int32_t i = 0; i < count; ++i) {
    int32_t to;
    if (nacre_status status =
            resolve(function, info, true, inputs[i].name, i, to))
      return status;
    if (bound[to].dims)
      return fail(NACRE_INVALID_ARGUMENT, "input '%s': given twice",
                  Quoted(function.inputs[to].name).text);
    if (nacre_status status =
            checkTensor("input", inputs[i], function.inputs[to]))
      return status;
    bound[to] = {inputs[i].data, inputs[i].dims};
  }
  // In the function's order, so that the message does not depend on the
  // caller's.
  for (int32_t i = 0; i < count; ++i)
    if (nacre_status status =
            checkSymbols(function, info, i, bound[i].dims, symbols))
      return status;
  return NACRE_OK;
}

int64_t capacityOf(const nacre_tensor &output, int32_t dtype) {
  if (output.size != 0)
    return output.size;
  if (output.rank < 0 || output.rank > NACRE_MAX_RANK)
    return -1;
  return bytesOf(dtype, output.rank, output.dims);
}

static nacre_status checkOutput(nacre_tensor &output,
                                const nacre_abi_tensor_info &info) {
  if (output.dtype != NACRE_UNDEFINED && output.dtype != info.dtype)
    return refuseTensor("output", info.name, NACRE_INVALID_SHAPE,
                        "the element type is %s, expected %s",
                        nacre_abi_dtype_name(output.dtype),
                        nacre_abi_dtype_name(info.dtype));
  if (info.dtype == NACRE_STRING)
    return refuseTensor("output", info.name, NACRE_INVALID_ARGUMENT,
                        "strings need the runtime's memory: leave data NULL");
  int64_t capacity = capacityOf(output, info.dtype);
  if (capacity < 0)
    return refuseTensor("output", info.name, NACRE_INVALID_ARGUMENT,
                        "its size, rank or dimensions are out of range");
  if (output.strides && (output.rank != info.rank || !isRowMajor(output)))
    return refuseTensor("output", info.name, NACRE_INVALID_ARGUMENT,
                        "the strides are not those of row-major memory");
  if (!isAligned(output.data, info.dtype))
    return refuseTensor("output", info.name, NACRE_INVALID_ARGUMENT,
                        "the data is not aligned to its element type %s",
                        nacre_abi_dtype_name(info.dtype));
  int64_t needed = staticBytes(info);
  if (needed > capacity) {
    output.rank = info.rank;
    for (int32_t d = 0; d < info.rank; ++d)
      output.dims[d] = info.dims[d].size;
    output.size = needed;
    return refuseTensor("output", info.name, NACRE_INVALID_SHAPE,
                        "its memory is %lld bytes, expected at least %lld",
                        ll(capacity), ll(needed));
  }
  return NACRE_OK;
}

nacre_status bindOutputs(const Model &model, int32_t index,
                         nacre_tensor *outputs, int32_t count,
                         nacre_tensor **targets) {
  const nacre_abi_function &function = model.abi().functions[index];
  const FunctionInfo &info = model.function(index);
  if (count < 0 || (count > 0 && !outputs))
    return fail(NACRE_INVALID_ARGUMENT, "the array of outputs is NULL");
  if (count > function.output_count)
    return fail(NACRE_INVALID_ARGUMENT,
                "function '%s': %d outputs are asked for, it has %d: %s",
                Quoted(function.name).text, count, function.output_count,
                Names(function.outputs, function.output_count).text);
  for (int32_t i = 0; i < function.output_count; ++i)
    targets[i] = nullptr;
  for (int32_t i = 0; i < count; ++i) {
    int32_t to;
    if (nacre_status status =
            resolve(function, info, false, outputs[i].name, i, to))
      return status;
    if (targets[to])
      return fail(NACRE_INVALID_ARGUMENT, "output '%s': asked for twice",
                  Quoted(function.outputs[to].name).text);
    if (outputs[i].data && !outputs[i].owner)
      if (nacre_status status = checkOutput(outputs[i], function.outputs[to]))
        return status;
    targets[to] = &outputs[i];
  }
  return NACRE_OK;
}

static int compareRanges(const void *a, const void *b) {
  uintptr_t x = static_cast<const Range *>(a)->begin;
  uintptr_t y = static_cast<const Range *>(b)->begin;
  return x < y ? -1 : x > y;
}

nacre_status checkOverlap(const nacre_abi_function &function, Range *ranges,
                          int64_t count) {
  if (count > 32) {
    std::qsort(ranges, static_cast<size_t>(count), sizeof *ranges,
               compareRanges);
  } else {
    for (int64_t i = 1; i < count; ++i)
      for (int64_t j = i; j > 0 && ranges[j].begin < ranges[j - 1].begin; --j)
        std::swap(ranges[j], ranges[j - 1]);
  }
  // The input and the output that reach furthest so far.
  const Range *input = nullptr, *output = nullptr;
  for (int64_t i = 0; i < count; ++i) {
    const Range &range = ranges[i];
    const Range *other = nullptr;
    if (output && output->end > range.begin)
      other = output;
    else if (range.isOutput && input && input->end > range.begin)
      other = input;
    if (other) {
      const Range &out = range.isOutput ? range : *other;
      const Range &what = range.isOutput ? *other : range;
      return fail(NACRE_INVALID_ARGUMENT,
                  "output '%s': its memory overlaps that of %s '%s'",
                  Quoted(function.outputs[out.index].name).text,
                  what.isOutput ? "output" : "input",
                  Quoted((what.isOutput ? function.outputs
                                        : function.inputs)[what.index]
                             .name)
                      .text);
    }
    const Range *&furthest = range.isOutput ? output : input;
    if (!furthest || range.end > furthest->end)
      furthest = &range;
  }
  return NACRE_OK;
}

} // namespace nacre::runtime
