// A model written in C++, trained in this process, and saved as ONNX's bytes: which of the
// points of a square lie in a ring.
#include <nacre_compiler.hpp>
#include <nacre_layers.hpp>
#include <nacre_train.hpp>

#include <cstdio>
#include <fstream>
#include <random>

using namespace nacre;
using builder::Dense;

namespace {

struct Points {
  std::vector<float> places;   // [n, 2]
  std::vector<int64_t> labels; // [n]
};

Points draw(size_t count, unsigned seed) {
  Points points;
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> side(-1, 1);
  for (size_t i = 0; i < count; ++i) {
    float x = side(engine), y = side(engine), square = x * x + y * y;
    points.places.insert(points.places.end(), {x, y});
    points.labels.push_back(square > 0.25f && square < 0.8f);
  }
  return points;
}

int complain(const Error &error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  // 1. The model. Each layer is checked as it is added; the first fault is kept.
  builder::Graph graph(/*seed=*/1);
  builder::Value x = graph.input("x", NACRE_F32, {"batch", 2});
  builder::Value h = Dense({.units = 32, .activation = "relu"})(x);
  h = Dense({.units = 32, .activation = "relu"})(h);
  builder::Value logits = Dense({.units = 2, .name = "logits"})(h);
  auto bytes = graph.serialize({x}, {logits});
  if (!bytes)
    return complain(bytes.error());

  // 2. Forward pass, loss, gradients and update, compiled together.
  CompileOptions options;
  options.train = TrainOptions{.loss = "softmax-cross-entropy", .optimizer = "adam"};
  auto model = compile(*bytes, options);
  if (!model)
    return complain(model.error());
  auto session = Session::create(*model);
  if (!session)
    return complain(session.error());

  // 3. Training.
  Points points = draw(2000, 1);
  auto count = int64_t(points.labels.size());
  std::vector<Column> columns{{"x", TensorView(points.places.data(), NACRE_F32, {count, 2})},
                              {"labels", TensorView(points.labels.data(), NACRE_I64, {count})}};
  auto trainer = Trainer::create(*std::move(session), columns,
                                 {.batchSize = 50, .learningRate = 0.01f, .epochs = 30, .schedule = "cosine"});
  if (!trainer)
    return complain(trainer.error());
  for (int64_t epoch = 0; epoch < 30; ++epoch) {
    auto loss = trainer->runEpoch(epoch);
    if (!loss)
      return complain(loss.error());
    if (epoch % 10 == 9)
      std::printf("epoch %d: loss %.4f\n", int(epoch + 1), *loss);
  }

  // 4. Points that it has not seen.
  Points others = draw(1000, 2);
  auto outputs = trainer->session().run({TensorView(others.places.data(), NACRE_F32, {1000, 2})});
  if (!outputs)
    return complain(outputs.error());
  std::span<const float> scores = (*outputs)[0].as<float>();
  int right = 0;
  for (size_t i = 0; i < others.labels.size(); ++i)
    right += (scores[2 * i + 1] > scores[2 * i]) == (others.labels[i] == 1);
  std::printf("accuracy %.1f %%\n", right / 10.0);
  if (argc > 1) // the model as it was written, before training
    std::ofstream(argv[1], std::ios::binary).write(reinterpret_cast<const char *>(bytes->data()), long(bytes->size()));
  return right >= 960 ? 0 : 1;
}
