#include "cli/protocol.h"

#include <fmt/format.h>

namespace bbam {
namespace {

// METHOD B1's rows BBAM_VOC_aug_FPN_R101_FasterRCNN and _MaskRCNN, and B5.
Protocol full_voc() {
  Protocol p;
  p.name = "full";
  p.detector = words_of("--depth 101 --batch 16 --steps 18000");
  p.noise_detector = p.detector;
  p.instances = words_of("--depth 101 --batch 8 --steps 20005");
  p.classes = words_of("--depth 101 --batch 5 --accumulate 2 --steps 20000");
  p.classes_test = words_of("--crf");
  p.segmenters_begin_with_detector = false;
  p.studied_objects = 1000;
  p.noises = {-0.2, -0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.2};
  return p;
}

// METHOD B1's row BBAM_coco_FPN_R101_FasterRCNN, which takes a ResNet-50 despite its name, for the
// detector. The authors give no configuration of a Mask R-CNN: the same schedule.
Protocol full_coco() {
  Protocol p = full_voc();
  const char* detector =
      "--depth 50 --batch 8 --lr 0.02 --steps 180000 --short-sides 800 --divisibility 32";
  p.detector = p.noise_detector = words_of(detector);
  p.instances = words_of(std::string(detector) + " --anchor-sizes 32,64,128,256,512");
  return p;
}

Protocol small_photographs() {
  const char* sizes =
      " --anchor-sizes 16,32,64,128,256 --batch 2 --lr 0.02 --checkpoint-every 100 "
      "--rois-per-image 128";
  Protocol p;
  p.name = "small";
  p.detector = words_of(std::string("--epochs 20 --warmup 200 --short-sides "
                                    "160,192,224,256,288,320,352,384 --test-short-side 320 "
                                    "--long-side 533") +
                        sizes);
  p.noise_detector = words_of(
      std::string("--steps 1200 --warmup 200 --short-sides 160,192,224 --long-side 373") + sizes);
  p.train_pictures = words_of("--pictures 150");
  p.val_pictures = words_of("--pictures 100");
  // The detector knows the training pictures: there, smaller ones do.
  p.labels_input = words_of("--short-side 160 --long-side 267");
  p.studies_input = words_of("--short-side 224 --long-side 373");
  p.most_positives = 30;
  p.solver = words_of("--iterations 40 --learning-rate 0.1 --snapshots 1,15");
  p.instances = words_of(
      "--anchor-sizes 16,32,64,128,256 --batch 2 --lr 0.02 --steps 300 --warmup 50 "
      "--rois-per-image 64 --mask-width 128 --checkpoint-every 100 --short-sides 160,192,224 "
      "--long-side 373");
  // Half the size of the full protocol throughout.
  p.classes = words_of(
      "--batch 4 --accumulate 1 --lr 0.0025 --steps 300 --crop 161 "
      "--crop-scales 0.25,0.375,0.5,0.625,0.75 --aspp-rates 3,6,9,12 --checkpoint-every 100");
  p.classes_test = words_of("--scales 0.5 --crf");
  p.studied_objects = 30;
  p.lambdas = {0.001, 0.007, 0.020};
  p.noises = {-0.2, 0, 0.2};
  return p;
}

Protocol small_generated() {
  const char* trunk =
      " --depth 18 --bottleneck-stride 3x3 --stem-width 32 --norm group --checkpoint-every 100";
  const std::string detector =
      std::string(trunk) +
      " --freeze-stages 0 --fpn-channels 64 --head-width 256 --anchor-sizes 16,32,64,128,256 "
      "--rois-per-image 64 --train-proposals 200 --test-proposals 100 --short-sides 144 --batch 4";
  Protocol p;
  p.name = "small, generated pictures";
  p.detector = words_of(detector + " --steps 1500 --lr 0.05 --warmup 150");
  p.noise_detector = p.detector;
  p.train_pictures = words_of("--pictures 150");
  p.most_positives = 40;
  p.solver = words_of("--iterations 100 --learning-rate 0.04 --snapshots 1,30");
  p.instances = words_of(detector + " --steps 300 --lr 0.05 --warmup 50 --mask-width 64");
  // The trunk has learnt little, and goes on at the detector's rate. Dilations and scales are for
  // pictures of this size.
  p.classes = words_of(std::string(trunk) +
                       " --batch 4 --accumulate 1 --lr 0.03 --head-rate 0.2 --steps 1500 --crop "
                       "129 --crop-scales 0.75,1,1.25 --network-scales 0.75 --aspp-rates 2,4,7,10");
  p.classes_test = words_of("--crf");
  return p;
}

}  // namespace

std::string text_of(const Protocol& p) {
  std::string text = fmt::format("{} {} {} {} {}", p.name, p.segmenters_begin_with_detector,
                                 p.studied_objects, p.most_positives, fmt::join(p.lambdas, " "));
  text += fmt::format(" {}", fmt::join(p.noises, " "));
  for (const Arguments* stage :
       {&p.detector, &p.noise_detector, &p.train_pictures, &p.val_pictures, &p.labels_input,
        &p.studies_input, &p.solver, &p.instances, &p.classes, &p.classes_test})
    text += fmt::format(" | {}", fmt::join(*stage, " "));
  return text;
}

Protocol protocol_of(const std::string& scale, bool has_first_weights, bool is_coco) {
  if (scale == "full") return is_coco ? full_coco() : full_voc();
  return has_first_weights ? small_photographs() : small_generated();
}

}  // namespace bbam
