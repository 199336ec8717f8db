// What a run can do to a session, and several at once to each other.
#include "FakeModel.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace nacre::test;
using namespace std::chrono_literals;

namespace {

template <typename T> T *outputOf(nacre_abi_context *c, int64_t count) {
  return static_cast<T *>(c->output(c, 0, 1, &count));
}

// ---- Options ----------------------------------------------------------------

int32_t countThreads(nacre_abi_context *c, const nacre_abi_tensor *) {
  *outputOf<int64_t>(c, 1) = c->thread_count;
  return 0;
}

struct OptionsTest : testing::Test {
  OptionsTest() {
    fake.function("main", countThreads, {},
                  {fake.tensor("y", NACRE_DTYPE_I64, {"N"})});
    EXPECT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr,
                                 &model),
              NACRE_OK);
  }
  ~OptionsTest() override { nacre_model_release(model); }
  nacre_status create() {
    nacre_session *session = nullptr;
    nacre_status status = nacre_session_create(model, &options, &session);
    EXPECT_EQ(session == nullptr, status != NACRE_OK);
    nacre_session_destroy(session);
    return status;
  }
  FakeModel fake;
  nacre_model *model = nullptr;
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
};

TEST_F(OptionsTest, ThreadCounts) {
  for (int32_t threads : {0, 1, 2, 5}) {
    FakeSession s(fake, threads);
    int32_t count = 0;
    ASSERT_EQ(nacre_session_get_thread_count(s.session, &count), NACRE_OK);
    if (threads > 0) {
      EXPECT_EQ(count, threads);
    } else {
      EXPECT_GE(count, 1);
    }
    std::vector<nacre_tensor> y = {nacre_tensor{}};
    ASSERT_EQ(s.run({}, y), NACRE_OK) << nacre_last_error();
    EXPECT_EQ(*static_cast<int64_t *>(y[0].data), count);
    nacre_tensor_release(&y[0]);
  }
}

TEST_F(OptionsTest, WrongOptions) {
  options.thread_count = -1;
  EXPECT_ERROR(create(), NACRE_INVALID_ARGUMENT,
               "thread_count is -1, expected 0 (all cores) to 1024");
  options.thread_count = 100000;
  EXPECT_ERROR(create(), NACRE_INVALID_ARGUMENT,
               "thread_count is 100000, expected 0 (all cores) to 1024");
  options.thread_count = 2;
  options.cpu_count = 2;
  EXPECT_ERROR(create(), NACRE_INVALID_ARGUMENT,
               "cpu_count is 2, but cpus is NULL");
  int32_t cpus[] = {0, 5000};
  options.cpus = cpus;
  EXPECT_ERROR(create(), NACRE_INVALID_ARGUMENT,
               "cpus[1] is 5000, expected 0 to 1023");
  options.cpu_count = 1;
  EXPECT_EQ(create(), NACRE_OK) << nacre_last_error();
  options.memory_limit = -1;
  EXPECT_ERROR(create(), NACRE_INVALID_ARGUMENT,
               "memory_limit is -1, expected no negative size");
  options.memory_limit = 0;
  options.profiling = 3;
  EXPECT_ERROR(create(), NACRE_INVALID_ARGUMENT,
               "profiling is 3, expected 0 to 2");
  options.profiling = 0;
  options.struct_size = 0;
  EXPECT_EQ(create(), NACRE_INVALID_ARGUMENT);
  options.struct_size = sizeof options + 8;
  EXPECT_EQ(create(), NACRE_INVALID_ARGUMENT);
  // As a caller built with an older header would say it.
  options.struct_size = offsetof(nacre_session_options, profiling);
  options.profiling = 77;
  EXPECT_EQ(create(), NACRE_OK) << nacre_last_error();
}

// ---- Seeds ------------------------------------------------------------------

int32_t tellSeed(nacre_abi_context *c, const nacre_abi_tensor *) {
  auto *told = outputOf<int64_t>(c, 2);
  told[0] = c->seed;
  told[1] = c->run_number;
  return 0;
}

TEST(SeedTest, RunsAreCountedPerSeed) {
  FakeModel fake;
  fake.function("main", tellSeed, {},
                {fake.tensor("y", NACRE_DTYPE_I64, {"N"})});
  FakeSession s(fake, 1);
  auto expectRun = [&](int64_t seed, int64_t number) {
    std::vector<nacre_tensor> y = {nacre_tensor{}};
    ASSERT_EQ(s.run({}, y), NACRE_OK) << nacre_last_error();
    auto *told = static_cast<int64_t *>(y[0].data);
    EXPECT_EQ(told[0], seed);
    EXPECT_EQ(told[1], number);
    nacre_tensor_release(&y[0]);
  };
  expectRun(0, 0);
  expectRun(0, 1);
  ASSERT_EQ(nacre_session_set_seed(s.session, UINT64_MAX), NACRE_OK);
  expectRun(-1, 0);
  std::vector<nacre_tensor> tooMany(2);
  EXPECT_NE(s.run({}, tooMany), NACRE_OK); // counts
  expectRun(-1, 2);
  EXPECT_EQ(nacre_session_set_seed(nullptr, 1), NACRE_INVALID_ARGUMENT);
}

