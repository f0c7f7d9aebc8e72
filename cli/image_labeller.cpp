#include "cli/image_labeller.h"

#include <algorithm>
#include <filesystem>

#include "cli/boxes.h"
#include "cli/label_example.h"
#include "cli/label_match.h"
#include "cli/label_paint.h"
#include "tensor/check.h"
#include "tensor/profile.h"

namespace bbam {
namespace {

constexpr double kShownScore = 0.5;  // of detections in examples

// Adds the time that a piece of work takes to its stage.
template <class F>
void timed(LabelledImage& image, const std::string& stage, F&& work) {
  const double start_s = profile::now_s();
  work();
  image.seconds[stage] += profile::now_s() - start_s;
}

// Of the maps; 0 where their method has none.
int iterations_of(const Settings& settings) {
  const auto found = settings.find("iterations");
  return found == settings.end() ? 0 : std::stoi(found->second[0]);
}

}  // namespace

// An image on its way.
struct ImageLabeller::Work {
  const LabelTask& task;
  Image photograph;
  std::vector<BbamResult> solutions;  // none where maps are reused
  std::vector<Tensor> maps;           // one per object of the task, undefined without positives
  std::vector<ExampleBox> detected = {};
  RegionProposals proposals = {};  // none where labels are not refined

  const Record& record() const { return *task.record; }
  const Object& object(size_t i) const { return record().objects[size_t(task.objects[i])]; }
};

LabelledImage ImageLabeller::label(const LabelTask& task, const SolveProgress& progress) {
  LabelledImage image{.image_id = task.record->id};
  Work work{task, {}, {}, {}};
  try {
    timed(image, "read", [&] { work.photograph = read_photograph(task); });
    if (refiner_.refines())
      timed(image, "propose",
            [&] { work.proposals = refiner_.proposals(work.record(), work.photograph); });
  } catch (const Error& error) {
    image.problem = error.what();
    store_.write(image);
    return image;
  }
  if (explainer_ != nullptr) {
    timed(image, "solve", [&] { solve(work, image, progress); });
  } else {
    reuse(work, image);
  }
  std::vector<ObjectLabel> labels;
  timed(image, "label", [&] { labels = labels_of(work, image); });
  timed(image, "write", [&] { write(work, image, labels); });
  store_.write(image);
  return image;
}

Image ImageLabeller::read_photograph(const LabelTask& task) const {
  check_objects_fit(dataset_, task);
  return read_picture(*task.record);
}

void ImageLabeller::solve(Work& work, LabelledImage& image, const SolveProgress& progress) {
  const DetectorInput input = explainer_->input(work.photograph);
  ExplainOptions options = explain_;
  options.bbam.record_curve = is_example(work.task, 0);
  if (options.bbam.record_curve) work.detected = explainer_->detect(work.photograph, kShownScore);
  std::vector<ObjectToExplain> objects;
  for (size_t i = 0; i < work.task.objects.size(); ++i) {
    const Object& object = work.object(i);
    objects.push_back({object.box, explainer_->label_of(dataset_.name_of(object)),
                       object_seed(session_.seed, work.record().id, object.id)});
  }
  work.solutions = explainer_->explain(input, objects, options, progress);
  for (size_t i = 0; i < objects.size(); ++i) {
    const BbamResult& r = work.solutions[i];
    work.maps.push_back(r.positives > 0 ? r.mask : Tensor());
    image.objects.push_back({.object = work.task.objects[i],
                             .class_name = dataset_.name_of(work.object(i)),
                             .box = work.object(i).box,
                             .positives = r.positives,
                             .positive_iou = r.positive_iou,
                             .mean_positive_iou = r.mean_positive_iou,
                             .stride_px = r.grid.stride_px,
                             .source = LabelSource::kMap,
                             .foreground = {},
                             .ignore = {}});
  }
}

// Fills the objects and maps from an earlier run.
void ImageLabeller::reuse(Work& work, LabelledImage& image) const {
  const LabelStore earlier(reused_maps_);
  const std::string& id = work.record().id;
  const auto solved = earlier.read(id);
  check(solved && solved->problem.empty(), reused_maps_, ": has no maps of image ", id);
  const std::vector<int> matches = matching_objects(dataset_, work.record(), *solved);
  for (const int object : work.task.objects) {
    const auto match = std::find(matches.begin(), matches.end(), object);
    check(match != matches.end(), reused_maps_, ": has no map of object ", object, " of image ",
          id);
    const LabelledObject& found = solved->objects[size_t(match - matches.begin())];
    work.maps.push_back(earlier.read_map(id, found));
    image.objects.push_back(found);
    image.objects.back().object = object;
  }
}

// METHOD A7 and, where it is asked for, A9 for each object; their masks also into `image`.
std::vector<ObjectLabel> ImageLabeller::labels_of(const Work& work, LabelledImage& image) const {
  std::vector<MapOfObject> maps;
  for (size_t i = 0; i < work.maps.size(); ++i)
    maps.push_back({work.maps[i].defined() ? work.maps[i].to(session_.device) : Tensor(),
                    array_of(work.object(i).box)});
  const Image& photograph = work.photograph;
  const Tensor pixels =
      Tensor::from(photograph.pixels, {photograph.height, photograph.width, 3}, session_.device);
  std::vector<ObjectLabel> labels = pseudo_labels(pixels, maps, explain_.label);
  std::vector<BoxArray> boxes;
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i].foreground = labels[i].foreground.to(kCpu);
    labels[i].ignore = labels[i].ignore.to(kCpu);
    boxes.push_back(maps[i].box);
  }
  if (refiner_.refines()) refiner_.refine(work.proposals, boxes, labels);
  for (size_t i = 0; i < labels.size(); ++i) {
    image.objects[i].source = labels[i].source;
    image.objects[i].foreground = rle_encode(labels[i].foreground);
    image.objects[i].ignore = rle_encode(labels[i].ignore);
  }
  return labels;
}

