#include "tensor/dnn.h"
namespace bbam {
Dnn& cpu_dnn() { return reference_dnn(); }
}  // namespace bbam
