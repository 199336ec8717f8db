//===- KernelChoices.cpp - What could be decided otherwise ------*- C++ -*-===//
#include "compiler/api/KernelChoices.h"
#include "compiler/tile/Choices.h"
#include "dialects/kern/KernOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace nacre;

std::vector<KernelChoice> nacre::takeChoices(ModuleOp module) {
  llvm::StringSet<> run;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.getName() != "prepare")
      function.walk([&](kern::CallOp call) { run.insert(call.getCallee()); });
  std::vector<KernelChoice> choices;
  llvm::StringMap<size_t> numbers; // by the key
  for (auto kernel : module.getOps<kern::FuncOp>()) {
    auto list = dyn_cast_if_present<ArrayAttr>(kernel->removeAttr(tile::kChoices));
    if (!list || !run.contains(kernel.getName()))
      continue;
    for (auto entry : list.getAsRange<DictionaryAttr>()) {
      auto key = entry.getAs<StringAttr>("key");
      auto [number, isNew] = numbers.try_emplace(key.getValue(), choices.size());
      if (isNew) {
        choices.push_back({key.str(), entry.getAs<StringAttr>("chosen").str(), {}, entry.contains("open"), {}});
        for (auto other : entry.getAs<ArrayAttr>("others").getAsRange<StringAttr>())
          choices.back().others.push_back(other.str());
      }
      choices[number->second].kernels.push_back(kernel.getName().str());
    }
  }
  return choices;
}
