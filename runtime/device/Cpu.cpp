#include "runtime/device/Cpu.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sched.h>
#include <unistd.h>

namespace nacre::runtime {

// The cores that a CPU quota of version 2 or 1 of control groups amounts to,
// rounded up; 0 if there is none.
static int64_t quotaCores() {
  long long quota = 0, period = 0;
  char text[64] = "";
  if (FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    if (std::fscanf(file, "%63s %lld", text, &period) == 2)
      quota = std::atoll(text); // "max" reads as 0: none
    std::fclose(file);
  } else if (FILE *file =
                 std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re")) {
    if (std::fscanf(file, "%lld", &quota) != 1)
      quota = 0;
    std::fclose(file);
    if (FILE *other =
            std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re")) {
      if (std::fscanf(other, "%lld", &period) != 1)
        period = 0;
      std::fclose(other);
    }
  }
  return quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

int32_t usableCores() {
  int64_t cores = 0;
  // A fixed set holds 1,024 CPUs; a larger machine answers with EINVAL.
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    cores = CPU_COUNT(&set);
  else
    cores = sysconf(_SC_NPROCESSORS_ONLN);
  int64_t quota = quotaCores();
  if (quota > 0 && quota < cores)
    cores = quota;
  return cores < 1 ? 1 : static_cast<int32_t>(cores);
}

int64_t physicalMemory() {
  int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? pages * size : int64_t(1) << 40;
}

int64_t nanoseconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t(time.tv_sec) * 1000000000 + time.tv_nsec;
}

} // namespace nacre::runtime
