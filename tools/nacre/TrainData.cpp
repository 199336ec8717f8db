//===- TrainData.cpp - Examples in files ------------------------*- C++ -*-===//
#include "tools/nacre/TrainData.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"
#include <cstring>
#include <type_traits>

using namespace nacre;
using namespace nacre::tool;

namespace {

/// Targets in files have whatever type was at hand: integers become the step's, and so do
/// integers and floats where it takes floats.
void adapt(HostTensor &tensor, nacre_dtype wanted) {
  auto convert = [&](auto from, auto to) {
    using From = decltype(from);
    using To = decltype(to);
    std::vector<std::byte> converted(tensor.data.size() / sizeof(From) * sizeof(To));
    for (size_t i = 0; i < tensor.data.size() / sizeof(From); ++i) {
      std::memcpy(&from, &tensor.data[i * sizeof(From)], sizeof(From));
      to = To(from);
      std::memcpy(&converted[i * sizeof(To)], &to, sizeof(To));
    }
    tensor.data = std::move(converted);
    tensor.dtype = wanted;
  };
  auto convertNumber = [&](auto from) {
    if (wanted == NACRE_I64 && std::is_integral_v<decltype(from)>)
      return convert(from, int64_t()); // u64 beyond it becomes negative: refused
    if (wanted == NACRE_F32)
      return convert(from, float());
    if (wanted == NACRE_F64)
      return convert(from, double());
  };
  if (tensor.dtype == wanted)
    return;
  switch (tensor.dtype) {
  case NACRE_BOOL: // a byte, 0 or 1
  case NACRE_U8: return convertNumber(uint8_t());
  case NACRE_I8: return convertNumber(int8_t());
  case NACRE_I16: return convertNumber(int16_t());
  case NACRE_U16: return convertNumber(uint16_t());
  case NACRE_I32: return convertNumber(int32_t());
  case NACRE_U32: return convertNumber(uint32_t());
  case NACRE_I64: return convertNumber(int64_t());
  case NACRE_U64: return convertNumber(uint64_t());
  case NACRE_F32: return convertNumber(float());
  case NACRE_F64: return convertNumber(double());
  default: return;
  }
}

} // namespace

Result<TrainData> TrainData::read(const Archive &archive, const Model &model) {
  TrainData data;
  const std::vector<Function> functions = model.functions();
  auto isOfModel = [&](std::string_view name) {
    for (const Function &function : functions)
      for (const TensorInfo &input : function.inputs)
        if (function.name == "main" && input.name == name)
          return true;
    return false;
  };
  for (const Function &function : functions) {
    if (function.name != "step")
      continue;
    for (const TensorInfo &input : function.inputs) {
      const ArchiveEntry *entry = archive.find(input.name);
      if (!entry)
        continue; // the trainer knows which it needs
      Result<HostTensor> tensor = archive.read(*entry);
      if (!tensor)
        return tensor.error();
      if (!isOfModel(input.name))
        adapt(*tensor, input.dtype);
      data.arrays.emplace_back(entry->name, *std::move(tensor));
    }
  }
  return data;
}

std::vector<Column> TrainData::columns() const {
  std::vector<Column> columns;
  for (const auto &[name, tensor] : arrays)
    columns.push_back({name, tensor.view()});
  return columns;
}

std::string TrainData::hash() const {
  std::string parts;
  for (const Column &column : columns()) {
    size_t size = size_t(column.data.elements()) * size_t(nacre_dtype_bits(column.data.dtype())) / 8;
    uint64_t elements = llvm::xxh3_64bits({static_cast<const uint8_t *>(column.data.data()), size});
    parts += column.name + ": " + toString(column.data) + " " + llvm::utohexstr(elements) + "\n";
  }
  return llvm::utohexstr(llvm::xxh3_64bits(parts), /*LowerCase=*/true, /*Width=*/16);
}
