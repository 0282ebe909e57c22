// Convolutions with windows of 3 × 3 that move by one, after Winograd: the result in tiles of 4 × 4, each from 6 × 6 elements of the
// input with 36 products of an input feature and an output feature where 144 are done otherwise. Tiles are the columns of 36
// matrix products. See Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015). Errors are relative to the terms of
// a whole tile, not of an element, so that only float32 is computed so.
#pragma once
#include "epilogue.h"
#include "gemm.h"
#include "interleave.h"
#include "kept.h"
#include "spatial.h"

namespace weft {

template <class T>
class Winograd final : ConvolutionShape {
 public:
  static bool takes(const ConvolutionShape& shape) {
    if (!std::is_same_v<T, float> || shape.axes.size() != 2 || !shape.isDense || shape.rows < 16 || shape.channels < 16) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.kernel != 3 || axis.step != 1 || axis.inDilation != 1 || axis.kernelDilation != 1) return false;
    if (shape.axes[1].inStride != 1) return false;
    // The transformed kernel is four times as long: there has to be enough to multiply it with.
    const int64_t tiles = shape.images * divideUp(shape.axes[0].out, tile) * divideUp(shape.axes[1].out, tile);
    if (tiles < 32) return false;
    return 3 * points * roundUp(tiles, L) <= 2 * shape.taps * roundUp(shape.images * shape.positions, L);
  }

