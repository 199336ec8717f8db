// The memory of runs: arenas, sizes that come as data, limits, and loops.
#include "SessionFixture.h"

#include <chrono>
#include <cstddef>
#include <fstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace nacre::test;
using namespace std::chrono_literals;

namespace {

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

} // namespace
