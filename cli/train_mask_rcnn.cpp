// bbam train mask-rcnn: Mask R-CNN from the masks of a data set, of filled boxes, or of pseudo
// labels (BBAM, section 3.4; METHOD A11, B1).
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/mask_rcnn_file.h"
#include "cli/mask_source.h"
#include "cli/train_detector.h"
#include "cli/weights.h"

namespace bbam {
namespace {

constexpr const char* kName = "mask_rcnn";

struct MaskRcnnTraining {
  DataOptions data;
  LoopOptions loop;
  std::string masks;
  // METHOD B1's table row BBAM_VOC_aug_FPN_R101_MaskRCNN.
  DetectorTraining training{.learning_rate = 0.008,
                            .rate_batch = 8,
                            .milestones = {0.8},
                            .short_sides = {416, 440, 464, 488, 512},
                            .long_side = 800,
                            .divisibility = 32};
  DetectorOptions detector{.anchor_sizes = {21, 42, 84, 168, 332}};
  MaskHeadOptions head;
};

// Trunk weights, or a detector of this program, of which everything is taken.
void load_first_weights(MaskRcnn& model, const DetectorCard& card, const std::string& path) {
  if (!path.ends_with(".safetensors")) return load_trunk(model.detector(), path);
  SafetensorsFile file = read_safetensors(path);
  if (file.metadata.count(kCardKey) == 0) return load_trunk(model.detector(), path);
  const DetectorCard found = card_of(file.metadata, path);
  check(found.options.architecture == kFasterRcnn, path, ": is a ", found.options.architecture,
        "; expected a Faster R-CNN, or a trunk alone");
  check(found.classes == card.classes, path, ": was trained on other classes");
  const std::string difference = first_difference(found, card);
  check(difference.empty(), path, ": is a detector of another architecture, ", difference,
        "; give its options");
  check_finite(file.tensors, path);
  load_tensors(model.detector(), in_ohwi(std::move(file.tensors), file.metadata), path);
}

class MaskRcnnTrainee : public DetectionTrainee {
 public:
  MaskRcnnTrainee(const Dataset& dataset, const MaskRcnnTraining& o, Session& session)
      : DetectionTrainee(dataset, o.training, session, true),
        card_{{o.detector, dataset.classes, test_side(o.training), o.training.long_side}, o.head},
        model_(mask_rcnn_spec(o.detector, o.head, int64_t(dataset.classes.size())), session.seed) {
    if (!o.loop.init.empty()) load_first_weights(model_, card_.detector, o.loop.init);
    optimise(model_);
    model_.set_training(true);
  }

  Module& network() override { return model_; }
  std::map<std::string, std::string> metadata() const override { return to_metadata(card_); }
  std::vector<std::string> loss_names() const override {
    return {"objectness", "rpn_box", "classification", "box", "mask"};
  }

 protected:
  StepValues train_on(const DetectorBatch& input, const Batch& batch, double rate,
                      StepSeed seed) override {
    return train_step(model_, optimizer(), {input, batch.masks}, rate, seed);
  }

 private:
  MaskRcnnCard card_;
  MaskRcnn model_;
};

}  // namespace

void add_train_mask_rcnn(Program& program) {
  auto o = std::make_shared<MaskRcnnTraining>();
  o->data.split = "train";
  Command command = program.add("train mask-rcnn", "Train Mask R-CNN with FPN from masks");
  add_data_options(command, o->data);
  command
      .option(
          "--masks", o->masks,
          "truth: the data set's; boxes: filled boxes; or the folder of a bbam pseudo-label run "
          "over the same objects")
      .required();
  add_loop_options(
      command, o->loop,
      "weights of the trunk, for BGR pictures of 0 to 255 less the mean (MSRA's; .pth, "
      ".pkl or .safetensors), or a detector.safetensors of bbam train detector, of "
      "which everything is taken; none: random");
  add_detector_training_options(command, o->training);
  add_detector_options(command, o->detector);
  add_mask_head_options(command, o->head);
  command.footer(
      "Full supervision is --masks truth --mask-loss plain; the paper's training from boxes is\n"
      "--masks LABELS. Ctrl-C saves a checkpoint; --resume, with the same options, then gives the\n"
      "same bytes as a run that was not stopped.");
  command.action([o](Session& session) {
    check_options(o->training);
    run_training(o->data, o->loop, kName, false, session, [&](Dataset& dataset) {
      set_masks(dataset, o->masks);
      return std::make_unique<MaskRcnnTrainee>(dataset, *o, session);
    });
  });
}

}  // namespace bbam
