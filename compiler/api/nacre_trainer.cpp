//===- nacre_trainer.cpp - The C API of training ----------------*- C++ -*-===//
//
// A thin layer over Trainer and TrainKeeper: checks arguments, and turns results into statuses.
//
//===----------------------------------------------------------------------===//
#include "compiler/api/nacre_trainer.h"
#include "compiler/api/DataSource.h"
#include "compiler/api/Exporter.h"
#include "compiler/api/LastError.h"
#include "compiler/api/TrainKeeper.h"

#include <cstring>

using namespace nacre;

#define REQUIRE(argument)                                                      \
  if (!(argument))                                                             \
  return fail(refusal(#argument " is NULL"))

namespace {

/// The caller's session and its model, which stay the caller's.
struct Borrowed {
  explicit Borrowed(nacre_session *handle) : session(handle), model(getModel(handle)) {}
  ~Borrowed() {
    (void)session.release();
    (void)model.release();
  }
  static nacre_model *getModel(nacre_session *handle) {
    nacre_model *model = nullptr;
    return nacre_session_get_model(handle, &model) == NACRE_OK ? model : nullptr;
  }

  Session session;
  Model model;
};

/// What nacre_train is asked for.
struct Plan {
  nacre_train_options given = NACRE_TRAIN_OPTIONS_INIT;
  TrainOptions train; // that the model was compiled with
  TrainerOptions trainer;
  TrainKeeperOptions kept;

  Status fill(const nacre_train_options *options, const Model &model) {
    if (Status status = readStruct(options, given, "options"); !status)
      return status;
    auto check = [](const char *member, auto value) {
      return value >= 0 ? Status()
                        : Status(refusal(std::string("options.") + member + " is " + std::to_string(value) +
                                         ", expected 0 or more"));
    };
    for (auto [member, value] :
         {std::pair("epochs", given.epochs), {"steps", given.steps}, {"batch_size", given.batch_size},
          {"metric_count", int64_t(given.metric_count)}, {"patience", given.patience}, {"keep", given.keep}})
      if (Status status = check(member, value); !status)
        return status;
    if (!(given.learning_rate >= 0))
      return refusal("options.learning_rate is " + std::to_string(given.learning_rate) + ", expected 0 or more");
    if (given.epochs && given.steps)
      return refusal("options.epochs and options.steps are given, expected one of them");
    if (given.patience && !given.validation)
      return refusal("options.patience: expected options.validation, which it looks at");
    if (given.resume && !given.checkpoint)
      return refusal("options.resume: expected options.checkpoint, the folder to go on from");
    if (std::optional<TrainOptions> found = readTrainOptions(model))
      train = *std::move(found);
    Result<double> rate = getLearningRate(train);
    trainer.learningRate = float(given.learning_rate > 0 ? given.learning_rate : rate ? *rate : 0);
    trainer.epochs = given.epochs ? given.epochs : 1;
    trainer.steps = given.steps;
    trainer.batchSize = given.batch_size;
    trainer.seed = given.seed;
    trainer.schedule = given.schedule ? given.schedule : "";
    trainer.ignoredLabel = getIgnoredLabel(train);
    if (Status status = readNames(given.metrics, given.metric_count, trainer.metrics); !status)
      return status;
    if (given.no_read_ahead)
      trainer.readAheadBytes = -1;
    return fillKept();
  }

  static Status readNames(const char *const *names, int32_t count, std::vector<std::string> &list) {
    if (count < 0 || (count > 0 && !names))
      return refusal("metrics: a count of " + std::to_string(count) + ", and the list is " + (names ? "there" : "NULL"));
    for (int32_t i = 0; i < count; ++i) {
      if (!names[i])
        return refusal("metrics[" + std::to_string(i) + "] is NULL");
      list.push_back(names[i]);
    }
    return {};
  }

  void warn(const std::string &message) const {
    if (given.on_warning)
      given.on_warning(given.user_data, message.c_str());
  }
  bool tell(const TrainingStep &step, int64_t epoch) const {
    nacre_step_info info{sizeof info, epoch, step.index, step.examples, step.own, step.loss, step.rate};
    return !given.on_step || given.on_step(given.user_data, &info) == 0;
  }
  bool tell(const Epoch &epoch) const {
    const Evaluation none, &validation = epoch.validation ? *epoch.validation : none;
    nacre_epoch_info info{sizeof info,
                          epoch.index,
                          epoch.examples,
                          epoch.loss,
                          epoch.metrics.data(),
                          epoch.rate,
                          epoch.seconds,
                          int32_t(epoch.metrics.size()),
                          epoch.validation.has_value(),
                          validation.loss,
                          validation.metrics.data()};
    return !given.on_epoch || given.on_epoch(given.user_data, &info) == 0;
  }

private:
  Status fillKept() {
    TrainCheckpoints::Options &checkpoints = kept.checkpoints;
    if (given.checkpoint_every) {
      std::optional<CheckpointInterval> interval = CheckpointInterval::parse(given.checkpoint_every);
      if (!interval)
        return refusal(std::string("options.checkpoint_every '") + given.checkpoint_every +
                       "': expected a number, and epochs or steps");
      checkpoints.interval = *interval;
    }
    checkpoints.folder = given.checkpoint ? given.checkpoint : "";
    checkpoints.keep = given.keep ? given.keep : 3;
    checkpoints.resumes = given.resume != 0;
    checkpoints.beginsAnew = false; // the parameters may not be the model's own
    checkpoints.isCommand = false;
    checkpoints.warn = [this](const std::string &message) { warn(message); };
    kept.patience = given.patience;
    kept.monitor = given.monitor ? given.monitor : "loss";
    kept.metrics = trainer.metrics;
    return {};
  }
};

nacre_status deliver(const Status &status) { return status ? NACRE_OK : fail(status.error()); }

Status train(Borrowed &of, const nacre_data *data, const nacre_train_options *options, nacre_train_result &result) {
  Plan plan;
  if (Status filled = plan.fill(options, of.model); !filled)
    return filled;
  Result<DataSource> source = DataSource::create(data, of.model, "step", "data");
  if (!source)
    return source.error();
  std::optional<DataSource> others;
  if (plan.given.validation) {
    Result<DataSource> made = DataSource::create(plan.given.validation, of.model, "evaluate", "validation");
    if (!made)
      return made.error();
    others = *std::move(made);
    if (others->isStream())
      return refusal("validation is a stream, expected columns, or a callback that knows its number of examples");
    plan.trainer.validation = others->getColumns();
    plan.trainer.validationDataset = others->makeDataset();
  }
  if (source->isStream() && plan.given.batch_size)
    return refusal("options.batch_size: a stream decides the size of its batches");
  Result<Trainer> trainer = source->isStream() ? Trainer::create(of.session, source->makeStream(), plan.trainer)
                            : source->getColumns().empty()
                                ? Trainer::create(of.session, source->makeDataset(), plan.trainer)
                                : Trainer::create(of.session, source->getColumns(), plan.trainer);
  if (!trainer)
    return trainer.error();
  TrainKeeper keeper(*trainer, plan.kept);
  TrainCheckpoints::Agreement agreed; // which reads all arrays
  if (plan.given.checkpoint)
    agreed = agree(plan.train, plan.trainer, of.model, *trainer, source->getColumns());
  if (Status begun = keeper.begin(std::move(agreed)); !begun)
    return begun;
  result.resumed_step = keeper.isResumed() ? keeper.getSteps() : 0;
  Status trained = keeper.train([&](const Epoch &epoch) { return plan.tell(epoch); },
                                [&](const TrainingStep &step) { return plan.tell(step, trainer->state().epoch); });
  if (trained)
    trained = keeper.restoreBest();
  result.epochs = int64_t(keeper.getHistory().size());
  result.steps = keeper.getSteps();
  result.best_epoch = keeper.getBestEpoch();
  result.ended_early = keeper.endedEarly();
  return trained;
}

} // namespace

nacre_status nacre_train(nacre_session *session, const nacre_data *data, const nacre_train_options *options,
                         nacre_train_result *result) {
  REQUIRE(session);
  REQUIRE(data);
  nacre_train_result all = NACRE_TRAIN_RESULT_INIT, asked = NACRE_TRAIN_RESULT_INIT;
  if (Status status = readStruct(result, asked, "result"); !status)
    return deliver(status);
  all.best_epoch = -1;
  Borrowed of(session);
  Status trained = train(of, data, options, all);
  all.struct_size = asked.struct_size;
  if (result)
    std::memcpy(result, &all, asked.struct_size);
  return deliver(trained);
}

nacre_status nacre_evaluate(nacre_session *session, const nacre_data *data, int64_t batch_size,
                            const char *const *metric_names, int32_t metric_count, double *loss, double *metrics) {
  REQUIRE(loss);
  *loss = 0;
  REQUIRE(session);
  REQUIRE(data);
  if (metric_count > 0)
    REQUIRE(metrics);
  Borrowed of(session);
  EvaluateOptions options;
  options.batchSize = batch_size;
  if (Status status = Plan::readNames(metric_names, metric_count, options.metrics); !status)
    return deliver(status);
  if (std::optional<TrainOptions> train = readTrainOptions(of.model))
    options.ignoredLabel = getIgnoredLabel(*train);
  Result<DataSource> source = DataSource::create(data, of.model, "evaluate", "data");
  if (!source)
    return fail(source.error());
  if (source->isStream())
    return fail(refusal("data is a stream, expected columns, or a callback that knows its number of examples"));
  Result<Evaluation> found = source->getColumns().empty()
                                 ? evaluate(of.session, source->makeDataset(), options)
                                 : evaluate(of.session, source->getColumns(), options);
  if (!found)
    return fail(found.error());
  *loss = found->loss;
  std::copy(found->metrics.begin(), found->metrics.end(), metrics);
  return NACRE_OK;
}

nacre_status nacre_use_averages(nacre_session *session) {
  REQUIRE(session);
  Borrowed of(session);
  return deliver(Trainer::useAverages(of.session));
}

nacre_status nacre_export(nacre_session *session, const char *source, const char *path) {
  REQUIRE(session);
  REQUIRE(source);
  REQUIRE(path);
  Borrowed of(session);
  Result<Exporter> exporter = Exporter::open(source, of.model);
  return exporter ? deliver(exporter->write(of.session, path)) : fail(exporter.error());
}
