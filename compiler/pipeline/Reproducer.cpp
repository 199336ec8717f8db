//===- Reproducer.cpp - What the compiler leaves where it dies --*- C++ -*-===//
#include "compiler/pipeline/Reproducer.h"
#include "dialects/nn/NNOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include <csignal>
#include <mutex>
#include <semaphore.h>
#include <thread>
#include <unistd.h>

using namespace mlir;
using namespace nacre;

struct Reproducer::Snapshot {
  std::string phase;
  OwningOpRef<ModuleOp> module; // null in the phase that makes it
  PhaseCommand command;
};

namespace {

/// Compilations under way in this process.
struct Registry {
  std::mutex mutex;
  SmallVector<Reproducer *> running;
};

Registry &getRegistry() {
  static Registry *registry = new Registry; // signals come after static objects' ends too
  return *registry;
}

/// Fit for a shell.
std::string quote(StringRef word) {
  auto isPlain = [](char c) { return llvm::isAlnum(c) || StringRef("_-+=./,:@").contains(c); };
  if (!word.empty() && llvm::all_of(word, isPlain))
    return word.str();
  std::string quoted = "'";
  for (char c : word)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Values that need no memory, and share none with the model.
void dropValues(ModuleOp module) {
  Builder builder(module.getContext());
  for (auto parameter : module.getOps<nn::ParameterOp>()) {
    RankedTensorType type = parameter.getType();
    if (auto zero = dyn_cast_if_present<TypedAttr>(builder.getZeroAttr(type.getElementType())))
      parameter.setValueAttr(DenseElementsAttr::get(type, zero));
  }
}

/// Opens a new file in the folder, or the file. Nobody's file is written to because its name
/// was guessed.
std::error_code openFile(std::string &path, StringRef phase, int &descriptor) {
  namespace fs = llvm::sys::fs;
  if (!fs::is_directory(path))
    return fs::openFileForWrite(path, descriptor, fs::CD_CreateAlways, fs::OF_Text);
  std::string stem =
      ("nacre-crash-" + phase + "-" + Twine(llvm::sys::Process::getProcessId())).str();
  std::error_code error;
  for (int number = 0; number < 1000; ++number) {
    SmallString<128> candidate(path);
    llvm::sys::path::append(candidate, stem + (number ? "-" + Twine(number) : Twine()) + ".mlir");
    error = fs::openFileForWrite(candidate, descriptor, fs::CD_CreateNew, fs::OF_Text);
    if (error == std::errc::file_exists)
      continue;
    path = candidate.str();
    break;
  }
  return error;
}

} // namespace

Reproducer::Reproducer(std::string path, std::string producer)
    : path(std::move(path)), producer(std::move(producer)) {
  std::lock_guard lock(getRegistry().mutex);
  getRegistry().running.push_back(this);
}

Reproducer::~Reproducer() {
  {
    std::lock_guard lock(getRegistry().mutex);
    llvm::erase(getRegistry().running, this);
  }
  delete snapshot.exchange(nullptr);
}

void Reproducer::enter(StringRef phase, ModuleOp module, PhaseCommand command) {
  auto next = std::make_unique<Snapshot>();
  next->phase = phase.str();
  next->command = std::move(command);
  if (module) {
    next->module = module.clone();
    dropValues(*next->module);
    // What printing would add to the context's tables: they grow by memory that the thread which
    // crashes may hold the lock of.
    next->module->walk([](Operation *op) { (void)op->getAttrDictionary(); });
  }
  delete snapshot.exchange(next.release());
}

void Reproducer::enterNext(StringRef phase) {
  if (Snapshot *taken = snapshot.exchange(nullptr)) {
    taken->phase = phase.str();
    snapshot = taken;
  }
}

std::string Reproducer::write(const codegen::Activity &activity) {
  Snapshot *taken = snapshot.exchange(nullptr); // not freed: another thread may be at it still
  if (!taken)
    return "";
  std::string where = "phase '" + taken->phase + "'", details = activity.describe();
  if (!details.empty())
    where += ", " + details;
  std::string report = "in " + where;
  if (!taken->module)
    return report + ", which the model itself shows again";

  std::string file = path;
  int descriptor = -1;
  std::error_code error = openFile(file, taken->phase, descriptor);
  std::string run = taken->command.tool + " " + quote(file);
  for (const std::string &argument : taken->command.arguments)
    run += " " + quote(argument);
  if (!error) {
    llvm::raw_fd_ostream os(descriptor, /*shouldClose=*/true);
    os << "// " << producer << ": " << where << '\n' << "// " << run << '\n';
    // What entered the phase has been verified.
    taken->module->print(os, OpPrintingFlags().enableDebugInfo().assumeVerified());
    os.close();
    error = os.error();
    os.clear_error();
    if (error)
      llvm::sys::fs::remove(file);
  }
  if (error)
    return report + "; the reproducer " + file + " cannot be written: " + error.message();
  return report + "; to see it again:\n  " + run;
}

void Reproducer::writeAll(const codegen::Activity &activity) {
  std::unique_lock lock(getRegistry().mutex, std::try_to_lock);
  if (!lock)
    return;
  for (Reproducer *reproducer : getRegistry().running)
    if (std::string report = reproducer->write(activity); !report.empty())
      llvm::errs() << "nacre: internal error " << report << '\n';
}

namespace {

/// A thread that waits for a crash: its stack is whole, and it holds no lock.
struct Writer {
  sem_t crashed, written;
  const codegen::Activity *activity = nullptr;
};
std::atomic<Writer *> writer = nullptr;

} // namespace

void Reproducer::prepareForCrash() {
  if (writer)
    return;
  auto *next = new Writer;
  sem_init(&next->crashed, 0, 0);
  sem_init(&next->written, 0, 0);
  std::thread([next] {
    while (sem_wait(&next->crashed) != 0)
      continue;
    writeAll(*next->activity);
    sem_post(&next->written);
  }).detach();
  writer = next;
}

void Reproducer::handleCrash() {
  constexpr unsigned secondsToWrite = 30, secondsForOthers = 5;
  std::signal(SIGALRM, [](int) {
    static constexpr char text[] = "nacre: the crash could not be reported in time\n";
    (void)!::write(STDERR_FILENO, text, sizeof(text) - 1);
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  alarm(secondsToWrite);
  prepareForCrash();
  Writer *waiting = writer;
  waiting->activity = &codegen::Activity::current();
  sem_post(&waiting->crashed);
  while (sem_wait(&waiting->written) != 0)
    continue;
  alarm(secondsForOthers); // handlers that come after this one
}
