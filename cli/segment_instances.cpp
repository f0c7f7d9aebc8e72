#include "cli/segment_instances.h"

#include <fmt/format.h>

#include "cli/draw.h"
#include "cli/photographs.h"
#include "datasets/mask_metrics.h"
#include "segmenters/instance_crf.h"
#include "segmenters/paste_masks.h"

namespace bbam {

std::vector<SegmentedObject> segment(LoadedMaskRcnn& network, const Image& photograph,
                                     Device device, const InstanceOptions& options) {
  const DetectorInput input = detector_input(photograph, network.card.detector, device);
  const FrameSize frame{.height = input.resized.height, .width = input.resized.width};
  const SegmentedInstances found = network.model->segment(input.image, {frame})[0];
  const auto boxes = boxes_to_photograph(found.detections.boxes, input).to_vector<float>();
  const auto scores = found.detections.scores.to(kCpu).to_vector<float>();
  const auto labels = found.detections.labels.to(kCpu).to_vector<int64_t>();
  const int64_t side = found.masks.dim(1);
  const FrameSize whole{.height = photograph.height, .width = photograph.width};
  std::vector<SegmentedObject> objects;
  std::vector<Tensor> masks;
  std::vector<Window> windows;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] <= options.score) continue;
    const Box<float> box = box_at(boxes.data(), int64_t(i));
    const Tensor cells = found.masks.rows(int64_t(i), int64_t(i) + 1).reshape({side, side});
    masks.push_back(paste_mask(cells.to(device), box, whole));
    windows.push_back(pasted_window(box, side, whole));
    objects.push_back({{box.x0, box.y0, box.x1, box.y1}, int(labels[i]), scores[i], {}});
  }
  if (options.crf)
    masks = refine_instances(
        masks, windows, Tensor::from(photograph.pixels, {whole.height, whole.width, 3}, device));
  for (size_t k = 0; k < objects.size(); ++k) {
    objects[k].mask = Image(photograph.width, photograph.height, 1);
    objects[k].mask.pixels =
        pasted_above(masks[k], options.threshold).to(kCpu).to_vector<uint8_t>();
  }
  return objects;
}

std::vector<Instance> segment_all(LoadedMaskRcnn& network, const Dataset& dataset, Session& session,
                                  const InstanceOptions& options,
                                  std::vector<std::string>& problems) {
  std::vector<Instance> results;
  for_each_picture(
      dataset, "segmenting", session, problems, [&](const Record& record, const Image& picture) {
        for (const auto& object : segment(network, picture, session.device, options))
          results.push_back(
              instance_of(record.id, dataset.source_labels[size_t(object.label - 1)], object));
      });
  return results;
}

Instance instance_of(const std::string& image_id, int category, const SegmentedObject& object) {
  return {.image_id = image_id,
          .category = category,
          .box = object.box,
          .score = object.score,
          .mask = rle_encode(equal_to(object.mask, 1))};
}

std::vector<SegmentedObject> found_objects(const Dataset& dataset, const Record& record,
                                           const std::vector<Instance>& results, double score) {
  std::vector<SegmentedObject> objects;
  for (const Instance& result : results) {
    if (result.image_id != record.id || result.score <= score) continue;
    SegmentedObject object{result.box, dataset.label_of_source(result.category), result.score, {}};
    object.mask = Image(record.width, record.height, 1);
    object.mask.pixels = rle_decode(*result.mask).to_vector<uint8_t>();
    objects.push_back(std::move(object));
  }
  return objects;
}

std::vector<SegmentedObject> true_objects(const Record& record) {
  const std::vector<Image> masks = read_masks(record);
  std::vector<SegmentedObject> objects;
  for (size_t i = 0; i < masks.size(); ++i)
    if (const Object& object = record.objects[i]; !object.crowd)
      objects.push_back({object.box, object.label, -1, masks[i]});
  return objects;
}

std::set<int> draw_objects(Image& picture, const std::vector<SegmentedObject>& objects,
                           const std::vector<std::string>& classes) {
  std::set<int> labels;
  for (size_t i = objects.size(); i-- > 0;)
    draw_mask(picture, objects[i].mask, class_color(objects[i].label));
  std::vector<LabelledBox> boxes;
  for (const SegmentedObject& object : objects) {
    const std::string& name = classes[size_t(object.label - 1)];
    boxes.push_back({object.box,
                     object.score < 0 ? name : fmt::format("{} {:.2f}", name, object.score),
                     class_color(object.label)});
    labels.insert(object.label);
  }
  draw_labelled_boxes(picture, boxes);
  return labels;
}

}  // namespace bbam
