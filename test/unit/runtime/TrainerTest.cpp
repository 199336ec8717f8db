// The training loop around a step written by hand: which examples each step sees,
// the last one of an epoch, metrics, validation, predictions, and data that does not fit.
#include "FakeModel.h"
#include "runtime/api/nacre_train.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <numeric>

using namespace nacre;
using nacre::test::FakeModel;

namespace {

// What the steps have seen: the first feature of each example, a vector per step.
std::vector<std::vector<float>> seen;
std::vector<float> rates;
float lossOfSteps = 0;

// Class 1 has the largest score for odd k, else class 0, and class 2 the second largest.
void writeScores(nacre_abi_context *context, int32_t output, const nacre_abi_tensor &x) {
  int64_t dims[] = {x.dims[0], 3};
  auto *scores = static_cast<float *>(context->output(context, output, 2, dims));
  for (int64_t i = 0; scores && i < dims[0]; ++i) {
    bool isOdd = int64_t(static_cast<const float *>(x.data)[2 * i]) % 2;
    scores[3 * i] = isOdd ? 0 : 2;
    scores[3 * i + 1] = isOdd ? 2 : 0;
    scores[3 * i + 2] = 1;
  }
}

// loss = lossOfSteps; each example is (k, 10 k) with the label k % 3.
int32_t step(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  std::vector<float> &batch = seen.emplace_back();
  for (int64_t i = 0; i < inputs[0].dims[0]; ++i) {
    const float *x = static_cast<const float *>(inputs[0].data) + 2 * i;
    batch.push_back(x[0]);
    EXPECT_EQ(x[1], 10 * x[0]);
    EXPECT_EQ(static_cast<const int64_t *>(inputs[1].data)[i], int64_t(x[0]) % 3);
  }
  rates.push_back(*static_cast<const float *>(inputs[2].data));
  *static_cast<float *>(context->output(context, 0, 0, nullptr)) = lossOfSteps;
  writeScores(context, 1, inputs[0]);
  return context->stop;
}

// The loss of a batch is the mean of its k.
int32_t evaluateBatch(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  float sum = 0;
  for (int64_t i = 0; i < inputs[0].dims[0]; ++i)
    sum += static_cast<const float *>(inputs[0].data)[2 * i];
  *static_cast<float *>(context->output(context, 0, 0, nullptr)) = sum / float(inputs[0].dims[0]);
  writeScores(context, 1, inputs[0]);
  return context->stop;
}

int32_t predict(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  writeScores(context, 0, inputs[0]);
  return context->stop;
}

class TrainerTest : public testing::Test {
protected:
  void SetUp() override {
    seen.clear();
    rates.clear();
    lossOfSteps = 0.5f;
    for (int64_t k = 0; k < 10; ++k) {
      features.insert(features.end(), {float(k), float(10 * k)});
      labels.push_back(k % 3);
    }
  }

  // A model whose batch is `batch`.
  Session &makeSession(FakeModel::Dim batch) {
    FakeModel &fake = fakes.emplace_back();
    auto x = fake.tensor("x", NACRE_DTYPE_F32, {batch, 2}), l = fake.tensor("labels", NACRE_DTYPE_I64, {batch});
    auto y = fake.tensor("y", NACRE_DTYPE_F32, {batch, 3});
    fake.function("main", predict, {x}, {y});
    fake.function("step", step, {x, l, fake.tensor("learning_rate", NACRE_DTYPE_F32, {})},
                  {fake.tensor("loss", NACRE_DTYPE_F32, {}), y});
    fake.function("evaluate", evaluateBatch, {x, l}, {fake.tensor("loss", NACRE_DTYPE_F32, {}), y});
    nacre_model *model = nullptr;
    EXPECT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr, &model), NACRE_OK);
    Model owner(model);
    auto session = Session::create(owner, {.threads = 1});
    EXPECT_TRUE(session);
    return sessions.emplace_back(*std::move(session));
  }
  std::vector<Column> columns() const {
    return {{"x", view(features, {int64_t(features.size() / 2), 2})}, {"labels", view(labels, {int64_t(labels.size())})}};
  }
  Result<Trainer> create(FakeModel::Dim batch, std::vector<Column> columns, TrainerOptions options = {}) {
    return Trainer::create(makeSession(batch), std::move(columns), options);
  }
  // The message of a refusal.
  std::string refuse(FakeModel::Dim batch, std::vector<Column> columns, TrainerOptions options = {}) {
    auto trainer = create(batch, std::move(columns), options);
    EXPECT_FALSE(trainer);
    return trainer ? "" : trainer.error().message;
  }
  static std::vector<float> flatten() {
    std::vector<float> all;
    for (const std::vector<float> &batch : seen)
      all.insert(all.end(), batch.begin(), batch.end());
    return all;
  }

  std::deque<FakeModel> fakes; // models of sessions, which live as long
  std::deque<Session> sessions;
  std::vector<float> features;
  std::vector<int64_t> labels;
};

