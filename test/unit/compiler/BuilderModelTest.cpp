// Models of layers in C++: what fit, evaluate, predict and save come to. (test_models_of_layers.py
// has the numbers, against PyTorch.)
#include "frontends/builder/Model.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace nacre;
namespace builder = nacre::builder;

namespace {

// Points of a line, and which side of it they are on.
struct Points {
  std::vector<float> places;
  std::vector<int64_t> labels;

  Points() {
    for (int i = -20; i < 20; ++i) {
      places.push_back(float(i) / 10);
      labels.push_back(i > 3);
    }
  }
  std::vector<Column> columns() const {
    return {{"x", view(places, {40, 1})}, {"labels", view(labels, {40})}};
  }
};

builder::Model makeModel() {
  builder::Graph graph(/*seed=*/1);
  builder::Value x = graph.input("x", NACRE_F32, {"batch", 1});
  return builder::Sequential({builder::Dense({.units = 8, .activation = "tanh"}), builder::Dense({.units = 2})}, x);
}

std::vector<float> predict(builder::Model &model, const Points &points) {
  auto outputs = model.predict({points.columns()[0]}, 16);
  EXPECT_TRUE(outputs) << outputs.error().message;
  auto values = outputs->front().view().as<float>();
  return {values.begin(), values.end()};
}

TEST(BuilderModel, LearnsAndKeepsWhatItLearnt) {
  Points points;
  builder::Model model = makeModel();
  ASSERT_TRUE(model.compile({.train = {.optimizer = "adam:lr=0.05"}, .metrics = {"accuracy"}, .threads = 1}));
  auto history = model.fit(points.columns(), {.batchSize = 10, .epochs = 40});
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_EQ(history->size(), 40u);
  EXPECT_LT(history->back().loss, history->front().loss / 4);
  auto measured = model.evaluate(points.columns());
  ASSERT_TRUE(measured);
  EXPECT_GE(measured->metrics[0], 0.95);

  std::vector<float> before = predict(model, points);
  int64_t right = 0;
  for (size_t i = 0; i < 40; ++i)
    right += (before[2 * i + 1] > before[2 * i]) == (points.labels[i] == 1);
  EXPECT_DOUBLE_EQ(measured->metrics[0], double(right) / 40);
  // Compiled again, for something else.
  ASSERT_TRUE(model.compile({.train = {.loss = "softmax-cross-entropy:label_smoothing=0.1"}}));
  EXPECT_EQ(predict(model, points), before);

  std::string path = testing::TempDir() + "trained.onnx";
  ASSERT_TRUE(model.save(path));
  auto again = compile(path);
  ASSERT_TRUE(again) << again.error().message;
  auto session = Session::create(*again);
  auto outputs = session->run({points.columns()[0].data});
  ASSERT_TRUE(outputs);
  auto values = (*outputs)[0].as<float>();
  ASSERT_EQ(values.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_NEAR(values[i], before[i], 1e-5);
  std::filesystem::remove(path);
}

TEST(BuilderModel, PredictsWithoutBeingCompiled) {
  Points points;
  builder::Model model = makeModel();
  EXPECT_EQ(model.session(), nullptr);
  EXPECT_EQ(predict(model, points).size(), 80u);
  auto refused = model.fit(points.columns());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the model is not compiled: call compile() before fit()");
  EXPECT_FALSE(model.evaluate(points.columns()));
  EXPECT_NE(model.summary().find("dense_1"), std::string::npos);
}

TEST(BuilderModel, TellsTheGraphsFault) {
  builder::Graph graph;
  builder::Value x = graph.input("x", NACRE_F32, {"batch", 4});
  builder::Model model = builder::Sequential({builder::Conv2D({.filters = 3, .kernelSize = {3}})}, x);
  Status compiled = model.compile();
  ASSERT_FALSE(compiled);
  EXPECT_NE(compiled.error().message.find("conv2d"), std::string::npos) << compiled.error().message;
  EXPECT_FALSE(model.save(testing::TempDir() + "none.onnx"));
  EXPECT_EQ(model.summary(), "");
}

TEST(BuilderModel, AnEpochOrAStepEndsIt) {
  Points points;
  builder::Model model = makeModel();
  ASSERT_TRUE(model.compile());
  auto ended = model.fit(points.columns(), {.epochs = 9, .onEpoch = [](const Epoch &epoch) { return epoch.index < 1; }});
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->size(), 2u);
  auto cancelled = model.fit(points.columns(), {.onStep = [](const TrainingStep &) { return false; }});
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().status, NACRE_CANCELLED);
}

} // namespace
