// Options, settings files and errors, on a program of one command.
#include "cli/command.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/run_record.h"
#include "tensor/files.h"
#include "tensor/tensor.h"
#include "tests/cli/run_command.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;

namespace {

struct Painting {
  std::string in, style = "oil";
  int coats = 2;
  double thickness = 0.5;
  std::vector<int> sizes = {1, 2};
  std::vector<std::string> colors;
  bool varnish = false;
};

struct Outcome {
  CommandResult result;
  Painting painting;
  uint64_t seed = 0;
  Settings settings;
};

Outcome paint(const std::vector<std::string>& arguments, Action also = {}) {
  Outcome outcome;
  Painting& p = outcome.painting;
  Program program;
  program.family("paint", "Paints");
  program.add("paint boat", "Paints a boat");
  Command command = program.add("paint house", "Paints a house");
  command.option("IN", p.in, "what").required();
  command.option("--style", p.style, "how").one_of({"oil", "chalk"});
  command.option("--coats", p.coats, "how often").between(1, 9);
  command.option("--thickness", p.thickness, "how thick");
  command.option("--sizes", p.sizes, "of brushes");
  command.option("--colors", p.colors, "which");
  command.flag("--varnish", p.varnish, "at the end");
  command.action([&](Session& session) {
    outcome.seed = session.seed;
    outcome.settings = session.settings;
    if (also) also(session);
  });
  std::ostringstream out, err;
  outcome.result.status = program.run(arguments, out, err, false);
  outcome.result.out = out.str();
  outcome.result.err = err.str();
  return outcome;
}

}  // namespace

TEST_CASE("command: values from the command line") {
  const Outcome o = paint({"paint", "house", "wall", "--style", "chalk", "--coats=3", "--sizes",
                           "4,5,6", "--colors", "red,blue", "--varnish", "--seed", "7"});
  CHECK(o.result.status == 0);
  CHECK(o.result.err == "");
  CHECK(o.painting.in == "wall");
  CHECK(o.painting.style == "chalk");
  CHECK(o.painting.coats == 3);
  CHECK(o.painting.sizes == std::vector<int>{4, 5, 6});
  CHECK(o.painting.colors == std::vector<std::string>{"red", "blue"});
  CHECK(o.painting.varnish);
  CHECK(o.seed == 7);
}

TEST_CASE("command: settings as resolved, defaults included, empty ones left out") {
  const Settings settings = paint({"paint", "house", "wall", "--coats", "3"}).settings;
  CHECK(settings.at("IN") == std::vector<std::string>{"wall"});
  CHECK(settings.at("coats") == std::vector<std::string>{"3"});
  CHECK(settings.at("thickness") == std::vector<std::string>{"0.5"});
  CHECK(settings.at("sizes") == std::vector<std::string>{"1", "2"});
  CHECK(settings.at("varnish") == std::vector<std::string>{"false"});
  CHECK(settings.at("seed") == std::vector<std::string>{"1"});
  CHECK(settings.count("colors") == 0);
  CHECK(settings.count("profile") == 0);
}

TEST_CASE("command: settings from TOML; the command line comes first") {
  TempFolder folder;
  write_file(folder.path("s.toml"),
             "# a comment\nIN = 'wall'\ncoats = 4\nsizes = [7, 8]\nvarnish = true\nseed = 9\n"
             "[paint.house]\nstyle = \"chalk\"\n[paint.boat]\nmast = 3\n");
  const Outcome o = paint({"paint", "house", "--config", folder.path("s.toml"), "--coats", "5"});
  CHECK(o.result.err == "");
  REQUIRE(o.result.status == 0);
  CHECK(o.painting.in == "wall");
  CHECK(o.painting.coats == 5);
  CHECK(o.painting.sizes == std::vector<int>{7, 8});
  CHECK(o.painting.varnish);
  CHECK(o.painting.style == "chalk");
  CHECK(o.seed == 9);
}

