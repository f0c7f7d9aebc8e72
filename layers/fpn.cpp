#include "layers/fpn.h"

#include <algorithm>

#include "layers/conv_windows.h"
#include "layers/elementwise.h"
#include "layers/resize.h"

namespace bbam {

Fpn::Fpn(const std::vector<int>& widths, const FpnSpec& spec, Initializer& init) : spec_(spec) {
  for (const int width : widths) {
    laterals_.emplace_back(init.lecun_uniform({spec.channels, 1, 1, width}), true, Conv2dSpec{});
    outputs_.emplace_back(init.lecun_uniform({spec.channels, 3, 3, spec.channels}), true,
                          Conv2dSpec{.padding = 1});
  }
}

std::vector<Variable> Fpn::top_down(const std::vector<Variable>& features, size_t finest) const {
  check(features.size() == laterals_.size(), "FPN: ", features.size(), " levels; expected ",
        laterals_.size());
  std::vector<Variable> path(features.size());
  for (size_t level = features.size(); level-- > finest;) {
    const Conv2d& lateral = laterals_[level];
    Variable coarser;
    if (level + 1 < features.size()) {
      const int64_t h = features[level].dim(1), w = features[level].dim(2);
      coarser = spec_.top_down == TopDown::kBilinear
                    ? resize_bilinear(path[level + 1], h, w, Corners::kHalfPixel)
                    : resize_nearest(path[level + 1], h, w);
    }
    path[level] = conv2d(features[level], lateral.weight, lateral.spec,
                         {.bias = lateral.bias, .residual = coarser});
  }
  return path;
}

std::vector<Variable> Fpn::forward(const std::vector<Variable>& features) {
  std::vector<Variable> levels = top_down(features, 0);
  for (size_t level = 0; level < levels.size(); ++level)
    levels[level] = outputs_[level](levels[level]);
  return levels;
}

std::vector<Variable> Fpn::forward(const std::vector<Variable>& features,
                                   const std::vector<std::vector<Window>>& windows) {
  check(windows.size() == features.size(), "FPN: windows of ", windows.size(), " levels for ",
        features.size());
  const auto is_read = [&](size_t level) {
    return std::any_of(windows[level].begin(), windows[level].end(),
                       [](const Window& w) { return !w.empty(); });
  };
  size_t finest = 0;
  while (finest < windows.size() && !is_read(finest)) ++finest;
  std::vector<Variable> levels = top_down(features, finest);
  for (size_t level = finest; level < levels.size(); ++level)
    levels[level] = is_read(level)
                        ? conv2d_in_windows(levels[level], outputs_[level], windows[level])
                        : Variable();
  return levels;
}

void Fpn::visit(const std::string& prefix, const ParameterVisitor& f) {
  for (size_t level = 0; level < laterals_.size(); ++level) {
    laterals_[level].visit(join(prefix, "inner_blocks.", level, "."), f);
    outputs_[level].visit(join(prefix, "layer_blocks.", level, "."), f);
  }
}

ExtraLevels::ExtraLevels(int in_channels, int channels, Initializer& init)
    : p6(init.lecun_uniform({channels, 3, 3, in_channels}), true, {.stride = 2, .padding = 1}),
      p7(init.lecun_uniform({channels, 3, 3, channels}), true, {.stride = 2, .padding = 1}) {}

std::vector<Variable> ExtraLevels::operator()(const Variable& x) const {
  const Variable sixth = p6(x);
  return {sixth, p7(relu(sixth))};
}

void ExtraLevels::visit(const std::string& prefix, const ParameterVisitor& f) {
  p6.visit(prefix + "p6.", f);
  p7.visit(prefix + "p7.", f);
}

}  // namespace bbam
