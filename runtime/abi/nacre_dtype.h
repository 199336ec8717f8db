/* What an element type is: the one table of sizes and names, for both sides.
 * C11. */
#ifndef NACRE_RUNTIME_DTYPE_H
#define NACRE_RUNTIME_DTYPE_H

#include "runtime/abi/nacre_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bits of an element; 0 for strings and for what is no element type. */
static inline int32_t nacre_abi_dtype_bits(int32_t dtype) {
  static const uint8_t bits[] = {0, 32, 8,  8,  16, 16, 32,  64, 0,
                                 8, 16, 64, 32, 64, 64, 128, 16, 8,
                                 8, 8,  8,  4,  4,  4,  8,   2,  2,
                                 6, 6};
  return dtype > 0 && dtype < (int32_t)sizeof bits ? bits[dtype] : 0;
}

/* The short name ("f32"); "undefined" for what is no element type. */
static inline const char *nacre_abi_dtype_name(int32_t dtype) {
  static const char *const names[] = {
      "undefined",  "f32",    "u8",         "i8",   "u16",  "i16",
      "i32",        "i64",    "string",     "bool", "f16",  "f64",
      "u32",        "u64",    "c64",        "c128", "bf16", "f8e4m3fn",
      "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "u4",   "i4",   "f4e2m1fn",
      "f8e8m0fnu",  "u2",     "i2",         "f6e2m3fn", "f6e3m2fn"};
  return dtype > 0 && dtype < (int32_t)(sizeof names / sizeof *names)
             ? names[dtype]
             : names[0];
}

/* Bytes of the given number of elements (packed below a byte), -1 on overflow,
 * of a negative count, or if the type has no size. */
static inline int64_t nacre_abi_dtype_bytes(int32_t dtype, int64_t count) {
  int64_t bits = nacre_abi_dtype_bits(dtype);
  if (bits == 0 || count < 0)
    return -1;
  if (bits >= 8)
    return count > INT64_MAX / (bits / 8) ? -1 : count * (bits / 8);
  return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

/* The elements of whole bytes; with constant bits compilers make vectors of it. */
static inline int64_t nacre_abi_unpack_bytes(const uint8_t *from, int64_t bytes,
                                             uint32_t bits, uint32_t sign,
                                             uint8_t *to) {
  uint32_t mask = (1u << bits) - 1, each = 8 / bits;
  for (int64_t i = 0; i < bytes; ++i)
    for (uint32_t j = 0; j < each; ++j)
      to[i * each + j] =
          (uint8_t)((((uint32_t)from[i] >> j * bits & mask) ^ sign) - sign);
  return bytes * each;
}

static inline int64_t nacre_abi_pack_bytes(const uint8_t *from, int64_t bytes,
                                           uint32_t bits, uint8_t *to) {
  uint32_t mask = (1u << bits) - 1, each = 8 / bits;
  for (int64_t i = 0; i < bytes; ++i) {
    uint32_t byte = 0;
    for (uint32_t j = 0; j < each; ++j)
      byte |= (from[i * each + j] & mask) << j * bits;
    to[i] = (uint8_t)byte;
  }
  return bytes * each;
}

/* Elements of a type below a byte, from where they are packed to a byte each as
 * generated code has them: integers as their values, floats as their bits. */
static inline void nacre_abi_unpack(int32_t dtype, const void *packed,
                                    int64_t count, void *elements) {
  const uint8_t *from = (const uint8_t *)packed;
  uint8_t *to = (uint8_t *)elements;
  uint32_t bits = (uint32_t)nacre_abi_dtype_bits(dtype), window = 0, held = 0;
  uint32_t mask = (1u << bits) - 1;
  uint32_t sign = dtype == NACRE_DTYPE_I4   ? 8
                  : dtype == NACRE_DTYPE_I2 ? 2
                                            : 0;
  int64_t i = 0;
  if (bits == 4)
    i = nacre_abi_unpack_bytes(from, count / 2, 4, sign, to);
  else if (bits == 2)
    i = nacre_abi_unpack_bytes(from, count / 4, 2, sign, to);
  from += i * bits / 8;
  for (; i < count; ++i) {
    if (held < bits) {
      window |= (uint32_t)*from++ << held;
      held += 8;
    }
    to[i] = (uint8_t)(((window & mask) ^ sign) - sign);
    window >>= bits;
    held -= bits;
  }
}

/* The reverse; bits that no element uses are 0. */
static inline void nacre_abi_pack(int32_t dtype, const void *elements,
                                  int64_t count, void *packed) {
  const uint8_t *from = (const uint8_t *)elements;
  uint8_t *to = (uint8_t *)packed;
  uint32_t bits = (uint32_t)nacre_abi_dtype_bits(dtype), window = 0, held = 0;
  uint32_t mask = (1u << bits) - 1;
  int64_t i = 0;
  if (bits == 4)
    i = nacre_abi_pack_bytes(from, count / 2, 4, to);
  else if (bits == 2)
    i = nacre_abi_pack_bytes(from, count / 4, 2, to);
  to += i * bits / 8;
  for (; i < count; ++i) {
    window |= (from[i] & mask) << held;
    held += bits;
    if (held >= 8) {
      *to++ = (uint8_t)window;
      window >>= 8;
      held -= 8;
    }
  }
  if (held > 0)
    *to = (uint8_t)window;
}

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_DTYPE_H */
