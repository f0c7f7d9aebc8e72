// Mask proposals of Multiscale Combinatorial Grouping [Arbelaez 2014] as its authors publish them:
// one MATLAB file a picture, of the versions 5 to 7.3, with
//   superpixels   (H, W), which superpixel a pixel belongs to, 1, 2, ...
//   labels        cells, one a proposal: the list of its superpixels
//   scores        optional, one a proposal
// in any real numeric type. Other variables are not looked at.
#pragma once
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace bbam {

struct McgProposals {
  Tensor superpixels;                         // (H, W) i32, from 0
  std::vector<std::vector<int32_t>> regions;  // each proposal's superpixels, ascending, from 0
  std::vector<float> scores;                  // one a proposal, or none
};

// Throws Error naming the file where it is none, cut off or damaged, where a variable is missing or
// of another type or size, and where an index is no superpixel. Files of version 7.3 are to be read
// by one thread at a time; of damaged ones the HDF5 library tells standard error more.
McgProposals read_mcg(const std::string& path);

}  // namespace bbam
