#include "attribution/objective.h"

#include "layers/elementwise.h"
#include "layers/losses.h"
#include "layers/reduce.h"

namespace bbam {
namespace {

// |p^c − f_cls|, weighted by row: (R).
Variable class_distance(const BoxPredictions& predictions, const Targets& targets) {
  const Variable p = probabilities_of(predictions, targets.label_of_row);
  return mul(abs(sub(p, targets.probabilities)), targets.weight_of_row);
}

// ‖t^c − f_box‖₁, weighted by row: (R).
Variable box_distance(const BoxPredictions& predictions, const Targets& targets) {
  const Variable t = offsets_of(predictions, targets.label_of_row);
  return mul(sum(abs(sub(t, targets.offsets)), 1), targets.weight_of_row);
}

// Adds each row's share to the term of its object.
void report(const Variable& distance, double weight, const Targets& targets,
            double ObjectiveTerms::*term, std::vector<ObjectiveTerms>& terms) {
  const auto values = distance.value().to(kCpu).cast(DType::kF64).to_vector<double>();
  const auto objects = targets.object_of_row.to(kCpu).to_vector<int64_t>();
  for (size_t r = 0; r < values.size(); ++r) terms[size_t(objects[r])].*term += weight * values[r];
}

}  // namespace

Variable objective(const std::vector<Variable>& masks, const BoxPredictions& predictions,
                   const Targets& targets, const ObjectiveSpec& spec,
                   std::vector<ObjectiveTerms>* terms) {
  if (terms) terms->assign(masks.size(), {});
  Variable total;
  const auto include = [&](const Variable& term) {
    total = total.defined() ? add(total, term) : term;
  };
  for (size_t k = 0; k < masks.size(); ++k) {
    const Variable norm = sum(spec.area == AreaTerm::kAbs ? abs(masks[k]) : masks[k]);
    include(scale(norm, spec.lambda));
    if (terms) (*terms)[k].area = spec.lambda * norm.value().scalar();
    if (spec.tv_weight == 0) continue;
    const Variable tv = total_variation(masks[k], spec.tv_beta);
    include(scale(tv, spec.tv_weight));
    if (terms) (*terms)[k].tv = spec.tv_weight * tv.value().scalar();
  }
  const auto include_head = [&](bool used, double weight, const auto& distance_of,
                                double ObjectiveTerms::*term) {
    if (!used && !terms) return;
    const Variable distance = distance_of(predictions, targets);
    if (used) include(scale(sum(distance), weight));
    if (terms) report(distance, weight, targets, term, *terms);
  };
  include_head(spec.use_class_head, spec.class_weight, class_distance, &ObjectiveTerms::cls);
  include_head(spec.use_box_head, spec.box_weight, box_distance, &ObjectiveTerms::box);
  if (terms)
    for (ObjectiveTerms& t : *terms)
      t.total = t.area + t.tv + (spec.use_box_head ? t.box : 0) + (spec.use_class_head ? t.cls : 0);
  return total;
}

}  // namespace bbam
