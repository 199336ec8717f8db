// Checkpoints as they are written, and the random state beside them. That other tools read and write the same
// is tested with Python's package (test/e2e/test_checkpoints.py).
#include "CheckpointFixture.h"

#include <atomic>
#include <csignal>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace nacre::test;

namespace {

TEST_F(CheckpointTest, WhatIsWritten) {
  ASSERT_EQ(save({{"epoch", "3"}, {"a \"b\\\n", "Zürich \x01"}}), NACRE_OK)
      << nacre_last_error();
  std::string bytes = read();
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  EXPECT_EQ(length % 8, 0u);
  std::string header = bytes.substr(8, length);
  header.erase(header.find_last_not_of(' ') + 1);
  EXPECT_EQ(
      header,
      "{\"__metadata__\":{\"nacre.format\":\"1\",\"epoch\":\"3\","
      "\"a \\u0022b\\u005c\\u000a\":\"Zürich \\u0001\"},"
      "\"count\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"none\":{\"dtype\":\"F64\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
      "\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]},"
      "\"w.momentum\":{\"dtype\":\"F32\",\"shape\":[2,2],"
      "\"data_offsets\":[24,40]},"
      "\"half\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[40,46]},"
      "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[46,49]}}");
  auto is = values();
  EXPECT_EQ(bytes.substr(8 + length), is["count"] + is["w"] + is["w.momentum"] +
                                          is["half"] + is["mask"]);

  fill(100);
  EXPECT_NE(values(), is);
  ASSERT_EQ(load(), NACRE_OK) << nacre_last_error();
  EXPECT_EQ(values(), is);
  EXPECT_EQ(metadata, (std::map<std::string, std::string>{
                          {"epoch", "3"}, {"a \"b\\\n", "Zürich \x01"}}));
  // Another replaces it, and nothing else is left.
  fill(7);
  ASSERT_EQ(save(), NACRE_OK);
  EXPECT_EQ(files(), std::vector<std::string>{"c.safetensors"});
  fill(8);
  ASSERT_EQ(nacre_session_load(session->session, path.c_str(), 0, nullptr,
                               nullptr),
            NACRE_OK);
  fill(7);
  auto seven = values();
  ASSERT_EQ(load(), NACRE_OK);
  EXPECT_EQ(values(), seven);
  EXPECT_TRUE(metadata.empty());
}

TEST_F(CheckpointTest, MetadataThatIsRefused) {
  auto s = session->session;
  EXPECT_ERROR(save({{"nacre.x", "1"}}), NACRE_INVALID_ARGUMENT,
               "metadata 'nacre.x': names that begin with 'nacre.' are the "
               "runtime's; choose another");
  EXPECT_ERROR(save({{"a", "1"}, {"a", "2"}}), NACRE_INVALID_ARGUMENT,
               "metadata 'a' is there twice");
  EXPECT_ERROR(save({{"a", "\xFF"}}), NACRE_INVALID_ARGUMENT,
               "metadata 'a': expected UTF-8");
  EXPECT_ERROR(save({{"a", nullptr}}), NACRE_INVALID_ARGUMENT,
               "metadata[0] is NULL");
  nacre_metadata pair = {"a", "b"};
  EXPECT_EQ(nacre_session_save(s, path.c_str(), &pair, -1),
            NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_session_save(s, path.c_str(), nullptr, 1),
            NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_session_save(s, nullptr, nullptr, 0), NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_session_save(nullptr, "x", nullptr, 0),
            NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_session_load(s, path.c_str(), 4, nullptr, nullptr),
            NACRE_INVALID_ARGUMENT);
  EXPECT_TRUE(files().empty());
}

TEST_F(CheckpointTest, ParametersThatCannotBeWritten) {
  struct {
    const char *name;
    int32_t dtype;
    const char *message;
  } cases[] = {
      {"x", NACRE_I4,
       "parameter 'x' is i4, which .safetensors files do not have"},
      {"__metadata__", NACRE_F32,
       "parameter '__metadata__': .safetensors files cannot hold this name"},
      {"a\xC3(", NACRE_F32,
       "parameter 'a\xC3(': .safetensors files cannot hold this name"},
  };
  for (const auto &[name, dtype, message] : cases) {
    FakeModel other;
    other.function("main", doNothing, {}, {}).stateOf(name, dtype, {2});
    FakeSession s(other, 1);
    EXPECT_ERROR(nacre_session_save(s.session, path.c_str(), nullptr, 0),
                 NACRE_INVALID_VALUE, message);
  }
  EXPECT_TRUE(files().empty());
}

TEST_F(CheckpointTest, PlacesThatCannotBeWritten) {
  auto refused = [&](const fs::path &place, const std::string &message) {
    std::string expected = place.string() + ": cannot be written: " + message;
    EXPECT_ERROR(
        nacre_session_save(session->session, place.c_str(), nullptr, 0),
        NACRE_IO_ERROR, expected.c_str());
  };
  refused(folder / "no" / "c",
          "No such file or directory; create the folder first");
  refused(folder, "it is no regular file; choose the name of a file");
  refused(folder / "", "it is no regular file; choose the name of a file");
  refused("/dev/null", "it is no regular file; choose the name of a file");
  refused("/proc/c", geteuid() ? "Permission denied; choose a folder that may be "
                                 "written to"
                               : "No such file or directory; create the folder "
                                 "first");
  refused(folder / std::string(300, 'a'), "File name too long");
  EXPECT_EQ(nacre_session_save(session->session,
                               (std::string(5000, 'a') + "/c").c_str(), nullptr,
                               0),
            NACRE_IO_ERROR);
  EXPECT_NE(std::string(nacre_last_error()).find("File name too long"),
            std::string::npos);
}

TEST_F(CheckpointTest, FullDisk) {
  ASSERT_EQ(save(), NACRE_OK);
  std::string good = read();
  fill(50);
  auto old = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (size_t size : {size_t(0), size_t(4), size_t(100), good.size() - 1}) {
    rlimit limit = {size, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    nacre_status status = save();
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(status, NACRE_IO_ERROR) << size;
    EXPECT_STREQ(nacre_last_error(),
                 (path.string() + ": cannot be written: File too large; raise "
                                  "the limit on the size of files, or choose "
                                  "another place")
                     .c_str());
    EXPECT_EQ(read(), good);
    EXPECT_EQ(files(), std::vector<std::string>{"c.safetensors"});
  }
  std::signal(SIGXFSZ, old);
}

// ---- Random numbers ---------------------------------------------------------

int32_t giveRandomState(nacre_abi_context *c, const nacre_abi_tensor *) {
  int64_t size = 2;
  auto *out = static_cast<int64_t *>(c->output(c, 0, 1, &size));
  out[0] = c->seed;
  out[1] = c->run_number;
  return 0;
}

TEST(RandomStateTest, ReadAndSet) {
  FakeModel fake;
  fake.function("main", giveRandomState, {},
                {fake.tensor("y", NACRE_DTYPE_I64, {2})});
  FakeSession s(fake, 1);
  auto run = [&] {
    std::vector<int64_t> y(2);
    std::vector<nacre_tensor> outputs = {tensorOf(y, {2}, NACRE_I64)};
    EXPECT_EQ(s.run({}, outputs), NACRE_OK);
    return y;
  };
  uint64_t seed = 9;
  int64_t runs = 9;
  ASSERT_EQ(nacre_session_get_random_state(s.session, &seed, &runs), NACRE_OK);
  EXPECT_EQ(seed, 0u);
  EXPECT_EQ(runs, 0);
  ASSERT_EQ(nacre_session_set_random_state(s.session, UINT64_MAX, 41), NACRE_OK);
  EXPECT_EQ(run(), (std::vector<int64_t>{-1, 41}));
  EXPECT_EQ(run(), (std::vector<int64_t>{-1, 42}));
  ASSERT_EQ(nacre_session_get_random_state(s.session, &seed, &runs), NACRE_OK);
  EXPECT_EQ(seed, UINT64_MAX);
  EXPECT_EQ(runs, 43);
  ASSERT_EQ(nacre_session_set_seed(s.session, 7), NACRE_OK);
  EXPECT_EQ(run(), (std::vector<int64_t>{7, 0}));
  EXPECT_ERROR(nacre_session_set_random_state(s.session, 0, -1),
               NACRE_INVALID_ARGUMENT,
               "run_count is -1, expected no negative number");
  EXPECT_EQ(nacre_session_get_random_state(nullptr, &seed, &runs),
            NACRE_INVALID_ARGUMENT);
  EXPECT_EQ(nacre_session_set_random_state(nullptr, 0, 0),
            NACRE_INVALID_ARGUMENT);
}

// Runs and checkpoints of one session wait for each other.
nacre_session *shared = nullptr;
int32_t addOne(nacre_abi_context *, const nacre_abi_tensor *) {
  nacre_tensor tensor;
  nacre_session_get_parameter(shared, 0, &tensor);
  for (int i = 0; i < 1000; ++i)
    static_cast<float *>(tensor.data)[i] += 1;
  return 0;
}

TEST(CheckpointThreadsTest, BetweenRuns) {
  FakeModel fake;
  fake.function("main", addOne, {}, {}).stateOf("w", NACRE_F32, {1000});
  FakeSession s(fake, 1);
  shared = s.session;
  std::string path = testing::TempDir() + "nacre-checkpoint-threads-" +
                     std::to_string(getpid());
  std::atomic<bool> isDone = false;
  std::thread runs([&] {
    while (!isDone)
      EXPECT_EQ(nacre_session_run(s.session, 0, nullptr, 0, nullptr, 0),
                NACRE_OK);
  });
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(nacre_session_save(s.session, path.c_str(), nullptr, 0), NACRE_OK);
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::vector<float> values(1000);
    std::memcpy(values.data(), bytes.data() + bytes.size() - 4000, 4000);
    EXPECT_EQ(values, std::vector<float>(1000, values[0]));
    ASSERT_EQ(
        nacre_session_load(s.session, path.c_str(), 0, nullptr, nullptr),
        NACRE_OK);
  }
  isDone = true;
  runs.join();
  fs::remove(path);
}

} // namespace
