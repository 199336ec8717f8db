// The program that an executable model is: .npy files in, .npy files out.
#include "runtime/core/Model.h"
#include "runtime/main/Npy.h"
#include "runtime/api/nacre_schedule.hpp"
#include "runtime/main/Train.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

// The descriptor, whose symbol has the name of a type of the C API.
extern "C" [[gnu::visibility("hidden")]] const nacre_abi_model
    descriptor __asm__(NACRE_ABI_MODEL_SYMBOL);

// Where the loader begins; a C compiler's crt1.o does the same, and so none is
// needed to link.
#if defined(__x86_64__)
__asm__(".text\n.globl _start\n.hidden _start\n.type _start, @function\n"
        "_start:\n"
        "  xorl %ebp, %ebp\n"
        "  movq %rdx, %r9\n"
        "  popq %rsi\n"
        "  movq %rsp, %rdx\n"
        "  andq $-16, %rsp\n"
        "  pushq %rax\n"
        "  pushq %rsp\n"
        "  xorl %r8d, %r8d\n"
        "  xorl %ecx, %ecx\n"
        "  leaq nacre_program_main(%rip), %rdi\n"
        "  callq *__libc_start_main@GOTPCREL(%rip)\n"
        "  hlt\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl _start\n.hidden _start\n.type _start, %function\n"
        "_start:\n"
        "  mov x29, #0\n"
        "  mov x30, #0\n"
        "  mov x5, x0\n"
        "  ldr x1, [sp]\n"
        "  add x2, sp, #8\n"
        "  mov x6, sp\n"
        "  adrp x0, nacre_program_main\n"
        "  add x0, x0, :lo12:nacre_program_main\n"
        "  mov x3, #0\n"
        "  mov x4, #0\n"
        "  bl __libc_start_main\n"
        "  brk #0\n");
#endif

