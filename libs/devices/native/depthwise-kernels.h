// Gradients of depthwise kernels in blocks that are made of parts of planes: lanes are channels, each position a product of a vector of the
// result's gradient (here the window) with those of the input under all taps, which are summed in registers.
#pragma once
#include "epilogue.h"
#include "planes-blocks.h"
#include "spatial.h"

namespace weft {

template <class T>
class DepthwiseKernels final : ConvolutionShape {
 public:
  static bool takes(const ConvolutionShape& shape) {
    if (shape.rows != 1 || shape.images != 1 || shape.axes.size() != 2 || !shape.isDense) return false;
    if (shape.positions > mostTaps || shape.taps <= shape.positions) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.inDilation != 1) return false;
    // Lanes without a channel cost as much as others.
    return shape.axes[1].inStride == 1 && shape.axes[1].kernelStride == 1 && 3 * shape.groups >= 2 * roundUp(shape.groups, L);
  }

  explicit DepthwiseKernels(const ConvolutionShape& shape)
      : ConvolutionShape(shape), y(turned(shape.axes[0])), x(turned(shape.axes[1])), windowRow(shape.axes[0].kernelStride), blocks(divideUp(groups, L)) {
    width = (x.out - 1) * x.step + (x.kernel - 1) * x.kernelDilation + 1;
    // Rows whose blocks stay in the first-level cache, more where each would be copied several times.
    bandRows = std::clamp<int64_t>(32768 / (width * y.step * L * int64_t(sizeof(T))), std::min<int64_t>(y.out, 4), y.out);
    // Images that are summed apart, where blocks are fewer than threads could use.
    const int64_t threads = pool().size();
    pieces = threads == 1 ? 1 : std::clamp<int64_t>(divideUp(2 * threads, blocks), 1, channels);
  }

  void run(const T* in, const T* window, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, blocks * pieces * positions * L * int64_t(sizeof(T))));
    const int64_t work = std::max<int64_t>(1, channels / pieces * y.out * x.out * positions * L);
    parallelFor(blocks * pieces, divideUp(convolutionGrain, work), [&](int64_t begin, int64_t end) {
      const int64_t inSize = linesOf(bandRows) * width * L;
      T* left = reinterpret_cast<T*>(scratchOf(Scratch::panels, (inSize + bandRows * x.out * L) * int64_t(sizeof(T))));
      T* right = left + inSize;
      for (int64_t task = begin; task < end; task++) {
        const int64_t block = task / pieces, piece = task % pieces, first = block * L;
        const int there = int(std::min<int64_t>(L, groups - first));
        T* target = sums + task * positions * L;
        std::memset(target, 0, size_t(positions * L) * sizeof(T));
        for (int64_t image = channels * piece / pieces; image < channels * (piece + 1) / pieces; image++) {
          for (int64_t row = 0; row < y.out; row += bandRows) {
            const int64_t rows = std::min(bandRows, y.out - row);
            copyRectangle<T>(left, width * L, {in + first * inGroup + image * inChannel, inGroup, y.inStride, y.in, x.in, there}, {row * y.step - y.low, -x.low, linesOf(rows), width});
            planesToBlock<T>(right, x.out * L, {window + first * kernelGroup + image * kernelChannel + row * windowRow, kernelGroup, windowRow, rows, x.out, there});
            addBand(target, left, right, rows);
          }
        }
      }
    });
    for (int64_t group = 0; group < groups; group++) {
      for (int64_t tap = 0; tap < positions; tap++) {
        T sum = 0;
        for (int64_t piece = 0; piece < pieces; piece++) sum += sums[((group / L * pieces + piece) * positions + tap) * L + group % L];
        out[group * outGroup + tap] = sum;
      }
      epilogue.finish(slots, out + group * outGroup, positions, group, group * outGroup);
    }
  }

 private:
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  static constexpr int64_t mostTaps = 64;

  int64_t linesOf(int64_t rows) const { return (rows - 1) * y.step + (y.kernel - 1) * y.kernelDilation + 1; }

  /** Adds a band of rows to the sums of all taps. */
  void addBand(T* sums, const T* left, const T* right, int64_t rows) const {
    if (y.kernel == 3 && x.kernel == 3) return addTaps<3, 3>(sums, left, right, rows);
    for (int64_t tap = 0; tap < y.kernel; tap++, left += y.kernelDilation * width * L) {
      T* to = sums + tap * x.kernel * L;
      if (x.kernel == 3) addTaps<1, 3>(to, left, right, rows);
      else if (x.kernel == 5) addTaps<1, 5>(to, left, right, rows);
      else if (x.kernel == 7) addTaps<1, 7>(to, left, right, rows);
      else
        for (int64_t column = 0; column < x.kernel; column++) addTaps<1, 1>(to + column * L, left + column * x.kernelDilation * L, right, rows);
    }
  }
  template <int Y, int X>
  void addTaps(T* to, const T* left, const T* right, int64_t rows) const {
    W sums[Y][X];
#pragma GCC unroll 3
    for (int ty = 0; ty < Y; ty++)
#pragma GCC unroll 7
      for (int tx = 0; tx < X; tx++) sums[ty][tx] = loadVector<W>(to + (ty * X + tx) * L);
    const int64_t line = y.kernelDilation * width * L, apart = x.kernelDilation * L, step = x.step * L;
    for (int64_t row = 0; row < rows; row++) {
      const T* from = left + row * y.step * width * L;
      for (int64_t column = 0; column < x.out; column++, from += step, right += L) {
        const W by = loadVector<W>(right);
#pragma GCC unroll 3
        for (int ty = 0; ty < Y; ty++)
#pragma GCC unroll 7
          for (int tx = 0; tx < X; tx++) sums[ty][tx] += by * loadVector<W>(from + ty * line + tx * apart);
      }
    }
#pragma GCC unroll 3
    for (int ty = 0; ty < Y; ty++)
#pragma GCC unroll 7
      for (int tx = 0; tx < X; tx++) storeVector(to + (ty * X + tx) * L, sums[ty][tx]);
  }

  /** Of the convolution whose kernel's gradient this is; elements between rows of the result's gradient. */
  ConvolutionAxis y, x;
  int64_t windowRow, blocks, width, bandRows, pieces;
};

}  // namespace weft
