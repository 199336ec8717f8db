// How good a model's outputs are, in numbers that people read, besides the loss:
//
//   nacre::Metric metric;
//   nacre::spec::Message why;
//   if (!nacre::Metric::parse("top-k:k=3@logits", metric, why)) ...
//   metric.add(output, target, why);    // of each batch
//   double share = metric.value();      // over all of them
//
// Sums are in double, so that batches of any size give the same to the last digits. Like
// nacre_spec.hpp it needs no library and no memory; the text must outlive the metric.
#ifndef NACRE_METRIC_HPP
#define NACRE_METRIC_HPP

#include "nacre.h"
#include "nacre_spec.hpp"

namespace nacre {

namespace detail {

inline constexpr spec::Setting kMetricTarget = spec::name("target", "the input with what the output should be");
inline constexpr spec::Setting kMetricIgnore =
    spec::integer("ignore_index", -100, spec::kAny, "labels that do not count");
inline constexpr spec::Setting kMetricThreshold = spec::number("threshold", 0.5, spec::kAny, "what is above it means yes");

inline constexpr spec::Setting kAccuracy[] = {kMetricIgnore, kMetricTarget};
inline constexpr spec::Setting kTopK[] = {
    spec::integer("k", 5, {1, 1e9, "from 1 up"}, "how many guesses there are"), kMetricIgnore, kMetricTarget};
inline constexpr spec::Setting kBinary[] = {kMetricThreshold, kMetricTarget};
inline constexpr spec::Setting kDistance[] = {kMetricTarget};

template <size_t N>
constexpr spec::Entry metricEntry(spec::Text name, const spec::Setting (&settings)[N], spec::Text about) {
  return {name, settings, N, about};
}

inline constexpr spec::Entry kMetrics[] = {
    metricEntry("accuracy", kAccuracy, "share of the labels, or of the largest targets, whose class has the largest output"),
    metricEntry("top-k", kTopK, "share of the labels whose class is among the k largest outputs"),
    metricEntry("binary-accuracy", kBinary, "share of the elements that say yes or no as their targets do"),
    metricEntry("precision", kBinary, "share of those that say yes whose targets do"),
    metricEntry("recall", kBinary, "share of the targets that are yes whose elements say so"),
    metricEntry("f1", kBinary, "harmonic mean of precision and recall"),
    metricEntry("mae", kDistance, "mean absolute difference of the elements"),
    metricEntry("mse", kDistance, "mean squared difference"),
    metricEntry("rmse", kDistance, "root of the mean squared difference"),
};

// Element i of a tensor as a number; false for types that a metric does not take.
inline bool readElement(const nacre_tensor &tensor, int64_t i, double &value) {
  auto read = [&](auto type) {
    std::memcpy(&type, static_cast<const char *>(tensor.data) + size_t(i) * sizeof type, sizeof type);
    value = double(type);
    return true;
  };
  switch (tensor.dtype) {
  case NACRE_F32: return read(float());
  case NACRE_F64: return read(double());
  case NACRE_I64: return read(int64_t());
  case NACRE_I32: return read(int32_t());
  case NACRE_BOOL:
  case NACRE_U8: return read(uint8_t());
  default: return false;
  }
}

} // namespace detail

class Metric {
public:
  // Takes "name:settings@output"; false after a message.
  static bool parse(spec::Text text, Metric &metric, spec::Message &why) {
    metric = {};
    metric.asked = spec::trim(text);
    spec::Text rest = text, what = spec::cut(rest, "@");
    metric.outputName = spec::trim(rest);
    return spec::parse(what, detail::kMetrics, "metric", metric.request, why);
  }
  // A line for each metric and each of its settings.
  template <typename Print> static void describe(Print print) { spec::describe(detail::kMetrics, print); }

  // As it was asked for.
  spec::Text name() const { return asked; }
  // Of the model; empty: the first.
  spec::Text output() const { return outputName; }
  // The input with the targets; empty: as the losses call it.
  spec::Text target() const { return request.text("target"); }
  // Whether more of it is better.
  bool isShare() const { return !is("mae") && !is("mse") && !is("rmse"); }

  void reset() { sums = {}; }

  // What has been counted. Setting it goes on where another metric was.
  struct Sums {
    double first = 0, second = 0, third = 0;
  };
  const Sums &getSums() const { return sums; }
  void setSums(const Sums &other) { sums = other; }

