// Convolutions of groups of a feature or two, of any dimensions and layout: line by line of the result, tap by tap.
#pragma once
#include "epilogue.h"
#include "gemm.h"
#include "spatial.h"

namespace weft {

template <class T>
class TapSums final : ConvolutionShape {
 public:
  explicit TapSums(const ConvolutionShape& shape) : ConvolutionShape(shape) {}

  void run(const T* in, const T* kernel, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    const Axis& inner = axes.back();
    const int64_t lines = positions / inner.out;
    const int64_t work = std::max<int64_t>(1, inner.out * depth);
    parallelFor(groups * images * rows * lines, divideUp(1 << 15, work), [&](int64_t begin, int64_t end) {
      T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, inner.out * int64_t(sizeof(T))));
      for (int64_t task = begin; task < end; task++) {
        int64_t line = task % lines, rest = task / lines;
        const int64_t row = rest % rows;
        rest /= rows;
        const int64_t image = rest % images, group = rest / images;
        int64_t at[8];
        int64_t to = group * outGroup + image * outImage + row * outRow;
        for (size_t axis = axes.size() - 1; axis-- > 0;) {
          at[axis] = line % axes[axis].out;
          line /= axes[axis].out;
          to += at[axis] * axes[axis].outStride;
        }
        std::memset(sums, 0, size_t(inner.out) * sizeof(T));
        for (int64_t channel = 0; channel < channels; channel++)
          sumLine(in + group * inGroup + image * inImage + channel * inChannel, kernel + group * kernelGroup + row * kernelRow + channel * kernelChannel, at, sums);
        if (inner.outStride == 1 || inner.out == 1) {
          std::memcpy(out + to, sums, size_t(inner.out) * sizeof(T));
        } else {
          for (int64_t i = 0; i < inner.out; i++) out[to + i * inner.outStride] = sums[i];
        }
        if (isDense) epilogue.finish(slots, out + to, inner.out, group * rows + row, to);
      }
    });
  }

 private:
  using Axis = ConvolutionAxis;
  using Run = ConvolutionRun;

  void sumLine(const T* in, const T* kernel, const int64_t* at, T* sums) const {
    const Axis& inner = axes.back();
    for (int64_t tap = 0; tap < taps; tap += inner.kernel) {
      int64_t rest = tap / inner.kernel, offset = 0;
      bool isInside = true;
      for (size_t axis = axes.size() - 1; axis-- > 0;) {
        const int64_t index = axes[axis].at(at[axis], rest % axes[axis].kernel);
        rest /= axes[axis].kernel;
        isInside = isInside && index >= 0;
        offset += index * axes[axis].inStride;
      }
      if (!isInside) continue;
      const T* from = in + offset;
      const T* weights = kernel + tapOffsets[size_t(tap)];
      if (inner.kernel > inner.out) {
        for (int64_t o = 0; o < inner.out; o++) {
          const Run run = insideOf(0, inner.kernel, o * inner.step - inner.low, inner.kernelDilation, inner.in, inner.inDilation);
          if (run.count > 0)
            sums[o] += dotStrided(from + run.at * inner.inStride, run.step * inner.inStride, weights + run.first * inner.kernelStride,
                                  run.spacing * inner.kernelStride, run.count);
        }
        continue;
      }
      for (int64_t t = 0; t < inner.kernel; t++) {
        const Run run = insideOf(0, inner.out, t * inner.kernelDilation - inner.low, inner.step, inner.in, inner.inDilation);
        if (run.count > 0)
          addScaled(sums + run.first, run.spacing, from + run.at * inner.inStride, run.step * inner.inStride, weights[t * inner.kernelStride], run.count);
      }
    }
  }

  static T dotStrided(const T* a, int64_t aStep, const T* b, int64_t bStep, int64_t count) {
    constexpr int L = lanesOf<T>;
    using W = Vector<T, L>;
    T sum = 0;
    int64_t i = 0;
    if (aStep == 1 && bStep == 1) {
      W sums{};
      for (; i + L <= count; i += L) sums += loadVector<W>(a + i) * loadVector<W>(b + i);
      sum = sumOf<T, L>(sums);
    }
    for (; i < count; i++) sum += a[i * aStep] * b[i * bStep];
    return sum;
  }
  static void addScaled(T* to, int64_t toStep, const T* from, int64_t fromStep, T by, int64_t count) {
    constexpr int L = lanesOf<T>;
    using W = Vector<T, L>;
    int64_t i = 0;
    if (toStep == 1 && fromStep == 1) {
      const W factor = splat<W>(by);
      for (; i + L <= count; i += L) storeVector(to + i, loadVector<W>(to + i) + factor * loadVector<W>(from + i));
    }
    for (; i < count; i++) to[i * toStep] += by * from[i * fromStep];
  }
};

}  // namespace weft
