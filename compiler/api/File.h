//===- File.h - Files that appear whole -------------------------*- C++ -*-===//
#ifndef NACRE_COMPILER_API_FILE_H
#define NACRE_COMPILER_API_FILE_H

#include "runtime/api/nacre.hpp"
#include <string>
#include <string_view>

namespace nacre {

/// Writes a file that appears complete or not at all. The error (NACRE_IO_ERROR) names the path.
Status writeFile(const std::string &path, std::string_view text);

} // namespace nacre

#endif // NACRE_COMPILER_API_FILE_H
