#include "compiler/codegen/KernelCache.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <gtest/gtest.h>
#include <thread>

using namespace nacre::codegen;

namespace {

/// A cache in a folder of its own, which goes with it.
class KernelCacheTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nacre-cache", folder));
    cache = open();
    auto created = CpuTarget::create("x86-64-v3", "");
    ASSERT_TRUE(bool(created));
    target = std::make_unique<CpuTarget>(*created);
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::unique_ptr<KernelCache> open() {
    auto opened = KernelCache::open(folder, /*maxBytes=*/0);
    EXPECT_TRUE(bool(opened));
    return opened ? std::move(*opened) : nullptr;
  }
  CacheKey key(llvm::StringRef content, Effort effort = Effort::Kernel) {
    return CacheKey("matmul_0", content, *target, effort);
  }
  std::string path(const CacheKey &key) {
    llvm::SmallString<128> path = folder;
    llvm::sys::path::append(path, key.fileName());
    return std::string(path);
  }

  llvm::SmallString<128> folder;
  std::unique_ptr<KernelCache> cache;
  std::unique_ptr<CpuTarget> target;
};

TEST_F(KernelCacheTest, KeepsWhatItWasGiven) {
  std::string object("\0\n{binary}\n\0", 12);
  EXPECT_EQ(cache->find(key("a")), nullptr);
  cache->store(key("a"), object);
  auto found = cache->find(key("a"));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->getBuffer(), object);
  EXPECT_EQ(cache->getHits(), 1u);
  EXPECT_EQ(cache->getMisses(), 1u);
  EXPECT_EQ(cache->getWriteError(), "");
  // Of other contents, or compiled otherwise, it is another object.
  EXPECT_EQ(cache->find(key("b")), nullptr);
  EXPECT_EQ(cache->find(key("a", Effort::Host)), nullptr);
  auto older = CpuTarget::create("x86-64-v2", "");
  ASSERT_TRUE(bool(older));
  CacheKey other("matmul_0", "a", *older, Effort::Kernel);
  EXPECT_EQ(cache->find(other), nullptr);
  EXPECT_EQ(cache->explainMiss(other), "cached for the CPU x86-64-v3, not for x86-64-v2");
}

TEST_F(KernelCacheTest, AnyDamageIsSeen) {
  cache->store(key("a"), "an object");
  auto intact = llvm::MemoryBuffer::getFile(path(key("a")));
  ASSERT_TRUE(bool(intact));
  std::string bytes = (*intact)->getBuffer().str();
  for (size_t i = 0; i <= bytes.size(); ++i) {
    std::string damaged = bytes;
    if (i < bytes.size())
      damaged[i] ^= 0x20;
    else
      damaged += '\n';
    std::error_code error;
    {
      llvm::raw_fd_ostream file(path(key("a")), error);
      file << damaged;
    }
    EXPECT_EQ(cache->find(key("a")), nullptr) << "byte " << i;
    EXPECT_FALSE(llvm::sys::fs::exists(path(key("a")))) << "byte " << i;
  }
}

TEST_F(KernelCacheTest, ManyThreadsAndCaches) {
  std::string object(20000, 'x');
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&, other = open()] {
      for (int i = 0; i < 50; ++i) {
        CacheKey wanted = key(std::to_string(i % 10));
        if (auto found = cache->find(wanted))
          EXPECT_EQ(found->getBuffer(), object);
        other->store(wanted, object);
        cache->store(wanted, object);
        if (i % 20 == 0)
          other->prune();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(cache->getWriteError(), "");
  EXPECT_EQ(cache->getHits() + cache->getMisses(), 200u);
  EXPECT_EQ(cache->list().size(), 10u);
  auto removed = cache->clear();
  ASSERT_TRUE(bool(removed));
  EXPECT_EQ(*removed, 10u);
}

} // namespace
