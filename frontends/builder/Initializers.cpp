//===- Initializers.cpp - What weights are at first -------------*- C++ -*-===//
#include "frontends/builder/Initializers.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"

using namespace nacre;
using namespace nacre::builder;
using llvm::StringRef;

namespace {

/// "name:key=number,...", its settings taken one by one.
class Spec {
public:
  explicit Spec(StringRef text) : text(text) {
    StringRef settings;
    std::tie(name, settings) = text.split(':');
    llvm::SmallVector<StringRef> parts;
    settings.split(parts, ',', -1, /*KeepEmpty=*/false);
    for (StringRef part : parts) {
      auto [key, value] = part.split('=');
      double number = 0;
      if (value.trim().getAsDouble(number) || !std::isfinite(number))
        refuse("'" + part.str() + "' is no setting, expected key=number");
      else
        values[key.trim()] = number;
    }
  }

  double take(StringRef key, double otherwise) {
    auto found = values.find(key);
    if (found == values.end())
      return otherwise;
    double value = found->second;
    values.erase(found);
    return value;
  }

  void refuse(const std::string &why) {
    if (error.empty())
      error = "the initializer '" + text.str() + "': " + why;
  }
  /// After all settings that it has were taken.
  void finish() {
    if (!values.empty())
      refuse("it has no setting '" + values.begin()->first().str() + "'");
  }

  StringRef text, name;
  std::string error;

private:
  llvm::StringMap<double> values;
};

double drawTruncated(RandomStream &random) {
  for (;;)
    if (double x = random.normal(); std::abs(x) <= 2)
      return x;
}

/// The deviation of a normal distribution cut at two deviations.
constexpr double kTruncatedDeviation = 0.87962566103423978;

/// Orthonormal rows, or columns if there are fewer of them: Gram-Schmidt on random
/// vectors, twice for accuracy (Giraud et al., 2005).
std::vector<float> makeOrthogonal(int64_t rows, int64_t columns, double gain, RandomStream &random) {
  bool transposes = rows > columns;
  int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  std::vector<double> q(size_t(count * length));
  for (int64_t i = 0; i < count; ++i) {
    double *v = &q[size_t(i * length)], norm = 0;
    do {
      for (int64_t k = 0; k < length; ++k)
        v[k] = random.normal();
      for (int pass = 0; pass < 2; ++pass)
        for (int64_t j = 0; j < i; ++j) {
          const double *u = &q[size_t(j * length)];
          double dot = 0;
          for (int64_t k = 0; k < length; ++k)
            dot += u[k] * v[k];
          for (int64_t k = 0; k < length; ++k)
            v[k] -= dot * u[k];
        }
      norm = 0;
      for (int64_t k = 0; k < length; ++k)
        norm += v[k] * v[k];
      norm = std::sqrt(norm);
    } while (norm < 1e-8);
    for (int64_t k = 0; k < length; ++k)
      v[k] /= norm;
  }
  std::vector<float> values(q.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      values[size_t(r * columns + c)] = float(gain * (transposes ? q[size_t(c * length + r)] : q[size_t(r * length + c)]));
  return values;
}

/// The fans of [..., in, out].
Fans getFans(const std::vector<int64_t> &dims) {
  int64_t area = 1;
  for (size_t i = 0; i + 2 < dims.size(); ++i)
    area *= dims[i];
  if (dims.empty())
    return {1, 1};
  int64_t out = dims.back(), in = dims.size() > 1 ? dims[dims.size() - 2] : out;
  return {in * area, out * area};
}

} // namespace

Result<std::vector<float>> builder::makeInitialValues(const std::string &initializer, const std::vector<int64_t> &dims,
                                                      Fans fans, RandomStream random) {
  Spec spec(initializer);
  int64_t count = 1;
  for (int64_t size : dims)
    count *= size;
  std::vector<float> values(static_cast<size_t>(count));
  auto fill = [&](auto draw) {
    for (float &value : values)
      value = float(draw());
  };
  auto fillUniform = [&](double low, double high) { fill([&] { return low + (high - low) * random.uniform(); }); };
  if (fans.in == 0 && fans.out == 0)
    fans = getFans(dims);

  StringRef family = spec.name, form;
  std::tie(family, form) = spec.name.rsplit('_');
  double variance = llvm::StringSwitch<double>(family)
                        .Cases({"glorot", "xavier"}, 2.0 / double(std::max<int64_t>(fans.in + fans.out, 1)))
                        .Cases({"he", "kaiming"}, 2.0 / double(std::max<int64_t>(fans.in, 1)))
                        .Case("lecun", 1.0 / double(std::max<int64_t>(fans.in, 1)))
                        .Case("fan_in", 1.0 / (3.0 * double(std::max<int64_t>(fans.in, 1))))
                        .Default(0);
  if (spec.name == "zeros") {
  } else if (spec.name == "ones") {
    fill([] { return 1; });
  } else if (spec.name == "constant") {
    fill([value = spec.take("value", 0)] { return value; });
  } else if (spec.name == "uniform") {
    double low = spec.take("min", -0.05), high = spec.take("max", 0.05);
    fillUniform(low, high);
  } else if (spec.name == "normal" || spec.name == "truncated_normal") {
    double mean = spec.take("mean", 0), deviation = spec.take("stddev", 0.05);
    if (spec.name == "normal")
      fill([&] { return mean + deviation * random.normal(); });
    else
      fill([&] { return mean + deviation * drawTruncated(random); });
  } else if (variance > 0 && form == "uniform") {
    double limit = std::sqrt(3 * variance);
    fillUniform(-limit, limit);
  } else if (variance > 0 && form == "normal" && family != "fan_in") {
    double deviation = std::sqrt(variance) / kTruncatedDeviation;
    fill([&] { return deviation * drawTruncated(random); });
  } else if (spec.name == "orthogonal") {
    double gain = spec.take("gain", 1);
    if (dims.size() < 2)
      spec.refuse("it takes two dimensions or more");
    else if (count > 0)
      values = makeOrthogonal(dims[0], count / dims[0], gain, random);
  } else {
    spec.refuse("it is unknown; expected zeros, ones, constant, uniform, normal, truncated_normal, orthogonal, "
                "fan_in_uniform, or glorot, he or lecun with _uniform or _normal");
  }
  spec.finish();
  if (!spec.error.empty())
    return Error{NACRE_INVALID_ARGUMENT, spec.error};
  return values;
}
