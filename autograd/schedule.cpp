#include "autograd/schedule.h"

#include <algorithm>
#include <cmath>

#include "tensor/check.h"

namespace bbam {

double Schedule::rate(int64_t step) const {
  check(step >= 0, "Schedule: step ", step, "; expected 0 or more");
  double rate = base_rate;
  if (step < warmup_steps)
    rate *= warmup_factor + (1 - warmup_factor) * double(step) / double(warmup_steps);
  const auto reached = std::count_if(milestones.begin(), milestones.end(),
                                     [step](int64_t milestone) { return step >= milestone; });
  rate *= std::pow(gamma, double(reached));
  if (poly_power == 0) return rate;
  check(total_steps > 0 && poly_period > 0, "Schedule: polynomial decay over ", total_steps,
        " steps, renewed every ", poly_period, "; expected both above 0");
  const int64_t renewed = step / poly_period * poly_period;
  const double left = 1 - double(renewed) / double(total_steps);
  return rate * std::pow(std::max(0.0, left), poly_power);
}

}  // namespace bbam
