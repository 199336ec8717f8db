// What both ways of a checkpoint know of each other.
#ifndef NACRE_RUNTIME_CORE_CHECKPOINT_H
#define NACRE_RUNTIME_CORE_CHECKPOINT_H

#include <cstring>

namespace nacre::runtime {

// The text under which a file says how this runtime wrote it, and its value. A
// change that older runtimes cannot read makes it another.
constexpr char formatKey[] = "nacre.format", formatValue[] = "1";

// Whether a text is the runtime's own.
inline bool isReserved(const char *key) {
  return std::strncmp(key, "nacre.", 6) == 0;
}

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_CHECKPOINT_H
