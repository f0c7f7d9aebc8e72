#include "detectors/retinanet_head.h"

#include <algorithm>
#include <cmath>

#include "layers/shape_ops.h"

namespace bbam {
namespace {

Variable cut(const Variable& x, int64_t image, const Window& w) {
  return slice(slice(slice(x, 0, image, image + 1), 1, w.top, w.bottom), 2, w.left, w.right);
}

// The row numbers of one level and image, as they are in the list of places.
std::vector<int64_t> rows_on(const std::vector<AnchorPlace>& places,
                             const std::vector<int64_t>& image_of_row, int64_t level,
                             int64_t image) {
  std::vector<int64_t> rows;
  for (size_t r = 0; r < places.size(); ++r)
    if (places[r].level == level && image_of_row[r] == image) rows.push_back(int64_t(r));
  return rows;
}

// order[rows[i]] = i: what brings gathered rows back into the order that was asked for.
Tensor inverse(const std::vector<int64_t>& rows) {
  std::vector<int64_t> order(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) order[size_t(rows[i])] = int64_t(i);
  return Tensor::from(order);
}

}  // namespace

Subnet::Subnet(int convolutions, int64_t channels, int64_t outputs, const std::string& name,
               Initializer& init)
    : last_name(name) {
  for (int i = 0; i < convolutions; ++i)
    convs.emplace_back(init.normal({channels, 3, 3, channels}, 0.01), true,
                       Conv2dSpec{.padding = 1});
  last = Conv2d(init.normal({outputs, 3, 3, channels}, 0.01), true, {.padding = 1});
}

Variable Subnet::operator()(const Variable& x) const {
  Variable hidden = x;
  for (const Conv2d& conv : convs) hidden = conv(hidden, true);
  return last(hidden);
}

void Subnet::visit(const std::string& prefix, const ParameterVisitor& f) {
  for (size_t i = 0; i < convs.size(); ++i) convs[i].visit(join(prefix, "conv.", i, ".0."), f);
  last.visit(prefix + last_name + ".", f);
}

RetinaNetHead::RetinaNetHead(int64_t channels, int64_t anchors_per_cell, int64_t classes,
                             int convolutions, double prior, Initializer& init)
    : classification(convolutions, channels, anchors_per_cell * classes, "cls_logits", init),
      regression(convolutions, channels, anchors_per_cell * 4, "bbox_reg", init),
      anchors_per_cell_(anchors_per_cell) {
  check(prior > 0 && prior < 1, "RetinaNet: prior probability ", prior,
        "; expected between 0 and 1");
  classification.last.bias.mutable_value().fill(-std::log((1 - prior) / prior));
}

RetinaNetOutput RetinaNetHead::operator()(const std::vector<Variable>& features) const {
  RetinaNetOutput output;
  for (const Variable& feature : features) {
    output.class_logits.push_back(classification(feature));
    output.deltas.push_back(regression(feature));
  }
  return output;
}

AnchorAnswers RetinaNetHead::at(const std::vector<Variable>& features,
                                const std::vector<AnchorPlace>& places,
                                const std::vector<int64_t>& image_of_row) const {
  const int64_t classes = classification.last.weight.dim(0) / anchors_per_cell_;
  const Tensor& weights = classification.last.weight.value();
  if (places.empty())
    return {Tensor::zeros({0, classes}, weights.dtype(), weights.device()),
            Tensor::zeros({0, 4}, weights.dtype(), weights.device())};
  std::vector<Shape> shapes;
  for (const Variable& level : features)
    shapes.push_back(level.defined() ? level.shape() : Shape{0, 0, 0, 0});
  const auto windows = anchor_windows(shapes, places, image_of_row, classification.reach());
  std::vector<Variable> logits, deltas;
  std::vector<int64_t> order;
  for (size_t level = 0; level < features.size(); ++level)
    for (size_t n = 0; n < windows[level].size(); ++n) {
      const Window& w = windows[level][n];
      if (w.empty()) continue;
      // Zeros stand around the cut as around the whole: where the cut ends inside the level they
      // falsify what is nearer to its edge than the subnets reach, and no anchor is.
      const Variable x = cut(features[level], int64_t(n), w);
      std::vector<int64_t> inside;
      const auto rows = rows_on(places, image_of_row, int64_t(level), int64_t(n));
      for (const int64_t r : rows) {
        const AnchorPlace& p = places[size_t(r)];
        const int64_t cell = (p.row - w.top) * (w.right - w.left) + p.column - w.left;
        inside.push_back(cell * anchors_per_cell_ + p.kind);
      }
      const Tensor indices = Tensor::from(inside).to(x.device());
      logits.push_back(gather_rows(reshape(classification(x), {-1, classes}), indices));
      deltas.push_back(gather_rows(reshape(regression(x), {-1, 4}), indices));
      order.insert(order.end(), rows.begin(), rows.end());
    }
  const Tensor back = inverse(order).to(logits[0].device());
  return {gather_rows(concat(logits, 0), back), gather_rows(concat(deltas, 0), back)};
}

void RetinaNetHead::visit(const std::string& prefix, const ParameterVisitor& f) {
  classification.visit(prefix + "classification_head.", f);
  regression.visit(prefix + "regression_head.", f);
}

std::vector<std::vector<Window>> anchor_windows(const std::vector<Shape>& features,
                                                const std::vector<AnchorPlace>& places,
                                                const std::vector<int64_t>& image_of_row,
                                                int64_t reach) {
  check(places.size() == image_of_row.size(), "anchor_windows: ", places.size(), " anchors in ",
        image_of_row.size(), " rows");
  std::vector<std::vector<Window>> windows;
  for (const Shape& level : features) windows.emplace_back(size_t(level[0]));
  for (size_t r = 0; r < places.size(); ++r) {
    const AnchorPlace& p = places[r];
    const Shape& level = features.at(size_t(p.level));
    check(image_of_row[r] >= 0 && image_of_row[r] < level[0], "RetinaNet: row ", r, " is of image ",
          image_of_row[r], " on level ", p.level, ", which has ", level[0], " images");
    Window& w = windows[size_t(p.level)][size_t(image_of_row[r])];
    if (w.empty()) w = {level[1], 0, level[2], 0};
    w = {std::min(w.top, std::max<int64_t>(p.row - reach, 0)),
         std::max(w.bottom, std::min(p.row + reach + 1, level[1])),
         std::min(w.left, std::max<int64_t>(p.column - reach, 0)),
         std::max(w.right, std::min(p.column + reach + 1, level[2]))};
  }
  return windows;
}

}  // namespace bbam
