#include "runtime/core/Session.h"

#include "runtime/device/Cpu.h"

namespace nacre::runtime {

nacre_status Session::make(Model &model, const nacre_session_options &options,
                           Session *&result) {
  int32_t threads = options.thread_count;
  if (threads < 0 || threads > ThreadPool::maxThreads)
    return fail(NACRE_INVALID_ARGUMENT,
                "thread_count is %d, expected 0 (all cores) to %d", threads,
                ThreadPool::maxThreads);
  if (threads == 0) {
    threads = usableCores();
    threads =
        threads < ThreadPool::maxThreads ? threads : ThreadPool::maxThreads;
  }
  if (options.cpu_count < 0 || (options.cpu_count > 0 && !options.cpus))
    return fail(NACRE_INVALID_ARGUMENT, "cpu_count is %d, but cpus is NULL",
                options.cpu_count);
  for (int32_t i = 0; i < options.cpu_count; ++i)
    if (options.cpus[i] < 0 || options.cpus[i] >= 1024)
      return fail(NACRE_INVALID_ARGUMENT, "cpus[%d] is %d, expected 0 to 1023",
                  i, options.cpus[i]);
  if (options.memory_limit < 0)
    return fail(NACRE_INVALID_ARGUMENT,
                "memory_limit is %lld, expected no negative size",
                static_cast<long long>(options.memory_limit));
  if (options.profiling < NACRE_PROFILING_OFF ||
      options.profiling > NACRE_PROFILING_TRACE)
    return fail(NACRE_INVALID_ARGUMENT, "profiling is %d, expected 0 to 2",
                options.profiling);

  Session *session = create<Session>(model);
  if (!session)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for the session");
  session->allocator =
      Allocator::make(options.memory_limit, !options.no_huge_pages);
  nacre_status status = NACRE_OK;
  if (!session->allocator)
    status = fail(NACRE_OUT_OF_MEMORY, "out of memory for the session");
  if (status == NACRE_OK && options.copy_parameters)
    status = model.copyParameters();
  if (status == NACRE_OK && model.abi().state_size > 0) {
    session->state = session->allocator->allocate(model.abi().state_size);
    if (!session->state)
      status = fail(NACRE_OUT_OF_MEMORY,
                    "out of memory: %lld bytes for the mutable parameters",
                    static_cast<long long>(model.abi().state_size));
    else
      session->resetParameters();
  }
  if (status == NACRE_OK)
    status = session->pool.start(threads, options.cpus, options.cpu_count,
                                 session->allocator);
  if (status != NACRE_OK) {
    destroy(session);
    return status;
  }
  session->profiling.store(options.profiling);
  session->seed = options.seed;
  result = session;
  return NACRE_OK;
}

Session::~Session() {
  for (Run *run = allRuns.load(); run;) {
    Run *next = run->nextOfSession;
    destroy(run);
    run = next;
  }
  pool.stop();
  Allocator::release(state);
  if (allocator)
    allocator->abandon();
  model.release();
}

Run *Session::acquireRun() {
  Lock lock(runsMutex);
  Run *run = freeRuns;
  if (run) {
    freeRuns = run->nextFree;
  } else {
    run = Run::make(*this, runCount);
    if (!run)
      return nullptr;
    ++runCount;
    run->nextOfSession = allRuns.load(std::memory_order_relaxed);
    allRuns.store(run, std::memory_order_release);
  }
  run->seed = static_cast<int64_t>(seed);
  run->run_number = nextRunNumber++;
  return run;
}

void Session::getRandomState(uint64_t &current, int64_t &runs) {
  Lock lock(runsMutex);
  current = seed;
  runs = nextRunNumber;
}

void Session::setRandomState(uint64_t value, int64_t runs) {
  Lock lock(runsMutex);
  seed = value;
  nextRunNumber = runs;
}

void Session::releaseRun(Run *run) {
  Lock lock(runsMutex);
  run->nextFree = freeRuns;
  freeRuns = run;
}

nacre_status Session::run(int32_t function, const nacre_tensor *inputs,
                          int32_t inputCount, nacre_tensor *outputs,
                          int32_t outputCount) {
  if (function < 0 || function >= model.abi().function_count)
    return fail(NACRE_INVALID_ARGUMENT,
                "the function's index is %d, the model has %d functions",
                function, model.abi().function_count);
  Run *run = acquireRun();
  if (!run)
    return fail(NACRE_OUT_OF_MEMORY, "out of memory for another run");
  run->begin();
  bool stateful = state != nullptr;
  if (stateful)
    stateMutex.lock();
  nacre_status status =
      run->execute(function, inputs, inputCount, outputs, outputCount);
  if (stateful)
    stateMutex.unlock();
  releaseRun(run);
  return status;
}

void Session::cancel() {
  for (Run *run = allRuns.load(std::memory_order_acquire); run;
       run = run->nextOfSession)
    run->cancel();
}

void Session::trim() {
  {
    Lock lock(runsMutex);
    for (Run *run = freeRuns; run; run = run->nextFree)
      run->trim();
  }
  allocator->trim();
}

void Session::describeParameter(int32_t index, nacre_tensor &tensor) {
  const nacre_abi_parameter_info &info = model.abi().parameters[index];
  tensor = {};
  tensor.name = info.tensor.name;
  const uint8_t *base = info.is_state ? getState() : model.parameters();
  // Where there is no section at all, a parameter has no elements.
  tensor.data = base ? const_cast<uint8_t *>(base) + info.offset : nullptr;
  tensor.size = info.size;
  tensor.dtype = info.tensor.dtype;
  tensor.rank = info.tensor.rank;
  for (int32_t i = 0; i < tensor.rank; ++i)
    tensor.dims[i] = info.tensor.dims[i].size;
}

nacre_status Session::readParameter(int32_t index, void *data, int64_t size) {
  nacre_tensor tensor;
  describeParameter(index, tensor);
  if (size != tensor.size)
    return fail(NACRE_INVALID_SHAPE,
                "parameter '%s': the memory is %lld bytes, expected %lld",
                Quoted(tensor.name).text, static_cast<long long>(size),
                static_cast<long long>(tensor.size));
  if (size > 0) {
    Lock lock(stateMutex);
    std::memcpy(data, tensor.data, static_cast<size_t>(size));
  }
  return NACRE_OK;
}

nacre_status Session::writeParameter(int32_t index, const nacre_tensor &from) {
  const nacre_abi_parameter_info &info = model.abi().parameters[index];
  if (!info.is_state)
    return fail(NACRE_INVALID_ARGUMENT,
                "parameter '%s': it is a constant of the model",
                Quoted(info.tensor.name).text);
  if (nacre_status status = checkTensor("parameter", from, info.tensor))
    return status;
  if (info.size > 0) {
    Lock lock(stateMutex);
    std::memmove(getState() + info.offset, from.data,
                 static_cast<size_t>(info.size));
  }
  return NACRE_OK;
}

void Session::resetParameters() {
  const nacre_abi_model &abi = model.abi();
  if (!state)
    return;
  Lock lock(stateMutex);
  std::memset(getState(), 0, static_cast<size_t>(abi.state_size));
  for (int32_t i = 0; i < abi.parameter_count; ++i) {
    const nacre_abi_parameter_info &info = abi.parameters[i];
    if (info.is_state && info.initial_offset >= 0)
      std::memcpy(getState() + info.offset,
                  model.parameters() + info.initial_offset,
                  static_cast<size_t>(info.size));
  }
}

} // namespace nacre::runtime
