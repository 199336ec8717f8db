//===- Builder.h - Graphs and layers for Python -----------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_PYTHON_BUILDER_H
#define NACRE_FRONTENDS_PYTHON_BUILDER_H

#include <nanobind/nanobind.h>

namespace nacre::python {

/// Adds the submodule `_nn`, which is the C++ builder.
void bindBuilder(nanobind::module_ &module);
void bindLayers(nanobind::module_ &builder);

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_BUILDER_H
