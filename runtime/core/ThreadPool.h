// The threads of a session: parallel loops at the price of two cache misses.
//
// The caller of a loop works too; it never waits for a worker that has not
// begun, so a sleeping, descheduled or (after fork) missing worker costs speed
// only. Each thread first takes the chunks of its own contiguous share, which
// keeps data in its cache from loop to loop, then helps itself to what others
// have not begun.
#ifndef NACRE_RUNTIME_CORE_THREADPOOL_H
#define NACRE_RUNTIME_CORE_THREADPOOL_H

#include "runtime/core/Allocator.h"
#include "runtime/core/Status.h"

#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <sys/types.h>

namespace nacre::runtime {

// A loop over [0, count) in multiples of grain. `run` gets the loop itself and
// the executing thread's scratch.
struct Loop {
  void (*run)(const Loop &loop, Scratch &scratch, int64_t begin, int64_t end);
  int64_t count;
  int64_t grain;
  int64_t chunks; // set by the pool
  // Each thread takes its chunks backwards if the last such loop took them forwards.
  bool alternate = false;
  bool backwards = false; // set by the pool
  // Told, if not null, from when to when (nanoseconds) a thread had a part in
  // it; by that thread, before the loop ends.
  void (*observe)(const Loop &loop, int32_t thread, int64_t begin,
                  int64_t end) = nullptr;

  // Iterations [boundary(i), boundary(i + 1)) are chunk i.
  int64_t boundary(int64_t chunk) const;
  // Cuts into at most four chunks for each thread, 32 if the loop alternates.
  void cut(int64_t threads);
};

class ThreadPool {
public:
  static constexpr int32_t maxThreads = 1024;

  ThreadPool() = default;
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;
  ~ThreadPool() { stop(); }

  // Starts threads - 1 workers; worker i stays on cpus[i % cpuCount], if any.
  nacre_status start(int32_t threads, const int32_t *cpus, int32_t cpuCount,
                     Allocator *allocator);

  // Ends the workers and gives their memory back. No loop may be running.
  void stop();

  int32_t threadCount() const { return threads; }

  // Runs the loop and returns when it is done. Any number of threads may call
  // this at once: one has the workers, others run their loop by themselves.
  void run(Loop &loop, Scratch &scratch);

  // Workers spin while at least one run is in flight, and a moment longer.
  void beginRun() { runs.fetch_add(1, std::memory_order_relaxed); }
  void endRun() { runs.fetch_sub(1, std::memory_order_relaxed); }

private:
  // The gate, one word: epoch of the loop | open | workers inside.
  static constexpr uint64_t insideMask = 0xFFFF;
  static constexpr uint64_t open = 0x10000;
  static constexpr int epochShift = 17;

  struct alignas(64) Worker {
    // How many chunks of this thread's share have been taken, tagged with the
    // loop's epoch, so that nobody need reset it: epoch << 16 | taken.
    std::atomic<uint64_t> taken{0};
    ThreadPool *pool = nullptr;
    int32_t index = 0;
    int32_t cpu = -1;
    bool started = false;
    pthread_t thread{};
    Scratch scratch;
  };

  static void *main(void *worker);
  // The place of the index-th of `count` chunks that are taken one after the other.
  static int64_t place(const Loop &loop, int64_t index, int64_t count) {
    return loop.backwards ? count - 1 - index : index;
  }
  void work(const Loop &loop, uint64_t epoch, int32_t self, Scratch &scratch);
  bool waitForLoop(uint64_t seen);
  static bool take(std::atomic<uint64_t> &taken, uint64_t epoch, int64_t count,
                   int64_t &index);

  int32_t threads = 1;
  Array<Worker> workers; // [0] stands for the caller
  pid_t creator = 0;

  alignas(64) std::atomic<uint64_t> gate{0};
  const Loop *loop = nullptr; // of the open gate
  alignas(64) std::atomic<int32_t> sleepers{0};
  std::atomic<uint32_t> wakeWord{0};
  std::atomic<bool> quit{false};
  std::atomic<int32_t> runs{0};
  std::atomic<uint32_t> turns{0}; // of alternating loops
  alignas(64) std::atomic<bool> busy{false};
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_THREADPOOL_H
