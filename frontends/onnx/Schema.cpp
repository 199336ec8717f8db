//===- Schema.cpp - ONNX's operators as its standard has them ---*- C++ -*-===//
#include "frontends/onnx/Schema.h"
#include "llvm/ADT/STLExtras.h"
#include <tuple>

using namespace nacre;
using namespace nacre::frontend;
using llvm::ArrayRef;
using llvm::StringRef;

#include "frontends/onnx/OnnxOperators.inc"

ArrayRef<OpSchema> frontend::findSchemas(StringRef domain, StringRef opType) {
  auto key = [](const OpSchema &schema) {
    return std::pair<StringRef, StringRef>(schema.domain, schema.name);
  };
  std::pair<StringRef, StringRef> wanted(domain, opType);
  const OpSchema *begin = llvm::partition_point(
      kSchemas, [&](const OpSchema &schema) { return key(schema) < wanted; });
  const OpSchema *end = begin;
  while (end != std::end(kSchemas) && key(*end) == wanted)
    ++end;
  return {begin, end};
}

ArrayRef<OpSchema> frontend::getSchemas() { return kSchemas; }

const OpSchema *frontend::findSchema(StringRef domain, StringRef opType,
                                     int64_t opset) {
  const OpSchema *found = nullptr;
  for (const OpSchema &schema : findSchemas(domain, opType))
    if (schema.since <= opset)
      found = &schema;
  return found;
}

bool frontend::isStandardDomain(StringRef domain) {
  return llvm::any_of(kSchemas, [&](const OpSchema &schema) {
    return schema.domain == domain;
  });
}
