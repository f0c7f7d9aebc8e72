#include "layers/losses.h"

#include <doctest/doctest.h>

#include <cmath>

#include "layers/elementwise.h"
#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

constexpr Reduction kBoth[] = {Reduction::kMean, Reduction::kSum};

// sum w l, divided by sum w for the mean; 0 when there is nothing to average.
std::vector<double> reduced(const std::vector<double>& terms, const std::vector<double>& weights,
                            Reduction reduction) {
  double sum = 0, count = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    sum += weights[i] * terms[i];
    count += weights[i];
  }
  if (reduction == Reduction::kSum) return {sum};
  return {count > 0 ? sum / count : 0.0};
}

// Logits within [-size, size).
Example cross_entropy_example(const char* what, int64_t classes, const std::vector<int64_t>& labels,
                              int64_t ignore, const std::vector<double>& weights,
                              Reduction reduction, double size = 3) {
  const auto rows = int64_t(labels.size());
  const Tensor label_tensor = Tensor::from(labels);
  const auto op = [=](const std::vector<Variable>& v) {
    const Tensor given =
        weights.empty() ? Tensor() : Tensor::from(weights).cast(v[0].dtype()).to(v[0].device());
    return cross_entropy(v[0], label_tensor, reduction, ignore, given);
  };
  const auto oracle = [=](const std::vector<Tensor>& v) {
    const std::vector<double> x = v[0].to_vector<double>();
    std::vector<double> terms, term_weights;
    for (size_t row = 0; row < labels.size(); ++row) {
      if (labels[row] == ignore) continue;
      const auto exp_of = [&](int64_t c) {  // of 1000: no double, but a long double
        return std::exp(static_cast<long double>(x[row * size_t(classes) + size_t(c)]));
      };
      long double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += exp_of(c);
      terms.push_back(double(-std::log(exp_of(labels[row]) / sum)));
      term_weights.push_back(weights.empty() ? 1.0 : weights[row]);
    }
    return reduced(terms, term_weights, reduction);
  };
  return {what, {random_tensor({rows, classes}, 900, -size, size)}, op, oracle, Shape{}};
}

// Equation 5 of the paper literally, in long double: of 100 a double has no 1 - p.
Example focal_example(const char* what, int64_t classes, const std::vector<int64_t>& labels,
                      const std::vector<double>& weights, Reduction reduction, double gamma = 2,
                      double size = 3) {
  const auto rows = int64_t(labels.size());
  const Tensor label_tensor = Tensor::from(labels);
  const auto op = [=](const std::vector<Variable>& v) {
    const Tensor given =
        weights.empty() ? Tensor() : Tensor::from(weights).cast(v[0].dtype()).to(v[0].device());
    return sigmoid_focal_loss(v[0], label_tensor, 0.25, gamma, reduction, -1, given);
  };
  const auto oracle = [=](const std::vector<Tensor>& v) {
    const std::vector<double> x = v[0].to_vector<double>();
    std::vector<double> terms, term_weights;
    for (size_t row = 0; row < labels.size(); ++row) {
      if (labels[row] == -1) continue;
      long double term = 0;
      for (int64_t c = 0; c < classes; ++c) {
        const auto logit = static_cast<long double>(x[row * size_t(classes) + size_t(c)]);
        const long double p = 1 / (1 + std::exp(-logit)), not_p = 1 / (1 + std::exp(logit));
        const bool is_class = labels[row] == c + 1;
        term -= (is_class ? 0.25L : 0.75L) * std::pow(is_class ? not_p : p, gamma) *
                std::log(is_class ? p : not_p);
      }
      terms.push_back(double(term));
      term_weights.push_back(weights.empty() ? 1.0 : weights[row]);
    }
    return reduced(terms, term_weights, reduction);
  };
  return {what, {random_tensor({rows, classes}, 906, -size, size)}, op, oracle, Shape{}};
}

using Term = double (*)(double x, double target);
using Loss = Variable (*)(const Variable&, const Tensor&, Reduction, const Tensor&);

