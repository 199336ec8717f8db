//===- KernelCache.cpp - Compiled code kept on disk -------------*- C++ -*-===//
//
// A file is three lines and the object:
//
//   nacre-cache 1
//   <BLAKE3 of what follows>
//   {"name":"matmul","cpu":"znver4",...}
//   <object>
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/KernelCache.h"
#include "compiler/codegen/CompilerId.h"
#include "compiler/support/OutputFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace nacre;
using namespace nacre::codegen;

namespace {

constexpr StringLiteral kMagic = "nacre-cache 1\n";
constexpr StringLiteral kPrefix = "llvmcache-";
constexpr size_t kHashDigits = 64;

std::string hash(ArrayRef<StringRef> parts, size_t bytes = 32) {
  BLAKE3 hasher;
  for (StringRef part : parts) {
    uint64_t size = part.size(); // so that parts do not run into each other
    hasher.update(StringRef(reinterpret_cast<const char *>(&size), sizeof(size)));
    hasher.update(part);
  }
  auto result = hasher.final();
  return toHex(ArrayRef(result).take_front(bytes), /*LowerCase=*/true);
}

/// An entry's description and object; nothing if it is corrupt.
struct Contents {
  json::Object description;
  StringRef object;
};

std::optional<Contents> parse(StringRef bytes) {
  if (!bytes.consume_front(kMagic) || bytes.size() <= kHashDigits || bytes[kHashDigits] != '\n')
    return std::nullopt;
  StringRef checksum = bytes.take_front(kHashDigits);
  bytes = bytes.drop_front(kHashDigits + 1);
  if (hash({bytes}) != checksum)
    return std::nullopt;
  auto [line, object] = bytes.split('\n');
  Expected<json::Value> description = json::parse(line);
  if (!description) {
    consumeError(description.takeError());
    return std::nullopt;
  }
  if (!description->getAsObject())
    return std::nullopt;
  return Contents{*description->getAsObject(), object};
}

std::unique_ptr<MemoryBuffer> read(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  return buffer ? std::move(*buffer) : nullptr;
}

Error makeError(StringRef path, std::error_code error) {
  return createStringError(error, path + ": " + error.message());
}

/// The names of the entries in a folder, in order.
std::vector<std::string> getFiles(StringRef directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (sys::fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    StringRef name = sys::path::filename(it->path());
    if (name.starts_with(kPrefix) && !name.ends_with(".tmp")) // which is on its way
      names.push_back(name.str());
  }
  sort(names);
  return names;
}

/// Whether nobody else can put code into a folder; one that does not exist is fine.
Error checkOwner(StringRef directory) {
  sys::fs::file_status status;
  if (std::error_code error = sys::fs::status(directory, status))
    return error == std::errc::no_such_file_or_directory ? Error::success() : makeError(directory, error);
  if (status.type() != sys::fs::file_type::directory_file)
    return makeError(directory, std::make_error_code(std::errc::not_a_directory));
  if (status.getUser() != geteuid() || (status.permissions() & (sys::fs::group_write | sys::fs::others_write)))
    return createStringError(std::make_error_code(std::errc::permission_denied),
                             directory + ": other users may write into this folder, and what it holds is run; "
                                         "use one of your own (mode 0700)");
  return Error::success();
}

} // namespace

CacheKey::CacheKey(StringRef name, StringRef text, const CpuTarget &target, Effort effort)
    : name(name), content(hash({text}, 16)), cpu(target.getCPU()), features(target.getFeatureString()),
      compiler(std::string(kCompilerId) + " (LLVM " LLVM_VERSION_STRING ")") {
  std::string level = std::to_string(static_cast<int>(effort));
  context = hash({target.getTriple().str(), cpu, features, compiler, level}, 8);
}

std::string KernelCache::getDefaultDirectory() {
  if (const char *chosen = std::getenv("NACRE_CACHE_DIR"))
    return chosen;
  SmallString<128> path;
  if (!sys::path::cache_directory(path))
    return "";
  sys::path::append(path, "nacre");
  return std::string(path);
}

Expected<std::unique_ptr<KernelCache>> KernelCache::open(StringRef directory, uint64_t maxBytes) {
  if (Error error = checkOwner(directory))
    return error;
  return std::unique_ptr<KernelCache>(new KernelCache(directory, maxBytes));
}

