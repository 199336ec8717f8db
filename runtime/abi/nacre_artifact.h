/* How an artefact on disk ends; C11, for the compiler that writes it and the
 * runtime that checks it.
 *
 * An artefact is a shared library (ELF) with this trailer appended as its last
 * 64 bytes. The loader of the operating system does not look at it; the runtime
 * uses it to tell a file that was truncated or altered before any of its code
 * runs. The parameters are left out of its checksum: they have one of their own
 * in the descriptor, checked on demand, because reading gigabytes is not what
 * loading should cost. A library without a trailer (linked by hand, or
 * stripped) is accepted on its ELF headers alone. */
#ifndef NACRE_RUNTIME_ARTIFACT_H
#define NACRE_RUNTIME_ARTIFACT_H

#include <stdint.h>
#include <string.h>

#include "runtime/abi/nacre_checksum.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NACRE_ARTIFACT_VERSION 1u
/* A program header of this type says where the trailer is, so that a file which
 * has lost it is seen to be truncated. Loaders pass over it. */
#define NACRE_ARTIFACT_SEGMENT 0x6E616372u
#define NACRE_ARTIFACT_MAGIC "\nNACRE ARTIFACT END 1.0"

typedef struct nacre_artifact_trailer {
  uint64_t file_size;        /* the trailer included */
  uint64_t parameter_offset; /* of the parameter section in the file; a size */
  uint64_t parameter_size;   /* of 0 if there is none */
  /* Of the bytes before the parameters, those behind them, and this trailer
   * with a checksum of 0: nacre_checksum.h. */
  uint64_t checksum;
  uint32_t version;
  uint32_t reserved;
  char magic[24]; /* NACRE_ARTIFACT_MAGIC */
} nacre_artifact_trailer;

/* Fills in the trailer of a file whose other `size` bytes lie at `data`. */
static inline nacre_artifact_trailer
nacre_artifact_trailer_of(const void *data, uint64_t size,
                          uint64_t parameter_offset, uint64_t parameter_size) {
  const char *bytes = (const char *)data;
  uint64_t behind = parameter_offset + parameter_size;
  nacre_artifact_trailer trailer;
  nacre_checksum checksum;
  memset(&trailer, 0, sizeof trailer);
  trailer.file_size = size + sizeof trailer;
  trailer.parameter_offset = parameter_offset;
  trailer.parameter_size = parameter_size;
  trailer.version = NACRE_ARTIFACT_VERSION;
  memcpy(trailer.magic, NACRE_ARTIFACT_MAGIC, sizeof trailer.magic);
  nacre_checksum_begin(&checksum);
  nacre_checksum_add(&checksum, bytes, (size_t)parameter_offset);
  nacre_checksum_add(&checksum, bytes + behind, (size_t)(size - behind));
  nacre_checksum_add(&checksum, &trailer, sizeof trailer);
  trailer.checksum = nacre_checksum_end(&checksum);
  return trailer;
}

#ifdef __cplusplus
}
#endif
#endif /* NACRE_RUNTIME_ARTIFACT_H */
