#include "segmenters/seed_growing.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "tensor/random.h"
#include "tests/close.h"
#include "tests/determinism.h"
#include "tests/op_case.h"

using namespace bbam;
using namespace bbam::test;

namespace {

using Labels = std::vector<uint8_t>;
constexpr MaskLoss kAll[] = {MaskLoss::kPlain, MaskLoss::kBalanced, MaskLoss::kSeedGrowing};

// The authors' way: two sets with one flag per cell each, neighbours counted in a padded copy.
Labels grown_by_sets(const Labels& seeds, const std::vector<double>& p, int64_t count, int64_t side,
                     double above, double below) {
  const int64_t cells = side * side, padded = side + 2;
  Labels grown(seeds.size(), 255);
  for (int64_t n = 0; n < count; ++n)
    for (const uint8_t label : {1, 0}) {
      std::vector<int> set(size_t(padded * padded), 0);
      const auto place = [&](int64_t cell) {
        return size_t((cell / side + 1) * padded + cell % side + 1);
      };
      for (int64_t cell = 0; cell < cells; ++cell) {
        const size_t i = size_t(n * cells + cell);
        const bool joins = label == 1 ? p[i] > above : p[i] < below;
        set[place(cell)] = seeds[i] == label || joins;
        if (seeds[i] == 1 - label) set[place(cell)] = 0;
      }
      for (int64_t cell = 0; cell < cells; ++cell) {
        const auto at = int64_t(place(cell));
        int neighbours = 0;
        for (const int64_t step : {-padded - 1, -padded, -padded + 1, int64_t(-1), int64_t(1),
                                   padded - 1, padded, padded + 1})
          neighbours += set[size_t(at + step)];
        if (set[size_t(at)] && neighbours > 0) grown[size_t(n * cells + cell)] = label;
      }
    }
  return grown;
}

Labels random_seeds(int64_t count, uint64_t seed) {
  const Random random(seed);
  constexpr uint8_t kKinds[] = {0, 1, 255, 255};
  Labels seeds;
  for (int64_t k = 0; k < count; ++k) seeds.push_back(kKinds[random.below(uint64_t(k), 4)]);
  return seeds;
}

// One picture per region: '1' and '0' seeds, '.' none; and '#' a probability of 0.95, ' ' of 0.05,
// '-' of 0.5.
Labels grown_picture(const std::string& seeds, const std::string& likely, int64_t side) {
  Labels labels;
  std::vector<float> p;
  for (const char c : seeds) labels.push_back(c == '1' ? 1 : c == '0' ? 0 : 255);
  for (const char c : likely) p.push_back(c == '#' ? 0.95f : c == ' ' ? 0.05f : 0.5f);
  return grow_seeds(Tensor::from(labels, {1, side, side}), Tensor::from(p, {1, side, side}))
      .to_vector<uint8_t>();
}

Labels labels_of(const std::string& picture) {
  Labels labels;
  for (const char c : picture) labels.push_back(c == '1' ? 1 : c == '0' ? 0 : 255);
  return labels;
}

double cross_entropy_of(double logit, uint8_t label) {
  const double p = 1 / (1 + std::exp(-logit));
  return label == 1 ? -std::log(p) : -std::log(1 - p);
}

Example loss_example(const std::string& what, MaskLoss loss, Shape shape, const Labels& seeds) {
  const Tensor labels = Tensor::from(seeds, shape);
  return {
      what,
      // 0.9 and 0.1 are logits of ln 9 = 2.197 and -ln 9, to which no multiple of 0.083 comes near.
      {distinct_tensor(shape, 930, 0.083)},
      [=](const std::vector<Variable>& v) {
        return mask_loss(v[0], labels.to(v[0].device()), loss);
      },
      [=](const std::vector<Tensor>& v) {
        const auto x = v[0].to_vector<double>();
        Labels used = seeds;
        if (loss == MaskLoss::kSeedGrowing) {
          std::vector<double> p;
          for (const double logit : x) p.push_back(1 / (1 + std::exp(-logit)));
          used = grown_by_sets(seeds, p, shape[0], shape[1], 0.9, 0.1);
        }
        double sum[2] = {}, count[2] = {};
        for (size_t i = 0; i < x.size(); ++i) {
          if (used[i] > 1) continue;
          sum[used[i]] += cross_entropy_of(x[i], used[i]);
          count[used[i]] += 1;
        }
        if (loss == MaskLoss::kPlain)
          return std::vector{(sum[0] + sum[1]) / std::max(1.0, count[0] + count[1])};
        if (count[0] == 0 || count[1] == 0) return std::vector{0.0};
        return std::vector{(sum[0] / count[0] + sum[1] / count[1]) / 2};
      },
      Shape{}};
}

}  // namespace

TEST_CASE("seed growing: METHOD A11, constants") {
  CHECK(GrowingSpec{}.foreground_above == 0.9);
  CHECK(GrowingSpec{}.background_below == 0.1);
}

TEST_CASE("seed growing: METHOD A11, above 0.9 joins the foreground, below 0.1 the background") {
  CHECK(grown_picture("1..."
                      "...."
                      "...."
                      "...0",
                      "-#--"
                      "#---"
                      "--- "
                      "-- -",
                      4) == labels_of("11.."
                                      "1..."
                                      "...0"
                                      "..00"));
}

TEST_CASE("seed growing: METHOD A11, initial seeds win over the prediction") {
  CHECK(grown_picture("110"
                      "1.0"
                      "100",
                      "  #"
                      " ##"
                      " ##",
                      3) == labels_of("110"
                                      "110"
                                      "100"));
}

