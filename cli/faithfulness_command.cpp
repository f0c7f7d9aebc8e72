// bbam faithfulness: how well the maps of a pseudo-label run say what the detector's answers rest
// on, whatever method has made them.
#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "attribution/faithfulness.h"
#include "cli/boxes.h"
#include "cli/commands.h"
#include "cli/data_options.h"
#include "cli/evaluation.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "cli/label_match.h"
#include "cli/label_store.h"
#include "cli/run_record.h"
#include "cli/table.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;

struct FaithfulnessOptions {
  DataOptions data;
  std::string labels, weights, out;
  FaithfulnessSpec spec;
  double tolerance_px = 15;
};

// What the maps were made with, as their run has recorded it.
struct RecordedRun {
  ExplainOptions explain;
  uint64_t seed = 0;
  DetectorChoice detector;
};

RecordedRun recorded_run(const FaithfulnessOptions& o) {
  const LabelStore store(o.labels);
  const std::string made_with = store.weights_hash(), hash = hash_input(o.weights);
  check(made_with == hash, o.weights, ": is not the detector that the maps of ", o.labels,
        " were made with, whose hash is ", made_with, ", not ", hash);
  const Settings settings = store.settings();
  const auto number = [&](const char* name) -> uint64_t {
    const auto found = settings.find(name);
    try {
      return std::stoull(found == settings.end() ? "" : found->second.at(0));
    } catch (const std::exception&) {
      fail(o.labels, ": its settings.json has no ", name,
           "; expected a folder of bbam pseudo-label");
    }
  };
  return {recorded_options(settings),
          number("seed"),
          {o.weights, int(number("short-side")), int(number("long-side"))}};
}

// One map of one object.
struct Measures {
  FaithfulnessCurve deletion, insertion;
  bool points = false;
};

struct MeasuredObject {
  std::string image_id;
  LabelledObject label;
  bool has_mask;  // the pointing game is played against it; otherwise against the box
  Measures map, box;
};

// The figures of the table, and whether more of them is better.
struct Figure {
  const char* name;
  bool more_is_better;
  std::function<double(const Measures&)> of;
};

std::vector<Figure> figures() {
  return {
      {"deletion, class probability", false,
       [](const Measures& m) { return m.deletion.probability_area; }},
      {"deletion, IoU of the box", false, [](const Measures& m) { return m.deletion.iou_area; }},
      {"insertion, class probability", true,
       [](const Measures& m) { return m.insertion.probability_area; }},
      {"insertion, IoU of the box", true, [](const Measures& m) { return m.insertion.iou_area; }},
      {"pointing game", true, [](const Measures& m) { return double(m.points); }},
  };
}

using Objects = std::vector<MeasuredObject>;

double mean_over(const Objects& objects, Measures MeasuredObject::*map,
                 const std::function<double(const Measures&)>& value) {
  double sum = 0;
  for (const MeasuredObject& object : objects) sum += value(object.*map);
  return sum / double(objects.size());
}

class FaithfulnessRun {
 public:
  FaithfulnessRun(const FaithfulnessOptions& options, const RecordedRun& maps,
                  const Dataset& dataset, Session& session)
      : o_(options), maps_(maps), dataset_(dataset), session_(session), store_(options.labels),
        explainer_(maps.detector, session.device) {}

  Objects measure() {
    const std::vector<const Record*> records = records_with_maps();
    Progress progress = session_.progress("object", total_);
    std::vector<std::string> problems;
    for (const Record* record : records) {
      std::optional<Picture> picture;
      try {
        picture.emplace(read(*record));
      } catch (const Error& error) {
        problems.push_back(error.what());
        continue;
      }
      for (size_t i = 0; i < picture->labelled.objects.size(); ++i) {
        if (!picture->maps[i].defined()) continue;
        measure(*picture, i, problems);
        progress.update(++done_, "image " + record->id);
      }
    }
    warn_of(problems, session_);
    check(!objects_.empty(), o_.labels, ": none of its maps could be measured");
    return std::move(objects_);
  }

  int64_t without_map() const { return without_map_; }

 private:
  struct Picture {
    const Record& record;
    LabelledImage labelled;
    std::vector<int> matches;   // of its objects, those of the record
    std::vector<Tensor> maps;   // of its objects; undefined for those that are not measured
    std::vector<Image> truths;  // of the record's objects, or none
    DetectorInput input;
  };