// ---- Memory -----------------------------------------------------------------

// Uses the arena, sizes that come as data, and scratch; y = x + 1 in the end.
int32_t useMemory(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  int64_t n = inputs[0].dims[0];
  auto *x = static_cast<const float *>(inputs[0].data);
  if (reinterpret_cast<uintptr_t>(c->arena) % 64 != 0)
    c->fail(c, NACRE_ABI_INVALID_VALUE, "the arena is not aligned");
  std::memset(c->arena, 0xAB, 1000);
  void *empty = c->allocate(c, 0);
  auto *copy = static_cast<float *>(c->allocate(c, 4 * n));
  auto *kept = static_cast<float *>(c->allocate(c, 4 * n)); // never released
  if (!copy || !kept || !empty)
    return NACRE_ABI_OUT_OF_MEMORY;
  std::memset(kept, 0, size_t(4 * n));
  std::memcpy(copy, x, size_t(4 * n));
  c->release(c, empty);
  c->release(c, nullptr);
  auto *outer = static_cast<float *>(c->scratch(c, 64));
  outer[0] = 1;
  float *y = outputOf<float>(c, n);
  parallelFor(c, n, 8, [&](nacre_abi_context *c, int64_t begin, int64_t end) {
    auto *s = static_cast<float *>(c->scratch(c, 4 * (end - begin)));
    auto *t = static_cast<float *>(c->scratch(c, 4 * (end - begin)));
    if (!s || !t)
      return;
    for (int64_t i = begin; i < end; ++i)
      s[i - begin] = copy[i], t[i - begin] = outer[0];
    // Serial here, and its scratch goes when it ends.
    parallelFor(c, end - begin, 1,
                [&](nacre_abi_context *c, int64_t b, int64_t e) {
                  c->scratch(c, 10000);
                  for (int64_t i = b; i < e; ++i)
                    s[i] += t[i];
                });
    std::memcpy(y + begin, s, size_t(4 * (end - begin)));
  });
  c->release(c, copy);
  return 0;
}

FakeModel &memoryModel(FakeModel &fake) {
  return fake.function("main", useMemory,
                       {fake.tensor("x", NACRE_DTYPE_F32, {"N"})},
                       {fake.tensor("y", NACRE_DTYPE_F32, {"N"})}, 1000);
}

TEST(MemoryTest, ArenaAllocationsAndScratch) {
  FakeModel fake;
  FakeSession s(memoryModel(fake), 3);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  for (int64_t n : {1000, 10, 0, 100000, 999}) {
    std::vector<float> x(size_t(n), 41);
    ASSERT_EQ(s.run({tensorOf(x, {n})}, y), NACRE_OK) << nacre_last_error();
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(static_cast<float *>(y[0].data)[i], 42.0f);
    if (n == 0) {
      EXPECT_EQ(nacre_session_trim(s.session), NACRE_OK);
    }
  }
  nacre_tensor_release(&y[0]);
}

TEST(MemoryTest, TheLimitIsAStatusAndTheSessionGoesOn) {
  FakeModel fake;
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  options.memory_limit = 1 << 20;
  FakeSession s(memoryModel(fake), 2, options);
  std::vector<float> x(1 << 20, 1);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  for (int round = 0; round < 3; ++round) {
    EXPECT_ERROR(s.run({tensorOf(x, {1 << 20})}, y), NACRE_OUT_OF_MEMORY,
                 "an intermediate value: no memory for 4194304 bytes (the "
                 "session's limit is 1048576)");
    EXPECT_EQ(y[0].data, nullptr);
    // What a run does not release does not pile up.
    for (int i = 0; i < 300; ++i)
      ASSERT_EQ(s.run({tensorOf(x, {1000})}, y), NACRE_OK)
          << nacre_last_error();
    nacre_tensor_release(&y[0]);
  }
}

TEST(MemoryTest, AnArenaThatDoesNotFit) {
  FakeModel fake;
  fake.function("main", countThreads, {},
                {fake.tensor("y", NACRE_DTYPE_I64, {"N"})}, int64_t(1) << 60);
  FakeSession s(fake, 1);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  EXPECT_EQ(s.run({}, y), NACRE_OUT_OF_MEMORY);
  EXPECT_EQ(std::string(nacre_last_error())
                .find("no memory for the 1152921504606846976 bytes of "
                      "intermediate values of function 'main'"),
            0u)
      << nacre_last_error();
}

