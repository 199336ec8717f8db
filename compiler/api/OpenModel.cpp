//===- OpenModel.cpp - Compiled for what it is given ------------*- C++ -*-===//
#include "compiler/api/Compiler.h"

#include <algorithm>
#include <mutex>
#include <set>

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
  std::set<std::string> fixed; // vectors that have one length in every model
};

static std::vector<size_t> getRanks(const std::vector<std::vector<int64_t>> &shapes) {
  std::vector<size_t> ranks;
  for (const std::vector<int64_t> &shape : shapes)
    ranks.push_back(shape.size());
  if (std::adjacent_find(ranks.begin(), ranks.end(), std::not_equal_to<>()) == ranks.end() && !ranks.empty())
    ranks.resize(1);
  return ranks;
}

/// The vectors that have other lengths than those that it was compiled for.
static std::vector<std::string> listOthers(const Model &model, const std::map<std::string, ExampleShapes> &shapes) {
  std::vector<std::string> others;
  std::vector<Function> functions = model.functions();
  for (const TensorInfo &input : functions.front().inputs) {
    auto given = shapes.find(std::string(input.name));
    if (input.dims.size() != 1 || input.dims[0].size < 0 || given == shapes.end() || !given->second)
      continue;
    const std::vector<std::vector<int64_t>> &own = *given->second;
    if (own.size() == 1 && own[0].size() == 1 && own[0][0] != input.dims[0].size)
      others.emplace_back(input.name);
  }
  return others;
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
  auto isFixed = [&](const std::string &name) { return state->fixed.count(name) > 0; };
  for (const std::shared_ptr<const Model> &model : models)
    if (std::ranges::all_of(listOthers(*model, shapes), isFixed))
      return model;
  Result<Model> made = compile(state->path, options);
  if (!made)
    return made.error();
  // What was not compiled for the length that it has here cannot have it: running says so.
  for (std::string &name : listOthers(*made, shapes))
    state->fixed.insert(std::move(name));
  return models.emplace_back(std::make_shared<const Model>(*std::move(made)));
}