std::unique_ptr<MemoryBuffer> KernelCache::find(const CacheKey &key) {
  SmallString<128> path(directory);
  sys::path::append(path, key.fileName());
  std::unique_ptr<MemoryBuffer> file = read(path), object;
  if (file) {
    if (auto contents = parse(file->getBuffer()))
      object = MemoryBuffer::getMemBufferCopy(contents->object, key.name);
    else
      sys::fs::remove(path);
  }
  std::lock_guard lock(mutex);
  ++(object ? hits : misses);
  return object;
}

void KernelCache::store(const CacheKey &key, StringRef object) {
  if (!getWriteError().empty())
    return;
  if (Error error = write(key, object)) {
    std::string text = toString(std::move(error));
    std::lock_guard lock(mutex);
    writeError = text;
  }
}

Error KernelCache::write(const CacheKey &key, StringRef object) {
  if (std::error_code error = sys::fs::create_directories(directory, /*IgnoreExisting=*/true, sys::fs::owner_all))
    return makeError(directory, error);
  std::string rest;
  raw_string_ostream(rest) << json::Value(json::Object{{"name", json::fixUTF8(key.name)},
                                                       {"cpu", key.cpu},
                                                       {"features", key.features},
                                                       {"compiler", key.compiler}})
                           << '\n'
                           << object;
  SmallString<128> path(directory);
  sys::path::append(path, key.fileName());
  auto write = [&](OutputFile file) -> Error {
    if (Error error = file.append(kMagic.str() + hash({rest}) + "\n"))
      return error;
    if (Error error = file.append(rest))
      return error;
    return file.commit(/*isSynced=*/false); // an entry that a power failure leaves incomplete is discarded
  };
  Expected<OutputFile> file = OutputFile::create(path, S_IRUSR | S_IWUSR);
  if (Error error = file ? write(std::move(*file)) : file.takeError())
    return createStringError(inconvertibleErrorCode(), directory + ": " + toString(std::move(error)));
  return Error::success();
}

void KernelCache::prune() {
  CachePruningPolicy policy;
  policy.MaxSizeBytes = maxBytes;
  policy.Expiration = std::chrono::hours(30 * 24);
  if (sys::fs::is_directory(directory))
    pruneCache(directory, policy);
}

std::vector<CachedKernel> KernelCache::list() const {
  std::vector<CachedKernel> entries;
  for (const std::string &name : getFiles(directory)) {
    SmallString<128> path(directory);
    sys::path::append(path, name);
    CachedKernel entry;
    entry.file = name;
    sys::fs::file_status status;
    std::unique_ptr<MemoryBuffer> file = read(path);
    if (!file || sys::fs::status(path, status))
      continue; // somebody else has just removed it
    entry.bytes = int64_t(status.getSize());
    entry.lastUse = sys::toTimeT(status.getLastAccessedTime());
    std::optional<Contents> contents = parse(file->getBuffer());
    entry.isCorrupt = !contents;
    if (contents)
      for (auto [field, text] : {std::pair("name", &entry.name), std::pair("cpu", &entry.cpu),
                                 std::pair("features", &entry.features), std::pair("compiler", &entry.compiler)})
        *text = contents->description.getString(field).value_or("").str();
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string KernelCache::explainMiss(const CacheKey &key) const {
  std::string sameName;
  for (const CachedKernel &entry : list()) {
    if (entry.isCorrupt)
      continue;
    if (entry.name == key.name)
      sameName = entry.file;
    if (!StringRef(entry.file).starts_with((kPrefix + key.content + "-").str()))
      continue;
    if (entry.compiler != key.compiler)
      return "cached by another version of Nacre, " + entry.compiler + "; this one is " + key.compiler;
    if (entry.cpu != key.cpu)
      return "cached for the CPU " + entry.cpu + ", not for " + key.cpu;
    if (entry.features != key.features)
      return "cached for other features of the CPU";
  }
  if (!sameName.empty())
    return "a kernel of this name is cached, but with other contents: sizes, types or what was fused differ";
  return "no kernel like it was compiled with this cache, or its entry was pruned";
}

Expected<size_t> KernelCache::clear() {
  size_t count = 0;
  for (const std::string &name : getFiles(directory)) {
    SmallString<128> path(directory);
    sys::path::append(path, name);
    if (std::error_code error = sys::fs::remove(path))
      return makeError(path, error);
    ++count;
  }
  return count;
}

std::string KernelCache::getWriteError() const {
  std::lock_guard lock(mutex);
  return writeError;
}
