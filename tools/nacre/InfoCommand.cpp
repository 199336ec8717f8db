//===- InfoCommand.cpp - nacre info -----------------------------*- C++ -*-===//
#include "tools/nacre/Command.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <map>

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runInfo();
static Command command("info", "Print a model's signature, kernels, sizes and target",
                       "  nacre info model.so\n"
                       "  nacre info model.onnx --json      compiles it first\n", runInfo);
static cl::opt<std::string> path(cl::Positional, cl::Required, cl::sub(command.subcommand),
                                 cl::desc("<model.so | model.onnx>"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));
static CompileFlags flags(command.subcommand);

/// What the tensors are together.
static llvm::json::Value toJson(const std::vector<ValueInfo> &values) {
  constexpr const char *kKinds[] = {"tensor", "sequence", "nothing", "packed", "map", "maps", "any rank"};
  llvm::json::Array array;
  for (const ValueInfo &value : values)
    array.push_back(llvm::json::Object{{"name", toUtf8(value.name)},
                                       {"kind", kKinds[value.kind]},
                                       {"optional", value.isOptional},
                                       {"first", value.first},
                                       {"count", value.count}});
  return array;
}

static int printAsJson(const Model &model) {
  nacre_model_info info = model.info();
  llvm::json::Array functions, kernelList, versions;
  for (const nacre_version_info &version : model.versions())
    versions.push_back(llvm::json::Object{{"target_cpu", version.target_cpu},
                                          {"target_features", version.target_features},
                                          {"chosen", version.is_chosen == 1}});
  for (const Function &function : model.functions())
    functions.push_back(llvm::json::Object{{"name", std::string(function.name)},
                                           {"inputs", toJson(function.inputs)},
                                           {"outputs", toJson(function.outputs)},
                                           {"input_values", toJson(function.inputValues)},
                                           {"output_values", toJson(function.outputValues)},
                                           {"arena_bytes", function.arenaSize}});
  for (const nacre_kernel_info &kernel : model.kernels())
    kernelList.push_back(llvm::json::Object{{"name", kernel.name},
                                            {"nodes", toUtf8(kernel.nodes)},
                                            {"flops", kernel.flops},
                                            {"bytes", kernel.bytes}});
  llvm::json::Object object{{"functions", std::move(functions)},
                            {"kernels", std::move(kernelList)},
                            {"parameter_bytes", info.parameter_size},
                            {"state_bytes", info.state_size},
                            {"abi_version", int64_t(info.abi_version)},
                            {"target_cpu", info.target_cpu},
                            {"target_features", info.target_features},
                            {"versions", std::move(versions)}};
  if (auto provenance = llvm::json::parse(info.provenance)) {
    if (llvm::json::Object *origin = provenance->getAsObject())
      origin->erase("report"); // `nacre report` tells it
    object["provenance"] = *provenance;
  } else {
    llvm::consumeError(provenance.takeError());
  }
  printJson(std::move(object));
  return kSuccess;
}

/// What the artefact says of its origin, a line each; choices that were not made are left out.
static void printProvenance(llvm::StringRef text) {
  auto provenance = llvm::json::parse(text);
  if (!provenance)
    return llvm::consumeError(provenance.takeError());
  const llvm::json::Object *object = provenance->getAsObject();
  if (!object)
    return;
  std::map<llvm::StringRef, const llvm::json::Value *> sorted;
  for (const auto &[key, value] : *object)
    sorted.emplace(key, &value);
  for (const auto &[key, value] : sorted) {
    const llvm::json::Object *choices = value->getAsObject();
    if ((choices && choices->empty()) || key == "report") // `nacre report` tells that
      continue;
    llvm::outs() << llvm::left_justify(key, 9) << ' ';
    if (auto plain = value->getAsString())
      llvm::outs() << *plain << '\n';
    else
      llvm::outs() << *value << '\n';
  }
}

static int runInfo() {
  CompileOptions options;
  if (!flags.fill(options, path))
    return kUsageError;
  Result<Model> model = openModel(path, options);
  if (!model)
    return fail(model.error());
  if (json)
    return printAsJson(*model);
  nacre_model_info info = model->info();
  for (const Function &function : model->functions()) {
    llvm::outs() << "function " << function.name << '\n';
    for (const ValueInfo &value : function.inputValues)
      llvm::outs() << "  input   " << value.name << ": " << toString(value, function.inputs) << '\n';
    for (const ValueInfo &value : function.outputValues)
      llvm::outs() << "  output  " << value.name << ": " << toString(value, function.outputs) << '\n';
    llvm::outs() << "  arena   " << function.arenaSize << " bytes\n";
  }
  llvm::outs() << "weights   " << info.parameter_size << " bytes in " << info.parameter_count << " tensors\n";
  if (info.state_size)
    llvm::outs() << "state     " << info.state_size << " bytes in each session\n";
  llvm::outs() << "target    " << info.target_cpu << '\n';
  if (std::vector<nacre_version_info> versions = model->versions(); versions.size() > 1)
    for (const nacre_version_info &version : versions)
      llvm::outs() << "version   " << version.target_cpu << (version.is_chosen ? " (chosen)" : "") << '\n';
  llvm::outs() << "abi       " << info.abi_version << '\n';
  printProvenance(info.provenance);
  llvm::outs() << "kernels   " << info.kernel_count << '\n';
  for (const nacre_kernel_info &kernel : model->kernels()) {
    std::string flops = kernel.flops < 0 ? "?" : std::to_string(kernel.flops);
    llvm::outs() << llvm::format("  %-24s %12s flops  ", kernel.name, flops.c_str()) << kernel.nodes << '\n';
  }
  return kSuccess;
}
