// Names to small numbers, for signatures with thousands of inputs.
#ifndef NACRE_RUNTIME_CORE_NAMEINDEX_H
#define NACRE_RUNTIME_CORE_NAMEINDEX_H

#include "runtime/core/Support.h"

#include <cstring>

namespace nacre::runtime {

// Keeps pointers to the names: they must outlive it.
class NameIndex {
public:
  // Room for `count` names; false if there is no memory.
  [[nodiscard]] bool allocate(int64_t count) {
    int64_t slots = 4;
    while (slots < 2 * count)
      slots *= 2;
    return table.allocate(slots);
  }

  // The number under which the name is known; if it is not, `number` is noted.
  int32_t findOrAdd(const char *name, int32_t number) {
    Slot &slot = *locate(name);
    if (!slot.name)
      slot = {name, number};
    return slot.number;
  }

  // -1 if the name is not there.
  int32_t find(const char *name) const {
    if (table.size() == 0)
      return -1;
    const Slot &slot = *const_cast<NameIndex *>(this)->locate(name);
    return slot.name ? slot.number : -1;
  }

private:
  struct Slot {
    const char *name = nullptr;
    int32_t number = -1;
  };

  Slot *locate(const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *c = name; *c; ++c)
      hash = (hash ^ static_cast<unsigned char>(*c)) * 0x100000001B3u;
    hash ^= hash >> 32;
    uint64_t mask = static_cast<uint64_t>(table.size()) - 1;
    for (uint64_t i = hash & mask;; i = (i + 1) & mask) {
      Slot &slot = table[static_cast<int64_t>(i)];
      if (!slot.name || std::strcmp(slot.name, name) == 0)
        return &slot;
    }
  }

  Array<Slot> table;
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_NAMEINDEX_H
