// bbam reproduce: the paper's tables and figures, made anew at the scale that the machine can bear.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/reproduction.h"
#include "cli/run_record.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;

constexpr const char* kAll = "all";

std::vector<const Experiment*> chosen(const std::vector<std::string>& names) {
  std::vector<const Experiment*> wanted;
  for (const Experiment& e : experiments())
    for (const std::string& name : names)
      if (name == e.name || name == kAll) {
        wanted.push_back(&e);
        break;
      }
  return wanted;
}

Table table_of(const std::vector<Claim>& claims) {
  Table table({"the paper's ordering", "greater", "less", "here"});
  for (const Claim& claim : claims)
    table.add({claim.text, fixed(claim.better, 3), fixed(claim.worse, 3),
               claim.holds() ? "holds" : "does not hold"});
  return table;
}

// OUT/NAME/run.json, which the page reads, and OUT/NAME/plot-K.svg.
void write(const Experiment& experiment, const Outcome& outcome, const std::string& folder,
           RunRecord& record, Session& session) {
  make_folder(folder);
  json& results = record.results();
  results["tables"] = results["plots"] = results["claims"] = json::array();
  session.out << '\n';
  for (const auto& [title, table] : outcome.tables) {
    session.out << title << "\n\n" << table << '\n';
    results["tables"].push_back(table.json(title));
  }
  if (!outcome.claims.empty()) {
    const Table table = table_of(outcome.claims);
    session.out << table << '\n';
    results["tables"].push_back(table.json("What " + experiment.name + " shows"));
  }
  for (const Claim& claim : outcome.claims)
    results["claims"].push_back({{"claim", claim.text},
                                 {"greater", claim.better},
                                 {"less", claim.worse},
                                 {"holds", claim.holds()}});
  for (size_t k = 0; k < outcome.plots.size(); ++k) {
    results["plots"].push_back(to_json(outcome.plots[k]));
    write_svg(fmt::format("{}/plot-{}.svg", folder, k + 1), outcome.plots[k]);
  }
  record.write(folder + "/run.json");
}

// Of all experiments that the folder holds, whichever command has made them.
void summarise(const Reproduction& runs, json& results) {
  results["scale"] = runs.protocol().name;
  results["results_of"] = json::array();
  int64_t claims = 0, hold = 0;
  for (const Experiment& experiment : experiments()) {
    if (!std::filesystem::exists(runs.path(experiment.name + "/run.json"))) continue;
    results["results_of"].push_back(experiment.name);
    const json found = runs.results(experiment.name)["claims"];
    claims += int64_t(found.size());
    hold += std::count_if(found.begin(), found.end(),
                          [](const json& claim) { return claim["holds"].get<bool>(); });
  }
  results["headline"] = {
      {{"value", fmt::format("{} of {}", hold, claims)},
       {"label", "orderings of the paper that hold here"}},
      {{"value", std::to_string(results["results_of"].size())},
       {"label", "of its tables and figures, at the scale: " + runs.protocol().name}}};
}

// What everything in the folder hangs on; which tables are asked for is not part of it.
Settings settings_of(const ReproduceOptions& o, const Protocol& protocol, const Session& session) {
  Settings settings = decisive_settings(session);
  settings.erase("NAME");
  settings["protocol"] = {hash_text(text_of(protocol))};
  if (!o.init.empty()) settings["init-hash"] = {hash_input(o.init)};
  return settings;
}

void reproduce(const ReproduceOptions& o, Session& session) {
  check(o.scale != "full" || !o.init.empty(),
        "--scale full begins with ImageNet weights of a ResNet; give them with --init");
  Reproduction runs(o, protocol_of(o.scale, !o.init.empty(), has_coco_layout(o.data)), session);
  claim_folder(o.out, settings_of(o, runs.protocol(), session));
  RunRecord whole(session);
  whole.input(o.data);
  for (const Experiment* experiment : chosen(o.names)) {
    session.out << fmt::format("\n== {}: {} ==\n", experiment->name, experiment->what);
    if (runs.is_coco() && experiment->name != "table4")
      session.warn("the paper's figures beside are VOC's: of COCO it has none here");
    RunRecord record(session);
    write(*experiment, experiment->run(runs), o.out + "/" + experiment->name, record, session);
  }
  summarise(runs, whole.results());
  whole.write(o.out + "/run.json");
  const std::string page = o.out + "/report.html";
  for (const std::string& problem : write_report(o.out, page)) session.warn(problem);
  session.out << page << '\n';
}

std::string listed_experiments() {
  std::string text = "NAME is all, or some of\n";
  for (const Experiment& e : experiments()) text += fmt::format("  {:<9} {}\n", e.name, e.what);
  return text +
         "Each run that a table needs is made once, in a folder of its own below --out, and is "
         "shared;\nstopped and started again, the command goes on where it was.\n"
         "small: with --init photographs on a few cores in some hours; without, pictures of bbam "
         "shapes.\nfull: the paper's protocol, VOC's or COCO's by the layout of the data.";
}

}  // namespace

void add_reproduce(Program& program) {
  auto o = std::make_shared<ReproduceOptions>();
  Command command =
      program.add("reproduce", "The paper's tables and figures, beside the paper's own numbers");
  std::vector<std::string> names{kAll};
  for (const Experiment& e : experiments()) names.push_back(e.name);
  command.option("NAME", o->names, "which of them; see below").required().one_of(names);
  command.option("--data", o->data, "folder of the data set, in VOC or COCO layout").required();
  command.option("--out,-o", o->out, "folder to write, new, empty or of the same run").required();
  command.option("--scale", o->scale, "of networks, pictures and schedules")
      .one_of({"small", "full"});
  command.option("--init", o->init,
                 "ImageNet weights of MSRA's flavour, R-50 for small and R-101 for full");
  command.option("--classes", o->classes, "keep only these; all if not given");
  command.option("--train-split", o->train_split,
                 "train_aug, else train; of COCO train2017, if not given");
  command.option("--val-split", o->val_split,
                 "Segmentation/val, else val; of COCO val2017, if not given");
  command.option("--refine", o->refine,
                 "mask proposals of equation 4: selective-search, or a folder of MCG's files");
  command.footer(listed_experiments());
  command.action([o](Session& session) { reproduce(*o, session); });
}

}  // namespace bbam
