#include "segmenters/class_map.h"

#include "tensor/parallel.h"

namespace bbam {
namespace {

struct Greatest {
  const float* scores;
  uint8_t* labels;
  int64_t classes;
  HD void operator()(int64_t pixel) const {
    const float* score = scores + pixel * classes;
    int64_t best = 0;
    for (int64_t c = 1; c < classes; ++c)
      if (score[c] > score[best]) best = c;
    labels[pixel] = uint8_t(best);
  }
};

}  // namespace

Tensor class_map(const Tensor& scores) {
  check_shape(scores, {-1, -1, -1}, "class_map: scores");
  const int64_t classes = scores.dim(2);
  check(classes >= 1 && classes <= 255, "class_map: ", classes, " classes; expected 1 to 255");
  Tensor labels = Tensor::empty({scores.dim(0), scores.dim(1)}, DType::kU8, scores.device());
  parallel_for("class_map", scores.stream(), labels.size(),
               Greatest{scores.data<float>(), labels.mutable_data<uint8_t>(), classes},
               scores.size(), int64_t(scores.bytes() + labels.bytes()));
  return labels;
}

}  // namespace bbam
