// Convolutions with windows of 3 × 3 that move by one, after Winograd: the result in tiles of M × M, each from (M + 2)² elements of the
// input with as many products of an input feature and an output feature: for M = 4 36 where 144 are done otherwise, for M = 2 16
// where 36 are. Lanes are features: at each point a vector of output features is summed for each tile. See Lavin and Gray, Fast Algorithms
// for Convolutional Neural Networks (2015). Errors are relative to the terms of a whole tile, not of an element, so that only float32 is computed so.
#pragma once
#include <limits>
#include "blocked-tile.h"
#include "epilogue.h"
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
  const double weights = double(roundUp(shape.rows, L) * shape.channels), planes = double(roundUp(shape.rows, L) + roundUp(shape.channels, L));
  const auto cycles = [&](int64_t points, int64_t columns, double transform) {
    const double vectors = double(columns) / double(L);
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
  explicit Winograd(const ConvolutionShape& shape)
      : ConvolutionShape(shape), blocks(divideUp(rows, L)), inBlocks(divideUp(channels, L)), parts(divideUp(blocks, Tiling::blocks)), tiles(axes[0], axes[1], images, mostTiles()) {
    // Units of a task.
    const int64_t threads = pool().size(), most = std::max<int64_t>(1, mostTiles() / tiles.longest());
    tasks = divideUp(tiles.units, most);
    // Too few tiles for what is read of kernels: threads work on each task together.
    isShared = threads > 1 && groups * tiles.count < threads * (rows * channels > (1 << 12) ? 32 : 8);
    if (!isShared) tasks = std::min(tiles.units, roundUp(tasks, threads));
    chunk = 0;
    for (int64_t task = 0; task < tasks; task++) chunk = std::max(chunk, tiles.tilesOf(firstOf(task), firstOf(task + 1)));
    const int64_t step = tapOffsets[1];
    isRun = kernelRow >= 0 && kernelChannel >= 0 && (step == 1 || step == -1);
    for (int64_t tap = 0; tap < 9; tap++) isRun = isRun && tapOffsets[size_t(tap)] == tap * step;
  }

  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    const T* weights = kept.of(kernel, stamp, groups * points * kernelStride(), Scratch::rows, [&](T* to) { transformKernel(to, kernel); });
    const int64_t copy = tiles.copyOf(divideUp(tiles.units, tasks)) * int64_t(sizeof(T));
    const int64_t inputBytes = points * inputStride() * int64_t(sizeof(T)), sumBytes = points * sumStride() * int64_t(sizeof(T));
    const auto toPoints = [&](T* inputs, int64_t task, int64_t begin, int64_t end) {
      T* work = reinterpret_cast<T*>(scratchOf(Scratch::links, copy));
      const T* planes = in + task / tasks * inGroup;
      for (int64_t block = begin; block < end; block++)
        tiles.toPoints(inputs + block * chunk * L, inputStride(), work, planes + block * L * inChannel, inImage, inChannel, int(std::min<int64_t>(L, channels - block * L)), firstOf(task % tasks), firstOf(task % tasks + 1));
    };
    const auto multiply = [&](const T* inputs, T* sums, int64_t task, int64_t begin, int64_t end) {
      const int64_t some = tiles.tilesOf(firstOf(task % tasks), firstOf(task % tasks + 1));
      for (int64_t point = begin; point < end; point++)
        multiplyPoint(inputs + point * inputStride(), weights + (task / tasks * points + point) * kernelStride(), sums + point * sumStride(), some);
    };
    const auto fromPoints = [&](const T* sums, int64_t task, int64_t begin, int64_t end) {
      T* work = reinterpret_cast<T*>(scratchOf(Scratch::links, copy));
      for (int64_t block = begin; block < end; block++)
        tiles.eachPart(firstOf(task % tasks), firstOf(task % tasks + 1), [&](const typename Tiles::Part& part) { finish(out, sums + block * chunk * L, work, task / tasks, block, part, slots, epilogue); });
    };
    if (isShared) {
      T* inputs = reinterpret_cast<T*>(scratchOf(Scratch::panels, inputBytes));
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, sumBytes));
      for (int64_t task = 0; task < groups * tasks; task++) {
        parallelFor(inBlocks, 1, [&](int64_t begin, int64_t end) { toPoints(inputs, task, begin, end); });
        parallelFor(points, 1, [&](int64_t begin, int64_t end) { multiply(inputs, sums, task, begin, end); });
        parallelFor(blocks, 1, [&](int64_t begin, int64_t end) { fromPoints(sums, task, begin, end); });
      }
      return;
    }
    parallelFor(groups * tasks, 1, [&](int64_t begin, int64_t end) {
      T* inputs = reinterpret_cast<T*>(scratchOf(Scratch::panels, inputBytes));
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, sumBytes));
      for (int64_t task = begin; task < end; task++) {
        toPoints(inputs, task, 0, inBlocks);
        multiply(inputs, sums, task, 0, points);
        fromPoints(sums, task, 0, blocks);
      }
    });
  }

 private:
  using Tiles = WinogradTiles<T, M>;
  static constexpr int L = lanesOf<T>;
  static constexpr int64_t tile = Tiles::tile, points = Tiles::points;
  static constexpr int S = Tiles::S;
  using W = Vector<T, L>;
  using Tiling = BlockedTiling<T>;

  /** Tiles of a task at most: their points stay in the second-level cache, or pay for reading a long kernel. */
  int64_t mostTiles() const {
    const int64_t fit = (3 << 18) / (points * roundUp(channels + rows, L) * int64_t(sizeof(T)));
    return std::clamp<int64_t>(fit, rows * channels > (1 << 12) ? 48 : 16, 256);
  }
  int64_t firstOf(int64_t task) const { return tiles.units * task / tasks; }

  // Strides between points are odd in lines of the cache, or all points of a place would share a set of it.
  int64_t inputStride() const { return (inBlocks * chunk | 1) * L; }
  int64_t sumStride() const { return (blocks * chunk | 1) * L; }
  int64_t kernelStride() const { return (blocks * channels | 1) * L; }

  // ---- the kernel ---------------------------------------------------------------------------------------------------

  /** Of every group and point, for each part of the features, vector by vector of the depth. */
  void transformKernel(T* to, const T* kernel) const {
    parallelFor(groups * blocks, divideUp(1 << 12, channels * L), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t group = task / blocks, block = task % blocks, part = partOf(block);
        const int64_t first = blocks * part / parts, width = (blocks * (part + 1) / parts - first) * L;
        T* target = to + group * points * kernelStride() + first * L * channels + (block - first) * L;
        const T* from = kernel + group * kernelGroup;
        for (int64_t channel = 0; channel < channels; channel++, target += width) {
          // Features are lanes.
          W g[9], half[3 * S];
          gatherTaps(g, from, block, channel);
#pragma GCC unroll 3
          for (int x = 0; x < 3; x++) Tiles::Points::kernelToPoints(g + x, 3, half + x, 3);
#pragma GCC unroll 6
          for (int y = 0; y < S; y++) {
            W whole[S];
            Tiles::Points::kernelToPoints(half + 3 * y, 1, whole, 1);
#pragma GCC unroll 6
            for (int x = 0; x < S; x++) storeVector(target + (S * y + x) * kernelStride(), whole[x]);
          }
        }
      }
    });
  }
  int64_t partOf(int64_t block) const {
    int64_t part = block * parts / blocks;
    while (blocks * part / parts > block) part--;
    while (blocks * (part + 1) / parts <= block) part++;
    return part;
  }
  /** The taps of one input feature, with output features as lanes. */
  void gatherTaps(W* g, const T* kernel, int64_t block, int64_t channel) const {
    const int there = int(std::min<int64_t>(L, rows - block * L));
    const T* from = kernel + block * L * kernelRow + channel * kernelChannel;
    int tap = 0;
    if (isRun) {
      // Rows of taps that are side by side are turned in registers, and may be read beyond their end where that is not the kernel's.
      const bool isBack = tapOffsets[1] < 0;
      const T *base = isBack ? from - 8 : from, *end = kernel + (rows - 1) * kernelRow + (channels - 1) * kernelChannel + (isBack ? 1 : 9);
      for (; tap < 9 && tap + (L < 9 ? L : 9) <= 9; tap += L) {
        W square[L];
        for (int lane = 0; lane < L; lane++) {
          const T* row = base + lane * kernelRow + tap;
          square[lane] = lane >= there ? W{} : row + L <= end ? loadVector<W>(row) : loadPart<W>(row, int(std::min<int64_t>(L, end - row)));
        }
        transposeSquare<T, L>(square);
        for (int i = 0; i < std::min(L, 9); i++) g[isBack ? 8 - tap - i : tap + i] = square[i];
      }
      if (tap >= 9) return;
      // What is left of nine.
      for (; tap < 9; tap++) gatherTap(g[isBack ? 8 - tap : tap], from + (isBack ? tap - 8 : tap), there);
      return;
    }
    for (; tap < 9; tap++) gatherTap(g[tap], from + tapOffsets[size_t(tap)], there);
  }
  void gatherTap(W& to, const T* from, int there) const {
    to = W{};
    for (int lane = 0; lane < there; lane++) to[lane] = from[lane * kernelRow];
  }

  // ---- the products -------------------------------------------------------------------------------------------------

  /** At one point: `some` tiles of the input by the weights. */
  void multiplyPoint(const T* inputs, const T* weights, T* sums, int64_t some) const {
    BlockedRun runs[mostRuns];
    for (int64_t part = 0; part < parts; part++) {
      const int64_t first = blocks * part / parts, count = blocks * (part + 1) / parts - first;
      const int64_t width = count * L, deep = std::min<int64_t>(std::max<int64_t>(1, Tiling::depthBytes / (width * L * int64_t(sizeof(T)))), mostRuns);
      BlockedTile<T> tile{};
      tile.runs = runs;
      tile.outBlock = chunk * L;
      const int64_t most = Tiling::most(int(count)), pieces = divideUp(some, most);
      for (int64_t block = 0; block < inBlocks; block += deep) {
        const int64_t depth = std::min(channels, (block + deep) * L) - block * L;
        tile.runCount = divideUp(depth, L);
        for (int64_t run = 0; run < tile.runCount; run++) runs[run] = {run * chunk * L, std::min<int64_t>(L, depth - run * L)};
        tile.weights = weights + first * L * channels + block * L * width;
        tile.adds = block > 0;
        // The weights that come next.
        const char *soon = reinterpret_cast<const char*>(tile.weights + depth * width), *end = soon + depth * width * int64_t(sizeof(T));
        for (int64_t piece = 0; piece < pieces; piece++) {
          const int64_t at = some * piece / pieces, next = some * (piece + 1) / pieces;
          tile.in = inputs + (block * chunk + at) * L;
          tile.out = sums + (first * chunk + at) * L;
          const bool isSoon = soon < end;
          tile.soon = isSoon ? soon : reinterpret_cast<const char*>(tile.weights);
          tile.soonStep = isSoon ? alignment : 0;
          if (isSoon) soon += depth * alignment;
          blockedKernel<T, L>(int(next - at), int(count))(tile);
        }
      }
    }
  }

  // ---- the result ---------------------------------------------------------------------------------------------------

  /** A part of a block of the result from its points. */
  void finish(T* out, const T* sums, T* work, int64_t group, int64_t block, const typename Tiles::Part& part, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    const int64_t element = group * outGroup + block * L * outRow + part.image * outImage, there = std::min<int64_t>(L, rows - block * L);
    tiles.fromPoints(out + element, outRow, int(there), work, sums, sumStride(), part);
    if (epilogue.isNone()) return;
    const int64_t width = axes[1].out, firstRow = part.firstRow * tile, lastRow = std::min(part.lastRow * tile, axes[0].out);
    const int64_t firstColumn = part.firstColumn * tile, columns = std::min(part.lastColumn * tile, width) - firstColumn;
    for (int64_t feature = 0; feature < there; feature++) {
      const int64_t plane = element + feature * outRow, number = group * rows + block * L + feature;
      if (columns == width) {
        epilogue.finish(slots, out + plane + firstRow * width, (lastRow - firstRow) * width, number, plane + firstRow * width);
        continue;
      }
      for (int64_t row = firstRow; row < lastRow; row++) epilogue.finish(slots, out + plane + row * width + firstColumn, columns, number, plane + row * width + firstColumn);
    }
  }

  static constexpr int64_t mostRuns = 64;
  /** Blocks of output and input features of a group; parts of the output features, each the blocks of one tile of the product. */
  int64_t blocks, inBlocks, parts;
  Tiles tiles;
  int64_t tasks, chunk;
  /** Whether threads work on a task together: transforms by blocks of features, products by points. */
  bool isShared;
  /** Whether taps of a kernel are side by side, in their order or turned. */
  bool isRun;
  Kept<T> kept;
};

}  // namespace weft
