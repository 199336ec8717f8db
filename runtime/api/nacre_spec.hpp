// The text in which losses, optimisers, schedules and groups of parameters are asked for,
// and its one parser:
//
//   adamw:lr=3e-4,weight_decay=0.01,amsgrad        name:key=value,flag,...
//   multi-step:milestones=30/60,factor=0.1         lists have slashes
//   softmax-cross-entropy + 0.4*mse@aux            terms: [factor*]what[@outputs]
//
// What exists stands in tables (Entry, Setting), from which messages and help are made. It
// needs no library and no memory, so that the compiler and a program without a C++ library
// use the same. Texts are not copied: they must outlive what is made of them.
#ifndef NACRE_SPEC_HPP
#define NACRE_SPEC_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string_view>

namespace nacre::spec {

using Text = std::string_view;

// What numbers are accepted.
struct Range {
  double least, most;
  const char *words; // "expected ..."
};
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kUnset = std::numeric_limits<double>::quiet_NaN();
inline constexpr Range kAny{std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max(), "a number"};
inline constexpr Range kNotNegative{0, std::numeric_limits<double>::max(), "a number from 0 up"};
inline constexpr Range kPositive{std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max(),
                                 "a number above 0"};
inline constexpr Range kPart{0, 1, "a number from 0 to 1"};
inline constexpr Range kBelowOne{0, 0x1.fffffffffffffp-1, "a number from 0 to below 1"};

enum class Kind { Number, Integer, Flag, Choice, Numbers, Name };

// One thing that can be set.
struct Setting {
  Text key;
  Kind kind;
  double fallback; // a number, 0 for a flag, the place of a choice; kUnset: there is none
  Range range;     // of numbers
  Text choices;    // "mean|sum"
  Text about;
};

constexpr Setting number(Text key, double fallback, Range range, Text about) {
  return {key, Kind::Number, fallback, range, {}, about};
}
constexpr Setting integer(Text key, double fallback, Range range, Text about) {
  return {key, Kind::Integer, fallback, range, {}, about};
}
constexpr Setting flag(Text key, Text about) { return {key, Kind::Flag, 0, kAny, {}, about}; }
constexpr Setting choice(Text key, Text choices, Text about) { return {key, Kind::Choice, 0, kAny, choices, about}; }
constexpr Setting numbers(Text key, Range range, Text about) {
  return {key, Kind::Numbers, kUnset, range, {}, about};
}
constexpr Setting name(Text key, Text about) { return {key, Kind::Name, kUnset, kAny, {}, about}; }

// One thing that can be asked for.
struct Entry {
  Text name;
  const Setting *settings;
  int count;
  Text about;
};

// A sentence that is put together without memory.
class Message {
public:
  Message &operator<<(Text part) {
    size_t room = sizeof text - 1 - length, count = part.size() < room ? part.size() : room;
    std::memcpy(text + length, part.data(), count);
    text[length += count] = 0;
    return *this;
  }
  Message &operator<<(double value) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.12g", value);
    return *this << Text(digits);
  }
  const char *c_str() const { return text; }
  bool isEmpty() const { return length == 0; }

private:
  char text[1024] = "";
  size_t length = 0;
};

// A part of a text; std::string_view::substr needs a library to complain.
inline Text slice(Text text, size_t from, size_t count = Text::npos) {
  from = from < text.size() ? from : text.size();
  return {text.data() + from, count < text.size() - from ? count : text.size() - from};
}

