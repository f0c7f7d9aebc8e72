#include "segmenters/mask_head.h"

#include "layers/elementwise.h"

namespace bbam {

MaskHead::MaskHead(int64_t channels, int64_t classes, const MaskHeadSpec& spec, Initializer& init) {
  check(spec.convs >= 1, "mask head: ", spec.convs, " convolutions; expected at least 1");
  const int64_t width = spec.width;
  for (int k = 0; k < spec.convs; ++k)
    mask_fcn.emplace_back(init.he_normal({width, 3, 3, k == 0 ? channels : width}), true,
                          Conv2dSpec{.padding = 1});
  conv5_weight = Variable(init.he_normal({width, 2, 2, width}), true);
  conv5_bias = Variable(Tensor::zeros({width}), true);
  mask_fcn_logits = Conv2d(init.he_normal({classes + 1, 1, 1, width}), true, {});
}

Variable MaskHead::operator()(const Variable& pooled) const {
  Variable hidden = pooled;
  for (const Conv2d& conv : mask_fcn) hidden = conv(hidden, true);
  return mask_fcn_logits(relu(conv_transpose2d(hidden, conv5_weight, conv5_bias, {.stride = 2})));
}

void MaskHead::visit(const std::string& prefix, const ParameterVisitor& f) {
  for (size_t k = 0; k < mask_fcn.size(); ++k)
    mask_fcn[k].visit(join(prefix, "mask_head.mask_fcn", k + 1, "."), f);
  f(prefix + "mask_predictor.conv5_mask.weight", conv5_weight);
  f(prefix + "mask_predictor.conv5_mask.bias", conv5_bias);
  mask_fcn_logits.visit(prefix + "mask_predictor.mask_fcn_logits.", f);
}

}  // namespace bbam
