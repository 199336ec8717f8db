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

/* Large blocks begin at a huge page, and ask the system for such pages. */
#define NACRE_ABI_HUGE_PAGE ((int64_t)2 << 20)
#define NACRE_ABI_BLOCK_HEADER ((int64_t)64)

/* How many bytes of a block are huge pages, if the system has them. */
static inline int64_t nacre_abi_block_huge_bytes(int64_t capacity) {
  int64_t all = capacity + NACRE_ABI_BLOCK_HEADER;
  return all < 2 * NACRE_ABI_HUGE_PAGE ? 0 : all & ~(NACRE_ABI_HUGE_PAGE - 1);
}

/* What a block takes of the system's memory once its first `size` bytes are in
 * use: huge pages are whole. */
static inline int64_t nacre_abi_block_touched(int64_t size, int64_t capacity) {
  int64_t end = size + NACRE_ABI_BLOCK_HEADER;
  int64_t whole = (end + NACRE_ABI_HUGE_PAGE - 1) & ~(NACRE_ABI_HUGE_PAGE - 1);
  return end < nacre_abi_block_huge_bytes(capacity) ? whole : size;
}

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_BLOCKS_H */
