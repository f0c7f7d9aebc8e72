// Mask proposals of Selective Search on the photographs of Segmentation/val of the VOC subset in
// BBAM_SHARED: how well the best of them fit the objects, and the seconds they take on one thread.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>

#include "bench/pair.h"
#include "datasets/voc.h"
#include "segmenters/selective_search.h"
#include "tensor/device.h"
#include "tensor/profile.h"

namespace bbam::bench {
namespace {

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
const std::vector<int64_t> kBudgets{100, 500, 1000, 2000, 4000, kAll};

// IoU of each proposal with an object (1 its pixels, kVoid not counted).
std::vector<double> overlaps(const RegionProposals& proposals, const Image& object) {
  std::vector<uint8_t> inside, counted;
  for (const uint8_t pixel : object.pixels) {
    inside.push_back(pixel == 1);
    counted.push_back(pixel != kVoid);
  }
  const Shape shape{object.height, object.width};
  const auto common = pixels_inside(proposals, Tensor::from(inside, shape));
  const auto area = pixels_inside(proposals, Tensor::from(counted, shape));
  const auto object_px = double(std::count(inside.begin(), inside.end(), 1));
  std::vector<double> iou;
  for (size_t k = 0; k < common.size(); ++k)
    iou.push_back(double(common[k]) / (object_px + double(area[k] - common[k])));
  return iou;
}

// What the first so many proposals of each picture reach.
struct Quality {
  std::map<int, std::vector<double>> best_of_class;  // the best IoU with each of its objects
  int64_t proposals = 0;

  void add(int label, const std::vector<double>& iou, int64_t budget) {
    const auto end = iou.begin() + std::min<int64_t>(budget, int64_t(iou.size()));
    best_of_class[label].push_back(iou.begin() == end ? 0 : *std::max_element(iou.begin(), end));
  }
  std::vector<double> best() const {
    std::vector<double> all;
    for (const auto& [label, of_class] : best_of_class)
      all.insert(all.end(), of_class.begin(), of_class.end());
    return all;
  }
  double recall(double iou) const {
    const std::vector<double> all = best();
    return double(std::count_if(all.begin(), all.end(), [&](double v) { return v >= iou; })) /
           double(all.size());
  }
  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / double(values.size());
  }
  double mean_over_classes() const {
    std::vector<double> means;
    for (const auto& [label, of_class] : best_of_class) means.push_back(mean(of_class));
    return mean(means);
  }
};

nlohmann::json print(int64_t budget, const Quality& quality, size_t pictures) {
  const double per_picture = double(quality.proposals) / double(pictures);
  const double abo = Quality::mean(quality.best()), mabo = quality.mean_over_classes();
  fmt::print("{:<10} {:>12.0f} {:>10.3f} {:>10.3f} {:>8.3f} {:>15.3f}\n",
             budget == kAll ? "all" : fmt::format("{}", budget), per_picture, quality.recall(0.5),
             quality.recall(0.7), abo, mabo);
  return {{"proposals_per_picture", per_picture},
          {"recall_50", quality.recall(0.5)},
          {"recall_70", quality.recall(0.7)},
          {"abo_over_objects", abo},
          {"abo_over_classes", mabo}};
}

}  // namespace

nlohmann::json bench_regions() {
  const char* shared = std::getenv("BBAM_SHARED");
  const auto data = std::filesystem::path(shared ? shared : "../shared") / "data/voc2012_subset";
  fmt::print("\nmask proposals, Selective Search, VOC subset, Segmentation/val\n");
  if (!std::filesystem::exists(data)) {
    fmt::print("skipped: no {}; BBAM_SHARED names the folder of reference material\n",
               data.string());
    return {};
  }
  const Dataset dataset = read_voc(data.string(), "Segmentation/val");
  std::vector<Quality> quality(kBudgets.size());
  double seconds = 0;
  int64_t superpixels = 0;
  const int all_threads = threads();
  set_threads(1);
  for (const Record& record : dataset.records) {
    const Image picture = read_picture(record);
    const Tensor rgb = Tensor::from(picture.pixels, {picture.height, picture.width, 3});
    const double start_s = profile::now_s();
    const RegionProposals proposals = selective_search(rgb, {.most = 0}, 1);
    seconds += profile::now_s() - start_s;
    const auto labels = proposals.superpixels.to_vector<int32_t>();
    superpixels += *std::max_element(labels.begin(), labels.end()) + 1;
    const std::vector<Image> masks = read_masks(record);
    for (size_t b = 0; b < kBudgets.size(); ++b)
      quality[b].proposals += std::min(kBudgets[b], int64_t(proposals.regions.size()));
    for (size_t k = 0; k < masks.size(); ++k) {
      const std::vector<double> iou = overlaps(proposals, masks[k]);
      for (size_t b = 0; b < kBudgets.size(); ++b)
        quality[b].add(record.objects[k].label, iou, kBudgets[b]);
    }
  }
  set_threads(all_threads);
  const size_t pictures = dataset.records.size();
  fmt::print("{} pictures, {} objects; {:.2f} s and {} superpixels a picture, one thread\n",
             pictures, quality[0].best().size(), seconds / double(pictures),
             superpixels / int64_t(pictures));
  fmt::print("{:<10} {:>12} {:>10} {:>10} {:>8} {:>15}\n", "first", "per picture", "recall .5",
             "recall .7", "ABO", "mean of classes");
  nlohmann::json result{{"seconds_per_picture", seconds / double(pictures)}};
  for (size_t b = 0; b < kBudgets.size(); ++b)
    result[kBudgets[b] == kAll ? "all" : fmt::format("first_{}", kBudgets[b])] =
        print(kBudgets[b], quality[b], pictures);
  return result;
}

}  // namespace bbam::bench
