//===- Initializers.h - What weights are at first ---------------*- C++ -*-===//
#ifndef NACRE_FRONTENDS_BUILDER_INITIALIZERS_H
#define NACRE_FRONTENDS_BUILDER_INITIALIZERS_H

#include "frontends/builder/Graph.h"
#include "frontends/builder/Random.h"

namespace nacre::builder {

/// Values by the name of a distribution and its settings, "name:key=number,...":
///
///   zeros, ones, constant:value=0
///   uniform:min=-0.05,max=0.05   normal:mean=0,stddev=0.05
///   truncated_normal:mean=0,stddev=0.05           redrawn beyond two deviations
///   glorot_uniform, glorot_normal (or xavier_*)   of variance 2 / (in + out)
///   he_uniform, he_normal (or kaiming_*)          2 / in
///   lecun_uniform, lecun_normal                   1 / in
///   fan_in_uniform                                1 / (3 in): what PyTorch's layers draw
///   orthogonal:gain=1                             orthonormal rows or columns, dims[0] against the rest
///
/// The normal forms of the last three families are truncated, as Keras' are. A message in
/// the error lists what is known.
Result<std::vector<float>> makeInitialValues(const std::string &initializer, const std::vector<int64_t> &dims, Fans fans,
                                             RandomStream random);

} // namespace nacre::builder

#endif // NACRE_FRONTENDS_BUILDER_INITIALIZERS_H