// What the operating system refuses is a status too.
TEST(MemoryTest, TheSystemHasNoMemory) {
#if NACRE_TEST_SANITIZED
  GTEST_SKIP() << "sanitizers reserve terabytes";
#endif
  FakeModel fake;
  memoryModel(fake);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::vector<float> x(size_t(60) << 20, 1);
    // 128 MB on top of what the process has by now.
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlim_t bytes = pages * size_t(sysconf(_SC_PAGESIZE)) + (size_t(128) << 20);
    rlimit limit = {bytes, bytes};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    nacre_model *model = nullptr;
    nacre_session *session = nullptr;
    nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
    EXPECT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr,
                                 &model),
              NACRE_OK);
    options.thread_count = 1000; // 8 GB of stacks
    EXPECT_ERROR(nacre_session_create(model, &options, &session),
                 NACRE_OUT_OF_MEMORY,
                 "cannot start 999 threads: Resource temporarily unavailable");
    options.thread_count = 2;
    EXPECT_EQ(nacre_session_create(model, &options, &session), NACRE_OK);
    nacre_tensor in = tensorOf(x, {60 << 20}), y = {};
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(nacre_session_run(session, 0, &in, 1, &y, 1),
                NACRE_OUT_OF_MEMORY);
    in.dims[0] = 1 << 20;
    EXPECT_EQ(nacre_session_run(session, 0, &in, 1, &y, 1), NACRE_OK);
    nacre_tensor_release(&y);
    nacre_session_destroy(session);
    nacre_model_release(model);
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// A loop that carries two of the three blocks of each iteration, by an address in the
// middle and by the one behind the end, and one block from outside.
int32_t useLoop(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  constexpr int64_t size = 1 << 16;
  auto count = *static_cast<const int64_t *>(inputs[0].data);
  auto *older = static_cast<char *>(c->allocate_for(c, size, nullptr));
  auto *plain = static_cast<char *>(c->allocate(c, size));
  if (!older || !plain)
    return NACRE_ABI_OUT_OF_MEMORY;
  older[size - 1] = 1, plain[size - 1] = 2;
  int64_t mark = c->mark(c);
  char *x = nullptr, *y = nullptr;
  for (int64_t i = 0; i < count; ++i) {
    char *pieces[3];
    for (char *&piece : pieces) {
      piece = static_cast<char *>(c->allocate_for(c, size, "node 'a' (B): "));
      if (!piece)
        return NACRE_ABI_OUT_OF_MEMORY;
      std::memset(piece, static_cast<int>(i % 100), size);
    }
    if (i > 0 && (x[0] != (i - 1) % 100 || y[size - 1] != (i - 1) % 100))
      c->fail(c, NACRE_ABI_INVALID_VALUE, "what was kept has changed");
    x = pieces[i % 3], y = pieces[(i + 1) % 3];
    // A loop in the loop, which leaves nothing.
    int64_t inner = c->mark(c);
    c->allocate_for(c, size, nullptr);
    c->release_since(c, inner, nullptr, 0);
    const void *kept[] = {x + size / 2, y + size, older};
    c->release_since(c, mark, kept, 3);
  }
  if (older[size - 1] != 1 || plain[size - 1] != 2)
    c->fail(c, NACRE_ABI_INVALID_VALUE, "what is older has changed");
  if (count > 0)
    c->release(c, x); // before the end
  c->release(c, plain);
  int64_t dims[] = {count > 100 ? int64_t(1) << 30 : 1};
  return c->output_for(c, 0, 1, dims, "node 'o' (P): ") ? 0 : NACRE_ABI_OUT_OF_MEMORY;
}

TEST(MemoryTest, LoopsKeepWhatTheyCarry) {
  FakeModel fake;
  fake.function("main", useLoop, {fake.tensor("n", NACRE_DTYPE_I64, {})},
                {fake.tensor("y", NACRE_DTYPE_U8, {"N"})});
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  options.memory_limit = 1 << 20;
  FakeSession s(fake, 1, options);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  auto run = [&](int64_t count) {
    std::vector<int64_t> n = {count};
    return s.run({tensorOf(n, {}, NACRE_I64)}, y);
  };
  for (int64_t count : {0, 1, 2, 100})
    ASSERT_EQ(run(count), NACRE_OK) << nacre_last_error();
  EXPECT_ERROR(run(101), NACRE_OUT_OF_MEMORY,
               "node 'o' (P): output 'y': no memory for 1073741824 bytes (the "
               "session's limit is 1048576)");
  options.memory_limit = 3 << 16;
  FakeSession tight(fake, 1, options);
  std::vector<int64_t> n = {1};
  EXPECT_ERROR(tight.run({tensorOf(n, {}, NACRE_I64)}, y), NACRE_OUT_OF_MEMORY,
               "node 'a' (B): an intermediate value: no memory for 65536 bytes "
               "(the session's limit is 196608)");
  nacre_tensor_release(&y[0]);
}

