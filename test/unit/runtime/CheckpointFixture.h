// A model with parameters of several types, and a file for them.
#ifndef NACRE_TEST_UNIT_RUNTIME_CHECKPOINTFIXTURE_H
#define NACRE_TEST_UNIT_RUNTIME_CHECKPOINTFIXTURE_H

#include "FakeModel.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

namespace nacre::test {

namespace fs = std::filesystem;

inline int32_t doNothing(nacre_abi_context *, const nacre_abi_tensor *) { return 0; }

struct CheckpointTest : testing::Test {
  CheckpointTest() {
    std::string pattern = testing::TempDir() + "nacre-checkpoint-XXXXXX";
    folder = mkdtemp(pattern.data());
    path = folder / "c.safetensors";
    fake.function("main", doNothing, {}, {})
        .constant("fixed", {1, 2})
        .stateOf("count", NACRE_I64, {})
        .stateOf("w", NACRE_F32, {2, 2})
        .stateOf("w.momentum", NACRE_F32, {2, 2})
        .stateOf("mask", NACRE_BOOL, {3})
        .stateOf("half", NACRE_BF16, {3})
        .stateOf("none", NACRE_F64, {0, 4});
    session = std::make_unique<FakeSession>(fake, 1);
    fill(1);
  }
  ~CheckpointTest() override { fs::remove_all(folder); }

  // Other values for every parameter; booleans are 0 or 1.
  void fill(uint8_t seed) {
    for (int32_t i = 1; i < 7; ++i) {
      nacre_tensor tensor;
      ASSERT_EQ(nacre_session_get_parameter(session->session, i, &tensor),
                NACRE_OK);
      for (int64_t b = 0; b < tensor.size; ++b)
        static_cast<uint8_t *>(tensor.data)[b] = uint8_t(
            tensor.dtype == NACRE_BOOL ? (b + seed) % 2 : seed + 10 * i + b);
    }
  }
  std::map<std::string, std::string> values() {
    std::map<std::string, std::string> result;
    for (int32_t i = 1; i < 7; ++i) {
      nacre_tensor tensor;
      EXPECT_EQ(nacre_session_get_parameter(session->session, i, &tensor),
                NACRE_OK);
      result[tensor.name] = std::string(static_cast<const char *>(tensor.data),
                                        size_t(tensor.size));
    }
    return result;
  }

  nacre_status save(std::vector<nacre_metadata> metadata = {}) {
    return nacre_session_save(session->session, path.c_str(), metadata.data(),
                              int32_t(metadata.size()));
  }
  nacre_status load(uint32_t flags = 0) {
    metadata.clear();
    return nacre_session_load(
        session->session, path.c_str(), flags,
        [](void *self, const char *key, const char *value) {
          static_cast<CheckpointTest *>(self)->metadata[key] = value;
          return NACRE_OK;
        },
        this);
  }

  std::string read() {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string &bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  // A file of a header and so many bytes of data.
  void write(const std::string &header, size_t dataSize) {
    uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char *>(&length), sizeof length);
    write(bytes + header + std::string(dataSize, '\1'));
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto &entry : fs::directory_iterator(folder))
      names.push_back(entry.path().filename());
    return names;
  }

  fs::path folder, path;
  FakeModel fake;
  std::unique_ptr<FakeSession> session;
  std::map<std::string, std::string> metadata;
};

} // namespace nacre::test

#endif // NACRE_TEST_UNIT_RUNTIME_CHECKPOINTFIXTURE_H
