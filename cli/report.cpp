// bbam report: reads what a run has left, and writes the page.
#include "cli/report.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace bbam {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string text_of(const ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const auto& item : value) text += (text.empty() ? "" : ", ") + text_of(item);
  return text;
}

void read_tables(const ordered_json& results, const std::string& stage, ReportData& data) {
  // A stage's own headline stands in for one of the whole run.
  const bool first = data.headline.empty();
  for (const auto& tile : results.value("headline", ordered_json::array()))
    if (first) data.headline.emplace_back(text_of(tile.at("value")), text_of(tile.at("label")));
  for (const auto& entry : results.value("tables", ordered_json::array())) {
    ReportTable table{entry.value("title", ""), stage, {}, {}};
    for (const auto& column : entry.at("columns")) table.columns.push_back(text_of(column));
    for (const auto& row : entry.at("rows")) {
      table.rows.emplace_back();
      for (const auto& cell : row) table.rows.back().push_back(text_of(cell));
      check(table.rows.back().size() == table.columns.size(), "the table '", table.title,
            "' has a row of ", table.rows.back().size(), " cells; expected ", table.columns.size());
    }
    data.tables.push_back(std::move(table));
  }
}

// The plots that are damaged are told and left out, each by itself.
void read_plots(const ordered_json& results, const fs::path& path, const std::string& stage,
                ReportData& data) {
  for (const auto& entry : results.value("plots", ordered_json::array())) try {
      data.plots.push_back({plot_of(json(entry)), stage});
    } catch (const Error& error) {
      data.problems.push_back(join(path.string(), ": ", error.what(), "; left out"));
    }
}

// Only of the run's own folder: a page must not carry off a file from elsewhere.
void read_pictures(const ordered_json& results, const fs::path& path, const std::string& stage,
                   ReportData& data) {
  for (const auto& entry : results.value("pictures", ordered_json::array())) try {
      const fs::path file = fs::path(text_of(entry.at("file"))).lexically_normal();
      check(file.is_relative() && *file.begin() != "..", "the picture ", file.string(),
            " does not lie below its run.json");
      data.pictures.push_back(
          {entry.value("title", ""), stage, read_image((path.parent_path() / file).string())});
    } catch (const Error& error) {
      data.problems.push_back(join(path.string(), ": ", error.what(), "; left out"));
    }
}

std::string command_of(const ordered_json& record) {
  std::string line = "bbam";
  for (const auto& word : record.value("command_line", ordered_json::array()))
    line += " " + text_of(word);
  return line;
}

void read_facts(const ordered_json& record, ReportData& data) {
  const auto add = [&](const char* name, const ordered_json& value) {
    if (!value.is_null()) data.facts.emplace_back(name, text_of(value));
  };
  add("Program", record.value("program", ordered_json()));
  data.facts.emplace_back("Command", command_of(record));
  const ordered_json machine = record.value("machine", ordered_json::object());
  for (const auto& [name, value] : machine.items()) add(name.c_str(), value);
  for (const auto& input : record.value("inputs", ordered_json::array()))
    data.facts.emplace_back("Input " + text_of(input.at("path")), text_of(input.at("hash")));
  const ordered_json settings = record.value("settings", ordered_json::object());
  for (const auto& [name, value] : settings.items())
    data.settings.emplace_back(name, text_of(value));
}

// What has the same title, as two runs of a command leave it, is told apart by its stage.
// title(item) is a reference.
template <class Item, class Title>
void name_stages(std::vector<Item>& items, Title&& title) {
  std::map<std::string, int> count;
  for (Item& item : items) ++count[title(item)];
  for (Item& item : items)
    if (count[title(item)] > 1 && !item.stage.empty()) title(item) += ": " + item.stage;
}

// In the order of the stages that the run names; behind them the others as they are.
template <class Item>
void put_first(std::vector<Item>& items, const std::vector<std::string>& stages) {
  std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    return std::find(stages.begin(), stages.end(), a.stage) <
           std::find(stages.begin(), stages.end(), b.stage);
  });
}

