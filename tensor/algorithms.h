// Sort, top-k, scan, select and gather on either device (Thrust: sequential on the CPU, CUDA on a
// GPU; temporaries come from our allocator).
//
// No gradients. Results are new tensors on the device of the input and do not depend on the number
// of threads: sorts are stable (equal keys keep the order of their indices), sums are of integers.
// A wrong rank or type throws Error.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

// keys: (N) f32, f64 or i64 -> (N) i64, the indices that sort the keys. NaN comes last in either
// direction; -0 equals +0.
Tensor argsort(const Tensor& keys, bool descending = false);

// keys: (R, N) i64 that differ in their lowest `bits` bits only, N < 2^31. Sorts each row ascending
// as unsigned numbers, in place -> (R, N) i32, where in its row each key was. Stable. Faster than
// argsort for many keys of few bits.
Tensor sort_rows(Tensor& keys, int bits);

// keys: (N) -> (min(k, N)) i64, the indices of the largest, in descending order, ties by index.
Tensor top_k(const Tensor& keys, int64_t k);

// counts: (N) i32 or i64 -> (N) of that type: y[i] = x[0] + ... + x[i].
Tensor inclusive_scan(const Tensor& counts);

// mask: (N) u8 -> (M) i64, the indices of the values that are not 0, ascending. On a GPU this waits
// for the device, since M must be known.
Tensor nonzero(const Tensor& mask);

// x: (N, ...) of any type, indices: (M) i64 -> (M, ...): row m is x[indices[m]]. An index outside
// [0, N) throws Error; on a GPU the check waits for the device.
Tensor take_rows(const Tensor& x, const Tensor& indices);

}  // namespace bbam
