/* steady_state ARTIFACT THREADS: runs a model until twenty runs in a row ask for no memory, of malloc
 * and its kin or of the system, and prints how many times the last twenty did: 0, unless a thousand runs
 * were not enough. On a busy machine a thread may get its first piece of work, and memory for it, only
 * after many runs. All inputs are zeros; the model's sizes must be static. */
#include "runtime/api/nacre.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long requests;

/* glibc's own, under the names that it exports for this. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { return requests++, __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return requests++, __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return requests++, __libc_realloc(memory, size); }
void *aligned_alloc(size_t alignment, size_t size) { return requests++, __libc_memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
  return requests++, (*memory = __libc_memalign(alignment, size)) ? 0 : 12;
}
void *mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
  return requests++, (void *)syscall(SYS_mmap, at, size, protection, flags, file, offset);
}

static int run(nacre_session *session, const nacre_tensor *inputs, int count) {
  nacre_tensor output = {0};
  int failed = nacre_session_run(session, 0, inputs, count, &output, 1) != NACRE_OK;
  nacre_tensor_release(&output);
  return failed;
}

int main(int argc, char **argv) {
  nacre_model *model = NULL;
  nacre_session *session = NULL;
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  nacre_function_info function;
  nacre_tensor inputs[8] = {{0}};
  if (argc != 3 || nacre_model_load(argv[1], &model) || nacre_model_get_function(model, 0, &function) ||
      function.input_count > 8)
    return fprintf(stderr, "%s\n", nacre_last_error()), 1;
  for (int i = 0; i < function.input_count; ++i) {
    nacre_tensor_info info;
    size_t elements = 1;
    if (nacre_model_get_input(model, 0, i, &info))
      return 1;
    inputs[i].dtype = info.dtype;
    inputs[i].rank = info.rank;
    for (int d = 0; d < info.rank; ++d)
      elements *= (size_t)(inputs[i].dims[d] = info.dims[d]);
    inputs[i].data = calloc(elements, 8);
  }
  options.thread_count = atoi(argv[2]);
  if (nacre_session_create(model, &options, &session))
    return fprintf(stderr, "%s\n", nacre_last_error()), 1;
  enum { window = 20, limit = 1000 };
  long at[limit + 1] = {requests}; /* before each run, and after the last */
  int runs = 0;
  while (runs < window || (at[runs] != at[runs - window] && runs < limit)) {
    if (run(session, inputs, function.input_count))
      return fprintf(stderr, "%s\n", nacre_last_error()), 1;
    at[++runs] = requests;
  }
  long before = at[runs - window], after = requests;
  void *volatile one = malloc(1); /* the count counts */
  free(one);
  if (requests != after + 1)
    return fprintf(stderr, "malloc is not counted\n"), 1;
  printf("%ld\n", after - before);
  return 0;
}
