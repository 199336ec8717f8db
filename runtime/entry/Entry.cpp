// A model's typed C functions: slots to tensors (runtime/abi/nacre_entry.h).
#include "runtime/core/Session.h"

// After nacre.h, whose NACRE_API it takes over.
#include "runtime/abi/nacre_entry.h"

namespace nacre::runtime {

namespace {

// One call: its slots are read from front to back.
class Call {
public:
  Call(Session &session, int32_t index, const uint64_t *slots)
      : session(session), index(index),
        function(session.getModel().abi().functions[index]),
        info(session.getModel().function(index)), slots(slots) {}

  nacre_status run() {
    if (!tensors.allocate(int64_t(function.input_count) +
                          function.output_count) ||
        !targets.allocate(function.output_count) ||
        !sizes.allocate(info.symbolCount))
      return fail(NACRE_OUT_OF_MEMORY, "out of memory for the arguments");
    for (int64_t &size : sizes)
      size = -1;
    readShapes();
    for (int32_t i = 0; i < function.input_count; ++i)
      tensors[i].data = nextAddress();
    int32_t wanted = 0;
    for (int32_t i = 0; i < function.output_count; ++i)
      if (void *place = nextAddress()) {
        if (nacre_status status = setTarget(i, place, wanted))
          return status;
        ++wanted;
      }
    nacre_tensor *outputs = tensors.data() + function.input_count;
    nacre_status status = session.run(index, tensors.data(),
                                      function.input_count, outputs, wanted);
    for (int32_t i = 0; i < wanted; ++i)
      if (targets[i])
        *targets[i] = outputs[i];
    return status;
  }

private:
  void *nextAddress() { return reinterpret_cast<void *>(*slots++); }

  // The shapes of the inputs, and with them the sizes of all their symbols.
  void readShapes() {
    int64_t dim = 0;
    for (int32_t i = 0; i < function.input_count; ++i) {
      const nacre_abi_tensor_info &input = function.inputs[i];
      tensors[i].dtype = input.dtype;
      tensors[i].rank = input.rank;
      for (int32_t d = 0; d < input.rank; ++d, ++dim) {
        int32_t symbol = info.symbols[dim];
        int64_t size = input.dims[d].size;
        if (size < 0 && symbol >= 0 && isKnown(symbol))
          size = sizes[symbol];
        else if (size < 0)
          size = static_cast<int64_t>(*slots++);
        if (symbol >= 0 && !isKnown(symbol)) {
          sizes[symbol] = size;
          known = symbol + 1; // symbols are numbered in this order
        }
        tensors[i].dims[d] = size;
      }
    }
  }
  bool isKnown(int32_t symbol) const { return symbol < known; }

  nacre_status setTarget(int32_t i, void *place, int32_t slot) {
    const nacre_abi_tensor_info &output = function.outputs[i];
    nacre_tensor &tensor = tensors[int64_t(function.input_count) + slot];
    int64_t dim = info.firstSymbol[int64_t(function.input_count) + i];
    bool isSized = output.dtype != NACRE_DTYPE_STRING;
    int64_t dims[NACRE_MAX_RANK];
    for (int32_t d = 0; d < output.rank; ++d) {
      int32_t symbol = info.symbols[dim + d];
      isSized &= output.dims[d].size >= 0 || (symbol >= 0 && isKnown(symbol));
      dims[d] = output.dims[d].size >= 0 || !isSized ? output.dims[d].size
                                                     : sizes[symbol];
    }
    if (!isSized) {
      targets[slot] = static_cast<nacre_tensor *>(place);
      tensor = *targets[slot];
    } else {
      tensor.data = place;
      tensor.size = bytesOf(output.dtype, output.rank, dims);
      if (tensor.size < 0)
        return fail(NACRE_INVALID_SHAPE,
                    "output '%s': a size is negative, or too large",
                    Quoted(output.name).text);
    }
    tensor.name = output.name;
    return NACRE_OK;
  }

  Session &session;
  int32_t index;
  const nacre_abi_function &function;
  const FunctionInfo &info;
  const uint64_t *slots;
  Array<nacre_tensor> tensors;   // inputs, then the wanted outputs
  Array<nacre_tensor *> targets; // of wanted outputs: the caller's, or null
  Array<int64_t> sizes;          // by symbol
  int32_t known = 0;             // symbols that have a size
};

} // namespace

} // namespace nacre::runtime

using namespace nacre::runtime;

extern "C" void *nacre_entry_create(const nacre_abi_model *model,
                                    int32_t threads) {
  nacre_model *made = nullptr;
  nacre_session *session = nullptr;
  if (nacre_model_create(model, nullptr, nullptr, nullptr, &made))
    return nullptr;
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  options.thread_count = threads;
  (void)nacre_session_create(made, &options, &session);
  nacre_model_release(made); // the session holds it
  return session;
}

extern "C" int32_t nacre_entry_run(void *session, int32_t function,
                                   const uint64_t *slots) {
  if (!session || !slots)
    return fail(NACRE_INVALID_ARGUMENT, "%s is NULL",
                session ? "the arguments" : "the model");
  return Call(*static_cast<Session *>(session), function, slots).run();
}

extern "C" int32_t nacre_entry_save(void *session, const char *path) {
  return nacre_session_save(static_cast<nacre_session *>(session), path,
                            nullptr, 0);
}

extern "C" int32_t nacre_entry_load(void *session, const char *path) {
  return nacre_session_load(static_cast<nacre_session *>(session), path,
                            NACRE_LOAD_ALL, nullptr, nullptr);
}
