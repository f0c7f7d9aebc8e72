#include "tensor/blas.h"

namespace bbam {

Blas& cuda_blas() { fail("this program was built without CUDA; build it with make CUDA=1"); }

}  // namespace bbam
