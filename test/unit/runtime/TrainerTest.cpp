// The training loop around a step written by hand: which examples each step sees, the last one of an
// epoch, rates, metrics, validation, where it goes on, and data that does not fit.
#include "TrainerFixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace nacre;
using namespace nacre::test;

namespace {

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

} // namespace
