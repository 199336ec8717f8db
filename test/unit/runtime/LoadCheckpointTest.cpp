// What is refused of a checkpoint that anybody may have written.
#include "CheckpointFixture.h"

#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace nacre::test;

namespace {

TEST_F(CheckpointTest, SomebodyElsesFile) {
  // Another order of keys and tensors, spaces, escapes, an unknown text.
  std::string header =
      "{ \"half\" : {\"shape\":[ 3 ], \"data_offsets\": [0,6],\n"
      "\"dtype\":\"BF16\"},\"mask\":{\"dtype\":\"BOOL\",\"shape\":[3],"
      "\"data_offsets\":[6,9]},\"none\":{\"dtype\":\"F64\",\"shape\":[0,4],"
      "\"data_offsets\":[9,9]},\"\\u0077\":{\"dtype\":\"F32\",\"shape\":[2,2],"
      "\"data_offsets\":[9,25]},\"w.momentum\":{\"dtype\":\"F32\","
      "\"shape\":[2,2],\"data_offsets\":[25,41]},\"count\":{\"dtype\":\"I64\","
      "\"shape\":[],\"data_offsets\":[41,49]},\"__metadata__\":{\"for\\u006dat\""
      ":\"\\ud83d\\uDE00\\u00e9\\u20AC\\/\\t\"}}  \t";
  write(header, 49);
  ASSERT_EQ(load(), NACRE_OK) << nacre_last_error();
  for (const auto &[name, value] : values())
    EXPECT_EQ(value, std::string(value.size(), '\1')) << name;
  EXPECT_EQ(metadata["format"], "😀é€/\t");
}

TEST_F(CheckpointTest, OtherSetsOfTensors) {
  std::string w = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],"
                  "\"data_offsets\":[0,16]}",
              other = ",\"x\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],"
                      "\"data_offsets\":[16,19]},\"fixed\":{\"dtype\":\"F32\","
                      "\"shape\":[2],\"data_offsets\":[19,27]}";
  auto before = values();
  std::string place = path.string();
  write(w + "}", 16);
  EXPECT_ERROR(load(), NACRE_INCOMPATIBLE,
               (place + ": of another model: it lacks 'count', 'w.momentum', "
                        "'mask', 'half', 'none'")
                   .c_str());
  EXPECT_ERROR(load(NACRE_LOAD_WITHOUT_STATE), NACRE_INCOMPATIBLE,
               (place + ": of another model: it lacks 'count', 'mask', "
                        "'half', 'none'")
                   .c_str());
  write(w + other + "}", 27);
  EXPECT_ERROR(load(), NACRE_INCOMPATIBLE,
               (place +
                ": of another model: it lacks 'count', 'w.momentum', 'mask', "
                "'half', 'none', and has what the model has no parameters to "
                "train for: 'x', 'fixed' (a constant)")
                   .c_str());
  EXPECT_EQ(values(), before);

  FakeModel small;
  small.function("main", doNothing, {}, {})
      .constant("fixed", {1, 2})
      .stateOf("w", NACRE_F32, {2, 2})
      .stateOf("optimizer.count", NACRE_I64, {})
      .stateOf("w.exp_avg", NACRE_F32, {2, 2});
  FakeSession s(small, 1);
  auto loadSmall = [&](uint32_t flags) {
    return nacre_session_load(s.session, path.c_str(), flags, nullptr, nullptr);
  };
  EXPECT_EQ(loadSmall(NACRE_LOAD_WITHOUT_STATE), NACRE_INCOMPATIBLE);
  EXPECT_EQ(loadSmall(NACRE_LOAD_OTHER_TENSORS), NACRE_INCOMPATIBLE);
  EXPECT_EQ(loadSmall(NACRE_LOAD_OTHER_TENSORS | NACRE_LOAD_WITHOUT_STATE),
            NACRE_OK)
      << nacre_last_error();
  uint8_t is[16];
  ASSERT_EQ(nacre_session_read_parameter(s.session, 1, is, 16), NACRE_OK);
  EXPECT_EQ(std::string(is, is + 16), std::string(16, '\1'));

