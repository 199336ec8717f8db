//===- Emit.cpp - Which files a compilation writes --------------*- C++ -*-===//
#include "compiler/api/Compiler.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"

using namespace nacre;

namespace {
struct Kind {
  std::string_view name, ending;
};
} // namespace

// In the order of Emit.
static constexpr Kind kKinds[] = {{"shared", ".so"},       {"object", ".o"},   {"static-library", ".a"},
                                  {"executable", ""},      {"header", ".h"},   {"mlir", ".mlir"},
                                  {"llvm-ir", ".ll"},      {"assembly", ".s"}};

static_assert(std::size(kKinds) == std::size(kEmitKinds));

std::string_view nacre::getName(Emit kind) { return kKinds[size_t(kind)].name; }
std::string_view nacre::getEnding(Emit kind) { return kKinds[size_t(kind)].ending; }

std::optional<Emit> nacre::parseEmit(std::string_view name) {
  for (Emit kind : kEmitKinds)
    if (getName(kind) == name)
      return kind;
  return std::nullopt;
}

std::vector<std::pair<Emit, std::string>> nacre::getOutputFiles(const std::string &artifact,
                                                                const CompileOptions &options) {
  std::vector<std::pair<Emit, std::string>> files;
  auto add = [&](Emit kind) {
    llvm::SmallString<128> path(artifact);
    if (!files.empty()) // an executable "m" may be called "m.bin", or have a dot in its name
      llvm::sys::path::replace_extension(path, llvm::StringRef(getEnding(kind)));
    files.emplace_back(kind, std::string(path));
  };
  bool needsHeader = false;
  for (Emit kind : options.emit) {
    add(kind);
    needsHeader |= kind == Emit::Shared || kind == Emit::Object || kind == Emit::StaticLibrary;
  }
  if (needsHeader && !llvm::is_contained(options.emit, Emit::Header))
    add(Emit::Header);
  return files;
}