  std::vector<const Record*> records_with_maps() {
    std::vector<const Record*> records;
    for (const Record& record : dataset_.records) {
      const auto labelled = store_.read(record.id);
      if (!labelled) continue;
      const std::vector<int> matches = matching_objects(dataset_, record, *labelled);
      int64_t here = 0;
      for (size_t i = 0; i < matches.size(); ++i) {
        if (matches[i] < 0) continue;
        ++(labelled->objects[i].positives > 0 ? here : without_map_);
      }
      if (here > 0) records.push_back(&record);
      total_ += here;
    }
    check(!records.empty(), o_.labels, ": has no maps of objects of this split");
    return records;
  }

  Picture read(const Record& record) const {
    Picture picture{record, store_.read(record.id).value(), {}, {}, {}, {}};
    picture.matches = matching_objects(dataset_, record, picture.labelled);
    for (size_t i = 0; i < picture.matches.size(); ++i)
      picture.maps.push_back(picture.matches[i] < 0
                                 ? Tensor()
                                 : store_.read_map(record.id, picture.labelled.objects[i]));
    if (has_masks(record)) picture.truths = read_masks(record);
    picture.input = explainer_.input(read_picture(record));
    return picture;
  }

  void measure(const Picture& p, size_t i, std::vector<std::string>& problems) {
    const LabelledObject& label = p.labelled.objects[i];
    const auto k = size_t(p.matches[i]);
    const Object& object = p.record.objects[k];
    const int64_t detectors_label = explainer_.label_of(label.class_name);
    const Positives positives = explainer_.positives(
        p.input, {object.box, detectors_label, object_seed(maps_.seed, p.record.id, object.id)},
        maps_.explain.bbam.positives);
    if (positives.proposals.dim(0) == 0) {
      problems.push_back(join("image ", p.record.id, ", object ", label.object,
                              ": no proposal speaks for it, while its map is of ", label.positives,
                              "; left out"));
      return;
    }
    const ObjectProposals asked{box_in_input(object.box, p.input), detectors_label,
                                positives.proposals};
    const Image* truth = p.truths.empty() ? nullptr : &p.truths[k];
    const Corners corners = maps_.explain.method == AttributionMethod::kBbam
                                ? maps_.explain.bbam.corners
                                : Corners::kHalfPixel;
    const ImageSize in = p.input.resized, photograph = p.input.original;
    MeasuredObject measured{p.record.id, label, truth != nullptr, {}, {}};
    measured.map = measures_of(p, asked, upsampled_map(p.maps[i], in, corners));
    measured.map.points = points(upsampled_map(p.maps[i], photograph, corners), object.box, truth);
    const PixelRect filled = pixel_rect(asked.box, in.height, in.width);
    measured.box = measures_of(p, asked, filled_box(filled, 1, in.height, in.width, kCpu));
    measured.box.points = points(centre_of(object.box, photograph), object.box, truth);
    objects_.push_back(std::move(measured));
  }

  // All but the pointing game.
  Measures measures_of(const Picture& p, const ObjectProposals& asked, const Tensor& map) {
    Measures measures;
    ExplainedDetector& detector = explainer_.explained();
    stop_if_interrupted("stopped after ", done_, " of ", total_, " objects");
    measures.deletion = deletion_curve(detector, p.input.image, map, asked, o_.spec);
    stop_if_interrupted("stopped after ", done_, " of ", total_, " objects");
    measures.insertion = insertion_curve(detector, p.input.image, map, asked, o_.spec);
    return measures;
  }

  bool points(const Tensor& map, const PixelBox& box, const Image* truth) const {
    return truth != nullptr ? points_at(map, equal_to(*truth, 1), o_.tolerance_px)
                            : points_at(map, array_of(box), o_.tolerance_px);
  }

  // 1 at the pixel in the middle of the box: where one points who knows no more than the box.
  static Tensor centre_of(const PixelBox& box, ImageSize size) {
    const PixelRect rect = pixel_rect(box, size);
    const int64_t y = (rect.y0 + rect.y1 - 1) / 2, x = (rect.x0 + rect.x1 - 1) / 2;
    Tensor map = Tensor::zeros({size.height, size.width});
    map.mutable_data<float>()[y * size.width + x] = 1;
    return map;
  }

  const FaithfulnessOptions& o_;
  const RecordedRun& maps_;
  const Dataset& dataset_;
  Session& session_;
  const LabelStore store_;
  Explainer explainer_;
  Objects objects_;
  int64_t total_ = 0, done_ = 0, without_map_ = 0;
};