  // Many names: as many as fit.
  std::string many = "{";
  for (int i = 0; i < 100; ++i)
    many += (i ? ",\"" : "\"") + std::string("layer.") + std::to_string(i) +
            "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  write(many + "}", 0);
  EXPECT_EQ(load(), NACRE_INCOMPATIBLE);
  std::string message = nacre_last_error();
  EXPECT_LT(message.size(), 1000u);
  EXPECT_NE(message.find("more"), std::string::npos) << message;
}

struct Hostile {
  const char *header;
  size_t dataSize;
  nacre_status status;
  const char *message;
};

#define DAMAGED(place, what)                                                   \
  ": damaged, or not a .safetensors file: byte " place " of its header: " what
#define TENSOR(name, type, shape, offsets)                                     \
  "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape                     \
  "],\"data_offsets\":[" offsets "]}"

const Hostile kHostile[] = {
    // JSON
    {"  ", 0, NACRE_CORRUPT, DAMAGED("0", "found the byte 20, expected '{'")},
    {" {}", 0, NACRE_CORRUPT, DAMAGED("0", "found the byte 20, expected '{'")},
    {"[]", 0, NACRE_CORRUPT, DAMAGED("0", "found '[', expected '{'")},
    {"{}}", 0, NACRE_CORRUPT,
     DAMAGED("2", "found '}', expected nothing behind the last '}'")},
    {"{\"", 0, NACRE_CORRUPT,
     DAMAGED("2", "found its end, expected the end of a string")},
    {"{\"a\"}", 0, NACRE_CORRUPT, DAMAGED("4", "found '}', expected ':'")},
    {"{\"a\":1}", 0, NACRE_CORRUPT,
     DAMAGED("5",
             "found '1', expected '{' and a tensor's type, shape and place")},
    {"{\"a\":{\"a\":{\"a\":{}}}}", 0, NACRE_CORRUPT,
     DAMAGED("6", "expected \"dtype\", \"shape\" or \"data_offsets\"")},
    {"{\"a\":{\"dtype\":{}}}", 0, NACRE_CORRUPT,
     DAMAGED("14", "found '{', expected the name of a type")},
    {"{\"a\":{\"shape\":[[[[]]]]}}", 0, NACRE_CORRUPT,
     DAMAGED("15", "found '[', expected a size")},
    {"{\"a\":{\"shape\":[0,]}}", 0, NACRE_CORRUPT,
     DAMAGED("17", "found ']', expected a size")},
    {"{\"a\":{\"shape\":[-1]}}", 0, NACRE_CORRUPT,
     DAMAGED("15", "found '-', expected a size")},
    {"{\"a\":{\"shape\":[1.0]}}", 0, NACRE_CORRUPT,
     DAMAGED("16", "found '.', expected a whole number")},
    {"{\"a\":{\"shape\":[01]}}", 0, NACRE_CORRUPT,
     DAMAGED("15", "a number begins with 0")},
    {"{\"a\":{\"shape\":[9223372036854775808]}}", 0, NACRE_CORRUPT,
     DAMAGED("15", "the number is larger than any that can be")},
    {"{\"a\":{\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}}", 0,
     NACRE_CORRUPT, DAMAGED("47", "found '1', expected at most 16 sizes")},
    {"{\"a\":{\"shape\":[],\"shape\":[]}}", 0, NACRE_CORRUPT,
     DAMAGED("17", "a key that was there before")},
    {"{\"a\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0, NACRE_CORRUPT,
     DAMAGED("38", "a tensor without \"dtype\"")},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, NACRE_CORRUPT,
     DAMAGED("40", "a tensor without \"shape\"")},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, NACRE_CORRUPT,
     DAMAGED("31", "a tensor without \"data_offsets\"")},
    {"{\"a\":{\"data_offsets\":[0]}}", 0, NACRE_CORRUPT,
     DAMAGED("23", "found ']', expected ','")},
    {"{\"a\":{\"data_offsets\":[0,0,0]}}", 0, NACRE_CORRUPT,
     DAMAGED("25", "found ',', expected ']'")},
    {"{\"__metadata__\":{\"a\":1}}", 0, NACRE_CORRUPT,
     DAMAGED("21", "found '1', expected a text")},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, NACRE_CORRUPT,
     DAMAGED("19", "a second \"__metadata__\"")},
    {"{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"\\u0061\":\"2\"}}", 0,
     NACRE_CORRUPT, ": two texts are called 'a'"},
    {"{\"__metadata__\":{\"nacre.format\":\"2\"}}", 0, NACRE_INCOMPATIBLE,
     ": made as checkpoint format '2', this runtime reads format '1'; update "
     "the runtime"},
    // Strings
    {"{\"a\\u0000b\":{}}", 0, NACRE_CORRUPT,
     DAMAGED("3", "a name or text has a zero in it")},
    {"{\"a\\x\"", 0, NACRE_CORRUPT,
     DAMAGED("4", "found 'x', expected an escape sequence")},
    {"{\"a\\u12g4\"", 0, NACRE_CORRUPT,
     DAMAGED("7", "found 'g', expected four hexadecimal digits")},
    {"{\"a\\ud800\"", 0, NACRE_CORRUPT,
     DAMAGED("3", "half of a surrogate pair")},
    {"{\"a\\udc00\\ud800\"", 0, NACRE_CORRUPT,
     DAMAGED("3", "half of a surrogate pair")},
    {"{\"a\\", 0, NACRE_CORRUPT,
     DAMAGED("4", "found its end, expected an escape sequence")},
    {"{\"a\nb\"", 0, NACRE_CORRUPT,
     DAMAGED("3", "found the byte 0A, expected no control character in a "
                  "string")},
    {"{\"a\xFF\"", 0, NACRE_CORRUPT,
     DAMAGED("3", "found the byte FF, expected UTF-8")},
    {"{\"\xC0\x80\"", 0, NACRE_CORRUPT,
     DAMAGED("2", "found the byte C0, expected UTF-8")},
    {"{\"\xE0\x80\x80\"", 0, NACRE_CORRUPT,
     DAMAGED("2", "found the byte E0, expected UTF-8")},
    {"{\"\xED\xA0\x80\"", 0, NACRE_CORRUPT,
     DAMAGED("2", "found the byte ED, expected UTF-8")},
    {"{\"\xF4\x90\x80\x80\"", 0, NACRE_CORRUPT,
     DAMAGED("2", "found the byte F4, expected UTF-8")},
    {"{\"\xE2\x82", 0, NACRE_CORRUPT,
     DAMAGED("2", "found the byte E2, expected UTF-8")},
    // Places
    {"{" TENSOR("w", "F32", "2,2", "0,16") "," TENSOR("w", "U8", "0", "16,16")
         "}",
     16, NACRE_CORRUPT, ": two tensors are called 'w'"},
    {"{" TENSOR("a", "F32", "2", "0,8") "," TENSOR("b", "F32", "2", "4,12")
         "}",
     12, NACRE_CORRUPT, ": tensors 'a' and 'b' overlap"},
    {"{" TENSOR("a", "F32", "1", "0,4") "," TENSOR("b", "F32", "1", "8,12")
         "}",
     12, NACRE_CORRUPT,
     ": no tensor has bytes 4 to 8 of the data, before tensor 'b'"},
    {"{" TENSOR("a", "F32", "1", "4,8") "}", 8, NACRE_CORRUPT,
     ": no tensor has bytes 0 to 4 of the data, before tensor 'a'"},
    {"{" TENSOR("a", "F32", "1", "0,4") "}", 9, NACRE_CORRUPT,
     ": no tensor has bytes 4 to 9 of the data, at its end"},
    {"{}", 3, NACRE_CORRUPT,
     ": no tensor has bytes 0 to 3 of the data, at its end"},
    {"{" TENSOR("a", "F32", "2", "0,8") "}", 7, NACRE_CORRUPT,
     ": truncated: tensor 'a' ends at byte 8 of the data, which has 7; copy "
     "the file again"},
    {"{" TENSOR("a", "F32", "1", "0,9223372036854775807") "}", 4, NACRE_CORRUPT,
     ": truncated: tensor 'a' ends at byte 9223372036854775807 of the data, "
     "which has 4; copy the file again"},
    {"{" TENSOR("a", "F32", "1", "4,0") "}", 4, NACRE_CORRUPT,
     ": tensor 'a' ends at byte 0, before it begins at 4"},
    {"{" TENSOR("a", "F32", "2,3", "0,16") "}", 16, NACRE_CORRUPT,
     ": tensor 'a' is F32[2, 3] and has 16 bytes, expected 24"},
    {"{" TENSOR("a", "F32", "4294967296,4294967296", "0,0") "}", 0,
     NACRE_CORRUPT,
     ": tensor 'a' is F32[4294967296, 4294967296] and has 0 bytes, expected "
     "-1"},
    {"{" TENSOR("a", "F33", "1", "0,4") "}", 4, NACRE_CORRUPT,
     ": tensor 'a' has the type 'F33', which .safetensors files do not have"},
};

