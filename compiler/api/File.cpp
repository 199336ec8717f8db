//===- File.cpp - Files that appear whole -----------------------*- C++ -*-===//
#include "compiler/api/File.h"
#include "compiler/support/OutputFile.h"

using namespace nacre;

Status nacre::writeFile(const std::string &path, std::string_view text) {
  if (llvm::Error error = writeTextFile(path, text))
    return Error{NACRE_IO_ERROR, "cannot write '" + path + "': " + llvm::toString(std::move(error))};
  return {};
}
