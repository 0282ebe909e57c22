// Gradients of kernels in blocks that are made of parts of planes: the input and the result's gradient (here the window) a part at a time
// that stays in the caches, products of input features by output features summed over its positions in registers (blocked-sums.h), each
// tap an offset of the input. Strides and the size of planes do not matter to it.
#pragma once
#include "blocked-sums.h"
#include "epilogue.h"
#include "planes-blocks.h"
#include "spatial.h"

namespace weft {

template <class T>
class BlockedKernels final : ConvolutionShape {
 public:
  static bool takes(const ConvolutionShape& shape) {
    if (shape.axes.size() > 2 || !shape.isDense || shape.positions > 64 || shape.taps <= shape.positions || shape.taps < 8) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.inDilation != 1) return false;
    const ConvolutionAxis& inner = shape.axes.back();
    if (inner.inStride != 1 || inner.kernelStride != 1 || shape.outImage != shape.positions) return false;
    // Lanes without a feature cost as much as others.
    const auto fills = [](int64_t features) { return 3 * features >= 2 * roundUp(features, L); };
    return fills(shape.rows) && fills(shape.images) && shape.rows * shape.images * shape.positions * int64_t(sizeof(T)) <= mostSums;
  }

  explicit BlockedKernels(const ConvolutionShape& shape)
      : ConvolutionShape(shape), y(shape.axes.size() > 1 ? turned(shape.axes[0]) : line(shape.axes[0])), x(turned(shape.axes.back())), windowRow(shape.axes.size() > 1 ? shape.axes[0].kernelStride : 0),
        blocks(divideUp(rows, L)), inBlocks(divideUp(images, L)) {
    // Rows between those that are read are left out.
    if (y.kernel == 1 && y.low == 0 && y.step > 1) {
      y.inStride *= y.step;
      y.in = divideUp(y.in, y.step);
      y.step = 1;
    }
    // Threads sum apart where their sums are no more than what is summed; else they work on each task together.
    const int64_t threads = pool().size(), whole = y.out * x.out, sumsOfThread = rows * images * positions;
    const bool isApart = threads > 1 && threads * sumsOfThread <= channels * whole * (images * y.step * x.step + rows);
    // Positions of a task: what their blocks take stays in the second-level cache, and a part in the first.
    const int64_t fit = (1 << 18) / ((inBlocks * y.step * x.step + blocks) * L * int64_t(sizeof(T)));
    const int64_t most = std::clamp<int64_t>(fit, 64, 256) * (threads > 1 && !isApart ? 4 : 1);
    bands = std::min(divideUp(whole, most), y.out > 1 ? y.out : divideUp(x.out, L));
    units = channels * bands;
    tasks = bands > 1 ? units : divideUp(units, std::max<int64_t>(1, most / whole));
    pieces = isApart ? std::min(threads, tasks) : 1;
    tasks = std::min(units, roundUp(tasks, pieces));
    for (int64_t task = 0; task < tasks; task++) mostUnits = std::max(mostUnits, firstOf(task + 1) - firstOf(task));
    for (int64_t unit = 0; unit < bands; unit++) {
      const Unit part = unitOf(unit);
      inUnit = std::max(inUnit, part.lines(y) * part.width(x) * L);
      windowUnit = std::max(windowUnit, part.rows() * part.columns() * L);
    }
  }

