//===- TrainCheckpoints.cpp - Checkpoints of a training ---------*- C++ -*-===//
#include "compiler/api/TrainCheckpoints.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

using namespace nacre;
namespace fs = llvm::sys::fs;
namespace json = llvm::json;

/// The texts in a checkpoint's file; they are looked at in this order.
static constexpr char kOptions[] = "train.options", kState[] = "train.state";
static constexpr char kEnding[] = ".safetensors";

std::optional<CheckpointInterval> CheckpointInterval::parse(std::string_view given) {
  CheckpointInterval interval;
  llvm::StringRef text = llvm::StringRef(given).trim();
  interval.isOfSteps = text.consume_back("steps") || text.consume_back("step");
  if (!interval.isOfSteps && !text.consume_back("epochs"))
    (void)text.consume_back("epoch");
  if (text.trim().getAsInteger(10, interval.count) || interval.count < 1)
    return std::nullopt;
  return interval;
}

std::string TrainCheckpoints::place(const char *kind, int64_t step) const {
  llvm::SmallString<128> path(options.folder);
  llvm::sys::path::append(path, llvm::formatv("{0}-{1,0+12}{2}", kind, step, kEnding).str());
  return path.str().str();
}

/// Of the folder itself: nothing is left of it, however the process ends. Where the file system has no
/// locks there is none.
static Status lockFolder(const std::string &folder, std::shared_ptr<void> &lock) {
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return Error{NACRE_IO_ERROR, folder + ": cannot be read: " + std::strerror(errno)};
  bool isTaken = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (isTaken) {
    ::close(descriptor);
    return Error{NACRE_INVALID_ARGUMENT, folder + ": another training writes its checkpoints there; wait for its end, "
                                                  "or give another folder"};
  }
  lock = std::shared_ptr<void>(nullptr, [descriptor](void *) { ::close(descriptor); });
  return {};
}

/// "--clip-norm", as the command's messages call an option; as Python and C call it, "clip_norm".
static std::string nameOption(llvm::StringRef name, bool isCommand) {
  bool isOption = name.consume_front("--");
  if (isCommand || !isOption)
    return ((isOption ? "--" : "") + name).str();
  std::string text = name.str();
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

Result<TrainCheckpoints> TrainCheckpoints::open(Options options, Agreement agreed) {
  const std::string &folder = options.folder;
  TrainCheckpoints result;
  result.options = options;
  result.agreed = std::move(agreed);
  if (std::error_code code = fs::create_directories(folder))
    return Error{NACRE_IO_ERROR, folder + ": cannot be made a folder for checkpoints: " + code.message()};
  if (Status locked = lockFolder(folder, result.lock); !locked)
    return locked.error();
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; entry != end && !code; entry.increment(code)) {
    llvm::StringRef name = llvm::sys::path::filename(entry->path());
    // What a process that was killed left, where files cannot do without a name.
    if (options.resumes && name.starts_with(".nacre-") && name.ends_with(".tmp"))
      fs::remove(entry->path());
    if (!name.consume_back(kEnding))
      continue;
    int64_t step;
    for (auto &[prefix, list] : {std::pair("step-", &result.steps), std::pair("best-", &result.best)})
      if (llvm::StringRef rest = name; rest.consume_front(prefix) && !rest.getAsInteger(10, step) && step >= 0)
        list->push_back(step);
  }
  if (code)
    return Error{NACRE_IO_ERROR, folder + ": cannot be read: " + code.message()};
  llvm::sort(result.steps);
  llvm::sort(result.best);
  if (!options.resumes && !result.steps.empty())
    return Error{NACRE_INVALID_ARGUMENT, folder + ": has checkpoints of a training: give " +
                                             (options.isCommand ? "--resume" : "resume") +
                                             " to go on with it, or another folder"};
  return result;
}

// ---- Reading

namespace {

/// What a checkpoint's texts are compared with, and where they go.
struct Texts {
  const TrainCheckpoints::Agreement &agreed;
  bool isCommand;
  std::string state, refusal;

  nacre_status take(llvm::StringRef key, llvm::StringRef value) {
    if (key == kState)
      state = value.str();
    if (key != kOptions)
      return NACRE_OK;
    llvm::Expected<json::Value> options = json::parse(value);
    const json::Object *found = options ? options->getAsObject() : nullptr;
    if (!options)
      llvm::consumeError(options.takeError());
    if (!found)
      return refuse("its options cannot be read");
    for (const auto &[name, ours] : agreed) {
      llvm::StringRef theirs = found->getString(name).value_or("");
      if (theirs != ours)
        return refuse("it was made with " + nameOption(name, isCommand) + " " + (theirs.empty() ? "not given" : theirs.str()) +
                      ", this training has " + (ours.empty() ? "none" : ours) +
                      "; give what it was made with, or another " + nameOption("--checkpoint", isCommand) + " folder");
    }
    return NACRE_OK;
  }
  nacre_status refuse(const std::string &why) {
    refusal = why;
    return nacre_error_set(NACRE_INVALID_ARGUMENT, why.c_str());
  }
};

} // namespace

