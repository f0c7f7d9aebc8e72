#include "layers/broadcast.h"
#include "layers/losses.h"
#include "tensor/math.h"
#include "tensor/parallel.h"

namespace bbam {
namespace {

// |d|^beta and its derivative, which is 0 at 0 also where the power's is not (beta <= 1).
template <class T>
struct PowerOfDistance {
  T beta;
  HD T value(T d) const { return std::pow(abs_(d), beta); }
  HD T slope(T d) const {
    return d == T(0) ? T(0) : beta * std::pow(abs_(d), beta - T(1)) * sign_(d);
  }
};

// Calls visit(neighbour, weight) for the neighbours of pixel (row, column): straight ones count
// once, diagonal ones twice. kForward: only those that come later, so that each pair is met once.
template <bool kForward, class Visit>
HD void each_neighbour(int64_t row, int64_t column, int64_t height, int64_t width, bool diagonals,
                       Visit visit) {
  for (int64_t i = kForward ? 0 : -1; i <= 1; ++i) {
    for (int64_t j = kForward && i == 0 ? 1 : -1; j <= 1; ++j) {
      const bool is_diagonal = i != 0 && j != 0;
      if ((i == 0 && j == 0) || (is_diagonal && !diagonals)) continue;
      const int64_t r = row + i, c = column + j;
      if (r >= 0 && r < height && c >= 0 && c < width) visit(r * width + c, is_diagonal ? 2 : 1);
    }
  }
}

template <class T>
struct TotalVariation {
  const T* mask;
  T* terms;  // per pixel: its pairs with later pixels
  int64_t height, width;
  bool diagonals;
  PowerOfDistance<T> power;
  HD void operator()(int64_t i) const {
    const int64_t pixel = i % (height * width);
    const T *plane = mask + (i - pixel), own = plane[pixel];
    T sum = T(0);
    const auto add = [&](int64_t neighbour, int weight) {
      sum += T(weight) * power.value(own - plane[neighbour]);
    };
    each_neighbour<true>(pixel / width, pixel % width, height, width, diagonals, add);
    terms[i] = sum;
  }
};

// Gathered: each pixel from all of its neighbours.
template <class T>
struct TotalVariationBackward {
  const T *mask, *dy;
  T* dx;
  int64_t height, width;
  bool diagonals;
  PowerOfDistance<T> power;
  HD void operator()(int64_t i) const {
    const int64_t pixel = i % (height * width);
    const T *plane = mask + (i - pixel), own = plane[pixel];
    T sum = T(0);
    const auto add = [&](int64_t neighbour, int weight) {
      sum += T(weight) * power.slope(own - plane[neighbour]);
    };
    each_neighbour<false>(pixel / width, pixel % width, height, width, diagonals, add);
    dx[i] = dy[i / (height * width)] * sum;
  }
};

}  // namespace

Variable total_variation(const Variable& mask, double beta, bool diagonals) {
  const Tensor m = mask.value();
  check(m.rank() == 2 || m.rank() == 3, "total_variation of ", m, "; expected (H, W) or (N, H, W)");
  check(beta > 0, "total_variation: beta is ", beta, "; expected more than 0");
  const int64_t height = m.dim(-2), width = m.dim(-1);
  Tensor terms = Tensor::empty_like(m);
  dispatch_float(m.dtype(), [&](auto t) {
    using T = decltype(t);
    const TotalVariation<T> kernel{m.data<T>(), terms.mutable_data<T>(), height, width, diagonals,
                                   {T(beta)}};
    parallel_for("total_variation", m.stream(), m.size(), kernel, 12 * m.size(),
                 int64_t(2 * m.bytes()));
  });
  const Shape per_mask = m.rank() == 3 ? Shape{m.dim(0), 1, 1} : Shape{1, 1};
  const Shape result = m.rank() == 3 ? Shape{m.dim(0)} : Shape{};
  return record("total_variation", sum_to(terms, per_mask).reshape(result), {mask},
                [=](const Tensor& dy, Gradients& dx) {
                  Tensor d = Tensor::empty_like(m);
                  dispatch_float(m.dtype(), [&](auto t) {
                    using T = decltype(t);
                    const TotalVariationBackward<T> kernel{
                        m.data<T>(), dy.data<T>(), d.mutable_data<T>(), height, width,
                        diagonals,   {T(beta)}};
                    parallel_for("total_variation.backward", m.stream(), m.size(), kernel,
                                 24 * m.size(), int64_t(2 * m.bytes()));
                  });
                  dx.give(0, d);
                });
}

}  // namespace bbam