int32_t absurdSizes(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  auto what = static_cast<const int64_t *>(inputs[0].data)[0];
  auto size = static_cast<const int64_t *>(inputs[0].data)[1];
  int64_t dims[] = {size, size};
  switch (what) {
  case 0:
    return c->allocate(c, size) ? 0 : NACRE_ABI_OUT_OF_MEMORY;
  case 1:
    return c->scratch(c, size) ? 0 : NACRE_ABI_OUT_OF_MEMORY;
  case 2:
    return c->output(c, 0, 2, dims) ? 0 : NACRE_ABI_OUT_OF_MEMORY;
  case 3:
    return c->output(c, 7, 2, dims) ? 0 : NACRE_ABI_OUT_OF_MEMORY;
  case 4: // says nothing of what went wrong
    return NACRE_ABI_INVALID_VALUE;
  case 5:
    return 12345;
  case 6:
    c->fail(c, 99, nullptr);
    return 0;
  case 8: // fails when it has its output already
    dims[0] = dims[1] = 3;
    c->output(c, 0, 2, dims);
    c->fail(c, NACRE_ABI_INVALID_VALUE, "too late");
    return 0;
  default: // forgets its output
    return 0;
  }
}

TEST(MemoryTest, SizesThatComeAsData) {
  FakeModel fake;
  fake.function("main", absurdSizes,
                {fake.tensor("what", NACRE_DTYPE_I64, {2})},
                {fake.tensor("y", NACRE_DTYPE_F32, {"N", "M"})});
  FakeSession s(fake, 1);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  auto run = [&](int64_t what, int64_t size) {
    std::vector<int64_t> values = {what, size};
    return s.run({tensorOf(values, {2}, NACRE_I64)}, y);
  };
  EXPECT_ERROR(run(0, -8), NACRE_INVALID_SHAPE,
               "an intermediate value: its size overflows or is negative (-8 "
               "bytes)");
  EXPECT_EQ(run(0, INT64_MAX), NACRE_OUT_OF_MEMORY);
  EXPECT_ERROR(run(1, -1), NACRE_INVALID_SHAPE,
               "a kernel's scratch: its size overflows or is negative (-1 "
               "bytes)");
  EXPECT_EQ(run(1, INT64_MAX), NACRE_OUT_OF_MEMORY);
  EXPECT_ERROR(run(2, -1), NACRE_INVALID_SHAPE,
               "output 'y': its size overflows or is negative (-1 bytes)");
  EXPECT_EQ(run(2, int64_t(1) << 31), NACRE_INVALID_SHAPE); // × 4 bytes
  EXPECT_EQ(run(2, int64_t(1) << 30), NACRE_OUT_OF_MEMORY);
  EXPECT_ERROR(run(3, 1), NACRE_INTERNAL,
               "output 7 of rank 2 does not fit the signature of 'main'");
  EXPECT_ERROR(run(4, 0), NACRE_INVALID_VALUE,
               "function 'main' ended with status 3 and no message");
  EXPECT_ERROR(run(5, 0), NACRE_INTERNAL,
               "function 'main' ended with status 12345 and no message");
  EXPECT_ERROR(run(6, 0), NACRE_INTERNAL, "unknown reason");
  EXPECT_ERROR(run(7, 0), NACRE_INTERNAL, "output 'y' was not computed");
  EXPECT_ERROR(run(8, 0), NACRE_INVALID_VALUE, "too late");
  EXPECT_EQ(y[0].owner, nullptr);
  EXPECT_EQ(y[0].data, nullptr);
  EXPECT_EQ(run(2, 0), NACRE_OK) << nacre_last_error();
  nacre_tensor_release(&y[0]);
}

// ---- Failures ---------------------------------------------------------------

// Gathers: index i out of range fails with a message of its own, goes on.
const char *const messages[] = {
    "node 'g0' (Gather): index", "node 'g1' (Gather): index",
    "node 'g2' (Gather): index", "node 'g3' (Gather): index"};
int32_t gather(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  auto *x = static_cast<const int64_t *>(inputs[0].data);
  int64_t n = inputs[0].dims[0];
  auto *y = outputOf<int64_t>(c, n);
  parallelFor(c, n, 1, [&](nacre_abi_context *c, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (x[i] < 0)
        c->fail(c, NACRE_ABI_INVALID_VALUE, messages[-x[i] - 1]);
      y[i] = x[i];
    }
  });
  if (x[0] == 99)
    c->fail(c, NACRE_ABI_INVALID_SHAPE, "after the loop");
  // A later loop whose failure must not replace the first.
  parallelFor(c, n, 1, [&](nacre_abi_context *c, int64_t begin, int64_t) {
    if (x[n - 1] < 0 && begin == 0)
      c->fail(c, NACRE_ABI_INVALID_SHAPE, "second loop");
  });
  return 0;
}

