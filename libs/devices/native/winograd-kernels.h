// Gradients of kernels of 3 × 3 in Winograd's tiles: tiles of the input and of the result's gradient (here the window) as 36 points,
// at each of them a product of matrices that sums over tiles, and the sums back to 3 × 3. It is the transpose of winograd.h in the kernel.
#pragma once
#include "blocked-sums.h"
#include "epilogue.h"
#include "winograd-tiles.h"

namespace weft {

template <class T>
class WinogradKernels final : ConvolutionShape {
 public:
  static bool takes(const ConvolutionShape& shape) {
    if (!std::is_same_v<T, float> || shape.axes.size() != 2 || !shape.isDense || shape.rows < 16 || shape.images < 16) return false;
    if (shape.axes[1].inStride != 1 || shape.axes[1].kernelStride != 1) return false;
    int64_t tiles = shape.channels;
    for (const ConvolutionAxis& axis : shape.axes) {
      if (!Tiles::takes(turned(axis))) return false;
      tiles *= divideUp(axis.kernel, tile);
    }
    // Tiles that are worth the transforms of sums, and not mostly padding.
    return tiles >= 16 && 2 * tiles * points <= shape.channels * shape.taps * 9;
  }

  explicit WinogradKernels(const ConvolutionShape& shape)
      : ConvolutionShape(shape), blocks(divideUp(rows, L)), inBlocks(divideUp(images, L)), tiles(turned(axes[0]), turned(axes[1]), channels, mostTiles()) {
    // Features whose sums are held at a time.
    someBlocks = std::clamp<int64_t>((8 << 20) / (points * L * inBlocks * L * int64_t(sizeof(T))), 1, blocks);
    // Threads sum apart where their sums are no more than what is summed; else they work on each task together.
    const int64_t threads = pool().size(), sumsOfThread = rows * images, inputs = tiles.count * (rows + images);
    pieces = threads > 1 && threads * sumsOfThread <= inputs ? std::min(threads, tiles.units) : 1;
    // Units of a task.
    const int64_t most = std::max<int64_t>(1, (pieces > 1 || threads == 1 ? 1 : 4) * mostTiles() / tiles.longest());
    tasks = std::min(tiles.units, roundUp(divideUp(tiles.units, most), pieces));
    pieces = std::min(pieces, tasks);
    for (int64_t task = 0; task < tasks; task++) chunk = std::max(chunk, tiles.tilesOf(firstOf(task), firstOf(task + 1)));
  }

