// Batches that are made while the model computes, in C++20, header-only: a thread that is one
// batch ahead of a training. What it makes is what would be made without it, to the bit.
#ifndef NACRE_READER_HPP
#define NACRE_READER_HPP

#include "nacre_data.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace nacre {

// Makes a loop's batches for as long as it lives; the loop must not run longer.
class BatchReader {
public:
  // Makes a batch of examples: their numbers, or those from `first` where `which` is null.
  using Make = std::function<void(const int64_t *which, int64_t first, int64_t count, MadeBatch &made)>;

  // Without `isAhead` there is no thread, and batches are made when they are asked for.
  // `isCancelled` is asked while a batch is waited for.
  BatchReader(loop::Batches &batches, Make make, bool isAhead, std::function<bool()> isCancelled = nullptr)
      : batches(batches), make(std::move(make)), isCancelled(std::move(isCancelled)), isAhead(isAhead) {
    batches.fetch = [](void *source, const int64_t *which, int64_t first, int64_t count, int64_t next,
                       nacre_status &status) { return static_cast<BatchReader *>(source)->fetch(which, first, count, next, status); };
    batches.source = this;
  }
  BatchReader(const BatchReader &) = delete;
  // Waits for the batch that is being made.
  ~BatchReader() {
    batches.fetch = nullptr;
    if (!thread.joinable())
      return;
    {
      std::lock_guard lock(mutex);
      isEnding = true;
    }
    changed.notify_all();
    thread.join();
  }

  // Why no batch could be made, if one could not.
  const Status &status() const { return failure; }

private:
  struct Job {
    const int64_t *which = nullptr;
    int64_t first = 0, count = 0;
  };

  int64_t fetch(const int64_t *which, int64_t first, int64_t count, int64_t next, nacre_status &status) {
    Job job{which, first, count};
    if (isCancelled && isCancelled())
      return fail(Error{NACRE_CANCELLED, "training was cancelled"}, status);
    if (hasJob) {
      std::unique_lock lock(mutex);
      while (!isMade && !changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return isMade; }))
        if (isCancelled && isCancelled())
          return fail(Error{NACRE_CANCELLED, "training was cancelled"}, status);
      std::swap(current, ahead);
      hasJob = isMade = false;
    } else {
      make(job.which, job.first, job.count, current);
    }
    if (!current.status)
      return fail(current.status.error(), status);
    for (size_t i = 0; i < current.tensors.size(); ++i)
      batches.inputs[i] = current.tensors[i];
    if (isAhead && next > 0 && current.count > 0)
      begin({which, first + current.count, next});
    return current.count;
  }

  int64_t fail(const Error &error, nacre_status &status) {
    failure = error;
    status = error.status;
    return 0;
  }

  // Has the thread make the next batch.
  void begin(Job job) {
    {
      std::lock_guard lock(mutex);
      asked = job;
      isAsked = true;
      isMade = false;
    }
    hasJob = true;
    if (!thread.joinable())
      thread = std::thread([this] { work(); });
    changed.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return isAsked || isEnding; });
      if (isEnding)
        return;
      isAsked = false;
      Job job = asked;
      lock.unlock(); // `ahead` is this thread's until isMade
      make(job.which, job.first, job.count, ahead);
      lock.lock();
      isMade = true;
      changed.notify_all();
    }
  }

  loop::Batches &batches;
  Make make;
  std::function<bool()> isCancelled;
  const bool isAhead;
  bool hasJob = false; // of the caller: the thread makes what is asked for next
  MadeBatch current, ahead;
  Status failure;

  std::mutex mutex;
  std::condition_variable changed;
  // Under the mutex.
  Job asked;
  bool isAsked = false, isMade = false, isEnding = false;
  std::thread thread;
};

} // namespace nacre

#endif // NACRE_READER_HPP
