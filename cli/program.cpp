#include "cli/commands.h"

namespace bbam {

void add_all_commands(Program& program) {
  add_demo(program);
  add_shapes(program);
  add_train_detector(program);
  add_train_retinanet(program);
  add_train_mask_rcnn(program);
  add_train_deeplab(program);
  add_detect(program);
  add_attribute(program);
  add_pseudo_label(program);
  add_segment(program);
  add_evaluate(program);
  add_study(program);
  add_faithfulness(program);
  add_proposal_gradients(program);
  add_reproduce(program);
  add_report(program);
  add_convert(program);
  add_devices(program);
}

int run_program(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
                bool terminal) noexcept {
  Program program;
  add_all_commands(program);
  return program.run(arguments, out, err, terminal);
}

}  // namespace bbam
