// Profiles and traces of runs.
#include "SessionFixture.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>
#include <unistd.h>

using namespace nacre::test;
using namespace std::chrono_literals;

namespace {

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

// A kernel of two iterations, neither of which ends before the other has begun.
int32_t twoThreads(nacre_abi_context *c, const nacre_abi_tensor *) {
  std::atomic<int> begun = 0;
  auto body = [](nacre_abi_context *, void *environment, int64_t, int64_t) {
    auto &begun = *static_cast<std::atomic<int> *>(environment);
    for (++begun; begun < 2;)
      std::this_thread::yield();
  };
  c->on_kernel(c, 0, 0);
  c->parallel_for(c, body, &begun, 2, 1);
  c->on_kernel(c, 0, 1);
  *outputOf<int64_t>(c, 1) = begun;
  return 0;
}

TEST_F(ProfileTest, TraceOfThreads) {
  FakeModel model;
  model.kernel("gemm");
  model.function("main", twoThreads, {},
                 {model.tensor("y", NACRE_DTYPE_I64, {"N"})});
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  options.profiling = NACRE_PROFILING_TRACE;
  FakeSession s(model, 2, options);
  run(s);
  std::string path =
      testing::TempDir() + "nacre-trace-" + std::to_string(getpid());
  ASSERT_EQ(nacre_session_write_trace(s.session, path.c_str()), NACRE_OK);
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  unlink(path.c_str());
  EXPECT_NE(text.find("\"pid\":2,\"tid\":1,"), text.npos) << text;
  EXPECT_NE(text.find("\"cat\":\"part\""), text.npos) << text;
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
