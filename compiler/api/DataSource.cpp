//===- DataSource.cpp - Examples that C gives -------------------*- C++ -*-===//
#include "compiler/api/DataSource.h"

using namespace nacre;

/// A tensor of the caller's as a column: whatever it says must be true of its memory.
static Result<Column> toColumn(const nacre_tensor &tensor, const std::string &name) {
  auto refuse = [&](const std::string &why) { return Error{NACRE_INVALID_SHAPE, "array '" + name + "': " + why}; };
  if (tensor.rank < 0 || tensor.rank > NACRE_MAX_RANK)
    return refuse("the rank is " + std::to_string(tensor.rank));
  TensorView view(tensor.data, nacre_dtype(tensor.dtype), std::span(tensor.dims, size_t(tensor.rank)));
  int64_t bytes = nacre_dtype_bits(tensor.dtype) / 8;
  if (bytes == 0)
    return refuse("elements of the type " + std::string(nacre_dtype_name(tensor.dtype)) + ", expected whole bytes each");
  for (int32_t i = tensor.rank; i-- > 0;) {
    if (tensor.strides && tensor.dims[i] > 1 && tensor.strides[i] != bytes / (nacre_dtype_bits(tensor.dtype) / 8))
      return refuse("its strides are not those of row-major memory without gaps");
    if (tensor.dims[i] < 0 || __builtin_mul_overflow(bytes, tensor.dims[i], &bytes))
      return refuse("dims[" + std::to_string(i) + "] is " + std::to_string(tensor.dims[i]));
  }
  if (bytes > 0 && !tensor.data)
    return refuse("data is NULL");
  if (tensor.size && tensor.size < bytes)
    return refuse("its size is " + std::to_string(tensor.size) + " bytes, but " + toString(view) + " takes " +
                  std::to_string(bytes));
  return Column{name, view};
}

Result<DataSource> DataSource::create(const nacre_data *given, const Model &model, const char *function,
                                      std::string name) {
  DataSource source;
  source.name = std::move(name);
  source.data = NACRE_DATA_INIT;
  if (Status status = readStruct(given, source.data, source.name.c_str()); !status)
    return status.error();
  const nacre_data &data = source.data;
  bool hasColumns = data.columns != nullptr;
  if (hasColumns == (data.callback != nullptr))
    return source.refuse(hasColumns ? "has columns and a callback, expected one of them"
                                    : "has neither columns nor a callback");
  if (data.column_count < 0 || data.examples < 0 || data.steps < 0)
    return source.refuse("column_count, examples or steps is less than 0");
  if (data.steps > 0 && (hasColumns || data.examples > 0))
    return source.refuse("steps is for a stream: a callback without examples");
  if (hasColumns && data.column_count == 0)
    return source.refuse("has columns, but their number is 0");
  for (int32_t i = 0; i < data.column_count && hasColumns; ++i) {
    if (!data.columns[i].name)
      return source.refuse("columns[" + std::to_string(i) + "].name is NULL");
    Result<Column> column = toColumn(data.columns[i], data.columns[i].name);
    if (!column)
      return column.error();
    source.columns.push_back(*std::move(column));
  }
  for (const Function &each : model.functions())
    if (each.name == function)
      source.inputs = each.inputs;
  if (!source.inputs.empty() && source.inputs.back().name == "learning_rate" && std::string_view(function) == "step")
    source.inputs.pop_back();
  return source;
}

Dataset DataSource::makeDataset() {
  Dataset dataset;
  dataset.examples = data.examples;
  if (data.callback)
    dataset.get = [this](std::span<const int64_t> numbers) {
      return ask(int64_t(numbers.size()), numbers.data(), 0, 0);
    };
  return dataset;
}

Stream DataSource::makeStream() {
  Stream stream;
  stream.steps = data.steps;
  stream.next = [this](int64_t epoch, int64_t step) { return ask(-1, nullptr, epoch, step); };
  return stream;
}

Result<std::vector<Column>> DataSource::ask(int64_t count, const int64_t *examples, int64_t epoch, int64_t step) {
  tensors.assign(inputs.size(), nacre_tensor{});
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorInfo &input = inputs[i];
    tensors[i].name = input.name.data(); // the model's, with a zero at its end
    tensors[i].dtype = input.dtype;
    tensors[i].rank = int32_t(input.dims.size());
    for (size_t d = 0; d < input.dims.size(); ++d)
      tensors[i].dims[d] = input.dims[d].size;
    if (count >= 0)
      tensors[i].dims[0] = count;
  }
  nacre_batch batch{sizeof(nacre_batch), examples,       count >= 0 ? count : 0,       epoch,
                    step,                tensors.data(), int32_t(tensors.size()), 0};
  (void)nacre_error_set(NACRE_OK, "");
  nacre_status status = data.callback(data.user_data, &batch);
  if (status != NACRE_OK)
    return describe(status);
  if (batch.ended && count < 0)
    return std::vector<Column>();
  std::vector<Column> result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Result<Column> column = toColumn(tensors[i], std::string(inputs[i].name));
    if (!column)
      return Error{column.error().status, name + "'s callback: " + column.error().message};
    result.push_back(*std::move(column));
  }
  return result;
}

Error DataSource::describe(nacre_status status) const {
  int32_t number; // not an enumerator before it is known to be one
  static_assert(sizeof number == sizeof status);
  std::memcpy(&number, &status, sizeof number);
  bool isKnown = number > NACRE_OK && number <= NACRE_INTERNAL;
  if (std::string message = nacre_last_error(); isKnown && !message.empty())
    return {status, std::move(message)};
  std::string what = isKnown ? nacre_status_name(status) : std::to_string(number) + ", which is no nacre_status";
  return {isKnown ? status : NACRE_INVALID_ARGUMENT, name + "'s callback failed without a message: " + what};
}
