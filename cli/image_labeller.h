// One image of bbam pseudo-label: the maps of its objects, solved or taken from an earlier run, are
// made into masks, and what became of it is kept in the store.
#pragma once
#include "attribution/pseudo_label.h"
#include "cli/explain.h"
#include "cli/label_refiner.h"
#include "cli/label_store.h"
#include "cli/label_tasks.h"

namespace bbam {

class ImageLabeller {
 public:
  // Makes maps with `explainer`; where that is null, takes the maps from the folder `reused_maps`.
  // The first `examples` objects of all tasks are kept as bbam report shows them. All references
  // have to outlive the labeller.
  ImageLabeller(const Dataset& dataset, const ExplainOptions& explain, Explainer* explainer,
                const std::string& reused_maps, const LabelRefiner& refiner, int64_t examples,
                const LabelStore& store, Session& session)
      : dataset_(dataset), explain_(explain), explainer_(explainer), reused_maps_(reused_maps),
        refiner_(refiner), examples_(examples), store_(store), session_(session) {}

  // Writes everything about the image, its record in the store last. A photograph that cannot be
  // used is told in LabelledImage::problem. What `progress` throws is passed on, and nothing kept.
  LabelledImage label(const LabelTask& task, const SolveProgress& progress);

  // Examples that a finished image lacks, as far as its folder tells: without curve, detections and
  // earlier maps.
  void write_missing_examples(const LabelTask& task, const LabelledImage& image) const;

 private:
  struct Work;

  Image read_photograph(const LabelTask& task) const;
  void solve(Work& work, LabelledImage& image, const SolveProgress& progress);
  void reuse(Work& work, LabelledImage& image) const;
  std::vector<ObjectLabel> labels_of(const Work& work, LabelledImage& image) const;
  void write(const Work& work, const LabelledImage& image,
             const std::vector<ObjectLabel>& labels) const;
  bool is_example(const LabelTask& task, size_t i) const;
  void write_one_example(const Work& work, const LabelledImage& image, size_t i) const;

  const Dataset& dataset_;
  const ExplainOptions& explain_;
  Explainer* explainer_;
  const std::string& reused_maps_;
  const LabelRefiner& refiner_;
  int64_t examples_;
  const LabelStore& store_;
  Session& session_;
};

}  // namespace bbam