TEST(FailureTest, TheSameErrorAtEveryThreadCount) {
  FakeModel fake;
  fake.function("main", gather, {fake.tensor("x", NACRE_DTYPE_I64, {"N"})},
                {fake.tensor("y", NACRE_DTYPE_I64, {"N"})});
  for (int32_t threads : {1, 2, 4, 7}) {
    FakeSession s(fake, threads);
    std::vector<nacre_tensor> y = {nacre_tensor{}};
    for (int round = 0; round < 200; ++round) {
      std::vector<int64_t> x(1000, 1);
      x[size_t(250 + round)] = -2;
      x[size_t(251 + round)] = -1;
      x[700] = -3;
      x[999] = -4;
      x[0] = round % 2 ? 99 : 1;
      ASSERT_EQ(s.run({tensorOf(x, {1000}, NACRE_I64)}, y),
                NACRE_INVALID_VALUE);
      ASSERT_STREQ(nacre_last_error(), messages[1]) << threads;
    }
    std::vector<int64_t> x = {99, 1};
    EXPECT_ERROR(s.run({tensorOf(x, {2}, NACRE_I64)}, y), NACRE_INVALID_SHAPE,
                 "after the loop");
    x[0] = 1;
    EXPECT_EQ(s.run({tensorOf(x, {2}, NACRE_I64)}, y), NACRE_OK)
        << nacre_last_error();
    nacre_tensor_release(&y[0]);
  }
}

// The worst order on purpose: a late iteration fails on a worker while the
// caller is still busy with the first ones, and an earlier one fails after it.
std::atomic<bool> lateHasFailed;
int32_t lateFailsFirst(nacre_abi_context *c, const nacre_abi_tensor *) {
  lateHasFailed = false;
  parallelFor(
      c, 800, 100, [&](nacre_abi_context *c, int64_t begin, int64_t end) {
        auto patience = std::chrono::steady_clock::now() + 5s;
        if (begin == 0 && c->thread_count > 1)
          while (!lateHasFailed && std::chrono::steady_clock::now() < patience)
            std::this_thread::yield();
        if (begin <= 100 && 100 < end)
          c->fail(c, NACRE_ABI_INVALID_VALUE, "early");
        if (begin >= 400) {
          c->fail(c, NACRE_ABI_INVALID_SHAPE, "late");
          lateHasFailed = true;
        }
      });
  return 0;
}

TEST(FailureTest, TheEarliestIterationWinsWhoeverIsFirst) {
  FakeModel fake;
  fake.function("main", lateFailsFirst, {}, {});
  for (int32_t threads : {1, 2}) {
    FakeSession s(fake, threads);
    std::vector<nacre_tensor> none;
    EXPECT_ERROR(s.run({}, none), NACRE_INVALID_VALUE, "early");
    EXPECT_EQ(lateHasFailed, threads > 1);
  }
}

// ---- Cancellation -----------------------------------------------------------

std::atomic<int> inFlight{0};

// Runs until cancelled: 0 in host code, 1 in a loop's chunks.
int32_t forever(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  int64_t where = *static_cast<const int64_t *>(inputs[0].data);
  inFlight++;
  if (where == 0) {
    while (__atomic_load_n(&c->stop, __ATOMIC_RELAXED) == 0)
      std::this_thread::yield();
  } else {
    std::atomic<int64_t> calls{0};
    for (int i = 0; i < 1000000; ++i) {
      if (__atomic_load_n(&c->stop, __ATOMIC_RELAXED) != 0)
        break;
      parallelFor(c, 1000, 1, [&](nacre_abi_context *, int64_t, int64_t) {
        calls++;
        std::this_thread::sleep_for(1ms);
      });
    }
  }
  inFlight--;
  *outputOf<int64_t>(c, 1) = 1;
  return 0;
}

struct CancelTest : testing::Test {
  CancelTest() {
    fake.function("main", forever, {fake.tensor("where", NACRE_DTYPE_I64, {1})},
                  {fake.tensor("y", NACRE_DTYPE_I64, {"N"})});
  }
  FakeModel fake;
};

TEST_F(CancelTest, EndsAllRunsInFlightAndNoOther) {
  for (int64_t where : {0, 1})
    for (int32_t threads : {1, 2}) {
      FakeSession s(fake, threads), other(fake, 1);
      auto run = [&](nacre_session *session) {
        nacre_tensor in = tensorOf(&where, {1}, NACRE_I64);
        EXPECT_ERROR(nacre_session_run(session, 0, &in, 1, nullptr, 0),
                     NACRE_CANCELLED, "the run was cancelled");
      };
      std::thread a(run, s.session), b(run, s.session), c(run, other.session);
      while (inFlight < 3)
        std::this_thread::yield();
      auto begin = std::chrono::steady_clock::now();
      nacre_session_cancel(s.session);
      a.join();
      b.join();
      EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
      EXPECT_EQ(inFlight, 1);
      nacre_session_cancel(other.session);
      c.join();
    }
}

// A loop whose chunks take long by themselves: it ends between their pieces.
int32_t slowLoop(nacre_abi_context *c, const nacre_abi_tensor *) {
  inFlight++;
  parallelFor(c, 4096, 1, [&](nacre_abi_context *, int64_t begin, int64_t end) {
    std::this_thread::sleep_for((end - begin) * 1ms);
  });
  inFlight--;
  *outputOf<int64_t>(c, 1) = 1;
  return 0;
}

