// Learning rates by step: warm-up, milestones and polynomial decay, in any combination.
#pragma once
#include <cstdint>
#include <vector>

namespace bbam {

// rate = base_rate * warm-up * milestones * polynomial; a factor whose settings are left alone is
// 1. Steps count from 0, that of the first update.
struct Schedule {
  double base_rate = 0.01;

  // Warm-up: rises linearly from warmup_factor at step 0 to 1 at step warmup_steps.
  int64_t warmup_steps = 0;
  double warmup_factor = 1.0 / 3;

  // Milestones: gamma for each one reached (step >= milestone).
  std::vector<int64_t> milestones = {};
  double gamma = 0.1;

  // Polynomial: (1 - step / total_steps)^poly_power, 0 from total_steps on; evaluated anew every
  // poly_period steps and held in between.
  double poly_power = 0;  // 0: none
  int64_t total_steps = 0;
  int64_t poly_period = 1;

  // Throws Error for a negative step, or a polynomial without total_steps or poly_period.
  double rate(int64_t step) const;
};

}  // namespace bbam
