#include "attribution/pseudo_label.h"

#include <algorithm>

#include "attribution/masks.h"

namespace bbam {
namespace {

// METHOD A7: the fills that are tried in turn, and the share of the box that is enough.
struct Fallback {
  std::vector<double> fills;
  double enough;
};
const Fallback kForNoMap{{0.7, 0.8, 0.9, 0.95}, 1.0 / 5};
const Fallback kForSmallMask{{0.7, 0.8, 0.9, 0.95, 0.96}, 1.0 / 3};
constexpr double kSmallMask = 1.0 / 5, kSmallBox = 1.0 / 10;
constexpr float kLeastOfMap = 1.f / 255;

// The first mask that covers enough of the box, else the last. `certain`: a mask whose pixels the
// CRF is given as 1.
Tensor filled_and_refined(const DenseCrf& crf, const PixelRect& box, const Fallback& fallback,
                          const Tensor& certain, double certainty) {
  std::vector<Tensor> starts;
  for (const double value : fallback.fills)
    starts.push_back(
        one_inside(filled_box(box, value, crf.height(), crf.width(), certain.device()), certain));
  const std::vector<Tensor> masks = refined_masks(crf, starts, certainty);
  for (const Tensor& mask : masks)
    if (double(count_ones(mask)) > fallback.enough * double(box.area())) return mask;
  return masks.back();
}

class Labeller {
 public:
  Labeller(const Tensor& image, const PseudoLabelOptions& options)
      : height_(image.dim(0)), width_(image.dim(1)), device_(image.device()), options_(options),
        crf_(image, options.crf) {}

  std::vector<ObjectLabel> label(const std::vector<MapOfObject>& objects) {
    std::vector<ObjectLabel> labels(objects.size());
    std::vector<size_t> mapped;
    for (size_t k = 0; k < objects.size(); ++k) {
      if (has_map(objects[k])) {
        mapped.push_back(k);
      } else {
        const PixelRect box = pixel_rect(objects[k].box, height_, width_);
        const Tensor none = zero_mask();
        labels[k] = {filled_and_refined(crf_, box, kForNoMap, none, options_.certainty), none,
                     LabelSource::kNoMap};
      }
    }
    if (mapped.empty()) return labels;
    if (options_.method == LabelMethod::kPaper) {
      label_as_paper(objects, mapped, labels);
    } else {
      label_as_authors(objects, mapped, labels);
    }
    return labels;
  }

 private:
  static bool has_map(const MapOfObject& object) {
    if (!object.map.defined()) return false;
    const auto values = object.map.to(kCpu).to_vector<float>();
    return std::any_of(values.begin(), values.end(), [](float v) { return v >= kLeastOfMap; });
  }

  void label_as_paper(const std::vector<MapOfObject>& objects, const std::vector<size_t>& mapped,
                      std::vector<ObjectLabel>& labels) {
    std::vector<Tensor> maps;
    for (const size_t k : mapped) maps.push_back(scaled(objects[k]));
    const Tensor refined = crf_.infer_foreground(stack_maps(maps));
    for (size_t i = 0; i < mapped.size(); ++i) {
      const auto channel = int64_t(i);
      const Tensor foreground = above(refined, channel, options_.theta_fg);
      const Tensor ignore =
          without(without(all_ones(), below(refined, channel, options_.theta_bg)), foreground);
      labels[mapped[i]] = {foreground, ignore, LabelSource::kMap};
    }
  }

  void label_as_authors(const std::vector<MapOfObject>& objects, const std::vector<size_t>& mapped,
                        std::vector<ObjectLabel>& labels) {
    std::vector<Tensor> maps;
    for (const double theta : {options_.theta_fg, options_.theta_bg})
      for (const size_t k : mapped) maps.push_back(blurred(objects[k], theta));
    const std::vector<Tensor> masks = refined_masks(crf_, maps, options_.certainty);
    for (size_t i = 0; i < mapped.size(); ++i) {
      ObjectLabel& label = labels[mapped[i]];
      const PixelRect box = pixel_rect(objects[mapped[i]].box, height_, width_);
      label.foreground = second_attempt(masks[i], box, label);
      label.ignore =
          without(second_attempt(masks[mapped.size() + i], box, label), label.foreground);
    }
  }

  Tensor scaled(const MapOfObject& object) const {
    const PixelRect box = pixel_rect(object.box, height_, width_);
    const Tensor map = rescaled_map(object.map, box, height_, width_);
    return options_.map_scale == MapScale::kMinMax ? map : rank_normalised(map, box);
  }

  Tensor blurred(const MapOfObject& object, double theta) const {
    const PixelRect box = pixel_rect(object.box, height_, width_);
    return authors_probability(object.map, box, theta, height_, width_, options_.blur_reference_px);
  }

  Tensor second_attempt(const Tensor& mask, const PixelRect& box, ObjectLabel& label) const {
    const SecondAttempt result = or_filled_box(crf_, mask, box, options_.certainty);
    if (result.from_box) label.source = LabelSource::kSmallMask;
    return result.mask;
  }

  Tensor zero_mask() const { return Tensor::zeros({height_, width_}, DType::kU8, device_); }
  Tensor all_ones() const { return Tensor::full({height_, width_}, 1, DType::kU8, device_); }

  int64_t height_, width_;
  Device device_;
  const PseudoLabelOptions& options_;
  DenseCrf crf_;
};

}  // namespace

std::vector<ObjectLabel> pseudo_labels(const Tensor& image, const std::vector<MapOfObject>& objects,
                                       const PseudoLabelOptions& options) {
  check_shape(image, {-1, -1, 3}, "pseudo_labels: image");
  check(0 <= options.theta_bg && options.theta_bg <= options.theta_fg && options.theta_fg <= 1,
        "pseudo_labels: theta_bg ", options.theta_bg, " and theta_fg ", options.theta_fg,
        "; expected 0 <= theta_bg <= theta_fg <= 1");
  check(options.certainty >= 0 && options.certainty <= 1, "pseudo_labels: certainty ",
        options.certainty, "; expected 0 to 1");
  if (objects.empty()) return {};
  return Labeller(image, options).label(objects);
}

std::vector<Tensor> refined_masks(const DenseCrf& crf, const std::vector<Tensor>& probabilities,
                                  double threshold) {
  if (probabilities.empty()) return {};
  const Tensor refined = crf.infer_foreground(stack_maps(probabilities));
  std::vector<Tensor> masks;
  for (int64_t k = 0; k < refined.dim(2); ++k) masks.push_back(above(refined, k, threshold));
  return masks;
}

SecondAttempt or_filled_box(const DenseCrf& crf, const Tensor& mask, const PixelRect& box,
                            double certainty) {
  check_shape(mask, {crf.height(), crf.width()}, "or_filled_box: mask");
  const bool is_small_box = double(box.area()) < kSmallBox * double(crf.height() * crf.width());
  if (!is_small_box || double(count_ones(mask)) >= kSmallMask * double(box.area()))
    return {mask, false};
  return {filled_and_refined(crf, box, kForSmallMask, mask, certainty), true};
}

}  // namespace bbam