namespace nacre::program {

namespace {

// As those of `nacre`.
enum ExitCode {
  Success = 0,
  InputError = 1,
  UsageError = 2,
  InternalError = 3
};

// What the command line says.
struct Options {
  const char *program;
  const char **inputs = nullptr; // NAME=FILE
  int inputCount = 0;
  const char **validInputs = nullptr; // of training: the same
  int validCount = 0;
  const char *outputFolder = ".", *weights = nullptr;
  const char *load = nullptr, *save = nullptr; // .safetensors
  int64_t threads = 0;
  bool trains = false, hasOutputFolder = false;
  TrainSettings training; // with the seed of all that is random
};

int report(const Options &options, ExitCode code) {
  std::fprintf(stderr, "%s: error: %s\n", options.program, lastError());
  return code;
}
int report(const Options &options, nacre_status status) {
  return report(options, status == NACRE_INTERNAL ? InternalError : InputError);
}

void print(FILE *out, const char *kind, const nacre_tensor_info &info) {
  std::fprintf(out, "  %s %s: %s[", kind, info.name,
               nacre_dtype_name(info.dtype));
  for (int32_t d = 0; d < info.rank; ++d) {
    if (d)
      std::fputs(", ", out);
    if (info.dims[d] >= 0)
      std::fprintf(out, "%lld", static_cast<long long>(info.dims[d]));
    else
      std::fputs(info.symbols[d] ? info.symbols[d] : "?", out);
  }
  std::fputs("]\n", out);
}

void help(const Options &options, nacre_model *model) {
  nacre_function_info function = {};
  nacre_tensor_info info;
  (void)nacre_model_get_function(model, 0, &function);
  std::printf("Runs a model that nacre has compiled, once.\n\n"
              "  %s --input NAME=FILE.npy [...] [--output-dir FOLDER] "
              "[--threads N] [--seed N]\n",
              options.program);
  int32_t step;
  bool canTrain = nacre_model_find_function(model, "step", &step) == NACRE_OK;
  if (canTrain)
    std::printf(
        "    [--weights FOLDER] [--load FILE.safetensors]\n"
        "  %s train --input NAME=FILE.npy [...] "
        "[--output-dir FOLDER] [--weights FOLDER]\n    [--epochs N] "
        "[--batch-size N] [--learning-rate R] [--schedule cosine:warmup=100]\n"
        "    [--valid NAME=FILE.npy [...]] [--load FILE.safetensors] "
        "[--save FILE.safetensors]\n"
        "    [--checkpoint FILE.safetensors [--resume]] [--threads N] "
        "[--seed N]\n",
        options.program);
  std::printf("\n");
  for (int32_t i = 0; i < function.input_count; ++i)
    if (nacre_model_get_input(model, 0, i, &info) == NACRE_OK)
      print(stdout, "input ", info);
  for (int32_t i = 0; i < function.output_count; ++i)
    if (nacre_model_get_output(model, 0, i, &info) == NACRE_OK)
      print(stdout, "output", info);
  if (canTrain) {
    std::printf(
        "\ntrain takes all examples in the first dimension of each input:\n");
    if (nacre_model_get_function(model, step, &function) == NACRE_OK)
      for (int32_t i = 0; i + 1 < function.input_count; ++i)
        if (nacre_model_get_input(model, step, i, &info) == NACRE_OK)
          print(stdout, "input ", info);
    std::printf("It writes each weight, and the optimizer's state, as NAME.npy "
                "into the folder, for --weights,\nor with --save into one "
                "file, for --load.\n--valid gives other examples, whose loss "
                "each epoch tells.\n--checkpoint writes the file after each "
                "epoch; with --resume the training\ngoes on from it, bit for "
                "bit, if it is there.\nSchedules of the rate:\n");
    nacre::Schedule::describe([](nacre::spec::Text part) {
      std::printf("%.*s", static_cast<int>(part.size()), part.data());
    });
  }
  std::printf("\nEach output becomes NAME.npy in the folder (default: the "
              "current one).\n--threads 0, the default, uses all cores.\n"
              "Exit codes: 0 success, 1 the model or an input is at fault, 2 "
              "the command line, 3 Nacre itself.\n");
}

// A whole number, all of it.
bool parseNumber(const char *text, int64_t &value) {
  char *end = nullptr;
  errno = 0;
  value = std::strtoll(text, &end, 10);
  return *text && !*end && errno == 0 && value >= 0;
}

// False after a sentence. `wantsHelp` ends everything else.
bool parse(int count, char **arguments, Options &options, bool &wantsHelp) {
  options.inputs = static_cast<const char **>(
      std::calloc(static_cast<size_t>(count), sizeof(char *)));
  options.trains = count > 1 && std::strcmp(arguments[1], "train") == 0;
  options.validInputs = static_cast<const char **>(
      std::calloc(static_cast<size_t>(count), sizeof(char *)));
  for (int i = options.trains ? 2 : 1;
       options.inputs && options.validInputs && i < count; ++i) {
    // --name=value and --name value.
    const char *name = arguments[i], *value = std::strchr(name, '=');
    size_t length = value ? size_t(value - name) : std::strlen(name);
    auto is = [&](const char *option) {
      return std::strlen(option) == length &&
             std::memcmp(name, option, length) == 0;
    };
    if (is("--help") || is("-h")) {
      wantsHelp = true;
      return true;
    }
    if (is("--resume") && options.trains && !value) {
      options.training.resumes = true;
      continue;
    }
    bool isOfTraining = is("--epochs") || is("--batch-size") ||
                        is("--learning-rate") || is("--schedule") ||
                        is("--save") || is("--checkpoint") || is("--valid");
    bool isKnown = is("--input") || is("--output-dir") || is("--threads") ||
                   is("--seed") || is("--weights") || is("--load") ||
                   (isOfTraining && options.trains);
    if (!isKnown) {
      fail(NACRE_INVALID_ARGUMENT, "unknown argument '%.200s'; see --help",
           name);
      return false;
    }
    value = value ? value + 1 : ++i < count ? arguments[i] : nullptr;
    if (!value) {
      fail(NACRE_INVALID_ARGUMENT, "%s: expected a value; see --help", name);
      return false;
    }
    int64_t number = 0;
    if (is("--input") || is("--valid")) {
      if (!std::strchr(value, '=') || value[0] == '=') {
        fail(NACRE_INVALID_ARGUMENT, "%.*s %.200s: expected NAME=FILE.npy",
             static_cast<int>(length), name, value);
        return false;
      }
      if (is("--input"))
        options.inputs[options.inputCount++] = value;
      else
        options.validInputs[options.validCount++] = value;
    } else if (is("--output-dir")) {
      options.outputFolder = value;
      options.hasOutputFolder = true;
    } else if (is("--weights")) {
      options.weights = value;
    } else if (is("--load")) {
      options.load = value;
    } else if (is("--save")) {
      options.save = value;
    } else if (is("--checkpoint")) {
      options.training.checkpoint = value;
    } else if (is("--schedule")) {
      nacre::Schedule schedule;
      nacre::spec::Message why;
      if (!nacre::Schedule::parse(value, schedule, why)) {
        fail(NACRE_INVALID_ARGUMENT, "--schedule: %s", why.c_str());
        return false;
      }
      options.training.schedule = value;
    } else if (is("--learning-rate")) {
      char *end = nullptr;
      options.training.learningRate = std::strtof(value, &end);
      if (!*value || *end || !(options.training.learningRate > 0)) {
        fail(NACRE_INVALID_ARGUMENT,
             "--learning-rate %.100s: expected a number above 0", value);
        return false;
      }
    } else if (!parseNumber(value, number) ||
               (is("--threads") && number > 4096)) {
      fail(NACRE_INVALID_ARGUMENT, "%.*s %.100s: expected a number",
           static_cast<int>(length), name, value);
      return false;
    } else if (is("--threads")) {
      options.threads = number;
    } else if (is("--epochs")) {
      options.training.epochs = number;
    } else if (is("--batch-size")) {
      options.training.batchSize = number;
    } else {
      options.training.seed = static_cast<uint64_t>(number);
    }
  }
  if (options.training.resumes && !options.training.checkpoint) {
    fail(NACRE_INVALID_ARGUMENT,
         "--resume: expected --checkpoint, which names the file");
    return false;
  }
  return true;
}

nacre_status makeFolder(const char *folder) {
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return fail(NACRE_IO_ERROR, "%s: %s", folder, std::strerror(errno));
  return NACRE_OK;
}

// Whether a file can be made there, before time goes into training.
nacre_status checkPlace(const char *path) {
  char folder[4096] = ".";
  const char *end = std::strrchr(path, '/');
  size_t length = end ? size_t(end - path) + 1 : 0;
  if (length >= sizeof folder)
    return fail(NACRE_INVALID_ARGUMENT, "%.200s...: the path is too long", path);
  if (length > 0) {
    std::memcpy(folder, path, length);
    folder[length] = 0;
  }
  struct stat status;
  if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
    return fail(NACRE_IO_ERROR, "%s: is a folder, expected a file's name", path);
  if (access(folder, W_OK | X_OK) != 0)
    return fail(NACRE_IO_ERROR, "%s: cannot be written: %s", path,
                std::strerror(errno));
  return NACRE_OK;
}

// The tensors of a run; what they hold goes with the process.
struct Tensors {
  nacre_tensor *inputs = nullptr, *outputs = nullptr;
  nacre_tensor *others = nullptr; // what --valid gives; null: nothing
  nacre_function_info function = {};
  int32_t index = 0;      // of the function
  int32_t inputCount = 0; // that files are wanted for