inline Text trim(Text text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// What stands before the first `separator`, which is taken off the text with it.
inline Text cut(Text &text, Text separator) {
  size_t place = text.find(separator);
  Text first = slice(text, 0, place);
  text = place == Text::npos ? Text() : slice(text, place + separator.size());
  return trim(first);
}

// A decimal number, whatever the locale; false if it is none. Rounded once where it has up to
// 15 digits and a small exponent, as it does when a person writes it.
inline bool parseNumber(Text text, double &value) {
  bool isNegative = !text.empty() && text[0] == '-';
  size_t i = isNegative || (!text.empty() && text[0] == '+') ? 1 : 0, digits = 0;
  double mantissa = 0;
  int exponent = 0;
  bool isFraction = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !isFraction) {
      isFraction = true;
      continue;
    }
    if (text[i] < '0' || text[i] > '9')
      break;
    mantissa = mantissa * 10 + (text[i] - '0');
    exponent -= isFraction;
    ++digits;
  }
  if (digits == 0)
    return false;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E')
      return false;
    bool isDown = ++i < text.size() && text[i] == '-';
    i += i < text.size() && (text[i] == '-' || text[i] == '+');
    int given = 0;
    size_t start = i;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i)
      given = given < 1000 ? given * 10 + (text[i] - '0') : given;
    if (i == start || i != text.size())
      return false;
    exponent += isDown ? -given : given;
  }
  double power = 1;
  for (int n = exponent < 0 ? -exponent : exponent; n > 0 && power <= 1e300; --n)
    power *= 10; // exact up to 10^22
  value = exponent < 0 ? mantissa / power : mantissa * power;
  value = isNegative ? -value : value;
  return std::isfinite(value);
}

// What was asked for: an entry, and a value for each of its settings.
class Request {
public:
  static constexpr int kMost = 24;

  const Entry *entry = nullptr;

  double operator[](Text key) const { return values[find(key)]; }
  bool isSet(Text key) const { return given[find(key)]; }
  Text text(Text key) const { return texts[find(key)]; }
  // The place of a choice is its number; this is its name.
  bool is(Text key, Text choice) const {
    Text rest = entry->settings[find(key)].choices;
    for (int place = 0; !rest.empty(); ++place)
      if (cut(rest, "|") == choice)
        return values[find(key)] == place;
    return false;
  }
  template <typename Visit> void forEachNumber(Text key, Visit visit) const {
    Text rest = texts[find(key)];
    while (!rest.empty()) {
      double value = 0;
      parseNumber(cut(rest, "/"), value);
      visit(value);
    }
  }

  // Makes it all that the entry's settings are without being given.
  void reset(const Entry &of) {
    entry = &of;
    for (int i = 0; i < of.count && i < kMost; ++i) {
      values[i] = of.settings[i].fallback;
      texts[i] = {};
      given[i] = false;
    }
  }
  bool has(Text key) const { return find(key) >= 0; }
  // What is set may be set once more.
  void forget() {
    for (bool &isGiven : given)
      isGiven = false;
  }

  // Takes "key=value" or "flag"; false after a message.
  bool set(Text what, Text part, Message &message) {
    Text rest = part, key = cut(rest, "=");
    bool hasValue = part.find('=') != Text::npos;
    int i = find(key);
    if (i < 0) {
      message << what << " '" << entry->name << "' has no setting '" << key << "'";
      message << (entry->count ? ": it takes " : "");
      for (int k = 0; k < entry->count; ++k)
        message << (k ? ", " : "") << entry->settings[k].key;
      return false;
    }
    const Setting &setting = entry->settings[i];
    Text value = trim(rest);
    if (given[i]) {
      message << what << " '" << entry->name << "': " << key << " is given twice";
      return false;
    }
    given[i] = true;
    texts[i] = value;
    bool fits = setting.kind == Kind::Flag ? !hasValue : !value.empty();
    auto isInRange = [&](Text digits, double &result) {
      return parseNumber(digits, result) && result >= setting.range.least && result <= setting.range.most &&
             (setting.kind != Kind::Integer || result == std::floor(result));
    };
    if (setting.kind == Kind::Flag)
      values[i] = 1;
    else if (setting.kind == Kind::Number || setting.kind == Kind::Integer)
      fits = fits && isInRange(value, values[i]);
    else if (setting.kind == Kind::Numbers)
      for (Text list = value; fits && !list.empty();) {
        double element;
        fits = isInRange(cut(list, "/"), element);
      }
    else if (setting.kind == Kind::Choice) {
      fits = false;
      Text choices = setting.choices;
      for (int place = 0; !choices.empty(); ++place)
        if (cut(choices, "|") == value) {
          values[i] = place;
          fits = true;
        }
    }
    if (fits)
      return true;
    message << what << " '" << entry->name << "': '" << part << "', expected ";
    if (setting.kind == Kind::Flag)
      message << key << " without a value";
    else if (setting.kind == Kind::Choice) {
      message << key << "=";
      for (Text rest = setting.choices; !rest.empty();) {
        message << cut(rest, "|");
        message << (rest.empty() ? "" : " or ");
      }
    } else if (setting.kind == Kind::Name)
      message << key << "=NAME";
    else if (setting.kind == Kind::Numbers)
      message << key << "=A/B/..., each " << setting.range.words;
    else
      message << (setting.kind == Kind::Integer ? "a whole number, " : "") << setting.range.words;
    return false;
  }