TEST(CancelLoopTest, DoesNotWaitForALongChunk) {
  FakeModel fake;
  fake.function("main", slowLoop, {}, {fake.tensor("y", NACRE_DTYPE_I64, {"N"})});
  for (int32_t threads : {1, 2}) {
    FakeSession s(fake, threads);
    std::thread runner([&] {
      EXPECT_ERROR(nacre_session_run(s.session, 0, nullptr, 0, nullptr, 0),
                   NACRE_CANCELLED, "the run was cancelled");
    });
    while (inFlight < 1)
      std::this_thread::yield();
    auto begin = std::chrono::steady_clock::now();
    nacre_session_cancel(s.session);
    runner.join();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 500ms);
  }
}

TEST_F(CancelTest, BetweenRunsItHasNoEffect) {
  FakeModel quick;
  FakeSession s(memoryModel(quick), 2);
  std::vector<float> x(10, 1);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(nacre_session_cancel(s.session), NACRE_OK);
    EXPECT_EQ(s.run({tensorOf(x, {10})}, y), NACRE_OK) << nacre_last_error();
  }
  nacre_tensor_release(&y[0]);
}

nacre_session *signalled = nullptr;

TEST_F(CancelTest, FromASignalHandler) {
  FakeSession s(fake, 2);
  signalled = s.session;
  auto old = std::signal(SIGALRM, [](int) { nacre_session_cancel(signalled); });
  alarm(1);
  int64_t where = 0;
  nacre_tensor in = tensorOf(&where, {1}, NACRE_I64);
  EXPECT_EQ(nacre_session_run(s.session, 0, &in, 1, nullptr, 0),
            NACRE_CANCELLED);
  std::signal(SIGALRM, old);
}

// ---- Several at once --------------------------------------------------------

TEST(ConcurrencyTest, RunsOfOneSessionAndSeveralSessionsOfOneModel) {
  FakeModel fake;
  memoryModel(fake);
  FakeSession a(fake, 2), b(fake, 3), c(fake, 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      FakeSession &s = t % 3 == 0 ? a : t % 3 == 1 ? b : c;
      std::vector<nacre_tensor> y = {nacre_tensor{}};
      for (int i = 0; i < 100; ++i) {
        int64_t n = 1 + (i * 37 + t) % 500;
        std::vector<float> x = std::vector<float>(size_t(n), float(t));
        ASSERT_EQ(s.run({tensorOf(x, {n})}, y), NACRE_OK) << nacre_last_error();
        for (int64_t j = 0; j < n; ++j)
          ASSERT_EQ(static_cast<float *>(y[0].data)[j], float(t + 1));
        x[0] = 1;
        std::vector<nacre_tensor> none;
        EXPECT_EQ(s.run({tensorOf(x, {n, 1})}, none), NACRE_INVALID_SHAPE);
        EXPECT_STREQ(nacre_last_error(),
                     "input 'x': the rank is 2, expected 1: [N]");
      }
      nacre_tensor_release(&y[0]);
    });
  for (std::thread &thread : threads)
    thread.join();
}

// The result may not depend on who computes what: same bits at every count.
int32_t sines(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  int64_t n = inputs[0].dims[0];
  auto *x = static_cast<const float *>(inputs[0].data);
  float *y = outputOf<float>(c, n);
  parallelFor(c, n, 16, [&](nacre_abi_context *, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      y[i] = std::sin(x[i]) * 1e-30f * 1e-10f; // denormals stay
  });
  return 0;
}

TEST(ConcurrencyTest, SameBitsAtEveryThreadCount) {
  FakeModel fake;
  fake.function("main", sines, {fake.tensor("x", NACRE_DTYPE_F32, {"N"})},
                {fake.tensor("y", NACRE_DTYPE_F32, {"N"})});
  std::vector<float> x(10000), first;
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i);
  for (int32_t threads : {1, 2, 3, 8}) {
    FakeSession s(fake, threads);
    std::vector<float> y(x.size());
    std::vector<nacre_tensor> out = {tensorOf(y, {10000})};
    ASSERT_EQ(s.run({tensorOf(x, {10000})}, out), NACRE_OK);
    EXPECT_NE(y[1], 0.0f);
    if (first.empty())
      first = y;
    EXPECT_EQ(std::memcmp(y.data(), first.data(), 4 * y.size()), 0);
  }
}

