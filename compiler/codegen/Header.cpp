//===- Header.cpp - A model's signature as C --------------------*- C++ -*-===//
//
// The arguments of a function are the slots of runtime/abi/nacre_entry.h as a struct.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/EntryPoints.h"
#include "compiler/codegen/Identifiers.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "runtime/abi/nacre_dtype.h"

using namespace llvm;
using namespace nacre::codegen;

std::string nacre::codegen::makeIdentifier(StringRef name) {
  static constexpr StringLiteral words[] = {
      "alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char", "class",
      "concept", "const", "consteval", "constexpr", "constinit", "continue", "default", "delete", "do",
      "double", "else", "enum", "explicit", "export", "extern", "false", "float", "for", "friend",
      "goto", "if", "inline", "int", "linux", "long", "mutable", "namespace", "new", "noexcept", "not",
      "nullptr", "operator", "or", "private", "protected", "public", "register", "requires",
      "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "template",
      "this", "throw", "true", "try", "typedef", "typeid", "typename", "union", "unix", "unsigned",
      "using", "virtual", "void", "volatile", "while", "xor", "NULL", "errno"};
  std::string identifier;
  for (char c : name.take_front(200))
    identifier += isAlnum(c) ? c : '_';
  // Names that begin with an underscore are C's own.
  if (identifier.empty() || identifier[0] == '_' || isDigit(identifier[0]))
    identifier = "m" + identifier;
  if (is_contained(words, StringRef(identifier)))
    identifier += '_';
  return identifier;
}

std::string UniqueIdentifiers::add(StringRef name) {
  std::string first = makeIdentifier(name), identifier = first;
  for (int number = 2; !taken.insert(identifier).second; ++number)
    identifier = first + "_" + std::to_string(number);
  return identifier;
}

namespace {

/// For a comment: of one line, and without its end; cut to a readable length.
std::string quote(StringRef name) {
  std::string text;
  for (char c : name.take_front(100))
    text += (unsigned char)(c) < 0x20 || c == 0x7f || c == '/' || c == '*' || c == '\\' || c == '?'
                ? formatv("%{0:X-2}", (unsigned char)c).str()
                : std::string(1, c);
  return name.size() > 100 ? text + "..." : text;
}

/// C's type for elements, or for what they are packed into.
StringRef getCType(int32_t dtype) {
  switch (dtype) {
  case NACRE_DTYPE_F32:
  case NACRE_DTYPE_C64: // pairs
    return "float";
  case NACRE_DTYPE_F64:
  case NACRE_DTYPE_C128:
    return "double";
  case NACRE_DTYPE_I8:
    return "int8_t";
  case NACRE_DTYPE_I16:
    return "int16_t";
  case NACRE_DTYPE_I32:
    return "int32_t";
  case NACRE_DTYPE_I64:
    return "int64_t";
  case NACRE_DTYPE_U16:
  case NACRE_DTYPE_F16: // bits
  case NACRE_DTYPE_BF16:
    return "uint16_t";
  case NACRE_DTYPE_U32:
    return "uint32_t";
  case NACRE_DTYPE_U64:
    return "uint64_t";
  default: // booleans, and what is packed into bytes
    return "uint8_t";
  }
}

std::string describe(const TensorInfo &info) {
  std::string text = std::string(nacre_abi_dtype_name(info.dtype)) + "[";
  for (size_t i = 0; i < info.sizes.size(); ++i)
    text += (i ? ", " : "") + (info.sizes[i] >= 0         ? std::to_string(info.sizes[i])
                               : info.symbols[i].empty() ? "?"
                                                         : quote(info.symbols[i]));
  return text + "]";
}

class HeaderWriter {
public:
  HeaderWriter(const CompiledModule &compiled, StringRef name, StringRef artifact)
      : compiled(compiled), name(name), artifact(artifact) {}

