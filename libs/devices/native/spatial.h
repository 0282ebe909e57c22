// Spatial dimensions of convolutions and windows: which part of the input a tap reads; convolutions in whole.
#pragma once
#include <algorithm>
#include "program.h"

namespace weft {

/** Multiply-adds of a convolution that are worth a thread. */
constexpr int64_t convolutionGrain = 1 << 17;

/** A spatial dimension: sizes, window, and strides in elements of input, kernel and output. */
struct ConvolutionAxis {
  int64_t in, kernel, out, step, low, inDilation, kernelDilation, inStride, kernelStride, outStride;

  /** The input's index under a tap at an output position, or -1. */
  int64_t at(int64_t position, int64_t tap) const {
    int64_t index = position * step - low + tap * kernelDilation;
    if (index < 0) return -1;
    if (inDilation > 1) {
      if (index % inDilation != 0) return -1;
      index /= inDilation;
    }
    return index < in ? index : -1;
  }
};

/** The axis of the convolution whose kernel's gradient this is one of. */
inline ConvolutionAxis turned(ConvolutionAxis axis) {
  std::swap(axis.kernel, axis.out);
  std::swap(axis.kernelDilation, axis.step);
  return axis;
}

/** Indices first, first + spacing, … of one dimension that read from inside the input; from `at`, `step` apart. */
struct ConvolutionRun {
  int64_t first, count, spacing, at, step;
};

inline int64_t divideFloor(int64_t x, int64_t by) { return x >= 0 ? x / by : -((-x + by - 1) / by); }

/** Of indices begin … end - 1, those where shift + index · step is inside the input, which is dilated. */
inline ConvolutionRun insideOf(int64_t begin, int64_t end, int64_t shift, int64_t step, int64_t in, int64_t dilation) {
  int64_t spacing = 1;
  if (dilation > 1) {
    while (begin < end && (shift + begin * step) % dilation != 0) begin++;
    while (spacing * step % dilation != 0) spacing++;
  }
  if (shift + begin * step < 0) begin += roundUp(divideUp(-(shift + begin * step), step), spacing);
  const int64_t last = std::min(end - 1, divideFloor((in - 1) * dilation - shift, step));
  if (begin > last) return {begin, 0, spacing, 0, 0};
  return {begin, (last - begin) / spacing + 1, spacing, (shift + begin * step) / dilation, spacing * step / dilation};
}

/**
 * A convolution. Words: groups, images, output features and input features of a group; strides of the input (group, image, feature),
 * the kernel (group, output feature, input feature) and the result (group, image, feature); spatial dimensions as in ConvolutionAxis,
 * after their count.
 */
struct ConvolutionShape {
  explicit ConvolutionShape(Reader& reader) {
    for (int64_t* word : {&groups, &images, &rows, &channels, &inGroup, &inImage, &inChannel, &kernelGroup, &kernelRow, &kernelChannel, &outGroup, &outImage, &outRow})
      *word = reader.next();
    axes.resize(reader.nextCount());
    for (ConvolutionAxis& axis : axes)
      for (int64_t* word : {&axis.in, &axis.kernel, &axis.out, &axis.step, &axis.low, &axis.inDilation, &axis.kernelDilation, &axis.inStride,
                            &axis.kernelStride, &axis.outStride})
        *word = reader.next();
    settle();
  }

  /** Hands a result that is made to an epilogue, plane by plane; planes are dense. */
  template <class T, class Epilogue>
  void finishPlanes(Slots slots, T* out, const Epilogue& epilogue) const {
    if (epilogue.isNone()) return;
    for (int64_t feature = 0; feature < groups * rows; feature++) {
      for (int64_t image = 0; image < images; image++) {
        const int64_t at = feature / rows * outGroup + feature % rows * outRow + image * outImage;
        epilogue.finish(slots, out + at, positions, feature, at);
      }
    }
  }

  /** Computes what follows from strides and dimensions. */
  void settle() {
    int64_t dense = 1;
    taps = 1;
    isDense = true;
    for (size_t axis = axes.size(); axis-- > 0;) {
      if (axes[axis].out > 1 && axes[axis].outStride != dense) isDense = false;
      dense *= axes[axis].out;
      taps *= axes[axis].kernel;
    }
    positions = dense;
    depth = channels * taps;
    tapOffsets.resize(size_t(taps));
    for (int64_t tap = 0; tap < taps; tap++) {
      int64_t rest = tap, offset = 0;
      for (size_t axis = axes.size(); axis-- > 0;) {
        offset += rest % axes[axis].kernel * axes[axis].kernelStride;
        rest /= axes[axis].kernel;
      }
      tapOffsets[size_t(tap)] = offset;
    }
  }

  /** Rows of the input and the result in a group: output features. Depth: input features × taps. Positions: of one image. */
  int64_t groups, images, rows, channels, inGroup, inImage, inChannel, kernelGroup, kernelRow, kernelChannel, outGroup, outImage, outRow;
  std::vector<ConvolutionAxis> axes;
  int64_t positions = 1, taps = 1, depth = 1;
  /** Where each tap is in the kernel. */
  std::vector<int64_t> tapOffsets;
  /** The positions of an image are side by side in the result. */
  bool isDense = true;
};

}  // namespace weft