TEST_F(TrainerTest, TheRateFollowsTheSchedule) {
  auto trainer = create("N", columns(), {.batchSize = 4, .learningRate = 1, .epochs = 2, .schedule = "polynomial:warmup=2"});
  ASSERT_TRUE(trainer) << trainer.error().message;
  Trainer moved = *std::move(trainer); // the schedule goes with it
  for (int64_t epoch = 0; epoch < 2; ++epoch)
    ASSERT_TRUE(moved.runEpoch(epoch));
  EXPECT_EQ(rates, (std::vector<float>{0, 0.5f, 1, 0.75f, 0.5f, 0.25f}));
}

TEST_F(TrainerTest, PlateauLooksAtTheLossOfEpochs) {
  auto trainer = create("N", columns(), {.learningRate = 1, .schedule = "plateau:patience=1,factor=0.5"});
  ASSERT_TRUE(trainer) << trainer.error().message;
  for (int64_t epoch = 0; epoch < 5; ++epoch)
    ASSERT_TRUE(trainer->runEpoch(epoch));
  EXPECT_EQ(rates, (std::vector<float>{1, 1, 1, 0.5f, 0.5f})); // the loss is always the same
}

TEST_F(TrainerTest, AScheduleThatThereIsNotIsRefused) {
  EXPECT_NE(refuse("N", columns(), {.schedule = "cosin"}).find("unknown schedule 'cosin', expected constant"),
            std::string::npos);
}

// The generator of a program without a C++ library is the standard's.
TEST(TrainLoop, TheOrderIsOfTheStandardsGenerators) {
  for (uint64_t seed : {uint64_t(0), uint64_t(12345678901), ~uint64_t(0)})
    for (int64_t epoch : {0, 1, 77}) {
      std::seed_seq seeds{uint32_t(seed), uint32_t(seed >> 32), uint32_t(epoch)};
      loop::Seeds ownSeeds{{uint32_t(seed), uint32_t(seed >> 32), uint32_t(epoch)}};
      std::mt19937_64 expected(seeds), own(ownSeeds);
      EXPECT_TRUE(expected == own);
    }
}

TEST_F(TrainerTest, EveryExampleOncePerEpoch) {
  auto trainer = create("N", columns(), {.batchSize = 4, .learningRate = 0.25f});
  ASSERT_TRUE(trainer) << trainer.error().message;
  EXPECT_EQ(trainer->steps(), 3);
  std::vector<int64_t> progress;
  auto loss = trainer->runEpoch(0, [&](const TrainingStep &step) {
    progress.push_back(step.examples);
    return true;
  });
  ASSERT_TRUE(loss) << loss.error().message;
  EXPECT_EQ(loss->loss, 0.5);
  EXPECT_EQ(loss->rate, 0.25);
  EXPECT_FALSE(loss->validation);
  EXPECT_EQ(progress, (std::vector<int64_t>{4, 8, 10}));
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[2].size(), 2u); // the last partial batch
  EXPECT_EQ(rates, std::vector<float>(3, 0.25f));
  std::vector<float> all = flatten(), expected(10);
  EXPECT_FALSE(std::is_sorted(all.begin(), all.end()));
  std::sort(all.begin(), all.end());
  std::iota(expected.begin(), expected.end(), 0.0f);
  EXPECT_EQ(all, expected);
}

