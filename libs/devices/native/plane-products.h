// Convolutions whose window is larger than their result, as gradients of kernels are: each element of the result is a dot product
// of a plane of the window with a plane of the input, shifted, summed over input features. Planes are copied with padding
// (planes.h), so that a shift is an offset; windows lie in rows of the same length with zeros between.
#pragma once
#include "epilogue.h"
#include "gemm.h"
#include "planes.h"

namespace weft {

template <class T>
class PlaneProducts final : ConvolutionShape {
 public:
  static bool takes(const ConvolutionShape& shape) {
    if (shape.axes.size() > 2 || shape.positions > mostPositions) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.inDilation != 1 || axis.kernelDilation > 4) return false;
    return shape.taps > shape.positions && shape.taps >= 8;
  }

  explicit PlaneProducts(const ConvolutionShape& shape)
      : ConvolutionShape(shape), planes(shape.axes.size() > 1 ? turned(shape.axes[0]) : line(), turned(shape.axes.back())) {
    height = axes.size() > 1 ? axes[0].kernel : 1;
    shifts.resize(size_t(positions));
    planes.offsets(height, shifts.data());
    inputSize = planes.sizeOf(height) - Planes<T>::slack;
    extent = roundUp(planes.runOf(height), L);
    for (int64_t position = 0; position < positions; position++) {
      int64_t rest = position, offset = 0;
      for (size_t axis = axes.size(); axis-- > 0;) {
        offset += rest % axes[axis].out * axes[axis].outStride;
        rest /= axes[axis].out;
      }
      targets.push_back(offset);
    }
  }

  void run(const T* in, const T* kernel, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    // Input features at a time: so many that their planes stay in the second-level cache.
    const int64_t each = (images * inputSize + rows * extent) * int64_t(sizeof(T));
    const int64_t some = std::clamp<int64_t>((1 << 20) / each, 1, channels);
    T* inputs = reinterpret_cast<T*>(scratchOf(Scratch::panels, (some * images * inputSize + Planes<T>::slack) * int64_t(sizeof(T))));
    T* windows = reinterpret_cast<T*>(scratchOf(Scratch::rows, some * rows * extent * int64_t(sizeof(T))));
    // What pads stays zero.
    std::memset(inputs, 0, size_t(some * images * inputSize + Planes<T>::slack) * sizeof(T));
    std::memset(windows, 0, size_t(some * rows * extent) * sizeof(T));
    for (int64_t group = 0; group < groups; group++) {
      for (int64_t first = 0; first < channels; first += some) {
        const int64_t there = std::min(some, channels - first);
        const T* input = in + group * inGroup + first * inChannel;
        const T* window = kernel + group * kernelGroup + first * kernelChannel;
        parallelFor(images + rows, divideUp(1 << 15, there * inputSize), [&](int64_t begin, int64_t end) {
          for (int64_t plane = begin; plane < end; plane++) {
            for (int64_t channel = 0; channel < there; channel++) {
              if (plane < images) planes.copy(inputs + (plane * some + channel) * inputSize, input + plane * inImage + channel * inChannel, 0, height, height);
              else copyWindow(windows + ((plane - images) * some + channel) * extent, window + (plane - images) * kernelRow + channel * kernelChannel);
            }
          }
        });
        multiplyPlanes(inputs, windows, some, there, out + group * outGroup, first > 0);
      }
    }
    if (isDense) finishPlanes(slots, out, epilogue);
  }

 private:
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  /** Windows by planes whose products are summed in registers. */
#if defined(__AVX512F__)
  static constexpr int R = 4, C = 6;
#else
  static constexpr int R = 2, C = 4;
#endif
  static constexpr int64_t mostPositions = 64;

  static ConvolutionAxis line() { return {1, 1, 1, 1, 0, 1, 1, 0, 0, 0}; }

  void copyWindow(T* to, const T* from) const {
    const ConvolutionAxis& inner = axes.back();
    for (int64_t y = 0; y < height; y++, to += planes.pitch) {
      const T* line = from + (axes.size() > 1 ? y * axes[0].kernelStride : 0);
      if (inner.kernelStride == 1) copyFew(to, line, inner.kernel);
      else for (int64_t x = 0; x < inner.kernel; x++) to[x] = line[x * inner.kernelStride];
    }
  }

  /** Adds products of `there` planes of `some` to the result, or, but for the first ones, sets it to them. */
  void multiplyPlanes(const T* inputs, const T* windows, int64_t some, int64_t there, T* out, bool adds) const {
    const int64_t columns = images * positions;
    const int64_t rowBlocks = divideUp(rows, R), columnBlocks = divideUp(columns, C);
    const int64_t parts = std::clamp<int64_t>(divideUp(2 * pool().size(), rowBlocks), 1, columnBlocks);
    // Windows that stay in the first-level cache while all inputs pass.
    const int64_t few = std::clamp<int64_t>(16384 / (R * extent * int64_t(sizeof(T))), 1, there);
    parallelFor(rowBlocks * parts, divideUp(1 << 17, R * columns / parts * extent * there), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t row = task / parts * R, part = task % parts;
        const int64_t firstBlock = columnBlocks * part / parts, lastBlock = columnBlocks * (part + 1) / parts;
        W* sums = reinterpret_cast<W*>(scratchOf(Scratch::sums, (lastBlock - firstBlock) * R * C * int64_t(sizeof(W))));
        std::memset(static_cast<void*>(sums), 0, size_t(lastBlock - firstBlock) * R * C * sizeof(W));
        for (int64_t channel = 0; channel < there; channel += few) {
          // What is missing at the ends is another one again.
          const T *a[R], *b[C];
          for (int r = 0; r < R; r++) a[r] = windows + (std::min(row + r, rows - 1) * some + channel) * extent;
          for (int64_t block = firstBlock; block < lastBlock; block++) {
            for (int c = 0; c < C; c++) {
              const int64_t at = std::min(block * C + c, columns - 1);
              b[c] = inputs + (at / positions * some + channel) * inputSize + shifts[size_t(at % positions)];
            }
            addProducts(a, b, std::min(few, there - channel), sums + (block - firstBlock) * R * C);
          }
        }
        for (int64_t column = firstBlock * C; column < std::min(columns, lastBlock * C); column++) {
          const W* from = sums + (column / C - firstBlock) * R * C + column % C;
          T* to = out + row * outRow + column / positions * outImage + targets[size_t(column % positions)];
          for (int64_t r = 0; r < std::min<int64_t>(R, rows - row); r++) {
            const T sum = sumOf<T, L>(from[r * C]);
            to[r * outRow] = adds ? to[r * outRow] + sum : sum;
          }
        }
      }
    });
  }

  void addProducts(const T* const* a, const T* const* b, int64_t count, W* result) const {
    W sums[R][C];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
      for (int c = 0; c < C; c++) sums[r][c] = result[r * C + c];
    for (int64_t channel = 0; channel < count; channel++) {
      const int64_t aAt = channel * extent, bAt = channel * inputSize;
      for (int64_t k = 0; k < extent; k += L) {
        W left[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) left[r] = loadVector<W>(a[r] + aAt + k);
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) {
          const W right = loadVector<W>(b[c] + bAt + k);
#pragma GCC unroll 8
          for (int r = 0; r < R; r++) sums[r][c] += left[r] * right;
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
      for (int c = 0; c < C; c++) result[r * C + c] = sums[r][c];
  }

  Planes<T> planes;
  int64_t height, inputSize, extent;
  /** Where the planes that a position multiplies begin, and where its result goes. */
  std::vector<int64_t> shifts, targets;
};

}  // namespace weft
