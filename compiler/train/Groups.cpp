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
    group.text = trim(text.substr(0, colon));
    if (group.text.empty() || colon == Text::npos) {
      message << "group '" << text << "', expected PATTERN:setting,...";
      return false;
    }
    auto pattern = llvm::GlobPattern::create(group.text, /*MaxSubPatterns=*/1024);
    if (!pattern) {
      message << "group '" << group.text << "': " << Text(llvm::toString(pattern.takeError()));
      return false;
    }
    group.pattern = std::move(*pattern);
    group.optimizer = optimizer;
    group.optimizer.forget();
    Request own;
    own.reset(kGroup);
    for (Text settings = text.substr(colon + 1); !settings.empty();) {
      Text part = cut(settings, ","), rest = part, key = cut(rest, "=");
      bool isOwn = own.has(key);
      if (key == "lr") {
        message << "group '" << group.text << "': lr is an input of the step, expected lr_factor";
        return false;
      }
      if (!isOwn && !group.optimizer.has(key)) {
        message << "group '" << group.text << "' has no setting '" << key << "': it takes lr_factor, frozen";
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

int train::findGroup(llvm::ArrayRef<Group> groups, llvm::StringRef parameter) {
  for (size_t i = 0; i < groups.size(); ++i)
    if (groups[i].pattern.match(parameter))
      return int(i);
  return -1;
}
