//===- TuneCache.cpp - What was learnt of kernels, on disk ------*- C++ -*-===//
#include "compiler/api/TuneCache.h"
#include "llvm/Support/JSON.h"

using namespace nacre;

/// Another number for another meaning of what is kept.
static constexpr int kVersion = 1;

codegen::CacheKey TuneCache::getKey(const KernelChoice &choice) const {
  std::string content;
  llvm::raw_string_ostream stream(content);
  stream << "tuning " << kVersion << '\n' << choice.key << '\n' << threads << " threads\n";
  if (choice.isOpen)
    for (const auto &[name, size] : sizes)
      stream << name << '=' << size << '\n';
  std::string name = "tuning of " + (choice.kernels.empty() ? choice.key : choice.kernels.front());
  return codegen::CacheKey(name, content, target, codegen::Effort::Kernel);
}

std::optional<LearntChoice> TuneCache::find(const KernelChoice &choice) {
  std::unique_ptr<llvm::MemoryBuffer> entry = cache.find(getKey(choice));
  if (!entry)
    return std::nullopt;
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(entry->getBuffer());
  if (!value) {
    llvm::consumeError(value.takeError());
    return std::nullopt;
  }
  const llvm::json::Object *object = value->getAsObject();
  std::optional<bool> isExhausted = object ? object->getBoolean("exhausted") : std::nullopt;
  const llvm::json::Value *decision = object ? object->get("decision") : nullptr;
  if (!isExhausted || !decision || (!decision->getAsNull() && !decision->getAsString()))
    return std::nullopt;
  const llvm::json::Array *tried = object->getArray("tried");
  if (!tried)
    return std::nullopt;
  LearntChoice learnt{std::nullopt, *isExhausted};
  for (const llvm::json::Value &one : *tried)
    if (auto text = one.getAsString())
      learnt.tried.insert(text->str());
  if (auto text = decision->getAsString())
    learnt.decision = text->str();
  return learnt;
}

void TuneCache::store(const KernelChoice &choice, const LearntChoice &learnt) {
  llvm::json::Object object{{"exhausted", learnt.isExhausted}, {"decision", nullptr}, {"tried", llvm::json::Array(learnt.tried)}};
  if (learnt.decision)
    object["decision"] = *learnt.decision;
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(object));
  cache.store(getKey(choice), text);
}
