//===- ReportData.cpp - What a model tells of itself, with times ---------===//
#include "tools/nacre/ReportData.h"
#include "tools/nacre/MachineRates.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <map>

using namespace nacre;
using namespace nacre::tool;
namespace json = llvm::json;

Machine Machine::measure(int threads) {
  // The caches' share of the machine is what half of the last level gives; memory's what four times as much does.
  int64_t cache = getLastLevelCacheBytes();
  return {threads, measurePeakFlops(threads) / 1e9, measureBandwidth(threads, 4 * cache) / 1e9,
          measureBandwidth(threads, cache / 2) / 1e9};
}

namespace {

/// "a (Add),b (Relu)" as a list; names may have commas.
json::Array splitNodes(llvm::StringRef nodes) {
  json::Array list;
  while (!nodes.empty()) {
    size_t end = nodes.find("),");
    list.push_back(toUtf8(end == llvm::StringRef::npos ? nodes : nodes.take_front(end + 1)));
    nodes = end == llvm::StringRef::npos ? "" : nodes.drop_front(end + 2);
  }
  return list;
}

/// For each kernel the bytes of the parameters that its first launch reads.
std::vector<int64_t> countParameterBytes(const json::Array *functions, size_t kernels) {
  std::vector<int64_t> bytes(kernels, -1);
  for (const json::Value &value : functions ? *functions : json::Array()) {
    const json::Object *function = value.getAsObject();
    const json::Array *steps = function ? function->getArray("steps") : nullptr, *buffers = function ? function->getArray("buffers") : nullptr;
    if (!steps || !buffers)
      continue;
    for (const json::Value &each : *steps) {
      const json::Object *step = each.getAsObject();
      auto kernel = step ? step->getInteger("kernel") : std::nullopt;
      const json::Array *reads = step ? step->getArray("reads") : nullptr;
      if (!kernel || *kernel < 0 || size_t(*kernel) >= kernels || bytes[*kernel] >= 0 || !reads)
        continue;
      bytes[*kernel] = 0;
      for (const json::Value &read : *reads) {
        auto index = read.getAsInteger();
        const json::Object *buffer = index && *index >= 0 && size_t(*index) < buffers->size() ? (*buffers)[*index].getAsObject() : nullptr;
        if (buffer && buffer->getString("kind") == "parameter")
          bytes[*kernel] += std::max<int64_t>(0, buffer->getInteger("bytes").value_or(0));
      }
    }
  }
  return bytes;
}

/// Adds what was measured of a kernel, of all its launches in a run together, and what the machine's limits are for it: its operations at the peak, or its
/// bytes, each once, at the bandwidth of the level that holds them. Weights come from memory if all of the model's
/// together exceed the last-level cache.
void addTimes(json::Object &kernel, const KernelTime &time, const Machine &machine, int64_t parameterBytes, bool isFar) {
  kernel["launches"] = time.launches;
  kernel["measured_ms"] = time.ms;
  kernel["flops"] = time.flops;
  if (time.flops > 0)
    kernel["gflops"] = time.gflops();
  double compute = double(time.flops) / machine.peakGflops / 1e6, memory = 0;
  if (time.kernel.bytes >= 0) {
    double all = double(time.kernel.bytes), weights = std::min(all, double(std::max<int64_t>(0, parameterBytes)));
    double seconds = weights / (isFar ? machine.memoryGbs : machine.cacheGbs) / 1e9 + (all - weights) / machine.cacheGbs / 1e9;
    memory = seconds * 1e3 * double(time.launches);
    kernel["bytes"] = time.kernel.bytes * time.launches;
    kernel["gbs"] = all * double(time.launches) / time.ms / 1e6;
  } else if (time.flops <= 0) {
    return; // nothing is known
  }
  double predicted = std::max(compute, memory);
  kernel["predicted_ms"] = predicted;
  kernel["bound"] = compute >= memory ? "compute" : "memory";
  kernel["roofline_percent"] = 100 * predicted / time.ms;
}

} // namespace

