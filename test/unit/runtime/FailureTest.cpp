// Runs that fail, and runs that are cancelled.
#include "SessionFixture.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <unistd.h>

using namespace nacre::test;
using namespace std::chrono_literals;

namespace {

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

} // namespace