  explicit Winograd(const ConvolutionShape& shape) : ConvolutionShape(shape) {
    down = divideUp(axes[0].out, tile);
    across = divideUp(axes[1].out, tile);
    tiles = images * down * across;
    // Tiles of a task: their transforms stay in the second-level cache, or pay for reading a long kernel.
    const int64_t fit = (1 << 20) / (points * (channels + rows) * int64_t(sizeof(T)));
    const int64_t fair = divideUp(tiles, int64_t(pool().size()) * (pool().size() > 1 ? 2 : 1));
    chunk = roundUp(std::min(std::max<int64_t>(fit, rows * channels > (1 << 15) ? 2 * C : C), std::min(fair, tiles)), L);
    if (chunk > C) chunk = roundUp(chunk, C);
  }

  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    const T* left = kept.of(kernel, stamp, groups * points * kernelStride(), Scratch::rows, [&](T* to) { transformKernel(to, kernel); });
    const int64_t chunks = divideUp(tiles, chunk);
    parallelFor(groups * chunks, 1, [&](int64_t begin, int64_t end) {
      T* inputs = reinterpret_cast<T*>(scratchOf(Scratch::panels, (points * inputStride() + points * (chunk + slack) + 6 * lineSize()) * int64_t(sizeof(T))));
      T* work = inputs + points * inputStride();
      T* line = work + points * (chunk + slack);
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, points * sumStride() * int64_t(sizeof(T))));
      std::memset(static_cast<void*>(work), 0, size_t(points * (chunk + slack) + 6 * lineSize()) * sizeof(T));
      std::vector<Segment> segments;
      std::vector<Range> ranges;
      for (int64_t task = begin; task < end; task++) {
        const int64_t group = task / chunks, first = task % chunks * chunk, count = std::min(chunk, tiles - first);
        place(segments, first, count);
        if (epilogue.pointwise != nullptr) join(ranges, segments);
        for (int64_t channel = 0; channel < channels; channel++) {
          for (const Segment& segment : segments) gather(work, line, in + group * inGroup + segment.image * inImage + channel * inChannel, segment);
          for (int64_t at = 0; at < count; at += L) transformInput(inputs + inputAt(at, channel), work + at);
        }
        multiplyPoints(inputs, left + group * points * kernelStride(), sums, count);
        for (int64_t row = 0; row < rows; row++) {
          for (int64_t at = 0; at < count; at += L) transformOutput(work + at, sums + row * chunk + at);
          const int64_t feature = group * rows + row;
          const int64_t element = group * outGroup + row * outRow;
          for (const Segment& segment : segments) spread(out, work, line, segment, element + segment.image * outImage, feature, epilogue);
          if (epilogue.pointwise == nullptr) continue;
          for (const Range& range : ranges) epilogue.finish(slots, out + element + range.at, range.count, feature, element + range.at);
        }
      }
    });
  }

 private:
  static constexpr int L = lanesOf<T>, C = Tiling<T>::columns, R = Tiling<T>::rows;
  static constexpr int64_t tile = 4, points = 36, slack = 2 * L;
  using W = Vector<T, L>;
  /** The points of the transforms: 0, ±p, ±q and infinity. With these sums are about as exact as without tiles. */
  static constexpr double p = 0.75, q = 1.5, p2 = p * p, q2 = q * q;
  static constexpr double nearFactor = 2 * p2 * (p2 - q2), farFactor = 2 * q2 * (q2 - p2);

  /** Tiles side by side in a row of an image. */
  struct Segment {
    int64_t image, y, x, count, at;
  };
  void place(std::vector<Segment>& segments, int64_t first, int64_t count) const {
    segments.clear();
    for (int64_t at = 0; at < count;) {
      const int64_t index = first + at, x = index % across, line = index / across;
      const int64_t there = std::min(across - x, count - at);
      segments.push_back({line / down, line % down, x, there, at});
      at += there;
    }
  }

  /** Elements of a feature's result that are side by side and computed by one task. */
  struct Range {
    int64_t at, count;
  };
  void join(std::vector<Range>& ranges, const std::vector<Segment>& segments) const {
    ranges.clear();
    const int64_t width = axes[1].out;
    for (const Segment& segment : segments) {
      const int64_t height = std::min(tile, axes[0].out - segment.y * tile), there = std::min(segment.count * tile, width - segment.x * tile);
      for (int64_t y = 0; y < height; y++) {
        const int64_t at = segment.image * outImage + (segment.y * tile + y) * width + segment.x * tile;
        if (!ranges.empty() && ranges.back().at + ranges.back().count == at) ranges.back().count += there;
        else ranges.push_back({at, there});
      }
    }
  }

  // Strides between points are odd in lines of the cache, or all points of a place would share a set of it.
  int64_t inputStride() const { return roundUp(chunk, C) * channels + alignment / int64_t(sizeof(T)); }
  int64_t sumStride() const { return chunk * rows + alignment / int64_t(sizeof(T)); }
  int64_t kernelStride() const { return roundUp(rows, R) * channels; }
  int64_t lineSize() const { return roundUp(across * tile, tile * L) + tile * L + slack; }
  /** Where a tile's feature is under the first point: panels of columns for the product. */
  int64_t inputAt(int64_t at, int64_t channel) const { return at / C * C * channels + channel * C + at % C; }

  // ---- the kernel ---------------------------------------------------------------------------------------------------

  /** One dimension of the kernel's transform: three numbers to six. */
  static void transformThree(const T (*g)[R], int64_t step, T (*to)[R], int64_t toStep) {
    for (int r = 0; r < R; r++) {
      const T a = g[0][r], b = g[step][r], c = g[2 * step][r];
      const T near = (a + c * T(p2)) * T(1 / nearFactor), far = (a + c * T(q2)) * T(1 / farFactor);
      to[0][r] = a * T(1 / (p2 * q2));
      to[toStep][r] = near + b * T(p / nearFactor);
      to[2 * toStep][r] = near - b * T(p / nearFactor);
      to[3 * toStep][r] = far + b * T(q / farFactor);
      to[4 * toStep][r] = far - b * T(q / farFactor);
      to[5 * toStep][r] = c;
    }
  }

  /** Of every group and point, panels of rows. */
  void transformKernel(T* to, const T* kernel) const {
    const int64_t panels = divideUp(rows, R);
    parallelFor(groups * panels, divideUp(1 << 14, R * channels), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t group = task / panels, first = task % panels * R;
        for (int64_t row = first; row < std::min(rows, first + R);) {
          const int panel = panelRows<T>(rows - row);
          const int there = int(std::min<int64_t>(panel, rows - row));
          T* target = to + group * points * kernelStride() + row * channels;
          for (int64_t channel = 0; channel < channels; channel++, target += panel) {
            T g[9][R] = {}, half[18][R], whole[points][R];
            for (int r = 0; r < there; r++) {
              const T* from = kernel + group * kernelGroup + (row + r) * kernelRow + channel * kernelChannel;
              for (int tap = 0; tap < 9; tap++) g[tap][r] = from[tapOffsets[size_t(tap)]];
            }
            for (int x = 0; x < 3; x++) transformThree(g + x, 3, half + x, 3);
            for (int y = 0; y < 6; y++) transformThree(half + 3 * y, 1, whole + 6 * y, 1);
            for (int point = 0; point < points; point++) copyFew(target + point * kernelStride(), whole[point], panel);
          }
          row += panel;
        }
      }
    });
  }

  // ---- the input ----------------------------------------------------------------------------------------------------

  /** Elements (y, x) of the tiles of a segment, tile by tile: 36 rows of them. */
  void gather(T* work, T* line, const T* plane, const Segment& segment) const {
    const ConvolutionAxis &outer = axes[0], &inner = axes[1];
    const int64_t width = segment.count * tile + 2;
    const int64_t begin = segment.x * tile - inner.low;
    const int64_t from = std::clamp<int64_t>(begin, 0, inner.in), to = std::clamp<int64_t>(begin + width, from, inner.in);
    const int64_t before = std::min(from - begin, width);
    // All rows are copied before the first is read: vectors that lie across two that were just written would wait for them.
    for (int64_t i = 0; i < 6; i++) {
      const int64_t y = segment.y * tile + i - outer.low;
      T* row = line + i * lineSize();
      if (y < 0 || y >= outer.in) {
        std::fill(row, row + width, T(0));
        continue;
      }
      std::fill(row, row + before, T(0));
      copyFew(row + before, plane + y * outer.inStride + from, to - from);
      std::fill(row + before + to - from, row + width, T(0));
    }
    for (int64_t i = 0; i < 6; i++) {
      const T* row = line + i * lineSize();
      for (int64_t j = 0; j < 6; j++) {
        T* target = work + (6 * i + j) * (chunk + slack) + segment.at;
        if (segment.count >= 4)
          for (int64_t t = 0; t < segment.count; t += L) storeVector(target + t, everyFourth<T>(row + t * tile + j));
        else
          for (int64_t t = 0; t < segment.count; t++) target[t] = row[t * tile + j];
      }
    }
  }

  /** One dimension: six numbers to six. */
  static void transformSix(W* d, int64_t step) {
    const W a = d[0], b = d[step], c = d[2 * step], e = d[3 * step], f = d[4 * step], g = d[5 * step];
    const W even = f - c * T(q2), odd = (e - b * T(q2)) * T(p), evens = f - c * T(p2), odds = (e - b * T(p2)) * T(q);
    d[0] = a * T(p2 * q2) - c * T(p2 + q2) + f;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = evens + odds;
    d[4 * step] = evens - odds;
    d[5 * step] = b * T(p2 * q2) - e * T(p2 + q2) + g;
  }
  void transformInput(T* to, const T* work) const {
    W d[points];
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) d[point] = loadVector<W>(work + point * (chunk + slack));
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) transformSix(d + x, 6);
#pragma GCC unroll 6
    for (int y = 0; y < 6; y++) transformSix(d + 6 * y, 1);
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) storeVector(to + point * inputStride(), d[point]);
  }

  // ---- the products -------------------------------------------------------------------------------------------------

  void multiplyPoints(const T* inputs, const T* left, T* sums, int64_t count) const {
    const int64_t blocks = divideUp(channels, Tiling<T>::depth), deep = divideUp(channels, blocks);
    for (int64_t point = 0; point < points; point++) {
      for (int64_t column = 0; column < count; column += C) {
        const int64_t cols = std::min<int64_t>(C, roundUp(count - column, L));
        for (int64_t k = 0; k < channels; k += deep) {
          const int64_t there = std::min(deep, channels - k);
          const T* right = inputs + point * inputStride() + column * channels + k * C;
          for (int64_t row = 0; row < rows;) {
            const int size = panelRows<T>(rows - row);
            const T* from = left + point * kernelStride() + row * channels + k * size;
            multiplyPanel<T>(size, there, from, right, sums + point * sumStride() + row * chunk + column, chunk, k > 0, rows - row, cols);
            row += size;
          }
        }
      }
    }
  }

  // ---- the result ---------------------------------------------------------------------------------------------------

  /** One dimension: six numbers to four. */
  static void transformToFour(const W* m, int64_t step, W* to, int64_t toStep) {
    const W sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    const W sums = m[3 * step] + m[4 * step], differences = m[3 * step] - m[4 * step];
    to[0] = m[0] + sum + sums;
    to[toStep] = difference * T(p) + differences * T(q);
    to[2 * toStep] = sum * T(p2) + sums * T(q2);
    to[3 * toStep] = difference * T(p * p2) + differences * T(q * q2) + m[5 * step];
  }
  void transformOutput(T* work, const T* sums) const {
    W m[points], half[24], whole[16];
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) m[point] = loadVector<W>(sums + point * sumStride());
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) transformToFour(m + x, 6, half + x, 6);
#pragma GCC unroll 4
    for (int y = 0; y < 4; y++) transformToFour(half + 6 * y, 1, whole + 4 * y, 1);
