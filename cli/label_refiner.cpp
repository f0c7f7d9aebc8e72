#include "cli/label_refiner.h"

#include <filesystem>

#include "cli/label_store.h"
#include "datasets/mcg_file.h"
#include "segmenters/selective_search.h"
#include "tensor/check.h"

namespace bbam {

LabelRefiner::LabelRefiner(const std::string& source, LabelMethod method, uint64_t seed)
    : source_(source),
      spec_(method == LabelMethod::kPaper ? RefineSpec::paper() : RefineSpec::authors()),
      seed_(seed) {
  check(source == kNoRefinement || source == kSelectiveSearch ||
            std::filesystem::is_directory(source),
        "--refine ", source, ": no such folder; expected ", kNoRefinement, ", ", kSelectiveSearch,
        " or a folder of MCG's proposals");
}

RegionProposals LabelRefiner::proposals(const Record& record, const Image& photograph) const {
  const int64_t height = photograph.height, width = photograph.width;
  if (source_ == kSelectiveSearch)
    return selective_search(Tensor::from(photograph.pixels, {height, width, 3}), {}, seed_);
  const std::string path = source_ + "/" + stored_name(record.id) + ".mat";
  McgProposals found = read_mcg(path);
  const Tensor& superpixels = found.superpixels;
  check(superpixels.dim(0) == height && superpixels.dim(1) == width, path, ": is of a picture of ",
        superpixels.dim(1), " x ", superpixels.dim(0), " pixels; expected ", width, " x ", height);
  return {superpixels, std::move(found.regions)};
}

void LabelRefiner::refine(const RegionProposals& proposals, const std::vector<BoxArray>& boxes,
                          std::vector<ObjectLabel>& labels) const {
  for (size_t i = 0; i < labels.size(); ++i)
    labels[i] = refine_label(proposals, labels[i], boxes[i], spec_);
}

}  // namespace bbam
