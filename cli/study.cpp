#include "cli/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "attribution/masks.h"
#include "cli/boxes.h"
#include "cli/evaluation.h"
#include "datasets/mask_metrics.h"

namespace bbam {
namespace {

constexpr const char *kBox = "filled box", *kBoxCrf = "filled box + CRF", *kMap = "map",
                     *kAuthors = "map, authors' label step",
                     *kPaper = "map by extremes, paper's label step",
                     *kRank = "map by rank, paper's label step";

Tensor threshold(const Tensor& map, double at) {
  return above(map.reshape({map.dim(0), map.dim(1), 1}), 0, at);
}

bool is_in(double area_px, const CocoAreaRange& range) {
  return area_px >= range.min_px && area_px <= range.max_px;
}

}  // namespace

double StudyColumn::mean() const {
  if (iou.empty()) return -1;
  return std::accumulate(iou.begin(), iou.end(), 0.0) / double(iou.size());
}

Study::Study(const StudySpec& spec) : spec_(spec) {
  columns_.push_back({kBox, "", {}});
  for (const double f : spec.fills) columns_.push_back({kBoxCrf, fmt::format("fill {}", f), {}});
  for (const double t : spec.raw) columns_.push_back({kMap, fmt::format("above {:.2f}", t), {}});
  for (const double t : spec.thetas) columns_.push_back({kAuthors, fmt::format("theta {}", t), {}});
  for (const char* family : {kPaper, kRank})
    for (const double t : spec.marginals)
      columns_.push_back({family, fmt::format("above {}", t), {}});
}

void Study::add(const Image& picture, const std::vector<StudyObject>& objects) {
  const int64_t height = picture.height, width = picture.width;
  const DenseCrf crf(Tensor::from(picture.pixels, {height, width, 3}), spec_.crf);
  for (const StudyObject& object : objects) {
    if (!object.map.defined()) continue;
    const PixelRect box = pixel_rect(object.box, picture.size());
    const Tensor map = rescaled_map(object.map, box, height, width);
    std::vector<Tensor> starts;
    for (const double f : spec_.fills) starts.push_back(filled_box(box, f, height, width, kCpu));
    for (const double theta : spec_.thetas)
      starts.push_back(
          authors_probability(object.map, box, theta, height, width, spec_.blur_reference_px));
    starts.push_back(map);
    starts.push_back(rank_normalised(map, box));
    const Tensor refined = crf.infer_foreground(stack_maps(starts));

    std::vector<Tensor> masks{filled_box(object.box, picture.size())};
    const auto fills = int64_t(spec_.fills.size()), thetas = int64_t(spec_.thetas.size());
    for (int64_t k = 0; k < fills; ++k) masks.push_back(above(refined, k, spec_.certainty));
    for (const double t : spec_.raw) masks.push_back(threshold(map, t));
    for (int64_t k = 0; k < thetas; ++k) {
      const SecondAttempt label =
          or_filled_box(crf, above(refined, fills + k, spec_.certainty), box, spec_.certainty);
      columns_[masks.size()].from_boxes += label.from_box;
      masks.push_back(label.mask);
    }
    for (int64_t k = fills + thetas; k < fills + thetas + 2; ++k)
      for (const double t : spec_.marginals) masks.push_back(above(refined, k, t));

    const Tensor truth = equal_to(object.truth, 1), left_out = equal_to(object.truth, kVoid);
    for (size_t c = 0; c < columns_.size(); ++c)
      columns_[c].iou.push_back(mask_iou(masks[c], truth, left_out));
    areas_px_.push_back(double(count_ones(truth)));
    const Tensor whole = rescaled_map(object.map, {0, 0, width, height}, height, width);
    if (areas_px_.back() > 0) positions_.add(relative_positions(truth, high_pixels(whole)));
  }
}

double Study::mean(const StudyColumn& column, const CocoAreaRange& range) const {
  double sum = 0;
  for (size_t i = 0; i < areas_px_.size(); ++i)
    if (is_in(areas_px_[i], range)) sum += column.iou[i];
  const int64_t count = objects(range);
  return count > 0 ? sum / double(count) : -1;
}

int64_t Study::objects(const CocoAreaRange& range) const {
  return std::count_if(areas_px_.begin(), areas_px_.end(),
                       [&](double area) { return is_in(area, range); });
}

const StudyColumn& Study::best(const std::string& family) const {
  const StudyColumn* best = nullptr;
  for (const StudyColumn& column : columns_)
    if (column.family == family && (best == nullptr || column.mean() > best->mean()))
      best = &column;
  check(best != nullptr, "the study has no '", family, "'");
  return *best;
}

}  // namespace bbam
