// Spatial dimensions of convolutions and windows: which part of the input a tap reads.
#pragma once
#include <algorithm>
#include "vector.h"

namespace weft {

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

}  // namespace weft
