//===- CacheCommand.cpp - nacre cache ---------------------------*- C++ -*-===//
#include "compiler/api/Cache.h"
#include "tools/nacre/Command.h"
#include "llvm/Support/Chrono.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatProviders.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runCache();
static Command command("cache", "Show, explain or clear the cache of compiled kernels",
                       "  nacre cache list                      what it holds\n"
                       "  nacre cache explain model.onnx        what it has of a model, and why not the rest\n"
                       "  nacre cache clear\n", runCache);
static cl::opt<std::string> action(cl::Positional, cl::Required, cl::sub(command.subcommand),
                                   cl::desc("<list | explain | clear>"));
static cl::opt<std::string> model(cl::Positional, cl::sub(command.subcommand), cl::desc("[model.onnx]"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));
static CompileFlags flags(command.subcommand);

static int list(const std::string &directory) {
  Result<std::vector<CachedKernel>> kernels = listCache(directory);
  if (!kernels)
    return fail(kernels.error());
  int64_t bytes = 0;
  llvm::json::Array array;
  for (const CachedKernel &kernel : *kernels) {
    bytes += kernel.bytes;
    array.push_back(llvm::json::Object{{"file", kernel.file},
                                       {"name", toUtf8(kernel.name)},
                                       {"bytes", kernel.bytes},
                                       {"last_use", kernel.lastUse},
                                       {"cpu", toUtf8(kernel.cpu)},
                                       {"compiler", toUtf8(kernel.compiler)},
                                       {"corrupt", kernel.isCorrupt}});
  }
  if (json) {
    printJson(llvm::json::Object{{"directory", toUtf8(directory)}, {"bytes", bytes}, {"kernels", std::move(array)}});
    return kSuccess;
  }
  for (const CachedKernel &kernel : *kernels)
    llvm::outs() << llvm::format("%8lld KiB  ", (long long)(kernel.bytes + 1023) / 1024)
                 << llvm::formatv("{0:%Y-%m-%d %H:%M}  ", llvm::sys::toTimePoint(kernel.lastUse))
                 << (kernel.isCorrupt ? "corrupt: " + kernel.file : kernel.name + " for " + kernel.cpu) << '\n';
  llvm::outs() << kernels->size() << " entries, " << (bytes + 1023) / 1024 << " KiB in " << directory << '\n';
  return kSuccess;
}

static int explain(const CompileOptions &options) {
  Result<std::vector<KernelLookup>> lookups = explainCache(model, options);
  if (!lookups)
    return fail(lookups.error());
  llvm::json::Array array;
  size_t found = 0;
  for (const KernelLookup &kernel : *lookups) {
    found += kernel.isCached;
    array.push_back(llvm::json::Object{{"name", toUtf8(kernel.name)},
                                       {"cached", kernel.isCached},
                                       {"reason", kernel.reason.empty() ? llvm::json::Value(nullptr)
                                                                        : toUtf8(kernel.reason)}});
  }
  if (json) {
    printJson(llvm::json::Object{{"cached", int64_t(found)}, {"kernels", std::move(array)}});
    return kSuccess;
  }
  for (const KernelLookup &kernel : *lookups)
    llvm::outs() << kernel.name << ": " << (kernel.isCached ? "cached" : kernel.reason) << '\n';
  llvm::outs() << found << " of " << lookups->size() << " are cached\n";
  return kSuccess;
}

static int clear(const std::string &directory) {
  Result<int64_t> count = clearCache(directory);
  if (!count)
    return fail(count.error());
  if (json)
    printJson(llvm::json::Object{{"removed", *count}});
  else
    llvm::outs() << *count << " entries removed from " << directory << '\n';
  return kSuccess;
}

static int runCache() {
  CompileOptions options;
  if (!flags.fill(options))
    return kUsageError;
  if (action != "list" && action != "explain" && action != "clear")
    return fail("expected list, explain or clear, found '" + action + "'; see nacre cache --help", kUsageError);
  if ((action == "explain") == model.empty())
    return fail(model.empty() ? "expected the model to explain; see nacre cache --help"
                              : "a model is expected after 'explain' only", kUsageError);
  std::string directory = options.cacheDirectory.value_or(getDefaultCacheDirectory());
  if (directory.empty())
    return fail("there is no cache: NACRE_CACHE_DIR is empty, or neither it nor XDG_CACHE_HOME nor HOME is set; "
                "name one with --cache-dir");
  if (action == "list")
    return list(directory);
  return action == "explain" ? explain(options) : clear(directory);
}
