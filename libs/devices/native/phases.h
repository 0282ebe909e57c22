// Convolutions with a dilated input, as data gradients of strided convolutions and transposed convolutions are: positions of the result
// that are a multiple of the dilation apart (a phase) see the same taps on elements of the input, the other taps on zeros between
// them. Each phase is a convolution of the input as it is with those taps; all are computed densely and interleaved.
#pragma once
#include <numeric>
#include "shuffle.h"
#include "way.h"

namespace weft {

template <class T>
class Phases {
 public:
  static bool takes(const ConvolutionShape& shape) {
    int64_t count = 1;
    bool isDilated = false;
    for (const ConvolutionAxis& axis : shape.axes) {
      isDilated = isDilated || axis.inDilation > 1;
      count *= phasesOf(axis);
    }
    return isDilated && count <= most && count <= shape.positions;
  }

  explicit Phases(const ConvolutionShape& given) : shape(given) {
    const int64_t zero = 0;
    Reader reader(&zero, 1);
    nothing = std::make_unique<FeatureEpilogue<T>>(reader);
    int64_t count = 1;
    for (const ConvolutionAxis& axis : shape.axes) count *= phasesOf(axis);
    int64_t at = 0;
    for (int64_t number = 0; number < count; number++) {
      ConvolutionShape part = shape;
      Phase phase{{}, 0, 0, at, 0, {}};
      int64_t rest = number;
      bool sees = true;
      for (size_t axis = shape.axes.size(); axis-- > 0;) {
        const int64_t all = phasesOf(shape.axes[axis]);
        sees = narrow(part.axes[axis], rest % all, phase.kernelOffset) && sees;
        phase.first[axis] = rest % all;
        rest /= all;
      }
      int64_t dense = 1;
      for (size_t axis = part.axes.size(); axis-- > 0;) {
        part.axes[axis].outStride = dense;
        dense *= part.axes[axis].out;
      }
      phase.positions = part.outRow = dense;
      phase.width = part.axes.back().out;
      part.outGroup = shape.rows * dense;
      part.outImage = shape.groups * shape.rows * dense;
      at += shape.images * part.outImage;
      if (sees) {
        part.settle();
        phase.way = std::make_unique<ConvolutionWay<T>>(part);
      }
      phases.push_back(std::move(phase));
    }
    for (int64_t line = 0; line < shape.positions / shape.axes.back().out; line++) lines.push_back(placeOf(line));
  }

  /** @param apart memory for as many elements as the result has */
  void run(const T* in, const T* kernel, int64_t stamp, T* out, T* apart, Slots slots, const FeatureEpilogue<T>& epilogue) {
    for (const Phase& phase : phases)
      if (phase.way != nullptr) phase.way->run(in, kernel + phase.kernelOffset, stamp, apart + phase.at, slots, *nothing);
    const int64_t features = shape.groups * shape.rows;
    parallelFor(shape.images * features, divideUp(1 << 13, shape.positions), [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; plane++) {
        const int64_t feature = plane % features;
        const int64_t element = plane / features * shape.outImage + feature / shape.rows * shape.outGroup + feature % shape.rows * shape.outRow;
        for (const Line& line : lines) weave(out + element + line.to, phases.data() + line.phase, apart, plane, line.within);
        if (shape.isDense) epilogue.finish(slots, out + element, shape.positions, feature, element);
      }
    });
  }

 private:
  static constexpr int64_t most = 64;

  struct Phase {
    int64_t first[8];
    int64_t kernelOffset, positions, at, width;
    /** None where no tap sees the input. */
    std::unique_ptr<ConvolutionWay<T>> way;
  };

  /** A line of a plane of the result: where it is there, the first of the phases that it is made of, and which of their lines. */
  struct Line {
    int64_t to, phase, within;
  };
  Line placeOf(int64_t line) const {
    Line place{0, 0, 0};
    int64_t lines = 1, all = phasesOf(shape.axes.back());
    for (size_t axis = shape.axes.size() - 1; axis-- > 0;) {
      const ConvolutionAxis& outer = shape.axes[axis];
      const int64_t position = line % outer.out, count = phasesOf(outer);
      line /= outer.out;
      place.to += position * outer.outStride;
      place.within += position / count * lines;
      lines *= divideUp(outer.out - position % count, count);
      place.phase += position % count * all;
      all *= count;
    }
    return place;
  }

