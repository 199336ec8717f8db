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
  auto trainer = Trainer::create(*session, columns,
                                 {.batchSize = 50, .learningRate = 0.01f, .epochs = 30, .schedule = "cosine"});
  if (!trainer)
    return complain(trainer.error());
  auto history = trainer->fit([](const Epoch &epoch) {
    if (epoch.index % 10 == 9)
      std::printf("epoch %d: loss %.4f\n", int(epoch.index + 1), epoch.loss);
    return true;
  });
  if (!history)
    return complain(history.error());

  // 4. Points that it has not seen.
  Points others = draw(1000, 2);
  auto result = evaluate(*session, {{"x", TensorView(others.places.data(), NACRE_F32, {1000, 2})},
                                    {"labels", TensorView(others.labels.data(), NACRE_I64, {1000})}},
                         {.metrics = {"accuracy"}});
  if (!result)
    return complain(result.error());
  std::printf("accuracy %.1f %%\n", 100 * result->metrics[0]);
  if (argc > 1) // the model as it was written, before training
    std::ofstream(argv[1], std::ios::binary).write(reinterpret_cast<const char *>(bytes->data()), long(bytes->size()));
  return result->metrics[0] >= 0.96 ? 0 : 1;
}
