#include "cli/reproduction.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/mask_source.h"
#include "tensor/check.h"

namespace bbam {
namespace {

namespace fs = std::filesystem;

// Table 5's best, which the paper's other tables were made with.
constexpr const char* kThresholds = "--theta-fg 0.8 --theta-bg 0.2";

bool has_list(const std::string& data, const std::string& split) {
  return fs::exists(data + "/ImageSets/" + split + ".txt");
}

// The first of the lists that the data set has; what none has is told when it is read.
std::string first_list(const std::string& data, const std::vector<std::string>& lists) {
  for (const std::string& list : lists)
    if (has_list(data, list)) return list;
  return lists.back();
}

ReproduceOptions with_splits(ReproduceOptions o) {
  const bool is_coco = has_coco_layout(o.data);
  if (o.train_split.empty())
    o.train_split = is_coco ? "train2017"
                            : first_list(o.data, {"Segmentation/train_aug", "Main/train_aug",
                                                  "Segmentation/train", "Main/train"});
  if (o.val_split.empty())
    o.val_split = is_coco ? "val2017" : first_list(o.data, {"Segmentation/val", "Main/val"});
  return o;
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ","));
}

std::string with_variant(const std::string& stage, const std::string& variant) {
  return variant.empty() ? stage : stage + "-" + variant;
}

// "noise+20" for 0.2.
std::string noise_name(double noise) { return fmt::format("noise{:+.0f}", 100 * noise); }

Arguments noise_option(double noise) {
  return noise == 0 ? Arguments{} : Arguments{"--box-noise", fmt::format("{}", noise)};
}

}  // namespace

bool has_coco_layout(const std::string& data) {
  check(fs::is_directory(data), data,
        ": no such folder; expected a data set in VOC or COCO layout");
  return fs::is_directory(data + "/annotations");
}

Reproduction::Reproduction(const ReproduceOptions& options, const Protocol& protocol,
                           Session& session)
    : options_(with_splits(options)), protocol_(protocol), stages_(options.out, session) {}

Arguments Reproduction::train_data(double noise) const {
  Arguments data{"--data", options_.data, "--split", options_.train_split};
  if (!options_.classes.empty()) data = data + Arguments{"--classes", joined(options_.classes)};
  return data + noise_option(noise);
}

Arguments Reproduction::val_data() const {
  Arguments data{"--data", options_.data, "--split", options_.val_split};
  if (!options_.classes.empty()) data = data + Arguments{"--classes", joined(options_.classes)};
  return data;
}

Arguments Reproduction::most_positives() const {
  return {"--most", std::to_string(protocol_.most_positives)};
}

std::string Reproduction::weights(const std::string& stage, const std::string& network) const {
  return stages_.path(stage + "/" + network + ".safetensors");
}

std::string Reproduction::train_detector(const std::string& name, const Arguments& options,
                                         double noise) {
  Arguments command = Arguments{"train", "detector"} + train_data(noise) + options;
  if (!options_.init.empty()) command = command + Arguments{"--init", options_.init};
  stages_.run(name, command);
  return name;
}

std::string Reproduction::detector() { return train_detector("detector", protocol_.detector, 0); }

bool Reproduction::shares_detector(double noise) const {
  return noise == 0 && protocol_.noise_detector == protocol_.detector;
}

std::string Reproduction::noisy_detector(double noise) {
  if (shares_detector(noise)) return detector();
  return train_detector("detector-" + noise_name(noise), protocol_.noise_detector, noise);
}

std::string Reproduction::label(const std::string& name, const std::string& detector,
                                const Arguments& more, double noise) {
  stages_.run(name, Arguments{"pseudo-label", "--weights", weights(detector, "detector")} +
                        train_data(noise) + protocol_.train_pictures + protocol_.labels_input +
                        most_positives() + words_of(kThresholds) + protocol_.solver + more);
  return name;
}

std::string Reproduction::labels(const std::string& variant, const Arguments& more) {
  return label(with_variant("labels", variant), detector(), more, 0);
}

std::string Reproduction::noisy_labels(double noise) {
  if (shares_detector(noise)) return labels();
  return label("labels-" + noise_name(noise), noisy_detector(noise), {}, noise);
}

