// One run in flight: what generated code calls, and what happens around it.
#include "runtime/core/Session.h"

#include "runtime/device/Cpu.h"

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace nacre::runtime {

// nacre_abi_context.stop of a run that is not in flight: cancel passes it by.
static constexpr int32_t idle = -1;

// What the thread is doing.
namespace {
struct ThreadState {
  const Run *run;   // in which run it takes part
  Scratch *scratch; // the thread's own
  int64_t begin;    // of the chunk of the outermost loop; -1 outside of loops
};
} // namespace
static constinit thread_local ThreadState thread{nullptr, nullptr, -1};

static int32_t loadStop(const nacre_abi_context &context) {
  return __atomic_load_n(&context.stop, __ATOMIC_RELAXED);
}

static bool replaceStop(nacre_abi_context &context, int32_t from, int32_t to) {
  return __atomic_compare_exchange_n(&context.stop, &from, to, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static nacre_status statusOf(int32_t abiStatus) {
  static_assert(int(NACRE_OUT_OF_MEMORY) == NACRE_ABI_OUT_OF_MEMORY &&
                int(NACRE_INVALID_SHAPE) == NACRE_ABI_INVALID_SHAPE &&
                int(NACRE_INVALID_VALUE) == NACRE_ABI_INVALID_VALUE &&
                int(NACRE_CANCELLED) == NACRE_ABI_CANCELLED);
  return abiStatus >= NACRE_ABI_OUT_OF_MEMORY &&
                 abiStatus <= NACRE_ABI_CANCELLED
             ? static_cast<nacre_status>(abiStatus)
             : NACRE_INTERNAL;
}

Run::Run(Session &s)
    : nacre_abi_context{}, session(s), callerScratch(&s.getAllocator()) {
  parameters = s.getModel().parameters();
  state = s.getState();
  parallel_for = parallelFor;
  allocate = allocateMemory;
  release = releaseMemory;
  scratch = takeScratch;
  output = provideOutput;
  fail = recordFailure;
  allocate_for = allocateFor;
  output_for = provideOutputFor;
  mark = markMemory;
  release_since = releaseSince;
  thread_count = s.getThreadCount();
  stop = idle;
}

Run::~Run() { trim(); }

Run *Run::make(Session &session, int32_t track) {
  Run *run = create<Run>(session);
  if (!run)
    return nullptr;
  run->track = track;
  int64_t inputs = 0, outputs = 0, ranges = 0, symbols = 0;
  auto raise = [](int64_t &to, int64_t value) { to = to < value ? value : to; };
  const nacre_abi_model &model = session.getModel().abi();
  for (int32_t i = 0; i < model.function_count; ++i) {
    const nacre_abi_function &function = model.functions[i];
    raise(inputs, function.input_count);
    raise(outputs, function.output_count);
    raise(ranges, int64_t(function.input_count) + function.output_count);
    raise(symbols, session.getModel().function(i).symbolCount);
  }
  if (run->inputs.allocate(inputs) && run->symbols.allocate(symbols) &&
      run->targets.allocate(outputs) && run->slots.allocate(outputs) &&
      run->ranges.allocate(ranges))
    return run;
  destroy(run);
  return nullptr;
}

void Run::trim() {
  Allocator::release(arenaBlock);
  arenaBlock = nullptr;
  callerScratch.clear();
}

void Run::cancel() { replaceStop(*this, 0, NACRE_CANCELLED); }

// ---- Failures ---------------------------------------------------------------

// Whether the failure that the thread meets now counts, with the mutex held.
// Of several in one loop that is the one at the first iteration, whichever
// thread comes first: the error does not depend on the number of threads.
bool Run::claimFailure(int32_t status) {
  int64_t at = thread.run == this ? thread.begin : -1;
  if (failed) {
    if (loopNumber != failedLoop || at >= failedAt)
      return false;
    __atomic_store_n(&stop, status, __ATOMIC_RELAXED);
  } else if (!replaceStop(*this, 0, status)) {
    return false; // cancelled before
  }
  failed = true;
  failedLoop = loopNumber;
  failedAt = at;
  return true;
}

void Run::failWith(int32_t status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  {
    Lock lock(mutex);
    if (claimFailure(status))
      std::vsnprintf(failText, sizeof failText, format, arguments);
  }
  va_end(arguments);
}

void Run::recordFailure(nacre_abi_context *context, int32_t status,
                        const char *message) {
  static_cast<Run *>(context)->failWith(statusOf(status), "%s",
                                        message ? message : "unknown reason");
}

void *Run::outOfMemory(const char *node, const char *what, int64_t size) {
  long long bytes = size;
  if (!node)
    node = "";
  if (size < 0)
    failWith(NACRE_INVALID_SHAPE,
             "%s%s: its size overflows or is negative (%lld bytes)", node, what,
             bytes);
  else
    failWith(NACRE_OUT_OF_MEMORY,
             "%s%s: no memory for %lld bytes (the session's limit is %lld)",
             node, what, bytes,
             static_cast<long long>(session.getAllocator().getLimit()));
  return nullptr;
}

// ---- Loops ------------------------------------------------------------------

struct Run::BodyLoop : Loop {
  Run *owner;
  nacre_abi_body body;
  void *environment;
};

// What comes after a failure is left out, what a serial run would have done
// before it is not: an earlier failure may hide there.
bool Run::mayBeLeftOut(uint64_t loop, int64_t begin) {
  Lock lock(mutex);
  return !failed || failedLoop != loop || begin > failedAt;
}

// Of a chunk.
static constexpr int64_t maxPieces = 16;

void Run::runChunk(const Loop &base, Scratch &scratch, int64_t begin,
                   int64_t end) {
  const BodyLoop &loop = static_cast<const BodyLoop &>(base);
  Run &run = *loop.owner;
  if (loadStop(run) != 0 && run.mayBeLeftOut(run.loopNumber, begin))
    return;
  ThreadState saved = thread;
  thread = {&run, &scratch, begin};
  // In pieces: a cancelled run shall not wait for the end of a long chunk. (A grain is
  // work enough that the calls do not count.)
  int64_t mark = scratch.mark();
  int64_t piece = end - begin;
  if (piece > loop.grain) {
    int64_t grains = (piece + loop.grain - 1) / loop.grain;
    piece = (grains + maxPieces - 1) / maxPieces * loop.grain;
  }
  for (int64_t at = begin; at < end; at += piece) {
    if (at > begin && loadStop(run) != 0 &&
        run.mayBeLeftOut(run.loopNumber, at))
      break;
    loop.body(&run, loop.environment, at, end - at < piece ? end : at + piece);
    scratch.reset(mark);
  }
  thread = saved;
}

void Run::observePart(const Loop &loop, int32_t thread, int64_t begin,
                      int64_t end) {
  static_cast<const BodyLoop &>(loop).owner->recording.part(thread, begin, end);
}

void Run::parallelFor(nacre_abi_context *context, nacre_abi_body body,
                      void *environment, int64_t count, int64_t grain) {
  Run &run = *static_cast<Run *>(context);
  if (count <= 0)
    return;
  if (thread.run != &run || thread.begin >= 0) { // within a body
    int64_t mark = thread.run == &run ? thread.scratch->mark() : 0;
    body(context, environment, 0, count);
    if (thread.run == &run)
      thread.scratch->reset(mark);
    return;
  }
  BodyLoop loop;
  loop.run = runChunk;
  loop.count = count;
  loop.grain = grain & ~NACRE_ABI_ALTERNATE;
  loop.alternate = (grain & NACRE_ABI_ALTERNATE) != 0;
  loop.owner = &run;
  loop.body = body;
  loop.environment = environment;
  if (run.recording.tracing())
    loop.observe = observePart;
  ++run.loopNumber;
  run.session.getPool().run(loop, run.callerScratch);
  ++run.loopNumber;
}

// ---- Memory -----------------------------------------------------------------

void *Run::allocateBlock(bool ofLoop, int64_t size, const char *node) {
  Block *block = session.getAllocator().allocate(size);
  if (!block)
    return outOfMemory(node, "an intermediate value", size);
  Lock lock(mutex);
  block->begin = ofLoop ? nextNumber++ : -1;
  Block *&first = listOf(block);
  block->next = first;
  block->previous = nullptr;
  if (first)
    first->previous = block;
  first = block;
  return block->data();
}

// With the mutex held.
void Run::unlink(Block *block) {
  (block->previous ? block->previous->next : listOf(block)) = block->next;
  if (block->next)
    block->next->previous = block->previous;
}

void *Run::allocateMemory(nacre_abi_context *context, int64_t size) {
  return static_cast<Run *>(context)->allocateBlock(false, size, nullptr);
}

void *Run::allocateFor(nacre_abi_context *context, int64_t size,
                       const char *node) {
  return static_cast<Run *>(context)->allocateBlock(true, size, node);
}

void Run::releaseMemory(nacre_abi_context *context, void *pointer) {
  if (!pointer)
    return;
  Run &run = *static_cast<Run *>(context);
  Block *block = Block::of(pointer);
  {
    Lock lock(run.mutex);
    run.unlink(block);
  }
  Allocator::release(block);
}

int64_t Run::markMemory(nacre_abi_context *context) {
  Run &run = *static_cast<Run *>(context);
  Lock lock(run.mutex);
  return run.nextNumber;
}

// An iteration leaves few blocks: those that it carries, and what it did not
// release itself.
void Run::releaseSince(nacre_abi_context *context, int64_t mark,
                       const void *const *kept, int64_t keptCount) {
  Run &run = *static_cast<Run *>(context);
  auto isKept = [&](Block *block) {
    auto begin = reinterpret_cast<uintptr_t>(block->data());
    for (int64_t i = 0; i < keptCount; ++i)
      if (reinterpret_cast<uintptr_t>(kept[i]) - begin <=
          static_cast<uintptr_t>(block->capacity))
        return true;
    return false;
  };
  Lock lock(run.mutex);
  for (Block *block = run.inLoops; block && block->begin >= mark;) {
    Block *older = block->next;
    if (!isKept(block)) {
      run.unlink(block);
      Allocator::release(block);
    }
    block = older;
  }
}

void *Run::takeScratch(nacre_abi_context *context, int64_t size) {
  Run &run = *static_cast<Run *>(context);
  if (thread.run != &run) // a thread that is none of ours
    return allocateMemory(context, size);
  void *memory = thread.scratch->take(size);
  return memory ? memory : run.outOfMemory("", "a kernel's scratch", size);
}

void *Run::provideOutput(nacre_abi_context *context, int32_t index,
                         int32_t rank, const int64_t *dims) {
  return provideOutputFor(context, index, rank, dims, nullptr);
}

void *Run::provideOutputFor(nacre_abi_context *context, int32_t index,
                            int32_t rank, const int64_t *dims,
                            const char *node) {
  Run &run = *static_cast<Run *>(context);
  if (index < 0 || index >= run.function->output_count ||
      rank != run.function->outputs[index].rank) {
    run.failWith(NACRE_INTERNAL,
                 "output %d of rank %d does not fit the signature of '%s'",
                 index, rank, Quoted(run.function->name).text);
    return nullptr;
  }
  const nacre_abi_tensor_info &info = run.function->outputs[index];
  OutputSlot &slot = run.slots[index];
  int64_t bytes = bytesOf(info.dtype, rank, dims);
  for (int32_t d = 0; d < rank; ++d) {
    slot.dims[d] = dims[d];
    if (info.dims[d].size >= 0 && dims[d] != info.dims[d].size) {
      run.failWith(NACRE_INTERNAL,
                   "output '%s': dimension %d is %lld, its signature says %lld",
                   Quoted(info.name).text, d, static_cast<long long>(dims[d]),
                   static_cast<long long>(info.dims[d].size));
      return nullptr;
    }
  }
  auto outOfMemory = [&] {
    char what[160];
    std::snprintf(what, sizeof what, "output '%s'", Quoted(info.name).text);
    return run.outOfMemory(node, what, bytes);
  };
  if (bytes < 0)
    return outOfMemory();
  slot.bytes = bytes;
  if (int64_t inside = bytesInside(info.dtype, rank, dims)) {
    slot.inside = run.allocateBlock(false, inside, node); // read by writeOutputs
    if (!slot.inside)
      return nullptr;
    if (info.dtype == NACRE_DTYPE_STRING) {
      slot.produced = true;
      return slot.inside;
    }
  }
  if (slot.memory) {
    if (bytes > slot.capacity) {
      slot.target->size = bytes;
      slot.target->rank = rank;
      for (int32_t d = 0; d < rank; ++d)
        slot.target->dims[d] = dims[d];
      run.failWith(NACRE_INVALID_SHAPE,
                   "output '%s': its memory is %lld bytes, expected at least "
                   "%lld",
                   Quoted(info.name).text,
                   static_cast<long long>(slot.capacity),
                   static_cast<long long>(bytes));
      return nullptr;
    }
    slot.produced = true;
    return slot.inside ? slot.inside : slot.memory;
  }
  if (!slot.block || slot.block->capacity < bytes) {
    Allocator::release(slot.block);
    slot.block = run.session.getAllocator().allocate(bytes);
    if (!slot.block)
      return outOfMemory();
  }
  slot.block->setUsed(bytes);
  slot.produced = true;
  return slot.inside ? slot.inside : slot.block->data();
}

int32_t Run::observeKernel(nacre_abi_context *context, int32_t kernel,
                           int32_t end) {
  Run &run = *static_cast<Run *>(context);
  run.recording.kernel(kernel, end != 0, static_cast<int64_t>(run.work));
  if (end)
    run.work = 0;
  return loadStop(run);
}

// ---- A run, from its inputs to its outputs ----------------------------------

void Run::begin() {
  failed = false;
  loopNumber = 0;
  __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
}

nacre_status Run::execute(int32_t index, const nacre_tensor *given,
                          int32_t givenCount, nacre_tensor *outputs,
                          int32_t outputCount) {
  functionIndex = index;
  function = &session.getModel().abi().functions[index];
  nacre_status status = prepare(given, givenCount, outputs, outputCount);
  if (status == NACRE_OK) {
    status = call();
    deliver(status == NACRE_OK);
  }
  __atomic_store_n(&stop, idle, __ATOMIC_RELAXED);
  return status;
}

nacre_status Run::prepare(const nacre_tensor *given, int32_t givenCount,
                          nacre_tensor *outputs, int32_t outputCount) {
  const Model &model = session.getModel();
  if (nacre_status status = bindInputs(model, functionIndex, given, givenCount,
                                       inputs.data(), symbols.data()))
    return status;
  if (nacre_status status = bindOutputs(model, functionIndex, outputs,
                                        outputCount, targets.data()))
    return status;

  int64_t count = 0;
  auto addRange = [&](const void *data, int64_t size, bool isOutput,
                      int32_t index) {
    auto address = reinterpret_cast<uintptr_t>(data);
    if (size > 0)
      ranges[count++] = {address, address + static_cast<uintptr_t>(size),
                         isOutput, index};
  };
  for (int32_t i = 0; i < function->input_count; ++i)
    addRange(inputs[i].data,
             bytesOf(function->inputs[i].dtype, function->inputs[i].rank,
                     inputs[i].dims),
             false, i);
  for (int32_t i = 0; i < function->output_count; ++i) {
    OutputSlot &slot = slots[i];
    slot = OutputSlot();
    nacre_tensor *target = slot.target = targets[i];
    if (!target)
      continue;
    if (target->owner) {
      slot.block = static_cast<Block *>(target->owner);
      addRange(slot.block->data(), slot.block->capacity, true, i);
    } else if (target->data) {
      slot.memory = target->data;
      slot.capacity = capacityOf(*target, function->outputs[i].dtype);
      addRange(slot.memory, slot.capacity, true, i);
    }
  }
  if (nacre_status status = checkOverlap(*function, ranges.data(), count))
    return status;

  int64_t size = function->arena_size;
  if (size > 0 && (!arenaBlock || arenaBlock->capacity < size)) {
    Allocator::release(arenaBlock);
    arenaBlock = session.getAllocator().allocate(size);
    if (!arenaBlock)
      return runtime::fail(
          NACRE_OUT_OF_MEMORY,
          "no memory for the %lld bytes of intermediate values of function "
          "'%s' (the session's limit is %lld)",
          static_cast<long long>(size), Quoted(function->name).text,
          static_cast<long long>(session.getAllocator().getLimit()));
  }
  if (arenaBlock)
    arenaBlock->setUsed(size);
  arena = arenaBlock ? static_cast<uint8_t *>(arenaBlock->data()) : nullptr;
  return NACRE_OK;
}

nacre_status Run::call() {
  recording.start(session.profiling.load(std::memory_order_relaxed),
                  session.getModel().abi().kernel_count, track);
  on_kernel = recording.active() ? observeKernel : nullptr;
  work = 0;
  ThreadState saved = thread;
  thread = {this, &callerScratch, -1};
  session.getPool().beginRun();
  int32_t returned = 0;
  nacre_status elements = NACRE_OK;
  // It may have been cancelled while it waited for the one before.
  if (loadStop(*this) == 0) {
    StandardFloats standardFloats;
    elements = readInputs();
    if (elements == NACRE_OK)
      returned = function->run(this, inputs.data());
    if (elements == NACRE_OK && returned == 0 && loadStop(*this) == 0)
      elements = writeOutputs();
  }
  session.getPool().endRun();
  thread = saved;
  callerScratch.reset(0);
  for (Block **list : {&live, &inLoops})
    while (Block *block = *list) {
      *list = block->next;
      Allocator::release(block);
    }
  nextNumber = 0;
  if (recording.active()) {
    recording.finish();
    session.profile.merge(recording);
  }

  int32_t stopped = __atomic_exchange_n(&stop, idle, __ATOMIC_RELAXED);
  if (elements != NACRE_OK)
    return elements;
  if (failed)
    return runtime::fail(static_cast<nacre_status>(stopped), "%s", failText);
  if (stopped != 0)
    return runtime::fail(NACRE_CANCELLED, "the run was cancelled");
  if (returned != 0)
    return runtime::fail(statusOf(returned),
                         "function '%s' ended with status %d and no message",
                         Quoted(function->name).text, returned);
  for (int32_t i = 0; i < function->output_count; ++i)
    if (!slots[i].produced)
      return runtime::fail(NACRE_INTERNAL, "output '%s' was not computed",
                           Quoted(function->outputs[i].name).text);
  return NACRE_OK;
}

void Run::deliver(bool success) {
  for (int32_t i = 0; i < function->output_count; ++i) {
    OutputSlot &slot = slots[i];
    nacre_tensor *target = slot.target;
    if (!target) {
      Allocator::release(slot.block);
      continue;
    }
    if (!slot.memory) {
      // After a failure the caller keeps what it had, but gets nothing new.
      if (!success && !target->owner) {
        Allocator::release(slot.block);
        slot.block = nullptr;
      }
      target->owner = slot.block;
      target->data = slot.block ? slot.block->data() : nullptr;
      target->size = 0;
    }
    if (!success)
      continue;
    const nacre_abi_tensor_info &info = function->outputs[i];
    target->size = slot.bytes;
    target->dtype = info.dtype;
    target->rank = info.rank;
    for (int32_t d = 0; d < NACRE_MAX_RANK; ++d)
      target->dims[d] = d < info.rank ? slot.dims[d] : 0;
    target->strides = nullptr;
  }
}

} // namespace nacre::runtime
