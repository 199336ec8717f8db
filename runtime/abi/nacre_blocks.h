/* How a runtime keeps memory between uses: for it, and for the compiler, which
 * says beforehand what a run will hold. C11. */
#ifndef NACRE_RUNTIME_BLOCKS_H
#define NACRE_RUNTIME_BLOCKS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks are 64, 80, 96, 112, 128, 160, ... bytes large, four sizes per power
 * of two: at most a quarter of a block is unused. One that is free serves
 * requests of its own size only. Which of these sizes holds `size` bytes, from
 * 0; -1 for what no machine has. */
static inline int32_t nacre_abi_block_class(int64_t size, int64_t *capacity) {
  if (size <= 64) {
    *capacity = 64;
    return 0;
  }
  if (size > (int64_t)1 << 46)
    return -1;
  int32_t log = 63 - __builtin_clzll((uint64_t)(size - 1));
  int64_t step = (int64_t)1 << (log - 2);
  int64_t quarter = (size - 1 - ((int64_t)1 << log)) / step + 1;
  *capacity = ((int64_t)1 << log) + quarter * step;
  return 4 * (log - 6) + (int32_t)quarter;
}

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_BLOCKS_H */