  void run(const T* in, const T* window, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, pieces * points * sumStride() * int64_t(sizeof(T))));
    for (int64_t group = 0; group < groups; group++) {
      for (int64_t block = 0; block < blocks; block += someBlocks) {
        const Range range{block, std::min(someBlocks, blocks - block)};
        const T *planes = in + group * inGroup, *windows = window + group * kernelGroup;
        if (pieces > 1) {
          parallelFor(pieces, 1, [&](int64_t begin, int64_t end) {
            T* memory = reinterpret_cast<T*>(scratchOf(Scratch::panels, points * (inStride() + windowStride()) * int64_t(sizeof(T))));
            for (int64_t piece = begin; piece < end; piece++) {
              const int64_t first = tasks * piece / pieces, last = tasks * (piece + 1) / pieces;
              for (int64_t task = first; task < last; task++) {
                toPoints(memory, planes, windows, range, task, 0, inBlocks + range.count);
                multiply(memory, sums + piece * points * sumStride(), range, task, 0, points, task > first);
              }
            }
          });
        } else {
          T* memory = reinterpret_cast<T*>(scratchOf(Scratch::panels, points * (inStride() + windowStride()) * int64_t(sizeof(T))));
          for (int64_t task = 0; task < tasks; task++) {
            parallelFor(inBlocks + range.count, 1, [&](int64_t begin, int64_t end) { toPoints(memory, planes, windows, range, task, begin, end); });
            parallelFor(points, 1, [&](int64_t begin, int64_t end) { multiply(memory, sums, range, task, begin, end, task > 0); });
          }
        }
        parallelFor(range.count * images, divideUp(1 << 14, points * L * pieces), [&](int64_t begin, int64_t end) {
          for (int64_t at = begin; at < end; at++) fromPoints(out + group * outGroup, sums, range, at / images, at % images);
        });
      }
    }
    finishPlanes(slots, out, epilogue);
  }

 private:
  using Tiles = WinogradTiles<T, 4>;
  static constexpr int L = lanesOf<T>;
  static constexpr int64_t tile = Tiles::tile, points = Tiles::points;
  using W = Vector<T, L>;
  /** Blocks of features of the result's gradient. */
  struct Range {
    int64_t first, count;
  };

  /** Tiles of a task at most: their points stay in the second-level cache, or pay for reading long sums. */
  int64_t mostTiles() const {
    const int64_t fit = (3 << 18) / (points * roundUp(images + rows, L) * int64_t(sizeof(T)));
    return std::clamp<int64_t>(fit, 64, 256);
  }
  int64_t firstOf(int64_t task) const { return tiles.units * task / tasks; }

  // Strides between points are odd in lines of the cache, or all points of a place would share a set of it.
  int64_t inStride() const { return (inBlocks * chunk | 1) * L; }
  int64_t windowStride() const { return (someBlocks * chunk | 1) * L; }
  int64_t sumStride() const { return (someBlocks * inBlocks * L | 1) * L; }

  /** Blocks begin … end - 1 of a task to points: those of the input, then those of the result's gradient. */
  void toPoints(T* memory, const T* in, const T* window, const Range& range, int64_t task, int64_t begin, int64_t end) const {
    T* windows = memory + points * inStride();
    T* copy = reinterpret_cast<T*>(scratchOf(Scratch::links, tiles.copyOf(divideUp(tiles.units, tasks)) * int64_t(sizeof(T))));
    for (int64_t at = begin; at < end; at++) {
      if (at < inBlocks) {
        const int there = int(std::min<int64_t>(L, images - at * L));
        tiles.toPoints(memory + at * chunk * L, inStride(), copy, in + at * L * inImage, inChannel, inImage, there, firstOf(task), firstOf(task + 1));
      } else {
        const int64_t block = at - inBlocks, feature = (range.first + block) * L;
        tiles.resultToPoints(windows + block * chunk * L, windowStride(), copy, window + feature * kernelRow, kernelChannel, kernelRow, axes[0].kernelStride,
                             int(std::min<int64_t>(L, rows - feature)), firstOf(task), firstOf(task + 1));
      }
    }
  }

  /** Products at points begin … end - 1, summed over the tiles of a task. */
  void multiply(const T* memory, T* sums, const Range& range, int64_t task, int64_t begin, int64_t end, bool adds) const {
    const int64_t some = tiles.tilesOf(firstOf(task), firstOf(task + 1)), parts = divideUp(range.count, BlockedSums<T>::blocks);
    const BlockedSums<T> products{L, 0, 0, 0, 0, chunk * L, inBlocks * L * L, some, 1, 1};
    for (int64_t point = begin; point < end; point++) {
      const T *left = memory + point * inStride(), *right = memory + points * inStride() + point * windowStride();
      for (int64_t part = 0; part < parts; part++) {
        const int64_t first = range.count * part / parts, count = range.count * (part + 1) / parts - first;
        for (int64_t block = 0; block < inBlocks; block++)
          products.add(sums + point * sumStride() + (first * inBlocks + block) * L * L, left + block * chunk * L, right + first * chunk * L, int(count), adds);
      }
    }
  }

  /** The sums of a block of features and one input feature to their kernels. */
  void fromPoints(T* out, const T* sums, const Range& range, int64_t block, int64_t image) const {
    const T* from = sums + (block * inBlocks * L + image) * L;
    W half[18], whole[L > 9 ? L : 9];
#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
      W m[6];
#pragma GCC unroll 6
      for (int y = 0; y < 6; y++) {
        m[y] = loadVector<W>(from + (6 * y + x) * sumStride());
        for (int64_t piece = 1; piece < pieces; piece++) m[y] += loadVector<W>(from + (piece * points + 6 * y + x) * sumStride());
      }
      Tiles::Points::pointsToKernel(m, 1, half + x, 6);
    }
#pragma GCC unroll 3
    for (int y = 0; y < 3; y++) Tiles::Points::pointsToKernel(half + 6 * y, 1, whole + 3 * y, 1);
    const int64_t feature = (range.first + block) * L, there = std::min<int64_t>(L, rows - feature);
    T* to = out + feature * outRow + image * outImage;
    if constexpr (L >= 16) {
      W square[L];
#pragma GCC unroll 16
      for (int tap = 0; tap < L; tap++) square[tap] = tap < 9 ? whole[tap] : W{};
      transposeSquare<T, L>(square);
      for (int64_t lane = 0; lane < there; lane++) __builtin_memcpy(to + lane * outRow, &square[lane], 9 * sizeof(T));
    } else {
      for (int64_t lane = 0; lane < there; lane++)
        for (int tap = 0; tap < 9; tap++) to[lane * outRow + tap] = whole[tap][lane];
    }
  }

  int64_t blocks, inBlocks;
  Tiles tiles;
  int64_t someBlocks, tasks, chunk = 0;
  /** Parts of the tasks that are summed apart. */
  int64_t pieces;
};

}  // namespace weft
