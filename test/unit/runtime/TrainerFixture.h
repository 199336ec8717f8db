// A training step written by hand, which tells what it has seen, and ten examples for it.
#ifndef NACRE_TEST_UNIT_RUNTIME_TRAINERFIXTURE_H
#define NACRE_TEST_UNIT_RUNTIME_TRAINERFIXTURE_H

#include "FakeModel.h"
#include "runtime/api/nacre_train.hpp"

#include <deque>
#include <gtest/gtest.h>

namespace nacre::test {

// What the steps have seen: the first feature of each example, a vector per step.
inline std::vector<std::vector<float>> seen;
inline std::vector<float> rates;
inline float lossOfSteps = 0;

// Class 1 has the largest score for odd k, else class 0, and class 2 the second largest.
inline void writeScores(nacre_abi_context *context, int32_t output, const nacre_abi_tensor &x) {
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
inline int32_t step(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
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
inline int32_t evaluateBatch(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
  float sum = 0;
  for (int64_t i = 0; i < inputs[0].dims[0]; ++i)
    sum += static_cast<const float *>(inputs[0].data)[2 * i];
  *static_cast<float *>(context->output(context, 0, 0, nullptr)) = sum / float(inputs[0].dims[0]);
  writeScores(context, 1, inputs[0]);
  return context->stop;
}

inline int32_t predict(nacre_abi_context *context, const nacre_abi_tensor *inputs) {
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

} // namespace nacre::test

#endif // NACRE_TEST_UNIT_RUNTIME_TRAINERFIXTURE_H
