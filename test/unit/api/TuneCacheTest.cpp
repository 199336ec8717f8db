#include "compiler/api/TuneCache.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>

using namespace nacre;

namespace {

/// A cache in a folder of its own, which goes with it.
class TuneCacheTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("nacre-cache", folder));
    auto opened = codegen::KernelCache::open(folder, /*maxBytes=*/0);
    ASSERT_TRUE(bool(opened));
    kernels = std::move(*opened);
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  TuneCache open(int threads = 2, std::map<std::string, int64_t> sizes = {}, const char *cpu = "x86-64-v3") {
    auto target = codegen::CpuTarget::create(cpu, "");
    EXPECT_TRUE(bool(target));
    return TuneCache(*kernels, *target, threads, std::move(sizes));
  }
  /// The only file of the cache.
  std::string getPath() {
    std::vector<CachedKernel> entries = kernels->list();
    EXPECT_EQ(entries.size(), 1u);
    llvm::SmallString<128> path = folder;
    llvm::sys::path::append(path, entries.front().file);
    return std::string(path);
  }
  void store(llvm::StringRef text) { // as what is kept for `choice`, with a checksum that holds
    open().store(choice, {"1x8", true});
    std::string file = llvm::sys::path::filename(getPath()).str();
    codegen::CacheKey key("tuning of conv_1", "", *codegen::CpuTarget::create("x86-64-v3", ""), codegen::Effort::Kernel);
    std::tie(key.content, key.context) = std::pair(file.substr(10, 32), file.substr(43));
    ASSERT_EQ(key.fileName(), file);
    kernels->store(key, text);
  }

  KernelChoice choice{"tiles.0123456789abcdef", "1x4", {"1x8"}, false, {"conv_1"}};
  KernelChoice openChoice{"tiles.0123456789abcdef", "1x4", {"1x8"}, true, {"conv_1"}};
  llvm::SmallString<128> folder;
  std::unique_ptr<codegen::KernelCache> kernels;
};

TEST_F(TuneCacheTest, KeepsWhatWasLearnt) {
  EXPECT_FALSE(open().find(choice));
  open().store(choice, {"1x8", false, {"1x2", "1x16"}});
  std::optional<LearntChoice> learnt = open().find(choice);
  ASSERT_TRUE(learnt);
  EXPECT_EQ(learnt->decision, "1x8");
  EXPECT_EQ(learnt->tried, (std::set<std::string>{"1x2", "1x16"}));
  EXPECT_FALSE(learnt->isExhausted);
  open().store(choice, {std::nullopt, true});
  learnt = open().find(choice);
  ASSERT_TRUE(learnt);
  EXPECT_EQ(learnt->decision, std::nullopt);
  EXPECT_TRUE(learnt->isExhausted);
  EXPECT_EQ(kernels->list().size(), 1u);
  EXPECT_EQ(kernels->list().front().name, "tuning of conv_1");
}

TEST_F(TuneCacheTest, HoldsForWhatItWasMeasuredOn) {
  open().store(choice, {"1x8", true});
  EXPECT_TRUE(open(2, {{"batch", 8}}).find(choice)); // the kernel's sizes are known
  EXPECT_FALSE(open(1).find(choice));
  EXPECT_FALSE(open(2, {}, "x86-64-v2").find(choice));
  KernelChoice other = choice;
  other.key = "tiles.0123456789abcdee";
  EXPECT_FALSE(open().find(other));
  open(2, {{"batch", 8}}).store(openChoice, {"1x8", true});
  EXPECT_TRUE(open(2, {{"batch", 8}}).find(openChoice));
  EXPECT_FALSE(open(2, {{"batch", 9}}).find(openChoice));
}

TEST_F(TuneCacheTest, DamagedFilesAreNotUsed) {
  open().store(choice, {"1x8", true});
  std::string path = getPath();
  auto bytes = llvm::MemoryBuffer::getFile(path);
  ASSERT_TRUE(bool(bytes));
  std::string text = (*bytes)->getBuffer().str();
  for (std::string damaged : {std::string(), text.substr(0, text.size() - 3), text.substr(0, 20), "x" + text}) {
    std::error_code error;
    llvm::raw_fd_ostream(path, error) << damaged;
    ASSERT_FALSE(error);
    EXPECT_FALSE(open().find(choice));
    EXPECT_FALSE(llvm::sys::fs::exists(path)); // discarded
  }
  open().store(choice, {"1x8", true});
  EXPECT_TRUE(open().find(choice));
}

TEST_F(TuneCacheTest, OtherContentsAreNotUsed) {
  for (const char *text : {"", "[]", "{}", "null", "{\"exhausted\": true}", "{\"exhausted\": 1, \"decision\": null, \"tried\": []}",
                           "{\"exhausted\": true, \"decision\": 7, \"tried\": []}", "{\"exhausted\": true, \"decision\": \"1x8\"}",
                           "{\"exhausted\": true, \"decision\": \"1x8\", \"tried\": []"}) {
    store(text);
    EXPECT_FALSE(open().find(choice)) << text;
  }
  store("{\"exhausted\": true, \"decision\": \"1x8\", \"tried\": []}");
  EXPECT_TRUE(open().find(choice));
}

} // namespace
