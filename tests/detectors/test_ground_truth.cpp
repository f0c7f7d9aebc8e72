#include "detectors/ground_truth.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace bbam;

TEST_CASE("ground truth: what cannot be trained on is refused by name") {
  const auto refused = [](const std::vector<float>& box, int64_t label) {
    const std::vector<GroundTruth> truth{
        {Tensor::from(box, {1, 4}), Tensor::from<int64_t>({label})}};
    check_ground_truth(truth, {{.height = 10, .width = 10}}, 3);
  };
  CHECK_NOTHROW(refused({1, 2, 3, 4}, 3));
  CHECK_THROWS_WITH_AS(refused({3, 2, 3, 4}, 1), doctest::Contains("box 0 is (3, 2, 3, 4)"), Error);
  CHECK_THROWS_AS(refused({1, 4, 3, 2}, 1), Error);
  CHECK_THROWS_AS(refused({1, 2, NAN, 4}, 1), Error);
  CHECK_THROWS_AS(refused({1, 2, INFINITY, 4}, 1), Error);
  CHECK_THROWS_WITH_AS(refused({1, 2, 3, 4}, 4), doctest::Contains("label 4; expected 1 to 3"),
                       Error);
  CHECK_THROWS_AS(refused({1, 2, 3, 4}, 0), Error);
  CHECK_THROWS_AS(check_ground_truth({}, {{.height = 10, .width = 10}}, 3), Error);
}