void ImageLabeller::write(const Work& work, const LabelledImage& image,
                          const std::vector<ObjectLabel>& labels) const {
  const std::string& id = work.record().id;
  for (size_t i = 0; i < work.maps.size(); ++i)
    if (work.maps[i].defined()) store_.write_map(id, work.task.objects[i], work.maps[i]);
  store_.write_painted(id, painted_labels(dataset_, work.task, labels));
  for (size_t i = 0; i < work.maps.size(); ++i)
    if (is_example(work.task, i)) write_one_example(work, image, i);
}

bool ImageLabeller::is_example(const LabelTask& task, size_t i) const {
  return task.objects_before + int64_t(i) < examples_;
}

void ImageLabeller::write_one_example(const Work& work, const LabelledImage& image,
                                      size_t i) const {
  Example example = labelled_example(dataset_, work.task, image, i, work.photograph);
  example.detected = work.detected;
  if (!work.solutions.empty())
    add_solution(example, work.solutions[i], explain_);
  else if (work.maps[i].defined())
    example.maps[iterations_of(session_.settings)] = work.maps[i];
  write_example(store_.path("objects"), example);
}

// Of a finished image, as far as its folder tells: without curve, detections and earlier maps.
void ImageLabeller::write_missing_examples(const LabelTask& task,
                                           const LabelledImage& image) const {
  Work work{task, {}, {}, {}};
  for (size_t i = 0; i < task.objects.size() && is_example(task, i); ++i) {
    const std::string id = example_id(task.record->id, task.objects[i]);
    if (std::filesystem::exists(store_.path("objects/" + id + "/object.json"))) continue;
    try {
      if (work.maps.empty()) work.photograph = read_photograph(task);
      for (size_t k = work.maps.size(); k < image.objects.size(); ++k)
        work.maps.push_back(store_.read_map(image.image_id, image.objects[k]));
      write_one_example(work, image, i);
    } catch (const Error& error) {
      session_.warn(join("example ", id, ": ", error.what(), "; left out"));
    }
  }
}

}  // namespace bbam
