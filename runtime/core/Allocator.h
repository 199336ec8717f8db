// Memory of a session: blocks are kept when released and handed out again, so
// that a model in its steady state asks the system for nothing.
#ifndef NACRE_RUNTIME_CORE_ALLOCATOR_H
#define NACRE_RUNTIME_CORE_ALLOCATOR_H

#include "runtime/core/Support.h"

namespace nacre::runtime {

class Allocator;

// The header in front of every piece of memory; the memory itself begins
// right behind it and is aligned to 64 bytes.
struct alignas(64) Block {
  Allocator *allocator;
  int64_t capacity;
  Block *next; // in the cache, or in a list of the block's user
  Block *previous;
  int64_t begin; // free for the block's user
  int32_t sizeClass;

  void *data() { return this + 1; }
  // The first `size` bytes may be touched, the rest not, where AddressSanitizer looks.
  void setUsed(int64_t size);
  static Block *of(void *data) { return static_cast<Block *>(data) - 1; }
};

class Allocator {
public:
  // An allocator with one owner, or null when there is no memory. No more than
  // `limit` bytes are held at once; 0 is the machine's memory.
  static Allocator *make(int64_t limit, bool hugePages);

  // The owner leaves; the allocator goes when the last block has come back.
  void abandon();

  // A block of at least `size` bytes, or null if `size` is negative or there
  // is no memory. Thread-safe.
  Block *allocate(int64_t size);
  // Thread-safe, and valid after abandon().
  static void release(Block *block);
  // Gives what is cached back to the system. Thread-safe.
  void trim();

  int64_t getLimit() const { return limit; }

private:
  template <typename T, typename... A> friend T *create(A &&...);
  template <typename T> friend void destroy(T *);
  Allocator(int64_t limit, bool hugePages)
      : limit(limit), hugePages(hugePages) {}
  ~Allocator() = default;

  Block *takeFromCache(int64_t capacity, int32_t sizeClass);
  Block *takeFromSystem(int64_t capacity, int32_t sizeClass);
  void trimLocked();

  // Four sizes per power of two (nacre_blocks.h).
  static constexpr int32_t classCount = 4 * 48;

  Mutex mutex;
  const int64_t limit;
  const bool hugePages;
  bool abandoned = false;
  int64_t liveBlocks = 0;
  int64_t liveBytes = 0;
  int64_t peakBytes = 0;
  int64_t cachedBytes = 0;
  Block *cache[classCount] = {};
};

// Pieces that all go at once: a thread's scratch. Memory only grows; pointers
// stay valid until their mark is reset.
class Scratch {
public:
  explicit Scratch(Allocator *allocator = nullptr) : allocator(allocator) {}
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() { clear(); }

  void setAllocator(Allocator *a) { allocator = a; }

  // Null if there is no memory.
  void *take(int64_t size);
  int64_t mark() const { return used; }
  void reset(int64_t mark);
  void clear();

private:
  Allocator *allocator;
  Block *main = nullptr;
  Block *overflow = nullptr; // what did not fit into main, last first
  int64_t used = 0;          // bytes taken, in main or not
  int64_t wanted = 0;        // the most bytes ever taken at once
};

} // namespace nacre::runtime

#endif // NACRE_RUNTIME_CORE_ALLOCATOR_H
