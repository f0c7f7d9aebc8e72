// make bench: prints the tables and writes what was measured as JSON (first argument), to which
// bench/peers/compare.py adds the peers that are at hand. Further arguments choose among
// convolutions, bbam, crf and regions; none means all.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/pair.h"
#include "cli/run_record.h"
#include "tensor/device.h"
#include "tensor/files.h"

int main(int argc, char** argv) {
  using namespace bbam;
  nlohmann::json all;
  all["threads"] = threads();
  all["processor"] = processor_name();
  all["libraries"] = library_versions();
  fmt::print("{}, {} threads, {}\n", processor_name(), threads(), library_versions());
  const std::vector<std::string> chosen(argv + std::min(argc, 2), argv + argc);
  const auto wanted = [&](const char* name) {
    return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
  };
  if (wanted("convolutions")) all["convolutions"] = bench::bench_convolutions();
  if (wanted("bbam")) all["bbam"] = bench::bench_bbam();
  if (wanted("crf")) all["crf"] = bench::bench_crf();
  if (wanted("regions")) all["regions"] = bench::bench_regions();
  if (argc > 1) write_file(argv[1], all.dump(2) + "\n");
}
