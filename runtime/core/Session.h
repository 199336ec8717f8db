// A session, and the runs in flight on it.
#ifndef NACRE_RUNTIME_CORE_SESSION_H
#define NACRE_RUNTIME_CORE_SESSION_H

#include "runtime/core/Profile.h"
#include "runtime/core/Signature.h"
#include "runtime/core/ThreadPool.h"

namespace nacre::runtime {

class Session;

// An element of strings as generated code sees it.
using Handle = const nacre_abi_string *;

// Where an output of a run goes.
struct OutputSlot {
  nacre_tensor *target = nullptr; // the caller's; null: nobody asked
  void *memory = nullptr;         // the caller's memory, or null
  int64_t capacity = 0;           // of memory
  Block *block = nullptr;         // the session's memory, if there is no other
  bool produced = false;
  void *inside = nullptr; // elements of another form in the run, in its own memory
  int64_t bytes = 0;
  int64_t dims[NACRE_MAX_RANK] = {};
};

// Everything that one run in flight has to itself. Used again by later runs.
class Run : public nacre_abi_context {
public:
  static Run *make(Session &session, int32_t track);

  // From here on the run can be cancelled; execute ends it.
  void begin();
  nacre_status execute(int32_t function, const nacre_tensor *inputs,
                       int32_t inputCount, nacre_tensor *outputs,
                       int32_t outputCount);
  // Ends the run soon if one is in flight. Async-signal-safe.
  void cancel();
  // Gives memory back between runs.
  void trim();

  Run *nextFree = nullptr;
  Run *nextOfSession = nullptr;

private:
  template <typename T, typename... A> friend T *create(A &&...);
  template <typename T> friend void destroy(T *);
  explicit Run(Session &session);
  ~Run();

  struct BodyLoop;
  static void parallelFor(nacre_abi_context *, nacre_abi_body, void *, int64_t,
                          int64_t);
  static void *allocateMemory(nacre_abi_context *, int64_t size);
  static void releaseMemory(nacre_abi_context *, void *pointer);
  static void *takeScratch(nacre_abi_context *, int64_t size);
  static void *provideOutput(nacre_abi_context *, int32_t index, int32_t rank,
                             const int64_t *dims);
  static void *allocateFor(nacre_abi_context *, int64_t size, const char *node);
  static void *provideOutputFor(nacre_abi_context *, int32_t index,
                                int32_t rank, const int64_t *dims,
                                const char *node);
  static int64_t markMemory(nacre_abi_context *);
  static void releaseSince(nacre_abi_context *, int64_t mark,
                           const void *const *kept, int64_t keptCount);
  static void recordFailure(nacre_abi_context *, int32_t status,
                            const char *message);
  static int32_t observeKernel(nacre_abi_context *, int32_t kernel,
                               int32_t end);
  static void runChunk(const Loop &, Scratch &, int64_t begin, int64_t end);
  static void observePart(const Loop &, int32_t thread, int64_t begin,
                          int64_t end);

  [[gnu::format(printf, 3, 4)]] void failWith(int32_t status,
                                              const char *format, ...);
  bool claimFailure(int32_t status);
  bool mayBeLeftOut(uint64_t loop, int64_t begin);
  // What the memory is for, behind the node if one is known.
  void *outOfMemory(const char *node, const char *what, int64_t size);
  // What release_since may take back if it is `ofLoop`.
  void *allocateBlock(bool ofLoop, int64_t size, const char *node);
  Block *&listOf(Block *block) { return block->begin < 0 ? live : inLoops; }
  void unlink(Block *block);

  nacre_status prepare(const nacre_tensor *inputs, int32_t inputCount,
                       nacre_tensor *outputs, int32_t outputCount);
  // Elements whose form in a run is another than outside of it (Elements.cpp).
  static int64_t bytesInside(int32_t dtype, int32_t rank, const int64_t *dims);
  nacre_status readInputs();
  nacre_status readStrings(int32_t input);
  nacre_status readPacked(int32_t input);
  nacre_status writeOutputs();
  nacre_status writeStrings(int32_t output);
  nacre_status call();
  void deliver(bool success);

  Session &session;
  const nacre_abi_function *function = nullptr;
  int32_t functionIndex = 0;
  int32_t track = 0;
  Block *arenaBlock = nullptr;
  Scratch callerScratch;
  Array<nacre_abi_tensor> inputs;
  Array<SymbolValue> symbols;
  Array<nacre_tensor *> targets;
  Array<OutputSlot> slots;
  Array<Range> ranges;
  Recording recording;

  Mutex mutex;           // of what follows
  // What was given and has not come back, the newest first: by allocate, and by
  // allocate_for, whose blocks are numbered (Block::begin) in their order.
  Block *live = nullptr;
  Block *inLoops = nullptr;
  int64_t nextNumber = 0;
  // Of the failure that a serial run would meet first: in which loop (odd
  // numbers; even ones count the code between loops), at which iteration.
  bool failed = false;
  uint64_t failedLoop = 0;
  int64_t failedAt = 0;
  char failText[512] = "";
  uint64_t loopNumber = 0; // changes between loops only
};

class Session {
public:
  static nacre_status make(Model &model, const nacre_session_options &options,
                           Session *&session);

  Model &getModel() const { return model; }
  ThreadPool &getPool() { return pool; }
  Allocator &getAllocator() { return *allocator; }
  uint8_t *getState() {
    return state ? static_cast<uint8_t *>(state->data()) : nullptr;
  }
  int32_t getThreadCount() const { return pool.threadCount(); }

  nacre_status run(int32_t function, const nacre_tensor *inputs,
                   int32_t inputCount, nacre_tensor *outputs,
                   int32_t outputCount);
  // The seed, and how many runs began since it was set.
  void getRandomState(uint64_t &seed, int64_t &runCount);
  void setRandomState(uint64_t seed, int64_t runCount);
  void cancel();
  void trim();

  // Parameters. The index is checked by the caller.
  void describeParameter(int32_t index, nacre_tensor &tensor);
  nacre_status readParameter(int32_t index, void *data, int64_t size);
  nacre_status writeParameter(int32_t index, const nacre_tensor &tensor);
  void resetParameters();

  // Checkpoints (SaveCheckpoint.cpp, LoadCheckpoint.cpp): see nacre.h.
  nacre_status save(const char *path, const nacre_metadata *metadata,
                    int32_t metadataCount);
  nacre_status load(const char *path, uint32_t flags,
                    nacre_status (*callback)(void *, const char *,
                                             const char *),
                    void *userData);

  Profile profile;
  std::atomic<int32_t> profiling{NACRE_PROFILING_OFF};

private:
  template <typename T, typename... A> friend T *create(A &&...);
  template <typename T> friend void destroy(T *);
  explicit Session(Model &model) : model(model) { model.retain(); }
  ~Session();

  Run *acquireRun();
  void releaseRun(Run *run);

  Model &model;
  Allocator *allocator = nullptr;
  ThreadPool pool;
  Block *state = nullptr;
  Mutex stateMutex; // held by whoever reads or writes the state
  Mutex runsMutex;
  Run *freeRuns = nullptr;
  int32_t runCount = 0;
  uint64_t seed = 0;
  int64_t nextRunNumber = 0;
  // All runs, only ever added to: cancel walks it from a signal handler.
  std::atomic<Run *> allRuns{nullptr};
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_SESSION_H
