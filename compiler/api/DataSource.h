//===- DataSource.h - Examples that C gives ---------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_DATASOURCE_H
#define NACRE_COMPILER_API_DATASOURCE_H

#include "compiler/api/nacre_trainer.h"
#include "runtime/api/nacre_data.hpp"
#include <cstring>

namespace nacre {

inline Error refusal(std::string message) { return {NACRE_INVALID_ARGUMENT, std::move(message)}; }

/// Reads the caller's struct. A caller built with an older header has fewer of its members.
template <typename T> Status readStruct(const T *given, T &all, const char *name) {
  if (!given)
    return {};
  if (given->struct_size < sizeof(size_t) || given->struct_size > sizeof all)
    return refusal(std::string(name) + "'s struct_size is " + std::to_string(given->struct_size) + ", expected " +
                   std::to_string(sizeof all) + "; start from its INIT");
  std::memcpy(&all, given, given->struct_size);
  return {};
}

/// Where a training's examples come from, as nacre_data says it.
class DataSource {
public:
  /// For a function of the model, which need not have it: the trainer says so then.
  static Result<DataSource> create(const nacre_data *given, const Model &model, const char *function, std::string name);

  bool isStream() const { return data.callback && data.examples == 0; }
  /// None of what a callback gives.
  const std::vector<Column> &getColumns() const { return columns; }

  /// These ask this object, and so hold as long.
  Dataset makeDataset();
  Stream makeStream();

private:
  Error refuse(const std::string &why) const { return refusal(name + " " + why); }
  /// `count` -1: of a stream.
  Result<std::vector<Column>> ask(int64_t count, const int64_t *examples, int64_t epoch, int64_t step);
  /// What the callback said of its failure.
  Error describe(nacre_status status) const;

  std::string name;
  nacre_data data;
  std::vector<TensorInfo> inputs;
  std::vector<Column> columns;
  std::vector<nacre_tensor> tensors; // of the batch that is asked for
};

} // namespace nacre

#endif // NACRE_COMPILER_API_DATASOURCE_H