Status TrainCheckpoints::read(Session &session, int64_t step, TrainingSnapshot &snapshot) const {
  std::string path = place("step", step);
  Texts texts{agreed, options.isCommand, {}, {}};
  nacre_status status = nacre_session_load(
      session.get(), path.c_str(), NACRE_LOAD_ALL,
      [](void *to, const char *key, const char *value) { return static_cast<Texts *>(to)->take(key, value); }, &texts);
  if (!texts.refusal.empty())
    return Error{status, path + ": " + texts.refusal};
  if (status != NACRE_OK)
    return Error::last(status);
  std::pair<uint64_t, int64_t> random;
  snapshot = {};
  if (!fromText(texts.state, snapshot, random))
    return Error{NACRE_CORRUPT, path + ": not a checkpoint of a training: the text '" + kState + "' is missing or damaged"};
  return session.setRandomState(random.first, random.second);
}

Result<std::optional<TrainingSnapshot>> TrainCheckpoints::resume(Session &session, BestWeights *keeper) {
  bool isTried = !steps.empty();
  while (!steps.empty()) {
    TrainingSnapshot snapshot;
    Status status = read(session, steps.back(), snapshot);
    if (status && keeper && snapshot.best.epoch >= 0) {
      // The best parameters as they were then, and the checkpoint's again.
      auto after = std::upper_bound(best.begin(), best.end(), steps.back());
      if (after == best.begin())
        status = Error{NACRE_NOT_FOUND, place("best", 0) + ": the parameters of the best epoch are missing"};
      else if (auto loaded = session.load(place("best", after[-1])); !loaded)
        status = loaded.error();
      else if (status = keeper->resume(snapshot.best, session); status)
        status = read(session, steps.back(), snapshot);
    } else if (status && keeper) {
      status = keeper->resume(snapshot.best, session);
    }
    if (status) {
      // What came after it comes again.
      remove("best", best, size_t(std::upper_bound(best.begin(), best.end(), steps.back()) - best.begin()),
             best.size());
      removeOld(); // a process that was killed after it wrote its last may have left one too many
      return std::optional(std::move(snapshot));
    }
    nacre_status code = status.error().status;
    if (code != NACRE_CORRUPT && code != NACRE_NOT_FOUND && code != NACRE_IO_ERROR)
      return status.error();
    steps.pop_back();
    if (steps.empty() && !options.beginsAnew)
      return Error{code, status.error().message + "; nor can a checkpoint before it be read: give another folder"};
    options.warn(status.error().message + "; the checkpoint before it is tried");
  }
  if (isTried) // a part of one may have been read
    if (Status status = session.resetParameters(); !status)
      return status.error();
  return std::optional<TrainingSnapshot>();
}

// ---- Writing

bool TrainCheckpoints::isDue(const TrainingState &state, int64_t stepsPerEpoch, bool isEndOfEpoch) const {
  int64_t count = options.interval.count;
  if (options.interval.isOfSteps)
    return !isEndOfEpoch && (state.epoch * stepsPerEpoch + state.step) % count == 0;
  return isEndOfEpoch && state.step == 0 && state.epoch % count == 0;
}

Status TrainCheckpoints::write(Session &session, const TrainingSnapshot &snapshot, int64_t step) {
  json::Object object;
  for (const auto &[name, value] : agreed)
    object[name] = value;
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(std::move(object));
  Status status = session.save(place("step", step),
                               {{kOptions, text}, {kState, toText(snapshot, session.randomState())}});
  if (!status)
    return status;
  if (newest() != step)
    steps.push_back(step);
  removeOld();
  return {};
}

Status TrainCheckpoints::writeBest(Session &session, int64_t step) {
  Status status = session.save(place("best", step));
  if (status && (best.empty() || best.back() != step))
    best.push_back(step);
  return status;
}

void TrainCheckpoints::remove(const char *kind, std::vector<int64_t> &list, size_t begin, size_t end) const {
  for (size_t i = begin; i < end; ++i)
    if (std::error_code code = fs::remove(place(kind, list[i])))
      options.warn(place(kind, list[i]) + ": cannot be removed: " + code.message());
  list.erase(list.begin() + ptrdiff_t(begin), list.begin() + ptrdiff_t(end));
}

void TrainCheckpoints::removeOld() {
  if (steps.size() > size_t(options.keep))
    remove("step", steps, 0, steps.size() - size_t(options.keep));
  // The oldest that is left needs the newest best from before it.
  auto after = std::upper_bound(best.begin(), best.end(), steps.front());
  if (after - best.begin() > 1)
    remove("best", best, 0, size_t(after - best.begin()) - 1);
}
