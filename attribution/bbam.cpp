#include "attribution/bbam.h"

#include <algorithm>
#include <memory>

#include "attribution/perturb.h"
#include "autograd/optimizer.h"
#include "layers/elementwise.h"

namespace bbam {

BbamOptions BbamOptions::authors() {
  BbamOptions o;
  o.objective.box_weight = 1.0 / 8;
  o.objective.class_weight = 1.0 / 2;
  o.objective.tv_weight = 1e-4;
  o.objective.area = AreaTerm::kAbs;
  o.positives.iou_thresholds = {0.9, 0.85, 0.8};
  o.positives.truncate_boxes = true;
  o.rounding = GridRounding::kTruncate;
  o.corners = Corners::kAligned;
  return o;
}

namespace {

// Appends (R, 5) rows for roi_align: the image index, then the box.
void append_rois(const Tensor& boxes, int64_t image, std::vector<float>& rois) {
  const auto values = boxes.to_vector<float>();
  for (auto box = values.begin(); box != values.end(); box += 4) {
    rois.push_back(float(image));
    rois.insert(rois.end(), box, box + 4);
  }
}

Tensor as_rois(const std::vector<float>& rows, Device device) {
  return Tensor::from(rows, {int64_t(rows.size() / 5), 5}).to(device);
}

MaskGrid grid_for(const BbamObject& object, const Tensor& image, const BbamOptions& o) {
  const auto height = double(image.dim(1)), width = double(image.dim(2));
  const BoxArray& b = object.box;
  const double area = (double(b[2]) - b[0]) * (double(b[3]) - b[1]);
  double stride = o.fixed_stride_px;
  if (stride <= 0) stride = adaptive_stride(area / (height * width));
  if (o.scale_stride) stride *= scale_of_input(height, width);
  return mask_grid(image.dim(1), image.dim(2), stride, o.rounding);
}

// METHOD A3: coordinates divided by the stride and truncated; the cell of the far edge is outside.
Tensor initial_mask(const MaskGrid& grid, const Tensor& regressed, InitialMask kind) {
  if (kind == InitialMask::kOnes) return Tensor::full({grid.height, grid.width}, 1);
  std::vector<float> mask(size_t(grid.height * grid.width), 0.f);
  const auto boxes = regressed.to_vector<float>();
  const auto cell = [&](float at_px, int64_t cells) {
    return std::clamp<int64_t>(int64_t(double(at_px) / grid.stride_px), 0, cells);
  };
  for (auto box = boxes.begin(); box != boxes.end(); box += 4)
    for (int64_t y = cell(box[1], grid.height); y < cell(box[3], grid.height); ++y)
      for (int64_t x = cell(box[0], grid.width); x < cell(box[2], grid.width); ++x)
        mask[size_t(y * grid.width + x)] = 1;
  return Tensor::from(mask, {grid.height, grid.width});
}

// An object on its way: what its optimisation compares with, and its result.
struct Job {
  BbamObject object;
  Positives positives;
  BbamResult result;
};

std::vector<Job> prepare(ExplainedDetector& detector, const Tensor& image,
                         const std::vector<BbamObject>& objects, const BbamOptions& o) {
  const NoGrad frozen;
  const int64_t height = image.dim(1), width = image.dim(2);
  std::vector<Job> jobs;
  for (const BbamObject& object : objects) {
    Job job{object, {}, {}};
    const Tensor proposals =
        detector.candidates(object.box, height, width, o.positives, object.seed);
    std::vector<float> rois;
    append_rois(proposals, 0, rois);
    const BoxPredictions whole = detector.predict(image, as_rois(rois, image.device()));
    job.positives = select_positives(detector, whole, proposals, object.box, object.label, height,
                                     width, o.positives);
    job.result.grid = grid_for(object, image, o);
    job.result.positives = job.positives.proposals.dim(0);
    job.result.mask = job.result.positives > 0
                          ? initial_mask(job.result.grid, job.positives.regressed, o.initial)
                          : Tensor::zeros({job.result.grid.height, job.result.grid.width});
    job.result.positive_iou = job.positives.iou_threshold;
    job.result.mean_positive_iou = job.positives.mean_iou;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Targets targets_of(const std::vector<Job*>& batch, Device device) {
  std::vector<int64_t> labels, owners;
  std::vector<float> weights, probabilities, offsets;
  for (size_t k = 0; k < batch.size(); ++k) {
    const Positives& p = batch[k]->positives;
    const auto count = size_t(p.proposals.dim(0));
    labels.insert(labels.end(), count, batch[k]->object.label);
    owners.insert(owners.end(), count, int64_t(k));
    weights.insert(weights.end(), count, 1.f / float(count));
    const auto ps = p.probabilities.to_vector<float>(), ts = p.offsets.to_vector<float>();
    probabilities.insert(probabilities.end(), ps.begin(), ps.end());
    offsets.insert(offsets.end(), ts.begin(), ts.end());
  }
  const auto rows = int64_t(labels.size());
  return {Tensor::from(labels).to(device), Tensor::from(owners).to(device),
          Tensor::from(weights).to(device), Tensor::from(probabilities).to(device),
          Tensor::from(offsets, {rows, 4}).to(device)};
}

// The iterations for the objects of one batch.
class Solver {
 public:
  Solver(ExplainedDetector& detector, const Tensor& image, const std::vector<Job*>& batch,
         const BbamOptions& options)
      : detector_(detector), image_(image), batch_(batch), options_(options),
        targets_(targets_of(batch, image.device())) {
    std::vector<float> rois;
    ParameterGroup group;
    for (size_t k = 0; k < batch.size(); ++k) {
      append_rois(batch[k]->positives.proposals, int64_t(k), rois);
      masks_.emplace_back(batch[k]->result.mask.to(image.device()).clone(), true);
      group.names.push_back(join("mask", k));
      group.parameters.push_back(masks_.back());
    }
    rois_ = as_rois(rois, image.device());
    optimizer_ = std::make_unique<Adam>(std::vector<ParameterGroup>{group});
  }

  void step(int iteration) {
    const Variable upsampled =
        upsample_masks(masks_, image_.dim(1), image_.dim(2), options_.corners);
    const BoxPredictions predictions = detector_.predict(perturb(image_, upsampled), rois_);
    std::vector<ObjectiveTerms> terms;
    backward(objective(masks_, predictions, targets_, options_.objective,
                       options_.record_curve ? &terms : nullptr));
    optimizer_->step(options_.learning_rate);
    for (size_t k = 0; k < masks_.size(); ++k) {
      masks_[k].mutable_value().copy_from(clamp(masks_[k].detach(), 0, 1).value());
      masks_[k].clear_grad();
      if (options_.record_curve) batch_[k]->result.curve.push_back(terms[k]);
    }
    const auto& wanted = options_.snapshots;
    if (std::find(wanted.begin(), wanted.end(), iteration) == wanted.end()) return;
    keep_masks();
    for (Job* job : batch_) job->result.snapshots.emplace_back(iteration, job->result.mask);
  }

  // The masks as they are now become the results. From a GPU that waits for it to finish.
  void keep_masks() {
    for (size_t k = 0; k < masks_.size(); ++k)
      batch_[k]->result.mask = masks_[k].value().to(kCpu).clone();
  }

 private:
  ExplainedDetector& detector_;
  Tensor image_;
  std::vector<Job*> batch_;
  const BbamOptions& options_;
  Targets targets_;
  Tensor rois_;
  std::vector<Variable> masks_;
  std::unique_ptr<Adam> optimizer_;
};

// Objects that have positives, those that need the same work side by side, options.batch at a time.
std::vector<std::vector<Job*>> batches_of(std::vector<Job>& jobs, const ExplainedDetector& detector,
                                          const BbamOptions& options) {
  std::vector<Job*> order;
  for (Job& job : jobs)
    if (job.result.positives > 0) order.push_back(&job);
  std::stable_sort(order.begin(), order.end(), [&](const Job* a, const Job* b) {
    return detector.cost_group(a->object.box) < detector.cost_group(b->object.box);
  });
  std::vector<std::vector<Job*>> batches;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i % size_t(options.batch) == 0) batches.emplace_back();
    batches.back().push_back(order[i]);
  }
  return batches;
}

}  // namespace

std::vector<BbamResult> solve_bbam(ExplainedDetector& detector, const Tensor& image,
                                   const std::vector<BbamObject>& objects,
                                   const BbamOptions& options, const SolveProgress& progress) {
  check_shape(image, {1, -1, -1, 3}, "solve_bbam: image");
  check(options.iterations >= 0 && options.batch >= 1, "solve_bbam: ", options.iterations,
        " iterations, ", options.batch, " objects at a time");
  check(options.learning_rate >= 0 && options.fixed_stride_px >= 0, "solve_bbam: learning rate ",
        options.learning_rate, ", stride ", options.fixed_stride_px, " px; expected 0 or more");
  std::vector<Job> jobs = prepare(detector, image, objects, options);
  const auto batches = batches_of(jobs, detector, options);
  const auto total = int64_t(batches.size()) * options.iterations;
  int64_t done = 0;
  bool goes_on = true;
  for (const auto& batch : batches) {
    if (!goes_on) break;
    Solver solver(detector, image, batch, options);
    for (int iteration = 1; goes_on && iteration <= options.iterations; ++iteration) {
      solver.step(iteration);
      goes_on = !progress || progress(++done, total);
    }
    solver.keep_masks();
  }
  std::vector<BbamResult> results;
  for (Job& job : jobs) results.push_back(std::move(job.result));
  return results;
}

}  // namespace bbam
