// The generated data set: textured objects on patchwork grounds, with exact masks.
//
// An object's outline is its class: disc, square, triangle, star or ring. Its interior tells of the
// class too, but less surely: each class has a texture of its own, which three objects in four
// wear; the fourth wears any. So a box must be read off the outline, while a class can be read off
// the inside, which is what the paper's study of the two heads needs (BBAM section 5). Objects vary
// in size, stretch, turn, colour and light, cover each other, and reach over the picture's edge;
// grounds are patched so that a box holds several of them, and strewn with unlabelled sticks.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace bbam {

struct ShapesOptions {
  int train = 400, val = 100;     // pictures
  int width = 192, height = 144;  // pixels, at least 32
  int max_objects = 4;            // 1 to that many in each picture
  uint64_t seed = 0;
};

const std::vector<std::string>& shape_classes();

struct Scene {
  Image picture;                // RGB
  Image class_map, object_map;  // one channel; no void: every pixel is known
  std::vector<Object> objects;  // boxes around what can be seen of them; ids 1, 2, ...
};

// The scene of that index: a pure function of seed, index, extents and max_objects.
Scene draw_scene(const ShapesOptions& options, uint64_t index);

// Writes the set in VOC layout with a classes.txt: lists ImageSets/{Main,Segmentation}/{train,val}.
// Pictures are numbered from 000001, those of train first; train and val share no scene, however
// many there are of each. `progress` is told how many pictures of how many are written.
void write_shapes(const std::string& folder, const ShapesOptions& options,
                  const std::function<void(int, int)>& progress = {});

}  // namespace bbam
