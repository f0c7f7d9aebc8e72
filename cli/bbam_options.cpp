#include "cli/bbam_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "tensor/check.h"

namespace bbam {
namespace {

using Texts = std::vector<std::string>;

// One option: how its value is read from the command line and how it is shown again.
struct Switch {
  std::string name = "", help = "", type = "";
  bool is_list = false;
  double low = 0, high = 0;  // of numbers
  Texts choices = {};
  std::optional<AttributionMethod> only_of = {};  // does nothing for the others
  std::function<Texts(ExplainOptions)> show = {};
  std::function<void(ExplainOptions&, const Texts&)> set = {};
};

template <class T>
T number_of(const std::string& name, const std::string& text) {
  const double value = std::stod(text);  // the range has been checked, so it is a number
  check(std::is_floating_point_v<T> || value == std::floor(value), "--", name, ": ", text,
        " is not a whole number");
  return T(value);
}

template <class T>
Switch list(const std::string& name, double low, double high,
            std::vector<T>& (*place)(ExplainOptions&), const std::string& help) {
  Switch s{name, help, std::is_floating_point_v<T> ? "X,..." : "N,...", true, low, high};
  s.show = [=](ExplainOptions o) {
    Texts texts;
    for (const T& value : place(o)) texts.push_back(fmt::format("{}", value));
    return texts;
  };
  s.set = [=](ExplainOptions& o, const Texts& texts) {
    place(o).clear();
    for (const std::string& text : texts) place(o).push_back(number_of<T>(name, text));
  };
  return s;
}

template <class T>
Switch number(const std::string& name, double low, double high, T& (*place)(ExplainOptions&),
              const std::string& help) {
  Switch s{name, help, std::is_floating_point_v<T> ? "X" : "N", false, low, high};
  s.show = [=](ExplainOptions o) { return Texts{fmt::format("{}", place(o))}; };
  s.set = [=](ExplainOptions& o, const Texts& texts) { place(o) = number_of<T>(name, texts[0]); };
  return s;
}

template <class T>
Switch choice(const std::string& name, const std::vector<std::pair<std::string, T>>& values,
              T& (*place)(ExplainOptions&), const std::string& help) {
  Switch s{name, help};
  for (const auto& [text, value] : values) s.choices.push_back(text);
  s.show = [=](ExplainOptions o) {
    for (const auto& [text, value] : values)
      if (value == place(o)) return Texts{text};
    return Texts{};
  };
  s.set = [=](ExplainOptions& o, const Texts& texts) {
    for (const auto& [text, value] : values)
      if (text == texts[0]) place(o) = value;
  };
  return s;
}

Switch heads() {
  Switch s{"heads",
           "whose answer is explained: 1_box and 1_cls of equation 2, or the score whose gradient "
           "is taken"};
  s.choices = {"both", "box", "class"};
  s.show = [](ExplainOptions o) {
    const ObjectiveSpec& spec = o.bbam.objective;
    return Texts{spec.use_box_head && spec.use_class_head ? "both"
                 : spec.use_box_head                      ? "box"
                                                          : "class"};
  };
  s.set = [](ExplainOptions& o, const Texts& texts) {
    o.bbam.objective.use_box_head = texts[0] != "class";
    o.bbam.objective.use_class_head = texts[0] != "box";
  };
  return s;
}

constexpr double kMany = 1e6;

// Where an option's value lives; a function of its own for each, so that one place serves for
// reading and writing.
#define AT(member) \
  [](ExplainOptions & o) -> auto& { return o.member; }

std::vector<Switch> method_switches() {
  std::vector<std::pair<std::string, AttributionMethod>> methods;
  for (const AttributionMethod m : {AttributionMethod::kBbam, AttributionMethod::kSimpleGrad,
                                    AttributionMethod::kSmoothGrad, AttributionMethod::kGradCam})
    methods.emplace_back(to_string(m), m);
  return {
      choice<AttributionMethod>("method", methods, +AT(method),
                                "that makes the maps: BBAM, or one of those it is compared with"),
      heads(),
  };
}

std::vector<Switch> smooth_switches() {
  return {
      number("samples", 1, kMany, +AT(smooth.samples), "noisy images of smooth-grad"),
      number("noise", 0, kMany, +AT(smooth.noise),
             "of smooth-grad: its standard deviation as a share of the image's range of values"),
  };
}

std::vector<Switch> objective_switches() {
  return {
      number("lambda", 0, kMany, +AT(bbam.objective.lambda), "weight of the mask's area"),
      number("box-weight", 0, kMany, +AT(bbam.objective.box_weight),
             "of the L1 norm of the four offsets' change"),
      number("class-weight", 0, kMany, +AT(bbam.objective.class_weight),
             "of the class probability's change"),
      number("tv", 0, kMany, +AT(bbam.objective.tv_weight), "weight of the mask's total variation"),
      choice<AreaTerm>("area", {{"sum", AreaTerm::kSum}, {"abs", AreaTerm::kAbs}},
                       +AT(bbam.objective.area), "slope of the area term at 0: 1, or 0 as abs()"),
  };
}

std::vector<Switch> mask_switches() {
  return {
      number("stride", 0, kMany, +AT(bbam.fixed_stride_px),
             "pixels a mask cell is wide; 0: adaptive, 16 + 48 sqrt(box area / image area)"),
      choice<GridRounding>("grid",
                           {{"ceil", GridRounding::kCeil}, {"truncate", GridRounding::kTruncate}},
                           +AT(bbam.rounding), "how extent / stride becomes a number of cells"),
      choice<Corners>("corners",
                      {{"half-pixel", Corners::kHalfPixel}, {"aligned", Corners::kAligned}},
                      +AT(bbam.corners), "convention of the mask's upsampling"),
      choice<InitialMask>("initial",
                          {{"boxes", InitialMask::kRegressedBoxes}, {"ones", InitialMask::kOnes}},
                          +AT(bbam.initial), "mask to start from: 1 in the regressed boxes, or 1"),
      number("iterations", 0, kMany, +AT(bbam.iterations), "steps of Adam"),
      number("learning-rate", 0, kMany, +AT(bbam.learning_rate), "of Adam"),
      number("batch", 1, kMany, +AT(bbam.batch), "objects of an image solved together"),
      list("snapshots", 1, kMany, +AT(bbam.snapshots), "iterations whose masks are kept as well"),
  };
}

std::vector<Switch> positive_switches() {
  return {
      number("proposals", 1, kMany, +AT(bbam.positives.proposals),
             "per object: jittered boxes, of RetinaNet the anchors that overlap it most"),
      number("jitter", 0, 1, +AT(bbam.positives.jitter),
             "of each side, as a share of the box's extent; RetinaNet has none"),
      list("positive-iou", 0, 1, +AT(bbam.positives.iou_thresholds),
           "overlap that a positive proposal's regressed box must pass; tried in turn"),
      number("enough", 0, kMany, +AT(bbam.positives.enough),
             "the next threshold is tried unless more than this pass"),
      number("most", 0, kMany, +AT(bbam.positives.most), "positives kept, the first; 0: all"),
      choice<bool>("truncate-boxes", {{"no", false}, {"yes", true}},
                   +AT(bbam.positives.truncate_boxes),
                   "compare regressed boxes with the object's, both truncated to whole pixels"),
  };
}

std::vector<Switch> label_switches() {
  return {
      number("theta-fg", 0, 1, +AT(label.theta_fg), "above it is foreground"),
      number("theta-bg", 0, 1, +AT(label.theta_bg),
             "below it is background; between, ignored: nothing where both are the same"),
      choice<MapScale>("map-scale", {{"rank", MapScale::kRank}, {"min-max", MapScale::kMinMax}},
                       +AT(label.map_scale),
                       "how the paper's labels bring a map to [0, 1] before the CRF"),
      number("blur-reference", 0, kMany, +AT(label.blur_reference_px),
             "long side of the photographs that the authors' blur is meant for; others get it in "
             "proportion; 0: the same pixels for all"),
      number("certainty", 0, 1, +AT(label.certainty),
             "CRF probability of a foreground pixel in the authors' labels and in fallbacks"),
      number("crf-iterations", 0, kMany, +AT(label.crf.iterations), "of mean field"),
      number("crf-smoothness-weight", 0, kMany, +AT(label.crf.smoothness_weight),
             "of the kernel over positions"),
      number("crf-smoothness-sigma", 1e-3, kMany, +AT(label.crf.smoothness_sigma_px),
             "its width in pixels"),
      number("crf-appearance-weight", 0, kMany, +AT(label.crf.appearance_weight),
             "of the kernel over positions and colours"),
      number("crf-appearance-sigma", 1e-3, kMany, +AT(label.crf.appearance_sigma_px),
             "its width in pixels"),
      number("crf-appearance-levels", 1e-3, kMany, +AT(label.crf.appearance_sigma_levels),
             "its width in levels of colour, 0 to 255"),
  };
}

#undef AT

std::vector<Switch> solver_switches() {
  std::vector<Switch> all = method_switches();
  const auto append = [&](std::vector<Switch> more, std::optional<AttributionMethod> only_of) {
    for (Switch& s : more) {
      s.only_of = only_of;
      all.push_back(std::move(s));
    }
  };
  append(objective_switches(), AttributionMethod::kBbam);
  append(mask_switches(), AttributionMethod::kBbam);
  append(smooth_switches(), AttributionMethod::kSmoothGrad);
  append(positive_switches(), {});
  return all;
}

std::string default_text(const Switch& s) {
  const auto text = [&](const ExplainOptions& o) {
    return fmt::format("{}", fmt::join(s.show(o), ","));
  };
  const std::string paper = text(ExplainOptions::paper());
  const std::string authors = text(ExplainOptions::authors());
  return paper == authors ? paper : "paper: " + paper + ", authors: " + authors;
}

void add(Command& command, const Switch& s, ExplainSwitches& switches) {
  const std::string option = "--" + s.name;
  Setting setting = s.is_list
                        ? command.option(option, switches.lists[s.name], s.help)
                        : command.option(option, switches.numbers_and_choices[s.name], s.help);
  if (!s.choices.empty()) setting.one_of(s.choices);
  if (s.choices.empty()) setting.between(s.low, s.high).shown_type(s.type);
  setting.shown_default(default_text(s));
}

bool has(const ExplainSwitches& switches, const Switch& s) {
  return s.is_list ? switches.lists.count(s.name) > 0
                   : switches.numbers_and_choices.count(s.name) > 0;
}

// Where the command has the option.
void apply(const Switch& s, const ExplainSwitches& switches, ExplainOptions& options,
           Session& session) {
  if (!has(switches, s)) return;
  Texts given;
  if (const auto list = switches.lists.find(s.name); list != switches.lists.end())
    given = list->second;
  const auto value = switches.numbers_and_choices.find(s.name);
  if (value != switches.numbers_and_choices.end() && !value->second.empty())
    given = {value->second};
  if (!given.empty()) s.set(options, given);
  session.settings[s.name] = s.show(options);
}

void add_preset(Command& command, ExplainSwitches& switches) {
  command
      .option("--preset", switches.preset,
              "defaults of the authors' program, or of the paper, for all options below")
      .one_of({"authors", "paper"});
}

void leave_out(const std::string& name, AttributionMethod only_of, AttributionMethod method,
               Session& session) {
  if (only_of == method) return;
  check(session.given.count(name) == 0, "--", name, ": does nothing for --method ",
        to_string(method), ", only for ", to_string(only_of));
  session.settings.erase(name);
}

}  // namespace

const char* to_string(AttributionMethod method) {
  switch (method) {
    case AttributionMethod::kBbam: return "bbam";
    case AttributionMethod::kSimpleGrad: return "simple-grad";
    case AttributionMethod::kSmoothGrad: return "smooth-grad";
    case AttributionMethod::kGradCam: break;
  }
  return "grad-cam";
}

ScoreOf ExplainOptions::score() const {
  const ObjectiveSpec& heads = bbam.objective;
  if (heads.use_box_head && heads.use_class_head) return ScoreOf::kBoth;
  return heads.use_box_head ? ScoreOf::kBox : ScoreOf::kClass;
}

void add_solver_switches(Command& command, ExplainSwitches& switches) {
  add_preset(command, switches);
  for (const Switch& s : solver_switches()) add(command, s, switches);
  command.flag("--scale-stride,!--no-scale-stride", switches.scale_stride,
               "strides, adaptive or fixed, are meant for images whose short side is 800 pixels or "
               "whose long side is 1333; others get them in proportion (on unless "
               "--no-scale-stride)");
}

void add_positive_switches(Command& command, ExplainSwitches& switches) {
  add_preset(command, switches);
  add(command, heads(), switches);
  for (const Switch& s : positive_switches()) add(command, s, switches);
}

void add_label_switches(Command& command, ExplainSwitches& switches) {
  command
      .option(
          "--label", switches.label,
          "how maps become masks: ranks, blur and CRF (authors), or thresholds on the refined map "
          "(paper); the preset's if not given")
      .one_of({"authors", "paper"});
  for (const Switch& s : label_switches()) add(command, s, switches);
}

ExplainOptions resolve(const ExplainSwitches& switches, Session& session) {
  const std::string label = switches.label.empty() ? switches.preset : switches.label;
  ExplainOptions options{
      switches.preset == "paper" ? BbamOptions::paper() : BbamOptions::authors(),
      label == "paper" ? PseudoLabelOptions::paper() : PseudoLabelOptions::authors()};
  options.bbam.scale_stride = switches.scale_stride;
  for (const Switch& s : solver_switches()) apply(s, switches, options, session);
  for (const Switch& s : solver_switches())
    if (s.only_of) leave_out(s.name, *s.only_of, options.method, session);
  leave_out("scale-stride", AttributionMethod::kBbam, options.method, session);
  for (const Switch& s : label_switches()) {
    apply(s, switches, options, session);
    if (has(switches, s)) session.settings["label"] = {label};
  }
  check(options.label.theta_fg >= options.label.theta_bg, "--theta-fg ", options.label.theta_fg,
        " is below --theta-bg ", options.label.theta_bg);
  return options;
}

ExplainOptions recorded_options(const Settings& settings) {
  const auto preset = settings.find("preset");
  const bool is_paper = preset != settings.end() && preset->second == Texts{"paper"};
  ExplainOptions options = is_paper ? ExplainOptions::paper() : ExplainOptions::authors();
  for (const Switch& s : solver_switches()) {
    const auto found = settings.find(s.name);
    if (found == settings.end()) continue;
    try {
      check(s.is_list || found->second.size() == 1, found->second.size(), " values");
      s.set(options, found->second);
    } catch (const std::exception& error) {
      fail("the setting ", s.name, " '", fmt::format("{}", fmt::join(found->second, ",")),
           "' cannot be read: ", error.what());
    }
  }
  return options;
}

std::vector<std::string> solver_setting_names() {
  std::vector<std::string> names{"preset", "scale-stride"};
  for (const Switch& s : solver_switches()) names.push_back(s.name);
  return names;
}

}  // namespace bbam