TEST_CASE("command: the run.json of a run gives its settings back") {
  TempFolder folder;
  const Action record = [&](Session& session) {
    RunRecord run(session);
    run.write(folder.path("run.json"));
  };
  const Outcome first = paint({"paint", "house", "wall", "--coats", "3", "--sizes", "9", "--colors",
                               "a b,1.50", "--varnish", "--seed", "18446744073709551615"},
                              record);
  REQUIRE(first.result.status == 0);
  const Outcome again = paint({"paint", "house", "--config", folder.path("run.json")});
  CHECK(again.result.err == "");
  REQUIRE(again.result.status == 0);
  CHECK(again.settings == first.settings);
  CHECK(again.painting.colors == std::vector<std::string>{"a b", "1.50"});
  CHECK(again.seed == 18446744073709551615ull);
}

TEST_CASE("command: bad options give one line and status 1") {
  CHECK(is_error(paint({"paint", "house"}).result, "IN"));
  CHECK(is_error(paint({"paint", "house", "x", "--coats", "10"}).result, "between 1 and 9"));
  CHECK(is_error(paint({"paint", "house", "x", "--coats", "two"}).result, "--coats"));
  CHECK(is_error(paint({"paint", "house", "x", "--style", "wax"}).result, "oil, chalk"));
  CHECK(is_error(paint({"paint", "house", "x", "--colour", "red"}).result, "--colour"));
  CHECK(is_error(paint({"paint", "house", "x", "--seed", "-3"}).result, "--seed"));
  CHECK(is_error(paint({"paint", "house", "x", "--device", "tpu"}).result, "tpu"));
  CHECK(is_error(paint({"paint", "house", "x", "--config", "/nowhere.toml"}).result,
                 "/nowhere.toml"));
  CHECK(is_error(paint({"paint"}).result, "bbam --help"));
  CHECK(is_error(paint({"draw"}).result, "draw"));
  CHECK(is_error(paint({}).result, "--help"));
}

TEST_CASE("command: bad settings files give one line and status 1") {
  TempFolder folder;
  const std::string path = folder.path("s.toml");
  const auto error = [&](const std::string& text, const std::string& what) {
    write_file(path, text);
    const CommandResult result = paint({"paint", "house", "x", "--config", path}).result;
    INFO(result.err);
    CHECK(is_error(result, path + ": " + what));
  };
  error("coat = 3\n", "'coat' is no setting of bbam paint house");
  error("config = 'x'\n", "'config' is no setting of bbam paint house");
  error("# coats\n\ncoats 3\n", "line 3: ");
  error("coats =\n", "line 1: ");
  error("= 3\n", "line 1: ");
  error("varnish\n", "line 1: ");
  error("coats = 3\nsizes = [7,\n85\n", "line 3: ");
  error("coats = 3\ncoats = 4\n", "line 2: ");
  error("[paint.hose]\ncoats = 3\n", "[paint.hose] is no command of bbam");
  error("coats = 3\nsizes = [[7]]\n", "line 2: sizes: expected a text, a number");
  error("{\"results\": 3}\n", "is no run.json");
  error("{\"settings\": ", "is no run.json");
  error("[{\"image_id\": 1}]\n", "is no run.json");
  error("{\"settings\": {\"coats\": {}}}\n", "the setting 'coats' is an object");
  for (const std::string& binary : {std::string("coats = 3\0\1\n", 12), std::string("\x89PNG\r\n"),
                                    std::string("coats = \x1b[31m3\n")})
    error(binary, "is neither TOML nor a run.json\n");
  for (const char* text : {"", "\n\t# nothing\r\n", "coats = 3 # thick\n[ paint.boat ]\nmast = 3\n",
                           "sizes = [7,\n  8,\n]\n[paint.house]\nIN = \"wall = high\"\n"}) {
    write_file(path, text);
    CHECK(paint({"paint", "house", "x", "--config", path}).result.err == "");
  }
}

