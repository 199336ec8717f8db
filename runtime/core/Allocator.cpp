#include "runtime/core/Allocator.h"

#include "runtime/abi/nacre_blocks.h"
#include "runtime/device/Cpu.h"

#include <sys/mman.h>

// AddressSanitizer's, where it is in the process: what a block has beyond the bytes that were
// asked for, and a block in the cache, are not to be touched.
extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(const volatile void *, size_t);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void *, size_t);
}

namespace nacre::runtime {

static void poison(void *data, int64_t size) {
  if (__asan_poison_memory_region)
    __asan_poison_memory_region(data, static_cast<size_t>(size));
}

static void unpoison(void *data, int64_t size) {
  if (__asan_unpoison_memory_region)
    __asan_unpoison_memory_region(data, static_cast<size_t>(size));
}

void Block::setUsed(int64_t size) {
  unpoison(data(), size);
  poison(static_cast<char *>(data()) + size, capacity - size);
}

static_assert(sizeof(Block) <= NACRE_ABI_BLOCK_HEADER);

Allocator *Allocator::make(int64_t limit, bool hugePages) {
  if (limit <= 0)
    limit = physicalMemory();
  return create<Allocator>(limit, hugePages);
}

Block *Allocator::takeFromSystem(int64_t capacity, int32_t sizeClass) {
  int64_t bytes = (capacity + static_cast<int64_t>(sizeof(Block)) + 63) & ~63;
  int64_t huge = hugePages ? nacre_abi_block_huge_bytes(capacity) : 0;
  void *memory = nullptr;
  if (posix_memalign(&memory,
                     huge ? static_cast<size_t>(NACRE_ABI_HUGE_PAGE) : 64,
                     static_cast<size_t>(bytes)) != 0)
    return nullptr;
  // Advice only: where the system has no huge pages, nothing is lost.
  if (huge)
    madvise(memory, static_cast<size_t>(huge), MADV_HUGEPAGE);
  Block *block = ::new (memory) Block();
  block->allocator = this;
  block->capacity = capacity;
  block->sizeClass = sizeClass;
  return block;
}

Block *Allocator::takeFromCache(int64_t capacity, int32_t sizeClass) {
  // Blocks of one run have many sizes, of which few are in use at a time: a
  // larger one that is free, up to four times as large, is better than new
  // memory, whose pages the system first fills with zeros.
  constexpr int64_t kManyPages = 64 << 10;
  int32_t last = capacity < kManyPages ? sizeClass : sizeClass + 8;
  for (; sizeClass <= last && sizeClass < classCount; ++sizeClass)
    if (Block *block = cache[sizeClass]) {
      cache[sizeClass] = block->next;
      cachedBytes -= block->capacity;
      return block;
    }
  return nullptr;
}

Block *Allocator::allocate(int64_t size) {
  int64_t capacity = 0;
  int32_t sizeClass = size < 0 ? -1 : nacre_abi_block_class(size, &capacity);
  if (sizeClass < 0)
    return nullptr;
  Lock lock(mutex);
  Block *block = takeFromCache(capacity, sizeClass);
  if (!block) {
    if (capacity > limit - liveBytes)
      return nullptr;
    if (capacity > limit - liveBytes - cachedBytes)
      trimLocked();
    block = takeFromSystem(capacity, sizeClass);
    if (!block) {
      trimLocked();
      block = takeFromSystem(capacity, sizeClass);
    }
    if (!block)
      return nullptr;
  }
  ++liveBlocks;
  liveBytes += block->capacity;
  if (liveBytes > peakBytes)
    peakBytes = liveBytes;
  block->next = block->previous = nullptr;
  block->setUsed(size);
  return block;
}

void Allocator::release(Block *block) {
  if (!block)
    return;
  Allocator *self = block->allocator;
  bool last = false;
  {
    Lock lock(self->mutex);
    --self->liveBlocks;
    self->liveBytes -= block->capacity;
    last = self->abandoned && self->liveBlocks == 0;
    // No more is cached than twice what was ever in use, as a run's blocks have
    // many sizes: those that never come again cannot pile up.
    if (self->abandoned ||
        self->cachedBytes + block->capacity > 2 * self->peakBytes) {
      unpoison(block->data(), block->capacity);
      std::free(block);
    } else {
      poison(block->data(), block->capacity);
      self->cachedBytes += block->capacity;
      block->next = self->cache[block->sizeClass];
      self->cache[block->sizeClass] = block;
    }
  }
  if (last)
    destroy(self);
}

void Allocator::trimLocked() {
  for (Block *&list : cache)
    while (Block *block = list) {
      list = block->next;
      unpoison(block->data(), block->capacity);
      std::free(block);
    }
  cachedBytes = 0;
}

void Allocator::trim() {
  Lock lock(mutex);
  trimLocked();
  peakBytes = liveBytes;
}

void Allocator::abandon() {
  bool last = false;
  {
    Lock lock(mutex);
    abandoned = true;
    trimLocked();
    last = liveBlocks == 0;
  }
  if (last)
    destroy(this);
}

void *Scratch::take(int64_t size) {
  if (size < 0 || size > INT64_MAX - 63 - used)
    return nullptr;
  size = size == 0 ? 64 : (size + 63) & ~int64_t(63);
  int64_t begin = used;
  if (main && begin + size <= main->capacity) {
    used += size;
    if (used > wanted)
      wanted = used;
    main->setUsed(used);
    return static_cast<char *>(main->data()) + begin;
  }
  // Pointers handed out must stay: a piece of its own now, a larger main block
  // once nothing is held.
  Block *block = allocator->allocate(size);
  if (!block)
    return nullptr;
  used += size;
  if (used > wanted)
    wanted = used;
  if (!main && begin == 0) {
    main = block;
    return block->data();
  }
  block->begin = begin;
  block->next = overflow;
  overflow = block;
  return block->data();
}

void Scratch::reset(int64_t mark) {
  used = mark;
  bool grew = false;
  while (overflow && overflow->begin >= mark) {
    Block *block = overflow;
    overflow = block->next;
    Allocator::release(block);
    grew = true;
  }
  if (mark != 0 || !grew)
    return;
  Allocator::release(main);
  main = allocator->allocate(wanted); // null: take() tries again
}

void Scratch::clear() {
  reset(0);
  Allocator::release(main);
  main = nullptr;
  wanted = 0;
}

} // namespace nacre::runtime