TEST_F(CheckpointTest, HostileFiles) {
  auto before = values();
  for (const Hostile &hostile : kHostile) {
    write(std::string(hostile.header), hostile.dataSize);
    SCOPED_TRACE(hostile.header);
    EXPECT_ERROR(load(), hostile.status, (path.string() + hostile.message).c_str());
    EXPECT_EQ(values(), before);
  }
  auto refused = [&](const std::string &bytes, const std::string &message) {
    write(bytes);
    EXPECT_ERROR(load(), NACRE_CORRUPT, (path.string() + message).c_str());
  };
  refused("", ": not a .safetensors file: it has 0 bytes, expected at least 10");
  refused("123456789",
          ": not a .safetensors file: it has 9 bytes, expected at least 10");
  refused(std::string(8, '\xFF') + "{}",
          ": not a .safetensors file: its header would have "
          "18446744073709551615 bytes, expected at most 100000000");
  refused(std::string("\3\0\0\0\0\0\0\0{}", 10),
          ": truncated, or not a .safetensors file: it has 10 bytes, but its "
          "header ends at byte 11; copy it again");
  refused(std::string("\3\0\0\0\0\0\0\0{\0}", 11),
          DAMAGED("1", "found the byte 00, expected the name of a tensor"));
  EXPECT_EQ(values(), before);
}

