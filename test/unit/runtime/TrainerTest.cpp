// The training loop around a step written by hand: which examples each step sees,
// the last one of an epoch, and data that does not fit.
#include "FakeModel.h"
#include "runtime/api/nacre_train.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

using namespace nacre;
using nacre::test::FakeModel;

namespace {

// What the steps have seen: the first feature of each example, a vector per step.
std::vector<std::vector<float>> seen;
std::vector<float> rates;
float lossOfSteps = 0;

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
  int64_t dims[] = {inputs[0].dims[0], 3};
  context->output(context, 1, 2, dims);
  return context->stop;
}

int32_t predict(nacre_abi_context *context, const nacre_abi_tensor *) { return context->stop; }

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
  Session makeSession(FakeModel::Dim batch) {
    FakeModel &fake = fakes.emplace_back();
    auto x = fake.tensor("x", NACRE_DTYPE_F32, {batch, 2}), l = fake.tensor("labels", NACRE_DTYPE_I64, {batch});
    auto y = fake.tensor("y", NACRE_DTYPE_F32, {batch, 3});
    fake.function("main", predict, {x}, {y});
    fake.function("step", step, {x, l, fake.tensor("learning_rate", NACRE_DTYPE_F32, {})},
                  {fake.tensor("loss", NACRE_DTYPE_F32, {}), y});
    nacre_model *model = nullptr;
    EXPECT_EQ(nacre_model_create(&fake.descriptor(), nullptr, nullptr, nullptr, &model), NACRE_OK);
    Model owner(model);
    auto session = Session::create(owner, {.threads = 1});
    EXPECT_TRUE(session);
    return *std::move(session);
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
  EXPECT_EQ(*loss, 0.5);
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
  auto trainer = Trainer::create(*Session::create(owner), columns());
  ASSERT_FALSE(trainer);
  EXPECT_NE(trainer.error().message.find("not compiled for training"), std::string::npos);
}

} // namespace
