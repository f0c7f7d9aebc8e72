// The paper's figures 4 and 6 to 8 [BBAM, sections 4.4 and 5].
#include <fmt/format.h>

#include <filesystem>

#include "cli/comparison.h"
#include "cli/csv.h"
#include "cli/reproduction.h"
#include "tensor/check.h"

namespace bbam {
namespace {

using nlohmann::json;

constexpr const char *kRawMap = "map", *kLabel = "map, authors' label step";

// Of bbam study's `by_size`; -1 where there are no such objects.
double iou_by_size(const json& study, const std::string& family, const std::string& size) {
  for (const json& row : study["study"]["by_size"])
    if (row["from"] == family) return row[size];
  fail("the study has no masks of '", family, "'");
}

// Of BBAM's maps; those of both heads are what figures 7(b) and 7(c) compare with.
json study_of_heads(Reproduction& r, const std::string& heads) {
  return r.results(r.study("head-" + heads, r.protocol().solver + Arguments{"--heads", heads}));
}

std::string iou_text(double iou) { return iou < 0 ? "-" : fixed(iou, 3); }

// A column of the curves that the examples of a pseudo-label run keep, averaged over its objects.
Series mean_curve(const std::string& labels, const std::string& column, const std::string& name) {
  Series mean{name};
  double objects = 0;
  for (const auto& entry : std::filesystem::directory_iterator(labels + "/objects")) {
    const std::string file = (entry.path() / "curve.csv").string();
    if (!std::filesystem::exists(file)) continue;
    const NumberTable curve = read_csv(file);
    const std::vector<double> values = curve.column(column);
    mean.x = curve.column("iteration");
    mean.y.resize(values.size());
    for (size_t i = 0; i < values.size(); ++i) mean.y[i] += values[i];
    ++objects;
  }
  for (double& value : mean.y) value /= objects;
  return mean;
}

Plot density_of(const json& positions, const std::string& title) {
  return {.kind = PlotKind::kHeat,
          .title = title,
          .x_label = "R cos",
          .y_label = "R sin",
          .x_range = PlotRange{-1, 1},
          .y_range = PlotRange{-1, 1},
          .values = positions["histogram"].get<std::vector<std::vector<double>>>(),
          .circle = 1};
}

}  // namespace

Outcome figure4(Reproduction& r) {
  Comparison t("heads asked", {"AP", "AP50", "AP75", "mIoU"});
  Outcome outcome;
  Plot plot{.kind = PlotKind::kBars,
            .title = "Figure 4: labels from each head alone",
            .y_label = "%",
            .series = {{"AP50"}, {"mIoU"}},
            .categories = {"box", "class", "both"}};
  std::map<std::string, std::map<std::string, double>> figures;
  for (const std::string& heads : plot.categories) {
    const std::string variant = heads == "both" ? "bbam" : "head-" + heads;
    const std::string labels =
        r.path(heads == "both" ? r.labels() : r.labels(variant, {"--heads", heads}));
    json results = r.results(r.instances(variant, labels, true));
    results.update(r.results(r.classes(variant, labels)));
    figures[heads] = t.ours(heads, results);
    for (Series& series : plot.series) series.y.push_back(100 * figures[heads][series.name]);
  }
  for (const char* column : {"AP50", "mIoU"})
    for (const char* alone : {"box", "class"})
      outcome.claims.push_back(
          {fmt::format("both heads above the {} head alone, {}", alone, column),
           figures["both"][column], figures[alone][column]});
  outcome.tables = {
      {"Figure 4: labels from each head alone (the paper has a plot alone)", t.table()}};
  outcome.plots = {plot};
  return outcome;
}

Outcome figure6(Reproduction& r) {
  Table table({"heads asked", "pixels above 0.9", "mean |R|", "near the outline"});
  Outcome outcome;
  std::map<std::string, double> length;
  std::map<std::string, std::string> maps;
  for (const std::string heads : {"box", "class", "both"}) {
    maps[heads] = r.path("maps-head-" + heads);
    const json positions = study_of_heads(r, heads)["study"]["positions"];
    length[heads] = positions["mean_length"];
    table.add({heads, std::to_string(positions["pixels"].get<int64_t>()), fixed(length[heads], 3),
               percent(positions["near_boundary"])});
    if (heads != "both")
      outcome.plots.push_back(
          density_of(positions, "Figure 6(b): high pixels, " + heads + " head"));
  }
  std::map<std::string, double> last;  // "box loss, class alone"
  for (const std::string term : {"box", "class"}) {
    Plot plot{.title = "Figure 6(c): the " + term + " head's loss",
              .x_label = "iteration",
              .y_label = "loss"};
    for (const std::string heads : {"both", "box", "class"}) {
      plot.series.push_back(mean_curve(maps[heads], term, heads + " optimised"));
      last[term + heads] = plot.series.back().y.back();
    }
    outcome.plots.push_back(plot);
  }
  outcome.tables = {{"Figure 6(b): where the maps are high; |R| is 1 on the outline", table}};
  outcome.claims = {
      {"high pixels of the box head nearer the outline than the class head's, mean |R|",
       length["box"], length["class"]},
      {"the box loss grows where the class head alone is optimised", last["boxclass"],
       last["boxboth"]},
      {"the class loss grows where the box head alone is optimised", last["classbox"],
       last["classboth"]}};
  return outcome;
}

Outcome figure7a(Reproduction& r) {
  Comparison t("boxes grown by", {"AP", "AP50", "AP75", "ABO"});
  Plot plot{.title = "Figure 7(a): boxes of less care",
            .x_label = "boxes grown by, %",
            .y_label = "AP50, %",
            .series = {{"ours"}}};
  std::map<double, double> ap50;
  for (const double noise : r.protocol().noises) {
    auto figures =
        t.ours(fmt::format("{:+.0f} %", 100 * noise), r.results(r.noisy_instances(noise)));
    ap50[noise] = figures["AP50"];
    plot.series[0].x.push_back(100 * noise);
    plot.series[0].y.push_back(100 * figures["AP50"]);
  }
  return {{{"Figure 7(a): boxes of less care (the paper has a plot alone)", t.table()}},
          {plot},
          {{"exact boxes above the smallest, AP50", ap50[0], ap50.begin()->second},
           {"exact boxes above the largest, AP50", ap50[0], ap50.rbegin()->second}}};
}

Outcome figure7b(Reproduction& r) {
  const std::vector<std::string> sizes{"small", "medium", "large", "all"};
  const std::vector<std::pair<std::string, std::string>> strides{
      {"0", "adaptive"}, {"24", "24"}, {"48", "48"}};
  Table table({"stride", "masks", "small", "medium", "large", "all"});
  Plot plot{.kind = PlotKind::kBars,
            .title = "Figure 7(b): IoU of maps with the true masks, by stride",
            .y_label = "mean IoU"};
  std::map<std::string, std::map<std::string, double>> iou;
  for (const auto& [stride, name] : strides) {
    const json study =
        stride == "0" ? study_of_heads(r, "both")
                      : r.results(r.study("stride-" + name,
                                          r.protocol().solver + Arguments{"--stride", stride}));
    for (const char* family : {kRawMap, kLabel}) {
      std::vector<std::string> cells{name, family};
      for (const std::string& size : sizes)
        cells.push_back(iou_text(iou_by_size(study, family, size)));
      table.add(cells);
    }
    for (const std::string& size : sizes) iou[name][size] = iou_by_size(study, kRawMap, size);
  }
  for (const std::string& size : sizes)
    if (iou["adaptive"][size] >= 0) plot.categories.push_back(size);
  for (const auto& [stride, name] : strides) {
    plot.series.push_back({name});
    for (const std::string& size : plot.categories) plot.series.back().y.push_back(iou[name][size]);
  }
  Outcome outcome{
      {{"Figure 7(b): strides, each at its best threshold (the paper has a plot alone)", table}},
      {plot},
      {}};
  // The largest objects that there are, and the smallest; the last category is all of them.
  const std::string largest = plot.categories.at(plot.categories.size() - 2),
                    smallest = plot.categories.front();
  for (const auto& [size, fixed] : {std::pair(largest, "24"), std::pair(smallest, "48")})
    outcome.claims.push_back(
        {fmt::format("adaptive above {} on {} objects, IoU of maps", fixed, size),
         iou["adaptive"][size], iou[fixed][size]});
  return outcome;
}

Outcome figure7c(Reproduction& r) {
  Table table({"maps of", "masks", "setting", "mean IoU"});
  Plot plot{.title = "Figure 7(c): IoU of maps with the true masks",
            .x_label = "share of the map's greatest value",
            .y_label = "mean IoU"};
  std::map<std::string, double> bbam, gradients;  // by what the masks are made from
  for (const std::string method : {"bbam", "simple-grad", "smooth-grad", "grad-cam"}) {
    const json study = method == "bbam" ? study_of_heads(r, "both")
                                        : r.results(r.study(method, {"--method", method}));
    for (const json& row : study["study"]["by_size"])
      if (row["from"] == kRawMap || row["from"] == kLabel)
        table.add({method, row["from"], row["setting"], iou_text(row["all"])});
    plot.series.push_back({method});
    double threshold = 0;
    for (const json& column : study["study"]["columns"]) {
      if (column["from"] != kRawMap) continue;
      plot.series.back().x.push_back(threshold += 0.05);
      plot.series.back().y.push_back(column["mean_iou"]);
    }
    for (const char* family : {kRawMap, kLabel}) {
      const double iou = iou_by_size(study, family, "all");
      double& best = method == "bbam" ? bbam[family] : gradients[family];
      best = std::max(best, iou);
    }
  }
  Outcome outcome{{{"Figure 7(c): methods (the paper has a plot alone)", table}}, {plot}, {}};
  for (const char* family : {kRawMap, kLabel})
    outcome.claims.push_back(
        {fmt::format("BBAM above the best gradient method, IoU of the {}", family), bbam[family],
         gradients[family]});
  return outcome;
}

Outcome figure8(Reproduction& r) {
  const json results = r.results(r.proposal_gradients())["proposal_gradients"];
  const double inside = results["share_inside"], overlap = results["mean_proposal_iou"];
  Table table({"SimpleGrad of single proposals", "ours", "paper"});
  table.add({"share of pixels above 0.9 inside their proposal, %", percent(inside), "87"});
  table.add({"mean IoU of positive proposals with the predictions", fixed(overlap, 2), "0.56"});
  return {{{"Figure 8 and section 5", table}},
          {},
          {{"most high pixels lie inside the proposal, their share", inside, 0.5}}};
}

}  // namespace bbam