  /** After how many positions the same taps see the input. */
  static int64_t phasesOf(const ConvolutionAxis& axis) { return std::min(axis.out, axis.inDilation / std::gcd(axis.step, axis.inDilation)); }

  /** Makes an axis that of a phase's positions; whether any tap sees the input. */
  static bool narrow(ConvolutionAxis& axis, int64_t first, int64_t& kernelOffset) {
    const int64_t dilation = axis.inDilation, apart = dilation / std::gcd(axis.step, dilation);
    const int64_t taps = dilation / std::gcd(axis.kernelDilation, dilation), start = first * axis.step - axis.low;
    int64_t tap = 0;
    while (tap < std::min(axis.kernel, taps) && (start + tap * axis.kernelDilation) % dilation != 0) tap++;
    axis.out = divideUp(axis.out - first, apart);
    if (tap >= std::min(axis.kernel, taps)) return false;
    kernelOffset += tap * axis.kernelStride;
    axis.low = -((start + tap * axis.kernelDilation) / dilation);
    axis.kernel = divideUp(axis.kernel - tap, taps);
    axis.kernelStride *= taps;
    axis.kernelDilation = taps * axis.kernelDilation / dilation;
    axis.step = axis.step * apart / dilation;
    axis.inDilation = 1;
    return true;
  }

  /** A line of the result from one of each phase along the last dimension. */
  void weave(T* to, const Phase* from, const T* apart, int64_t plane, int64_t line) const {
    const ConvolutionAxis& inner = shape.axes.back();
    const int64_t count = phasesOf(inner);
    const auto lineOf = [&](int64_t phase) { return from[phase].way == nullptr ? nullptr : apart + from[phase].at + plane * from[phase].positions + line * from[phase].width; };
    if (count == 1 && inner.outStride == 1 && from->way != nullptr) return copyFew(to, lineOf(0), inner.out);
    if (count == 2 && inner.outStride == 1) return weaveTwo(to, lineOf(0), lineOf(1), inner.out);
    for (int64_t phase = 0; phase < count; phase++) {
      const int64_t there = divideUp(inner.out - phase, count), step = count * inner.outStride;
      T* target = to + phase * inner.outStride;
      const T* elements = lineOf(phase);
      for (int64_t i = 0; i < there; i++) target[i * step] = elements == nullptr ? T(0) : elements[i];
    }
  }
  /** Elements of two phases in turn; zeros for one that is not there. */
  static void weaveTwo(T* to, const T* even, const T* odd, int64_t count) {
    int64_t i = 0;
    const auto pieces = [&]<int N>(std::integral_constant<int, N>) {
      for (; i + 2 * N <= count; i += 2 * N) weavePiece<N>(to + i, even == nullptr ? nullptr : even + i / 2, odd == nullptr ? nullptr : odd + i / 2);
    };
    pieces(std::integral_constant<int, lanesOf<T>>{});
    if constexpr (lanesOf<T> >= 16) pieces(std::integral_constant<int, 8>{});
    if constexpr (lanesOf<T> >= 8) pieces(std::integral_constant<int, 4>{});
    for (; i < count; i++) {
      const T* from = i % 2 == 0 ? even : odd;
      to[i] = from == nullptr ? T(0) : from[i / 2];
    }
  }
  template <int N>
  static void weavePiece(T* to, const T* even, const T* odd) {
    using V = Vector<T, N>;
    const V x = even == nullptr ? V{} : loadVector<V>(even), y = odd == nullptr ? V{} : loadVector<V>(odd);
    storeVector(to, chooseLanes<T, N>(x, y, [](int i) constexpr { return i / 2 + i % 2 * N; }));
    storeVector(to + N, chooseLanes<T, N>(x, y, [](int i) constexpr { return N / 2 + i / 2 + i % 2 * N; }));
  }

  ConvolutionShape shape;
  std::vector<Phase> phases;
  /** Of a plane of the result. */
  std::vector<Line> lines;
  std::unique_ptr<FeatureEpilogue<T>> nothing;
};

}  // namespace weft
