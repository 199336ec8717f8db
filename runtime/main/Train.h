// Training in a model that is a program: the loop that nacre_train.hpp runs
// (runtime/api/nacre_loop.hpp), and so the same bits.
#ifndef NACRE_RUNTIME_MAIN_TRAIN_H
#define NACRE_RUNTIME_MAIN_TRAIN_H

#include "runtime/api/nacre.h"

namespace nacre::program {

struct TrainSettings {
  int64_t epochs = 10, batchSize = 0; // 0: the model's, or 32
  float learningRate = 0.01f;
  uint64_t seed = 0;
  const char *schedule = nullptr; // nacre_schedule.hpp; null: the rate stays
  const char *checkpoint = nullptr; // a file that each epoch writes; null: none
  bool resumes = false; // from that file, if there is one
};

// Trains on `columns`, one tensor for each input of the function `step` but the
// learning rate, with all examples in its first dimension. Prints a line per
// epoch; with the loss on `others`, the same for other examples, unless that is
// null.
nacre_status train(nacre_model *model, nacre_session *session, int32_t step,
                   const nacre_tensor *columns, const nacre_tensor *others,
                   const TrainSettings &settings);

// Sets the weights to those of a .safetensors file, and the optimizer's state
// if that is in it.
nacre_status loadWeights(nacre_session *session, const char *path);

// Each parameter that training changes, as NAME.npy in a folder.
nacre_status writeWeights(nacre_model *model, nacre_session *session,
                          const char *folder);
nacre_status readWeights(nacre_model *model, nacre_session *session,
                         const char *folder);

} // namespace nacre::program

#endif // NACRE_RUNTIME_MAIN_TRAIN_H
