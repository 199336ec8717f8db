//===- TrainData.cpp - Examples in files ------------------------*- C++ -*-===//
#include "tools/nacre/TrainData.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <type_traits>

using namespace nacre;
using namespace nacre::tool;
namespace fs = llvm::sys::fs;

namespace {

/// Targets in files have whatever type was at hand: integers become the step's, and so do
/// integers and floats where it takes floats.
void adapt(HostTensor &tensor, nacre_dtype wanted) {
  auto convert = [&](auto from, auto to) {
    using From = decltype(from);
    using To = decltype(to);
    std::vector<std::byte> converted(tensor.data.size() / sizeof(From) * sizeof(To));
    for (size_t i = 0; i < tensor.data.size() / sizeof(From); ++i) {
      std::memcpy(&from, &tensor.data[i * sizeof(From)], sizeof(From));
      to = To(from);
      std::memcpy(&converted[i * sizeof(To)], &to, sizeof(To));
    }
    tensor.data = std::move(converted);
    tensor.dtype = wanted;
  };
  auto convertNumber = [&](auto from) {
    if (wanted == NACRE_I64 && std::is_integral_v<decltype(from)>)
      return convert(from, int64_t()); // u64 beyond it becomes negative: refused
    if (wanted == NACRE_F32)
      return convert(from, float());
    if (wanted == NACRE_F64)
      return convert(from, double());
  };
  if (tensor.dtype == wanted)
    return;
  switch (tensor.dtype) {
  case NACRE_BOOL: // a byte, 0 or 1
  case NACRE_U8: return convertNumber(uint8_t());
  case NACRE_I8: return convertNumber(int8_t());
  case NACRE_I16: return convertNumber(int16_t());
  case NACRE_U16: return convertNumber(uint16_t());
  case NACRE_I32: return convertNumber(int32_t());
  case NACRE_U32: return convertNumber(uint32_t());
  case NACRE_I64: return convertNumber(int64_t());
  case NACRE_U64: return convertNumber(uint64_t());
  case NACRE_F32: return convertNumber(float());
  case NACRE_F64: return convertNumber(double());
  default: return;
  }
}

} // namespace

Result<DataFiles> DataFiles::open(const std::string &path) {
  DataFiles files;
  files.path = path;
  auto addArray = [&](const std::string &file) -> Status {
    auto buffer = llvm::MemoryBuffer::getFile(file, false, /*RequiresNullTerminator=*/false);
    if (!buffer)
      return Error{NACRE_IO_ERROR, file + ": " + buffer.getError().message()};
    files.arrays.emplace_back(file, std::move(*buffer));
    return {};
  };
  if (!fs::is_directory(path) && llvm::StringRef(path).ends_with(".npy")) {
    Status added = addArray(path);
    return added ? Result<DataFiles>(std::move(files)) : added.error();
  }
  if (!fs::is_directory(path)) {
    Result<Archive> archive = Archive::open(path);
    if (!archive)
      return archive.error();
    files.archives.emplace_back(path, *std::move(archive));
    return files;
  }
  std::vector<std::string> paths;
  std::error_code code;
  for (fs::directory_iterator entry(path, code), end; entry != end && !code; entry.increment(code))
    if (llvm::StringRef name = llvm::sys::path::filename(entry->path()); !name.starts_with("."))
      paths.push_back(entry->path());
  if (code)
    return Error{NACRE_IO_ERROR, path + ": cannot be read: " + code.message()};
  llvm::sort(paths);
  for (const std::string &file : paths) {
    if (llvm::StringRef(file).ends_with(".npz")) {
      Result<Archive> archive = Archive::open(file);
      if (!archive)
        return archive.error();
      files.archives.emplace_back(file, *std::move(archive));
    } else if (llvm::StringRef(file).ends_with(".npy")) {
      if (Status added = addArray(file); !added)
        return added.error();
    }
  }
  if (files.archives.empty() == files.arrays.empty())
    return Error{NACRE_INVALID_VALUE, path + ": " + (files.archives.empty() ? "no .npz or .npy files are in it"
                                                                           : "has both .npz and .npy files, which are "
                                                                             "not told apart: expected one kind")};
  return files;
}

std::map<std::string, std::vector<int64_t>> DataFiles::shapes() const {
  std::map<std::string, std::vector<int64_t>> shapes;
  auto add = [&](llvm::StringRef name, const std::optional<TensorView> &view) {
    if (!view || view->dims().empty())
      return;
    auto [known, isNew] = shapes.try_emplace(name.str(), view->dims().begin(), view->dims().end());
    known->second.front() += isNew ? 0 : view->dims().front();
  };
  for (const auto &[path, archive] : archives)
    for (const ArchiveEntry &entry : archive.getEntries())
      add(entry.name, archive.describe(entry));
  for (const File &file : arrays) {
    llvm::StringRef name = llvm::sys::path::stem(file.first);
    std::optional<TensorView> view = describeNpy(file.second->getBuffer());
    for (; !name.empty(); name = name.rsplit('.').first) {
      add(name, view);
      if (!name.contains('.'))
        break;
    }
  }
  return shapes;
}

/// Examples are read here and there: what stands beside them is not wanted.
static void expectRandomAccess(const TensorView &view) {
#ifdef MADV_RANDOM
  size_t size = size_t(view.elements()) * size_t(nacre_dtype_bits(view.dtype())) / 8, page = 4096;
  if (size < (size_t(64) << 20))
    return;
  auto begin = (reinterpret_cast<uintptr_t>(view.data()) + page - 1) / page * page;
  (void)madvise(reinterpret_cast<void *>(begin), size - page, MADV_RANDOM); // advice alone
#endif
}

