// Times per kernel, and the launches for a trace.
#ifndef NACRE_RUNTIME_CORE_PROFILE_H
#define NACRE_RUNTIME_CORE_PROFILE_H

#include "runtime/core/Model.h"

namespace nacre::runtime {

struct Launch {
  int32_t kernel; // -1: the whole run
  int32_t track;  // which of the runs that overlap
  int32_t thread; // whose part of it this is; -1: all of it
  int64_t begin;
  int64_t end;
};

// What one run in flight records; but for parts, only its caller's thread
// touches it.
class Recording {
public:
  // What is recorded from now on; NACRE_PROFILING_OFF if there is no memory.
  void start(int32_t profiling, int32_t kernelCount, int32_t track);
  bool active() const { return profiling != NACRE_PROFILING_OFF; }
  bool tracing() const { return profiling == NACRE_PROFILING_TRACE; }
  // `flops`: operations of a launch that has ended, where they depend on sizes.
  void kernel(int32_t index, bool end, int64_t flops);
  // A thread's part in a parallel loop of the kernel that runs; from any thread.
  void part(int32_t thread, int64_t begin, int64_t end);
  void finish();

private:
  friend class Profile;

  Mutex mutex; // of the launches, while a parallel loop runs
  int32_t current = -1; // the kernel that runs
  int32_t profiling = NACRE_PROFILING_OFF;
  int32_t track = 0;
  int64_t runBegin = 0;
  Array<nacre_kernel_time> times;
  Array<int64_t> begins;
  Array<Launch> launches;
  int64_t launchCount = 0;
};

// What a session has recorded over its runs.
class Profile {
public:
  // A trace stops growing here (32 bytes each).
  static constexpr int64_t maxLaunches = int64_t(1) << 21;

  void merge(Recording &recording);
  nacre_kernel_time get(int32_t kernel);
  void reset();
  nacre_status writeTrace(const char *path, const Model &model);

private:
  Mutex mutex;
  Array<nacre_kernel_time> times;
  Array<Launch> launches;
  int64_t launchCount = 0;
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_PROFILE_H
