// The options of a detector, or of what has one in it, that trains in seconds.
#pragma once
#include <string>
#include <vector>

namespace bbam::test {

inline std::vector<std::string> tiny_training(const std::string& network, const std::string& data,
                                              const std::string& out) {
  return {"train",
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
          "--head-width",
          "32",
          "--anchor-sizes",
          "16,32,64,96,128",
          "--rois-per-image",
          "32",
          "--train-proposals",
          "64",
          "--test-proposals",
          "64",
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
}

}  // namespace bbam::test
