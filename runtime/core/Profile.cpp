#include "runtime/core/Profile.h"

#include "runtime/device/Cpu.h"

#include <cerrno>
#include <cstdio>

namespace nacre::runtime {

// Appends to an array that is used up to `count`; drops what exceeds the limit
// or the memory: a trace may end early, a run may not.
static void append(Array<Launch> &launches, int64_t &count,
                   const Launch &launch) {
  if (count >= Profile::maxLaunches)
    return;
  if (count == launches.size() &&
      !launches.grow(count < 512 ? 1024 : 2 * count))
    return;
  launches[count++] = launch;
}

static void accumulate(nacre_kernel_time &into, const nacre_kernel_time &from) {
  if (from.launches == 0)
    return;
  if (into.launches == 0 || from.min_ns < into.min_ns)
    into.min_ns = from.min_ns;
  if (from.max_ns > into.max_ns)
    into.max_ns = from.max_ns;
  into.launches += from.launches;
  into.total_ns += from.total_ns;
  into.flops += from.flops;
}

void Recording::start(int32_t mode, int32_t kernelCount, int32_t newTrack) {
  profiling = mode;
  if (mode == NACRE_PROFILING_OFF)
    return;
  track = newTrack;
  if ((times.size() != kernelCount && !times.allocate(kernelCount)) ||
      (begins.size() != kernelCount && !begins.allocate(kernelCount))) {
    times.clear();
    profiling = NACRE_PROFILING_OFF;
    return;
  }
  runBegin = nanoseconds();
}

void Recording::kernel(int32_t index, bool end, int64_t flops) {
  if (index < 0 || index >= times.size())
    return;
  int64_t now = nanoseconds();
  if (!end) {
    begins[index] = now;
    current = index;
    return;
  }
  current = -1;
  int64_t begin = begins[index], time = now - begin;
  accumulate(times[index], {1, time, time, time, flops});
  if (tracing())
    append(launches, launchCount, {index, track, -1, begin, now});
}

void Recording::part(int32_t thread, int64_t begin, int64_t end) {
  Lock lock(mutex);
  append(launches, launchCount, {current, track, thread, begin, end});
}

void Recording::finish() {
  if (tracing())
    append(launches, launchCount, {-1, track, -1, runBegin, nanoseconds()});
}

void Profile::merge(Recording &recording) {
  Lock lock(mutex);
  int64_t kernels = recording.times.size();
  if (times.size() == kernels || times.allocate(kernels))
    for (int64_t i = 0; i < kernels; ++i)
      accumulate(times[i], recording.times[i]);
  for (int64_t i = 0; i < recording.launchCount; ++i)
    append(launches, launchCount, recording.launches[i]);
  recording.launchCount = 0;
  for (nacre_kernel_time &time : recording.times)
    time = {};
}

nacre_kernel_time Profile::get(int32_t kernel) {
  Lock lock(mutex);
  return kernel < times.size() ? times[kernel] : nacre_kernel_time{};
}

void Profile::reset() {
  Lock lock(mutex);
  times.clear();
  launches.clear();
  launchCount = 0;
}

// A string of JSON, escaped.
static void writeString(FILE *file, const char *text) {
  std::fputc('"', file);
  for (; text && *text; ++text) {
    unsigned char c = static_cast<unsigned char>(*text);
    if (c < 0x20 || c == '"' || c == '\\')
      std::fprintf(file, "\\u%04x", c);
    else
      std::fputc(c, file);
  }
  std::fputc('"', file);
}

nacre_status Profile::writeTrace(const char *path, const Model &model) {
  FILE *file = std::fopen(path, "we");
  if (!file)
    return fail(NACRE_IO_ERROR, "%s: %s", Quoted(path).text,
                std::strerror(errno));
  std::fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", file);
  {
    Lock lock(mutex);
    int64_t origin = INT64_MAX;
    for (int64_t i = 0; i < launchCount; ++i)
      if (launches[i].begin < origin)
        origin = launches[i].begin;
    for (int64_t i = 0; i < launchCount; ++i) {
      const Launch &launch = launches[i];
      const nacre_abi_kernel_info *kernel =
          launch.kernel < 0 ? nullptr : &model.abi().kernels[launch.kernel];
      // Runs are one process; the caller's parts lie within its launches, and
      // the other threads are another.
      bool isOthers = launch.thread > 0, isPart = launch.thread >= 0;
      std::fprintf(file,
                   "%s\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,"
                   "\"dur\":%.3f,\"name\":",
                   i ? "," : "", isOthers ? 2 : 1,
                   isOthers ? launch.thread : launch.track,
                   double(launch.begin - origin) * 1e-3,
                   double(launch.end - launch.begin) * 1e-3);
      writeString(file, kernel ? kernel->name : "run");
      if (isPart)
        std::fputs(",\"cat\":\"part\"", file);
      if (kernel && !isPart) {
        std::fputs(",\"args\":{\"nodes\":", file);
        writeString(file, kernel->nodes);
        std::fprintf(file, ",\"flops\":%lld,\"bytes\":%lld}",
                     static_cast<long long>(kernel->flops),
                     static_cast<long long>(kernel->bytes));
      }
      std::fputc('}', file);
    }
  }
  std::fputs("\n]}\n", file);
  bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed)
    return fail(NACRE_IO_ERROR, "%s: cannot be written: %s", Quoted(path).text,
                std::strerror(errno));
  return NACRE_OK;
}

} // namespace nacre::runtime
