// Where a training's examples come from: parts, a thread that reads ahead, functions that give examples
// by their numbers, and streams.
#include "TrainerFixture.h"

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

using namespace nacre;
using namespace nacre::test;

namespace {

// The threads of this process.
size_t countThreads() {
  size_t count = 0;
  for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator("/proc/self/task"))
    ++count;
  return count;
}

TEST_F(TrainerTest, PartsAreOneWhole) {
  auto whole = create("N", columns(), {.batchSize = 3, .metrics = {"accuracy"}});
  ASSERT_TRUE(whole) << whole.error().message;
  auto first = whole->runEpoch(4);
  ASSERT_TRUE(first);
  auto batches = std::exchange(seen, {});
  // 4, none, 1 and 5 examples, none of them where a float may stand.
  std::deque<std::vector<char>> memory;
  auto part = [&](const void *data, size_t bytes, const TensorView &like) {
    auto &copy = memory.emplace_back(bytes + 1);
    std::memcpy(copy.data() + 1, data, bytes);
    return TensorView(copy.data() + 1, like.dtype(), like.dims());
  };
  std::vector<Column> parts = {{"x", {}}, {"labels", {}}};
  for (auto [begin, count] : {std::pair<int64_t, int64_t>(0, 4), {4, 0}, {4, 1}, {5, 5}}) {
    auto add = [](Column &column, TensorView view) {
      if (column.data.dims().empty())
        column.data = view;
      else
        column.more.push_back(view);
    };
    int64_t dims[] = {count, 2};
    add(parts[0], part(&features[size_t(begin) * 2], size_t(count) * 8, TensorView(nullptr, NACRE_F32, dims)));
    add(parts[1], part(&labels[size_t(begin)], size_t(count) * 8, TensorView(nullptr, NACRE_I64, std::span(dims, 1))));
  }
  auto split = create("N", parts, {.batchSize = 3, .metrics = {"accuracy"}});
  ASSERT_TRUE(split) << split.error().message;
  EXPECT_EQ(split->examples(), 10);
  auto second = split->runEpoch(4);
  ASSERT_TRUE(second);
  EXPECT_EQ(seen, batches);
  EXPECT_EQ(first->metrics, second->metrics);
  parts[1].more.pop_back();
  EXPECT_NE(refuse("N", parts).find("array 'labels' has 5 entries, 'x' has 10"), std::string::npos);
}

TEST_F(TrainerTest, ReadingAheadChangesNothing) {
  std::vector<std::vector<std::vector<float>>> all;
  size_t threads = countThreads();
  for (int64_t bytes : {int64_t(-1), int64_t(0)})
    for (FakeModel::Dim dim : {FakeModel::Dim("N"), FakeModel::Dim(3)}) {
      seen.clear();
      auto trainer = create(dim, columns(), {.batchSize = 3, .epochs = 3, .metrics = {"accuracy"}, .readAheadBytes = bytes});
      ASSERT_TRUE(trainer) << trainer.error().message;
      auto history = trainer->fit();
      ASSERT_TRUE(history) << history.error().message;
      all.push_back(seen);
    }
  EXPECT_EQ(all[0].size(), 12u);
  EXPECT_EQ(all[0], all[2]);
  EXPECT_EQ(all[1], all[3]);
  // Ended in the middle, while a batch is made; and again from there.
  seen.clear();
  auto trainer = create("N", columns(), {.batchSize = 3, .epochs = 3, .readAheadBytes = 0});
  ASSERT_TRUE(trainer);
  auto ended = trainer->fit(nullptr, [](const TrainingStep &step) { return step.index < 1; });
  EXPECT_EQ(ended.error().status, NACRE_CANCELLED);
  EXPECT_EQ(countThreads(), threads) << "a thread is left";
  ASSERT_TRUE(trainer->resume(trainer->state()));
  ASSERT_TRUE(trainer->fit());
  EXPECT_EQ(seen, all[0]);
}

