#include "cli/run_record.h"

#include <doctest/doctest.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "tensor/files.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::TempFolder;

TEST_CASE("run record: FNV-1a as published") {
  TempFolder folder;
  const std::string path = folder.path("x");
  write_file(path, "");
  CHECK(hash_input(path) == "cbf29ce484222325");
  write_file(path, "a");
  CHECK(hash_input(path) == "af63dc4c8601ec8c");
  write_file(path, "foobar");
  CHECK(hash_input(path) == "85944171f73967e8");
  CHECK_THROWS_WITH_AS(hash_input(folder.path("none")),
                       (folder.path("none") + ": cannot be opened").c_str(), Error);
}

TEST_CASE("run record: a folder's hash tells names and sizes") {
  TempFolder folder;
  make_folder(folder.path("d/e"));
  write_file(folder.path("d/a"), "1");
  write_file(folder.path("d/e/b"), "22");
  const std::string before = hash_input(folder.path("d"));
  write_file(folder.path("d/a"), "2");
  CHECK(hash_input(folder.path("d")) == before);
  write_file(folder.path("d/a"), "33");
  CHECK(hash_input(folder.path("d")) != before);
  write_file(folder.path("d/a"), "1");
  write_file(folder.path("d/e/c"), "");
  CHECK(hash_input(folder.path("d")) != before);
}

TEST_CASE("run record: what run.json holds") {
  TempFolder folder;
  Session session{std::cout, std::cerr};
  session.command = "train detector";
  session.command_line = {"train", "detector", "--lr", "0.02"};
  session.settings = {{"lr", {"0.02"}}, {"sizes", {"256", "320"}}, {"name", {"007"}}};
  RunRecord record(session);
  write_file(folder.path("weights"), "abc");
  record.input(folder.path("weights"));
  record.input(folder.path());
  record.add_seconds("read", 0.25);
  record.add_seconds("train", 2);
  record.add_seconds("read", 0.5);
  record.results()["ap50"] = 0.5;
  record.write(folder.path("run.json"));

  const auto json = nlohmann::json::parse(read_file(folder.path("run.json")));
  CHECK(json["command"] == "train detector");
  CHECK(json["command_line"].size() == 4);
  CHECK(json["settings"]["lr"] == 0.02);
  CHECK(json["settings"]["sizes"] == nlohmann::json({256, 320}));
  CHECK(json["settings"]["name"] == "007");
  CHECK(json["inputs"][0]["hash"] == "fnv1a64:e71fa2190541574b");
  CHECK(json["inputs"][1]["of"] == "names and sizes of all files");
  CHECK(json["seconds"]["read"] == 0.75);
  CHECK(json["seconds"]["train"] == 2.0);
  CHECK(json["results"]["ap50"] == 0.5);
  CHECK(json["machine"]["threads"] == threads());
  CHECK(json["machine"]["libraries"].get<std::string>().find("oneDNN") == 0);
}

TEST_CASE("run record: a folder belongs to the settings that it was begun with") {
  TempFolder folder;
  const std::string place = folder.path("run");
  const Settings settings{{"lr", {"0.02"}}, {"sizes", {"1", "2"}}};
  claim_folder(place, settings);
  claim_folder(place, settings);
  CHECK(settings_of_folder(place) == settings);
  const auto message = [&](const Settings& other) -> std::string {
    try {
      claim_folder(place, other);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({{"lr", {"0.02"}}, {"sizes", {"1", "3"}}}).find("sizes '1,2', not '1,3'") !=
        std::string::npos);
  CHECK(message({{"lr", {"0.02"}}}).find("sizes '1,2', not ''") != std::string::npos);
  write_file(place + "/settings.json", "{");
  CHECK(message(settings).find("settings.json: is damaged") != std::string::npos);
  CHECK_THROWS_AS(settings_of_folder(folder.path("none")), Error);
  make_folder(folder.path("photographs"));
  write_file(folder.path("photographs/a.jpg"), "");
  CHECK_THROWS_WITH_AS(claim_folder(folder.path("photographs"), settings),
                       doctest::Contains("holds \"a.jpg\" and no settings.json"), Error);
}

TEST_CASE("run record: a path that is not UTF-8 costs no run its record") {
  TempFolder folder;
  Session session{std::cout, std::cerr};
  session.settings = {{"out", {"caf\xe9"}}};
  for (int again = 0; again < 2; ++again) claim_folder(folder.path("run"), session.settings);
  RunRecord(session).write(folder.path("run.json"));
  const auto json = nlohmann::json::parse(read_file(folder.path("run.json")));
  CHECK(json["settings"]["out"] == "caf\xef\xbf\xbd");
}