  nacre_status read(const Options &options, nacre_model *model) {
    if (options.trains &&
        nacre_model_find_function(model, "step", &index) != NACRE_OK)
      return fail(NACRE_INVALID_ARGUMENT,
                  "the model was not compiled for "
                  "training: nacre compile --train LOSS --emit executable");
    if (nacre_status s = nacre_model_get_function(model, index, &function))
      return s;
    inputCount = function.input_count - options.trains; // the learning rate
    auto allocate = [](int32_t count) {
      return static_cast<nacre_tensor *>(
          std::calloc(static_cast<size_t>(count) + 1, sizeof(nacre_tensor)));
    };
    inputs = allocate(function.input_count);
    outputs = allocate(function.output_count);
    if (!inputs || !outputs)
      return fail(NACRE_OUT_OF_MEMORY, "out of memory");
    if (nacre_status s = readAll("--input", options.inputs, options.inputCount,
                                 inputs, model))
      return s;
    if (options.validCount == 0)
      return NACRE_OK;
    others = allocate(function.input_count);
    if (!others)
      return fail(NACRE_OUT_OF_MEMORY, "out of memory");
    return readAll("--valid", options.validInputs, options.validCount, others,
                   model);
  }

  // All inputs, of which each is NAME=FILE behind the option.
  nacre_status readAll(const char *option, const char **given, int count,
                       nacre_tensor *to, nacre_model *model) {
    for (int i = 0; i < count; ++i)
      if (nacre_status s = readInput(given[i], to, model))
        return s;
    for (int32_t i = 0; i < inputCount; ++i) {
      nacre_tensor_info info;
      if (nacre_status s = nacre_model_get_input(model, index, i, &info))
        return s;
      if (!to[i].name)
        return fail(NACRE_INVALID_VALUE,
                    "input '%s' is missing: %s %s=FILE.npy; see --help",
                    info.name, option, info.name);
    }
    return NACRE_OK;
  }

