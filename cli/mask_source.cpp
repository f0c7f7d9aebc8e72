#include "cli/mask_source.h"

#include <filesystem>
#include <map>

#include "cli/boxes.h"
#include "cli/evaluation.h"
#include "cli/instances_json.h"
#include "cli/label_match.h"
#include "cli/label_store.h"
#include "tensor/check.h"

namespace bbam {
namespace {

Rle all_pixels(ImageSize size, double value) {
  return rle_encode(Tensor::full({size.height, size.width}, value, DType::kU8));
}

void fill_boxes(Dataset& dataset) {
  for (Record& record : dataset.records) {
    record.class_map_path = record.object_map_path = "";
    for (Object& object : record.objects)
      object.runs = rle_encode(filled_box(object.box, record.size()));
  }
}

void check_size(const Rle& mask, const Record& record, const std::string& file) {
  check(mask.height == record.height && mask.width == record.width, file, ": a mask of image ",
        record.id, " is ", mask.width, " x ", mask.height, " pixels; its picture is ", record.width,
        " x ", record.height);
}

void take_labels(Dataset& dataset, Record& record, const std::vector<Instance>& labels,
                 const std::string& file) {
  for (Object& object : record.objects) {
    object.runs = all_pixels(record.size(), 0);
    object.ignored = all_pixels(record.size(), 1);
  }
  std::vector<BoxOfClass> boxes;
  for (const Instance& label : labels)
    boxes.push_back({dataset.label_of_source(label.category), label.box, label.object});
  const std::vector<int> objects = matching_objects(record, boxes);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (boxes[i].label == 0) continue;
    if (objects[i] < 0)
      fail_unmatched(record.id, dataset.classes[size_t(boxes[i].label - 1)], boxes[i].box);
    check(labels[i].mask.has_value(), file, ": a label of image ", record.id, " has no mask");
    Object& object = record.objects[size_t(objects[i])];
    object.runs = labels[i].mask;
    object.ignored = labels[i].ignore;
    check_size(*object.runs, record, file);
    if (object.ignored) check_size(*object.ignored, record, file);
  }
}

void take_labels(Dataset& dataset, const std::string& folder) {
  const LabelStore store(folder);
  const std::string file = store.path("labels.json");
  check(std::filesystem::exists(file), file, ": no such file; expected the folder of a ",
        "bbam pseudo-label run that has ended, or ", kTrueMasks, " or ", kFilledBoxes);
  std::map<std::string, std::vector<Instance>> by_image;
  for (Instance& label : read_instances(file)) by_image[label.image_id].push_back(std::move(label));
  for (Record& record : dataset.records) {
    take_labels(dataset, record, by_image[record.id], file);
    record.object_map_path = "";
    record.class_map_path = store.path("SegmentationClass/" + stored_name(record.id) + ".png");
  }
}

}  // namespace

void set_masks(Dataset& dataset, const std::string& source) {
  if (source == kFilledBoxes)
    fill_boxes(dataset);
  else if (source != kTrueMasks)
    take_labels(dataset, source);
}

}  // namespace bbam
