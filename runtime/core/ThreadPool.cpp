#include "runtime/core/ThreadPool.h"

#include "runtime/device/Cpu.h"

#include <climits>
#include <cstring>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nacre::runtime {

// Idle workers spin this long within a run, and this long after the last one:
// waking one that sleeps takes tens of microseconds.
static constexpr int64_t spinInRun = 5'000'000;
static constexpr int64_t spinAfterRun = 200'000;
// A spinning thread offers its core to others after this long.
static constexpr int64_t spinAlone = 20'000;
static constexpr int chunksPerThread = 4;
// A chunk is read in one direction, whatever that of the loop: what is small against the cache finds in it
// what the loop before has left there.
static constexpr int alternatingChunksPerThread = 32;

static long futex(std::atomic<uint32_t> &word, int operation, uint32_t value) {
  return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value,
                 nullptr, nullptr, 0);
}

void Loop::cut(int64_t threads) {
  if (grain < 1)
    grain = 1;
  int64_t units = count / grain + (count % grain != 0);
  int64_t most = (alternate ? alternatingChunksPerThread : chunksPerThread) * threads;
  chunks = units < most ? units : most;
}

int64_t Loop::boundary(int64_t chunk) const {
  if (chunk == chunks)
    return count;
  // units * chunk / chunks without overflow: chunks is small.
  int64_t units = count / grain + (count % grain != 0);
  return (units / chunks * chunk + units % chunks * chunk / chunks) * grain;
}

