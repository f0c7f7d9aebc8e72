#include "cli/explain.h"

#include "attribution/perturb.h"
#include "cli/detect.h"
#include "cli/fnv1a.h"
#include "tensor/random.h"

namespace bbam {
namespace {

LoadedDetector load(const DetectorChoice& choice, Device device) {
  LoadedDetector detector = load_detector(choice.weights, device);
  if (choice.short_side > 0) detector.card.short_side = choice.short_side;
  if (choice.long_side > 0) detector.card.long_side = choice.long_side;
  check(detector.card.short_side <= detector.card.long_side, "--short-side ",
        detector.card.short_side, " is more than --long-side ", detector.card.long_side);
  return detector;
}

}  // namespace

Setting add_detector_choice(Command& command, DetectorChoice& choice) {
  command
      .option("--short-side", choice.short_side,
              "pixels of the network's input; 0: what the detector was made for")
      .between(0, 8192);
  command.option("--long-side", choice.long_side, "at most; 0: what the detector was made for")
      .between(0, 8192);
  return command.option("--weights", choice.weights,
                        "detector, as bbam train detector or retinanet writes it");
}

Explainer::Explainer(const DetectorChoice& choice, Device device)
    : device_(device), detector_(load(choice, device)), explained_(explain(*detector_.model)) {}

DetectorInput Explainer::input(const Image& photograph) const {
  return detector_input(photograph, detector_.card, device_);
}

std::vector<ExampleBox> Explainer::detect(const Image& photograph, double score) {
  std::vector<ExampleBox> detections;
  for (const Detected& d : bbam::detect(detector_, photograph, device_, score))
    detections.push_back({d.box, card().classes[size_t(d.label - 1)], d.label, d.score});
  return detections;
}

std::vector<BbamResult> Explainer::solve(const DetectorInput& input,
                                         const std::vector<ObjectToExplain>& objects,
                                         const BbamOptions& options,
                                         const SolveProgress& progress) {
  std::vector<BbamObject> scaled;
  for (const ObjectToExplain& object : objects) {
    const PixelBox b = resize_box(object.box, input.original, input.resized);
    scaled.push_back({{b.x0, b.y0, b.x1, b.y1}, object.label, object.seed});
  }
  return solve_bbam(*explained_, input.image, scaled, options, progress);
}

void tell_idle_settings(const DetectorCard& card, const BbamOptions& options, Session& session) {
  if (card.options.architecture == kRetinaNet && options.positives.jitter != PositiveSpec{}.jitter)
    session.warn("--jitter does nothing: RetinaNet's candidates are its anchors around the box");
}

uint64_t object_seed(uint64_t seed, const std::string& image_id, int64_t object) {
  Fnv1a name;
  name.add(image_id);
  return Random(seed, name.state).bits(uint64_t(object));
}

Tensor upsampled_map(const Tensor& map, ImageSize size, Corners corners) {
  return upsample_masks({map}, size.height, size.width, corners)
      .value()
      .reshape({size.height, size.width});
}

void add_solution(Example& example, const BbamResult& result, const BbamOptions& options) {
  example.stride_px = result.grid.stride_px;
  example.proposals = result.positives;
  if (result.positives == 0) return;
  for (const auto& [iteration, mask] : result.snapshots) example.maps[iteration] = mask;
  example.maps[options.iterations] = result.mask;
  example.curve.columns = {"iteration", "total", "area", "box", "class", "tv"};
  for (size_t i = 0; i < result.curve.size(); ++i) {
    const ObjectiveTerms& t = result.curve[i];
    example.curve.rows.push_back({double(i), t.total, t.area, t.box, t.cls, t.tv});
  }
}

}  // namespace bbam
