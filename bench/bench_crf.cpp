// The dense CRF on a generated picture of 500 x 375 with 2 and with 21 labels, set-up included.
#include <fmt/format.h>

#include <cmath>
#include <tuple>

#include "bench/pair.h"
#include "datasets/shapes.h"
#include "segmenters/dense_crf.h"
#include "tensor/device.h"
#include "tensor/files.h"
#include "tensor/random.h"

namespace bbam::bench {
namespace {

// Probabilities with a bump per label, so that the solution is neither trivial nor flat.
Tensor bumps(int64_t height, int64_t width, int64_t labels) {
  std::vector<float> p;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      double sum = 0;
      std::vector<double> row;
      for (int64_t l = 0; l < labels; ++l) {
        const double cx = double((l * 97 + 31) % width), cy = double((l * 57 + 43) % height);
        row.push_back(0.02 + std::exp(-((double(x) - cx) * (double(x) - cx) +
                                        (double(y) - cy) * (double(y) - cy)) /
                                      5000));
        sum += row.back();
      }
      for (const double value : row) p.push_back(float(value / sum));
    }
  return Tensor::from(p, {height, width, labels});
}

}  // namespace

nlohmann::json bench_crf() {
  fmt::print("\ndense CRF, 500 x 375, 10 iterations, set-up included\n");
  fmt::print("{:<28} {:>8} {:>8} {:>10}\n", "kernels", "labels", "threads", "ms");
  const Image picture = draw_scene({.width = 500, .height = 375, .seed = 4}, 1).picture;
  const Tensor image = Tensor::from(picture.pixels, {375, 500, 3});
  // The peer reads the very picture: a header line, then RGB bytes.
  const std::string file = "build/bench_crf.ppm";
  write_file(file,
             "P6\n500 375\n255\n" + std::string(picture.pixels.begin(), picture.pixels.end()));
  nlohmann::json result{{"picture", file}};
  const std::tuple<const char*, DenseCrfOptions, int64_t> cases[]{
      {"pseudo label, xy 80 rgb 3", kPseudoLabelCrf, 2},
      {"DeepLab test, xy 67 rgb 3", kDeepLabCrf, 21}};
  for (const auto& [name, options, labels] : cases) {
    const Tensor unary = unary_from_probabilities(bumps(375, 500, labels));
    const int all_threads = threads();
    for (const bool one_thread : {true, false}) {
      const int count = one_thread ? 1 : all_threads;
      set_threads(count);
      const Timing t = time_ms([&] { DenseCrf(image, options).infer(unary); }, 5);
      fmt::print("{:<28} {:>8} {:>8} {:>10.1f}\n", name, labels, count, t.median_ms);
      result[fmt::format("labels_{}{}", labels, one_thread ? "_one_thread" : "")] = to_json(t);
    }
  }
  return result;
}

}  // namespace bbam::bench
