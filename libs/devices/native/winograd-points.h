// Winograd's transforms of one dimension with windows of 3: M elements of a result, M + 2 of the input, and as many points as those, at
// which a convolution is a product. Those of two dimensions are these along both. See Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks (2015).
#pragma once
#include "vector.h"

namespace weft {

/** @tparam M 2 or 4; with 4 a convolution multiplies half as often, and its kernel takes twice the memory */
template <class T, int M>
class WinogradPoints {
 public:
  static constexpr int L = lanesOf<T>, side = M + 2;
  static constexpr int64_t tile = M, points = side * side;
  using W = Vector<T, L>;

  /** Of the input: in its place. */
  static void inputToPoints(W* d, int64_t step) {
    if constexpr (M == 2) {
      const W a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
      d[0] = a - c;
      d[step] = b + c;
      d[2 * step] = c - b;
      d[3 * step] = b - e;
      return;
    }
    const W a = d[0], b = d[step], c = d[2 * step], e = d[3 * step], f = d[4 * step], g = d[5 * step];
    const W even = f - c * T(q2), odd = (e - b * T(q2)) * T(p), evens = f - c * T(p2), odds = (e - b * T(p2)) * T(q);
    d[0] = a * T(p2 * q2) - c * T(p2 + q2) + f;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = evens + odds;
    d[4 * step] = evens - odds;
    d[5 * step] = b * T(p2 * q2) - e * T(p2 + q2) + g;
  }
  /** Of the kernel: three numbers to as many as there are points. */
  template <class V>
  static void kernelToPoints(const V* g, int64_t step, V* to, int64_t toStep) {
    const V a = g[0], b = g[step], c = g[2 * step];
    if constexpr (M == 2) {
      to[0] = a;
      to[toStep] = (a + b + c) * T(0.5);
      to[2 * toStep] = (a - b + c) * T(0.5);
      to[3 * toStep] = c;
      return;
    }
    const V near = (a + c * T(p2)) * T(1 / nearFactor), far = (a + c * T(q2)) * T(1 / farFactor);
    to[0] = a * T(1 / (p2 * q2));
    to[toStep] = near + b * T(p / nearFactor);
    to[2 * toStep] = near - b * T(p / nearFactor);
    to[3 * toStep] = far + b * T(q / farFactor);
    to[4 * toStep] = far - b * T(q / farFactor);
    to[5 * toStep] = c;
  }
  /** To M numbers of the result. */
  static void pointsToResult(const W* m, int64_t step, W* to, int64_t toStep) {
    if constexpr (M == 2) {
      to[0] = m[0] + m[step] + m[2 * step];
      to[toStep] = m[step] - m[2 * step] - m[3 * step];
      return;
    }
    const W sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    const W sums = m[3 * step] + m[4 * step], differences = m[3 * step] - m[4 * step];
    to[0] = m[0] + sum + sums;
    to[toStep] = difference * T(p) + differences * T(q);
    to[2 * toStep] = sum * T(p2) + sums * T(q2);
    to[3 * toStep] = difference * T(p * p2) + differences * T(q * q2) + m[5 * step];
  }
  /** The transpose of `pointsToResult`, for M = 4. */
  static void resultToPoints(const W* r, int64_t step, W* to, int64_t toStep) {
    const W even = r[0] + r[2 * step] * T(p2), odd = r[step] * T(p) + r[3 * step] * T(p * p2);
    const W evens = r[0] + r[2 * step] * T(q2), odds = r[step] * T(q) + r[3 * step] * T(q * q2);
    to[5 * toStep] = r[3 * step];
    to[0] = r[0];
    to[toStep] = even + odd;
    to[2 * toStep] = even - odd;
    to[3 * toStep] = evens + odds;
    to[4 * toStep] = evens - odds;
  }
  /** The transpose of `kernelToPoints`, for M = 4. */
  static void pointsToKernel(const W* m, int64_t step, W* to, int64_t toStep) {
    const W sum = (m[step] + m[2 * step]) * T(1 / nearFactor), difference = (m[step] - m[2 * step]) * T(p / nearFactor);
    const W sums = (m[3 * step] + m[4 * step]) * T(1 / farFactor), differences = (m[3 * step] - m[4 * step]) * T(q / farFactor);
    to[0] = m[0] * T(1 / (p2 * q2)) + sum + sums;
    to[toStep] = difference + differences;
    to[2 * toStep] = sum * T(p2) + sums * T(q2) + m[5 * step];
  }

 private:
  /** The points of the transforms for M = 4: 0, ±p, ±q and infinity. With these sums are about as exact as without tiles. */
  static constexpr double p = 0.75, q = 1.5, p2 = p * p, q2 = q * q;
  static constexpr double nearFactor = 2 * p2 * (p2 - q2), farFactor = 2 * q2 * (q2 - p2);
};

}  // namespace weft
