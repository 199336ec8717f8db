// libFuzzer's mutations of modules as text: of tokens and lines instead of bytes, so that
// much of what comes out is read to its end. Tokens are those of the inputs seen so far.
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using llvm::StringRef;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

enum Class { Space, Word, Name, Number, String, Punctuation };

struct Token {
  Class kind;
  StringRef text;
};

/// Splits all of a text into tokens.
std::vector<Token> split(StringRef text) {
  std::vector<Token> tokens;
  auto isWord = [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.' || c == '$'; };
  while (!text.empty()) {
    char first = text.front();
    Class kind = Punctuation;
    size_t size = 1;
    auto extend = [&](Class found, auto &&holds) {
      kind = found;
      while (size < text.size() && holds(text[size]))
        ++size;
    };
    if (llvm::isSpace(first))
      extend(Space, [](char c) { return llvm::isSpace(c); });
    else if (StringRef("%@#!^").contains(first))
      extend(Name, isWord);
    else if (llvm::isDigit(first))
      extend(Number, [](char c) { return llvm::isDigit(c) || c == '.'; });
    else if (llvm::isAlpha(first) || first == '_')
      extend(Word, isWord);
    else if (first == '"') {
      kind = String;
      size = std::min(text.size(), text.find('"', 1) == StringRef::npos ? 1 : text.find('"', 1) + 1);
    }
    tokens.push_back({kind, text.take_front(size)});
    text = text.drop_front(size);
  }
  return tokens;
}

/// Tokens of all inputs, by class.
class Pool {
public:
  static Pool &get() {
    static Pool pool;
    return pool;
  }
  void add(const std::vector<Token> &tokens) {
    for (const Token &token : tokens)
      if (texts[token.kind].size() < 4096 && token.text.size() < 64 && known.insert(token.text).second)
        texts[token.kind].push_back(token.text.str());
  }
  const std::vector<std::string> &operator[](Class kind) const { return texts[kind]; }

private:
  llvm::StringSet<> known;
  std::array<std::vector<std::string>, 6> texts;
};

class Mutator {
public:
  Mutator(std::string text, unsigned seed) : text(std::move(text)), random(seed) {}

  std::string mutate() {
    switch (pick(8)) {
    case 0:
      editLines([&](auto &lines) { lines.erase(lines.begin() + ptrdiff_t(pick(lines.size()))); });
      break;
    case 1:
      editLines([&](auto &lines) { lines.insert(anywhere(lines), std::string(lines[pick(lines.size())])); });
      break;
    case 2:
      editLines([&](auto &lines) { std::swap(lines[pick(lines.size())], lines[pick(lines.size())]); });
      break;
    case 3:
      editTokens([&](auto &tokens, size_t at) { tokens.erase(tokens.begin() + ptrdiff_t(at)); });
      break;
    case 4:
      editTokens([&](auto &tokens, size_t at) { tokens.insert(tokens.begin() + ptrdiff_t(at), tokens[pick(tokens.size())]); });
      break;
    case 5:
      editNumber();
      break;
    default:
      replaceToken();
    }
    return std::move(text);
  }

  /// Some lines of another module.
  std::string splice(StringRef other) {
    std::vector<std::string> donors = getLines(other);
    editLines([&](auto &lines) {
      size_t from = pick(donors.size()), count = std::min(donors.size() - from, 1 + pick(6));
      lines.insert(anywhere(lines), donors.begin() + ptrdiff_t(from), donors.begin() + ptrdiff_t(from + count));
    });
    return std::move(text);
  }

private:
  size_t pick(size_t count) { return random() % count; }
  template <typename Range> auto anywhere(Range &range) { return range.begin() + ptrdiff_t(pick(range.size() + 1)); }

  static std::vector<std::string> getLines(StringRef text) {
    std::vector<std::string> lines;
    for (StringRef line : llvm::split(text, '\n'))
      lines.push_back(line.str());
    return lines;
  }
  template <typename Edit> void editLines(Edit edit) {
    std::vector<std::string> lines = getLines(text);
    edit(lines);
    text = llvm::join(lines, "\n");
  }
  template <typename Edit> void editTokens(Edit edit) {
    std::vector<Token> tokens = split(text);
    if (tokens.empty())
      return;
    edit(tokens, pick(tokens.size()));
    std::string result;
    for (const Token &token : tokens)
      result += token.text;
    text = std::move(result);
  }

  void editNumber() {
    std::vector<Token> tokens = split(text);
    std::vector<size_t> numbers;
    for (size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i].kind == Number)
        numbers.push_back(i);
    if (numbers.empty())
      return replaceToken();
    constexpr StringRef edges[] = {"0", "-1", "1", "2", "3", "4", "7", "16", "-9223372036854775808", "9223372036854775807",
                                   "18446744073709551615", "2147483648", "1099511627776", "0x7FC00000", "1.0e+300", "?"};
    std::string edge = edges[pick(std::size(edges))].str();
    tokens[numbers[pick(numbers.size())]].text = edge;
    std::string result;
    for (const Token &token : tokens)
      result += token.text;
    text = std::move(result);
  }

  void replaceToken() {
    editTokens([&](auto &tokens, size_t at) {
      for (size_t i = at; i < tokens.size(); ++i)
        if (tokens[i].kind != Space) {
          Class kind = pick(12) ? tokens[i].kind : Class(1 + pick(5));
          const std::vector<std::string> &texts = Pool::get()[kind];
          if (!texts.empty())
            tokens[i].text = texts[pick(texts.size())];
          return;
        }
    });
  }

  std::string text;
  std::minstd_rand random;
};

size_t deliver(StringRef text, uint8_t *data, size_t maxSize) {
  text = text.take_front(maxSize);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  std::minstd_rand random(seed);
  std::string text(reinterpret_cast<const char *>(data), size);
  Pool::get().add(split(text));
  if (text.empty() || random() % 32 == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  for (size_t count = 1 + random() % 4; count > 0; --count)
    text = Mutator(std::move(text), unsigned(random())).mutate();
  return deliver(text, data, maxSize);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                            uint8_t *out, size_t maxSize, unsigned seed) {
  std::string text(reinterpret_cast<const char *>(data1), size1);
  return deliver(Mutator(std::move(text), seed).splice({reinterpret_cast<const char *>(data2), size2}), out, maxSize);
}
