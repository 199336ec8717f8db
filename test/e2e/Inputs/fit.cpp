// A C++ program that trains a model of layers (test_cpp_training.py):
//
//   fit columns|numbers|stream [NAME=VALUE ...]
//
// In the current folder are data.raw, f32[700, 64], and labels.raw, i64[700], and the same of 200
// others, valid.raw and valid_labels.raw. Prints losses to the bit.
#include "nacre_model.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

using namespace nacre;
using builder::Dense;
using builder::Dropout;

namespace {

struct Examples {
  std::vector<float> data;
  std::vector<int64_t> labels;
  std::vector<float> batch; // of those that were given last
  std::vector<int64_t> batchLabels;

  Examples(const char *file, const char *labelsFile, size_t count) : data(count * 64), labels(count) {
    read(file, data.data(), data.size() * sizeof(float));
    read(labelsFile, labels.data(), labels.size() * sizeof(int64_t));
  }
  static void read(const char *name, void *to, size_t size) {
    std::ifstream file(name, std::ios::binary);
    if (!file.read(static_cast<char *>(to), std::streamsize(size)))
      std::exit(2);
  }
  std::vector<Column> columns() const {
    int64_t count = int64_t(labels.size());
    return {{"x", view(data, {count, 64})}, {"labels", view(labels, {count})}};
  }
  std::vector<Column> take(std::span<const int64_t> numbers) {
    batch.clear();
    batchLabels.clear();
    for (int64_t number : numbers) {
      batch.insert(batch.end(), &data[size_t(number) * 64], &data[size_t(number) * 64] + 64);
      batchLabels.push_back(labels[size_t(number)]);
    }
    int64_t count = int64_t(numbers.size());
    return {{"x", view(batch, {count, 64})}, {"labels", view(batchLabels, {count})}};
  }
  Dataset dataset() {
    return {.examples = int64_t(labels.size()),
            .get = [this](std::span<const int64_t> numbers) -> Result<std::vector<Column>> { return take(numbers); }};
  }
  Stream stream() { // batches of 100 in the order that there is
    return {.next = [this](int64_t, int64_t step) -> Result<std::vector<Column>> {
      std::vector<int64_t> numbers;
      for (int64_t i = step * 100; i < (step + 1) * 100 && i < int64_t(labels.size()); ++i)
        numbers.push_back(i);
      return numbers.empty() ? std::vector<Column>() : take(numbers);
    }};
  }
};

std::map<std::string, std::string> given;
const std::string &text(const char *name) { return given[name]; }
int64_t number(const char *name, int64_t otherwise = 0) {
  return given.count(name) ? std::atoll(given[name].c_str()) : otherwise;
}

int complain(const Error &error) {
  std::printf("error %s: %s\n", nacre_status_name(error.status), error.message.c_str());
  return 1;
}

void print(const char *what, double loss, const std::vector<double> &metrics) {
  std::printf("%s %a", what, loss);
  for (double metric : metrics)
    std::printf(" %a", metric);
  std::printf("\n");
}

} // namespace

int main(int argc, char **argv) {
  for (int i = 2; i < argc; ++i) {
    std::string argument = argv[i];
    size_t end = argument.find('=');
    given[argument.substr(0, end)] = argument.substr(end + 1);
  }
  Examples own("data.raw", "labels.raw", 700), others("valid.raw", "valid_labels.raw", 200);
  builder::Graph graph(/*seed=*/1);
  builder::Value x = graph.input("x", NACRE_F32, {"batch", 64});
  builder::Model model = builder::Sequential({Dense({.units = 32, .activation = "relu"}), Dropout({.rate = 0.2f}),
                                              Dense({.units = 10, .name = "logits"})}, x);
  if (given.count("first"))
    if (Status saved = model.save(text("first")); !saved)
      return complain(saved.error());
  Status compiled = model.compile({.train = {.optimizer = "adam:lr=0.01", .accumulate = 2, .average = 0.9},
                                   .metrics = {"accuracy"}, .threads = int32_t(number("threads", 2))});
  if (!compiled)
    return complain(compiled.error());

  int64_t seen = 0, killed = number("kill_after", -1), last = number("last_epoch", -1);
  builder::FitOptions options{.batchSize = number("batch"), .epochs = number("epochs", 1), .seed = uint64_t(number("seed")),
                              .schedule = text("schedule"), .patience = number("patience"), .checkpoint = text("checkpoint"),
                              .keep = number("keep", 3), .resume = number("resume") != 0};
  if (given.count("monitor"))
    options.monitor = text("monitor");
  if (given.count("every"))
    options.checkpointEvery = text("every");
  options.onWarning = [](const std::string &message) { std::printf("warning %s\n", message.c_str()); };
  options.onEpoch = [&](const Epoch &epoch) { return epoch.index != last; };
  options.onStep = [&](const TrainingStep &step) {
    std::printf("step %a\n", step.own);
    std::fflush(stdout);
    if (++seen == killed)
      std::raise(SIGKILL);
    return true;
  };
  std::string kind = argv[1];
  if (text("validation") == "numbers")
    options.validationDataset = others.dataset();
  else if (text("validation") == "columns")
    options.validation = others.columns();
  for (int64_t i = 0; i < number("before"); ++i) // a training that has been
    if (auto made = model.fit(own.columns(), {.batchSize = 48, .epochs = 2}); !made)
      return complain(made.error());
  Result<std::vector<Epoch>> history = kind == "numbers"  ? model.fit(own.dataset(), options)
                                       : kind == "stream" ? model.fit(own.stream(), options)
                                                          : model.fit(own.columns(), options);
  if (!history)
    return complain(history.error());
  for (const Epoch &epoch : *history) {
    print("epoch", epoch.loss, epoch.metrics);
    if (epoch.validation)
      print("valid", epoch.validation->loss, epoch.validation->metrics);
  }
  std::printf("best %lld\n", (long long)model.bestEpoch());
  auto byColumns = model.evaluate(others.columns(), 48), byNumbers = model.evaluate(others.dataset(), 48);
  if (!byColumns || !byNumbers || byColumns->loss != byNumbers->loss || byColumns->metrics != byNumbers->metrics)
    return std::puts("evaluations differ"), 1;
  if (given.count("out"))
    if (Status saved = model.save(text("out")); !saved)
      return complain(saved.error());
  return 0;
}