TEST_F(TrainerTest, TheOrderDependsOnSeedAndEpochAlone) {
  auto trainer = create("N", columns(), {.seed = 7});
  std::vector<std::vector<float>> orders;
  for (int64_t epoch : {0, 1, 0}) {
    seen.clear();
    ASSERT_TRUE(trainer->runEpoch(epoch));
    orders.push_back(flatten());
  }
  EXPECT_EQ(orders[0], orders[2]);
  EXPECT_NE(orders[0], orders[1]);
  seen.clear();
  auto reseeded = create("N", columns(), {.seed = 8});
  ASSERT_TRUE(reseeded->runEpoch(0));
  EXPECT_NE(flatten(), orders[0]);
}

TEST_F(TrainerTest, AFixedBatchLeavesExamplesForOtherEpochs) {
  auto trainer = create(4, columns());
  ASSERT_TRUE(trainer) << trainer.error().message;
  EXPECT_EQ(trainer->batchSize(), 4);
  EXPECT_EQ(trainer->steps(), 2);
  ASSERT_TRUE(trainer->runEpoch(0));
  EXPECT_EQ(flatten().size(), 8u);
}

TEST_F(TrainerTest, BatchesThatDoNotFit) {
  EXPECT_EQ(refuse(4, columns(), {.batchSize = 5}), "the model's batch is fixed at 4, the batch size is 5");
  EXPECT_EQ(refuse(16, columns()), "the model's batch is fixed at 16, the data has only 10 examples");
}

TEST_F(TrainerTest, MessagesListBothSides) {
  std::vector<Column> without = {columns()[0]};
  EXPECT_EQ(refuse("N", without), "the data has no array 'labels'\n"
                                  "the model takes:\n  x: f32[N, 2]\n  labels: i64[N]\n"
                                  "the data has:\n  x: f32[10, 2]");
  std::vector<Column> shorter = columns();
  shorter[1].data = TensorView(labels.data(), NACRE_I64, {9});
  EXPECT_NE(refuse("N", shorter).find("array 'labels' has 9 entries, 'x' has 10\n"), std::string::npos);
  std::vector<Column> wide = columns();
  wide[0].data = TensorView(features.data(), NACRE_F32, {5, 4});
  EXPECT_NE(refuse("N", wide).find("array 'x' does not fit\n"), std::string::npos);
  std::vector<Column> typed = columns();
  typed[0].data = TensorView(features.data(), NACRE_I32, {10, 2});
  EXPECT_NE(refuse("N", typed).find("  x: i32[10, 2]"), std::string::npos);
  std::vector<Column> none = columns();
  none[0].data = TensorView(features.data(), NACRE_F32, {0, 2});
  none[1].data = TensorView(labels.data(), NACRE_I64, {0});
  EXPECT_NE(refuse("N", none).find("the data has no examples"), std::string::npos);
}

TEST_F(TrainerTest, LabelsOutOfRange) {
  labels[7] = 3;
  EXPECT_EQ(refuse("N", columns()), "labels must be from 0 to 2 (output 'y' is f32[N, 3]), found 3 at element 7");
  labels[7] = -1;
  EXPECT_NE(refuse("N", columns()).find("found -1"), std::string::npos);
}

TEST_F(TrainerTest, EndsEarly) {
  auto trainer = create("N", columns(), {.batchSize = 2});
  auto cancelled = trainer->runEpoch(0, [](const TrainingStep &step) { return step.index < 1; });
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().status, NACRE_CANCELLED);
  EXPECT_EQ(seen.size(), 2u);
  lossOfSteps = NAN;
  auto diverged = trainer->runEpoch(1);
  ASSERT_FALSE(diverged);
  EXPECT_NE(diverged.error().message.find("nan in step 1 of epoch 2"), std::string::npos) << diverged.error().message;
}

