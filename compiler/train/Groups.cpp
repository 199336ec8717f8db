//===- Groups.cpp - Settings of parameters by their names -------*- C++ -*-===//
#include "compiler/train/Groups.h"

using namespace nacre;
using namespace nacre::train;
using namespace nacre::spec;

static constexpr Setting kSettings[] = {number("lr_factor", 1, kNotNegative, "the learning rate is multiplied with it"),
                                        flag("frozen", "the parameters are not trained")};
static constexpr Entry kGroup{"", kSettings, std::size(kSettings), ""};

bool train::parseGroups(Text list, const Request &optimizer, std::vector<Group> &groups, Message &message) {
  while (!list.empty()) {
    Text text = cut(list, " + ");
    size_t colon = text.rfind(':'); // a name may have one
    Group group;
    group.pattern = trim(text.substr(0, colon));
    if (group.pattern.empty() || colon == Text::npos) {
      message << "group '" << text << "', expected PATTERN:setting,...";
      return false;
    }
    group.optimizer = optimizer;
    group.optimizer.forget();
    Request own;
    own.reset(kGroup);
    for (Text settings = text.substr(colon + 1); !settings.empty();) {
      Text part = cut(settings, ","), rest = part, key = cut(rest, "=");
      bool isOwn = own.has(key);
      if (key == "lr") {
        message << "group '" << group.pattern << "': lr is an input of the step, expected lr_factor";
        return false;
      }
      if (!isOwn && !group.optimizer.has(key)) {
        message << "group '" << group.pattern << "' has no setting '" << key << "': it takes lr_factor, frozen";
        for (int i = 0; i < optimizer.entry->count; ++i)
          if (optimizer.entry->settings[i].key != "lr")
            message << ", " << optimizer.entry->settings[i].key;
        return false;
      }
      if (!(isOwn ? own : group.optimizer).set("group", part, message))
        return false;
    }
    group.rateFactor = own["lr_factor"];
    group.isFrozen = own["frozen"] != 0;
    groups.push_back(group);
  }
  return true;
}

/// Whether a name fits a pattern with * for any letters and ? for one.
static bool matches(Text pattern, Text name) {
  size_t p = 0, n = 0, star = Text::npos, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p, ++n;
    } else if (star != Text::npos) {
      p = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

int train::findGroup(llvm::ArrayRef<Group> groups, llvm::StringRef parameter) {
  for (size_t i = 0; i < groups.size(); ++i)
    if (matches(groups[i].pattern, Text(parameter.data(), parameter.size())))
      return int(i);
  return -1;
}