  void run(const T* in, const T* window, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, pieces * sumSize() * int64_t(sizeof(T))));
    const int64_t parts = divideUp(blocks, BlockedSums<T>::blocks);
    for (int64_t group = 0; group < groups; group++) {
      const T *planes = in + group * inGroup, *windows = window + group * kernelGroup;
      if (pieces > 1) {
        parallelFor(pieces, 1, [&](int64_t begin, int64_t end) {
          T* memory = reinterpret_cast<T*>(scratchOf(Scratch::panels, memorySize() * int64_t(sizeof(T))));
          for (int64_t piece = begin; piece < end; piece++) {
            const int64_t first = tasks * piece / pieces, last = tasks * (piece + 1) / pieces;
            for (int64_t task = first; task < last; task++) {
              toBlocks(memory, planes, windows, task, 0, inBlocks + blocks);
              multiply(memory, sums + piece * sumSize(), task, 0, parts * inBlocks, task > first);
            }
          }
        });
      } else {
        T* memory = reinterpret_cast<T*>(scratchOf(Scratch::panels, memorySize() * int64_t(sizeof(T))));
        for (int64_t task = 0; task < tasks; task++) {
          parallelFor(inBlocks + blocks, 1, [&](int64_t begin, int64_t end) { toBlocks(memory, planes, windows, task, begin, end); });
          parallelFor(parts * inBlocks, 1, [&](int64_t begin, int64_t end) { multiply(memory, sums, task, begin, end, task > 0); });
        }
      }
      const int64_t squares = divideUp(images * positions, L);
      parallelFor(blocks * squares, divideUp(1 << 13, L * L * pieces), [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; at++) finish(out + group * outGroup, sums, at / squares, at % squares * L);
      });
    }
    finishPlanes(slots, out, epilogue);
  }

 private:
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  /** Bytes of sums at most. */
  static constexpr int64_t mostSums = 16 << 20;

  /** The outer dimension of a convolution that has one, with lines as long as the plane. */
  static ConvolutionAxis line(const ConvolutionAxis& inner) { return {1, 1, 1, 1, 0, 1, 1, inner.in, 0, 0}; }

  /** Positions of one image: a band of rows, or of columns where there is one row. */
  struct Unit {
    int64_t image, firstRow, lastRow, firstColumn, lastColumn;

    int64_t rows() const { return lastRow - firstRow; }
    int64_t columns() const { return lastColumn - firstColumn; }
    /** What they read of the input. */
    int64_t lines(const ConvolutionAxis& y) const { return (rows() - 1) * y.step + (y.kernel - 1) * y.kernelDilation + 1; }
    int64_t width(const ConvolutionAxis& x) const { return (columns() - 1) * x.step + (x.kernel - 1) * x.kernelDilation + 1; }
  };
  Unit unitOf(int64_t unit) const {
    const int64_t band = unit % bands;
    if (y.out == 1) return {unit / bands, 0, 1, x.out * band / bands, x.out * (band + 1) / bands};
    return {unit / bands, y.out * band / bands, y.out * (band + 1) / bands, 0, x.out};
  }
  int64_t firstOf(int64_t task) const { return units * task / tasks; }
  int64_t sumSize() const { return blocks * positions * inBlocks * L * L; }
  int64_t memorySize() const { return mostUnits * (inBlocks * inUnit + blocks * windowUnit); }

  /** Blocks begin … end - 1 of a task's parts of planes: those of the input, then those of the result's gradient. */
  void toBlocks(T* memory, const T* in, const T* window, int64_t task, int64_t begin, int64_t end) const {
    for (int64_t at = begin; at < end; at++) {
      for (int64_t index = firstOf(task); index < firstOf(task + 1); index++) {
        const Unit unit = unitOf(index);
        const int64_t number = index - firstOf(task);
        if (at < inBlocks) {
          const int64_t width = unit.width(x);
          copyRectangle<T>(memory + (at * mostUnits + number) * inUnit, width * L,
                           {in + at * L * inImage + unit.image * inChannel, inImage, y.inStride, y.in, x.in, int(std::min<int64_t>(L, images - at * L))},
                           {unit.firstRow * y.step - y.low, unit.firstColumn * x.step - x.low, unit.lines(y), width});
        } else {
          const int64_t block = at - inBlocks;
          const T* from = window + block * L * kernelRow + unit.image * kernelChannel + unit.firstRow * windowRow + unit.firstColumn;
          planesToBlock<T>(memory + mostUnits * inBlocks * inUnit + (block * mostUnits + number) * windowUnit, unit.columns() * L,
                           {from, kernelRow, windowRow, unit.rows(), unit.columns(), int(std::min<int64_t>(L, rows - block * L))});
        }
      }
    }
  }

  /** Products of a task: parts of the output features by blocks of the input's. */
  void multiply(const T* memory, T* sums, int64_t task, int64_t begin, int64_t end, bool adds) const {
    const int64_t parts = divideUp(blocks, BlockedSums<T>::blocks), first = firstOf(task);
    const Unit unit = unitOf(first);
    const int64_t width = unit.width(x);
    const BlockedSums<T> products{x.step * L, y.step * width * L, inUnit, unit.columns() * L, windowUnit, mostUnits * windowUnit, positions * inBlocks * L * L,
                                  unit.columns(), unit.rows(), firstOf(task + 1) - first};
    for (int64_t at = begin; at < end; at++) {
      const int64_t part = at / inBlocks, block = at % inBlocks, firstBlock = blocks * part / parts, count = blocks * (part + 1) / parts - firstBlock;
      const T *left = memory + block * mostUnits * inUnit, *right = memory + mostUnits * (inBlocks * inUnit + firstBlock * windowUnit);
      for (int64_t tap = 0; tap < positions; tap++) {
        const int64_t offset = tap / x.kernel * y.kernelDilation * width + tap % x.kernel * x.kernelDilation;
        products.add(sums + ((firstBlock * positions + tap) * inBlocks + block) * L * L, left + offset * L, right, int(count), adds);
      }
    }
  }

  /** The sums of a block of features, from element `first` of their kernels on, L of them. */
  void finish(T* out, const T* sums, int64_t block, int64_t first) const {
    W square[L];
    const int count = int(std::min<int64_t>(L, images * positions - first));
    for (int i = 0; i < L; i++) {
      square[i] = W{};
      if (i >= count) continue;
      const T* from = sums + ((block * positions + (first + i) % positions) * inBlocks * L + (first + i) / positions) * L;
      for (int64_t piece = 0; piece < pieces; piece++) square[i] += loadVector<W>(from + piece * sumSize());
    }
    transposeSquare<T, L>(square);
    T* to = out + block * L * outRow + first;
    for (int64_t lane = 0; lane < std::min<int64_t>(L, rows - block * L); lane++) {
      if (count == L) storeVector(to + lane * outRow, square[lane]);
      else storePart(to + lane * outRow, square[lane], count);
    }
  }

  /** Of the convolution whose kernel's gradient this is; elements between rows of the result's gradient. */
  ConvolutionAxis y, x;
  int64_t windowRow;
  /** Blocks of output and input features. */
  int64_t blocks, inBlocks;
  /** Bands of an image; units: bands of all images; tasks: of units whose blocks are there at a time; pieces of them that are summed apart. */
  int64_t bands, units, tasks, pieces;
  /** Units of a task at most; elements that one takes in a block of the input and of the result's gradient. */
  int64_t mostUnits = 0, inUnit = 0, windowUnit = 0;
};

}  // namespace weft