  nacre_status readInput(const char *given, nacre_tensor *to,
                         nacre_model *model) {
    for (int32_t i = 0; i < inputCount; ++i) { // names may have an '=' in them
      nacre_tensor_info info;
      if (nacre_status s = nacre_model_get_input(model, index, i, &info))
        return s;
      size_t length = std::strlen(info.name);
      if (std::strncmp(given, info.name, length) != 0 || given[length] != '=')
        continue;
      if (to[i].name)
        return fail(NACRE_INVALID_VALUE, "input '%s' is given twice",
                    info.name);
      const char *file = given + length + 1;
      auto *bytes = static_cast<Bytes *>(std::calloc(1, sizeof(Bytes)));
      if (!bytes)
        return fail(NACRE_OUT_OF_MEMORY, "out of memory");
      if (nacre_status s = bytes->map(file))
        return s;
      void *owned = nullptr;
      return parseNpy(file, bytes->data, bytes->size, info, to[i], owned);
    }
    return fail(NACRE_INVALID_VALUE,
                "the model has no input '%.*s'; see --help",
                static_cast<int>(std::strchr(given, '=') - given), given);
  }

  nacre_status write(const Options &options, nacre_model *model) {
    if (nacre_status s = makeFolder(options.outputFolder))
      return s;
    for (int32_t i = 0; i < function.output_count; ++i) {
      nacre_tensor_info info;
      char path[4096];
      if (nacre_status s = nacre_model_get_output(model, 0, i, &info))
        return s;
      if (nacre_status s = writeNpy(options.outputFolder, info.name, outputs[i],
                                    path, sizeof path))
        return s;
      // What was written, with the sizes of this run.
      info.rank = outputs[i].rank;
      std::memcpy(info.dims, outputs[i].dims, sizeof info.dims);
      info.name = path;
      print(stdout, "wrote", info);
    }
    return NACRE_OK;
  }
};

int run(int count, char **arguments) {
  Options options;
  options.program = count > 0 ? arguments[0] : "model";
  bool wantsHelp = false;
  if (!parse(count, arguments, options, wantsHelp))
    return report(options, UsageError);
  // What is truncated or altered is told before it is run.
  if (nacre_status s = nacre::runtime::checkLibraryFile("/proc/self/exe");
      s == NACRE_CORRUPT)
    return report(options, s);
  nacre_model *model = nullptr;
  if (nacre_status s =
          nacre_model_create(&descriptor, nullptr, nullptr, nullptr, &model))
    return report(options, s);
  if (wantsHelp) {
    help(options, model);
    return Success;
  }
  Tensors tensors;
  if (nacre_status s = tensors.read(options, model))
    return report(options, s);
  nacre_session_options settings = NACRE_SESSION_OPTIONS_INIT;
  settings.thread_count = static_cast<int32_t>(options.threads);
  settings.seed = options.training.seed;
  nacre_session *session = nullptr;
  if (nacre_status s = nacre_session_create(model, &settings, &session))
    return report(options, s);
  if (options.weights)
    if (nacre_status s = readWeights(model, session, options.weights))
      return report(options, s);
  if (options.load)
    if (nacre_status s = loadWeights(session, options.load))
      return report(options, s);
  if (options.trains) {
    const bool writesFolder = !options.save || options.hasOutputFolder;
    nacre_status s = options.save ? checkPlace(options.save) : NACRE_OK;
    if (s == NACRE_OK && writesFolder)
      s = makeFolder(options.outputFolder);
    if (s == NACRE_OK)
      s = train(model, session, tensors.index, tensors.inputs, tensors.others,
                options.training);
    if (s == NACRE_OK && options.save)
      s = nacre_session_save(session, options.save, nullptr, 0);
    if (s == NACRE_OK && writesFolder)
      s = writeWeights(model, session, options.outputFolder);
    return s == NACRE_OK ? Success : report(options, s);
  }
  if (nacre_status s = nacre_session_run(
          session, 0, tensors.inputs, tensors.function.input_count,
          tensors.outputs, tensors.function.output_count))
    return report(options, s);
  if (nacre_status s = tensors.write(options, model))
    return report(options, s);
  nacre_session_destroy(session);
  return std::fflush(stdout) == 0 ? Success : InputError;
}

} // namespace

} // namespace nacre::program

extern "C" [[gnu::visibility("hidden"), gnu::used]] int
nacre_program_main(int count, char **arguments) {
  return nacre::program::run(count, arguments);
}
