/* The example at the top of nacre.h, as a C11 program against the shared
 * library: c_api_test ARTIFACT. */
#include "runtime/api/nacre.h"

#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,       \
              nacre_last_error());                                             \
      return 1;                                                                \
    }                                                                          \
  } while (0)

int main(int argc, char **argv) {
  nacre_model *model = NULL;
  nacre_session *session = NULL;
  nacre_session_options options = NACRE_SESSION_OPTIONS_INIT;
  float data[6] = {1, 2, 3, 4, 5, 6};
  nacre_tensor x = {
      .data = data, .dtype = NACRE_F32, .rank = 2, .dims = {2, 3}};
  nacre_tensor y = {0};
  const float expected[6] = {3, 7, 13, 9, 16, 25};

  CHECK(argc == 2);
  CHECK(nacre_model_load(argv[1], &model) == NACRE_OK);
  options.thread_count = 2;
  CHECK(nacre_session_create(model, &options, &session) == NACRE_OK);
  nacre_model_release(model); /* the session keeps it */
  CHECK(nacre_session_run(session, 0, &x, 1, &y, 1) == NACRE_OK);
  CHECK(y.rank == 2 && y.dims[0] == 2 && y.dims[1] == 3 && y.size == 24);
  CHECK(memcmp(y.data, expected, sizeof expected) == 0);
  x.dims[1] = 4;
  CHECK(nacre_session_run(session, 0, &x, 1, &y, 1) == NACRE_INVALID_SHAPE);
  CHECK(strcmp(nacre_last_error(), "input 'x': dimension 1 is 4, expected 3") ==
        0);
  nacre_session_destroy(session);
  nacre_tensor_release(&y); /* outlives the session */
  CHECK(y.data == NULL);
  return 0;
}
