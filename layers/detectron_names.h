// Detectron's names of a ResNet's tensors (Caffe2's) as ours, which are torchvision's:
//
//   conv1_w, res_conv1_bn_s, res_conv1_bn_b       conv1.weight, bn1.weight, bn1.bias
//   res4_22_branch2c_w, res4_22_branch2c_bn_s     layer3.22.conv3.weight, layer3.22.bn3.weight
//   res2_0_branch1_w, res2_0_branch1_bn_b         layer1.0.downsample.0.weight, ...1.bias
#pragma once
#include <string>

#include "layers/safetensors.h"

namespace bbam {

bool has_detectron_names(const TensorMap& tensors);

// Detectron has folded the running statistics into scale (_s) and bias (_b): mean 0 and variance
// 1 - epsilon, which a frozen norm takes as exactly that scale and bias, stand in for them. Names
// of no ResNet are kept. Throws Error naming `path` for a convolution with a bias, which ResNets
// lack (zeros, to rounding, are passed over).
TensorMap from_detectron_names(const TensorMap& tensors, const std::string& path);

}  // namespace bbam
