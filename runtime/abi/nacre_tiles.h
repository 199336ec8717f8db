/* What generated code needs of the operating system before it may use the CPU's
 * matrix tiles: who makes code for this machine asks, and who loads it. C11. */
#ifndef NACRE_RUNTIME_TILES_H
#define NACRE_RUNTIME_TILES_H

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Asks for the permission to use tile registers, for all threads of the process;
 * whether it is granted. Linux refuses where an alternate signal stack is too small
 * for their state (Documentation/arch/x86/xstate.rst). */
static inline int nacre_abi_request_tiles(void) {
#if defined(__x86_64__) && defined(__linux__)
  const long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return 0;
#endif
}

#ifdef __cplusplus
}
#endif

#endif /* NACRE_RUNTIME_TILES_H */