// Losses of one value and one target: without weights, with weights, with broadcast weights, with
// nothing counted, and empty.
std::vector<Example> pointwise_examples(Loss loss, Term term, double low, double high) {
  std::vector<Example> examples;
  const auto add = [&](const char* what, Shape shape, const std::vector<double>& weights,
                       Shape weight_shape, Reduction reduction) {
    const Tensor target = random_tensor(shape, 901, low, high);
    const auto op = [=](const std::vector<Variable>& v) {
      const Tensor given =
          weights.empty()
              ? Tensor()
              : Tensor::from(weights, weight_shape).cast(v[0].dtype()).to(v[0].device());
      return loss(v[0], target.cast(v[0].dtype()).to(v[0].device()), reduction, given);
    };
    const auto oracle = [=](const std::vector<Tensor>& v) {
      const std::vector<double> x = v[0].to_vector<double>(), t = target.to_vector<double>();
      std::vector<double> terms, term_weights;
      for (size_t i = 0; i < x.size(); ++i) {
        terms.push_back(term(x[i], t[i]));
        const size_t per_weight = weights.empty() ? 1 : x.size() / weights.size();
        term_weights.push_back(weights.empty() ? 1.0 : weights[i / per_weight]);
      }
      return reduced(terms, term_weights, reduction);
    };
    examples.push_back({what, {random_tensor(shape, 902, -2, 2)}, op, oracle, Shape{}});
  };
  for (Reduction reduction : kBoth) {
    add("plain", {3, 5}, {}, {}, reduction);
    add("large", {1030}, {}, {}, reduction);
    add("weights", {5}, {1, 0, 2.5, 0.5, 1}, {5}, reduction);
    add("weights of rows", {3, 4}, {1, 0, 2}, {3, 1}, reduction);
    add("nothing counted", {3}, {0, 0, 0}, {3}, reduction);
    add("empty", {0, 4}, {}, {}, reduction);
  }
  return examples;
}

// METHOD A3 literally: horizontal and vertical differences, and four sums over diagonals, each pair
// of a diagonal being met from both of its ends.
std::vector<double> total_variation_loop(const Tensor& mask, double beta, bool diagonals) {
  const int64_t height = mask.dim(-2), width = mask.dim(-1);
  const int64_t count = mask.rank() == 3 ? mask.dim(0) : 1;
  const std::vector<double> m = mask.to_vector<double>();
  std::vector<double> y;
  for (int64_t n = 0; n < count; ++n) {
    double sum = 0;
    const auto add = [&](int64_t dr, int64_t dc) {
      for (int64_t r = 0; r < height; ++r)
        for (int64_t c = 0; c < width; ++c) {
          if (r + dr < 0 || r + dr >= height || c + dc < 0 || c + dc >= width) continue;
          const double a = m[size_t((n * height + r) * width + c)];
          const double b = m[size_t((n * height + r + dr) * width + c + dc)];
          sum += std::pow(std::abs(a - b), beta);
        }
    };
    add(0, 1);
    add(1, 0);
    if (diagonals) {
      add(1, 1);
      add(1, -1);
      add(-1, 1);
      add(-1, -1);
    }
    y.push_back(sum);
  }
  return y;
}

Example total_variation_example(Shape shape, double beta, bool diagonals) {
  return {join(shape, " beta ", beta, diagonals ? "" : " straight"),
          {distinct_tensor(shape, 903)},
          [=](const std::vector<Variable>& v) { return total_variation(v[0], beta, diagonals); },
          [=](const std::vector<Tensor>& v) { return total_variation_loop(v[0], beta, diagonals); },
          shape.rank() == 3 ? Shape{shape[0]} : Shape{}};
}

double value_of(const Variable& loss) { return loss.value().item<double>(); }

}  // namespace

