// Weights files as commands take them: convolutions in either layout.
#pragma once
#include <string>

#include "layers/safetensors.h"

namespace bbam {

enum class ConvolutionLayout { kOhwi, kOihw };

// Our own files say in their metadata that their convolutions are (Cout, kh, kw, Cin).
inline constexpr const char* kLayoutKey = "layout";
inline constexpr const char* kLayoutOhwi = "OHWI";

// Transposes every f32 tensor of rank 4 to that layout from the other; also the fully connected
// layer *.fc6.weight, which is a convolution over the 7 x 7 bins of a RoI in all but shape.
void convolutions_to(ConvolutionLayout layout, TensorMap& tensors);

// The tensors of one of our files, which has this metadata, with convolutions (Cout, kh, kw, Cin).
TensorMap in_ohwi(TensorMap tensors, const std::map<std::string, std::string>& metadata);

// Throws Error naming the file and the first tensor that holds NaN or an infinity: they would pass
// through a network and leave it silent.
void check_finite(const TensorMap& tensors, const std::string& path);

// The network's tensors, convolutions (Cout, kh, kw, Cin) whatever the file's format. Throws Error.
TensorMap read_ohwi_weights(const std::string& path);

// The same of a ResNet: under our names (conv1.weight, layer1.0...) where the file has Detectron's,
// or has them below a detector's "backbone.body.". Throws Error for weights that expect their
// pictures otherwise than our detectors give them, as far as that can be told, and for numbers that
// are not finite.
TensorMap read_trunk_weights(const std::string& path);

}  // namespace bbam
