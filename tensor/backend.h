// Which implementation a vendor interface (blas.h, dnn.h) hands out.
#pragma once

namespace bbam {

// kFastest: the vendor library of the device. kReference: our plain loops, the oracle of the tests,
// on either device and in double. Vendor libraries that lack double use the loops there.
enum class Backend { kFastest, kReference };

// fp32: IEEE single precision throughout. tf32: inputs of matrix products and convolutions rounded
// to 10 bits of mantissa on GPUs that have it. A run is one or the other as a whole, never
// silently.
enum class Precision { kFp32, kTf32 };
Precision precision();
void set_precision(Precision precision);

// The choice for this thread while one lives.
class UseBackend {
 public:
  explicit UseBackend(Backend backend);
  ~UseBackend();
  UseBackend(const UseBackend&) = delete;
  UseBackend& operator=(const UseBackend&) = delete;
  static Backend current();

 private:
  Backend before_;
};

}  // namespace bbam
