//===- Training.cpp - Trainers for Python -----------------------*- C++ -*-===//
//
// nacre/_training.py is its face, and gives arrays of the types that the model takes.
//
//===----------------------------------------------------------------------===//
#include "frontends/python/Training.h"
#include "compiler/api/Compiler.h"
#include "compiler/api/Exporter.h"
#include "compiler/api/File.h"
#include "compiler/api/TrainKeeper.h"
#include "frontends/python/Arrays.h"
#include "frontends/python/Interrupt.h"
#include "frontends/python/Program.h"

#include <deque>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

using namespace nacre;
using namespace nacre::python;

namespace {

using TrainSettings = std::map<std::string, std::string>;

/// Columns over arrays, which it keeps.
struct Columns {
  explicit Columns(nb::dict arrays) {
    for (auto [name, array] : arrays) {
      nacre_tensor tensor = toTensor(array, memory.emplace_back());
      TensorView view(tensor.data, nacre_dtype(tensor.dtype), std::span(tensor.dims, size_t(tensor.rank)));
      list.push_back({nb::cast<std::string>(name), view});
    }
  }
  std::deque<InputMemory> memory;
  std::vector<Column> list;
};

TrainOptions makeTrainOptions(const TrainSettings &settings) {
  TrainOptions options;
  for (const auto &[key, value] : settings)
    if (Status set = setTrainOption(options, key, value); !set)
      throw nb::value_error(set.error().message.c_str());
  return options;
}

[[noreturn]] void raiseError(const Error &error) {
  if (error.status == NACRE_CANCELLED && PyErr_CheckSignals() != 0)
    throw nb::python_error(); // KeyboardInterrupt
  if (error.status == NACRE_INVALID_ARGUMENT)
    throw nb::value_error(error.message.c_str());
  raiseRunError(error.status, error.message);
}

/// What `work` gives, without the interpreter's lock; Ctrl-C ends it.
template <typename Work> auto run(Program &program, Work work) {
  auto result = [&] {
    nb::gil_scoped_release unlocked;
    CancelOnInterrupt interruptible(program.getSession().get());
    return work();
  }();
  if (!result)
    raiseError(result.error());
  return *std::move(result);
}

nb::tuple toTuple(const Evaluation &evaluation) {
  return nb::make_tuple(evaluation.loss, nb::cast(evaluation.metrics), evaluation.examples);
}

class TrainerOfArrays {
public:
  /// `data` is arrays by name, or a function of an epoch and a step that gives such, or None at the
  /// end; then `steps` is the number of batches in an epoch, 0 if it is not known.
  TrainerOfArrays(nb::object program, nb::object data, nb::dict validation, std::vector<std::string> metrics,
                  int64_t batchSize, uint64_t seed, double learningRate, int64_t epochs, std::string schedule,
                  const TrainSettings &settings, int64_t steps, bool readsAhead)
      : program(std::move(program)), train(makeTrainOptions(settings)), validation(validation) {
    options.batchSize = batchSize;
    options.seed = seed;
    options.learningRate = float(learningRate);
    options.epochs = epochs;
    options.schedule = std::move(schedule);
    options.ignoredLabel = getIgnoredLabel(train);
    options.metrics = std::move(metrics);
    options.validation = this->validation.list;
    options.readAheadBytes = readsAhead ? options.readAheadBytes : -1;
    Session &session = nb::cast<Program &>(this->program).getSession();
    Result<Trainer> made = [&] {
      if (!nb::isinstance<nb::dict>(data)) {
        source = std::move(data);
        return Trainer::create(session, makeStream(steps), options);
      }
      columns = std::make_unique<Columns>(nb::cast<nb::dict>(data));
      return Trainer::create(session, columns->list, options);
    }();
    if (!made)
      raiseError(made.error());
    trainer.emplace(*std::move(made));
  }

