//===- NodeLocation.cpp - The node of a model as a location -----*- C++ -*-===//
#include "dialects/nn/NodeLocation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace nacre;

Location nn::getNodeLocation(MLIRContext *context, StringRef name,
                             StringRef opType) {
  return NameLoc::get(
      StringAttr::get(context, Twine(name) + " (" + opType + ")"));
}

std::string nn::printable(StringRef name, size_t maxLength) {
  // What is cut is never looked at: a name may have megabytes.
  if (name.size() > maxLength) {
    size_t half = maxLength / 2;
    return printable(name.take_front(half), maxLength) + "..." +
           printable(name.take_back(half), maxLength);
  }
  std::string result;
  llvm::raw_string_ostream os(result);
  const auto *p = reinterpret_cast<const llvm::UTF8 *>(name.begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(name.end());
  while (p < end) {
    unsigned length = llvm::getNumBytesForUTF8(*p);
    bool valid =
        length <= unsigned(end - p) && llvm::isLegalUTF8Sequence(p, p + length);
    // C0, DEL and C1 (U+0080..U+009F) control a terminal.
    bool control =
        *p < 0x20 || *p == 0x7f || (*p == 0xc2 && valid && p[1] < 0xa0);
    if (!valid || control) {
      os << "\\x" << llvm::hexdigit(*p >> 4) << llvm::hexdigit(*p & 15);
      ++p;
      continue;
    }
    os << StringRef(reinterpret_cast<const char *>(p), length);
    p += length;
  }
  return result;
}

std::string nn::quoted(StringRef name) { return "'" + printable(name) + "'"; }

std::string nn::describeNode(Location location) {
  std::string result;
  location->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    if (!named)
      return WalkResult::advance();
    StringRef text = named.getName();
    size_t split = text.rfind(" (");
    if (split == StringRef::npos || !text.ends_with(")"))
      return WalkResult::advance();
    result = "node " + quoted(text.take_front(split)) + " " + "(" +
             printable(text.drop_front(split + 2).drop_back()) + ")";
    return WalkResult::interrupt();
  });
  return result;
}

std::string nn::formatDiagnostic(Diagnostic &diagnostic, StringRef fileName) {
  std::string result;
  auto append = [&](StringRef part) {
    result.append(part.begin(), part.end());
  };
  if (!fileName.empty())
    append(printable(fileName, 512) + ": ");
  std::string node = describeNode(diagnostic.getLocation());
  if (!node.empty())
    append(node + ": ");
  // What our own ops say of themselves, the node has said.
  std::string text = diagnostic.str();
  StringRef message = text;
  size_t opName = message.starts_with("'nn.") ? message.find("' op ") : StringRef::npos;
  append(node.empty() || opName == StringRef::npos ? message : message.drop_front(opName + 5));
  for (Diagnostic &note : diagnostic.getNotes())
    append("\n  note: " + formatDiagnostic(note, ""));
  return result;
}