TEST_CASE("seed growing: METHOD A11, a cell stays if a neighbour has the same label") {
  // Lonely are a seed in the corner and a grown cell at the border; those that touch at a corner
  // are not, and neither is a cell whose only neighbour was grown.
  CHECK(grown_picture("1...."
                      "....."
                      "..1.."
                      ".1..."
                      "....0",
                      "----#"
                      "-----"
                      "-----"
                      "-----"
                      "--- -",
                      5) == labels_of("....."
                                      "....."
                                      "..1.."
                                      ".1..."
                                      "...00"));
  // Neighbours do not reach from one region, or from one row's end, into the next.
  const Tensor seeds = Tensor::from(labels_of("..1"
                                              "..."
                                              "..."
                                              "1.."
                                              "..."
                                              "..."),
                                    {2, 3, 3});
  const Tensor undecided = Tensor::full({2, 3, 3}, 0.5);
  CHECK(grow_seeds(seeds, undecided).to_vector<uint8_t>() == Labels(18, 255));
}

TEST_CASE("seed growing: METHOD A11, against two sets with a flag per cell") {
  const Labels seeds = random_seeds(6 * 28 * 28, 931);
  const Tensor p = random_tensor({6, 28, 28}, 932, 0, 1);
  for (const GrowingSpec& spec : {GrowingSpec{}, GrowingSpec{0.6, 0.6}, GrowingSpec{2, -1}})
    for (Device device : available_devices()) {
      INFO(to_string(device), " above ", spec.foreground_above);
      const Labels expected = grown_by_sets(seeds, p.to_vector<double>(), 6, 28,
                                            spec.foreground_above, spec.background_below);
      const Tensor given = Tensor::from(seeds, p.shape(), device);
      CHECK(grow_seeds(given, p.to(device), spec).to(kCpu).to_vector<uint8_t>() == expected);
    }
}

TEST_CASE("op mask_loss") {
  OpCase op_case{.op = "mask_loss", .examples = {}};
  for (const MaskLoss loss : kAll) {
    const auto add = [&](const char* what, Shape shape, const Labels& seeds) {
      op_case.examples.push_back(loss_example(join(what, " ", int(loss)), loss, shape, seeds));
    };
    add("odd", {3, 5, 5}, random_seeds(75, 933));
    add("one cell of each", {1, 2, 2}, {1, 255, 255, 0});
    add("no foreground", {1, 3, 3}, {0, 0, 0, 0, 255, 0, 0, 0, 0});
    add("no background", {1, 2, 2}, {1, 1, 255, 1});
    add("no seeds", {2, 2, 2}, Labels(8, 255));
    add("no regions", {0, 28, 28}, {});
  }
  run(op_case);
}

TEST_CASE("mask loss: METHOD A11, means over the cells of all regions together, halved") {
  // Region 0 has one foreground cell of logit 1 and three background cells, region 1 the reverse:
  // foreground logits 1, 2, 2, 2 and background logits 0, 0, 0, -3.
  const Tensor seeds = Tensor::from<uint8_t>({1, 0, 0, 0, 1, 1, 1, 0}, {2, 2, 2});
  const Variable logits(Tensor::from<double>({1, 0, 0, 0, 2, 2, 2, -3}, {2, 2, 2}));
  const double foreground = (cross_entropy_of(1, 1) + 3 * cross_entropy_of(2, 1)) / 4;
  const double background = (3 * cross_entropy_of(0, 0) + cross_entropy_of(-3, 0)) / 4;
  const auto value = [&](MaskLoss loss) {
    return mask_loss(logits, seeds, loss).value().item<double>();
  };
  CHECK(value(MaskLoss::kBalanced) == close_to((foreground + background) / 2, 1e-12));
  CHECK(value(MaskLoss::kPlain) == close_to((4 * foreground + 4 * background) / 8, 1e-12));
}

TEST_CASE("mask loss: METHOD A11, zero with gradient zero if either kind is missing") {
  for (const uint8_t label : {0, 1, 255})
    for (const MaskLoss loss : {MaskLoss::kBalanced, MaskLoss::kSeedGrowing}) {
      const Variable logits(Tensor::full({2, 3, 3}, 0.3), true);
      const Variable value = mask_loss(logits, Tensor::full({2, 3, 3}, label, DType::kU8), loss);
      CHECK(value.value().item<float>() == 0);
      backward(value);
      for (const float g : logits.grad().to_vector<float>()) CHECK(g == 0);
    }
}

TEST_CASE("mask loss: the same bytes for any number of threads; wrong seeds are refused") {
  const Tensor seeds = Tensor::from(random_seeds(20 * 28 * 28, 934), {20, 28, 28});
  for (const MaskLoss loss : kAll)
    check_same_bytes([&](const auto& v) { return mask_loss(v[0], seeds.to(v[0].device()), loss); },
                     {random_tensor({20, 28, 28}, 935, -4, 4)});
  const Variable logits(Tensor::zeros({20, 28, 28}));
  CHECK_THROWS_AS(mask_loss(logits, Tensor::zeros({20, 28, 28}), MaskLoss::kPlain), Error);
  CHECK_THROWS_AS(mask_loss(logits, seeds.rows(0, 3), MaskLoss::kPlain), Error);
  CHECK_THROWS_AS(grow_seeds(seeds.rows(0, 3), logits.value()), Error);
}