nacre_status ThreadPool::start(int32_t count, const int32_t *cpus,
                               int32_t cpuCount, Allocator *allocator) {
  if (!workers.allocate(count))
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for %d threads", count);
  creator = getpid();
  // Signals are for the host's threads: a handler must not run on ours.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int error = 0;
  for (int32_t i = 1; i < count && error == 0; ++i) {
    Worker &worker = workers[i];
    worker.pool = this;
    worker.index = i;
    worker.cpu = cpuCount > 0 ? cpus[i % cpuCount] : -1;
    worker.scratch.setAllocator(allocator);
    error = pthread_create(&worker.thread, nullptr, main, &worker);
    worker.started = error == 0;
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  if (error != 0)
    return fail(NACRE_OUT_OF_MEMORY, "cannot start %d threads: %s", count - 1,
                std::strerror(error));
  threads = count;
  return NACRE_OK;
}

void ThreadPool::stop() {
  quit.store(true);
  wakeWord.fetch_add(1);
  futex(wakeWord, FUTEX_WAKE, INT_MAX);
  // In a forked child there are no workers to wait for.
  if (creator == getpid())
    for (Worker &worker : workers)
      if (worker.started)
        pthread_join(worker.thread, nullptr);
  workers.clear();
  threads = 1;
}

bool ThreadPool::take(std::atomic<uint64_t> &taken, uint64_t epoch,
                      int64_t count, int64_t &index) {
  uint64_t tag = epoch << 16, value = taken.load(std::memory_order_relaxed);
  for (;;) {
    uint64_t next = (value & ~uint64_t(0xFFFF)) == tag ? value & 0xFFFF : 0;
    if (next >= static_cast<uint64_t>(count))
      return false;
    if (taken.compare_exchange_weak(value, tag | (next + 1),
                                    std::memory_order_relaxed)) {
      index = static_cast<int64_t>(next);
      return true;
    }
  }
}

static void runChunk(const Loop &loop, Scratch &scratch, int64_t chunk) {
  loop.run(loop, scratch, loop.boundary(chunk), loop.boundary(chunk + 1));
}

void ThreadPool::work(const Loop &loop, uint64_t epoch, int32_t self,
                      Scratch &scratch) {
  int64_t chunks = loop.chunks, began = loop.observe ? nanoseconds() : 0;
  bool hadPart = false;
  for (int32_t i = 0; i < threads; ++i) {
    int32_t owner = self + i < threads ? self + i : self + i - threads;
    int64_t first = chunks * owner / threads;
    int64_t count = chunks * (owner + 1) / threads - first, index;
    while (take(workers[owner].taken, epoch, count, index)) {
      runChunk(loop, scratch, first + place(loop, index, count));
      hadPart = true;
    }
  }
  if (hadPart && loop.observe)
    loop.observe(loop, self, began, nanoseconds());
}

void ThreadPool::run(Loop &newLoop, Scratch &scratch) {
  if (newLoop.count <= 0)
    return;
  newLoop.cut(threads);
  if (newLoop.alternate)
    newLoop.backwards = turns.fetch_add(1, std::memory_order_relaxed) & 1;
  if (threads == 1 || newLoop.chunks == 1 ||
      busy.exchange(true, std::memory_order_acquire)) {
    // In chunks here as well: a cancelled run should not wait for the end.
    for (int64_t i = 0; i < newLoop.chunks; ++i)
      runChunk(newLoop, scratch, place(newLoop, i, newLoop.chunks));
    return;
  }

  // The gate is closed and empty, so nobody looks at `loop`.
  loop = &newLoop;
  uint64_t epoch = (gate.load(std::memory_order_relaxed) >> epochShift) + 1;
  epoch &= (uint64_t(1) << (64 - epochShift)) - 1;
  gate.store(epoch << epochShift | open, std::memory_order_seq_cst);
  // Either we see the sleeper, or it sees the open gate before it sleeps.
  if (sleepers.load(std::memory_order_seq_cst) > 0) {
    sleepers.store(0, std::memory_order_seq_cst);
    wakeWord.fetch_add(1, std::memory_order_seq_cst);
    futex(wakeWord, FUTEX_WAKE, INT_MAX);
  }
  work(newLoop, epoch, 0, scratch);

  // All chunks are taken: let nobody in any more, wait for who is inside.
  uint64_t inside =
      gate.fetch_and(~open, std::memory_order_acquire) & insideMask;
  for (int64_t spins = 0; inside != 0; ++spins) {
    if (spins < 4096)
      pause();
    else
      sched_yield(); // perhaps the worker needs our core
    inside = gate.load(std::memory_order_acquire) & insideMask;
  }
  busy.store(false, std::memory_order_release);
}

// Returns when a loop other than `seen` is open; false to quit.
bool ThreadPool::waitForLoop(uint64_t seen) {
  auto isOpen = [&] {
    uint64_t value = gate.load(std::memory_order_seq_cst);
    return (value & open) != 0 && value >> epochShift != seen;
  };
  int64_t idleSince = -1;
  for (;;) {
    for (int i = 0; i < 128; ++i) {
      if (isOpen())
        return true;
      pause();
    }
    if (quit.load(std::memory_order_relaxed))
      return false;
    int64_t now = nanoseconds();
    if (idleSince < 0)
      idleSince = now;
    int64_t limit =
        runs.load(std::memory_order_relaxed) > 0 ? spinInRun : spinAfterRun;
    if (now - idleSince > limit) {
      uint32_t word = wakeWord.load(std::memory_order_seq_cst);
      sleepers.fetch_add(1, std::memory_order_seq_cst);
      // The count may stay one too high here: one wake-up call too many.
      if (isOpen())
        return true;
      if (quit.load())
        return false;
      while (wakeWord.load(std::memory_order_seq_cst) == word)
        futex(wakeWord, FUTEX_WAIT, word);
      idleSince = -1;
    } else if (now - idleSince > spinAlone) {
      sched_yield();
    }
  }
}

void *ThreadPool::main(void *argument) {
  Worker &self = *static_cast<Worker *>(argument);
  ThreadPool &pool = *self.pool;
  pthread_setname_np(pthread_self(), "nacre-worker");
  if (self.cpu >= 0) {
    // Refused for a CPU that we may not use; then the thread floats.
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(self.cpu), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  }
  StandardFloats standardFloats; // threads inherit the mode of their creator
  uint64_t seen = 0;
  while (pool.waitForLoop(seen)) {
    uint64_t value = pool.gate.load(std::memory_order_relaxed);
    if (!(value & open) || value >> epochShift == seen ||
        !pool.gate.compare_exchange_strong(value, value + 1,
                                           std::memory_order_acquire))
      continue;
    seen = value >> epochShift;
    pool.work(*pool.loop, seen, self.index, self.scratch);
    pool.gate.fetch_sub(1, std::memory_order_release);
  }
  return nullptr;
}

} // namespace nacre::runtime
