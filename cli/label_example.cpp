#include "cli/label_example.h"

#include <algorithm>

#include "cli/evaluation.h"
#include "cli/label_summary.h"
#include "tensor/check.h"

namespace bbam {
namespace {

Image mask_of(const LabelledObject& object) {
  const Tensor foreground = rle_decode(object.foreground), ignore = rle_decode(object.ignore);
  Image mask(int(object.foreground.width), int(object.foreground.height), 1);
  for (size_t p = 0; p < mask.pixels.size(); ++p)
    mask.pixels[p] = ignore.data<uint8_t>()[p] ? kVoid : foreground.data<uint8_t>()[p];
  return mask;
}

void add_truth(const Dataset& dataset, const Record& record, const LabelledImage& image,
               const LabelledObject& object, Example& example) {
  try {
    example.truth = read_masks(record)[size_t(object.object)];
  } catch (const Error&) {
    return;  // told by the summary, with all others
  }
  const std::vector<LabelTask> tasks{{&record, {object.object}, 0}};
  LabelledImage only{.image_id = image.image_id};
  only.objects = {object};
  const LabelRun run{dataset, tasks, {only}};
  const MaskScores scores = evaluate_masks(labelled_records(run), labelled_instances(run), true);
  if (scores.count() == 0) return;  // difficult objects do not count
  example.iou = {{"filled box", scores.mean_box_iou()}, {"map + CRF", scores.mean_mask_iou()}};
}

}  // namespace

Example labelled_example(const Dataset& dataset, const LabelTask& task, const LabelledImage& image,
                         size_t i, const Image& photograph) {
  const Record& record = *task.record;
  const LabelledObject& object = image.objects[i];
  Example example;
  example.image_id = record.id;
  example.object = object.object;
  for (const Object& o : record.objects)
    example.labelled.push_back({o.box, dataset.name_of(o), o.label});
  example.subject = example.labelled[size_t(object.object)];
  example.picture = photograph;
  const auto solve = image.seconds.find("solve");
  const auto solved = std::count_if(image.objects.begin(), image.objects.end(),
                                    [](const LabelledObject& o) { return o.positives > 0; });
  if (solve != image.seconds.end() && object.positives > 0)
    example.seconds = solve->second / double(solved);
  example.stride_px = object.stride_px;
  example.proposals = object.positives;
  example.mask = mask_of(object);
  if (has_masks(record)) add_truth(dataset, record, image, object, example);
  return example;
}

}  // namespace bbam