std::string Reproduction::relabelled(const std::string& variant, const Arguments& more) {
  const std::string name = "labels-" + variant;
  stages_.run(name, Arguments{"pseudo-label", "--reuse-maps", path(labels())} + train_data(0) +
                        protocol_.train_pictures + words_of("--examples 0") + more);
  return name;
}

std::string Reproduction::refined() {
  return relabelled("refined", words_of(kThresholds) + Arguments{"--refine", options_.refine});
}

Arguments Reproduction::first_weights(const std::string& detector) const {
  if (protocol_.segmenters_begin_with_detector) return {"--init", weights(detector, "detector")};
  return {"--init", options_.init};
}

// Pictures for the page, of the variants that table 1 and 3 compare.
Arguments Reproduction::examples_of(const std::string& trained) const {
  const std::string variant = trained.substr(trained.find('-') + 1);
  const bool is_shown = variant == "truth" || variant == "boxes" || variant == "refined";
  return words_of(is_shown ? "--examples 8" : "--examples 0");
}

std::string Reproduction::segment(const std::string& trained, const std::string& network,
                                  const Arguments& more) {
  const std::string tested = trained + "-val";
  stages_.run(tested, Arguments{"segment", "--weights", weights(trained, network), "--data",
                                options_.data, "--split", options_.val_split} +
                          protocol_.val_pictures + examples_of(trained) + more);
  return tested;
}

std::string Reproduction::train_instances(const std::string& name, const std::string& masks,
                                          bool grow, const std::string& detector, double noise) {
  stages_.run(name,
              Arguments{"train", "mask-rcnn"} + train_data(noise) + protocol_.train_pictures +
                  first_weights(detector) + protocol_.instances +
                  Arguments{"--masks", masks, "--mask-loss", grow ? "seed-growing" : "plain"});
  return segment(name, "mask_rcnn", {});
}

std::string Reproduction::instances(const std::string& variant, const std::string& masks,
                                    bool grow) {
  return train_instances("instances-" + variant, masks, grow, detector(), 0);
}

std::string Reproduction::noisy_instances(double noise) {
  const std::string masks = path(noisy_labels(noise));
  if (shares_detector(noise)) return instances("bbam", masks, true);
  return train_instances("instances-" + noise_name(noise), masks, true, noisy_detector(noise),
                         noise);
}

std::string Reproduction::classes(const std::string& variant, const std::string& masks) {
  const std::string trained = "classes-" + variant;
  stages_.run(trained, Arguments{"train", "deeplab"} + train_data(0) + protocol_.train_pictures +
                           first_weights(detector()) + protocol_.classes +
                           Arguments{"--masks", masks});
  return segment(trained, "deeplab", protocol_.classes_test);
}

std::string Reproduction::study(const std::string& variant, const Arguments& more) {
  const std::string maps = "maps-" + variant, name = "study-" + variant;
  const std::string objects = std::to_string(protocol_.studied_objects);
  stages_.run(maps,
              Arguments{"pseudo-label", "--weights", weights(detector(), "detector")} + val_data() +
                  protocol_.studies_input + most_positives() + words_of(kThresholds) +
                  Arguments{"--objects", objects, "--objects-seed", "1", "--examples", objects} +
                  more);
  stages_.run(name, Arguments{"study", path(maps)} + val_data());
  return name;
}

std::string Reproduction::proposal_gradients() {
  const std::string name = "proposal-gradients";
  stages_.run(name, Arguments{"proposal-gradients", "--weights", weights(detector(), "detector")} +
                        val_data() + protocol_.studies_input + most_positives() +
                        Arguments{"--objects", std::to_string(protocol_.studied_objects)});
  return name;
}

const std::vector<Experiment>& experiments() {
  static const std::vector<Experiment> all{
      {"table1", "instances: full supervision, filled boxes, BBAM", table1},
      {"table3", "classes: full supervision, filled boxes, BBAM", table3},
      {"table4", "refinement with mask proposals", table4},
      {"table5", "thresholds and seed growing", table5},
      {"table6", "the weight of the mask's area", table6},
      {"figure4", "labels from each head alone", figure4},
      {"figure6", "where on its object each head looks", figure6},
      {"figure7a", "boxes of less care", figure7a},
      {"figure7b", "adaptive stride, by size of the object", figure7b},
      {"figure7c", "maps of gradient methods", figure7c},
      {"figure8", "gradients of single proposals", figure8},
  };
  return all;
}

}  // namespace bbam