// `stage` is the folder's name below the run, "" for the run itself.
void read_record(const fs::path& path, const std::string& stage, ReportData& data) {
  if (!fs::exists(path)) return;
  try {
    const auto record = ordered_json::parse(read_file(path.string()));
    const ordered_json stages = record.value("seconds", ordered_json::object());
    for (const auto& [name, seconds] : stages.items())
      data.seconds.emplace_back(stage.empty() ? name : stage + ": " + name, seconds);
    if (record.contains("results")) {
      if (stage.empty())
        data.results_of = record["results"].value("results_of", std::vector<std::string>());
      read_tables(record["results"], stage, data);
      read_plots(record["results"], path, stage, data);
      read_pictures(record["results"], path, stage, data);
    }
    if (stage.empty() || data.facts.empty())
      read_facts(record, data);
    else
      data.facts.emplace_back("Stage " + stage, command_of(record));
  } catch (const std::exception& error) {
    data.problems.push_back(join(path.string(), ": ", error.what(), "; left out"));
  }
}

void read_log(const fs::path& path, const std::string& what, ReportData& data) {
  if (!fs::exists(path)) return;
  try {
    NumberTable log = read_csv(path.string());
    check(log.has("step"), path.string(), ": has no column step");
    if (log.rows.size() >= 2) data.logs.emplace_back(what, std::move(log));
  } catch (const Error& error) {
    data.problems.push_back(join(error.what(), "; left out"));
  }
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

// By the time at which each stage's record was written; folders without one come first.
std::vector<fs::path> in_order_of_making(std::vector<fs::path> folders) {
  const auto made = [](const fs::path& folder) {
    std::error_code none;
    const auto time = fs::last_write_time(folder / "run.json", none);
    return none ? fs::file_time_type::min() : time;
  };
  std::stable_sort(folders.begin(), folders.end(),
                   [&](const fs::path& a, const fs::path& b) { return made(a) < made(b); });
  return folders;
}

void read_examples(const fs::path& folder, ReportData& data) {
  for (const fs::path& place : folders_in(folder)) try {
      if (data.examples.size() >= kMostExamples) {
        ++data.examples_left_out;
        continue;
      }
      data.examples.push_back(read_example(place.string(), data.problems));
    } catch (const Error& error) {
      data.problems.push_back(join(error.what(), "; left out"));
    }
}

void read_seen(const fs::path& folder, const std::string& stage, ReportData& data) {
  for (const fs::path& place : folders_in(folder)) try {
      data.seen.push_back({read_seen_example(place.string()), stage});
    } catch (const Error& error) {
      data.problems.push_back(join(error.what(), "; left out"));
    }
}

// What a run, or one of its stages, has left in its folder.
void read_stage(const fs::path& folder, const std::string& stage, ReportData& data) {
  read_record(folder / "run.json", stage, data);
  read_log(folder / "log.csv", stage.empty() ? "this run" : stage, data);
  read_examples(folder / "objects", data);
  read_seen(folder / "examples", stage, data);
}

}  // namespace

ReportData read_report_data(const std::string& folder) {
  check(fs::is_directory(folder), folder, ": no such folder; expected what a run has written");
  ReportData data;
  const fs::path root(folder);
  read_stage(root, "", data);
  for (const fs::path& stage : in_order_of_making(folders_in(root)))
    if (stage.filename() != "objects" && stage.filename() != "examples")
      read_stage(stage, stage.filename().string(), data);
  name_stages(data.tables, [](ReportTable& table) -> std::string& { return table.title; });
  name_stages(data.plots, [](ReportPlot& shown) -> std::string& { return shown.plot.title; });
  name_stages(data.pictures, [](ReportPicture& shown) -> std::string& { return shown.title; });
  put_first(data.tables, data.results_of);
  put_first(data.plots, data.results_of);
  const bool empty =
      data.facts.empty() && data.logs.empty() && data.examples.empty() && data.seen.empty();
  check(!empty, folder, ": holds no run.json, log.csv, objects/ or examples/ that could be shown",
        data.problems.empty() ? "" : "; " + data.problems[0]);
  return data;
}

std::vector<std::string> write_report(const std::string& folder, const std::string& page) {
  const ReportData data = read_report_data(folder);
  write_file(page, report_page(data));
  return data.problems;
}

void add_report(Program& program) {
  struct Options {
    std::string folder, out;
  };
  auto options = std::make_shared<Options>();
  Command command = program.add("report", "One self-contained HTML page of what a run has made");
  command.option("RUN_DIR", options->folder, "folder that a run has written").required();
  command.option("--out", options->out, "the page; RUN_DIR/report.html if not given");
  command.action([options](Session& session) {
    const std::string page =
        options->out.empty() ? (fs::path(options->folder) / "report.html").string() : options->out;
    for (const std::string& problem : write_report(options->folder, page)) session.warn(problem);
    session.out << page << '\n';
  });
}

}  // namespace bbam
