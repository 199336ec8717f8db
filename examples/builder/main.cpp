// A model written in C++, trained in this process, measured, and saved as an ONNX file: which of
// the points of a square lie in a ring.
#include <nacre_model.hpp>

#include <cstdio>
#include <random>

using namespace nacre;
using builder::Dense;

namespace {

struct Points {
  std::vector<float> places;   // [n, 2]
  std::vector<int64_t> labels; // [n]

  std::vector<Column> columns() const {
    return {{"x", view(places, {int64_t(labels.size()), 2})}, {"labels", view(labels, {int64_t(labels.size())})}};
  }
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
  // 1. The model. Each layer is checked as it is added; the first fault is kept and told by compile.
  builder::Graph graph(/*seed=*/1);
  builder::Value x = graph.input("x", NACRE_F32, {"batch", 2});
  builder::Model model = builder::Sequential({Dense({.units = 32, .activation = "relu"}),
                                              Dense({.units = 32, .activation = "relu"}),
                                              Dense({.units = 2, .name = "logits"})}, x);
  std::fputs(model.summary().c_str(), stdout);

  // 2. Forward pass, loss, gradients and update, compiled together.
  Status compiled = model.compile({.train = {.loss = "softmax-cross-entropy", .optimizer = "adam:lr=0.01"},
                                   .metrics = {"accuracy"}});
  if (!compiled)
    return complain(compiled.error());

  // 3. Training.
  Points points = draw(2000, 1), others = draw(1000, 2);
  auto history = model.fit(points.columns(), {.batchSize = 50, .epochs = 30, .schedule = "cosine",
                                              .onEpoch = [](const Epoch &epoch) {
                                                if (epoch.index % 10 == 9)
                                                  std::printf("epoch %d: loss %.4f, accuracy %.1f %%\n",
                                                              int(epoch.index + 1), epoch.loss, 100 * epoch.metrics[0]);
                                                return true;
                                              }});
  if (!history)
    return complain(history.error());

  // 4. Points that it has not seen.
  auto result = model.evaluate(others.columns());
  if (!result)
    return complain(result.error());
  std::printf("accuracy %.1f %%\n", 100 * result->metrics[0]);
  if (argc > 1)
    if (Status saved = model.save(argv[1]); !saved)
      return complain(saved.error());
  return result->metrics[0] >= 0.96 ? 0 : 1;
}
