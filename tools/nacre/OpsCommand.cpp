//===- OpsCommand.cpp - nacre ops -------------------------------*- C++ -*-===//
#include "frontends/onnx/OnnxImporter.h"
#include "tools/nacre/Command.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runOps();
static Command command("ops", "List the operators of ONNX that can be compiled",
                       "  nacre ops                 each with the opsets in which it changed\n"
                       "  nacre ops Resize          one\n"
                       "  nacre ops --json          for programs\n", runOps);
static cl::opt<std::string> wanted(cl::Positional, cl::sub(command.subcommand), cl::desc("[operator]"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));

static const char *describe(OperatorVersion::Kind kind) {
  switch (kind) {
  case OperatorVersion::Kind::Converted:
    return "converted";
  case OperatorVersion::Kind::Expanded:
    return "expanded";
  case OperatorVersion::Kind::Refused:
    return "refused";
  }
  llvm_unreachable("every kind is handled");
}

static std::string getFullName(const OperatorVersion &version) {
  return version.domain.empty() ? version.name : version.domain + "." + version.name;
}

static int runOps() {
  std::vector<OperatorVersion> versions = listOperators();
  if (!wanted.empty()) {
    llvm::erase_if(versions, [](const OperatorVersion &v) { return v.name != wanted && getFullName(v) != wanted; });
    if (versions.empty())
      return fail("there is no operator '" + wanted + "'");
  }
  if (json) {
    llvm::json::Array array;
    for (const OperatorVersion &v : versions)
      array.push_back(llvm::json::Object{{"domain", v.domain},
                                         {"name", v.name},
                                         {"since", v.since},
                                         {"deprecated", v.isDeprecated},
                                         {"import", describe(v.kind)}});
    printJson(std::move(array));
    return kSuccess;
  }
  for (size_t i = 0; i < versions.size();) {
    std::string name = getFullName(versions[i]), line;
    bool isRefused = versions[i].kind == OperatorVersion::Kind::Refused;
    for (; i < versions.size() && getFullName(versions[i]) == name; ++i)
      if (versions[i].since)
        line += " " + std::to_string(versions[i].since) + (versions[i].isDeprecated ? " (deprecated)" : "");
    llvm::outs() << name << ':' << line << (isRefused ? " not supported" : "") << '\n';
  }
  return kSuccess;
}
