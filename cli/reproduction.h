// The runs that the paper's tables and figures are made of, in one folder: each is made once,
// whichever table asks for it first, and gone on with where it was stopped.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/plot.h"
#include "cli/protocol.h"
#include "cli/stages.h"
#include "cli/table.h"

namespace bbam {

struct ReproduceOptions {
  std::vector<std::string> names;
  std::string data, out, scale = "small", init, refine = "selective-search";
  std::string train_split, val_split;  // "": the layout's usual ones
  std::vector<std::string> classes;
};

// What the paper says comes out at least as good as what.
struct Claim {
  std::string text;
  double better = 0, worse = 0;  // shares of 1
  bool holds() const { return better >= worse; }
};

// A table or figure of the paper, made anew.
struct Outcome {
  std::vector<std::pair<std::string, Table>> tables = {};  // with their titles
  std::vector<Plot> plots = {};
  std::vector<Claim> claims = {};
};

// Told by its folders. Throws Error where `data` is none.
bool has_coco_layout(const std::string& data);

class Reproduction {
 public:
  Reproduction(const ReproduceOptions& options, const Protocol& protocol, Session& session);

  const Protocol& protocol() const { return protocol_; }
  bool is_coco() const { return has_coco_layout(options_.data); }
  std::string path(const std::string& entry) const { return stages_.path(entry); }
  // `results` of a stage that was run.
  nlohmann::json results(const std::string& stage) const { return stages_.results(stage); }

  // All of these return the name of the last stage, whose results are then there. A variant's name
  // becomes part of its stages'; its options come on top of the protocol's.

  std::string detector();
  // Maps and labels of the training pictures; "" is the paper's choice of everything.
  std::string labels(const std::string& variant = "", const Arguments& more = {});
  // The same maps as labels(), labelled anew.
  std::string relabelled(const std::string& variant, const Arguments& more);
  std::string refined();  // by mask proposals, equation 4
  // Mask R-CNN trained on these masks (--masks), and its results on the validation pictures.
  std::string instances(const std::string& variant, const std::string& masks, bool grow);
  std::string noisy_instances(double noise);  // all from boxes of that noise: figure 7(a)
  // DeepLab-v2 likewise.
  std::string classes(const std::string& variant, const std::string& masks);
  // Maps of validation objects, in the stage maps-VARIANT, and how they fit the true masks, in
  // study-VARIANT. `more`: of pseudo-label.
  std::string study(const std::string& variant, const Arguments& more = {});
  std::string proposal_gradients();

 private:
  std::string train_detector(const std::string& name, const Arguments& options, double noise);
  std::string train_instances(const std::string& name, const std::string& masks, bool grow,
                              const std::string& detector, double noise);
  std::string segment(const std::string& trained, const std::string& network,
                      const Arguments& more);
  Arguments examples_of(const std::string& trained) const;
  // Figure 7(a) may have detectors of its own, also for exact boxes.
  bool shares_detector(double noise) const;
  std::string noisy_detector(double noise);
  std::string noisy_labels(double noise);
  std::string label(const std::string& name, const std::string& detector, const Arguments& more,
                    double noise);
  Arguments train_data(double noise) const;
  Arguments val_data() const;
  Arguments most_positives() const;
  Arguments first_weights(const std::string& detector) const;
  std::string weights(const std::string& stage, const std::string& network) const;

  ReproduceOptions options_;
  Protocol protocol_;
  Stages stages_;
};

// "table1" and the like, in the paper's order, with what each is made by.
struct Experiment {
  std::string name, what;
  Outcome (*run)(Reproduction&);
};
const std::vector<Experiment>& experiments();

Outcome table1(Reproduction& r);
Outcome table3(Reproduction& r);
Outcome table4(Reproduction& r);
Outcome table5(Reproduction& r);
Outcome table6(Reproduction& r);
Outcome figure4(Reproduction& r);
Outcome figure6(Reproduction& r);
Outcome figure7a(Reproduction& r);
Outcome figure7b(Reproduction& r);
Outcome figure7c(Reproduction& r);
Outcome figure8(Reproduction& r);

}  // namespace bbam
