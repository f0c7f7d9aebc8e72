#include "layers/fpn.h"

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

std::vector<Variable> Fpn::forward(const std::vector<Variable>& features,
                                   const std::vector<bool>& wanted) {
  check(features.size() == laterals_.size(), "FPN: ", features.size(), " levels; expected ",
        laterals_.size());
  std::vector<Variable> levels(features.size());
  size_t finest = 0;
  while (finest < wanted.size() && !wanted[finest]) ++finest;
  Variable path;  // the sum of laterals so far, coarse to fine
  for (size_t level = features.size(); level-- > finest;) {
    const Conv2d& lateral = laterals_[level];
    Variable coarser;
    if (path.defined()) {
      const int64_t h = features[level].dim(1), w = features[level].dim(2);
      coarser = spec_.top_down == TopDown::kBilinear
                    ? resize_bilinear(path, h, w, Corners::kHalfPixel)
                    : resize_nearest(path, h, w);
    }
    path = conv2d(features[level], lateral.weight, lateral.spec,
                  {.bias = lateral.bias, .residual = coarser});
    if (wanted.empty() || wanted[level]) levels[level] = outputs_[level](path);
  }
  return levels;
}

void Fpn::visit(const std::string& prefix, const ParameterVisitor& f) {
  for (size_t level = 0; level < laterals_.size(); ++level) {
    laterals_[level].visit(join(prefix, "inner_blocks.", level, "."), f);
    outputs_[level].visit(join(prefix, "layer_blocks.", level, "."), f);
  }
}

}  // namespace bbam
