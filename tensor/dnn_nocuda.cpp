#include "tensor/dnn.h"

namespace bbam {

Dnn& cuda_dnn() { fail("this program was built without CUDA; build it with make CUDA=1"); }

}  // namespace bbam