TEST_F(CheckpointTest, OtherTypesAndShapes) {
  ASSERT_EQ(save(), NACRE_OK);
  std::string good = read();
  auto before = values();
  auto replaced = [&](const std::string &from, const std::string &to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    write(bytes);
  };
  fill(60);
  auto now = values();
  replaced("\"BF16\"", "\"F16\" ");
  EXPECT_ERROR(load(), NACRE_INVALID_SHAPE,
               (path.string() + ": tensor 'half' is F16[3], the model's "
                                "parameter is BF16[3]")
                   .c_str());
  replaced("\"shape\":[2,2]", "\"shape\":[1,4]");
  EXPECT_ERROR(load(), NACRE_INVALID_SHAPE,
               (path.string() + ": tensor 'w' is F32[1, 4], the model's "
                                "parameter is F32[2, 2]")
                   .c_str());
  replaced("\"shape\":[2,2]", "\"shape\":[ 4 ]");
  EXPECT_ERROR(load(), NACRE_INVALID_SHAPE,
               (path.string() + ": tensor 'w' is F32[4], the model's "
                                "parameter is F32[2, 2]")
                   .c_str());
  std::string bytes = good;
  bytes.back() = 2;
  write(bytes);
  EXPECT_ERROR(load(), NACRE_INVALID_VALUE,
               (path.string() +
                ": tensor 'mask': element 2 is 2, expected 0 or 1")
                   .c_str());
  EXPECT_EQ(values(), now);
  write(good);
  EXPECT_EQ(load(), NACRE_OK);
  EXPECT_EQ(values(), before);
}

