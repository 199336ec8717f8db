//===- TrainPlot.cpp - Curves of a training as a picture --------*- C++ -*-===//
#include "tools/nacre/TrainReport.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace nacre;
using namespace nacre::tool;
namespace json = llvm::json;

namespace {

constexpr double kWidth = 720, kPanel = 260, kLeft = 70, kRight = 20, kTop = 34, kBottom = 36;

struct Curve {
  const char *label, *colour;
  std::vector<std::pair<double, double>> points; // epoch and value
};

/// 1, 2 or 5 times a power of ten: the distance of about `count` lines over a range.
double chooseStep(double range, double count) {
  double raw = range / count, power = std::pow(10, std::floor(std::log10(raw))), part = raw / power;
  return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/// One panel, `top` down.
class Panel {
public:
  Panel(llvm::raw_ostream &os, double top, std::vector<Curve> curves) : os(os), top(top), curves(std::move(curves)) {
    for (const Curve &curve : this->curves)
      for (auto [x, y] : curve.points) {
        left = isEmpty ? x : std::min(left, x);
        right = isEmpty ? x : std::max(right, x);
        low = isEmpty ? y : std::min(low, y);
        high = isEmpty ? y : std::max(high, y);
        isEmpty = false;
      }
    if (right <= left)
      left -= 0.5, right += 0.5;
    if (!(high - low > 1e-12 * std::fabs(high)))
      low -= 0.5, high += 0.5;
  }

  void draw(const std::string &title) {
    os << llvm::formatv("<text x=\"{0}\" y=\"{1}\" font-weight=\"bold\">", kLeft, top + 20);
    llvm::printHTMLEscaped(title, os);
    os << "</text>\n";
    double step = chooseStep(high - low, 4);
    for (double y = std::ceil(low / step) * step; y <= high + 1e-9 * step; y += step) {
      os << llvm::formatv("<path d=\"M{0:F1} {1:F1}H{2:F1}\" stroke=\"#ddd\"/>", kLeft, yOf(y), kWidth - kRight);
      os << llvm::formatv("<text x=\"{0:F1}\" y=\"{1:F1}\" text-anchor=\"end\">", kLeft - 6, yOf(y) + 4)
         << llvm::format("%.6g", std::fabs(y) < 1e-9 * step ? 0.0 : y) << "</text>\n";
    }
    double epochs = std::max(1.0, chooseStep(right - left, 8));
    for (double x = std::ceil(left / epochs) * epochs; x <= right; x += epochs)
      os << llvm::formatv("<text x=\"{0:F1}\" y=\"{1:F1}\" text-anchor=\"middle\">{2:F0}</text>\n", xOf(x),
                          top + kPanel - kBottom + 16, x);
    double legend = kWidth - kRight;
    for (const Curve &curve : curves) {
      drawCurve(curve);
      os << llvm::formatv("<text x=\"{0:F1}\" y=\"{1:F1}\" text-anchor=\"end\" fill=\"{2}\">{3}</text>\n", legend, top + 20,
                          curve.colour, curve.label);
      legend -= 90;
    }
  }

private:
  void drawCurve(const Curve &curve) const {
    if (curve.points.empty())
      return;
    if (curve.points.size() == 1)
      os << llvm::formatv("<circle cx=\"{0:F1}\" cy=\"{1:F1}\" r=\"3\" fill=\"{2}\"/>\n", xOf(curve.points[0].first),
                          yOf(curve.points[0].second), curve.colour);
    os << "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" << curve.colour << "\" points=\"";
    for (auto [x, y] : curve.points)
      os << llvm::formatv("{0:F1},{1:F1} ", xOf(x), yOf(y));
    os << "\"/>\n";
  }
  double xOf(double x) const { return kLeft + (x - left) / (right - left) * (kWidth - kLeft - kRight); }
  double yOf(double y) const { return top + kPanel - kBottom - (y - low) / (high - low) * (kPanel - kTop - kBottom); }

  llvm::raw_ostream &os;
  double top;
  std::vector<Curve> curves;
  bool isEmpty = true;
  double left = 0, right = 0, low = 0, high = 0;
};

} // namespace

std::string tool::drawCurves(const json::Array &epochs, const std::vector<std::string> &metrics) {
  std::vector<std::string> names = {"loss"};
  names.insert(names.end(), metrics.begin(), metrics.end());
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::formatv("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
                      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
                      kWidth, kPanel * double(names.size()));
  double top = 0;
  for (const std::string &name : names) {
    std::vector<Curve> curves = {{"training", "#1f77b4", {}}};
    Curve valid = {"validation", "#d62728", {}};
    for (const json::Value &entry : epochs) {
      const json::Object *object = entry.getAsObject();
      std::optional<int64_t> epoch = object ? object->getInteger("epoch") : std::nullopt;
      if (!epoch)
        continue;
      if (std::optional<double> value = object->getNumber(name))
        curves[0].points.emplace_back(double(*epoch), *value);
      if (std::optional<double> value = object->getNumber("val_" + name))
        valid.points.emplace_back(double(*epoch), *value);
    }
    if (!valid.points.empty())
      curves.push_back(std::move(valid));
    Panel(os, top, std::move(curves)).draw(name);
    top += kPanel;
  }
  os << "</svg>\n";
  return text;
}
