// The paper's tables 1 and 3 to 6 [BBAM, section 4].
#include <fmt/format.h>

#include "cli/comparison.h"
#include "cli/mask_source.h"
#include "cli/reproduction.h"

namespace bbam {
using nlohmann::json;

Outcome table1(Reproduction& r) {
  Comparison t("masks to train on", {"AP25", "AP50", "AP70", "AP75", "ABO"});
  auto full = t.ours("full supervision", r.results(r.instances("truth", kTrueMasks, false)));
  auto boxes = t.ours("filled boxes", r.results(r.instances("boxes", kFilledBoxes, false)));
  auto bbam = t.ours("BBAM", r.results(r.instances("refined", r.path(r.refined()), true)));
  t.paper("full supervision", {"77.3", "69.1", "49.9", "41.9", "65.8"});
  t.paper("Hsu et al., boxes", {"75.0", "58.9", "30.4", "21.6", "-"});
  t.paper("Arun et al., boxes", {"73.1", "57.7", "33.5", "31.2", "-"});
  t.paper("BBAM", {"76.8", "63.7", "39.5", "31.8", "63.0"});
  Outcome outcome{{{"Table 1: Mask R-CNN", t.table()}}};
  for (const char* column : {"AP50", "AP70", "ABO"})
    outcome.claims.push_back(
        {std::string("BBAM above filled boxes, ") + column, bbam[column], boxes[column]});
  outcome.claims.push_back(
      {"BBAM's share of full supervision's AP50; the paper's", bbam["AP50"] / full["AP50"], 0.922});
  outcome.claims.push_back(
      {"BBAM's share of full supervision's ABO; the paper's", bbam["ABO"] / full["ABO"], 0.957});
  return outcome;
}

Outcome table3(Reproduction& r) {
  Comparison t("labels to train on", {"mIoU"});
  auto full = t.ours("full supervision", r.results(r.classes("truth", kTrueMasks)));
  auto boxes = t.ours("filled boxes", r.results(r.classes("boxes", kFilledBoxes)));
  auto bbam = t.ours("BBAM", r.results(r.classes("refined", r.path(r.refined()))));
  t.paper("full supervision", {"76.8"});
  t.paper("WSSL, boxes", {"60.6"});
  t.paper("SDI, boxes", {"69.4"});
  t.paper("Song et al., boxes", {"70.2"});
  t.paper("BBAM", {"73.7"});
  return {{{"Table 3: DeepLab-v2", t.table()}},
          {},
          {{"BBAM above filled boxes, mIoU", bbam["mIoU"], boxes["mIoU"]},
           {"BBAM's share of full supervision's mIoU; the paper's", bbam["mIoU"] / full["mIoU"],
            0.96}}};
}

Outcome table4(Reproduction& r) {
  Comparison t("mask proposals", {"AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"});
  auto without = t.ours("without", r.results(r.instances("bbam", r.path(r.labels()), true)));
  auto with = t.ours("with", r.results(r.instances("refined", r.path(r.refined()), true)));
  if (r.is_coco()) {
    t.paper("without", {"23.5", "47.9", "20.3", "10.4", "24.9", "36.5"});
    t.paper("with MCG", {"26.0", "50.0", "23.9", "10.8", "28.5", "40.3"});
  } else {
    t.paper("without", {"29.6", "61.9", "25.8", "5.6", "21.6", "40.1"});
    t.paper("with MCG", {"33.4", "63.7", "31.8", "6.5", "26.4", "44.1"});
  }
  Outcome outcome{{{"Table 4: refinement with mask proposals", t.table()}}};
  for (const char* column : {"AP", "AP50", "AP75"})
    outcome.claims.push_back(
        {std::string("refined above unrefined, ") + column, with[column], without[column]});
  return outcome;
}

Outcome table5(Reproduction& r) {
  const std::vector<std::string> columns{"AP", "AP50", "AP75"};
  Comparison t("foreground above, background below, growing", columns);
  struct Row {
    double foreground, background;
    bool grow;
    std::vector<std::string> paper;
  };
  const std::vector<Row> rows{
      {0.2, 0.2, false, {"24.8", "58.3", "18.1"}}, {0.5, 0.5, false, {"28.3", "59.5", "24.7"}},
      {0.8, 0.8, false, {"27.8", "59.0", "23.3"}}, {0.7, 0.3, false, {"28.1", "59.5", "24.0"}},
      {0.7, 0.3, true, {"28.4", "59.6", "24.6"}},  {0.8, 0.2, false, {"28.6", "60.4", "24.0"}},
      {0.8, 0.2, true, {"29.6", "61.9", "25.8"}}};
  const auto name_of = [](const Row& row) {
    return fmt::format("{}, {}, {}", row.foreground, row.background, row.grow ? "yes" : "no");
  };
  double one_threshold = 0, band = 0, grown = 0;
  for (const Row& row : rows) {
    const bool is_paper_choice = row.foreground == 0.8 && row.background == 0.2;
    const std::string thetas =
        fmt::format("theta-{:.0f}-{:.0f}", 100 * row.foreground, 100 * row.background);
    const std::string labels =
        is_paper_choice
            ? r.labels()
            : r.relabelled(thetas, words_of(fmt::format("--theta-fg {} --theta-bg {}",
                                                        row.foreground, row.background)));
    const std::string variant =
        is_paper_choice && row.grow ? "bbam" : thetas + (row.grow ? "-grown" : "");
    auto figures = t.ours(name_of(row), r.results(r.instances(variant, r.path(labels), row.grow)));
    double& best = row.foreground == row.background ? one_threshold : row.grow ? grown : band;
    best = std::max(best, figures["AP50"]);
  }
  for (const Row& row : rows) t.paper(name_of(row), row.paper);
  return {{{"Table 5: thresholds and seed growing", t.table()}},
          {},
          {{"the best with a band above the best of one threshold, AP50", band, one_threshold},
           {"the best grown above the best of one threshold, AP50", grown, one_threshold},
           {"growing above not growing, AP50", grown, band}}};
}

Outcome table6(Reproduction& r) {
  Comparison t("lambda", {"AP", "AP50", "AP75", "mIoU"});
  const std::map<double, std::vector<std::string>> paper{
      {0.001, {"26.6", "58.7", "21.1", "67.9"}}, {0.003, {"28.1", "59.9", "22.8", "69.7"}},
      {0.005, {"28.7", "60.2", "24.3", "70.8"}}, {0.007, {"29.6", "61.9", "25.8", "71.4"}},
      {0.010, {"28.7", "60.4", "24.4", "70.7"}}, {0.020, {"28.3", "59.6", "23.7", "70.3"}}};
  Plot plot{.title = "Table 6: the weight of the mask's area",
            .x_label = "lambda",
            .y_label = "%",
            .series = {{"AP50, ours"}, {"mIoU, ours"}, {"AP50, paper"}, {"mIoU, paper"}},
            .log_x = true};
  const auto mark = [&](size_t series, double x, double y) {
    plot.series[series].x.push_back(x);
    plot.series[series].y.push_back(y);
  };
  for (const double lambda : r.protocol().lambdas) {
    const std::string text = fmt::format("{}", lambda);
    const bool is_paper_choice = lambda == 0.007;
    const std::string variant = is_paper_choice ? "bbam" : "lambda-" + text;
    const std::string labels =
        r.path(is_paper_choice ? r.labels() : r.labels(variant, {"--lambda", text}));
    json results = r.results(r.instances(variant, labels, true));
    results.update(r.results(r.classes(variant, labels)));
    auto figures = t.ours(text, results);
    mark(0, lambda, 100 * figures["AP50"]);
    mark(1, lambda, 100 * figures["mIoU"]);
  }
  for (const auto& [lambda, figures] : paper) {
    t.paper(fmt::format("{}", lambda), figures);
    mark(2, lambda, std::stod(figures[1]));
    mark(3, lambda, std::stod(figures[3]));
  }
  return {{{"Table 6: the weight of the mask's area", t.table()}}, {plot}, {}};
}

}  // namespace bbam
