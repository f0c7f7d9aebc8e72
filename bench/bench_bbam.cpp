// One iteration of the BBAM solver: ResNet-50-FPN, 100 proposals, a picture of 512 x 683.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "attribution/bbam.h"
#include "attribution/explained_faster_rcnn.h"
#include "bench/pair.h"
#include "tensor/profile.h"

namespace bbam::bench {
namespace {

// Calls the detector as the solver would, but takes every proposal for a positive one: the weights
// are random, and what is timed does not depend on them.
class Agreeable : public ExplainedDetector {
 public:
  explicit Agreeable(FasterRcnn& model) : inner_(model) {}
  BoxPredictions predict(const Variable& images, const Tensor& rois) override {
    BoxPredictions p = inner_.predict(images, rois);
    if (!images.needs_grad()) {
      std::vector<float> logits(size_t(p.class_logits.value().size()), 0.f);
      for (size_t i = 1; i < logits.size(); i += size_t(p.class_logits.dim(1))) logits[i] = 5;
      p.class_logits = Variable(Tensor::from(logits, p.class_logits.shape()));
    }
    return p;
  }
  Tensor decode(const Tensor&, const Tensor& proposals, int64_t, int64_t) const override {
    return proposals;
  }
  int cost_group(const BoxArray& box) const override { return inner_.cost_group(box); }

 private:
  ExplainedFasterRcnn inner_;
};

// Milliseconds per iteration of `objects` solved together; the first ones are left out.
Timing iteration_ms(Agreeable& detector, const Tensor& image, const BoxArray& box, int objects) {
  BbamOptions options;
  options.positives = {.proposals = 100, .iou_thresholds = {0}, .enough = 0, .most = 100};
  options.iterations = 9;
  options.batch = objects;
  std::vector<double> at_s;
  const std::vector<BbamObject> all(size_t(objects), BbamObject{.box = box, .label = 1, .seed = 1});
  solve_bbam(detector, image, all, options, [&](int64_t, int64_t) {
    at_s.push_back(profile::now_s());
    return true;
  });
  std::vector<double> ms;
  for (size_t i = 2; i < at_s.size(); ++i) ms.push_back(1e3 * (at_s[i] - at_s[i - 1]));
  std::sort(ms.begin(), ms.end());
  return {ms[ms.size() / 2], ms.front(), ms.back()};
}

}  // namespace

nlohmann::json bench_bbam() {
  fmt::print("\none BBAM iteration, ResNet-50-FPN, 100 proposals per object, 512 x 683\n");
  fmt::print("{:<34} {:>8} {:>12} {:>14}\n", "box", "objects", "ms", "ms per object");
  FasterRcnnSpec spec;
  spec.resnet.depth = 50;
  FasterRcnn model(spec, 1);
  Agreeable detector(model);
  std::vector<float> pixels;
  for (int i = 0; i < 512 * 683 * 3; ++i) pixels.push_back(float(i % 251) - 125);
  const Tensor image = Tensor::from(pixels, {1, 512, 683, 3});
  const std::tuple<const char*, const char*, BoxArray> boxes[]{
      {"small", "small, 80 x 80 (P2)", {300, 200, 380, 280}},
      {"medium", "medium, 200 x 200 (P3, P4)", {200, 150, 400, 350}},
      {"large", "large, 560 x 430 (P4, P5)", {60, 40, 620, 470}}};
  nlohmann::json result;
  for (const auto& [key, name, box] : boxes)
    for (const int objects : {1, 4}) {
      const Timing t = iteration_ms(detector, image, box, objects);
      fmt::print("{:<34} {:>8} {:>12.1f} {:>14.1f}\n", name, objects, t.median_ms,
                 t.median_ms / objects);
      result[fmt::format("{}_{}", key, objects)] = to_json(t);
    }
  return result;
}

}  // namespace bbam::bench
