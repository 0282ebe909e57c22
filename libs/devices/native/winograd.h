// Convolutions with windows of 3 × 3 that move by one, after Winograd: the result in tiles of M × M, each from (M + 2)² elements of the
// input with as many products of an input feature and an output feature: for M = 4 36 where 144 are done otherwise, for M = 2 16
// where 36 are. Tiles are the columns of a matrix product for each point. See Lavin and Gray, Fast Algorithms for Convolutional
// Neural Networks (2015). Errors are relative to the terms of a whole tile, not of an element, so that only float32 is computed so.
#pragma once
#include <limits>
#include "epilogue.h"
#include "gemm.h"
#include "kept.h"
#include "winograd-tiles.h"

namespace weft {

/** What a thread reads from memory meanwhile, and what transformed kernels may take. */
inline constexpr double bytesOfCycle = 8, mostKept = 40 << 20;

/** How many elements M a side of tiles has that suit a convolution, or 0 where there are none. */
template <class T>
inline int winogradTile(const ConvolutionShape& shape) {
  if (!std::is_same_v<T, float> || shape.axes.size() != 2 || !shape.isDense || shape.rows < 16 || shape.channels < 16) return 0;
  for (const ConvolutionAxis& axis : shape.axes)
    if (!WinogradTiles<T, 4>::takes(axis)) return 0;
  if (shape.axes[1].inStride != 1) return 0;
  // Estimates of cycles: products of vectors, kernels read from memory, transforms.
  constexpr int64_t L = lanesOf<T>;
  const double weights = double(shape.rows * shape.channels), planes = double(shape.rows + shape.channels);
  const auto cycles = [&](int64_t points, int64_t columns, double transform) {
    const double vectors = double(divideUp(columns, L));
    return double(points) * weights * (vectors + double(sizeof(T)) / bytesOfCycle) + planes * vectors * transform;
  };
  const auto tiled = [&](int64_t tile, double transform) {
    const int64_t points = (tile + 2) * (tile + 2);
    if (double(shape.groups * points) * weights * double(sizeof(T)) > mostKept) return std::numeric_limits<double>::infinity();
    return cycles(points, shape.images * divideUp(shape.axes[0].out, tile) * divideUp(shape.axes[1].out, tile), transform);
  };
  const double plain = 0.9 * cycles(shape.taps, shape.images * shape.positions, 0), two = tiled(2, 150), four = tiled(4, 400);
  if (plain < std::min(two, four)) return 0;
  return two < four ? 2 : 4;
}
template <class T, int M>
class Winograd final : ConvolutionShape {
 public:
  explicit Winograd(const ConvolutionShape& shape) : ConvolutionShape(shape), tiles(axes[0], axes[1], images) {
    // Tiles of a task: their transforms stay in the second-level cache, or pay for reading a long kernel.
    const int64_t fit = (1 << 20) / (points * (channels + rows) * int64_t(sizeof(T)));
    const int64_t most = roundUp(std::max<int64_t>(fit, rows * channels > (1 << 15) ? 2 * C : C), C);
    chunk = std::min(most, roundUp(tiles.count, tiles.count > C ? C : L));
    const int64_t threads = pool().size();
    isShared = threads > 1 && groups * divideUp(tiles.count, chunk) < 2 * threads;
    if (threads == 1) return;
    // Threads that have about as much to do each; else all of them work on each chunk.
    const auto longest = [&](int64_t some) { return divideUp(groups * divideUp(tiles.count, some), threads) * std::min(some, tiles.count); };
    const int64_t whole = groups * tiles.count;
    for (int64_t some = most; some >= C; some -= C) {
      if (longest(some) * threads * 8 > whole * 9 || (rows * channels > (1 << 15) && some < 2 * C)) continue;
      chunk = some;
      isShared = false;
      break;
    }
  }

  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    const T* left = kept.of(kernel, stamp, groups * points * kernelStride(), Scratch::rows, [&](T* to) { transformKernel(to, kernel); });
    const int64_t chunks = divideUp(tiles.count, chunk);
    const auto place = [&](Chunk& at, int64_t task) {
      at.group = task / chunks;
      at.first = task % chunks * chunk;
      at.count = std::min(chunk, tiles.count - at.first);
      tiles.place(at.segments, at.first, at.count);
      // Rows too short for a formula get it where they are side by side.
      at.isDirect = epilogue.affine != nullptr && axes[1].out >= 32;
      if (!epilogue.isNone() && !at.isDirect) join(at.ranges, at.segments);
    };
    const int64_t inputBytes = points * inputStride() * int64_t(sizeof(T)), sumBytes = points * sumStride() * int64_t(sizeof(T));
    if (isShared) {
      Chunk at;
      T* inputs = reinterpret_cast<T*>(scratchOf(Scratch::panels, inputBytes));
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, sumBytes));
      for (int64_t task = 0; task < groups * chunks; task++) {
        place(at, task);
        parallelFor(channels, 4, [&](int64_t begin, int64_t end) { toPoints(inputs, in, at, begin, end); });
        parallelFor(points, 1, [&](int64_t begin, int64_t end) { multiplyPoints(inputs, left + at.group * points * kernelStride(), sums, at.count, begin, end); });
        parallelFor(rows, 4, [&](int64_t begin, int64_t end) { fromPoints(out, sums, at, begin, end, slots, epilogue); });
      }
      return;
    }
    parallelFor(groups * chunks, 1, [&](int64_t begin, int64_t end) {
      T* inputs = reinterpret_cast<T*>(scratchOf(Scratch::panels, inputBytes));
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, sumBytes));
      Chunk at;
      for (int64_t task = begin; task < end; task++) {
        place(at, task);
        toPoints(inputs, in, at, 0, channels);
        multiplyPoints(inputs, left + at.group * points * kernelStride(), sums, at.count, 0, points);
        fromPoints(out, sums, at, 0, rows, slots, epilogue);
      }
    });
  }

 private:
  using Tiles = WinogradTiles<T, M>;
  using Segment = typename Tiles::Segment;
  static constexpr int L = lanesOf<T>, C = Tiling<T>::columns, R = Tiling<T>::rows;
  static constexpr int64_t tile = Tiles::tile, points = Tiles::points;
  static constexpr int S = Tiles::side;
  using W = Vector<T, L>;

  /** Elements of a feature's result that are side by side and computed by one task. */
  struct Range {
    int64_t at, count;
  };
  struct Chunk {
    int64_t group, first, count;
    std::vector<Segment> segments;
    std::vector<Range> ranges;
    bool isDirect;
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
  /** Where a tile's feature is under the first point: panels of columns for the product. */
  int64_t inputAt(int64_t at, int64_t channel) const { return at / C * C * channels + channel * C + at % C; }

  // ---- the kernel ---------------------------------------------------------------------------------------------------

  /** Vectors that a panel of rows takes. */
  static constexpr int N = (R + L - 1) / L;

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
            // Rows of a panel are lanes.
            W g[9][N] = {}, half[3 * S][N], whole[points][N];
            for (int r = 0; r < there; r++) {
              const T* from = kernel + group * kernelGroup + (row + r) * kernelRow + channel * kernelChannel;
              for (int tap = 0; tap < 9; tap++) g[tap][r / L][r % L] = from[tapOffsets[size_t(tap)]];
            }
            for (int n = 0; n < N; n++) {
              for (int x = 0; x < 3; x++) Tiles::kernelToPoints(g[x] + n, 3 * N, half[x] + n, 3 * N);
              for (int y = 0; y < S; y++) Tiles::kernelToPoints(half[3 * y] + n, N, whole[S * y] + n, N);
            }
            for (int point = 0; point < points; point++) copyFew(target + point * kernelStride(), reinterpret_cast<const T*>(whole[point]), panel);
          }
          row += panel;
        }
      }
    });
  }

  // ---- the input ----------------------------------------------------------------------------------------------------

  /** Working memory of a thread. */
  T* workOf() const {
    const int64_t bytes = Tiles::workOf(chunk) * int64_t(sizeof(T));
    T* work = reinterpret_cast<T*>(scratchOf(Scratch::links, bytes));
    std::memset(static_cast<void*>(work), 0, size_t(bytes));
    return work;
  }

  /** Input features begin … end - 1 of a chunk to points. */
  void toPoints(T* to, const T* in, const Chunk& chunk, int64_t begin, int64_t end) const {
    T* work = workOf();
    for (int64_t channel = begin; channel < end; channel++) {
      tiles.gatherInput(work, work + points * Tiles::pitchOf(this->chunk), in + chunk.group * inGroup + channel * inChannel, inImage, chunk.segments, this->chunk);
      for (int64_t at = 0; at < chunk.count; at += L) transformInput(to + inputAt(at, channel), work + at);
    }
  }
  void transformInput(T* to, const T* work) const {
    W d[points];
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) d[point] = loadVector<W>(work + point * Tiles::pitchOf(chunk));
#pragma GCC unroll 6
    for (int x = 0; x < S; x++) Tiles::inputToPoints(d + x, S);
