// bbam shapes: the generated data set, as files.
#include <filesystem>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/run_record.h"
#include "datasets/shapes.h"
#include "tensor/check.h"

namespace bbam {
namespace {

struct ShapesCommandOptions {
  std::string out;
  ShapesOptions shapes;
};

void make_shapes(const ShapesCommandOptions& options, Session& session) {
  ShapesOptions shapes = options.shapes;
  shapes.seed = session.seed;
  RunRecord record(session);
  claim_folder(options.out, decisive_settings(session));
  {
    const RunRecord::Stage stage(record, "draw and write");
    Progress progress = session.progress("picture", shapes.train + shapes.val);
    write_shapes(options.out, shapes, [&](int done, int) {
      progress.update(done);
      stop_if_interrupted("stopped; the same command makes the whole set");
    });
  }
  record.write(options.out + "/run.json");
  session.out << options.out << ": " << shapes.train << " training and " << shapes.val
              << " validation pictures in VOC layout\n";
}

}  // namespace

void add_shapes(Program& program) {
  auto options = std::make_shared<ShapesCommandOptions>();
  Command command = program.add("shapes", "Generated data set with exact masks, in VOC layout");
  command.option("--out", options->out, "folder to write, new, empty or of the same run")
      .required();
  command.option("--train", options->shapes.train, "pictures of the split train").between(1, 1e6);
  command.option("--val", options->shapes.val, "pictures of the split val").between(1, 1e6);
  command.option("--width", options->shapes.width, "of a picture, in pixels").between(32, 4096);
  command.option("--height", options->shapes.height, "of a picture, in pixels").between(32, 4096);
  command.option("--max-objects", options->shapes.max_objects, "1 to this many in a picture")
      .between(1, 50);
  command.action([options](Session& session) { make_shapes(*options, session); });
}

}  // namespace bbam
