// Gradients of kernels of 3 × 3 in Winograd's tiles: tiles of the input and of the result's gradient (here the window) as 36 points,
// at each of them a product of matrices that sums over tiles, and the sums back to 3 × 3. It is the transpose of winograd.h in the kernel.
#pragma once
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
    // Tiles that are worth a vector, and not mostly padding.
    if (tiles < L) return false;
    return 2 * tiles * points <= shape.channels * shape.taps * 9;
  }

  explicit WinogradKernels(const ConvolutionShape& shape) : ConvolutionShape(shape), tiles(turned(axes[0]), turned(axes[1]), channels) {
    leftBlocks = divideUp(rows, L);
    rightPanels = divideUp(images, C);
    // Tiles whose points stay in the second-level cache, more where sums do not.
    chunk = std::clamp<int64_t>((1 << 20) / (points * (leftBlocks * L + rightPanels * C) * int64_t(sizeof(T))), 64, 1024);
    chunk = roundUp(std::min(chunk, tiles.count), L);
    // Features whose sums are held at a time.
    someBlocks = std::clamp<int64_t>((8 << 20) / (points * L * rightPanels * C * int64_t(sizeof(T))), 1, leftBlocks);
  }

  void run(const T* in, const T* window, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    const int64_t rightSize = rightPanels * C * chunk + apart, leftSize = someBlocks * L * chunk + apart, sumSize = someBlocks * L * sumRow() + apart;
    T* right = reinterpret_cast<T*>(scratchOf(Scratch::panels, points * (rightSize + leftSize) * int64_t(sizeof(T))));
    T* left = right + points * rightSize;
    T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, points * sumSize * int64_t(sizeof(T))));
    for (int64_t group = 0; group < groups; group++) {
      for (int64_t block = 0; block < leftBlocks; block += someBlocks) {
        const int64_t blocks = std::min(someBlocks, leftBlocks - block), features = std::min(rows - block * L, blocks * L);
        const T* windows = window + group * kernelGroup + block * L * kernelRow;
        for (int64_t first = 0; first < tiles.count; first += chunk) {
          const int64_t some = std::min(chunk, tiles.count - first);
          std::vector<Segment> segments;
          tiles.place(segments, first, some);
          parallelFor(blocks + divideUp(images, L), 1, [&](int64_t begin, int64_t end) {
            T* work = reinterpret_cast<T*>(scratchOf(Scratch::rows, (Tiles::workOf(chunk) + points * L * roundUp(some, L)) * int64_t(sizeof(T))));
            for (int64_t part = begin; part < end; part++) {
              if (part < blocks) toPoints<false>(left + part * L * chunk, leftSize, windows + part * L * kernelRow, kernelRow, std::min<int64_t>(L, features - part * L), kernelChannel, work, segments, some);
              else toPoints<true>(right + rightAt(part - blocks), rightSize, in + group * inGroup + (part - blocks) * L * inImage, inImage, std::min<int64_t>(L, images - (part - blocks) * L), inChannel, work, segments, some);
            }
          });
          parallelFor(points, divideUp(convolutionGrain, features * images * some), [&](int64_t begin, int64_t end) {
            for (int64_t point = begin; point < end; point++) multiplyPoint(left + point * leftSize, right + point * rightSize, sums + point * sumSize, features, some, first > 0);
          });
        }
        parallelFor(features, divideUp(1 << 12, images), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; row++) fromPoints(out + group * outGroup + (block * L + row) * outRow, sums + row * sumRow(), sumSize);
        });
      }
    }
    if (epilogue.isNone()) return;
    for (int64_t feature = 0; feature < groups * rows; feature++) {
      for (int64_t image = 0; image < images; image++) {
        const int64_t at = feature / rows * outGroup + feature % rows * outRow + image * outImage;
        epilogue.finish(slots, out + at, positions, feature, at);
      }
    }
  }

 private:
  using Tiles = WinogradTiles<T, 4>;
  using Segment = typename Tiles::Segment;
  static constexpr int L = lanesOf<T>, C = Tiling<T>::columns;
  /** Rows of a panel of the left operand: they divide a vector. */
  static constexpr int P = L >= 16 ? 8 : 4;
  static constexpr int64_t tile = Tiles::tile, points = Tiles::points;
  /** Strides between points are odd in lines of the cache, or all points of a place would share a set of it. */
  static constexpr int64_t apart = alignment / int64_t(sizeof(T));
  using W = Vector<T, L>;

  int64_t sumRow() const { return rightPanels * C; }
  /** Where L columns begin in the panels of the right operand. */
  int64_t rightAt(int64_t block) const { return block * L / C * C * chunk + block * L % C; }

  /** `there` features, L at most, of a chunk of tiles to points: feature by feature, then turned, so that features are side by side. */
  template <bool isInput>
  void toPoints(T* to, int64_t pointStride, const T* from, int64_t featureStride, int64_t there, int64_t imageStride, T* work, const std::vector<Segment>& segments, int64_t some) const {
    const int64_t length = roundUp(some, L);
    T* lines = work + points * Tiles::pitchOf(chunk);
    T* turned = work + Tiles::workOf(chunk);
    for (int64_t feature = 0; feature < there; feature++) {
      const T* planes = from + feature * featureStride;
      if constexpr (isInput) tiles.gatherInput(work, lines, planes, imageStride, segments, chunk);
      else tiles.gatherResult(work, lines, planes, imageStride, axes[0].kernelStride, segments, chunk);
      for (int64_t at = 0; at < some; at += L) {
        W d[points], half[24];
        if constexpr (isInput) {
#pragma GCC unroll 36
          for (int point = 0; point < points; point++) d[point] = loadVector<W>(work + point * Tiles::pitchOf(chunk) + at);
#pragma GCC unroll 6
          for (int x = 0; x < 6; x++) Tiles::inputToPoints(d + x, 6);
#pragma GCC unroll 6
          for (int y = 0; y < 6; y++) Tiles::inputToPoints(d + 6 * y, 1);
        } else {
#pragma GCC unroll 16
          for (int element = 0; element < 16; element++) d[element] = loadVector<W>(work + element * Tiles::pitchOf(chunk) + at);
#pragma GCC unroll 4
          for (int x = 0; x < 4; x++) Tiles::resultToPoints(d + x, 4, half + x, 4);
#pragma GCC unroll 6
          for (int y = 0; y < 6; y++) Tiles::resultToPoints(half + 4 * y, 1, d + 6 * y, 1);
        }
#pragma GCC unroll 36
        for (int point = 0; point < points; point++) storeVector(turned + (point * L + feature) * length + at, d[point]);
      }
    }
    for (int64_t point = 0; point < points; point++) {
      for (int64_t at = 0; at < some; at += L) {
        W square[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; r++) square[r] = r < there ? loadVector<W>(turned + (point * L + r) * length + at) : W{};
        transposeSquare<T, L>(square);
        const int last = int(std::min<int64_t>(L, some - at));
        for (int r = 0; r < last; r++) {
          if constexpr (isInput) {
            storeVector(to + point * pointStride + (at + r) * C, square[r]);
          } else {
            for (int panel = 0; panel < L / P; panel++)
              __builtin_memcpy(to + point * pointStride + (panel * chunk + at + r) * P, reinterpret_cast<const T*>(&square[r]) + panel * P, P * sizeof(T));
          }
        }
      }
    }
  }

  void multiplyPoint(const T* left, const T* right, T* sums, int64_t features, int64_t depth, bool adds) const {
    for (int64_t panel = 0; panel < rightPanels; panel++) {
      const int64_t columns = std::min<int64_t>(C, roundUp(images - panel * C, L));
      for (int64_t row = 0; row < features; row += P)
        multiplyPanel<T>(P, depth, left + row * chunk, right + panel * C * chunk, sums + row * sumRow() + panel * C, sumRow(), adds, P, columns);
    }
  }

  /** The sums of one feature and all input features to their kernels. */
  void fromPoints(T* out, const T* sums, int64_t sumSize) const {
    for (int64_t column = 0; column < images; column += L) {
      W m[points], half[18], whole[9];
#pragma GCC unroll 36
      for (int point = 0; point < points; point++) m[point] = loadVector<W>(sums + point * sumSize + column);
#pragma GCC unroll 6
      for (int x = 0; x < 6; x++) Tiles::pointsToKernel(m + x, 6, half + x, 6);
#pragma GCC unroll 3
      for (int y = 0; y < 3; y++) Tiles::pointsToKernel(half + 6 * y, 1, whole + 3 * y, 1);
      const int64_t there = std::min<int64_t>(L, images - column);
      for (int64_t lane = 0; lane < there; lane++) {
        T* to = out + (column + lane) * outImage;
#pragma GCC unroll 9
        for (int tap = 0; tap < 9; tap++) to[tap] = whole[tap][lane];
      }
    }
  }

  Tiles tiles;
  int64_t leftBlocks, rightPanels, chunk, someBlocks;
};

}  // namespace weft