TEST_CASE("command: errors of the work itself") {
  const auto failing = [](Session&) { fail("wall.jpg: is wet"); };
  CHECK(paint({"paint", "house", "x"}, failing).result.err == "bbam: wall.jpg: is wet\n");
  CHECK(paint({"paint", "house", "x"}, failing).result.status == 1);
  const auto greedy = [](Session&) { throw std::bad_alloc(); };
  CHECK(is_error(paint({"paint", "house", "x"}, greedy).result, "memory"));
  const auto stopped = [](Session&) {
    set_interrupted(true);
    stop_if_interrupted("stopped at step ", 3);
  };
  const Outcome o = paint({"paint", "house", "x"}, stopped);
  set_interrupted(false);
  CHECK(o.result.status == 130);
  CHECK(o.result.err == "bbam: stopped at step 3\n");
}

TEST_CASE("command: help shows the command's options and the common ones, with their defaults") {
  const Outcome o = paint({"paint", "house", "--help"});
  CHECK(o.result.status == 0);
  CHECK(o.result.err == "");
  for (const char* part : {"Paints a house", "--coats N [2]", "--sizes N,... [1,2]", "oil|chalk",
                           "--device", "--config", "--profile"})
    CHECK_MESSAGE(contains(o.result.out, part), part);
  CHECK(paint({"--help"}).result.status == 0);
  CHECK(contains(paint({"--version"}).result.out, kVersion));
}

TEST_CASE("command: --profile writes a trace and prints the table") {
  TempFolder folder;
  const std::string trace = folder.path("trace.json");
  const auto work = [](Session&) { Tensor::zeros({4096}).cast(DType::kF64); };
  const Outcome o = paint({"paint", "house", "x", "--profile", trace}, work);
  REQUIRE(o.result.status == 0);
  CHECK(contains(o.result.out, "label"));
  CHECK(nlohmann::json::accept(read_file(trace)));
  CHECK(is_error(paint({"paint", "house", "x", "--profile", "/nowhere/t.json"}, work).result,
                 "/nowhere/t.json"));
}

TEST_CASE("command: every command of the program explains itself") {
  const CommandResult all = run_command({"--help"});
  REQUIRE(all.status == 0);
  const std::vector<std::vector<std::string>> commands{{"demo"},
                                                       {"shapes"},
                                                       {"train", "detector"},
                                                       {"detect"},
                                                       {"attribute"},
                                                       {"pseudo-label"},
                                                       {"study"},
                                                       {"evaluate", "boxes"},
                                                       {"evaluate", "masks"},
                                                       {"evaluate", "instances"},
                                                       {"evaluate", "semantic"},
                                                       {"convert"},
                                                       {"report"},
                                                       {"devices"}};
  for (std::vector<std::string> words : commands) {
    CHECK_MESSAGE(contains(all.out, "  " + words[0] + " "), words[0]);
    words.push_back("--help");
    const CommandResult help = run_command(words);
    CHECK(help.status == 0);
    CHECK(contains(help.out, "Usage: bbam " + words[0]));
    CHECK(contains(help.out, "Common to all commands"));
    words.back() = "--no-such-option";
    CHECK(is_error(run_command(words), ""));
  }
}

TEST_CASE("command: devices measures") {
  CHECK(is_error(run_command({"devices", "--seconds", "0"}), "--seconds"));
  const CommandResult result = run_command({"devices", "--seconds", "0.01"});
  CHECK(result.status == 0);
  CHECK(contains(result.out, "gemm GFLOP/s"));
  CHECK(contains(result.out, "\ncpu "));
}

TEST_CASE("command: arguments as one types them in a shell") {
  CHECK(as_typed({"demo", "--out", "out/demo-1", "--sizes", "1,2"}) ==
        "demo --out out/demo-1 --sizes 1,2");
  CHECK(as_typed({"my demo", "", "it's", "$x*"}) == "'my demo' '' 'it'\\''s' '$x*'");
}
