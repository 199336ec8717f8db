//===- ListOperators.cpp - Which operators are imported ---------*- C++ -*-===//
#include "frontends/onnx/Converter.h"
#include "frontends/onnx/OnnxImporter.h"
#include "frontends/onnx/Schema.h"
#include <tuple>

using namespace nacre;
using namespace nacre::frontend;

std::vector<OperatorVersion> nacre::listOperators() {
  const ConverterTable &table = ConverterTable::get();
  using Kind = OperatorVersion::Kind;
  std::vector<OperatorVersion> all;
  for (const OpSchema &schema : getSchemas()) {
    Kind kind = table.find(schema.domain, schema.name) ? Kind::Converted
                : schema.bodyData                      ? Kind::Expanded
                                                       : Kind::Refused;
    all.push_back({schema.domain.str(), schema.name.str(), schema.since, schema.deprecated, kind});
  }
  for (auto [domain, name] : table.list())
    if (findSchemas(domain, name).empty())
      all.push_back({domain.str(), name.str(), 0, false, Kind::Converted});
  llvm::sort(all, [](const OperatorVersion &a, const OperatorVersion &b) {
    return std::tie(a.domain, a.name, a.since) < std::tie(b.domain, b.name, b.since);
  });
  return all;
}
