// Convolutions of planes (depthwise) that move by two along their rows, without copies: rows of the result in vectors, each tap every
// second element of the input where it is. Lanes that a tap finds nothing for are masked; rows above and below are rows of zeros.
#pragma once
#include "epilogue.h"
#include "interleave.h"
#include "spatial.h"

namespace weft {

template <class T>
class RowSums final : ConvolutionShape {
 public:
  static bool takes(const ConvolutionShape& shape) {
    if (shape.channels != 1 || shape.axes.size() > 2 || !shape.isDense || shape.taps > mostTaps) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.inDilation != 1 || axis.inStride < 0) return false;
    const ConvolutionAxis& inner = shape.axes.back();
    if (inner.inStride != 1 || inner.step != 2 || inner.out < 4 || inner.in < inner.kernel) return false;
    return std::min(shape.inGroup, shape.inImage) >= 0;
  }

  explicit RowSums(const ConvolutionShape& shape) : ConvolutionShape(shape), y(shape.axes.size() > 1 ? shape.axes[0] : line()), x(shape.axes.back()) {
    blocks = divideUp(x.out, L);
    for (int64_t block = 0; block < blocks; block++) {
      for (int64_t tap = 0; tap < x.kernel; tap++) {
        Lanes lanes;
        for (int lane = 0; lane < L; lane++) {
          const bool isInside = x.at(block * L + lane, tap) >= 0;
          lanes.inside[lane] = IntegerOf<T>(isInside ? -1 : 0);
          lanes.isWhole = lanes.isWhole && (isInside || block * L + lane >= x.out);
        }
        masks.push_back(lanes);
      }
    }
    const int64_t last = ((blocks * L - 1) * x.step - x.low) + (x.kernel - 1) * x.kernelDilation + 2 * L;
    before = std::max<int64_t>(0, x.low);
    after = std::max<int64_t>(0, last + 1 - x.in);
    zeros.assign(size_t(before + x.in + after), T(0));
    // One that reaches farther than all planes does so from a copy.
    span = (groups - 1) * inGroup + (images - 1) * inImage + planeSize();
  }

  void run(const T* in, const T* kernel, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    const Affine<T>* affine = epilogue.affine != nullptr && epilogue.affine->isAlone() ? epilogue.affine.get() : nullptr;
    parallelFor(groups * images, divideUp(1 << 15, std::max<int64_t>(1, positions * taps * rows)), [&](int64_t begin, int64_t end) {
      const int64_t lines = (y.out - 1) * y.step + (y.kernel - 1) * y.kernelDilation + 1;
      T* copy = reinterpret_cast<T*>(scratchOf(Scratch::panels, (before + planeSize() + after) * int64_t(sizeof(T))));
      std::vector<const T*> from(static_cast<size_t>(lines));
      for (int64_t task = begin; task < end; task++) {
        const int64_t image = task % images, group = task / images;
        const T* plane = in + group * inGroup + image * inImage;
        if (plane - before < in || plane + planeSize() + after > in + span) {
          std::memcpy(copy + before, plane, size_t(planeSize()) * sizeof(T));
          plane = copy + before;
        }
        for (int64_t index = 0; index < lines; index++) {
          const int64_t row = index - y.low;
          from[size_t(index)] = row < 0 || row >= y.in ? zeros.data() + before : plane + row * y.inStride;
        }
        for (int64_t row = 0; row < rows; row++) {
          const int64_t feature = group * rows + row, element = group * outGroup + image * outImage + row * outRow;
          W weights[mostTaps];
          const T* numbers = kernel + group * kernelGroup + row * kernelRow;
          const T factor = affine != nullptr ? affine->factorOf(feature) : T(1);
          for (int64_t tap = 0; tap < taps; tap++) weights[tap] = splat<W>(numbers[tapOffsets[size_t(tap)]] * factor);
          const Bounds bounds{affine != nullptr ? affine->shiftOf(feature) : T(0), affine != nullptr ? affine->low : T(0), affine != nullptr ? affine->high : T(0)};
          if (affine != nullptr) {
            sumPlane<true>(out + element, from.data(), weights, bounds);
          } else {
            sumPlane<false>(out + element, from.data(), weights, bounds);
            epilogue.finish(slots, out + element, positions, feature, element);
          }
        }
      }
    });
  }

 private:
  static constexpr int L = lanesOf<T>;
  static constexpr int64_t mostTaps = 32;
  using W = Vector<T, L>;
  using Mask = Vector<IntegerOf<T>, L>;
  struct Lanes {
    Mask inside;
    bool isWhole = true;
  };
  struct Bounds {
    T start, low, high;
  };

  /** The outer dimension of a signal. */
  static ConvolutionAxis line() { return {1, 1, 1, 1, 0, 1, 1, 0, 0, 0}; }
  int64_t planeSize() const { return (y.in - 1) * y.inStride + x.in; }

  template <bool clamps>
  void sumPlane(T* out, const T* const* from, const W* weights, Bounds bounds) const {
    int64_t row = 0;
    for (; row + 4 <= y.out; row += 4) sumRows<clamps, 4>(out, from, weights, bounds, row);
    for (; row < y.out; row++) sumRows<clamps, 1>(out, from, weights, bounds, row);
  }

  /** N rows of the result at a time, so that sums need not wait for each other. */
  template <bool clamps, int N>
  void sumRows(T* out, const T* const* from, const W* weights, Bounds bounds, int64_t row) const {
    const W least = splat<W>(bounds.low), most = splat<W>(bounds.high);
    for (int64_t block = 0; block < blocks; block++) {
      W sums[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) sums[n] = splat<W>(bounds.start);
      const W* weight = weights;
      for (int64_t ty = 0; ty < y.kernel; ty++) {
        const T* const* lines = from + row * y.step + ty * y.kernelDilation;
        for (int64_t tx = 0; tx < x.kernel; tx++, weight++) {
          const Lanes& lanes = masks[size_t(block * x.kernel + tx)];
          const int64_t at = block * L * x.step - x.low + tx * x.kernelDilation;
          W elements[N];
#pragma GCC unroll 4
          for (int n = 0; n < N; n++) elements[n] = everySecond<T>(lines[n * y.step] + at);
          if (!lanes.isWhole) {
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) elements[n] = lanes.inside ? elements[n] : W{};
          }
#pragma GCC unroll 4
          for (int n = 0; n < N; n++) sums[n] += *weight * elements[n];
        }
      }
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) {
        if constexpr (clamps) {
          sums[n] = sums[n] <= least ? least : sums[n];
          sums[n] = sums[n] >= most ? most : sums[n];
        }
        // What is written beyond a row of one vector is written over by the next ones.
        const int64_t place = (row + n) * x.out + block * L;
        if ((block + 1) * L <= x.out || (blocks == 1 && place + L <= positions)) storeVector(out + place, sums[n]);
        else copyFew(out + place, reinterpret_cast<const T*>(&sums[n]), x.out - block * L);
      }
    }
  }

  ConvolutionAxis y, x;
  /** Vectors of a row of the result, and for each and each tap of a row the lanes that find something. */
  int64_t blocks;
  std::vector<Lanes> masks;
  /** Elements that are read before and after a row, and from the first plane to the end of the last. */
  int64_t before, after, span;
  std::vector<T> zeros;
};

}  // namespace weft
