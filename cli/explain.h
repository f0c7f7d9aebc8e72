// A detector made ready to be explained, and what the commands that explain it share.
#pragma once
#include <string>
#include <vector>

#include "attribution/explain.h"
#include "cli/bbam_options.h"
#include "cli/detector_file.h"
#include "cli/example.h"
#include "datasets/dataset.h"

namespace bbam {

struct DetectorChoice {
  std::string weights;
  int short_side = 0, long_side = 0;  // 0: the detector's own
};
// --short-side, --long-side and --weights, which is returned.
Setting add_detector_choice(Command& command, DetectorChoice& choice);

// A box of a photograph, in its pixels.
struct ObjectToExplain {
  PixelBox box;
  int64_t label = 0;  // the detector's
  uint64_t seed = 0;
};

class Explainer {
 public:
  // Throws Error naming the file that cannot be used.
  Explainer(const DetectorChoice& choice, Device device);

  const DetectorCard& card() const { return detector_.card; }
  int64_t label_of(const std::string& class_name) const { return detector_.label_of(class_name); }

  DetectorInput input(const Image& photograph) const;
  // What the detector itself finds with a score above `score`, best first.
  std::vector<ExampleBox> detect(const Image& photograph, double score);
  // The proposals that speak for an object, in pixels of the input.
  Positives positives(const DetectorInput& input, const ObjectToExplain& object,
                      const PositiveSpec& spec);
  ExplainedDetector& explained() { return *explained_; }
  // BBAM's grids and strides are those of the network's input. A map of a gradient method has the
  // photograph's size and the greatest value 1, unless it is 0 everywhere; stride, snapshots and
  // curve are BBAM's alone. Progress counts iterations of BBAM, otherwise objects.
  std::vector<BbamResult> explain(const DetectorInput& input,
                                  const std::vector<ObjectToExplain>& objects,
                                  const ExplainOptions& options, const SolveProgress& progress);

 private:
  Device device_;
  LoadedDetector detector_;
  std::unique_ptr<ExplainedDetector> explained_;
};

// Warns of settings that do nothing for this detector.
void tell_idle_settings(const DetectorCard& card, const BbamOptions& options, Session& session);

// By label of the data set, whether the detector knows the class; warns of those that it does not.
std::vector<bool> known_labels(const Dataset& dataset, const Explainer& explainer,
                               Session& session);

// A box of the photograph in pixels of the network's input.
BoxArray box_in_input(const PixelBox& box, const DetectorInput& input);

// Depends on the object alone, neither on the order of the work nor on its division. `object` is
// the number that the data set gives the object (Object::id).
uint64_t object_seed(uint64_t seed, const std::string& image_id, int64_t object);

// The map at the photograph's size, (height, width) f32, not rescaled.
Tensor upsampled_map(const Tensor& map, ImageSize size, Corners corners);

// Into an example: maps by iteration with the last one, curve, stride, proposals.
void add_solution(Example& example, const BbamResult& result, const ExplainOptions& options);

}  // namespace bbam
