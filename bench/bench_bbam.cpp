// One iteration of the BBAM solver: ResNet-50-FPN, 100 proposals, a picture of 512 x 683.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "attribution/bbam.h"
#include "attribution/explained_faster_rcnn.h"
#include "bench/pair.h"
#include "cli/peaks.h"
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
  std::vector<Variable> features(const Variable& images) override {
    return inner_.features(images);
  }
  BoxPredictions heads(const std::vector<Variable>& features, const Tensor& rois) override {
    return inner_.heads(features, rois);
  }
  Tensor decode(const Tensor&, const Tensor& proposals, int64_t, int64_t) const override {
    return proposals;
  }
  int cost_group(const BoxArray& box) const override { return inner_.cost_group(box); }

 private:
  ExplainedFasterRcnn inner_;
};

// `objects` times the same object, solved together; `after` is called after each iteration.
void solve(Agreeable& detector, const Tensor& image, const BoxArray& box, int objects,
           int iterations, const std::function<void()>& after) {
  BbamOptions options;
  options.positives = {.proposals = 100, .iou_thresholds = {0}, .enough = 0, .most = 100};
  options.iterations = iterations;
  options.batch = objects;
  const std::vector<BbamObject> all(size_t(objects), BbamObject{.box = box, .label = 1, .seed = 1});
  solve_bbam(detector, image, all, options, [&](int64_t, int64_t) {
    after();
    return true;
  });
}

// What one more iteration computes.
double iteration_gflop(Agreeable& detector, const Tensor& image, const BoxArray& box) {
  double gflop[2];
  for (const int more : {0, 1}) {
    profile::start();
    solve(detector, image, box, 1, 1 + more, [] {});
    profile::stop();
    gflop[more] = 1e-9 * double(profile::flops());
  }
  return gflop[1] - gflop[0];
}

// Milliseconds per iteration; the first ones are left out.
Timing iteration_ms(Agreeable& detector, const Tensor& image, const BoxArray& box, int objects) {
  std::vector<double> at_s;
  solve(detector, image, box, objects, 9, [&] { at_s.push_back(profile::now_s()); });
  std::vector<double> ms;
  for (size_t i = 2; i < at_s.size(); ++i) ms.push_back(1e3 * (at_s[i] - at_s[i - 1]));
  std::sort(ms.begin(), ms.end());
  return {ms[ms.size() / 2], ms.front(), ms.back()};
}

}  // namespace

nlohmann::json bench_bbam() {
  fmt::print("\none BBAM iteration, ResNet-50-FPN, 100 proposals per object, 512 x 683\n");
  const double peak_gflops = measure_peaks(kCpu, 0.5).conv_gflops;
  fmt::print("floor: the arithmetic at {:.0f} GFLOP/s, the best that a convolution reached\n",
             peak_gflops);
  fmt::print("{:<28} {:>7} {:>9} {:>13} {:>7} {:>9} {:>6}\n", "box", "objects", "ms",
             "ms per object", "GFLOP", "floor ms", "ratio");
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
  for (const auto& [key, name, box] : boxes) {
    const double gflop = iteration_gflop(detector, image, box);
    const double floor_ms = 1e3 * gflop / peak_gflops;
    for (const int objects : {1, 4}) {
      const Timing t = iteration_ms(detector, image, box, objects);
      const double object_ms = t.median_ms / objects;
      fmt::print("{:<28} {:>7} {:>9.1f} {:>13.1f} {:>7.1f} {:>9.1f} {:>6.2f}\n", name, objects,
                 t.median_ms, object_ms, gflop, floor_ms, object_ms / floor_ms);
      auto& entry = result[fmt::format("{}_{}", key, objects)];
      entry = to_json(t);
      entry["floor_ms"] = floor_ms;
    }
  }
  return result;
}

}  // namespace bbam::bench
