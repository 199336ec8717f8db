//===- Values.h - Lists and dicts as the arrays of a run --------*- C++ -*-===//
//
// What nacre_value_info says of packed sequences and of maps.
//
//===----------------------------------------------------------------------===//
#ifndef NACRE_FRONTENDS_PYTHON_VALUES_H
#define NACRE_FRONTENDS_PYTHON_VALUES_H

#include "frontends/python/Program.h"

namespace nacre::python {

/// A dict's keys and values, to the end of `arrays`. Raises InputError if they are of other types.
void flattenMap(const Signature &input, nb::handle value, std::vector<nb::object> &arrays);
/// The dict of keys and values; a list of dicts of rows of values.
nb::object makeMap(nb::handle keys, nb::handle values);
nb::object makeMaps(nb::handle keys, nb::handle values);

/// A list of arrays as a packed sequence. Raises InputError if one has another type or rank.
void flattenSequence(const Signature &input, nb::handle value, std::vector<nb::object> &arrays);
/// The arrays of a packed sequence.
nb::list unpackSequence(nb::handle data, nb::handle shapes);

} // namespace nacre::python

#endif // NACRE_FRONTENDS_PYTHON_VALUES_H
