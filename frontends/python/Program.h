//===- Program.h - A model ready to run, for Python -------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_PYTHON_PROGRAM_H
#define NACRE_FRONTENDS_PYTHON_PROGRAM_H

#include "runtime/api/nacre.hpp"

#include <nanobind/nanobind.h>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nacre::python {

namespace nb = nanobind;

/// The exception classes of the package; they live as long as the interpreter.
struct Exceptions {
  PyObject *error, *compileError, *graphError, *writeError, *internalError, *loadError, *missingFileError, *runError, *inputError,
      *outOfMemoryError, *cancelled;
};
Exceptions &getExceptions();
void initExceptions(nb::module_ &module);

[[noreturn]] void raise(PyObject *exception, const std::string &message);

/// Raises what fits a failure of a run, or of making a session.
[[noreturn]] void raiseRunError(nacre_status status, const std::string &message);

/// What an input or an output must look like.
struct Signature {
  std::string name;
  int32_t dtype = NACRE_UNDEFINED;
  nb::object key;   // the name as a Python string
  nb::tuple shape;  // sizes, names of dynamic dimensions, None for unnamed ones
  nacre_value_kind kind = NACRE_VALUE_TENSOR;
  std::vector<Signature> elements; // of a sequence; of a map its keys and values
};

/// What a function takes and gives.
struct FunctionSignature {
  std::vector<Signature> inputs, outputs;
};

/// nacre.Model of the package: one session with its model. Runs may overlap: the
/// interpreter's lock is released.
class Program {
public:
  /// How runs are done: threads (0: all cores), the CPUs they stay on, and whether a file's parameters are copied.
  struct Options {
    int32_t threads = 0;
    std::vector<int32_t> cpus;
    bool copyParameters = false;
  };
  Program(std::shared_ptr<Model> model, const Options &options);

  /// Another session with the same code and weights.
  Program makeSession(int32_t threads, std::vector<int32_t> cpus) const {
    return Program(model, {threads, std::move(cpus)});
  }

  /// Runs a function. Inputs as a sequence, or as a mapping by name; all outputs, in order.
  /// Both are arrays, lists of them (sequences), dicts (maps), None (optionals without an element).
  /// `out`: None, or arrays to write outputs into, in one of these ways.
  nb::list run(nb::handle inputs, const std::string &function, nb::handle out);

  /// Ends the runs in flight.
  void cancel() { session.cancel(); }

  /// Inputs by position or by name; the output alone if there is one, else a tuple.
  nb::object call(nb::args inputs, nb::kwargs named);

  const std::vector<Signature> &getInputs() const { return functions.front().inputs; }
  const std::vector<Signature> &getOutputs() const { return functions.front().outputs; }
  std::vector<std::string> getFunctions() const;
  std::string getTargetCpu() const;
  /// JSON.
  std::string getProvenance() const { return model->info().provenance; }
  std::vector<std::string> getTargetCpus() const;
  std::map<std::string, FunctionSignature> getSignatures() const;
  Session &getSession() { return session; }
  const Model &getModel() const { return *model; }
  void setSeed(uint64_t seed) { session.setSeed(seed); }
  /// The seed, and how many runs began since it was set.
  std::pair<uint64_t, int64_t> getRandomState() const { return session.randomState(); }
  void setRandomState(std::pair<uint64_t, int64_t> state);
  int32_t getThreads() const { return session.threads(); }

  /// A copy of a parameter's value; a new value for one that training changes.
  nb::object readParameter(const std::string &name);
  void writeParameter(const std::string &name, nb::handle value);
  /// The parameter itself, read-only; `self` is this object, which it keeps alive.
  nb::object viewParameter(const std::string &name, nb::handle self);
  std::vector<std::string> getParameters() const;

  /// Parameters that training changes as a .safetensors file, and back.
  void saveParameters(const std::filesystem::path &path, const Session::Metadata &metadata);
  Session::Metadata loadParameters(const std::filesystem::path &path, bool allowMissingState, bool allowOthers);

  /// 0: off; 1: times per kernel; 2: each launch too.
  void setProfiling(int32_t mode);
  void resetProfile() { session.resetProfile(); }
  /// A dict for each kernel that has run.
  nb::list getKernelTimes();
  void writeTrace(const std::string &path);

private:
  struct Entry {
    std::string name;
    std::vector<Signature> inputs, outputs;
    std::vector<ValueInfo> inputValues, outputValues; // how a run's tensors make the inputs and outputs
    size_t tensorCount;
  };
  static std::vector<nb::object> collect(const Entry &function, nb::handle given);
  static std::vector<nb::object> collectByName(const Entry &function, nb::handle given);
  int32_t findParameter(const std::string &name) const;
  static std::vector<nb::object> collectOutputs(const Entry &function, nb::handle given);

  std::shared_ptr<Model> model;
  Session session;
  std::vector<Entry> functions;
};

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_PROGRAM_H
