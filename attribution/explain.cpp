#include "attribution/explain.h"

#include "attribution/explained_faster_rcnn.h"
#include "attribution/explained_retinanet.h"

namespace bbam {

std::unique_ptr<ExplainedDetector> explain(Detector& detector) {
  if (auto* faster_rcnn = dynamic_cast<FasterRcnn*>(&detector))
    return std::make_unique<ExplainedFasterRcnn>(*faster_rcnn);
  auto* retinanet = dynamic_cast<RetinaNet*>(&detector);
  check(retinanet != nullptr, "explain: expected a Faster R-CNN or a RetinaNet");
  return std::make_unique<ExplainedRetinaNet>(*retinanet);
}

}  // namespace bbam