  std::string write() {
    for (const FunctionInfo &function : compiled.functions)
      writeFunction(function);
    std::string guard = StringRef(name).upper() + "_H";
    std::string text = std::string(kHeaderMark) + "; do not edit.\n *\n * A model as C functions, which are in " +
                       quote(sys::path::filename(artifact)) +
                       (artifact.ends_with(".o") ? ", to be linked with libnacre-runtime.\n"
                                                 : ", with all that they need.\n");
    for (const FunctionInfo &function : compiled.functions)
      text += summarize(function);
    text += " *\n" + example + " */\n";
    text += formatv("#ifndef {0}\n#define {0}\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n",
                    guard).str();
    text += formatv("/* A model ready to run: threads and memory. */\ntypedef struct {0} {0};\n\n"
                    "/* Makes one that runs on `threads` threads, 0: on all cores. NULL after a failure.\n"
                    " * Any number of them share the weights. */\n"
                    "{0} *{0}_create(int32_t threads);\n\n"
                    "/* NULL is allowed; no run may be in flight. */\nvoid {0}_destroy({0} *model);\n\n"
                    "/* Why the calling thread's last failing call failed. */\nconst char *{0}_last_error(void);\n\n"
                    "/* Ends the runs in flight soon, from any thread or a signal's handler. */\n"
                    "int32_t {0}_cancel({0} *model);\n\n", name).str();
    if (isTrained(compiled))
      text += formatv("/* Writes all that training changes as one .safetensors file, which appears complete or not at\n"
                      " * all, and sets it to what such a file has, between other calls. 0, or a failure that\n"
                      " * last_error tells. */\n"
                      "int32_t {0}_save({0} *model, const char *path);\n"
                      "int32_t {0}_load({0} *model, const char *path);\n\n", name).str();
    if (usesStrings)
      text += formatv("/* An element of a tensor of strings. */\ntypedef struct {0}_string {{\n"
                      "  const char *data; /* UTF-8; may be NULL only if size is 0 */\n"
                      "  int64_t size;\n} {0}_string;\n\n", name).str();
    if (usesTensors)
      text += formatv("/* An output whose sizes the run finds out. Begin with zeros ({{0}); a run fills in the\n"
                      " * rest, in memory of its own, which a later run uses again. */\n"
                      "typedef struct {0}_tensor {{\n  const char *name;\n  void *data;\n  int64_t size; /* bytes */\n"
                      "  int32_t dtype; /* ONNX's number */\n  int32_t rank;\n  int64_t dims[16];\n"
                      "  const int64_t *strides; /* NULL: row-major */\n  void *owner;\n} {0}_tensor;\n\n"
                      "/* Gives the memory back. */\nvoid {0}_tensor_release({0}_tensor *tensor);\n\n", name).str();
    text += functions;
    text += formatv("#ifdef __cplusplus\n}\n#endif\n#endif /* {0} */\n", guard).str();
    return text;
  }

private:
  std::string summarize(const FunctionInfo &function) const {
    std::string text = " *\n * " + name.str() + "_" + getFunctionSuffix(function.name) + "\n";
    auto add = [&](StringRef kind, const std::vector<TensorInfo> &tensors) {
      for (const TensorInfo &tensor : tensors)
        text += " *   " + kind.str() + quote(tensor.name) + ": " + describe(tensor) + "\n";
    };
    add("input   ", function.inputs);
    add("output  ", function.outputs);
    return text;
  }

  void writeFunction(const FunctionInfo &function) {
    std::string suffix = getFunctionSuffix(function.name), full = name.str() + "_" + suffix;
    functions += formatv("/* The arguments of {0}. Tensors are row-major, without gaps. */\ntypedef struct {0}_args {{\n",
                         full).str();
    UniqueIdentifiers identifiers;
    StringSet<> sizes;
    std::string values;
    for (const TensorInfo &input : function.inputs)
      for (size_t d = 0; d < input.sizes.size(); ++d) {
        StringRef symbol = input.symbols[d];
        if (input.sizes[d] >= 0 || (!symbol.empty() && !sizes.insert(symbol).second))
          continue;
        std::string identifier =
            identifiers.add(symbol.empty() ? input.name + "_dim" + std::to_string(d) : symbol.str());
        functions += formatv("  int64_t {0}; /* size: dimension {1} of {2} */\n", identifier, d, quote(input.name)).str();
        values += "." + identifier + " = 1, ";
      }
    for (const TensorInfo &input : function.inputs) {
      std::string identifier = identifiers.add(input.name);
      bool isString = input.dtype == NACRE_DTYPE_STRING;
      usesStrings |= isString;
      functions += formatv("  const {0} *{1}; /* in: {2} */\n",
                           isString ? name.str() + "_string" : getCType(input.dtype).str(), identifier,
                           describe(input)).str();
      values += "." + identifier + " = ..., ";
    }
    for (const TensorInfo &output : function.outputs) {
      std::string identifier = identifiers.add(output.name);
      bool isSized = output.dtype != NACRE_DTYPE_STRING;
      for (size_t d = 0; d < output.sizes.size(); ++d)
        isSized &= output.sizes[d] >= 0 || (!output.symbols[d].empty() && sizes.contains(output.symbols[d]));
      usesTensors |= !isSized;
      usesStrings |= output.dtype == NACRE_DTYPE_STRING;
      functions += formatv("  {0} *{1}; /* out: {2}; NULL: not wanted */\n",
                           isSized ? getCType(output.dtype).str() : name.str() + "_tensor", identifier,
                           describe(output)).str();
      values += "." + identifier + " = ..., ";
    }
    functions += formatv("} {0}_args;\n\n", full).str();
    functions += function.name == "step"
                     ? "/* One step of training: updates this model's parameters, which run reads.\n"
                       " * 0, or a failure that last_error tells. One call at a time. */\n"
                 : function.name == "evaluate"
                     ? "/* The loss and the outputs, without training. 0, or a failure that last_error tells.\n"
                       " * Any number of threads may call it at once. */\n"
                     : "/* 0, or a failure that last_error tells. Any number of threads may call it at once. */\n";
    functions += formatv("int32_t {0}({1} *model, const {0}_args *args);\n\n", full, name).str();
    if (example.empty())
      example = formatv(" *   {0} *model = {0}_create(0);\n *   {1}_args args = {{{2}};\n"
                        " *   if (!model || {1}(model, &args) != 0)\n *     puts({0}_last_error());\n"
                        " *   {0}_destroy(model);\n", name, full, StringRef(values).drop_back(values.empty() ? 0 : 2)).str();
  }

  const CompiledModule &compiled;
  StringRef name, artifact;
  std::string functions, example;
  bool usesStrings = false, usesTensors = false;
};

} // namespace

std::string nacre::codegen::makeHeader(const CompiledModule &compiled, StringRef name, StringRef artifact) {
  return HeaderWriter(compiled, name, artifact).write();
}
