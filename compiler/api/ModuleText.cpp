//===- ModuleText.cpp - Modules as files ------------------------*- C++ -*-===//
#include "compiler/api/ModuleText.h"
#include "compiler/pipeline/Register.h"

using namespace mlir;

const DialectRegistry &nacre::getDialects() {
  static const DialectRegistry *registry = [] {
    auto *result = new DialectRegistry;
    registerDialects(*result);
    return result;
  }();
  return *registry;
}

/// The text of a weight begins with how it happens to be aligned in memory: as if it were
/// always to 64 bytes.
std::string nacre::printComplete(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, OpPrintingFlags().enableDebugInfo());
  constexpr llvm::StringLiteral start = ": \"0x", alignment = "40000000";
  for (size_t at = text.find("{-#"); (at = text.find(start, at)) != std::string::npos; at += start.size())
    if (at + start.size() + alignment.size() < text.size())
      text.replace(at + start.size(), alignment.size(), alignment);
  return text + '\n';
}