Status TrainData::add(const std::string &name, const Found &found, nacre_dtype wanted) {
  std::optional<TensorView> view;
  if (found.entry) {
    Result<std::optional<TensorView>> stored = found.archive->view(*found.entry);
    if (!stored)
      return stored.error();
    view = *stored;
  } else {
    view = viewNpy(found.bytes);
  }
  bool mustAdapt = wanted != NACRE_UNDEFINED && view && view->dtype() != wanted;
  if (view && !mustAdapt) {
    expectRandomAccess(*view);
  } else {
    Result<HostTensor> tensor = found.entry ? found.archive->read(*found.entry) : parseNpy(found.bytes, found.file);
    if (!tensor)
      return tensor.error();
    if (wanted != NACRE_UNDEFINED)
      adapt(*tensor, wanted);
    view = owned.emplace_back(*std::move(tensor)).view();
  }
  if (list.empty() || list.back().name != name)
    list.push_back({name, *view});
  else
    list.back().more.push_back(*view);
  return {};
}

/// Whether all parts are of one kind, and in each all arrays are of one length.
Status TrainData::checkParts(const std::vector<std::string> &parts) const {
  for (size_t part = 0; part < parts.size() && parts.size() > 1; ++part)
    for (const Column &column : list) {
      const TensorView &view = column.part(part), &first = column.data, &other = list.front().part(part);
      auto describe = [&](const std::string &what) {
        return Error{NACRE_INVALID_SHAPE, parts[part] + ": array '" + column.name + "' is " + toString(view) + what};
      };
      if (view.dims().empty() || other.dims().empty())
        return describe(", without a dimension for the examples");
      bool isAlike = view.dtype() == first.dtype() && std::ranges::equal(view.dims().subspan(1), first.dims().subspan(1));
      if (!isAlike)
        return describe(", but in " + parts[0] + " it is " + toString(first) + "; expected arrays that differ in the number "
                        "of examples alone");
      if (view.dims()[0] != other.dims()[0])
        return describe(", but '" + list.front().name + "' has " + std::to_string(other.dims()[0]) + " entries there");
    }
  return {};
}

void TrainData::addOthers(const DataFiles &files) {
  llvm::StringSet<> used;
  for (const Column &column : list)
    used.insert(column.name);
  auto add = [&](llvm::StringRef name, const std::optional<TensorView> &view) {
    if (view && used.insert(name).second)
      list.push_back({name.str(), *view});
  };
  for (const auto &[path, archive] : files.archives)
    for (const ArchiveEntry &entry : archive.getEntries())
      add(entry.name, archive.describe(entry));
  for (const DataFiles::File &file : files.arrays) {
    llvm::StringRef name = llvm::sys::path::stem(file.first), start = name;
    bool isUsed = used.contains(name);
    for (; !isUsed && start.contains('.'); isUsed = used.contains(start))
      start = start.rsplit('.').first;
    if (!isUsed)
      add(name, describeNpy(file.second->getBuffer()));
  }
}

Result<TrainData> TrainData::read(const DataFiles &files, const Model &model) {
  TrainData data;
  std::vector<TensorInfo> inputs;
  llvm::StringSet<> own; // the model's
  for (const Function &function : model.functions())
    for (const TensorInfo &input : function.inputs) {
      if (function.name == "main")
        own.insert(input.name);
      if (function.name == "step")
        inputs.push_back(input);
    }
  // Of .npy files: what stands before .npy, or before .PART.npy; the longest name that fits.
  std::map<std::string, std::map<std::string, const DataFiles::File *>> arrays; // by column and part
  for (const DataFiles::File &file : files.arrays) {
    llvm::StringRef name = llvm::sys::path::stem(file.first), best;
    for (const TensorInfo &input : inputs)
      if (llvm::StringRef known = input.name; known.size() >= best.size() && name.starts_with(known) &&
                                              (name == known || name[known.size()] == '.'))
        best = known;
    if (!best.empty())
      arrays[best.str()][name.drop_front(best.size()).str()] = &file;
  }
  std::vector<std::string> parts;
  for (const TensorInfo &input : inputs) {
    std::string name(input.name);
    nacre_dtype wanted = own.contains(name) ? NACRE_UNDEFINED : input.dtype;
    std::vector<std::pair<std::string, Found>> found; // by part
    for (const auto &[path, archive] : files.archives)
      if (const ArchiveEntry *entry = archive.find(name))
        found.push_back({path, {path, {}, &archive, entry}});
    for (const auto &[part, file] : arrays[name])
      found.push_back({files.path + "/*" + part + ".npy", {file->first, file->second->getBuffer()}});
    if (found.empty())
      continue; // the trainer knows which it needs
    std::vector<std::string> names;
    for (const auto &[part, where] : found)
      names.push_back(part);
    std::vector<std::string> expected = parts;
    if (parts.empty())
      for (const auto &[path, archive] : files.archives)
        expected.push_back(path);
    for (const std::string &part : expected)
      if (!llvm::is_contained(names, part))
        return Error{NACRE_INVALID_VALUE, part + ": has no array '" + name + "', which " + names.front() + " has"};
    if (!expected.empty() && names.size() > expected.size())
      for (const std::string &part : names)
        if (!llvm::is_contained(expected, part))
          return Error{NACRE_INVALID_VALUE, part + ": is there of '" + name + "', but not of '" + data.list.front().name + "'"};
    parts = names;
    for (const auto &[part, where] : found)
      if (Status added = data.add(name, where, wanted); !added)
        return added.error();
  }
  if (Status checked = data.checkParts(parts); !checked)
    return checked.error();
  data.addOthers(files);
  return data;
}
