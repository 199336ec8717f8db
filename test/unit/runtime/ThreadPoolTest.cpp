// The pool by itself: every iteration exactly once, whoever calls and however
// many do.
#include "runtime/core/ThreadPool.h"
#include "FakeModel.h"

#include <atomic>
#include <chrono>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace nacre::runtime;

namespace {

struct CountLoop : Loop {
  std::vector<std::atomic<int>> *hits;
  std::atomic<int> chunksRun{0};
  std::atomic<bool> aligned{true};
  bool yields = false;
};

void countChunk(const Loop &base, Scratch &scratch, int64_t begin,
                int64_t end) {
  auto &loop = const_cast<CountLoop &>(static_cast<const CountLoop &>(base));
  loop.chunksRun++;
  if (begin % loop.grain != 0 || (end % loop.grain != 0 && end != loop.count) ||
      begin >= end)
    loop.aligned = false;
  for (int64_t i = begin; i < end; ++i)
    (*loop.hits)[size_t(i)].fetch_add(1, std::memory_order_relaxed);
  if (loop.yields)
    sched_yield();
}

struct ThreadPoolTest : testing::Test {
  ThreadPoolTest() : allocator(Allocator::make(0, true)) {}
  ~ThreadPoolTest() override {
    pool.stop();
    allocator->abandon();
  }
  void start(int threads) {
    ASSERT_EQ(pool.start(threads, nullptr, 0, allocator), NACRE_OK);
  }
  void check(int64_t count, int64_t grain, Scratch &scratch,
             bool yields = false, bool alternate = false) {
    std::vector<std::atomic<int>> hits(size_t(count > 0 ? count : 0));
    CountLoop loop;
    loop.run = countChunk;
    loop.count = count;
    loop.grain = grain;
    loop.hits = &hits;
    loop.yields = yields;
    loop.alternate = alternate;
    pool.run(loop, scratch);
    for (auto &hit : hits)
      ASSERT_EQ(hit.load(), 1) << count << " by " << grain;
    EXPECT_TRUE(loop.aligned) << count << " by " << grain;
    EXPECT_LE(loop.chunksRun, (alternate ? 32 : 4) * pool.threadCount());
  }

  Allocator *allocator;
  ThreadPool pool;
};

TEST_F(ThreadPoolTest, EveryIterationOnce) {
  for (int threads : {1, 2, 3, 8}) {
    SCOPED_TRACE(threads);
    start(threads);
    Scratch scratch(allocator);
    pool.beginRun();
    for (int64_t count : {0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 100, 1000, 4097})
      for (int64_t grain : {-3, 0, 1, 2, 5, 16, 1000, 5000})
        for (bool alternate : {false, true})
          check(count, grain, scratch, false, alternate);
    pool.endRun();
    pool.stop();
  }
}

TEST_F(ThreadPoolTest, AlternatesBetweenForwardsAndBackwards) {
  struct OrderLoop : Loop {
    std::vector<int64_t> order;
  };
  start(1);
  Scratch scratch(allocator);
  for (bool isBackwards : {false, true, false}) {
    OrderLoop loop;
    loop.run = [](const Loop &base, Scratch &, int64_t begin, int64_t) {
      const_cast<OrderLoop &>(static_cast<const OrderLoop &>(base))
          .order.push_back(begin);
    };
    loop.count = 8; // four chunks
    loop.grain = 2;
    loop.alternate = true;
    pool.run(loop, scratch);
    EXPECT_EQ(loop.order, isBackwards ? (std::vector<int64_t>{6, 4, 2, 0})
                                      : (std::vector<int64_t>{0, 2, 4, 6}));
  }
}

TEST(LoopTest, BoundariesOfHugeLoops) {
  Loop loop{};
  loop.count = INT64_MAX;
  loop.grain = 3;
  loop.cut(8);
  EXPECT_EQ(loop.chunks, 32);
  EXPECT_EQ(loop.boundary(0), 0);
  EXPECT_EQ(loop.boundary(32), INT64_MAX);
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_LT(loop.boundary(i), loop.boundary(i + 1));
}

TEST_F(ThreadPoolTest, ManyCallersAtOnce) {
  start(4);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      Scratch scratch(allocator);
      pool.beginRun();
      for (int j = 0; j < 500; ++j)
        check(20 + j % 50, 3, scratch, true);
      pool.endRun();
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST_F(ThreadPoolTest, WorkersComeBackFromSleep) {
  start(2);
  Scratch scratch(allocator);
  for (int round = 0; round < 3; ++round) {
    // Longer than they spin.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // A loop long enough that a worker that wakes up takes part.
    struct SlowLoop : Loop {
      pthread_t caller;
      std::atomic<int> byOthers{0};
      std::atomic<int> done{0};
    } loop;
    loop.run = [](const Loop &base, Scratch &, int64_t, int64_t) {
      auto &self = const_cast<SlowLoop &>(static_cast<const SlowLoop &>(base));
      bool other = !pthread_equal(pthread_self(), self.caller);
      self.byOthers += other;
      std::this_thread::sleep_for(std::chrono::milliseconds(other ? 100 : 10));
      self.done++;
    };
    loop.count = 8;
    loop.grain = 1;
    loop.caller = pthread_self();
    pool.run(loop, scratch);
    EXPECT_GT(loop.byOthers, 0);
    EXPECT_EQ(loop.done, 8); // the caller waited for who was inside
  }
}

TEST_F(ThreadPoolTest, SurvivesFork) {
#if NACRE_TEST_SANITIZED
  GTEST_SKIP() << "fork with threads is not for sanitizers";
#endif
  start(3);
  Scratch scratch(allocator);
  check(1000, 1, scratch);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // No workers here: the loop must still be done, and the pool must end.
    check(1000, 1, scratch);
    pool.stop();
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  check(1000, 1, scratch);
}

TEST_F(ThreadPoolTest, PinnedWorkers) {
  // Worker 1 on the first CPU of this process; a CPU that does not exist is no
  // error, the worker floats.
  cpu_set_t mine;
  ASSERT_EQ(sched_getaffinity(0, sizeof mine, &mine), 0);
  int32_t first = 0;
  while (!CPU_ISSET(first, &mine))
    ++first;
  int32_t cpus[] = {1023, first};
  ASSERT_EQ(pool.start(3, cpus, 2, allocator), NACRE_OK);
  Scratch scratch(allocator);
  struct WhereLoop : Loop {
    pthread_t caller;
    std::atomic<int> pinned{0};
  } loop;
  loop.run = [](const Loop &base, Scratch &, int64_t, int64_t) {
    auto &self = const_cast<WhereLoop &>(static_cast<const WhereLoop &>(base));
    cpu_set_t set;
    if (!pthread_equal(pthread_self(), self.caller) &&
        sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1)
      self.pinned++;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  loop.count = 12;
  loop.grain = 1;
  loop.caller = pthread_self();
  pool.run(loop, scratch);
  if (CPU_COUNT(&mine) > 1) {
    EXPECT_GT(loop.pinned, 0);
  }
}

} // namespace
