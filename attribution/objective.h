// The objective of the mask [BBAM, equations 1 to 3; METHOD A3, A5].
#pragma once
#include <vector>

#include "attribution/explained_detector.h"

namespace bbam {

// At M = 0 the L1 norm has a kink. kSum differentiates Σ M: the slope from inside [0, 1]. kAbs
// takes 0 there, as the authors' abs() does, which lets cells at 0 flicker.
enum class AreaTerm { kSum, kAbs };

struct ObjectiveSpec {
  bool use_box_head = true, use_class_head = true;  // 1_box and 1_cls of equation 2
  double lambda = 0.007;                            // on ‖M‖₁
  // The paper has plain L1 norms. The authors halve the mean over the four offsets and halve the
  // class term: 1/8 and 1/2.
  double box_weight = 1, class_weight = 1;
  double tv_weight = 0, tv_beta = 3;  // the authors add 1e-4 · TV
  AreaTerm area = AreaTerm::kSum;
};

// What equation 2 compares with, for the proposals of several objects at once, row by row.
struct Targets {
  Tensor label_of_row;   // (R) i64: class c of the row's object
  Tensor object_of_row;  // (R) i64
  // The rest is of the predictions' type, f32 or f64.
  Tensor weight_of_row;  // (R) 1 / |O⁺| of the row's object: the expectation of equation 3
  Tensor probabilities;  // (R) p^c
  Tensor offsets;        // (R, 4) t^c
};

// Each with its weight. The term of a head that is not used is told, but no part of the total: how
// far that head's answer drifts while the other's is kept [figure 6(c)].
struct ObjectiveTerms {
  double total = 0, area = 0, box = 0, cls = 0, tv = 0;
};

// Sum over objects of λ‖M‖₁ + L_perturb + TV, a scalar. Objects do not interact, so each mask
// receives the gradient of its own objective. `terms`, when given, receives one entry per mask;
// that reads numbers back from the device. Throws Error for rows that do not fit each other.
Variable objective(const std::vector<Variable>& masks, const BoxPredictions& predictions,
                   const Targets& targets, const ObjectiveSpec& spec,
                   std::vector<ObjectiveTerms>* terms = nullptr);

}  // namespace bbam