TEST_CASE("op cross_entropy") {
  OpCase op_case{.op = "cross_entropy", .examples = {}};
  for (Reduction reduction : kBoth) {
    op_case.examples.push_back(
        cross_entropy_example("plain", 7, {0, 6, 3, 3, 1}, -1, {}, reduction));
    op_case.examples.push_back(
        cross_entropy_example("large logits", 7, {0, 6, 3, -1, 1}, -1, {}, reduction, 1000));
    op_case.examples.push_back(
        cross_entropy_example("some ignored", 3, {-1, 2, -1, 0}, -1, {}, reduction));
    op_case.examples.push_back(
        cross_entropy_example("void 255", 21, {255, 20, 0}, 255, {}, reduction));
    op_case.examples.push_back(
        cross_entropy_example("weights", 3, {2, -1, 1}, -1, {0.5, 7, 2}, reduction));
    op_case.examples.push_back(cross_entropy_example("one class", 1, {0, 0}, -1, {}, reduction));
    op_case.examples.push_back(
        cross_entropy_example("all ignored", 3, {-1, -1}, -1, {}, reduction));
    op_case.examples.push_back(cross_entropy_example("no rows", 5, {}, -1, {}, reduction));
  }
  run(op_case);
}

TEST_CASE("cross_entropy: wrong labels are refused") {
  const Variable x(Tensor::zeros({2, 3}));
  CHECK_THROWS_WITH_AS(cross_entropy(x, Tensor::from<int64_t>({0, 3}), Reduction::kMean),
                       doctest::Contains("label 3 of row 1; expected 0 to 2"), Error);
  CHECK_THROWS_AS(cross_entropy(x, Tensor::from<int64_t>({0}), Reduction::kMean), Error);
  CHECK_THROWS_AS(cross_entropy(x, Tensor::zeros({2}), Reduction::kMean), Error);
  CHECK_THROWS_AS(
      cross_entropy(x, Tensor::from<int64_t>({0, 1}), Reduction::kMean, -1, Tensor::zeros({3})),
      Error);
}

TEST_CASE("op sigmoid_focal_loss") {
  OpCase op_case{.op = "sigmoid_focal_loss", .examples = {}};
  for (Reduction reduction : kBoth) {
    const auto add = [&](auto... values) { op_case.examples.push_back(focal_example(values...)); };
    using Labels = std::vector<int64_t>;
    using Weights = std::vector<double>;
    add("plain", 5, Labels{0, 5, 3, 1}, Weights{}, reduction);
    add("background alone", 7, Labels{0, 0, 0}, Weights{}, reduction);
    add("some ignored", 3, Labels{-1, 2, -1, 0}, Weights{}, reduction);
    add("weights", 4, Labels{4, 0, -1, 2}, Weights{0.5, 2, 7, 0}, reduction);
    add("gamma 0", 4, Labels{1, 0, 2}, Weights{}, reduction, 0.0);
    add("gamma 1/2", 4, Labels{1, 0, 2}, Weights{}, reduction, 0.5);
    add("large logits", 4, Labels{1, 0, 2}, Weights{}, reduction, 2.0, 100.0);
    add("many classes", 300, Labels{0, 300}, Weights{}, reduction);
    add("one class", 1, Labels{0, 1, -1}, Weights{}, reduction);
    add("all ignored", 3, Labels{-1, -1}, Weights{}, reduction);
    add("no rows", 5, Labels{}, Weights{}, reduction);
  }
  run(op_case);
}

TEST_CASE("losses: focal loss, equation 5, torchvision's values and gradients") {
  const SafetensorsFile file = golden("focal_loss");
  const Tensor labels = file.tensors.at("labels");
  for (int k = 0; k < 3; ++k) {
    const auto spec = file.tensors.at(join("spec.", k)).to_vector<double>();
    const Variable x(file.tensors.at("logits"), true);
    const Variable loss = sigmoid_focal_loss(x, labels, spec[0], spec[1], Reduction::kSum);
    CHECK(value_of(loss) ==
          close_to(file.tensors.at(join("loss.", k)).to_vector<double>()[0], 1e-12));
    backward(loss);
    const auto expected = file.tensors.at(join("gradient.", k)).to_vector<double>();
    const auto got = x.grad().to_vector<double>();
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == close_to(expected[i], 1e-10, 1e-3));
  }
}

