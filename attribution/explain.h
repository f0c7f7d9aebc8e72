// The attribution method's view of a detector of any architecture.
#pragma once
#include <memory>

#include "attribution/explained_detector.h"
#include "detectors/detector.h"

namespace bbam {

// Freezes the detector, which must outlive the result. Throws Error for an architecture that the
// method has no view of.
std::unique_ptr<ExplainedDetector> explain(Detector& detector);

}  // namespace bbam
