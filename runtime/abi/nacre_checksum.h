/* The checksum of an artefact's parameter section; C11, used by the compiler
 * that writes it and the runtime that checks it.
 *
 * Eight independent 64-bit lanes over blocks of 64 bytes, so that the
 * multiplications overlap: it runs at memory speed. Each step is a bijection of
 * its lane, hence every change confined to one word is detected for certain,
 * any other with probability 1 - 2^-64. It guards against accidents, not
 * against an adversary. The value is part of the ABI: a change raises
 * NACRE_ABI_VERSION. */
#ifndef NACRE_RUNTIME_CHECKSUM_H
#define NACRE_RUNTIME_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NACRE_CHECKSUM_PRIME 0x9E3779B185EBCA87ull

/* Usage: nacre_checksum_begin, then nacre_checksum_add for consecutive pieces
 * of any size, then nacre_checksum_end. How the bytes are cut into pieces does
 * not matter. */
typedef struct nacre_checksum {
  uint64_t lanes[8];
  uint64_t total;      /* bytes seen */
  uint8_t pending[64]; /* the first total % 64 are in use */
} nacre_checksum;

static inline uint64_t nacre_checksum_step(uint64_t lane, uint64_t word) {
  lane = (lane ^ word) * NACRE_CHECKSUM_PRIME;
  return (lane << 29) | (lane >> 35);
}

static inline uint64_t nacre_checksum_mix(uint64_t value) {
  value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCDull;
  value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53ull;
  return value ^ (value >> 33);
}

static inline void nacre_checksum_blocks(uint64_t lanes[8], const uint8_t *data,
                                         size_t blocks) {
  uint64_t l[8];
  memcpy(l, lanes, sizeof l);
  for (size_t block = 0; block < blocks; ++block, data += 64) {
    uint64_t words[8];
    memcpy(words, data, sizeof words);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (int i = 0; i < 8; ++i)
      words[i] = __builtin_bswap64(words[i]);
#endif
    for (int i = 0; i < 8; ++i)
      l[i] = nacre_checksum_step(l[i], words[i]);
  }
  memcpy(lanes, l, sizeof l);
}

static inline void nacre_checksum_begin(nacre_checksum *state) {
  memset(state, 0, sizeof *state);
  for (uint64_t i = 0; i < 8; ++i)
    state->lanes[i] = nacre_checksum_mix(i + 1);
}

static inline void nacre_checksum_add(nacre_checksum *state, const void *data,
                                      size_t size) {
  const uint8_t *bytes = (const uint8_t *)data;
  size_t used = (size_t)(state->total % 64);
  if (size == 0)
    return;
  state->total += size;
  if (used != 0) {
    size_t part = size < 64 - used ? size : 64 - used;
    memcpy(state->pending + used, bytes, part);
    bytes += part;
    size -= part;
    if (used + part < 64)
      return;
    nacre_checksum_blocks(state->lanes, state->pending, 1);
  }
  nacre_checksum_blocks(state->lanes, bytes, size / 64);
  if (size % 64 != 0)
    memcpy(state->pending, bytes + size - size % 64, size % 64);
}

static inline uint64_t nacre_checksum_end(const nacre_checksum *state) {
  uint64_t lanes[8];
  uint64_t result = nacre_checksum_mix(state->total + NACRE_CHECKSUM_PRIME);
  memcpy(lanes, state->lanes, sizeof lanes);
  if (state->total % 64 != 0) {
    uint8_t last[64] = {0};
    memcpy(last, state->pending, (size_t)(state->total % 64));
    nacre_checksum_blocks(lanes, last, 1);
  }
  for (int i = 0; i < 8; ++i)
    result = nacre_checksum_mix(nacre_checksum_step(result, lanes[i]));
  return result;
}

static inline uint64_t nacre_checksum_of(const void *data, size_t size) {
  nacre_checksum state;
  nacre_checksum_begin(&state);
  nacre_checksum_add(&state, data, size);
  return nacre_checksum_end(&state);
}

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_CHECKSUM_H */
