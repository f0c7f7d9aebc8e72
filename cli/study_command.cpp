// bbam study: what the maps of a pseudo-label run are worth, step by step.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/boxes.h"
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/draw.h"
#include "cli/interrupt.h"
#include "cli/label_match.h"
#include "cli/label_store.h"
#include "cli/run_record.h"
#include "cli/study.h"
#include "cli/table.h"
#include "datasets/mask_metrics.h"
#include "tensor/files.h"

namespace bbam {
namespace {

struct StudyCommandOptions {
  DataOptions data;
  std::string labels, out;
  int sheet = 12;
  double blur_reference = 500;
};

// One object for the contact sheet; its pictures are read again once it is chosen.
struct SheetEntry {
  double iou;
  const Record* record;
  size_t label;  // in LabelledImage::objects
};

Image decoded(const Rle& runs) {
  const Tensor mask = rle_decode(runs);
  Image image(int(mask.dim(1)), int(mask.dim(0)), 1);
  image.pixels = mask.to_vector<uint8_t>();
  return image;
}

double iou_of(const LabelledObject& object, const Image& truth) {
  return mask_iou(rle_decode(object.foreground), equal_to(truth, 1), equal_to(truth, kVoid));
}

// The photograph with its box, the map inside the box, the mask, the truth; `plain`: on a grey
// ground, for photographs that may not be shown.
SheetRow sheet_row(const Dataset& dataset, const LabelStore& store, const SheetEntry& entry,
                   bool plain) {
  const Record& record = *entry.record;
  const LabelledImage image = store.read(record.id).value();
  const LabelledObject& object = image.objects[entry.label];
  const int match = matching_objects(dataset, record, image)[entry.label];
  Image picture = read_picture(record);
  if (plain) std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{128});
  const Image mask = decoded(object.foreground), truth = read_masks(record)[size_t(match)];
  const Tensor map = store.read_map(record.id, object);
  const Color color = class_color(1);
  Image boxed = picture;
  draw_box(boxed, object.box, color, 3);
  const PixelRect rect = pixel_rect(object.box, picture.size());
  const Tensor heat = rescaled_map(map, rect, picture.height, picture.width);
  return {fmt::format("{} {} IoU {:.2f}", image.image_id, object.class_name, entry.iou),
          {boxed, heat_overlay(picture, heat), mask_overlay(picture, mask, color),
           mask_overlay(picture, truth, color)}};
}

// `count` entries, evenly from the best to the worst.
std::vector<SheetEntry> best_to_worst(std::vector<SheetEntry> entries, int count) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.iou > b.iou; });
  std::vector<SheetEntry> chosen;
  const auto have = int64_t(entries.size()), wanted = std::min<int64_t>(count, have);
  for (int64_t i = 0; i < wanted; ++i)
    chosen.push_back(entries[size_t(wanted > 1 ? i * (have - 1) / (wanted - 1) : 0)]);
  return chosen;
}

void write_sheets(const std::vector<SheetEntry>& chosen, const Dataset& dataset,
                  const LabelStore& store, const std::string& folder) {
  for (const bool plain : {false, true}) {
    std::vector<SheetRow> rows;
    for (const SheetEntry& entry : chosen) rows.push_back(sheet_row(dataset, store, entry, plain));
    if (!rows.empty())
      write_jpeg(folder + (plain ? "/sheet_plain.jpg" : "/sheet.jpg"),
                 contact_sheet({"photograph", "map", "mask", "truth"}, rows, {240, 180}));
  }
}

void publish(const Study& study, int64_t without_map, Session& session, RunRecord& record) {
  Table table({"mask made from", "setting", "mean IoU", "from boxes"});
  nlohmann::json rows = nlohmann::json::array();
  for (const StudyColumn& column : study.columns()) {
    rows.push_back({{"from", column.family},
                    {"setting", column.setting},
                    {"mean_iou", column.mean()},
                    {"from_boxes", column.from_boxes}});
    const bool is_one_of_many = column.family == "map" && &column != &study.best("map");
    if (is_one_of_many) continue;
    table.add({column.family, column.setting, fixed(column.mean(), 3),
               column.from_boxes > 0 ? std::to_string(column.from_boxes) : ""});
  }
  session.out << fmt::format("{} objects with a map, {} without\n\n", study.objects(), without_map)
              << table;
  record.results()["tables"] = {table.json("Masks, with and without maps")};
  record.results()["study"] = {
      {"objects", study.objects()}, {"objects_without_map", without_map}, {"columns", rows}};
}

// Of each family the setting that is best over all objects.
void publish_by_size(const Study& study, Session& session, RunRecord& record) {
  std::vector<CocoAreaRange> ranges = coco_area_ranges();
  Table table({"mask made from", "setting", "all", "small", "medium", "large"});
  std::vector<std::string> counts{"objects", ""};
  for (const CocoAreaRange& range : ranges) counts.push_back(std::to_string(study.objects(range)));
  table.add(counts);
  table.add_rule();
  nlohmann::json rows = nlohmann::json::array();
  for (const StudyColumn& column : study.columns()) {
    if (&column != &study.best(column.family)) continue;
    std::vector<std::string> cells{column.family, column.setting};
    nlohmann::json row{{"from", column.family}, {"setting", column.setting}};
    for (const CocoAreaRange& range : ranges) {
      const double mean = study.mean(column, range);
      cells.push_back(mean < 0 ? "-" : fixed(mean, 3));
      row[range.name] = mean;
    }
    table.add(cells);
    rows.push_back(row);
  }
  session.out << '\n' << table;
  record.results()["tables"].push_back(table.json("The best of each, by the size of the object"));
  record.results()["study"]["by_size"] = rows;
}

