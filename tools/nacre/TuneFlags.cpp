//===- TuneFlags.cpp - Options of tuning ------------------------*- C++ -*-===//
#include "tools/nacre/TuneFlags.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

TuneFlags::TuneFlags(cl::SubCommand &command)
    : tune("tune", cl::sub(command), cl::value_desc("60s"),
           cl::desc("Measure other tiles and algorithms for so long; 0s: take what the cache has learnt")),
      decisions("decisions", cl::sub(command), cl::value_desc("file.json"),
                cl::desc("Decide as a tuned artefact did: what nacre info --json prints of it")),
      threads("threads", cl::sub(command), cl::value_desc("n"), cl::desc("Threads that --tune measures with (default: all cores)")),
      sizes("size", cl::sub(command), cl::value_desc("symbol=8"),
            cl::desc("A dynamic dimension's size in what --tune measures (default 1)")) {}

/// Seconds of "60s", "60", "1.5m" or "1h".
static std::optional<double> parseSeconds(llvm::StringRef text) {
  double unit = text.consume_back("h") ? 3600 : text.consume_back("m") ? 60 : 1;
  if (unit == 1)
    text.consume_back("s");
  double number;
  if (!llvm::to_float(text, number) || !(number >= 0 && number * unit < 1e9))
    return std::nullopt;
  return number * unit;
}

/// What the provenance in a file says; an empty message, or what is wrong.
static std::string readDecisions(const std::string &path, Decisions &decisions) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (std::error_code error = file.getError())
    return "cannot be read: " + error.message();
  llvm::Expected<llvm::json::Value> value = llvm::json::parse((*file)->getBuffer());
  if (!value)
    return "no JSON: " + llvm::toString(value.takeError());
  const llvm::json::Object *object = value->getAsObject();
  if (object && object->getObject("provenance"))
    object = object->getObject("provenance");
  const llvm::json::Object *tuning = object ? object->getObject("tuning") : nullptr;
  const llvm::json::Object *list = tuning ? tuning->getObject("decisions") : nullptr;
  if (!list)
    return "has no decisions; expected what nacre info --json prints of an artefact that was compiled with --tune";
  for (const auto &[key, choice] : *list) {
    if (!choice.getAsString())
      return "the decision '" + key.str() + "' is no text";
    decisions[key.str()] = choice.getAsString()->str();
  }
  return "";
}

bool TuneFlags::fill(CompileOptions &options) const {
  auto refuse = [](const std::string &message) {
    fail(message, kUsageError);
    return false;
  };
  if (!decisions.empty())
    if (std::string problem = readDecisions(decisions, options.decisions.emplace()); !problem.empty())
      return refuse("--decisions " + decisions + ": " + problem);
  if (tune.empty()) {
    if (threads.getNumOccurrences() > 0 || !sizes.empty())
      return refuse("--threads and --size say how --tune measures, which is not asked for");
    return true;
  }
  if (!decisions.empty())
    return refuse("--tune and --decisions exclude each other");
  std::optional<double> seconds = parseSeconds(tune);
  if (!seconds)
    return refuse("--tune " + tune + ": expected a time, 60s or 5m");
  if (threads < 0)
    return refuse("--threads " + std::to_string(threads) + ": expected 1 or more");
  TuneOptions &tuning = options.tune.emplace();
  tuning.seconds = *seconds;
  tuning.threads = threads;
  for (const std::string &text : sizes) {
    auto [name, size] = llvm::StringRef(text).rsplit('=');
    int64_t value = 0;
    if (name.empty() || size.getAsInteger(10, value) || value < 0)
      return refuse("--size " + text + ": expected symbol=size");
    tuning.sizes[name.str()] = value;
  }
  return true;
}

std::string tool::describe(const TuneResult &result) {
  std::string text = llvm::formatv("tuning: {0} choices, {1} known; {2} candidates measured; {3} decisions differ from the "
                                   "model's", result.choices, result.known, result.measured, result.changed);
  if (result.tunedMs > 0)
    text += llvm::formatv("; a run {0:f4} ms, {1:f4} before", result.tunedMs, result.untunedMs);
  return result.note.empty() ? text : text + "; " + result.note;
}

llvm::json::Object tool::toJson(const TuneResult &result) {
  llvm::json::Object object{{"choices", result.choices}, {"known", result.known},
                            {"measured", result.measured}, {"changed", result.changed}};
  if (result.tunedMs > 0) {
    object["untuned_ms"] = result.untunedMs;
    object["tuned_ms"] = result.tunedMs;
  }
  if (!result.note.empty())
    object["note"] = result.note;
  return object;
}
