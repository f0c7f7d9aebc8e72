// A DeepLab small enough for tests, and pictures for it.
#pragma once
#include "datasets/shapes.h"
#include "datasets/transforms.h"
#include "segmenters/deeplab.h"

namespace bbam::test {

inline DeepLabSpec tiny_deeplab_spec(int64_t classes = 4) {
  DeepLabSpec spec;
  spec.classes = classes;
  spec.resnet.depth = 18;
  spec.resnet.stem_width = 4;
  spec.aspp_rates = {1, 2, 3};
  return spec;
}

// Values of order 1, as after many steps of training, where starting ones are near 0.
inline void enlarge_aspp(DeepLab& model) {
  model.visit("", [](const std::string& name, Variable& variable) {
    if (!name.starts_with("aspp.")) return;
    const Random random(5, variable.value().size());
    float* value = variable.mutable_value().mutable_data<float>();
    for (int64_t k = 0; k < variable.value().size(); ++k)
      value[k] = float(random.uniform(uint64_t(k), -0.4, 0.4));
  });
}

struct LabelledImages {
  Tensor images;  // (N, H, W, 3) f32, of order 1
  Tensor labels;  // (N, H, W) u8
};

// Generated pictures; a frame of two pixels is ignored.
inline LabelledImages shape_images(int count, int width, int height) {
  std::vector<Tensor> images;
  std::vector<uint8_t> labels;
  for (int n = 0; n < count; ++n) {
    const Scene scene =
        draw_scene({.width = width, .height = height, .max_objects = 2, .seed = 3}, uint64_t(n));
    images.push_back(to_bgr_tensor(scene.picture, kDeepLabMean));
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const bool is_frame = x < 2 || y < 2 || x >= width - 2 || y >= height - 2;
        labels.push_back(is_frame ? uint8_t(kIgnoredLabel) : *scene.class_map.at(x, y));
      }
  }
  LabelledImages result{batch_images(images), Tensor::from(labels, {count, height, width})};
  float* value = result.images.mutable_data<float>();
  for (int64_t k = 0; k < result.images.size(); ++k) value[k] /= 60;
  return result;
}

}  // namespace bbam::test