json json_of(const Measures& m) {
  return {
      {"deletion", {{"probability", m.deletion.probability_area}, {"iou", m.deletion.iou_area}}},
      {"insertion", {{"probability", m.insertion.probability_area}, {"iou", m.insertion.iou_area}}},
      {"points", m.points}};
}

// Over the objects, by the share of pixels taken.
json mean_curves(const Objects& objects, Measures MeasuredObject::*map) {
  const auto mean = [&](FaithfulnessCurve Measures::*curve,
                        std::vector<double> FaithfulnessCurve::*values) {
    std::vector<double> means;
    for (size_t i = 0; i < (objects[0].map.*curve.*values).size(); ++i)
      means.push_back(
          mean_over(objects, map, [&](const Measures& m) { return (m.*curve.*values)[i]; }));
    return means;
  };
  json curves;
  for (const auto& [name, curve] :
       {std::pair{"deletion", &Measures::deletion}, {"insertion", &Measures::insertion}})
    curves[name] = {{"probability", mean(curve, &FaithfulnessCurve::probability)},
                    {"iou", mean(curve, &FaithfulnessCurve::iou)}};
  return curves;
}

void publish(const Objects& objects, int64_t without_map, AttributionMethod method,
             Session& session, RunRecord& record) {
  Table table({"mean over objects", "map", "filled box", "better is"});
  for (const Figure& figure : figures())
    table.add({figure.name, fixed(mean_over(objects, &MeasuredObject::map, figure.of), 3),
               fixed(mean_over(objects, &MeasuredObject::box, figure.of), 3),
               figure.more_is_better ? "more" : "less"});
  session.out << fmt::format("{} objects with a map of {}, {} without\n\n", objects.size(),
                             to_string(method), without_map)
              << table;
  json list = json::array();
  for (const MeasuredObject& o : objects)
    list.push_back({{"image", o.image_id},
                    {"object", o.label.object},
                    {"class", o.label.class_name},
                    {"pointing_at", o.has_mask ? "mask" : "box"},
                    {"map", json_of(o.map)},
                    {"filled_box", json_of(o.box)}});
  record.results()["tables"] = {table.json(fmt::format("Faithfulness of {}", to_string(method)))};
  record.results()["faithfulness"] = {
      {"method", to_string(method)},
      {"objects_without_map", without_map},
      {"objects", list},
      {"mean_curves",
       {{"map", mean_curves(objects, &MeasuredObject::map)},
        {"filled_box", mean_curves(objects, &MeasuredObject::box)}}}};
}

void faithfulness(const FaithfulnessOptions& o, Session& session) {
  const RecordedRun maps = recorded_run(o);
  const Dataset dataset = open_dataset(o.data, session);
  make_folder(o.out);
  RunRecord record(session);
  for (const std::string& input : {o.labels, o.weights, o.data.data}) record.input(input);
  FaithfulnessRun run(o, maps, dataset, session);
  Objects objects;
  {
    const RunRecord::Stage stage(record, "measure");
    objects = run.measure();
  }
  publish(objects, run.without_map(), maps.explain.method, session, record);
  record.write(o.out + "/run.json");
}

}  // namespace

void add_faithfulness(Program& program) {
  auto o = std::make_shared<FaithfulnessOptions>();
  Command command =
      program.add("faithfulness",
                  "How well maps say what the detector rests on: deletion, insertion, pointing");
  command.option("LABELS", o->labels, "folder of bbam pseudo-label").required();
  command.option("--weights", o->weights, "the detector that its maps were made with").required();
  add_data_options(command, o->data);
  command.option("--out,-o", o->out, "folder for run.json").required();
  command.option("--steps", o->spec.steps, "in which the pixels are taken").between(1, 10000);
  command.option("--batch", o->spec.batch, "steps that the detector sees at once").between(1, 1000);
  command
      .option("--tolerance", o->tolerance_px,
              "of the pointing game: pixels of the photograph from the object")
      .between(0, 1e4);
  command.footer(
      "Pixels are taken from the map's greatest value down. Deletion takes them out of the\n"
      "picture, insertion brings them back into an empty one; both give the area under the\n"
      "answer over the share of pixels taken, for the class probability and for the IoU of the\n"
      "regressed box with the object's, averaged over the positive proposals, which are drawn\n"
      "again from the settings of LABELS. The pointing game asks whether the greatest value lies\n"
      "on the true mask, or in the box where the data set has no masks. Beside the map stands\n"
      "what one gets without any: the filled box, of equal values, which are taken row by row;\n"
      "in the pointing game its middle.");
  command.action([o](Session& session) { faithfulness(*o, session); });
}

}  // namespace bbam