  // The settings in "key=value,flag"; false after a message.
  bool setAll(Text what, Text settings, Message &message) {
    while (!settings.empty())
      if (Text part = cut(settings, ","); !part.empty() && !set(what, part, message))
        return false;
    return true;
  }

private:
  int find(Text key) const {
    for (int i = 0; entry && i < entry->count; ++i)
      if (entry->settings[i].key == key)
        return i;
    return -1;
  }

  double values[kMost] = {};
  Text texts[kMost];
  bool given[kMost] = {};
};

// Takes "name:settings"; `what` is an optimizer, say. False after a message.
inline bool parse(Text text, const Entry *known, size_t count, Text what, Request &request, Message &message) {
  Text rest = text, name = cut(rest, ":");
  for (size_t i = 0; i < count; ++i)
    if (known[i].name == name) {
      request.reset(known[i]);
      return request.setAll(what, rest, message);
    }
  message << "unknown " << what << " '" << name << "', expected ";
  for (size_t i = 0; i < count; ++i)
    message << (i == 0 ? "" : i + 1 == count ? " or " : ", ") << known[i].name;
  return false;
}
template <size_t N> bool parse(Text text, const Entry (&known)[N], Text what, Request &request, Message &message) {
  return parse(text, known, N, what, request, message);
}

// One term of a sum: "0.4*mse:target=x@aux".
struct Term {
  double factor = 1;
  Text what, outputs; // "mse:target=x", "aux"
};

// Takes the first term off a sum, whose terms stand between " + "; false after a message.
inline bool cutTerm(Text &sum, Term &term, Message &message) {
  bool isLast = sum.find(" + ") == Text::npos;
  Text text = cut(sum, " + ");
  term = {};
  if (!isLast && trim(sum).empty())
    text = {};
  size_t colon = text.find(':'), star = text.find('*');
  if (star != Text::npos && star < colon) {
    if (!parseNumber(trim(slice(text, 0, star)), term.factor)) {
      message << "'" << text << "': '" << slice(text, 0, star) << "' is no number to multiply with";
      return false;
    }
    text = trim(slice(text, star + 1));
  }
  if (slice(text, 0, 7) != "output:") // whose name may have any letters
    if (size_t at = text.find('@'); at != Text::npos) {
      term.outputs = trim(slice(text, at + 1));
      text = trim(slice(text, 0, at));
    }
  term.what = text;
  if (text.empty())
    message << "a term between ' + ' is empty";
  return !text.empty();
}

// A line for each entry and its settings, for help; `print` takes pieces of text.
template <typename Print> void describe(const Entry *known, size_t count, Print print) {
  for (size_t e = 0; e < count; ++e) {
    const Entry &entry = known[e];
    print("  "), print(entry.name), print(": "), print(entry.about), print("\n");
    for (int i = 0; i < entry.count; ++i) {
      const Setting &setting = entry.settings[i];
      Message fallback;
      if (setting.kind == Kind::Choice)
        fallback << "=" << setting.choices;
      else if (setting.kind == Kind::Numbers)
        fallback << "=A/B/...";
      else if (setting.kind == Kind::Name)
        fallback << "=NAME";
      else if (setting.kind != Kind::Flag && !std::isnan(setting.fallback))
        fallback << "=" << setting.fallback;
      else if (setting.kind != Kind::Flag)
        fallback << "=N";
      print("      "), print(setting.key), print(fallback.c_str()), print("  "), print(setting.about), print("\n");
    }
  }
}
template <size_t N, typename Print> void describe(const Entry (&known)[N], Print print) { describe(known, N, print); }

} // namespace nacre::spec

#endif // NACRE_SPEC_HPP