// METHOD A13.
void publish_positions(const PositionSummary& positions, Session& session, RunRecord& record) {
  const Tensor histogram = positions.histogram();
  const auto counts = histogram.to_vector<int64_t>();
  nlohmann::json rows = nlohmann::json::array();
  for (int64_t r = 0; r < histogram.dim(0); ++r)
    rows.push_back(std::vector<int64_t>(counts.begin() + r * histogram.dim(1),
                                        counts.begin() + (r + 1) * histogram.dim(1)));
  record.results()["study"]["positions"] = {{"pixels", positions.pixels()},
                                            {"mean_length", positions.mean_length()},
                                            {"near_boundary", positions.share_near_boundary()},
                                            {"histogram", rows}};
  session.out << fmt::format(
      "\n{} pixels of maps above {}: mean |R| {:.3f}, near the boundary (|R| > 0.9) {} %\n",
      positions.pixels(), kHighValue, positions.mean_length(),
      percent(positions.share_near_boundary()));
}

void study(const StudyCommandOptions& o, Session& session) {
  const Dataset dataset = open_dataset(o.data, session);
  const LabelStore store(o.labels);
  make_folder(o.out);
  RunRecord record(session);
  record.input(o.labels);
  record.input(o.data.data);
  StudySpec spec;
  spec.blur_reference_px = o.blur_reference;
  std::optional<RunRecord::Stage> stage(std::in_place, record, "compare");
  Study study(spec);
  std::vector<SheetEntry> entries;
  std::vector<std::string> problems;
  int64_t without_map = 0, done = 0;
  Progress progress = session.progress("comparing", int64_t(dataset.records.size()));
  for (const Record& image : dataset.records) {
    stop_if_interrupted("stopped after ", done, " pictures");
    progress.update(++done);
    const std::optional<LabelledImage> labelled = store.read(image.id);
    if (!labelled || labelled->objects.empty()) continue;
    try {
      const Image picture = read_picture(image);
      const std::vector<Image> truths = read_masks(image);
      std::vector<StudyObject> objects;
      const std::vector<int> matches = matching_objects(dataset, image, *labelled);
      for (size_t i = 0; i < matches.size(); ++i) {
        if (matches[i] < 0) continue;
        const LabelledObject& object = labelled->objects[i];
        const Tensor map = store.read_map(image.id, object);
        const Image& truth = truths[size_t(matches[i])];
        objects.push_back({map, object.box, truth});
        if (map.defined())
          entries.push_back({iou_of(object, truth), &image, i});
        else
          ++without_map;
      }
      study.add(picture, objects);
    } catch (const Error& error) {
      problems.push_back(error.what());
    }
  }
  warn_of(problems, session);
  check(study.objects() > 0, o.labels, ": has no maps of objects of this split");
  publish(study, without_map, session, record);
  publish_by_size(study, session, record);
  publish_positions(study.positions(), session, record);
  const std::vector<SheetEntry> chosen = best_to_worst(std::move(entries), o.sheet);
  write_sheets(chosen, dataset, store, o.out);
  if (!chosen.empty())
    record.results()["pictures"] =
        nlohmann::json::array({{{"file", "sheet.jpg"}, {"title", "Masks, from best to worst"}}});
  stage.reset();
  record.write(o.out + "/run.json");
}

}  // namespace

void add_study(Program& program) {
  auto o = std::make_shared<StudyCommandOptions>();
  Command command =
      program.add("study", "Mean IoU of the masks that maps, and filled boxes, become");
  command.option("LABELS", o->labels, "folder of bbam pseudo-label").required();
  add_data_options(command, o->data);
  command
      .option("--out,-o", o->out,
              "folder for run.json, sheet.jpg and sheet_plain.jpg, which shows no photographs")
      .required();
  command.option("--sheet", o->sheet, "objects on the sheet, from the best to the worst")
      .between(0, 1000);
  command
      .option("--blur-reference", o->blur_reference,
              "long side in pixels that the authors' blur is meant for, 500 for VOC; pictures of "
              "another size get it in proportion; 0: as it is")
      .between(0, 1e6);
  command.footer(
      "Compares, on objects that have a map and a true mask (void pixels do not count): the\n"
      "filled box; the filled box refined by the CRF from several probabilities; the map,\n"
      "rescaled inside its box, above its best single threshold; the map through the authors'\n"
      "label step at several theta, and through the paper's at several marginals. The authors'\n"
      "step replaces a small mask of a small box by the refined box; how often is counted.\n"
      "Then the best of each by the size of the objects (COCO's: 32 and 96 pixels squared), and\n"
      "where on their objects the maps are high: |R| is 0 in the middle and 1 on the outline.");
  command.action([o](Session& session) { study(*o, session); });
}

}  // namespace bbam