  /// The loss, metrics, number of examples, rate and seconds of an epoch, and its evaluation. What
  /// `progress(step, examples, loss)` raises ends it.
  nb::tuple runEpoch(int64_t index, nb::object progress) {
    nb::object raised;
    Result<Epoch> epoch = [&] {
      nb::gil_scoped_release unlocked;
      CancelOnInterrupt interruptible(trainer->session().get());
      interrupt = &interruptible;
      return trainer->runEpoch(index, [&](const TrainingStep &step) {
        if (keeper)
          keeper->addStep();
        if (interruptible.wasInterrupted())
          return false;
        if (progress.is_none())
          return true;
        nb::gil_scoped_acquire locked;
        try {
          progress(step.index, step.examples, step.loss);
          return true;
        } catch (nb::python_error &error) {
          raised = nb::borrow(error.value());
          return false;
        }
      });
    }();
    interrupt = nullptr;
    if (sourceRaised.is_valid())
      raised = std::exchange(sourceRaised, nb::object());
    if (raised.is_valid()) {
      PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(raised.ptr())), raised.ptr());
      throw nb::python_error();
    }
    if (!epoch)
      raiseError(epoch.error());
    if (keeper)
      check([&] { return keeper->addEpoch(*epoch); });
    nb::object evaluation = epoch->validation ? nb::object(toTuple(*epoch->validation)) : nb::none();
    return nb::make_tuple(epoch->loss, nb::cast(epoch->metrics), epoch->examples, epoch->rate, epoch->seconds,
                          evaluation);
  }

  /// From now on checkpoints are written, into a folder unless that is "", and the parameters of the best
  /// epoch are kept if `patience` is not 0. The number of the epoch to begin with.
  int64_t keep(const std::string &folder, const std::string &every, int64_t newest, bool resumes, int64_t patience,
               const std::string &monitor) {
    TrainKeeperOptions kept;
    std::optional<CheckpointInterval> interval = CheckpointInterval::parse(every);
    if (!interval)
      throw nb::value_error(("checkpoint_every '" + every + "': expected a number, and epochs or steps").c_str());
    kept.checkpoints.folder = folder;
    kept.checkpoints.interval = *interval;
    kept.checkpoints.keep = newest;
    kept.checkpoints.resumes = resumes;
    kept.checkpoints.beginsAnew = false; // whose parameters may not be the file's
    kept.checkpoints.isCommand = false;
    kept.checkpoints.warn = [this](const std::string &message) { warnings.push_back(message); };
    kept.patience = patience;
    kept.monitor = monitor;
    kept.metrics = options.metrics;
    keeper.emplace(*trainer, std::move(kept));
    const Model &model = nb::cast<Program &>(program).getModel();
    check([&] {
      TrainCheckpoints::Agreement agreed;
      if (!folder.empty())
        agreed = agree(train, options, model, *trainer, columns ? columns->list : std::vector<Column>());
      return keeper->begin(std::move(agreed));
    });
    return trainer->state().epoch;
  }
  bool isDone() { return keeper && keeper->isDone(); }
  /// Of each epoch that was before, and each since.
  std::vector<std::string> getHistory() const { return keeper ? keeper->getHistory() : std::vector<std::string>(); }
  int64_t getSteps() { return keeper ? keeper->getSteps() : 0; }
  /// The last checkpoint; the parameters become those of the best epoch, whose number is returned, -1 if there
  /// is none.
  int64_t finish() {
    check([&] {
      keeper->finish();
      return keeper->restoreBest();
    });
    return keeper->getBestEpoch();
  }
  /// Lets go of the folder.
  void release() { keeper.reset(); }

private:
  /// Raises what is an error, and warns of what was to be warned of.
  template <typename Work> void check(Work work) {
    Status status = [&] {
      nb::gil_scoped_release unlocked;
      return work();
    }();
    for (const std::string &message : std::exchange(warnings, {}))
      if (PyErr_WarnEx(PyExc_RuntimeWarning, message.c_str(), 1) != 0)
        throw nb::python_error();
    if (!status && status.error().status == NACRE_IO_ERROR)
      raise(getExceptions().writeError, status.error().message);
    if (!status)
      raiseError(status.error());
  }

  Stream makeStream(int64_t steps) {
    Stream stream;
    stream.steps = steps;
    stream.isCancelled = [this] { return interrupt && interrupt->wasInterrupted(); };
    stream.next = [this](int64_t epoch, int64_t step) -> Result<std::vector<Column>> { // on a thread of its own
      nb::gil_scoped_acquire locked;
      try {
        nb::object batch = source(epoch, step);
        columns.reset();
        if (batch.is_none())
          return std::vector<Column>();
        columns = std::make_unique<Columns>(nb::cast<nb::dict>(batch));
        return columns->list;
      } catch (nb::python_error &error) {
        sourceRaised = nb::borrow(error.value());
        return Error{NACRE_CANCELLED, "what gives the batches has raised an exception"};
      }
    };
    return stream;
  }

  nb::object program; // whose session is trained
  TrainOptions train;
  TrainerOptions options;
  nb::object source, sourceRaised;
  std::unique_ptr<Columns> columns; // of a stream the last batch
  Columns validation;
  CancelOnInterrupt *interrupt = nullptr; // while an epoch runs
  std::optional<Trainer> trainer;
  std::optional<TrainKeeper> keeper;
  std::vector<std::string> warnings; // that Python does not know of yet
};

