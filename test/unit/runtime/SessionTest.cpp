// Options of sessions, several runs and sessions at once, and what each has of its own.
#include "SessionFixture.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <thread>

using namespace nacre::test;
using namespace std::chrono_literals;

namespace {

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

} // namespace