TEST_CASE("losses: focal loss, a sure mistake costs its logit and a sure answer nothing") {
  const Variable x(Tensor::from<double>({-800, 800, 800, -800}, {4, 1}), true);
  const Tensor labels = Tensor::from<int64_t>({1, 0, 1, 0});
  const Variable loss = sigmoid_focal_loss(x, labels, 0.25, 2, Reduction::kSum);
  CHECK(value_of(loss) == 0.25 * 800 + 0.75 * 800);
  backward(loss);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{-0.25, 0.75, 0, 0});
}

TEST_CASE("sigmoid_focal_loss: wrong labels and constants are refused") {
  const Variable x(Tensor::zeros({2, 3}));
  const auto loss = [&](const Tensor& labels, double alpha, double gamma, const Tensor& weights) {
    return sigmoid_focal_loss(x, labels, alpha, gamma, Reduction::kSum, -1, weights);
  };
  const Tensor good = Tensor::from<int64_t>({0, 3});
  CHECK_NOTHROW(loss(good, 0.25, 2, {}));
  CHECK_THROWS_WITH_AS(loss(Tensor::from<int64_t>({0, 4}), 0.25, 2, {}),
                       doctest::Contains("label 4 of row 1; expected 0 to 3"), Error);
  CHECK_THROWS_AS(loss(Tensor::from<int64_t>({0}), 0.25, 2, {}), Error);
  CHECK_THROWS_AS(loss(good, 1.25, 2, {}), Error);
  CHECK_THROWS_AS(loss(good, 0.25, -1, {}), Error);
  CHECK_THROWS_AS(loss(good, 0.25, 2, Tensor::zeros({3})), Error);
}

TEST_CASE("op bce_with_logits") {
  const Term term = [](double x, double t) {
    const double p = 1 / (1 + std::exp(-x));
    return -t * std::log(p) - (1 - t) * std::log(1 - p);
  };
  run({.op = "bce_with_logits", .examples = pointwise_examples(bce_with_logits, term, 0, 1)});
}

TEST_CASE("bce_with_logits: large logits neither overflow nor vanish") {
  const Variable x(Tensor::from<double>({800, -800, -800}), true);
  const Tensor t = Tensor::from<double>({0, 1, 0});
  const Variable loss = bce_with_logits(x, t, Reduction::kSum);
  CHECK(value_of(loss) == 1600);
  backward(loss);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{1, -1, 0});
}

TEST_CASE("op smooth_l1") {
  const Term third = [](double x, double t) {
    const double d = std::abs(x - t);
    return d < 1.0 / 9 ? 4.5 * d * d : d - 1.0 / 18;
  };
  const Term one = [](double x, double t) {
    const double d = std::abs(x - t);
    return d < 1 ? 0.5 * d * d : d - 0.5;
  };
  const Loss with_ninth = [](const Variable& x, const Tensor& t, Reduction r, const Tensor& w) {
    return smooth_l1(x, t, 1.0 / 9, r, w);
  };
  const Loss with_one = [](const Variable& x, const Tensor& t, Reduction r, const Tensor& w) {
    return smooth_l1(x, t, 1, r, w);
  };
  run({.op = "smooth_l1", .examples = pointwise_examples(with_ninth, third, -2, 2)});
  run({.op = "smooth_l1", .examples = pointwise_examples(with_one, one, -2, 2)});
}

TEST_CASE("smooth_l1: beta 0 is l1, and values that do not fit are refused") {
  const Variable x(Tensor::from<double>({1, -2, 0.5}), true);
  const Tensor t = Tensor::from<double>({1, 1, 0});
  const Variable loss = smooth_l1(x, t, 0, Reduction::kSum);
  CHECK(value_of(loss) == value_of(l1(x, t, Reduction::kSum)));
  backward(loss);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{0, -1, 1});
  CHECK_THROWS_AS(smooth_l1(x, t, -1, Reduction::kSum), Error);
  CHECK_THROWS_AS(smooth_l1(x, Tensor::zeros({3}), 1, Reduction::kSum), Error);
  CHECK_THROWS_AS(smooth_l1(x, t, 1, Reduction::kSum, Tensor::zeros({2}, DType::kF64)), Error);
}