nb::tuple evaluateArrays(Program &program, nb::dict arrays, std::vector<std::string> metrics, int64_t batchSize,
                         const TrainSettings &settings) {
  Columns columns(arrays);
  EvaluateOptions options{batchSize, std::move(metrics), getIgnoredLabel(makeTrainOptions(settings))};
  return toTuple(run(program, [&] { return nacre::evaluate(program.getSession(), columns.list, options); }));
}

nb::list predictArrays(Program &program, nb::dict arrays, int64_t batchSize) {
  Columns columns(arrays);
  nb::list outputs;
  for (const Array &array : run(program, [&] { return nacre::predict(program.getSession(), columns.list, batchSize); })) {
    nacre_tensor_info info = {};
    info.dtype = array.dtype;
    info.rank = int32_t(array.dims.size());
    std::copy(array.dims.begin(), array.dims.end(), info.dims);
    auto [made, data, size] = makeArray(info);
    std::memcpy(data, array.data.data(), size_t(size));
    outputs.append(made);
  }
  return outputs;
}

Exporter openExporter(nb::handle source, const Program &program) {
  Result<Exporter> exporter = [&] {
    if (!PyBytes_Check(source.ptr()))
      return Exporter::open(nb::cast<std::string>(source), program.getModel());
    auto *data = reinterpret_cast<const std::byte *>(PyBytes_AS_STRING(source.ptr()));
    return Exporter::open(std::span(data, size_t(PyBytes_GET_SIZE(source.ptr()))), program.getModel());
  }();
  if (!exporter)
    raise(getExceptions().compileError, exporter.error().message);
  return *std::move(exporter);
}

} // namespace

void python::bindTraining(nb::module_ &module) {
  nb::class_<TrainerOfArrays>(module, "_Trainer")
      .def(nb::init<nb::object, nb::object, nb::dict, std::vector<std::string>, int64_t, uint64_t, double, int64_t,
                    std::string, const TrainSettings &, int64_t, bool>())
      .def("run_epoch", &TrainerOfArrays::runEpoch, nb::arg("index"), nb::arg("progress").none())
      .def("keep", &TrainerOfArrays::keep)
      .def_prop_ro("is_done", &TrainerOfArrays::isDone)
      .def_prop_ro("history", &TrainerOfArrays::getHistory)
      .def_prop_ro("steps", &TrainerOfArrays::getSteps)
      .def("finish", &TrainerOfArrays::finish)
      .def("release", &TrainerOfArrays::release);
  nb::class_<Exporter>(module, "_Exporter")
      .def("__init__", [](Exporter *place, nb::handle source, const Program &program) {
        new (place) Exporter(openExporter(source, program));
      })
      .def_prop_ro("parameters", &Exporter::getParameters)
      .def("write", [](Exporter &exporter, Program &program, const std::string &path) {
        if (Status written = exporter.write(program.getSession(), path); !written)
          raise(getExceptions().writeError, written.error().message);
      })
      .def("serialize", [](Exporter &exporter, Program &program) {
        Result<std::vector<std::byte>> bytes = exporter.serialize(program.getSession());
        if (!bytes)
          raise(getExceptions().compileError, bytes.error().message);
        return nb::bytes(bytes->data(), bytes->size());
      });
  module.def("_evaluate", evaluateArrays);
  module.def("_predict", predictArrays);
  module.def("_use_averages", [](Program &program) {
    if (Status set = Trainer::useAverages(program.getSession()); !set)
      raiseError(set.error());
  });
  module.def("_write_file", [](const std::string &path, nb::bytes data) {
    if (Status written = writeFile(path, {data.c_str(), data.size()}); !written)
      raise(getExceptions().writeError, written.error().message);
  });
  module.def("_learning_rate", [](const TrainSettings &settings) {
    Result<double> rate = getLearningRate(makeTrainOptions(settings));
    if (!rate)
      throw nb::value_error(rate.error().message.c_str());
    return *rate;
  });
}