TEST_F(TrainerTest, StreamsGiveBatches) {
  // Batches of 1, 2, 3 and 4 examples; the memory is that of the last one asked for.
  std::vector<float> x;
  std::vector<int64_t> l;
  std::vector<std::pair<int64_t, int64_t>> asked;
  int64_t batchCount = 4;
  Stream stream;
  stream.next = [&](int64_t epoch, int64_t step) -> Result<std::vector<Column>> {
    asked.push_back({epoch, step});
    if (step == batchCount)
      return std::vector<Column>();
    x.clear();
    l.clear();
    for (int64_t k = 0; k <= step; ++k) {
      int64_t number = 100 * epoch + 10 * step + k;
      x.insert(x.end(), {float(number), float(10 * number)});
      l.push_back(number % 3);
    }
    return std::vector<Column>{{"x", view(x, {step + 1, 2})}, {"labels", view(l, {step + 1})}};
  };
  for (int64_t bytes : {int64_t(-1), int64_t(0)}) {
    asked.clear();
    seen.clear();
    auto trainer = Trainer::create(makeSession("N"), stream, {.epochs = 2, .metrics = {"accuracy"}, .validation = columns(), .readAheadBytes = bytes});
    ASSERT_TRUE(trainer) << trainer.error().message;
    EXPECT_EQ(trainer->steps(), 0);
    auto history = trainer->fit();
    ASSERT_TRUE(history) << history.error().message;
    EXPECT_EQ(trainer->steps(), 4);
    ASSERT_EQ(history->size(), 2u);
    EXPECT_EQ(history->back().examples, 10);
    EXPECT_EQ(history->back().validation->examples, 10);
    ASSERT_EQ(seen.size(), 8u);
    EXPECT_EQ(seen[2], (std::vector<float>{20, 21, 22}));
    EXPECT_EQ(seen[7], (std::vector<float>{130, 131, 132, 133}));
    EXPECT_EQ(asked.size(), 10u); // each once, and the end of each epoch
    EXPECT_EQ(asked[5], (std::pair<int64_t, int64_t>(1, 0)));
  }
  // An epoch of so many; what comes after them is not asked for.
  asked.clear();
  seen.clear();
  rates.clear();
  stream.steps = 2;
  auto limited = Trainer::create(makeSession("N"), stream, {.learningRate = 1, .epochs = 2, .schedule = "polynomial"});
  ASSERT_TRUE(limited) << limited.error().message;
  ASSERT_TRUE(limited->fit());
  EXPECT_EQ(asked, (std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
  EXPECT_EQ(rates, (std::vector<float>{1, 0.75f, 0.5f, 0.25f}));
  stream.steps = 0;
  auto refused = Trainer::create(makeSession("N"), stream, {.schedule = "cosine"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("expected to be told how many batches"), std::string::npos);
  batchCount = 0;
  auto none = Trainer::create(makeSession("N"), stream);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->fit().error().message, "the stream has no batches in epoch 1");
}

TEST_F(TrainerTest, StreamsThatFail) {
  size_t threads = countThreads();
  std::string kind;
  Stream stream;
  stream.next = [&](int64_t, int64_t step) -> Result<std::vector<Column>> {
    if (step == 2 && kind == "error")
      return Error{NACRE_IO_ERROR, "the disk is gone"};
    if (step == 2 && kind == "slow")
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::vector<Column> result = columns();
    if (step == 2 && kind == "shape")
      result[1].data = view(labels, {9});
    if (step == 2 && kind == "missing")
      result.pop_back();
    return result;
  };
  auto fail = [&](std::string what) {
    kind = std::move(what);
    seen.clear();
    auto trainer = Trainer::create(makeSession("N"), stream, {.epochs = 1});
    auto history = trainer->fit();
    EXPECT_EQ(seen.size(), 2u) << kind; // what came before was trained on
    return history ? std::string() : history.error().message;
  };
  EXPECT_EQ(fail("error"), "the disk is gone");
  EXPECT_NE(fail("shape").find("batch 3: array 'labels' has 9 entries, 'x' has 10"), std::string::npos);
  EXPECT_NE(fail("missing").find("batch 3: the data has no array 'labels'"), std::string::npos);
  labels[3] = 7;
  seen.clear();
  auto wrong = Trainer::create(makeSession("N"), stream, {.epochs = 1})->fit();
  EXPECT_NE(wrong.error().message.find("batch 1: labels must be from 0 to 2"), std::string::npos);
  labels[3] = 0;
  kind = "slow";
  std::atomic<bool> isCancelled = false;
  stream.isCancelled = [&] { return isCancelled.load(); };
  auto cancelled = Trainer::create(makeSession("N"), stream, {.epochs = 1})->fit(nullptr, [&](const TrainingStep &step) {
    isCancelled = step.index == 1;
    return true;
  });
  EXPECT_EQ(cancelled.error().status, NACRE_CANCELLED);
  EXPECT_EQ(countThreads(), threads) << "a thread is left";
}

TEST_F(TrainerTest, DatasetsAreAsArrays) {
  std::vector<float> x;
  std::vector<int64_t> l, asked;
  std::atomic<int> inside = 0;
  Dataset dataset;
  dataset.examples = 10;
  dataset.get = [&](std::span<const int64_t> numbers) -> Result<std::vector<Column>> {
    EXPECT_EQ(inside++, 0) << "two threads at once";
    x.clear(); // the memory is that of the last one asked for
    l.clear();
    for (int64_t number : numbers) {
      asked.push_back(number);
      x.insert(x.end(), {features[size_t(number) * 2], features[size_t(number) * 2 + 1]});
      l.push_back(labels[size_t(number)]);
    }
    --inside;
    return std::vector<Column>{{"labels", view(l, {int64_t(l.size())})}, {"x", view(x, {int64_t(l.size()), 2})}};
  };
  size_t threads = countThreads();
  for (FakeModel::Dim dim : {FakeModel::Dim("N"), FakeModel::Dim(3)}) {
    TrainerOptions options{.batchSize = 3, .seed = 5, .epochs = 3, .metrics = {"accuracy"}, .validation = columns()};
    seen.clear();
    auto arrays = create(dim, columns(), options);
    ASSERT_TRUE(arrays) << arrays.error().message;
    auto expected = arrays->fit();
    ASSERT_TRUE(expected) << expected.error().message;
    std::vector<std::vector<float>> batches = seen;
    for (int64_t bytes : {int64_t(-1), int64_t(0)}) {
      options.readAheadBytes = bytes;
      options.validation.clear();
      options.validationDataset = dataset; // of the same examples
      seen.clear();
      auto trainer = Trainer::create(makeSession(dim), dataset, options);
      ASSERT_TRUE(trainer) << trainer.error().message;
      EXPECT_EQ(trainer->examples(), 10);
      EXPECT_EQ(trainer->steps(), arrays->steps());
      auto history = trainer->fit();
      ASSERT_TRUE(history) << history.error().message;
      EXPECT_EQ(seen, batches);
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ((*history)[i].metrics, (*expected)[i].metrics);
        EXPECT_EQ((*history)[i].validation->loss, (*expected)[i].validation->loss);
        EXPECT_EQ((*history)[i].validation->examples, (*expected)[i].validation->examples);
      }
      // Ended in the middle of an epoch, and again from there: nothing is asked for but what comes then.
      options.validationDataset = {};
      auto ended = Trainer::create(makeSession(dim), dataset, options);
      EXPECT_FALSE(ended->fit(nullptr, [](const TrainingStep &step) { return step.index < 1; }));
      TrainingState state = ended->state();
      ASSERT_EQ(state.step, 2);
      asked.clear();
      seen.clear();
      auto resumed = Trainer::create(makeSession(dim), dataset, options);
      ASSERT_TRUE(resumed->resume(state));
      ASSERT_TRUE(resumed->fit());
      EXPECT_EQ(seen, std::vector(batches.begin() + 2, batches.end()));
      EXPECT_EQ(asked, std::vector<int64_t>([&] {
        std::vector<float> all = flatten();
        return std::vector<int64_t>(all.begin(), all.end());
      }()));
    }
  }
  auto measured = evaluate(makeSession("N"), dataset, {.batchSize = 4, .metrics = {"accuracy"}});
  ASSERT_TRUE(measured) << measured.error().message;
  auto wanted = evaluate(makeSession("N"), columns(), {.batchSize = 4, .metrics = {"accuracy"}});
  EXPECT_EQ(measured->loss, wanted->loss);
  EXPECT_EQ(measured->metrics, wanted->metrics);
  EXPECT_EQ(countThreads(), threads) << "a thread is left";
}

TEST_F(TrainerTest, DatasetsThatFail) {
  size_t threads = countThreads();
  std::string kind;
  int64_t calls = 0;
  Dataset dataset;
  dataset.examples = 10;
  dataset.get = [&](std::span<const int64_t> numbers) -> Result<std::vector<Column>> {
    int64_t count = int64_t(numbers.size());
    bool isTime = calls++ == 2;
    if (isTime && kind == "error")
      return Error{NACRE_IO_ERROR, "the disk is gone"};
    static std::vector<float> x;
    static std::vector<int64_t> l;
    x.clear();
    l.clear();
    for (int64_t number : numbers) {
      x.insert(x.end(), {float(number), float(10 * number)});
      l.push_back(number % 3);
    }
    if (isTime && kind == "label")
      l[0] = 3;
    if (isTime && kind == "rows")
      return std::vector<Column>{{"x", view(x, {count - 1, 2})}, {"labels", view(l, {count - 1})}};
    if (isTime && kind == "none")
      return std::vector<Column>();
    return std::vector<Column>{{"x", view(x, {count, 2})}, {"labels", view(l, {count})}};
  };
  auto fail = [&](std::string what, int64_t bytes) {
    kind = std::move(what);
    calls = 0;
    seen.clear();
    auto trainer = Trainer::create(makeSession("N"), dataset, {.batchSize = 3, .epochs = 1, .readAheadBytes = bytes});
    auto history = trainer->fit();
    EXPECT_EQ(seen.size(), 2u) << kind; // what came before was trained on
    return history ? Error{NACRE_OK, ""} : history.error();
  };
  for (int64_t bytes : {int64_t(-1), int64_t(0)}) {
    Error error = fail("error", bytes);
    EXPECT_EQ(error.message, "the disk is gone");
    EXPECT_EQ(error.status, NACRE_IO_ERROR);
    error = fail("rows", bytes);
    EXPECT_EQ(error.status, NACRE_INVALID_SHAPE);
    EXPECT_EQ(error.message.substr(0, 9), "examples ");
    EXPECT_NE(error.message.find(": there are 2 of them, expected 3"), std::string::npos) << error.message;
    EXPECT_NE(fail("label", bytes).message.find("labels must be from 0 to 2"), std::string::npos);
    EXPECT_NE(fail("none", bytes).message.find("the data has no array 'x'"), std::string::npos);
  }
  EXPECT_EQ(countThreads(), threads) << "a thread is left";
  EXPECT_FALSE(Trainer::create(makeSession("N"), Dataset{.examples = 10}));
  dataset.examples = 0;
  EXPECT_FALSE(Trainer::create(makeSession("N"), dataset));
  EXPECT_FALSE(evaluate(makeSession("N"), dataset));
  dataset.examples = 2; // fewer than a fixed batch
  EXPECT_FALSE(Trainer::create(makeSession(3), dataset));
}

} // namespace
