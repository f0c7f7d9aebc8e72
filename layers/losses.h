// Losses with gradients; f32 and f64. All but total_variation give a scalar of shape ().
//
// With a weight w_i per term l_i, kSum gives sum w_i l_i and kMean divides that by sum w_i: by the
// number of terms when no weights are given. A mean over nothing (no term, or all weights 0) is 0
// with gradient 0, so an image without samples does no harm. Weights and plain targets are
// constants; weights broadcast to the terms. Sums are the same bytes for any thread count.
#pragma once
#include "autograd/variable.h"

namespace bbam {

enum class Reduction { kMean, kSum };

// -log softmax(logits)[label] per row; logits: (N, C), labels: i64 (N) in [0, C), weights: (N) or
// undefined. Rows labelled `ignore` are left out: weight 0. Labels are checked on the
// host.
Variable cross_entropy(const Variable& logits, const Tensor& labels, Reduction reduction,
                       int64_t ignore = -1, const Tensor& weights = {});

// -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)) per element; targets of the shape of logits, in
// [0, 1].
Variable bce_with_logits(const Variable& logits, const Tensor& targets, Reduction reduction,
                         const Tensor& weights = {});

// Sigmoid focal loss [Lin et al. 2017, Focal Loss, equation 5]: per row the sum over classes of
// -alpha_t (1 - p_t)^gamma log p_t. logits: (N, C), one per class and none for background; labels:
// i64 (N), 0 for background, c for the class of column c - 1. For that column p_t = sigmoid(logit)
// and alpha_t = alpha, for the others 1 - sigmoid(logit) and 1 - alpha. A term is a row; weights,
// (N) or undefined, and rows labelled `ignore` as in cross_entropy. alpha in [0, 1], gamma >= 0.
Variable sigmoid_focal_loss(const Variable& logits, const Tensor& labels, double alpha,
                            double gamma, Reduction reduction, int64_t ignore = -1,
                            const Tensor& weights = {});

// Huber's function over beta, per element of d = x - target [Girshick 2015, eq. 3]:
// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere. beta 0 is l1.
Variable smooth_l1(const Variable& x, const Tensor& target, double beta, Reduction reduction,
                   const Tensor& weights = {});

// |x - target|, with gradients for both; 0 where they are equal.
Variable l1(const Variable& x, const Variable& target, Reduction reduction);

// Sum over pairs of neighbouring pixels of |difference|^beta (METHOD A3): horizontal and vertical
// pairs once, the pairs of both diagonals twice. mask: (H, W) -> (), or (N, H, W) -> (N). The
// gradient of |d|^beta at d = 0 is 0 for every beta.
Variable total_variation(const Variable& mask, double beta = 3, bool diagonals = true);

}  // namespace bbam