#pragma GCC unroll 6
    for (int y = 0; y < S; y++) Tiles::inputToPoints(d + S * y, 1);
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) storeVector(to + point * inputStride(), d[point]);
  }

  // ---- the products -------------------------------------------------------------------------------------------------

  void multiplyPoints(const T* inputs, const T* left, T* sums, int64_t count, int64_t begin, int64_t end) const {
    const int64_t blocks = divideUp(channels, Tiling<T>::depth), deep = divideUp(channels, blocks);
    for (int64_t point = begin; point < end; point++) {
      for (int64_t column = 0; column < count; column += C) {
        const int64_t cols = std::min<int64_t>(C, roundUp(count - column, L));
        for (int64_t k = 0; k < channels; k += deep) {
          const int64_t there = std::min(deep, channels - k);
          const T* right = inputs + point * inputStride() + column * channels + k * C;
          for (int64_t row = 0; row < rows;) {
            const int size = panelRows<T>(rows - row);
            const T* from = left + point * kernelStride() + row * channels + k * size;
            // A long kernel comes from memory: the next rows meanwhile.
            const Ahead next{reinterpret_cast<const char*>(from + size * channels), size * int64_t(sizeof(T))};
            multiplyPanel<T>(size, there, from, right, sums + point * sumStride() + row * chunk + column, chunk, k > 0, rows - row, cols, next);
            row += size;
          }
        }
      }
    }
  }

  // ---- the result ---------------------------------------------------------------------------------------------------

  /** Features begin … end - 1 of a chunk from points. */
  void fromPoints(T* out, const T* sums, const Chunk& chunk, int64_t begin, int64_t end, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    T* work = workOf();
    T* lines = work + points * Tiles::pitchOf(this->chunk);
    for (int64_t row = begin; row < end; row++) {
      for (int64_t at = 0; at < chunk.count; at += L) transformOutput(work + at, sums + row * this->chunk + at);
      Tiles::toLines(lines, work, chunk.count, this->chunk);
      const int64_t feature = chunk.group * rows + row, element = chunk.group * outGroup + row * outRow;
      for (const Segment& segment : chunk.segments) spread(out, lines, segment, element, feature, chunk.isDirect ? epilogue.affine.get() : nullptr);
      if (epilogue.isNone() || chunk.isDirect) continue;
      for (const Range& range : chunk.ranges) epilogue.finish(slots, out + element + range.at, range.count, feature, element + range.at);
    }
  }
  void transformOutput(T* work, const T* sums) const {
    W m[points], half[M * S], whole[M * M];
#pragma GCC unroll 36
    for (int point = 0; point < points; point++) m[point] = loadVector<W>(sums + point * sumStride());
#pragma GCC unroll 6
    for (int x = 0; x < S; x++) Tiles::pointsToResult(m + x, S, half + x, S);
#pragma GCC unroll 4
    for (int y = 0; y < M; y++) Tiles::pointsToResult(half + S * y, 1, whole + M * y, 1);
#pragma GCC unroll 16
    for (int at = 0; at < M * M; at++) storeVector(work + at * Tiles::pitchOf(chunk), whole[at]);
  }

  /** The tiles of a segment to rows of the result. */
  void spread(T* out, const T* lines, const Segment& segment, int64_t element, int64_t feature, const Affine<T>* affine) const {
    const int64_t width = std::min(segment.count * tile, axes[1].out - segment.x * tile);
    for (int64_t y = 0; y < tile && segment.y * tile + y < axes[0].out; y++) {
      const T* line = lines + y * Tiles::lineOf(chunk) + segment.at * tile;
      const int64_t at = element + segment.image * outImage + (segment.y * tile + y) * axes[1].out + segment.x * tile;
      if (affine != nullptr) affine->apply(out + at, line, width, feature, at);
      else copyFew(out + at, line, width);
    }
  }

  Tiles tiles;
  int64_t chunk;
  /** Whether threads work on a chunk together: transforms by features, products by points. */
  bool isShared;
  Kept<T> kept;
};

}  // namespace weft