TEST_CASE("op l1") {
  OpCase op_case{.op = "l1", .examples = {}};
  for (Reduction reduction : kBoth) {
    for (const Shape& shape : {Shape{3, 5}, Shape{1}, Shape{}, Shape{0, 4}}) {
      const auto oracle = [=](const std::vector<Tensor>& v) {
        const std::vector<double> x = v[0].to_vector<double>(), t = v[1].to_vector<double>();
        std::vector<double> terms;
        for (size_t i = 0; i < x.size(); ++i) terms.push_back(std::abs(x[i] - t[i]));
        return reduced(terms, std::vector<double>(terms.size(), 1.0), reduction);
      };
      op_case.examples.push_back(
          {join(shape),
           {distinct_tensor(shape, 904), shift(distinct_tensor(shape, 905), 0.0053).value()},
           [=](const std::vector<Variable>& v) { return l1(v[0], v[1], reduction); },
           oracle,
           Shape{}});
    }
  }
  run(op_case);
  CHECK_THROWS_AS(l1(Variable(Tensor::zeros({3})), Variable(Tensor::zeros({1})), Reduction::kSum),
                  Error);
}

TEST_CASE("op total_variation") {
  OpCase op_case{.op = "total_variation", .examples = {}};
  for (const Shape& shape : {Shape{3, 5}, Shape{1, 1}, Shape{1, 7}, Shape{17, 1}, Shape{2, 5, 3},
                             Shape{0, 3, 5}, Shape{2, 0, 3}, Shape{0, 3}})
    op_case.examples.push_back(total_variation_example(shape, 3, true));
  op_case.examples.push_back(total_variation_example({5, 7}, 2, false));
  op_case.examples.push_back(total_variation_example({5, 7}, 1, true));
  run(op_case);
}

TEST_CASE("losses: METHOD A3, total variation of a corner, beta 3, diagonals twice") {
  const Variable corner(Tensor::from<double>({2, 0, 0, 0}, {2, 2}));
  CHECK(value_of(total_variation(corner)) == 8 + 8 + 2 * 8);
  CHECK(value_of(total_variation(corner, 3, false)) == 8 + 8);
  CHECK(value_of(total_variation(corner, 1)) == 2 + 2 + 2 * 2);
}

TEST_CASE("total_variation: the gradient of equal neighbours is 0 for every beta") {
  for (double beta : {0.5, 1.0, 2.0, 3.0}) {
    const Variable flat(Tensor::full({3, 3}, 0.5, DType::kF64), true);
    backward(total_variation(flat, beta));
    CHECK(flat.grad().to_vector<double>() == std::vector<double>(9, 0.0));
  }
  CHECK_THROWS_AS(total_variation(Variable(Tensor::zeros({3}))), Error);
  CHECK_THROWS_AS(total_variation(Variable(Tensor::zeros({3, 3})), 0), Error);
}

TEST_CASE("losses: the same bytes for any number of threads") {
  const std::vector<Tensor> rows{random_tensor({3000, 21}, 910, -9, 9)};
  std::vector<int64_t> labels;
  for (int64_t k = 0; k < 3000; ++k) labels.push_back(k * k % 22 - 1);
  const Tensor of_rows = Tensor::from(labels);
  const Tensor target = random_tensor({3000, 21}, 911, 0, 1).cast(DType::kF32);
  const auto to = [](const Tensor& t, const std::vector<Variable>& v) {
    return t.to(v[0].device());
  };
  for (Reduction reduction : kBoth) {
    check_same_bytes([&](const auto& v) { return cross_entropy(v[0], of_rows, reduction, -1); },
                     rows);
    check_same_bytes(
        [&](const auto& v) { return sigmoid_focal_loss(v[0], of_rows, 0.25, 2, reduction); }, rows);
    check_same_bytes([&](const auto& v) { return bce_with_logits(v[0], to(target, v), reduction); },
                     rows);
    check_same_bytes([&](const auto& v) { return smooth_l1(v[0], to(target, v), 1, reduction); },
                     rows);
    check_same_bytes([&](const auto& v) { return l1(v[0], Variable(to(target, v)), reduction); },
                     rows);
  }
  check_same_bytes([](const auto& v) { return total_variation(v[0]); },
                   {random_tensor({3, 120, 90}, 912)});
}