#if defined(__x86_64__)
// A host that flushes denormals (fast-math code in the process does that) gets
// the same bits, and its mode back.
TEST(ConcurrencyTest, TheHostsFloatModeDoesNotMatter) {
  FakeModel fake;
  fake.function("main", sines, {fake.tensor("x", NACRE_DTYPE_F32, {"N"})},
                {fake.tensor("y", NACRE_DTYPE_F32, {"N"})});
  // Long enough for the workers to take part.
  std::vector<float> x(200000, 1.5f), standard(x.size()), flushed(x.size());
  auto run = [&](std::vector<float> &y) {
    FakeSession s(fake, 3);
    std::vector<nacre_tensor> out = {tensorOf(y, {200000})};
    for (int i = 0; i < 5; ++i)
      ASSERT_EQ(s.run({tensorOf(x, {200000})}, out), NACRE_OK);
  };
  run(standard);
  unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040); // flush to zero, denormals are zero
  run(flushed);
  EXPECT_EQ(__builtin_ia32_stmxcsr() & 0x8040, 0x8040u);
  __builtin_ia32_ldmxcsr(before);
  EXPECT_EQ(std::memcmp(standard.data(), flushed.data(), 4 * x.size()), 0);
  EXPECT_NE(standard[0], 0.0f);
}
#endif

// ---- Mutable parameters -----------------------------------------------------

// v += w, y = v[0]
int32_t step(nacre_abi_context *c, const nacre_abi_tensor *) {
  auto *v = reinterpret_cast<float *>(c->state);
  auto *w = reinterpret_cast<const float *>(c->parameters);
  for (int i = 0; i < 3; ++i) {
    float before = v[i];
    std::this_thread::yield(); // somebody else's chance to interfere
    v[i] = before + w[i];
  }
  *outputOf<float>(c, 1) = v[0];
  return 0;
}

struct StateTest : testing::Test {
  StateTest() {
    fake.constant("w", {1, 2, 3})
        .state("v", 3, {10, 20, 30})
        .state("momentum", 5, {});
    fake.function("step", step, {}, {fake.tensor("y", NACRE_DTYPE_F32, {"N"})});
  }
  FakeModel fake;
  std::vector<nacre_tensor> none;
};

TEST_F(StateTest, EachSessionHasItsOwn) {
  FakeSession a(fake, 2), b(fake, 1);
  ASSERT_EQ(a.run({}, none), NACRE_OK) << nacre_last_error();
  ASSERT_EQ(a.run({}, none), NACRE_OK);
  ASSERT_EQ(b.run({}, none), NACRE_OK);
  float values[3], zeros[5];
  ASSERT_EQ(nacre_session_read_parameter(a.session, 1, values, 12), NACRE_OK);
  EXPECT_EQ(values[2], 36.0f);
  ASSERT_EQ(nacre_session_read_parameter(b.session, 1, values, 12), NACRE_OK);
  EXPECT_EQ(values[2], 33.0f);
  ASSERT_EQ(nacre_session_read_parameter(a.session, 2, zeros, 20), NACRE_OK);
  EXPECT_EQ(zeros[4], 0.0f);
  ASSERT_EQ(nacre_session_reset_parameters(a.session), NACRE_OK);
  nacre_tensor_info info;
  for (int32_t i : {0, 1}) { // a constant, a mutable one
    ASSERT_EQ(nacre_model_get_parameter(a.model, i, &info), NACRE_OK);
    EXPECT_EQ(info.is_mutable, i);
  }
  nacre_tensor v;
  ASSERT_EQ(nacre_session_get_parameter(a.session, 1, &v), NACRE_OK);
  EXPECT_STREQ(v.name, "v");
  EXPECT_EQ(v.dims[0], 3);
  EXPECT_EQ(static_cast<float *>(v.data)[2], 30.0f);
}

TEST_F(StateTest, Write) {
  FakeSession s(fake, 1);
  std::vector<float> values = {7, 8, 9};
  nacre_tensor tensor = tensorOf(values, {3});
  ASSERT_EQ(nacre_session_write_parameter(s.session, 1, &tensor), NACRE_OK);
  std::vector<nacre_tensor> y = {nacre_tensor{}};
  ASSERT_EQ(s.run({}, y), NACRE_OK);
  EXPECT_EQ(*static_cast<float *>(y[0].data), 8.0f);
  nacre_tensor_release(&y[0]);
  EXPECT_ERROR(nacre_session_write_parameter(s.session, 0, &tensor),
               NACRE_INVALID_ARGUMENT,
               "parameter 'w': it is a constant of the model");
  tensor.dims[0] = 4;
  EXPECT_ERROR(nacre_session_write_parameter(s.session, 1, &tensor),
               NACRE_INVALID_SHAPE,
               "parameter 'v': dimension 0 is 4, expected 3");
  EXPECT_ERROR(
      nacre_session_write_parameter(s.session, 3, &tensor),
      NACRE_INVALID_ARGUMENT,
      "the index of the parameter is 3, expected 0 to 2 (there are 3)");
  EXPECT_ERROR(nacre_session_read_parameter(s.session, 1, values.data(), 8),
               NACRE_INVALID_SHAPE,
               "parameter 'v': the memory is 8 bytes, expected 12");
}

