// Models as Keras has them, in C++: written on a graph, compiled, trained, measured, used, saved.
//
//   using namespace nacre;
//   builder::Graph graph(/*seed=*/1);
//   builder::Value x = graph.input("x", NACRE_F32, {"batch", 784});
//   builder::Model model = builder::Sequential({builder::Dense({.units = 64, .activation = "relu"}),
//                                               builder::Dense({.units = 10})}, x);
//   model.compile({.train = {.loss = "softmax-cross-entropy", .optimizer = "adam"}, .metrics = {"accuracy"}});
//   auto history = model.fit({{"x", images}, {"labels", labels}}, {.epochs = 10, .validation = others});
//   auto how = model.evaluate(others);
//   auto outputs = model.predict({{"x", images}});
//   auto saved = model.save("trained.onnx");
//
// Columns are arrays with an entry per example, named as the model's inputs and the loss's
// targets are (nacre_data.hpp). Not thread-safe.
#ifndef NACRE_BUILDER_MODEL_H
#define NACRE_BUILDER_MODEL_H

#include "compiler/api/Compiler.h"
#include "frontends/builder/Layers.h"
#include "runtime/api/nacre_train.hpp"

namespace nacre::builder {

struct ModelOptions {
  // What is minimised, and how.
  TrainOptions train = {};
  // What is measured besides the loss: "accuracy".
  std::vector<std::string> metrics = {};
  int32_t threads = 0; // 0: all cores
  // Of Dropout's random numbers.
  uint64_t seed = 0;
};

struct FitOptions {
  int64_t batchSize = 0; // 0: what the model is fixed to, or 32
  int64_t epochs = 1;
  // Draws the order of the examples.
  uint64_t seed = 0;
  // The optimizer's, if it is not given.
  std::optional<float> learningRate = {};
  std::string schedule = {}; // "cosine:warmup=100"
  std::vector<Column> validation = {};
  // The same, given by their numbers.
  Dataset validationDataset = {};
  // Ends the training after so many epochs in which the validation became no better, and the model, with the
  // optimizer's state, becomes what it was after the best, `bestEpoch`; 0: does not. What is looked at is the
  // loss, or the metric that `monitor` names.
  int64_t patience = 0;
  std::string monitor = "loss";
  // A folder where the newest `keep` checkpoints are kept, the files of `nacre train`: one after each epoch, or
  // as `checkpointEvery` says, "2epochs" or "500steps". Empty: none are. One that cannot be written, or read while
  // there is one before it, is told to `onWarning`.
  std::string checkpoint = {};
  std::string checkpointEvery = "1epoch";
  int64_t keep = 3;
  std::function<void(const std::string &)> onWarning = nullptr;
  // Goes on from the newest checkpoint, however the training there ended, bit for bit as if it never had, up to
  // `epochs` in all; without one it begins. Model, data and options must be the same but for the length; of
  // examples that a function gives only the number is compared. `fit` then returns the epochs before, too: of
  // these the loss, the metrics and the validation's.
  bool resume = false;
  // Called after each epoch, or step; false ends the training: after an epoch with what there
  // is, after a step with NACRE_CANCELLED.
  std::function<bool(const Epoch &)> onEpoch = nullptr;
  std::function<bool(const TrainingStep &)> onStep = nullptr;
};

class Model {
public:
  // Of what has been written until now; a fault of the graph is told by the first call that
  // needs it.
  Model(std::vector<Value> inputs, std::vector<Value> outputs);

  // Makes code for training, evaluation and prediction. Compiled again, a model keeps its
  // weights; the optimizer's state begins anew.
  Status compile(ModelOptions options = {});

  // Needs `compile`. Called again, it goes on from the weights that there are, with other orders. Of a stream,
  // whose batches have the sizes that they have, checkpoints are written between epochs alone.
  Result<std::vector<Epoch>> fit(std::vector<Column> columns, const FitOptions &options = {});
  Result<std::vector<Epoch>> fit(Dataset dataset, const FitOptions &options = {});
  Result<std::vector<Epoch>> fit(Stream stream, const FitOptions &options = {});
  // Of the last `fit`, from 0; -1: none was looked for.
  int64_t bestEpoch() const { return best; }
  Result<Evaluation> evaluate(std::vector<Column> columns, int64_t batchSize = 0);
  Result<Evaluation> evaluate(Dataset dataset, int64_t batchSize = 0);

  // Compiles for inference alone, if need be.
  Result<std::vector<Array>> predict(std::vector<Column> columns, int64_t batchSize = 0);

  // As an ONNX file, with the weights as they are now.
  Status save(const std::string &path);
  std::string summary() const;

  // What runs it, for all else that can be done with a session; null before it is compiled.
  Session *session() { return current ? &*current : nullptr; }

private:
  // The ONNX model with the weights as they are now.
  Result<std::vector<std::byte>> serialize();
  Status start(const std::optional<TrainOptions> &train);
  template <typename Data> Result<std::vector<Epoch>> fitTo(Data data, const FitOptions &options);
  template <typename Data> Result<Evaluation> evaluateOn(Data data, int64_t batchSize);

  std::vector<Value> inputs, outputs;
  ModelOptions options;
  bool isTrainable = false;
  int64_t epochs = 0;            // that have been trained
  std::map<std::string, int64_t> begun; // by folders of checkpoints: the epochs before the training there
  int64_t best = -1;
  std::vector<std::byte> source; // what was compiled
  std::optional<nacre::Model> compiled;
  std::optional<Session> current;
};

// The layers one after the other, on one input.
Model Sequential(const std::vector<Layer> &layers, const Value &input);

} // namespace nacre::builder

#endif // NACRE_BUILDER_MODEL_H
