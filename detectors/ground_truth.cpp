#include "detectors/ground_truth.h"

#include <cmath>

namespace bbam {
namespace {

void check_boxes(const Tensor& boxes, size_t image) {
  const std::vector<float> corners = boxes.to_vector<float>();
  for (int64_t g = 0; g < boxes.dim(0); ++g) {
    const Box<float> box = box_at(corners.data(), g);
    const bool is_finite = std::isfinite(box.x0) && std::isfinite(box.y0) &&
                           std::isfinite(box.x1) && std::isfinite(box.y1);
    check(is_finite && box.x1 > box.x0 && box.y1 > box.y0, "ground truth of image ", image,
          ": box ", g, " is (", box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1,
          "); expected finite x0 < x1 and y0 < y1");
  }
}

}  // namespace

void check_images(const Tensor& images, const std::vector<FrameSize>& frames) {
  check_shape(images, {int64_t(frames.size()), -1, -1, 3}, "detector: images");
  for (const FrameSize& frame : frames)
    check(frame.height >= 1 && frame.height <= images.dim(1) && frame.width >= 1 &&
              frame.width <= images.dim(2),
          "a picture of ", frame.width, " x ", frame.height, " in images of shape ",
          images.shape());
}

void check_ground_truth(const std::vector<GroundTruth>& truth, const std::vector<FrameSize>& frames,
                        int64_t classes) {
  check(truth.size() == frames.size(), "ground truth: ", truth.size(), " entries for ",
        frames.size(), " images");
  for (size_t n = 0; n < truth.size(); ++n) {
    check_shape(truth[n].boxes, {-1, 4}, "ground truth: boxes");
    check_shape(truth[n].labels, {truth[n].boxes.dim(0)}, "ground truth: labels");
    check_boxes(truth[n].boxes, n);
    for (int64_t label : truth[n].labels.to_vector<int64_t>())
      check(label >= 1 && label <= classes, "ground truth of image ", n, ": label ", label,
            "; expected 1 to ", classes);
  }
}

}  // namespace bbam
