//===- Training.h - Trainers for Python -------------------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_PYTHON_TRAINING_H
#define NACRE_FRONTENDS_PYTHON_TRAINING_H

#include <nanobind/nanobind.h>

namespace nacre::python {

/// Adds what nacre/_training.py trains, measures and predicts with.
void bindTraining(nanobind::module_ &module);

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_TRAINING_H