json::Value tool::makeReport(const Model &model, llvm::StringRef path, const Measured *measured) {
  nacre_model_info info = model.info();
  json::Value provenance = nullptr;
  if (auto parsed = json::parse(info.provenance))
    provenance = std::move(*parsed);
  else
    llvm::consumeError(parsed.takeError());
  const json::Object *origin = provenance.getAsObject(), *told = origin ? origin->getObject("report") : nullptr;
  if (!told)
    return nullptr;
  json::Object report{{"model", toUtf8(path)}, {"target_cpu", info.target_cpu}};
  for (llvm::StringRef key : {"source", "blake3", "compiler"})
    if (auto text = origin->getString(key))
      report[key] = text->str();
  json::Array functions = told->getArray("functions") ? *told->getArray("functions") : json::Array();
  std::map<std::string, Function> byName;
  for (const Function &function : model.functions())
    byName.emplace(function.name, function);
  for (json::Value &value : functions)
    if (json::Object *function = value.getAsObject())
      if (auto found = byName.find(function->getString("name").value_or("").str()); found != byName.end()) {
        (*function)["inputs"] = toJson(found->second.inputs);
        (*function)["outputs"] = toJson(found->second.outputs);
        (*function)["arena_bytes"] = found->second.arenaSize;
      }

  json::Array kernels;
  const json::Array *remarks = told->getArray("kernels");
  for (const nacre_kernel_info &info : model.kernels()) {
    json::Array own;
    const json::Array *said = remarks && kernels.size() < remarks->size() ? (*remarks)[kernels.size()].getAsArray() : nullptr;
    for (const json::Value &value : said ? *said : json::Array())
      if (const json::Array *remark = value.getAsArray(); remark && remark->size() == 3)
        own.push_back(json::Object{{"pass", (*remark)[0]}, {"kind", (*remark)[1]}, {"text", (*remark)[2]}});
    kernels.push_back(json::Object{{"name", toUtf8(info.name)}, {"nodes", splitNodes(info.nodes)}, {"flops", info.flops},
                                   {"bytes", info.bytes}, {"remarks", std::move(own)}});
  }
  if (measured) {
    const Machine &machine = measured->machine;
    report["machine"] = json::Object{{"threads", machine.threads}, {"peak_gflops", machine.peakGflops},
                                     {"memory_gbs", machine.memoryGbs}, {"cache_gbs", machine.cacheGbs}};
    report["run"] = json::Object{{"median_ms", percentile(measured->runs, 0.5)}, {"min_ms", measured->runs.front()},
                                 {"runs", int64_t(measured->runs.size())}};
    std::vector<int64_t> parameterBytes = countParameterBytes(&functions, kernels.size());
    bool isFar = info.parameter_size + info.state_size > getLastLevelCacheBytes();
    for (const KernelTime &time : measured->kernels)
      addTimes(*kernels[time.index].getAsObject(), time, machine, parameterBytes[time.index], isFar);
    report["trace"] = json::Array(measured->trace);
  }
  report["functions"] = std::move(functions);
  report["kernels"] = std::move(kernels);
  return report;
}

json::Array tool::readTrace(llvm::StringRef text, llvm::ArrayRef<nacre_kernel_info> kernels) {
  json::Array result;
  auto parsed = json::parse(text);
  const json::Object *object = parsed ? parsed->getAsObject() : nullptr;
  const json::Array *events = object ? object->getArray("traceEvents") : nullptr;
  if (!parsed)
    llvm::consumeError(parsed.takeError());
  std::map<std::pair<llvm::StringRef, llvm::StringRef>, int64_t> rows;
  for (const nacre_kernel_info &kernel : kernels)
    rows.emplace(std::pair(llvm::StringRef(kernel.name), llvm::StringRef(kernel.nodes)), rows.size());
  // Threads' parts in a kernel come before the kernel, of which then nothing else is told.
  json::Array parts;
  double origin = 0;
  for (const json::Value &value : events ? *events : json::Array()) {
    const json::Object *event = value.getAsObject();
    if (!event)
      continue;
    double begin = event->getNumber("ts").value_or(0), end = begin + event->getNumber("dur").value_or(0);
    if (event->getString("name") == "run" && !event->getObject("args")) {
      origin = begin;
      continue;
    }
    json::Object bar{{"thread", event->getInteger("pid") == 2 ? event->getInteger("tid").value_or(0) : 0},
                     {"begin_us", begin}, {"end_us", end}};
    if (event->getString("cat") == "part") {
      parts.push_back(std::move(bar));
      continue;
    }
    const json::Object *args = event->getObject("args");
    auto row = rows.find({event->getString("name").value_or(""), args ? args->getString("nodes").value_or("") : ""});
    if (parts.empty())
      parts.push_back(std::move(bar));
    for (json::Value &part : parts) {
      (*part.getAsObject())["kernel"] = row == rows.end() ? 0 : row->second;
      result.push_back(std::move(part));
    }
    parts.clear();
  }
  for (json::Value &bar : result)
    for (const char *key : {"begin_us", "end_us"})
      (*bar.getAsObject())[key] = bar.getAsObject()->getNumber(key).value_or(0) - origin;
  return result;
}

