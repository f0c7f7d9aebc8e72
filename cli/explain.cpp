#include "cli/explain.h"

#include <algorithm>

#include "attribution/perturb.h"
#include "cli/boxes.h"
#include "cli/detect.h"
#include "cli/draw.h"
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

Tensor gradient_map(ExplainedDetector& detector, const Tensor& image, const ObjectProposals& asked,
                    const ExplainOptions& options, uint64_t seed) {
  SmoothGradSpec smooth = options.smooth;
  smooth.seed = seed;
  switch (options.method) {
    case AttributionMethod::kSimpleGrad:
      return simple_grad(detector, image, asked, options.score());
    case AttributionMethod::kSmoothGrad:
      return smooth_grad(detector, image, asked, options.score(), smooth);
    case AttributionMethod::kGradCam: return grad_cam(detector, image, asked, options.score());
    case AttributionMethod::kBbam: break;
  }
  fail("BBAM takes no gradient of a score");
}

BbamResult gradient_result(ExplainedDetector& detector, const DetectorInput& input,
                           const BbamObject& object, const ExplainOptions& options) {
  const Positives positives = find_positives(detector, input.image, object.box, object.label,
                                             options.bbam.positives, object.seed);
  const Tensor map = gradient_map(
      detector, input.image, {object.box, object.label, positives.proposals}, options, object.seed);
  BbamResult result;
  result.mask = brightened(resize_map(map.to(kCpu), input.original));
  result.grid = {result.mask.dim(0), result.mask.dim(1), 0};
  result.positives = positives.proposals.dim(0);
  result.positive_iou = positives.iou_threshold;
  result.mean_positive_iou = positives.mean_iou;
  return result;
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
    : device_(device), detector_(load(choice, device)),
      explained_(bbam::explain(*detector_.model)) {}

DetectorInput Explainer::input(const Image& photograph) const {
  return detector_input(photograph, detector_.card, device_);
}

std::vector<ExampleBox> Explainer::detect(const Image& photograph, double score) {
  std::vector<ExampleBox> detections;
  for (const Detected& d : bbam::detect(detector_, photograph, device_, score))
    detections.push_back({d.box, card().classes[size_t(d.label - 1)], d.label, d.score});
  return detections;
}

Positives Explainer::positives(const DetectorInput& input, const ObjectToExplain& object,
                               const PositiveSpec& spec) {
  return find_positives(*explained_, input.image, box_in_input(object.box, input), object.label,
                        spec, object.seed);
}

std::vector<BbamResult> Explainer::explain(const DetectorInput& input,
                                           const std::vector<ObjectToExplain>& objects,
                                           const ExplainOptions& options,
                                           const SolveProgress& progress) {
  std::vector<BbamObject> scaled;
  for (const ObjectToExplain& object : objects)
    scaled.push_back({box_in_input(object.box, input), object.label, object.seed});
  if (options.method == AttributionMethod::kBbam)
    return solve_bbam(*explained_, input.image, scaled, options.bbam, progress);
  std::vector<BbamResult> results;
  for (const BbamObject& object : scaled) {
    results.push_back(gradient_result(*explained_, input, object, options));
    progress(int64_t(results.size()), int64_t(scaled.size()));
  }
  return results;
}

void tell_idle_settings(const DetectorCard& card, const BbamOptions& options, Session& session) {
  if (card.options.architecture == kRetinaNet && options.positives.jitter != PositiveSpec{}.jitter)
    session.warn("--jitter does nothing: RetinaNet's candidates are its anchors around the box");
}

std::vector<bool> known_labels(const Dataset& dataset, const Explainer& explainer,
                               Session& session) {
  const auto& classes = explainer.card().classes;
  std::vector<bool> known{false};
  std::string unknown;
  for (const std::string& name : dataset.classes) {
    known.push_back(std::find(classes.begin(), classes.end(), name) != classes.end());
    if (!known.back()) unknown += (unknown.empty() ? "" : ", ") + name;
  }
  if (!unknown.empty()) session.warn("left out, since the detector does not know them: " + unknown);
  return known;
}

BoxArray box_in_input(const PixelBox& box, const DetectorInput& input) {
  return array_of(resize_box(box, input.original, input.resized));
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

void add_solution(Example& example, const BbamResult& result, const ExplainOptions& options) {
  example.stride_px = result.grid.stride_px;
  example.proposals = result.positives;
  if (result.positives == 0) return;
  for (const auto& [iteration, mask] : result.snapshots) example.maps[iteration] = mask;
  const bool is_gradient = options.method != AttributionMethod::kBbam;
  example.maps[is_gradient ? 0 : options.bbam.iterations] = result.mask;
  if (is_gradient) return;
  example.curve.columns = {"iteration", "total", "area", "box", "class", "tv"};
  for (size_t i = 0; i < result.curve.size(); ++i) {
    const ObjectiveTerms& t = result.curve[i];
    example.curve.rows.push_back({double(i), t.total, t.area, t.box, t.cls, t.tv});
  }
}

}  // namespace bbam