  // Counts a batch, of which tensors have the first `rows` entries. False after a message if
  // output and target do not fit each other; nothing has been counted then.
  bool add(const nacre_tensor &output, const nacre_tensor &target, int64_t rows, spec::Message &why) {
    double value;
    if (!detail::readElement(output, 0, value) || !detail::readElement(target, 0, value))
      return refuse(output, target, "numbers that it can read (f32, f64, i64, i32, u8, bool)", why);
    if (is("accuracy") || is("top-k"))
      return addLabels(output, target, rows, why);
    if (!haveSameSizes(output, target, 0))
      return refuse(output, target, "the same sizes", why);
    int64_t count = rows;
    for (int32_t d = 1; d < output.rank; ++d)
      count *= output.dims[d];
    for (int64_t i = 0; i < count; ++i) {
      double is, should;
      detail::readElement(output, i, is);
      detail::readElement(target, i, should);
      addElement(is, should);
    }
    return true;
  }

  // NaN if nothing has been counted that it could be a share or a mean of.
  double value() const {
    if (is("rmse"))
      return std::sqrt(sums.first / sums.second);
    if (is("f1")) // true positives, all yes among outputs, among targets
      return 2 * sums.first / (sums.second + sums.third);
    return is("recall") ? sums.first / sums.third : sums.first / sums.second;
  }

private:
  bool is(spec::Text name) const { return request.entry->name == name; }

  void addElement(double is, double should) {
    if (request.has("threshold")) {
      bool yes = is > request["threshold"], wanted = should > 0.5;
      if (this->is("binary-accuracy")) {
        sums.first += yes == wanted;
        sums.second += 1;
        return;
      }
      sums.first += yes && wanted;
      sums.second += yes;
      sums.third += wanted;
      return;
    }
    double difference = std::fabs(is - should);
    sums.first += this->is("mae") ? difference : difference * difference;
    sums.second += 1;
  }

  // Scores [N, C, D...] against labels [N, D...], or targets like the scores.
  bool addLabels(const nacre_tensor &output, const nacre_tensor &target, int64_t rows, spec::Message &why) {
    bool isSoft = output.rank >= 2 && haveSameSizes(output, target, 0);
    if (output.rank < 2 || !(isSoft || haveSameSizes(output, target, 1)))
      return refuse(output, target, "scores [N, C, ...] and labels [N, ...], or targets like the scores", why);
    int64_t classes = output.dims[1], inner = 1;
    for (int32_t d = 2; d < output.rank; ++d)
      inner *= output.dims[d];
    double least = is("top-k") ? request["k"] : 1;
    for (int64_t place = 0; place < rows * inner; ++place) {
      int64_t base = place / inner * classes * inner + place % inner;
      double label;
      if (isSoft)
        label = double(findLargest(target, base, classes, inner));
      else
        detail::readElement(target, place, label);
      if (!isSoft && label == request["ignore_index"])
        continue;
      sums.second += 1;
      if (label >= 0 && label < double(classes))
        sums.first += countAbove(output, base, classes, inner, int64_t(label)) < int64_t(least);
    }
    return true;
  }

  static int64_t findLargest(const nacre_tensor &tensor, int64_t base, int64_t count, int64_t stride) {
    int64_t largest = 0;
    double most = 0, value;
    for (int64_t i = 0; i < count; ++i)
      if (detail::readElement(tensor, base + i * stride, value); i == 0 || value > most) {
        most = value;
        largest = i;
      }
    return largest;
  }

  // How many come before `which` in descending order; of equal ones the first does. A score
  // that is NaN is behind all.
  static int64_t countAbove(const nacre_tensor &tensor, int64_t base, int64_t count, int64_t stride, int64_t which) {
    double own, value;
    detail::readElement(tensor, base + which * stride, own);
    int64_t above = 0;
    for (int64_t i = 0; i < count; ++i) {
      detail::readElement(tensor, base + i * stride, value);
      above += i != which && (value > own || (value == own && i < which) || (own != own && value == value));
    }
    return above;
  }

  // Whether the target's sizes are the output's, without dimension 1 if `dropped`.
  static bool haveSameSizes(const nacre_tensor &output, const nacre_tensor &target, int32_t dropped) {
    if (target.rank != output.rank - dropped)
      return false;
    for (int32_t d = 0; d < target.rank; ++d)
      if (target.dims[d] != output.dims[d == 0 ? 0 : d + dropped])
        return false;
    return true;
  }

  bool refuse(const nacre_tensor &output, const nacre_tensor &target, spec::Text expected, spec::Message &why) const {
    auto print = [&](const nacre_tensor &tensor) {
      why << nacre_dtype_name(nacre_dtype(tensor.dtype)) << "[";
      for (int32_t d = 0; d < tensor.rank; ++d)
        (why << (d ? ", " : "")) << double(tensor.dims[d]);
      why << "]";
    };
    why << "metric '" << asked << "': the output is ";
    print(output);
    why << ", its target ";
    print(target);
    why << ", expected " << expected;
    return false;
  }

  spec::Text asked, outputName;
  spec::Request request;
  Sums sums;
};

} // namespace nacre

#endif // NACRE_METRIC_HPP