TEST_F(TrainerTest, ModelsWithoutAStep) {
  FakeModel fake;
  fake.function("main", predict, {fake.tensor("x", NACRE_DTYPE_F32, {4})}, {});
  nacre_model *model = nullptr;
  ASSERT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr, &model), NACRE_OK);
  Model owner(model);
  Session session = *Session::create(owner);
  auto trainer = Trainer::create(session, columns());
  ASSERT_FALSE(trainer);
  EXPECT_NE(trainer.error().message.find("not compiled for training"), std::string::npos);
}

TEST_F(TrainerTest, MetricsOfTrainingAndValidation) {
  // Right: k = 0, 1, 6, 7 of 10.
  std::vector<Column> first = columns();
  first[0].data = TensorView(features.data(), NACRE_F32, {7, 2});
  first[1].data = TensorView(labels.data(), NACRE_I64, {7});
  auto trainer = create("N", columns(), {.batchSize = 4, .epochs = 2, .metrics = {"accuracy", "top-k:k=2@y"}, .validation = first});
  ASSERT_TRUE(trainer) << trainer.error().message;
  std::vector<int64_t> epochs;
  auto history = trainer->fit([&](const Epoch &epoch) {
    epochs.push_back(epoch.index);
    return true;
  });
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_EQ(epochs, (std::vector<int64_t>{0, 1}));
  ASSERT_EQ(history->size(), 2u);
  const Epoch &last = history->back();
  EXPECT_EQ(last.examples, 10);
  EXPECT_DOUBLE_EQ(last.metrics.at(0), 0.4);
  EXPECT_DOUBLE_EQ(last.metrics.at(1), 0.7); // k = 2, 5, 8 have class 2 in the second place
  ASSERT_TRUE(last.validation);
  EXPECT_EQ(last.validation->examples, 7);
  EXPECT_NEAR(last.validation->loss, 3, 1e-7); // the mean of 0 to 6
  EXPECT_DOUBLE_EQ(last.validation->metrics.at(0), 3 / 7.0);
  EXPECT_EQ(seen.size(), 6u) << "validation does not train";
}

TEST_F(TrainerTest, FitEndsWhereItIsAskedTo) {
  auto trainer = create("N", columns(), {.epochs = 9});
  auto history = trainer->fit([](const Epoch &epoch) { return epoch.index < 2; });
  ASSERT_TRUE(history);
  EXPECT_EQ(history->size(), 3u);
}

