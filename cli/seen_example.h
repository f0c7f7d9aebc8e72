// A picture of a split as a segmenter sees it, kept for the report in a folder of its own:
//
//   example.json     {"image", "kind": "objects" or "classes", "classes": [[label, name], ...]}
//   image.jpg        the photograph
//   prediction.jpg   what the network found, drawn on it: objects with their boxes and scores, or a
//                    class for every pixel
//   truth.jpg        what is true, drawn likewise; none where the data set does not say
//
// `classes` are those that occur in either; class_color() gives their colours.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace bbam {

struct SeenExample {
  std::string image_id, kind;
  std::map<int, std::string> classes;
  Image photograph, prediction;
  std::optional<Image> truth;
};

// Into folder/ID, in place of what is there; example.json last, so that a folder that has one is
// whole.
void write_seen_example(const std::string& folder, const SeenExample& example);
// Throws Error when a file cannot be read, or is of another size than the photograph.
SeenExample read_seen_example(const std::string& folder);
// The examples of an earlier run; nothing else that is in the folder.
void remove_seen_examples(const std::string& folder);

// Up to `most` records that have objects, spread evenly over all that do: the same ones for every
// network that is asked about a split.
std::vector<const Record*> spread_records(const Dataset& dataset, int most);

}  // namespace bbam