TEST_F(StateTest, OverlappingStepsWaitForEachOther) {
  FakeSession s(fake, 2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) {
        float values[3];
        EXPECT_EQ(nacre_session_run(s.session, 0, nullptr, 0, nullptr, 0),
                  NACRE_OK);
        EXPECT_EQ(nacre_session_read_parameter(s.session, 1, values, 12),
                  NACRE_OK);
        EXPECT_EQ(values[2], 3 * values[0]);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  float values[3];
  ASSERT_EQ(nacre_session_read_parameter(s.session, 1, values, 12), NACRE_OK);
  EXPECT_EQ(values[0], 1010.0f);
}

// ---- Profiles ---------------------------------------------------------------

int32_t twoKernels(nacre_abi_context *c, const nacre_abi_tensor *inputs) {
  bool watched = c->on_kernel != nullptr;
  for (int32_t kernel : {0, 1, 1}) {
    if (watched && c->on_kernel(c, kernel, 0))
      return NACRE_ABI_CANCELLED;
    if (kernel == 1)
      c->work += 7; // the operations of a kernel that does not know them
    std::this_thread::sleep_for(kernel == 1 ? 2ms : 1ms);
    if (watched && c->on_kernel(c, kernel, 1))
      return NACRE_ABI_CANCELLED;
  }
  if (watched)
    c->on_kernel(c, 77, 0); // no such kernel: ignored
  *outputOf<int64_t>(c, 1) = watched;
  return 0;
}

struct ProfileTest : testing::Test {
  ProfileTest() {
    fake.kernel("gemm").kernel("soft\"max\n", /*flops=*/-1);
    fake.function("main", twoKernels, {},
                  {fake.tensor("y", NACRE_DTYPE_I64, {"N"})});
  }
  // Whether the model saw a hook.
  bool run(FakeSession &s) {
    int64_t watched = -1;
    nacre_tensor y = tensorOf(&watched, {1}, NACRE_I64);
    EXPECT_EQ(nacre_session_run(s.session, 0, nullptr, 0, &y, 1), NACRE_OK)
        << nacre_last_error();
    return watched == 1;
  }
  nacre_kernel_time time(FakeSession &s, int32_t kernel) {
    nacre_kernel_time time;
    EXPECT_EQ(nacre_session_get_kernel_time(s.session, kernel, &time),
              NACRE_OK);
    return time;
  }
  FakeModel fake;
};

TEST_F(ProfileTest, OffCostsNothingOnCounts) {
  FakeSession s(fake, 1);
  EXPECT_FALSE(run(s));
  EXPECT_EQ(time(s, 0).launches, 0);
  ASSERT_EQ(nacre_session_set_profiling(s.session, NACRE_PROFILING_TOTALS),
            NACRE_OK);
  EXPECT_TRUE(run(s));
  EXPECT_TRUE(run(s));
  EXPECT_EQ(time(s, 0).launches, 2);
  nacre_kernel_time t = time(s, 1);
  EXPECT_EQ(t.launches, 4);
  EXPECT_GE(t.min_ns, 2'000'000);
  EXPECT_GE(t.max_ns, t.min_ns);
  EXPECT_GE(t.total_ns, 4 * t.min_ns);
  EXPECT_EQ(t.flops, 4 * 7);
  EXPECT_EQ(time(s, 0).flops, 2 * 10);
  ASSERT_EQ(nacre_session_set_profiling(s.session, NACRE_PROFILING_OFF),
            NACRE_OK);
  EXPECT_FALSE(run(s));
  EXPECT_EQ(time(s, 1).launches, 4);
  ASSERT_EQ(nacre_session_reset_profile(s.session), NACRE_OK);
  EXPECT_EQ(time(s, 1).launches, 0);
  nacre_kernel_time ignored;
  EXPECT_ERROR(nacre_session_get_kernel_time(s.session, 2, &ignored),
               NACRE_INVALID_ARGUMENT,
               "the index of the kernel is 2, expected 0 to 1 (there are 2)");
}

TEST_F(ProfileTest, Trace) {
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  options.profiling = NACRE_PROFILING_TRACE;
  FakeSession s(fake, 1, options);
  std::thread other([&] { run(s); });
  run(s);
  other.join();
  std::string path =
      testing::TempDir() + "nacre-trace-" + std::to_string(getpid());
  ASSERT_EQ(nacre_session_write_trace(s.session, path.c_str()), NACRE_OK)
      << nacre_last_error();
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  unlink(path.c_str());
  auto count = [&](const std::string &what) {
    int found = 0;
    for (size_t at = 0; (at = text.find(what, at)) != text.npos; ++at)
      ++found;
    return found;
  };
  EXPECT_EQ(count("\"ph\":\"X\""), 8); // two runs of three launches
  EXPECT_EQ(count("\"name\":\"run\""), 2);
  EXPECT_EQ(count("\"name\":\"gemm\""), 2);
  EXPECT_EQ(count("\"name\":\"soft\\u0022max\\u000a\""), 4);
  EXPECT_EQ(count("{"), count("}"));
  EXPECT_ERROR(nacre_session_write_trace(s.session, "/nonexistent/t"),
               NACRE_IO_ERROR, "/nonexistent/t: No such file or directory");
}

} // namespace
