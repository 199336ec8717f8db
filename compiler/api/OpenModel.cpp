//===- OpenModel.cpp - Compiled for what it is given ------------*- C++ -*-===//
#include "compiler/api/Compiler.h"

#include <algorithm>
#include <mutex>

using namespace nacre;

struct OpenModel::State {
  std::string path;
  CompileOptions options;
  std::vector<OpenInput> inputs;

  /// What decides: of each open input the ranks of its elements, of a sequence of one rank that alone, nullopt of
  /// what is not there.
  using Key = std::vector<std::optional<std::vector<size_t>>>;
  std::mutex mutex; // of the models
  std::map<Key, std::vector<std::shared_ptr<const Model>>> models;
};

static std::vector<size_t> getRanks(const std::vector<std::vector<int64_t>> &shapes) {
  std::vector<size_t> ranks;
  for (const std::vector<int64_t> &shape : shapes)
    ranks.push_back(shape.size());
  if (std::adjacent_find(ranks.begin(), ranks.end(), std::not_equal_to<>()) == ranks.end() && !ranks.empty())
    ranks.resize(1);
  return ranks;
}

/// Whether it was not compiled for vectors of other lengths, on which a rank depends.
static bool fits(const Model &model, const std::map<std::string, ExampleShapes> &shapes) {
  std::vector<Function> functions = model.functions();
  for (const TensorInfo &input : functions.front().inputs) {
    auto given = shapes.find(std::string(input.name));
    if (input.dims.size() != 1 || input.dims[0].size < 0 || given == shapes.end() || !given->second)
      continue;
    const std::vector<std::vector<int64_t>> &own = *given->second;
    if (own.size() == 1 && own[0].size() == 1 && own[0][0] != input.dims[0].size)
      return false;
  }
  return true;
}

Result<OpenModel> OpenModel::open(std::string path, CompileOptions options) {
  Result<std::vector<OpenInput>> inputs = listInputs(path);
  if (!inputs)
    return inputs.error();
  auto state = std::make_shared<State>();
  state->path = std::move(path);
  state->options = std::move(options);
  state->inputs = *std::move(inputs);
  return OpenModel(std::move(state));
}

const std::vector<OpenInput> &OpenModel::inputs() const { return state->inputs; }

Result<std::shared_ptr<const Model>> OpenModel::specialize(const std::map<std::string, ExampleShapes> &shapes) {
  CompileOptions options = state->options;
  State::Key key;
  for (const auto &[name, own] : shapes)
    options.examples[name] = own;
  for (const OpenInput &input : state->inputs) {
    if (!input.lacksRank && !input.lacksElement)
      continue;
    const ExampleShapes &own = options.examples[input.name]; // of what was left out: no element
    key.push_back(own ? std::optional(getRanks(*own)) : std::nullopt);
  }
  std::lock_guard<std::mutex> lock(state->mutex);
  auto &models = state->models[std::move(key)];
  for (const std::shared_ptr<const Model> &model : models)
    if (fits(*model, shapes))
      return model;
  Result<Model> made = compile(state->path, options);
  if (!made)
    return made.error();
  return models.emplace_back(std::make_shared<const Model>(*std::move(made)));
}
