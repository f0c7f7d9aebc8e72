#include "cli/progress.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

using namespace bbam;

TEST_CASE("progress: durations") {
  CHECK(format_duration(0.4) == "0 s");
  CHECK(format_duration(59.6) == "1 min 00 s");
  CHECK(format_duration(185) == "3 min 05 s");
  CHECK(format_duration(3600 * 2 + 14 * 60 + 59) == "2 h 14 min");
}

TEST_CASE("progress: a log gets the first and the last step as lines") {
  std::ostringstream out;
  {
    Progress progress(out, false, "step", 1000);
    for (int i = 1; i <= 1000; ++i) progress.update(i, "loss 0.5");
  }
  const std::string text = out.str();
  CHECK(text.rfind("step 1/1000 (0 %), ", 0) == 0);
  CHECK(text.find("left  loss 0.5\n") != std::string::npos);
  CHECK(text.find("step 1000/1000 (100 %) in 0 s  loss 0.5\n") != std::string::npos);
  CHECK(text.find('\r') == std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}

TEST_CASE("progress: a terminal gets one line, rewritten and wiped, and warnings of their own") {
  std::ostringstream out;
  {
    Progress progress(out, true, "image", 2);
    progress.update(1, "a long note");
    progress.say("bad.jpg: skipped");
    progress.update(2);
  }
  const std::string text = out.str();
  CHECK(text.find("\rimage 1/2 (50 %)") == 0);
  CHECK(text.find("\rbad.jpg: skipped\n") != std::string::npos);
  CHECK(text.substr(text.rfind('\r')) == "\rimage 2/2 (100 %) in 0 s\n");
}
