#include "cli/segment_semantic.h"

#include <algorithm>

#include "cli/draw.h"
#include "cli/label_store.h"
#include "cli/photographs.h"
#include "datasets/transforms.h"
#include "segmenters/class_map.h"
#include "tensor/files.h"

namespace bbam {

Image class_map_of(LoadedDeepLab& network, const Image& photograph, Device device,
                   const SemanticOptions& options) {
  const Tensor image = to_bgr_tensor(photograph, kDeepLabMean).to(device);
  Tensor probabilities = semantic_probabilities(*network.model, image, options.inference);
  if (options.crf) {
    const Tensor pixels =
        Tensor::from(photograph.pixels, {photograph.height, photograph.width, 3}, device);
    probabilities = refine_probabilities(probabilities, pixels);
  }
  Image map(photograph.width, photograph.height, 1);
  map.pixels = class_map(probabilities).to(kCpu).to_vector<uint8_t>();
  return map;
}

void write_class_maps(LoadedDeepLab& network, const Dataset& dataset, const std::string& folder,
                      Session& session, const SemanticOptions& options,
                      std::vector<std::string>& problems) {
  for (const int source : dataset.source_labels)
    check(source >= 1 && source < kVoid, "the data set calls a class ", source,
          ", which does not fit a label map");
  make_folder(folder);
  Image map;
  const auto find = [&](const Record&, const Image& picture) {
    map = class_map_of(network, picture, session.device, options);
    for (uint8_t& value : map.pixels)
      if (value != 0) value = uint8_t(dataset.source_labels[size_t(value) - 1]);
  };
  const auto keep = [&](const Record& record, const Image&) {
    write_label_png(folder + "/" + stored_name(record.id) + ".png", map);
  };
  for_each_picture(dataset, "segmenting", session, problems, find, keep);
}

Image written_class_map(const Dataset& dataset, const Record& record, const std::string& folder) {
  Image map = read_label_png(folder + "/" + stored_name(record.id) + ".png");
  for (uint8_t& value : map.pixels)
    if (value != 0) value = uint8_t(dataset.label_of_source(value));
  return map;
}

std::set<int> draw_class_map(Image& picture, const Image& map) {
  std::set<int> labels(map.pixels.begin(), map.pixels.end());
  labels.erase(0);
  labels.erase(kVoid);
  for (const int label : labels) {
    Image mask(map.width, map.height, 1);
    std::transform(map.pixels.begin(), map.pixels.end(), mask.pixels.begin(),
                   [&](uint8_t value) { return uint8_t(value == label); });
    draw_mask(picture, mask, class_color(label));
  }
  return labels;
}

}  // namespace bbam
