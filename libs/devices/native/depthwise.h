// Convolutions of planes, whose groups are a feature or two (depthwise): blocks of rows are copied with padding (planes.h), and the taps
// of many positions summed in registers, with what follows.
#pragma once
#include "epilogue.h"
#include "planes.h"

namespace weft {

template <class T>
class PlaneSums final : ConvolutionShape {
 public:
  /** Whether the convolution is one of planes whose columns are dense, and wider than its window. */
  static bool takes(const ConvolutionShape& shape) {
    if (shape.rows > 2 || shape.axes.size() > 2 || !shape.isDense) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.inDilation != 1 || axis.kernel > axis.out || axis.step > 4) return false;
    return shape.taps <= mostTaps;
  }

  explicit PlaneSums(const ConvolutionShape& shape)
      : ConvolutionShape(shape), planes(shape.axes.size() > 1 ? shape.axes[0] : line(), shape.axes.back()), height(shape.axes.size() > 1 ? shape.axes[0].out : 1) {
    // Rows whose planes take half of a small first-level cache.
    blockRows = std::clamp<int64_t>(16384 / int64_t(sizeof(T)) * height / std::max<int64_t>(1, planes.sizeOf(height)), 1, height);
    offsets.resize(size_t(taps));
    planes.offsets(blockRows, offsets.data());
  }

  void run(const T* in, const T* kernel, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    const int64_t width = axes.back().out, blocks = divideUp(height, blockRows);
    const int64_t work = std::max<int64_t>(1, blockRows * width * depth * rows);
    // A formula of no other tensors goes into weights and sums.
    const Affine<T>* affine = epilogue.affine != nullptr && epilogue.affine->isAlone() && channels == 1 ? epilogue.affine.get() : nullptr;
    parallelFor(groups * images * blocks, divideUp(1 << 17, work), [&](int64_t begin, int64_t end) {
      const int64_t size = planes.sizeOf(blockRows);
      T* block = reinterpret_cast<T*>(scratchOf(Scratch::panels, size * int64_t(sizeof(T))));
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, rows * roundUp(planes.runOf(blockRows), step) * int64_t(sizeof(T))));
      std::memset(block, 0, size_t(size) * sizeof(T));
      const T low = affine != nullptr ? affine->low : T(0), high = affine != nullptr ? affine->high : T(0);
      for (int64_t task = begin; task < end; task++) {
        const int64_t first = task % blocks * blockRows, image = task / blocks % images, group = task / blocks / images;
        const int64_t there = std::min(blockRows, height - first);
        const int64_t run = planes.runOf(there), stride = roundUp(planes.runOf(blockRows), step);
        for (int64_t channel = 0; channel < channels; channel++) {
          planes.copy(block, in + group * inGroup + image * inImage + channel * inChannel, first, there, blockRows);
          for (int64_t row = 0; row < rows; row++) {
            T weights[mostTaps];
            const T* from = kernel + group * kernelGroup + row * kernelRow + channel * kernelChannel;
            const T factor = affine != nullptr ? affine->factorOf(group * rows + row) : T(1);
            for (int64_t tap = 0; tap < taps; tap++) weights[tap] = from[tapOffsets[size_t(tap)]] * factor;
            const T first = affine != nullptr ? affine->shiftOf(group * rows + row) : T(0);
            if (channels > 1) sumRun<true, false>(block, weights, sums + row * stride, run, channel == 0, first, low, high);
            else if (affine == nullptr) sumRun<false, false>(block, weights, sums + row * stride, run, true, first, low, high);
            else sumRun<false, true>(block, weights, sums + row * stride, run, true, first, low, high);
          }
        }
        for (int64_t row = 0; row < rows; row++) {
          const T* from = sums + row * stride;
          const int64_t feature = group * rows + row, element = group * outGroup + image * outImage + row * outRow + first * width;
          if (epilogue.affine != nullptr && affine == nullptr) {
            for (int64_t y = 0; y < there; y++)
              epilogue.affine->apply(out + element + y * width, from + y * planes.pitch, width, feature, element + y * width);
          } else {
            for (int64_t y = 0; y < there; y++) copyFew(out + element + y * width, from + y * planes.pitch, width);
            if (affine == nullptr) epilogue.finish(slots, out + element, there * width, feature, element);
          }
        }
      }
    });
  }

 private:
  static constexpr int L = lanesOf<T>, V = 4;
  /** Positions that are summed at a time. */
  static constexpr int64_t step = V * L;
  static constexpr int64_t mostTaps = 64;
  using W = Vector<T, L>;

  /** The outer dimension of a signal. */
  static ConvolutionAxis line() { return {1, 1, 1, 1, 0, 1, 1, 0, 0, 0}; }

  /** Sums of all taps at positions 0 … count - 1, from `start` or, but for the first time, from what is there. */
  template <bool adds, bool clamps>
  void sumRun(const T* block, const T* weights, T* sums, int64_t count, bool isFirst, T start, T low, T high) const {
    const W least = splat<W>(low), most = splat<W>(high);
    for (int64_t at = 0; at < count; at += step) {
      W sum[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) sum[v] = adds && !isFirst ? loadVector<W>(sums + at + v * L) : splat<W>(start);
      for (int64_t tap = 0; tap < taps; tap++) {
        const T* from = block + offsets[size_t(tap)] + at;
        const W weight = splat<W>(weights[tap]);
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) sum[v] += weight * loadVector<W>(from + v * L);
      }
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) {
        if constexpr (clamps) {
          sum[v] = sum[v] <= least ? least : sum[v];
          sum[v] = sum[v] >= most ? most : sum[v];
        }
        storeVector(sums + at + v * L, sum[v]);
      }
    }
  }

  Planes<T> planes;
  int64_t height, blockRows;
  std::vector<int64_t> offsets;
};

}  // namespace weft