// From the state after any step, and after each epoch: the same batches, rates and epochs.
TEST_F(TrainerTest, GoesOnFromAnyState) {
  TrainerOptions options = {.batchSize = 3,
                            .seed = 7,
                            .learningRate = 1,
                            .epochs = 4,
                            .schedule = "plateau:patience=0,factor=0.5",
                            .metrics = {"accuracy", "top-k:k=2"},
                            .validation = columns()};
  auto trainer = create("N", columns(), options);
  ASSERT_TRUE(trainer) << trainer.error().message;
  std::vector<TrainingState> states;
  auto whole = trainer->fit(
      [&](const Epoch &) {
        states.push_back(trainer->state());
        return true;
      },
      [&](const TrainingStep &step) {
        EXPECT_EQ(step.own, 0.5);
        states.push_back(trainer->state());
        return true;
      });
  ASSERT_TRUE(whole) << whole.error().message;
  ASSERT_EQ(states.size(), 4u * 5);
  auto batches = seen;
  auto allRates = rates;
  EXPECT_EQ(batches.size(), 16u);
  EXPECT_EQ(rates.back(), 0.25f);
  for (const TrainingState &state : states) {
    auto other = create("N", columns(), options);
    ASSERT_TRUE(other) << other.error().message;
    ASSERT_TRUE(other->resume(state));
    seen.clear();
    rates.clear();
    auto rest = other->fit();
    ASSERT_TRUE(rest) << rest.error().message;
    size_t done = size_t(state.epoch * 4 + state.step);
    EXPECT_EQ(seen, decltype(seen)(batches.begin() + ptrdiff_t(done), batches.end()));
    EXPECT_EQ(rates, decltype(rates)(allRates.begin() + ptrdiff_t(done), allRates.end()));
    ASSERT_EQ(rest->size(), size_t(4 - state.epoch));
    for (const Epoch &epoch : *rest) {
      const Epoch &before = (*whole)[size_t(epoch.index)];
      EXPECT_EQ(epoch.loss, before.loss);
      EXPECT_EQ(epoch.metrics, before.metrics);
      EXPECT_EQ(epoch.examples, 10);
      EXPECT_EQ(epoch.rate, before.rate);
      EXPECT_EQ(epoch.validation->metrics, before.validation->metrics);
    }
  }
  // From the start again, unless it was resumed.
  seen.clear();
  ASSERT_TRUE(trainer->fit());
  EXPECT_EQ(seen, batches);
  TrainingState wrong = states[0];
  wrong.metrics.pop_back();
  EXPECT_FALSE(trainer->resume(wrong));
  wrong = states[0];
  wrong.step = 5;
  EXPECT_EQ(trainer->resume(wrong).error().message,
            "the state is of another training: epoch 1, step 5, where an epoch has 4");
}

TEST_F(TrainerTest, StepsInsteadOfEpochs) {
  auto trainer = create("N", columns(), {.batchSize = 3, .learningRate = 1, .steps = 6, .schedule = "polynomial"});
  ASSERT_TRUE(trainer) << trainer.error().message;
  EXPECT_EQ(trainer->epochs(), 2);
  auto history = trainer->fit();
  ASSERT_TRUE(history) << history.error().message;
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].examples, 10);
  EXPECT_EQ((*history)[1].examples, 6);
  EXPECT_EQ(rates.size(), 6u);
  EXPECT_FLOAT_EQ(rates.back(), 1 - 5.0f / 6);
  // It stands within the second epoch, where a longer one goes on.
  EXPECT_EQ(trainer->state().epoch, 1);
  EXPECT_EQ(trainer->state().step, 2);
  auto batches = seen;
  auto longer = create("N", columns(), {.batchSize = 3, .learningRate = 1, .steps = 8});
  ASSERT_TRUE(longer && longer->resume(trainer->state()));
  ASSERT_TRUE(longer->fit());
  EXPECT_EQ(seen.size(), 8u);
  seen.clear();
  auto all = create("N", columns(), {.batchSize = 3, .learningRate = 1, .epochs = 2});
  ASSERT_TRUE(all && all->fit());
  EXPECT_EQ(decltype(seen)(seen.begin(), seen.begin() + 6), batches);
}

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

TEST_F(TrainerTest, EvaluationInBatchesIsThatOfTheWhole) {
  Session &session = makeSession("N");
  for (int64_t batch : {1, 3, 10, 64}) {
    auto result = evaluate(session, columns(), {.batchSize = batch, .metrics = {"accuracy"}});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_NEAR(result->loss, 4.5, 1e-6);
    EXPECT_DOUBLE_EQ(result->metrics.at(0), 0.4);
    EXPECT_EQ(result->examples, 10);
  }
  auto fixed = evaluate(makeSession(4), columns());
  ASSERT_TRUE(fixed);
  EXPECT_EQ(fixed->examples, 8);
}