void tool::printReport(const json::Object &report, llvm::raw_ostream &os) {
  auto number = [](const json::Object &object, llvm::StringRef key) { return object.getNumber(key).value_or(0); };
  os << report.getString("model").value_or("") << ": " << report.getString("source").value_or("a model") << " for "
     << report.getString("target_cpu").value_or("?") << ", by " << report.getString("compiler").value_or("?") << '\n';
  const json::Object *run = report.getObject("run"), *machine = report.getObject("machine");
  if (run && machine)
    os << llvm::format("run      %.4f ms (median of %.0f), least %.4f, %.0f threads\n", number(*run, "median_ms"), number(*run, "runs"),
                       number(*run, "min_ms"), number(*machine, "threads"))
       << llvm::format("machine  %.1f GFLOP/s of f32, %.1f GB/s from memory, %.1f from the last-level cache\n",
                       number(*machine, "peak_gflops"), number(*machine, "memory_gbs"), number(*machine, "cache_gbs"));
  for (const json::Value &value : *report.getArray("functions")) {
    const json::Object &function = *value.getAsObject();
    size_t arena = 0, allocated = 0;
    for (const json::Value &buffer : *function.getArray("buffers")) {
      llvm::StringRef kind = buffer.getAsObject()->getString("kind").value_or("");
      arena += kind == "arena", allocated += kind == "allocated";
    }
    os << "function " << function.getString("name").value_or("") << ": " << function.getArray("steps")->size() << " launches, "
       << arena << " buffers in an arena of " << int64_t(number(function, "arena_bytes")) << " bytes, " << allocated
       << " allocated by the run\n";
  }
  std::vector<const json::Object *> kernels;
  double total = 0;
  for (const json::Value &value : *report.getArray("kernels")) {
    kernels.push_back(value.getAsObject());
    total += number(*kernels.back(), "measured_ms");
  }
  llvm::stable_sort(kernels, [&](auto *l, auto *r) { return number(*l, "measured_ms") > number(*r, "measured_ms"); });
  if (run)
    os << "\n       ms  share predicted  of roofline  GFLOP/s     GB/s  kernel\n";
  for (const json::Object *kernel : kernels) {
    if (run && kernel->getNumber("measured_ms")) {
      double ms = number(*kernel, "measured_ms");
      os << llvm::format("%9.4f %5.1f%%", ms, total > 0 ? 100 * ms / total : 0.0);
      if (auto predicted = kernel->getNumber("predicted_ms"))
        os << llvm::format(" %9.4f %5.1f%% ", *predicted, number(*kernel, "roofline_percent"))
           << llvm::left_justify(kernel->getString("bound").value_or(""), 7);
      else
        os.indent(24);
      for (const char *rate : {"gflops", "gbs"})
        if (auto value = kernel->getNumber(rate))
          os << llvm::format(" %8.1f", *value);
        else
          os << "        -";
      os << "  ";
    }
    os << kernel->getString("name").value_or("") << ": ";
    llvm::ListSeparator comma;
    for (const json::Value &node : *kernel->getArray("nodes"))
      os << comma << node.getAsString().value_or("");
    os << '\n';
    for (const json::Value &value : *kernel->getArray("remarks")) {
      const json::Object &remark = *value.getAsObject();
      os << "            " << remark.getString("pass").value_or("") << (remark.getString("kind") == "missed" ? ", not: " : ": ")
         << remark.getString("text").value_or("") << '\n';
    }
  }
}
