// Tiles of Winograd's convolutions with windows of 3 × 3: M × M elements of a result, (M + 2) × (M + 2) of the input, and their
// transforms to and from as many points as those. Tiles lie side by side in vectors, whatever the width of images.
#pragma once
#include "gemm.h"
#include "interleave.h"
#include "spatial.h"

namespace weft {

/** @tparam M 2 or 4; with 4 a convolution multiplies half as often, and its kernel takes twice the memory */
template <class T, int M>
class WinogradTiles {
 public:
  static constexpr int L = lanesOf<T>, side = M + 2;
  static constexpr int64_t tile = M, points = side * side;
  using W = Vector<T, L>;

  /** Whether a window along this dimension is one of tiles. */
  static bool takes(const ConvolutionAxis& axis) { return axis.kernel == 3 && axis.step == 1 && axis.inDilation == 1 && axis.kernelDilation == 1; }

  WinogradTiles(const ConvolutionAxis& outer, const ConvolutionAxis& inner, int64_t images)
      : y(outer), x(inner), down(divideUp(outer.out, tile)), across(divideUp(inner.out, tile)), count(images * down * across) {}

  /** Tiles side by side in a row of an image; `at` counts from the first of a chunk. */
  struct Segment {
    int64_t image, y, x, count, at;
  };
  void place(std::vector<Segment>& segments, int64_t first, int64_t some) const {
    segments.clear();
    for (int64_t at = 0; at < some;) {
      const int64_t index = first + at, column = index % across, line = index / across;
      const int64_t there = std::min(across - column, some - at);
      segments.push_back({line / down, line % down, column, there, at});
      at += there;
    }
  }

  /** Elements between rows of a chunk's tiles in working memory, and all of it for so many tiles. */
  static int64_t pitchOf(int64_t chunk) { return roundUp(chunk, L) + 2 * L; }
  static int64_t workOf(int64_t chunk) { return points * pitchOf(chunk) + linesOf(chunk); }
  static int64_t linesOf(int64_t chunk) { return side * lineOf(chunk); }
  static int64_t lineOf(int64_t chunk) { return roundUp(chunk, L) * tile + tile * L; }

  /** Elements (i, j) of the input's tiles to rows of `work`, tile by tile. */
  void gatherInput(T* work, T* lines, const T* planes, int64_t imageStride, const std::vector<Segment>& segments, int64_t chunk) const {
    const int64_t pitch = pitchOf(chunk), some = segments.back().at + segments.back().count;
    for (const Segment& segment : segments)
      for (int64_t i = 0; i < side; i++)
        copyLine(lines + i * lineOf(chunk) + segment.at * tile, planes + segment.image * imageStride, segment.y * tile + i - y.low, segment.x * tile - x.low, segment.count * tile, y.in, x.in, y.inStride);
    for (int64_t i = 0; i < side; i++) {
      const T* line = lines + i * lineOf(chunk);
      T* to = work + side * i * pitch;
      for (int64_t at = 0; at < some; at += L) deal(to + at, pitch, line + at * tile);
      // The last two columns are the first two of the next tile, where that is of the same row.
      for (int64_t at = 0; at < some; at += L) {
        storeVector(to + M * pitch + at, loadVector<W>(to + at + 1));
        storeVector(to + (M + 1) * pitch + at, loadVector<W>(to + pitch + at + 1));
      }
    }
    for (const Segment& segment : segments) {
      const int64_t column = (segment.x + segment.count) * tile - x.low, last = segment.at + segment.count - 1;
      const T* plane = planes + segment.image * imageStride;
      for (int64_t i = 0; i < side; i++) {
        const int64_t row = segment.y * tile + i - y.low;
        const T* from = plane + row * y.inStride + column;
        T* to = work + (side * i + M) * pitch + last;
        const bool isInside = row >= 0 && row < y.in;
        to[0] = isInside && column >= 0 && column < x.in ? from[0] : T(0);
        to[pitch] = isInside && column + 1 >= 0 && column + 1 < x.in ? from[1] : T(0);
      }
    }
  }

  /** Elements (i, j) of the result's tiles to rows of `work`, zeros beyond it; `lineStride`: elements between rows of a plane. */
  void gatherResult(T* work, T* lines, const T* planes, int64_t imageStride, int64_t lineStride, const std::vector<Segment>& segments, int64_t chunk) const {
    const int64_t pitch = pitchOf(chunk), some = segments.back().at + segments.back().count;
    for (const Segment& segment : segments)
      for (int64_t i = 0; i < tile; i++)
        copyLine(lines + i * lineOf(chunk) + segment.at * tile, planes + segment.image * imageStride, segment.y * tile + i, segment.x * tile, segment.count * tile, y.out, x.out, lineStride);
    for (int64_t i = 0; i < tile; i++)
      for (int64_t at = 0; at < some; at += L) deal(work + M * i * pitch + at, pitch, lines + i * lineOf(chunk) + at * tile);
  }

  /** Rows of `work` to lines of the result's elements, each row of a tile in a line of its own. */
  static void toLines(T* lines, const T* work, int64_t some, int64_t chunk) {
    const int64_t pitch = pitchOf(chunk);
    for (int64_t i = 0; i < tile; i++) {
      const T* from = work + M * i * pitch;
      for (int64_t at = 0; at < some; at += L) {
        T* to = lines + i * lineOf(chunk) + at * tile;
        if constexpr (M == 2) interleaveTwo<T>(to, from + at, from + pitch + at);
        else interleaveFour<T>(to, from + at, from + pitch + at, from + 2 * pitch + at, from + 3 * pitch + at);
      }
    }
  }

  // ---- transforms, each of one dimension ------------------------------------------------------------------------------

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

  /** Elements begin … of a row of a plane, zeros where there are none. */
  static void copyLine(T* to, const T* plane, int64_t row, int64_t begin, int64_t width, int64_t rows, int64_t columns, int64_t stride) {
    if (row < 0 || row >= rows) {
      std::memset(to, 0, size_t(width) * sizeof(T));
      return;
    }
    const int64_t from = std::clamp<int64_t>(begin, 0, columns), end = std::clamp<int64_t>(begin + width, from, columns);
    const int64_t before = std::min(from - begin, width);
    for (int64_t i = 0; i < before; i++) to[i] = T(0);
    copyFew(to + before, plane + row * stride + from, end - from);
    for (int64_t i = before + end - from; i < width; i++) to[i] = T(0);
  }

  /** Elements that are M apart to a row of their own. */
  static void deal(T* to, int64_t pitch, const T* from) {
    W v[M];
    if constexpr (M == 2) dealTwo<T>(v, from);
    else dealFour<T>(v, from);
#pragma GCC unroll 4
    for (int j = 0; j < M; j++) storeVector(to + j * pitch, v[j]);
  }

  ConvolutionAxis y, x;

 public:
  const int64_t down, across, count;
};

}  // namespace weft