#pragma GCC unroll 16
    for (int at = 0; at < 16; at++) storeVector(work + at * (chunk + slack), whole[at]);
  }

  /** The tiles of a segment to rows of the result. */
  void spread(T* out, const T* work, T* line, const Segment& segment, int64_t element, int64_t feature, const FeatureEpilogue<T>& epilogue) const {
    const ConvolutionAxis &outer = axes[0], &inner = axes[1];
    const int64_t width = std::min(segment.count * tile, inner.out - segment.x * tile);
    for (int64_t y = 0; y < tile && segment.y * tile + y < outer.out; y++) {
      const T* from = work + y * tile * (chunk + slack) + segment.at;
      if (segment.count >= 4) {
        for (int64_t t = 0; t < segment.count; t += L)
          interleaveFour<T>(line + t * tile, from + t, from + t + (chunk + slack), from + t + 2 * (chunk + slack), from + t + 3 * (chunk + slack));
      } else {
        for (int64_t t = 0; t < segment.count; t++)
          for (int64_t x = 0; x < tile; x++) line[t * tile + x] = from[x * (chunk + slack) + t];
      }
      const int64_t at = element + (segment.y * tile + y) * inner.out + segment.x * tile;
      if (epilogue.affine != nullptr) epilogue.affine->apply(out + at, line, width, feature, at);
      else copyFew(out + at, line, width);
    }
  }

  int64_t down, across, tiles, chunk;
  Kept<T> kept;
};

}  // namespace weft