TEST_F(CheckpointTest, TheCallbackRefuses) {
  ASSERT_EQ(save({{"epoch", "3"}}), NACRE_OK);
  fill(60);
  auto now = values();
  EXPECT_ERROR(nacre_session_load(
                   session->session, path.c_str(), 0,
                   [](void *, const char *key, const char *value) {
                     return nacre_error_set(
                         NACRE_INVALID_VALUE,
                         (std::string(key) + " is " + value).c_str());
                   },
                   nullptr),
               NACRE_INVALID_VALUE, "epoch is 3");
  EXPECT_EQ(values(), now);
}

// Cut off anywhere, and with any byte of the header another: it loads, or nothing
// has changed.
TEST_F(CheckpointTest, CutAndMutated) {
  ASSERT_EQ(save({{"epoch", "3"}, {"x\\y", "é😀"}}), NACRE_OK);
  std::string good = read();
  fill(60);
  auto before = values();
  // Ten thousand files: in memory.
  int memory = memfd_create("checkpoint", 0);
  ASSERT_GE(memory, 0);
  path = "/proc/self/fd/" + std::to_string(memory);
  auto write = [&](const std::string &bytes) {
    ASSERT_EQ(ftruncate(memory, off_t(bytes.size())), 0);
    ASSERT_EQ(pwrite(memory, bytes.data(), bytes.size(), 0),
              ssize_t(bytes.size()));
  };
  for (size_t size = 0; size < good.size(); ++size) {
    write(good.substr(0, size));
    EXPECT_EQ(load(), NACRE_CORRUPT) << size << ": " << nacre_last_error();
    ASSERT_EQ(values(), before) << size;
  }
  uint64_t length = 0;
  std::memcpy(&length, good.data(), sizeof length);
  std::mt19937 random(1);
  int loaded = 0;
  for (size_t at = 0; at < 8 + length; ++at)
    for (char to : {'\0', '"', '\\', '{', '}', '[', ']', ',', '9', '\xC3',
                    char(random()), char(random())}) {
      std::string bytes = good;
      bytes[at] = to;
      write(bytes);
      if (load() == NACRE_OK) {
        ++loaded;
        fill(60);
      } else {
        EXPECT_EQ(std::string(nacre_last_error()).find(path.string()), 0u);
      }
      ASSERT_EQ(values(), before) << at;
    }
  EXPECT_GT(loaded, 0); // within a text, say
  // Several at once, and pieces that move.
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = good;
    for (uint32_t n = 1 + random() % 4; n-- > 0;) {
      size_t at = random() % bytes.size();
      if (random() % 3 == 0)
        bytes.erase(at, random() % 20);
      else if (random() % 2)
        bytes.insert(at, good.substr(random() % good.size(), random() % 20));
      else
        bytes[at] = char(random());
      if (bytes.empty())
        bytes = "a";
    }
    write(bytes);
    if (load() == NACRE_OK)
      fill(60);
    ASSERT_EQ(values(), before);
  }
  close(memory);
}

TEST_F(CheckpointTest, WhatIsNoFile) {
  EXPECT_ERROR(load(), NACRE_NOT_FOUND,
               (path.string() + ": No such file or directory").c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_ERROR(load(), NACRE_IO_ERROR,
               (path.string() + ": not a regular file").c_str());
  path = folder;
  EXPECT_ERROR(load(), NACRE_IO_ERROR,
               (path.string() + ": not a regular file").c_str());
}

// A hundred thousand tensors are read in linear time, or nearly.
TEST_F(CheckpointTest, ManyTensors) {
  std::string header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],"
                       "\"data_offsets\":[0,16]}";
  for (int i = 0; i < 100000; ++i)
    header += ",\"t" + std::to_string(i) +
              "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[16,16]}";
  write(header + "}", 16);
  EXPECT_EQ(load(), NACRE_INCOMPATIBLE);
  EXPECT_NE(std::string(nacre_last_error()).find(" more"), std::string::npos);
}

} // namespace
