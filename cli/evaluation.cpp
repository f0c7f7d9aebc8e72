#include "cli/evaluation.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "cli/boxes.h"
#include "cli/label_match.h"
#include "tensor/check.h"

namespace bbam {
namespace {

std::map<std::string, int64_t> image_indices(const Dataset& dataset) {
  std::map<std::string, int64_t> indices;
  for (size_t i = 0; i < dataset.records.size(); ++i) indices[dataset.records[i].id] = int64_t(i);
  return indices;
}

// Calls f(image index, label, instance) for the results that belong to the data set.
template <class F>
Unknown each_known(const Dataset& dataset, const std::vector<Instance>& results, F&& f) {
  const auto indices = image_indices(dataset);
  Unknown unknown;
  for (const Instance& instance : results) {
    const auto image = indices.find(instance.image_id);
    const int label = dataset.label_of_source(instance.category);
    unknown.images += image == indices.end();
    unknown.classes += image != indices.end() && label == 0;
    if (image != indices.end() && label > 0) f(image->second, label, instance);
  }
  return unknown;
}

CocoBox coco_box(const PixelBox& box) {
  return {box.x0, box.y0, double(box.x1) - box.x0, double(box.y1) - box.y0};
}

Tensor tensor_of(const Image& mask) { return Tensor::from(mask.pixels, {mask.height, mask.width}); }

// The masks of the record's objects. Nothing, and a line in problems, where they cannot be had: one
// damaged file among many costs its own image.
std::optional<std::vector<Image>> true_masks_of(const Record& record,
                                                std::vector<std::string>& problems) {
  try {
    if (has_masks(record)) return read_masks(record);
    problems.push_back(record.id + ": its objects have no masks; left out");
  } catch (const Error& error) {
    problems.push_back(join(error.what(), "; left out"));
  }
  return {};
}

}  // namespace

BoxScores evaluate_boxes(const Dataset& dataset, const std::vector<Instance>& results,
                         VocApRule rule) {
  std::vector<VocObject> voc_objects;
  std::vector<CocoObject> coco_objects;
  for (size_t i = 0; i < dataset.records.size(); ++i)
    for (const Object& object : dataset.records[i].objects) {
      const bool set_aside = object.difficult || object.crowd;
      voc_objects.push_back({int64_t(i), object.label, object.box, set_aside});
      coco_objects.push_back({.image_id = int64_t(i),
                              .category_id = object.label,
                              .box = coco_box(object.box),
                              .area_px = object.area_px,
                              .crowd = object.crowd,
                              .ignore = object.difficult});
    }
  std::vector<VocDetection> voc_found;
  std::vector<CocoDetection> coco_found;
  BoxScores scores;
  scores.unknown =
      each_known(dataset, results, [&](int64_t image, int label, const Instance& instance) {
        voc_found.push_back({image, label, instance.score, instance.box});
        coco_found.push_back({.image_id = image,
                              .category_id = label,
                              .score = instance.score,
                              .box = coco_box(instance.box)});
      });
  scores.voc = voc_ap(voc_objects, voc_found, {.rule = rule});
  scores.coco = coco_ap(coco_objects, coco_found);
  return scores;
}

InstanceScores evaluate_instances(const Dataset& dataset, const std::vector<Instance>& results) {
  InstanceScores scores;
  std::vector<CocoObject> objects;
  std::vector<LabeledMask> true_masks, found_masks;
  std::vector<bool> usable(dataset.records.size());
  for (size_t i = 0; i < dataset.records.size(); ++i) {
    const Record& record = dataset.records[i];
    const auto masks = true_masks_of(record, scores.problems);
    usable[i] = masks.has_value();
    for (size_t k = 0; usable[i] && k < masks->size(); ++k) {
      const Object& object = record.objects[k];
      const Rle mask = rle_encode(equal_to((*masks)[k], 1));
      objects.push_back({.image_id = int64_t(i),
                         .category_id = object.label,
                         .mask = mask,
                         .area_px = double(rle_area(mask)),
                         .crowd = object.crowd,
                         .ignore = object.difficult});
      if (!object.crowd && !object.difficult)
        true_masks.push_back({int64_t(i), object.label, mask});
    }
  }
  std::vector<CocoDetection> found;
  scores.unknown =
      each_known(dataset, results, [&](int64_t image, int label, const Instance& instance) {
        if (!usable[size_t(image)]) return;
        check(instance.mask.has_value(), "a result for image ", instance.image_id,
              " has no mask (segmentation)");
        found.push_back({.image_id = image,
                         .category_id = label,
                         .score = instance.score,
                         .mask = *instance.mask});
        found_masks.push_back({image, label, *instance.mask});
      });
  scores.coco = coco_ap(objects, found, {.shape = CocoShape::kMasks});
  scores.overlap = average_best_overlap(true_masks, found_masks);
  return scores;
}

Tensor filled_box(const PixelBox& box, ImageSize size) {
  const PixelRect rect = pixel_rect(box, size);
  Tensor mask = Tensor::zeros({size.height, size.width}, DType::kU8);
  for (int64_t y = rect.y0; y < rect.y1; ++y)
    std::fill_n(mask.mutable_data<uint8_t>() + y * size.width + rect.x0, rect.x1 - rect.x0, 1);
  return mask;
}

namespace {

double mean_of(const std::vector<MaskScore>& objects, int label, double MaskScore::*value) {
  double sum = 0;
  int64_t count = 0;
  for (const MaskScore& object : objects) {
    if (label != 0 && object.label != label) continue;
    sum += object.*value;
    ++count;
  }
  return count == 0 ? -1 : sum / double(count);
}

// The labels of a record's objects, nullptr where there is none.
std::vector<const Instance*> by_object(const Dataset& dataset, const Record& record,
                                       const std::vector<const Instance*>& given) {
  std::vector<BoxOfClass> boxes;
  for (const Instance* instance : given)
    boxes.push_back({dataset.label_of_source(instance->category), instance->box, instance->object});
  const std::vector<int> matches = matching_objects(record, boxes);
  std::vector<const Instance*> found(record.objects.size(), nullptr);
  for (size_t i = 0; i < given.size(); ++i) {
    if (matches[i] >= 0)
      found[size_t(matches[i])] = given[i];
    else if (boxes[i].label > 0)
      fail_unmatched(record.id, dataset.classes[size_t(boxes[i].label - 1)], boxes[i].box);
  }
  return found;
}

}  // namespace

double MaskScores::mean_mask_iou(int label) const {
  return mean_of(objects, label, &MaskScore::mask_iou);
}
double MaskScores::mean_box_iou(int label) const {
  return mean_of(objects, label, &MaskScore::box_iou);
}
int64_t MaskScores::count(int label) const {
  return std::count_if(objects.begin(), objects.end(),
                       [&](const MaskScore& o) { return label == 0 || o.label == label; });
}

MaskScores evaluate_masks(const Dataset& dataset, const std::vector<Instance>& masks,
                          bool only_given) {
  std::map<std::string, std::vector<const Instance*>> given;
  for (const Instance& instance : masks) {
    check(instance.object >= 0 && instance.mask.has_value(), "an entry for image ",
          instance.image_id, " lacks \"object\" or \"segmentation\"; expected pseudo labels");
    given[instance.image_id].push_back(&instance);
  }
  MaskScores scores;
  for (const Record& record : dataset.records) {
    const auto truth = true_masks_of(record, scores.problems);
    if (!truth) continue;
    const auto found = by_object(dataset, record, given[record.id]);
    for (size_t k = 0; k < truth->size(); ++k) {
      const Instance* instance = found[k];
      const Object& object = record.objects[k];
      if (object.crowd || object.difficult || (only_given && instance == nullptr)) continue;
      const Tensor true_mask = equal_to((*truth)[k], 1), left_out = equal_to((*truth)[k], kVoid);
      MaskScore score{record.id, int(k), object.label};
      score.box_iou = mask_iou(filled_box(object.box, record.size()), true_mask, left_out);
      score.has_mask = instance != nullptr;
      if (score.has_mask) {
        const Rle& mask = *instance->mask;
        check(mask.width == record.width && mask.height == record.height, "image ", record.id,
              ": a mask is ", mask.width, " x ", mask.height, "; the picture is ", record.width,
              " x ", record.height);
        score.mask_iou = mask_iou(rle_decode(mask), true_mask, left_out);
      }
      scores.objects.push_back(score);
    }
  }
  return scores;
}

namespace {

void add_map(const Dataset& dataset, const Record& record, const std::string& path,
             SemanticScores& scores) {
  Image predicted = read_label_png(path);
  check(predicted.size() == record.size(), path, ": is ", predicted.width, " x ", predicted.height,
        "; the picture is ", record.width, " x ", record.height);
  for (uint8_t& value : predicted.pixels)
    if (value != 0 && value != kVoid) value = uint8_t(dataset.label_of_source(value));
  scores.matrix.add(tensor_of(read_class_map(dataset, record)), tensor_of(predicted));
  ++scores.images;
}

}  // namespace

SemanticScores evaluate_semantic(const Dataset& dataset, const std::string& folder) {
  SemanticScores scores{ConfusionMatrix(int(dataset.classes.size()) + 1, kVoid)};
  for (const Record& record : dataset.records) {
    if (record.class_map_path.empty() && !has_masks(record)) continue;
    const std::string path = (std::filesystem::path(folder) / (record.id + ".png")).string();
    if (!std::filesystem::exists(path)) {
      ++scores.missing;
      continue;
    }
    try {
      add_map(dataset, record, path, scores);
    } catch (const Error& error) {
      scores.problems.push_back(join(error.what(), "; left out"));
    }
  }
  const auto bad = int64_t(scores.problems.size());
  check(scores.images + scores.missing + bad > 0, "none of the ", dataset.records.size(),
        " pictures has a true class map");
  check(scores.images > 0 || bad == 0, folder, ": none of its class maps can be compared; ",
        bad > 0 ? scores.problems[0] : "");
  check(scores.images > 0, folder, ": has a class map (ID.png) of none of the ", scores.missing,
        " pictures that have a true one");
  return scores;
}

}  // namespace bbam
