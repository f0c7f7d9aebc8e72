// A detector small enough for a test, as a file, and pictures for it. It calls everything "disc"
// and hardly moves boxes, so every disc has positive proposals and no other object has any.
#pragma once
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cli/detector_file.h"
#include "datasets/shapes.h"
#include "tensor/files.h"
#include "tests/cli/run_command.h"
#include "tests/temp_folder.h"

namespace bbam::test {

inline void write_disc_detector(const std::string& path, float disc_bias = 4) {
  DetectorCard card;
  card.options.depth = 18;
  card.options.stem_width = 8;
  card.options.norm = "group";
  card.options.fpn_channels = 8;
  card.options.head_width = 16;
  card.options.anchor_sizes = {16, 32, 64, 96, 128};
  card.options.test_proposals = 16;
  card.classes = shape_classes();
  card.short_side = 64;
  card.long_side = 96;
  FasterRcnn model(detector_spec(card.options, int64_t(card.classes.size())), 3);
  model.visit("", [&](const std::string& name, Variable& variable) {
    if (name.ends_with("cls_score.bias"))
      variable.mutable_value().mutable_data<float>()[1] = disc_bias;
  });
  save_detector(path, model, card);
}

// The arguments with these options added, or their values replaced.
inline std::vector<std::string> with(std::vector<std::string> arguments,
                                     const std::vector<std::string>& more) {
  for (size_t i = 0; i < more.size(); ++i) {
    const auto found = std::find(arguments.begin(), arguments.end(), more[i]);
    if (more[i].starts_with("--") && found != arguments.end())
      *(found + 1) = more[++i];
    else
      arguments.push_back(more[i]);
  }
  return arguments;
}

struct ExplainFixture {
  TempFolder folder;
  std::string weights = folder.path("detector.safetensors"), data = folder.path("shapes");

  ExplainFixture() {
    write_disc_detector(weights);
    write_shapes(data, {.train = 1, .val = 4, .width = 72, .height = 48, .seed = 4});
  }
  ~ExplainFixture() { set_threads(threads_before_); }

  // A solve of few steps; `more` may replace options.
  static CommandResult run(const std::vector<std::string>& command,
                           const std::vector<std::string>& more) {
    const std::vector<std::string> quick{"--threads",        "1",   "--iterations",   "3",
                                         "--proposals",      "60",  "--positive-iou", "0.5",
                                         "--snapshots",      "1,2", "--stride",       "6",
                                         "--no-scale-stride"};
    return run_command(with(with(command, quick), more));
  }
  CommandResult label(const std::string& out, const std::vector<std::string>& more = {}) const {
    return run({"pseudo-label", "--weights", weights, "--data", data, "--split", "val", "--out",
                folder.path(out)},
               more);
  }

 private:
  int threads_before_ = threads();
};

// Every file below the folder with its bytes.
inline std::map<std::string, std::string> files_in(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[std::filesystem::relative(entry.path(), folder).string()] =
          read_file(entry.path().string());
  return files;
}

}  // namespace bbam::test
