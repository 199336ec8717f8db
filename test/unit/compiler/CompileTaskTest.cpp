// Compiling in the background: progress, waiting, cancellation, errors.
#include "compiler/api/Compiler.h"
#include <gtest/gtest.h>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>

using namespace nacre;
using namespace std::chrono_literals;

/// What this process has computed on each of the threads that compile, in seconds: on an
/// idle machine no more than has passed.
static double getProcessTime() {
  return double(std::clock()) / CLOCKS_PER_SEC / std::max(1u, std::thread::hardware_concurrency());
}

namespace {

class CompileTaskTest : public testing::Test {
protected:
  void SetUp() override {
    folder = std::filesystem::temp_directory_path() / ("nacre-task-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string &name, const std::string &text) {
    std::string path = folder / name;
    std::ofstream(path) << text;
    return path;
  }
  std::string writeRelu() {
    return write("relu.mlir", R"(
func.func @main(%x: tensor<?x4xf32> {nn.name = "x"}) -> (tensor<?x4xf32> {nn.name = "y"}) {
  %0 = nn.relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
})");
  }
  /// Products of many sizes, each a kernel of its own: some seconds of work.
  std::string writeSlow() {
    auto type = [](int rows, int columns) {
      return "tensor<" + (rows ? std::to_string(rows) : std::string("?")) + "x" + std::to_string(columns) + "xf32>";
    };
    constexpr int count = 150;
    auto size = [](int i) { return 33 + 3 * i; };
    std::string weights, body, value = "%x";
    for (int i = 0; i < count; ++i) {
      std::string n = std::to_string(i), w = type(size(i), size(i + 1)), h = type(0, size(i + 1));
      weights += "nn.parameter @w" + n + " = dense<0.5> : " + w + "\n";
      body += "  %w" + n + " = nn.get_parameter @w" + n + " : " + w + "\n  %h" + n + " = nn.matmul " + value + ", %w" +
              n + " : (" + type(0, size(i)) + ", " + w + ") -> " + h + "\n  %s" + n + " = nn.tanh %h" + n + " : (" + h +
              ") -> " + h + "\n";
      value = "%s" + n;
    }
    return write("slow.mlir", weights + "func.func @main(%x: " + type(0, size(0)) + " {nn.name = \"x\"}) -> (" +
                                  type(0, size(count)) + " {nn.name = \"y\"}) {\n" + body + "  return " + value +
                                  " : " + type(0, size(count)) + "\n}\n");
  }

  /// Without the cache, which would shorten what is to be cancelled.
  static CompileOptions getOptions() {
    CompileOptions options;
    options.cacheDirectory = "";
    return options;
  }

  std::filesystem::path folder;
};

TEST_F(CompileTaskTest, GivesAModelOnce) {
  CompileTask task = compileAsync(writeRelu());
  task.wait();
  EXPECT_TRUE(task.isDone());
  EXPECT_TRUE(task.wait(0ns));
  EXPECT_EQ(task.progress().phase, "artifact");
  EXPECT_EQ(task.progress().number, task.progress().count);
  ASSERT_TRUE(task.status()) << task.status().error().message;
  Result<Model> model = task.take();
  ASSERT_TRUE(model);
  Result<Session> session = Session::create(*model, {.threads = 1});
  ASSERT_TRUE(session);
  const float x[] = {-1, 2, -3, 4};
  auto outputs = session->run({view(x, {1, 4})});
  ASSERT_TRUE(outputs);
  EXPECT_EQ(outputs->front().as<float>()[1], 2);
  Result<Model> again = task.take();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().status, NACRE_INVALID_ARGUMENT);
}

TEST_F(CompileTaskTest, ReportsPhasesOnItsThread) {
  std::vector<std::string> phases;
  std::thread::id thread;
  CompileOptions options;
  options.progress = [&](std::string_view phase) {
    phases.emplace_back(phase);
    thread = std::this_thread::get_id();
    return true;
  };
  CompileTask task = compileAsync(writeRelu(), options);
  task.wait();
  EXPECT_EQ(phases.size(), getPhaseNames().size());
  EXPECT_EQ(phases.front(), "import");
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST_F(CompileTaskTest, WritesAFile) {
  std::string path = folder / "relu.so";
  CompileTask task = compileToFileAsync(writeRelu(), path);
  ASSERT_TRUE(task.status());
  EXPECT_TRUE(Model::load(path));
  Result<Model> model = task.take();
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().status, NACRE_INVALID_ARGUMENT);
}

TEST_F(CompileTaskTest, HandsOnErrors) {
  CompileTask task = compileAsync(std::vector<std::byte>(10));
  Result<Model> model = task.take();
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().status, NACRE_INVALID_VALUE);
  EXPECT_FALSE(task.status());
}

// Wherever the compilation is, it ends within a second.
TEST_F(CompileTaskTest, CancelEndsItWithinASecond) {
  std::string path = writeSlow();
  for (auto after : {0ms, 30ms, 100ms, 300ms, 600ms, 900ms, 1200ms}) {
    CompileTask task = compileAsync(path, getOptions());
    if (task.wait(after)) {
      EXPECT_GE(after, 600ms) << "the model compiles so fast that there is nothing to cancel";
      break;
    }
    double start = getProcessTime();
    task.cancel();
    task.wait();
    EXPECT_LT(getProcessTime() - start, 1) << "cancelled after " << after.count() << " ms, in " << task.progress().phase;
    Status status = task.status();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().status, NACRE_CANCELLED) << status.error().message;
  }
}

TEST_F(CompileTaskTest, TheDestructorCancels) {
  std::string path = writeSlow();
  double start = 0;
  {
    CompileTask task = compileToFileAsync(path, folder / "slow.so", getOptions());
    std::this_thread::sleep_for(200ms);
    start = getProcessTime();
  }
  EXPECT_LT(getProcessTime() - start, 1);
  EXPECT_FALSE(std::filesystem::exists(folder / "slow.so"));
}

TEST_F(CompileTaskTest, AFlagCancelsWithoutATask) {
  CompileOptions options = getOptions();
  options.cancel = std::make_shared<std::atomic<bool>>(false);
  std::thread canceller([cancel = options.cancel] {
    std::this_thread::sleep_for(100ms);
    *cancel = true;
  });
  Result<Model> model = compile(writeSlow(), options);
  canceller.join();
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().status, NACRE_CANCELLED);
}

} // namespace
