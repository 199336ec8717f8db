// The few things that the runtime takes from no library. It must link with
// libc alone (a model with its runtime inside is one file for `cc`), and
// running out of memory must be a status: hence no container that throws, no
// operator new.
#ifndef NACRE_RUNTIME_CORE_SUPPORT_H
#define NACRE_RUNTIME_CORE_SUPPORT_H

#include <cstdint>
#include <cstdlib>
#include <new>
#include <pthread.h>
#include <type_traits>
#include <utility>

namespace nacre::runtime {

// A heap object, or null when there is no memory. Freed by destroy().
template <typename T, typename... Arguments>
[[nodiscard]] T *create(Arguments &&...arguments) {
  static_assert(alignof(T) <= 64);
  constexpr std::size_t size = (sizeof(T) + 63) / 64 * 64;
  void *memory = std::aligned_alloc(64, size);
  return memory ? ::new (memory) T(std::forward<Arguments>(arguments)...)
                : nullptr;
}

template <typename T> void destroy(T *object) {
  if (!object)
    return;
  object->~T();
  std::free(object);
}

// An array allocated once.
template <typename T> class Array {
public:
  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { clear(); }

  // Replaces the contents by `count` value-initialised elements; false, and
  // empty, if there is no memory.
  [[nodiscard]] bool allocate(int64_t count) {
    clear();
    if (count <= 0)
      return count == 0;
    if (static_cast<uint64_t>(count) > SIZE_MAX / 2 / sizeof(T))
      return false;
    std::size_t alignment = alignof(T) < 16 ? 16 : alignof(T);
    std::size_t bytes = sizeof(T) * static_cast<std::size_t>(count);
    bytes = (bytes + alignment - 1) / alignment * alignment;
    elements = static_cast<T *>(std::aligned_alloc(alignment, bytes));
    if (!elements)
      return false;
    for (; used < count; ++used)
      ::new (elements + used) T();
    return true;
  }

  // Room for `count` elements of which the first ones are kept; for plain data.
  [[nodiscard]] bool grow(int64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    Array larger;
    if (!larger.allocate(count))
      return false;
    for (int64_t i = 0; i < used && i < count; ++i)
      larger.elements[i] = elements[i];
    std::swap(elements, larger.elements);
    std::swap(used, larger.used);
    return true;
  }

  void clear() {
    for (int64_t i = 0; i < used; ++i)
      elements[i].~T();
    std::free(elements);
    elements = nullptr;
    used = 0;
  }

  int64_t size() const { return used; }
  T *data() { return elements; }
  const T *data() const { return elements; }
  T &operator[](int64_t i) { return elements[i]; }
  const T &operator[](int64_t i) const { return elements[i]; }
  T *begin() { return elements; }
  T *end() { return elements + used; }
  const T *begin() const { return elements; }
  const T *end() const { return elements + used; }

private:
  T *elements = nullptr;
  int64_t used = 0;
};

class Mutex {
public:
  Mutex() = default;
  Mutex(const Mutex &) = delete;
  Mutex &operator=(const Mutex &) = delete;
  ~Mutex() { pthread_mutex_destroy(&mutex); }
  void lock() { pthread_mutex_lock(&mutex); }
  void unlock() { pthread_mutex_unlock(&mutex); }

private:
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

class Lock {
public:
  explicit Lock(Mutex &m) : mutex(m) { mutex.lock(); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;
  ~Lock() { mutex.unlock(); }

private:
  Mutex &mutex;
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_SUPPORT_H
