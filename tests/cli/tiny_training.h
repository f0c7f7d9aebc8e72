// The options of a detector, or of what has one in it, that trains in seconds.
#pragma once
#include <string>
#include <vector>

namespace bbam::test {

inline std::vector<std::string> tiny_training(const std::string& network, const std::string& data,
                                              const std::string& out) {
  std::vector<std::string> line{"train",
                                network,
                                "--data",
                                data,
                                "--out",
                                out,
                                "--depth",
                                "18",
                                "--stem-width",
                                "8",
                                "--norm",
                                "group",
                                "--freeze-stages",
                                "0",
                                "--fpn-channels",
                                "16",
                                "--anchor-sizes",
                                "16,32,64,96,128",
                                "--batch",
                                "2",
                                "--short-sides",
                                "64,72",
                                "--long-side",
                                "128",
                                "--steps",
                                "6",
                                "--checkpoint-every",
                                "3",
                                "--seed",
                                "5"};
  const std::vector<std::string> own =
      network == "retinanet"
          ? std::vector<std::string>{"--subnet-convs", "1", "--candidates", "64"}
          : std::vector<std::string>{"--head-width",      "32", "--rois-per-image", "32",
                                     "--train-proposals", "64", "--test-proposals", "64"};
  line.insert(line.end(), own.begin(), own.end());
  return line;
}

}  // namespace bbam::test
