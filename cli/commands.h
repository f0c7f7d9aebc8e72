// The commands of the program; each is a file of its own.
#pragma once
#include "cli/command.h"

namespace bbam {

void add_attribute(Program& program);
void add_convert(Program& program);
void add_demo(Program& program);
void add_detect(Program& program);
void add_devices(Program& program);
void add_evaluate(Program& program);
void add_faithfulness(Program& program);
void add_proposal_gradients(Program& program);
void add_pseudo_label(Program& program);
void add_report(Program& program);
void add_reproduce(Program& program);
void add_segment(Program& program);
void add_shapes(Program& program);
void add_study(Program& program);
void add_train_deeplab(Program& program);
void add_train_detector(Program& program);
void add_train_mask_rcnn(Program& program);
void add_train_retinanet(Program& program);

}  // namespace bbam
