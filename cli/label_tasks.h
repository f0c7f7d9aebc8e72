// Which objects of a data set bbam pseudo-label works on, and who does what.
#pragma once
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace bbam {

struct LabelTask {
  const Record* record = nullptr;
  std::vector<int> objects;    // indices in Record::objects
  int64_t objects_before = 0;  // in earlier tasks
};

// Objects whose class (a label) is usable, image by image in the data set's order; images without
// any are left out. All but crowds: VOC's difficult objects have one box each as others have, and
// are labelled as in the authors' program. most > 0: only so many, drawn without replacement by
// `seed` alone, to be compared with true masks, and so without difficult ones.
std::vector<LabelTask> label_tasks(const Dataset& dataset, const std::vector<bool>& usable_labels,
                                   int64_t most, uint64_t seed);

// "2/8": the second of eight parts, every eighth task from the second on. Throws Error.
struct Shard {
  int64_t index = 0, count = 1;  // index from 0
  bool has(size_t task) const { return int64_t(task) % count == index; }
};
Shard parse_shard(const std::string& text);

}  // namespace bbam
