//===- ReportCommand.cpp - nacre report -------------------------*- C++ -*-===//
#include "tools/nacre/ReportData.h"
#include "compiler/support/OutputFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace nacre;
using namespace nacre::tool;
namespace cl = llvm::cl;

static int runReport();
static Command command("report", "Explain a model: kernels, what was fused and why, memory, times beside the machine's limits",
                       "  nacre report model.so\n"
                       "  nacre report model.so --html report.html           a page to look at, without anything else\n"
                       "  nacre report model.onnx --json --no-measure        compiles it first, runs nothing\n"
                       "  nacre report model.so --chrome-trace trace.json    for ui.perfetto.dev\n", runReport);
static cl::opt<std::string> path(cl::Positional, cl::Required, cl::sub(command.subcommand), cl::desc("<model.so | model.onnx>"));
static cl::opt<std::string> html("html", cl::sub(command.subcommand), cl::value_desc("file"), cl::desc("Write a page instead of text"));
static cl::opt<bool> json("json", cl::sub(command.subcommand), cl::desc("Print JSON"));
static cl::opt<std::string> chromeTrace("chrome-trace", cl::sub(command.subcommand), cl::value_desc("file"),
                                        cl::desc("Write a trace of one run"));
static cl::opt<bool> noMeasure("no-measure", cl::sub(command.subcommand), cl::desc("Do not run the model: no times"));
static cl::opt<int> threads("threads", cl::sub(command.subcommand), cl::value_desc("n"), cl::desc("Threads (default: all cores)"));
static cl::opt<double> seconds("seconds", cl::sub(command.subcommand), cl::init(2.0), cl::desc("Measure for so long (default 2)"));
static CompileFlags compileFlags(command.subcommand);
static InputFlags inputFlags(command.subcommand);

// The page, with REPORT where the data go.
__asm__(".section .rodata,\"a\",@progbits\n"
        "nacre_report_page_begin: .incbin \"" NACRE_REPORT_PAGE "\"\nnacre_report_page_end:\n"
        ".globl nacre_report_page_begin, nacre_report_page_end\n"
        ".hidden nacre_report_page_begin, nacre_report_page_end\n"
        ".text\n");
extern "C" const char nacre_report_page_begin[], nacre_report_page_end[];

static std::string makePage(const llvm::json::Value &report) {
  std::string data, page;
  llvm::raw_string_ostream(data) << report;
  llvm::StringRef whole(nacre_report_page_begin, nacre_report_page_end - nacre_report_page_begin);
  constexpr llvm::StringLiteral kPlace = ">REPORT<";
  auto [before, after] = whole.split(kPlace);
  page = (before + ">").str();
  for (char c : data) // a name might end the script
    c == '<' ? page += "\\u003c" : page += c;
  return page + "<" + after.str();
}

/// A trace of one run, as a file at `place`.
static Status trace(Subject &subject, const std::string &place) {
  subject.session.setProfiling(NACRE_PROFILING_TRACE);
  subject.session.resetProfile();
  if (Status status = subject.run(); !status)
    return status;
  return subject.session.writeTrace(place);
}

static Result<Measured> measure(const Model &model) {
  Result<Session> session = createSession(model, threads);
  if (!session)
    return session.error();
  Function function = model.functions().front();
  Result<std::vector<HostTensor>> inputs = inputFlags.collect(function, true);
  if (!inputs)
    return inputs.error();
  Measured measured;
  int threadCount = session->threads();
  Subject subject(*std::move(session), *std::move(inputs), function.outputs.size());
  if (Status first = subject.runFirst(inputFlags); !first)
    return first.error();
  Result<std::vector<double>> runs = measureRuns(subject, seconds);
  if (!runs)
    return runs.error();
  measured.runs = *std::move(runs);
  Result<std::vector<KernelTime>> kernels = measureKernels(subject, model.kernels(), seconds / 2);
  if (!kernels)
    return kernels.error();
  measured.kernels = *std::move(kernels);
  llvm::SmallString<128> place(chromeTrace);
  if (chromeTrace.empty())
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("nacre-trace", "json", place))
      return Error{NACRE_IO_ERROR, "cannot make a temporary file: " + error.message()};
  Status traced = trace(subject, place.str().str());
  if (traced)
    if (auto text = llvm::MemoryBuffer::getFile(place))
      measured.trace = readTrace((*text)->getBuffer(), model.kernels());
  if (chromeTrace.empty())
    llvm::sys::fs::remove(place);
  if (!traced)
    return traced.error();
  measured.machine = Machine::measure(threadCount);
  return measured;
}

static int runReport() {
  CompileOptions options;
  if (!compileFlags.fill(options, path) || !inputFlags.parse(options))
    return kUsageError;
  if (noMeasure && !chromeTrace.empty())
    return fail("--chrome-trace wants a run, which --no-measure forbids", kUsageError);
  if (Status read = inputFlags.read(options); !read)
    return fail(read.error());
  Result<Model> model = openModel(path, options);
  if (!model)
    return fail(model.error());
  std::optional<Measured> measured;
  if (!noMeasure) {
    Result<Measured> result = measure(*model);
    if (!result)
      return fail(result.error());
    measured = *std::move(result);
  }
  llvm::json::Value report = makeReport(*model, path, measured ? &*measured : nullptr);
  if (!report.getAsObject())
    return fail(path + " says nothing of how it was compiled: compile it again with this version of Nacre");
  if (!html.empty()) {
    if (llvm::Error error = writeTextFile(html, makePage(report)))
      return fail(Error{NACRE_IO_ERROR, "cannot write " + html + ": " + llvm::toString(std::move(error))});
    if (!json)
      return kSuccess;
  }
  if (json)
    printJson(std::move(report));
  else
    printReport(*report.getAsObject(), llvm::outs());
  return kSuccess;
}
