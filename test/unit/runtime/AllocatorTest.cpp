#include "runtime/core/Allocator.h"

#include <cstring>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

using namespace nacre::runtime;

namespace {

struct AllocatorTest : testing::Test {
  Allocator *allocator = Allocator::make(int64_t(64) << 20, true);
  ~AllocatorTest() override { allocator->abandon(); }
};

TEST_F(AllocatorTest, SizesAndAlignment) {
  for (int64_t size = 0; size < 5000; ++size) {
    Block *block = allocator->allocate(size);
    ASSERT_NE(block, nullptr);
    ASSERT_GE(block->capacity, size);
    ASSERT_LE(block->capacity, size < 64 ? 64 : size + size / 4 + 1) << size;
    ASSERT_EQ(reinterpret_cast<uintptr_t>(block->data()) % 64, 0u);
    std::memset(block->data(), 1, size_t(block->capacity));
    Allocator::release(block);
  }
  for (int64_t size : {1 << 20, (4 << 20) - 1, 4 << 20, (5 << 20) + 3}) {
    Block *block = allocator->allocate(size);
    ASSERT_NE(block, nullptr);
    ASSERT_GE(block->capacity, size);
    std::memset(block->data(), 1, size_t(block->capacity));
    Allocator::release(block);
  }
}

TEST_F(AllocatorTest, UsedAgain) {
  Block *first = allocator->allocate(1000);
  Allocator::release(first);
  Block *second = allocator->allocate(990);
  EXPECT_EQ(first, second);
  Allocator::release(second);
}

TEST_F(AllocatorTest, ImpossibleSizes) {
  for (int64_t size : {int64_t(-1), INT64_MIN, INT64_MAX, INT64_MAX - 64,
                       int64_t(1) << 46, (int64_t(1) << 46) + 1})
    EXPECT_EQ(allocator->allocate(size), nullptr) << size;
}

TEST_F(AllocatorTest, LimitCountsWhatIsHeldAndEvictsTheCache) {
  Block *a = allocator->allocate(40 << 20);
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(allocator->allocate(30 << 20), nullptr);
  Allocator::release(a); // cached now
  Block *b = allocator->allocate(30 << 20);
  EXPECT_NE(b, nullptr);
  Allocator::release(b);
}

TEST(AllocatorLifeTest, BlocksOutliveTheOwner) {
  Allocator *allocator = Allocator::make(0, false);
  Block *a = allocator->allocate(100), *b = allocator->allocate(200);
  allocator->abandon();
  std::memset(a->data(), 1, 100);
  Allocator::release(a);
  Allocator::release(b); // the last one takes the allocator along
}

TEST_F(AllocatorTest, Threads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::vector<Block *> held;
      for (int i = 0; i < 2000; ++i) {
        Block *block = allocator->allocate((i * 37 + t) % 3000);
        std::memset(block->data(), t, size_t(block->capacity));
        held.push_back(block);
        if (held.size() > 10) {
          EXPECT_EQ(static_cast<char *>(held[0]->data())[0], t);
          Allocator::release(held[0]);
          held.erase(held.begin());
        }
      }
      for (Block *block : held)
        Allocator::release(block);
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(AllocatorTest, ScratchKeepsPointersAndGrows) {
  Scratch scratch(allocator);
  for (int round = 0; round < 3; ++round) {
    std::vector<char *> pieces;
    for (int i = 0; i < 20; ++i) {
      auto *piece = static_cast<char *>(scratch.take(100 * (i + 1)));
      ASSERT_NE(piece, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(piece) % 64, 0u);
      std::memset(piece, i, size_t(100 * (i + 1)));
      pieces.push_back(piece);
    }
    for (int i = 0; i < 20; ++i)
      for (int j = 0; j < 100 * (i + 1); ++j)
        ASSERT_EQ(pieces[size_t(i)][j], i);
    scratch.reset(0);
  }
  // All of it fits now: consecutive pieces of one block.
  auto *a = static_cast<char *>(scratch.take(64));
  auto *b = static_cast<char *>(scratch.take(64));
  EXPECT_EQ(b, a + 64);
  scratch.reset(0);
  EXPECT_EQ(scratch.take(-1), nullptr);
  EXPECT_EQ(scratch.take(INT64_MAX), nullptr);
}

TEST_F(AllocatorTest, ScratchAboveAMarkDoesNotPileUp) {
  Scratch scratch(allocator);
  void *kept = scratch.take(64);
  int64_t mark = scratch.mark();
  // 100 × 10 MiB would exceed the limit of 64 MiB if resets kept anything.
  for (int i = 0; i < 100; ++i) {
    ASSERT_NE(scratch.take(10 << 20), nullptr) << i;
    scratch.reset(mark);
  }
  std::memset(kept, 1, 64);
}

} // namespace
