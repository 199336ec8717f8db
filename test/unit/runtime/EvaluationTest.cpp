// Evaluation and prediction over examples, with a function written by hand, and metrics.
#include "TrainerFixture.h"

#include <cmath>

using namespace nacre;
using namespace nacre::test;

namespace {

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
