// Chooses among the code that a model has for several CPUs.
#include "runtime/core/Model.h"
#include "runtime/device/Cpu.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nacre::runtime {

const nacre_abi_model *getFallback(const nacre_abi_model &model) {
  return model.abi_version >= NACRE_ABI_WITH_FALLBACKS ? model.fallback
                                                       : nullptr;
}

namespace {

// A list in a sentence, "'a', 'b'" or "'a' needs 'x'", cut where it becomes too
// long.
class List {
public:
  void add(const char *name, const char *needs) {
    std::size_t length = std::strlen(text);
    std::snprintf(text + length, sizeof text - length, "%s'%s'%s%s%s",
                  length ? ", " : "", name, needs ? " needs '" : "",
                  needs ? needs : "", needs ? "'" : "");
  }
  char text[400] = "";
};

} // namespace

nacre_status chooseVersion(const char *what, const nacre_abi_model *&model) {
  if (!getFallback(*model))
    return NACRE_OK; // checkDescriptor looks at its features
  const char *wanted = secure_getenv("NACRE_TARGET_CPU");
  if (wanted && !*wanted)
    wanted = nullptr;
  List names, lacks;
  for (const nacre_abi_model *version = model; version;
       version = getFallback(*version)) {
    const char *name = version->target_cpu ? version->target_cpu : "";
    names.add(Quoted(name).text, nullptr);
    if (wanted && std::strcmp(wanted, name) != 0)
      continue;
    char missing[64];
    if (!findMissingFeature(version->target_features, missing)) {
      model = version;
      return NACRE_OK;
    }
    lacks.add(Quoted(name).text, Quoted(missing).text);
  }
  if (wanted && !*lacks.text)
    return fail(NACRE_INVALID_ARGUMENT,
                "%s: NACRE_TARGET_CPU is '%s', but the model is compiled for "
                "the CPUs %s",
                what, Quoted(wanted).text, names.text);
  return fail(NACRE_INCOMPATIBLE,
              "%s: compiled for the CPUs %s, which need CPU features that "
              "this machine lacks: %s; compile the model again with a "
              "--target-cpu that fits%s",
              what, names.text, lacks.text,
              wanted ? ", or unset NACRE_TARGET_CPU" : "");
}

} // namespace nacre::runtime