TEST_F(TrainerTest, PredictionsAreOfEveryExample) {
  for (FakeModel::Dim batch : {FakeModel::Dim("N"), FakeModel::Dim(4)}) {
    auto outputs = nacre::predict(makeSession(batch), {columns()[0]}, batch.size < 0 ? 3 : 0);
    ASSERT_TRUE(outputs) << outputs.error().message;
    ASSERT_EQ(outputs->size(), 1u);
    EXPECT_EQ(outputs->front().dims, (std::vector<int64_t>{10, 3}));
    auto scores = outputs->front().view().as<float>();
    ASSERT_EQ(scores.size(), 30u);
    for (size_t k = 0; k < 10; ++k)
      EXPECT_EQ(scores[3 * k], k % 2 ? 0 : 2);
  }
}

TEST_F(TrainerTest, MetricsThatThereAreNot) {
  auto refuse = [&](const char *metric) { return this->refuse("N", columns(), {.metrics = {metric}}); };
  EXPECT_NE(refuse("acuracy").find("unknown metric 'acuracy', expected accuracy"), std::string::npos);
  EXPECT_EQ(refuse("accuracy@z"), "metric 'accuracy@z': the model has no output 'z': it has y");
  EXPECT_EQ(refuse("mse:target=t"), "metric 'mse:target=t': there is no input 't' to compare with; name one: mse:target=t");
  auto trainer = create("N", columns(), {.metrics = {"mse"}});
  ASSERT_TRUE(trainer);
  auto epoch = trainer->runEpoch(0);
  ASSERT_FALSE(epoch);
  EXPECT_EQ(epoch.error().message,
            "metric 'mse': the output is f32[10, 3], its target i64[10], expected the same sizes");
}

// Against numbers worked out by hand, or by scikit-learn's definitions.
TEST(Metrics, Values) {
  std::vector<float> output{0.9f, 0.2f, 0.6f, 0.4f}, target{1, 0, 0, 1};
  auto measure = [&](const char *text) {
    Metric metric;
    spec::Message why;
    EXPECT_TRUE(Metric::parse(text, metric, why)) << why.c_str();
    EXPECT_TRUE(metric.add(view(output, {4}).get(), view(target, {4}).get(), 4, why)) << why.c_str();
    return metric.value();
  };
  EXPECT_DOUBLE_EQ(measure("binary-accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(measure("precision"), 0.5);
  EXPECT_DOUBLE_EQ(measure("recall"), 0.5);
  EXPECT_DOUBLE_EQ(measure("recall:threshold=0.3"), 1);
  EXPECT_DOUBLE_EQ(measure("precision:threshold=0.3"), 2 / 3.0);
  EXPECT_DOUBLE_EQ(measure("f1:threshold=0.3"), 0.8);
  EXPECT_NEAR(measure("mae"), (0.1 + 0.2 + 0.6 + 0.6) / 4, 1e-7);
  EXPECT_NEAR(measure("mse"), (0.01 + 0.04 + 0.36 + 0.36) / 4, 1e-7);
  EXPECT_NEAR(measure("rmse"), std::sqrt((0.01 + 0.04 + 0.36 + 0.36) / 4), 1e-7);
}

TEST(Metrics, ClassesInTheMiddleAndLabelsThatDoNotCount) {
  // [1, 2, 3]: classes along dimension 1; ties go to the first, NaN is behind all.
  std::vector<float> scores{1, 5, NAN, 1, 4, 0};
  std::vector<int64_t> labels{0, -100, 1};
  Metric metric;
  spec::Message why;
  ASSERT_TRUE(Metric::parse("accuracy", metric, why));
  ASSERT_TRUE(metric.add(view(scores, {1, 2, 3}).get(), view(labels, {1, 3}).get(), 1, why)) << why.c_str();
  EXPECT_DOUBLE_EQ(metric.value(), 1);
  std::vector<float> soft{0, 0, 1, 1, 1, 0};
  ASSERT_TRUE(metric.add(view(scores, {1, 2, 3}).get(), view(soft, {1, 2, 3}).get(), 1, why));
  EXPECT_DOUBLE_EQ(metric.value(), 2 / 5.0); // of the three more none: classes 1, 1 and 0 are asked for
  metric.reset();
  EXPECT_TRUE(std::isnan(metric.value()));
}

} // namespace
