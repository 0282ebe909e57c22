// Convolutions as products: for each group the kernel (output features × depth) times the patches of the input (depth × output
// positions of all images), where depth is input features × taps. Patches are never written out whole: they are packed panel by
// panel as the product wants them.
#pragma once
#include "epilogue.h"
#include "gemm.h"
#include "interleave.h"
#include "kept.h"
#include "spatial.h"

namespace weft {

template <class T>
class PatchProduct final : ConvolutionShape {
 public:
  explicit PatchProduct(const ConvolutionShape& shape) : ConvolutionShape(shape) {
    depthStride = taps > 1 ? tapOffsets[1] : kernelChannel;
    for (int64_t tap = 0; tap < taps; tap++)
      if (tapOffsets[size_t(tap)] != tap * depthStride) depthStride = 0;
    if (channels > 1 && kernelChannel != taps * depthStride) depthStride = 0;
  }

  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    const int64_t kc = Tiling<T>::blockDepth(depth);
    const T* left = kept.of(kernel, stamp, groups * paddedRows() * depth, Scratch::rows, [&](T* to) { packKernel(to, kernel, kc); });
    const int64_t columns = images * positions;
    const int64_t panels = divideUp(columns, C);
    const int64_t threads = pool().size();
    // Panels of a task: what the second-level cache holds, fewer where threads would go without.
    const int64_t most = std::max<int64_t>(1, 262144 / (kc * C * int64_t(sizeof(T))));
    const int64_t wide = std::clamp<int64_t>(groups * panels / (3 * threads), 1, most);
    const int64_t blocks = divideUp(panels, wide);
    const int64_t parts = groups * blocks >= threads ? 1 : std::clamp<int64_t>(divideUp(threads, groups * blocks), 1, divideUp(rows, R));
    const int64_t work = std::max<int64_t>(1, depth * rows * wide * C / parts);
    parallelFor(groups * blocks * parts, divideUp(convolutionGrain, work), [&](int64_t begin, int64_t end) {
      Patches patches(*this);
      for (int64_t task = begin; task < end; task++) {
        const int64_t part = task % parts, block = task / parts % blocks, group = task / parts / blocks;
        const int64_t firstRow = divideUp(rows, R) * part / parts * R, lastRow = std::min(rows, divideUp(rows, R) * (part + 1) / parts * R);
        patches.place(block * wide, std::min(panels, (block + 1) * wide));
        multiplyBlock(patches, in + group * inGroup, left + group * paddedRows() * depth, out + group * outGroup, kc, firstRow, lastRow);
        if (epilogue.isNone() || !isDense) continue;
        for (int64_t row = firstRow; row < lastRow; row++) {
          for (int64_t column = patches.firstColumn; column < patches.lastColumn;) {
            const int64_t position = column % positions;
            const int64_t count = std::min(patches.lastColumn - column, positions - position);
            const int64_t at = group * outGroup + row * outRow + column / positions * outImage + position;
            epilogue.finish(slots, out + at, count, group * rows + row, at);
            column += count;
          }
        }
      }
    });
  }

 private:
  using Axis = ConvolutionAxis;
  using Run = ConvolutionRun;
  static constexpr int C = Tiling<T>::columns, R = Tiling<T>::rows;

  /** Columns of the patch matrix that a task works on, and how they are packed. */
  class Patches {
   public:
    explicit Patches(const PatchProduct& of) : of(of), byDepth(of.axes.back().kernel > of.axes.back().out) {}
    int64_t firstPanel = 0, lastPanel = 0, firstColumn = 0, lastColumn = 0;

    void place(int64_t first, int64_t last) {
      firstPanel = first;
      lastPanel = last;
      firstColumn = first * C;
      lastColumn = std::min(last * C, of.images * of.positions);
      if (byDepth) return;
      pieces.clear();
      starts.clear();
      for (int64_t panel = first; panel < last; panel++) placePanel(panel);
      starts.push_back(pieces.size());
    }

    /** One panel, depth begin … end. */
    void pack(T* to, const T* in, int64_t panel, int64_t begin, int64_t end) const {
      if (byDepth) return packByDepth(to, in, panel, begin, end);
      const size_t* start = starts.data() + (panel - firstPanel) * of.taps;
      int64_t tap = begin % of.taps;
      const T* from = in + begin / of.taps * of.inChannel;
      for (int64_t k = begin; k < end; k++, to += C) {
        const Piece* piece = pieces.data() + start[tap];
        const Piece* last = pieces.data() + start[tap + 1];
        if (piece == last || piece->count < C) std::memset(to, 0, C * sizeof(T));
        for (; piece != last; piece++) {
          T* target = to + piece->column;
          const T* source = from + piece->offset;
          if (piece->spacing == 1) copyEvery(target, source, piece->step, piece->count);
          else
            for (int i = 0; i < piece->count; i++) target[i * piece->spacing] = source[i * piece->step];
        }
        if (++tap == of.taps) {
          tap = 0;
          from += of.inChannel;
        }
      }
    }

   private:
    /** Columns of a panel that read the input from `offset` on under one tap. */
    struct Piece {
      int64_t offset, step;
      int column, count, spacing;
    };

    void placePanel(int64_t panel) {
      const Axis& inner = of.axes.back();
      const size_t outer = of.axes.size() - 1;
      const int64_t first = panel * C, last = std::min(first + C, of.images * of.positions);
      // Rows of the output that the panel touches: where they begin and end, and their outer positions.
      struct Line {
        int64_t column, begin, end, image;
        int64_t at[8];
      } lines[C];
      int count = 0;
      for (int64_t column = first; column < last;) {
        Line& line = lines[count++];
        line.image = column / of.positions;
        int64_t rest = column % of.positions;
        line.begin = rest % inner.out;
        line.end = std::min(inner.out, line.begin + last - column);
        line.column = column - first;
        rest /= inner.out;
        for (size_t axis = outer; axis-- > 0;) {
          line.at[axis] = rest % of.axes[axis].out;
          rest /= of.axes[axis].out;
        }
        column += line.end - line.begin;
      }
      for (int64_t tap = 0; tap < of.taps; tap++) {
        starts.push_back(pieces.size());
        for (int index = 0; index < count; index++) {
          const Line& line = lines[index];
          int64_t offset = line.image * of.inImage, rest = tap / inner.kernel;
          bool isInside = true;
          for (size_t axis = outer; axis-- > 0;) {
            const int64_t at = of.axes[axis].at(line.at[axis], rest % of.axes[axis].kernel);
            rest /= of.axes[axis].kernel;
            isInside = isInside && at >= 0;
            offset += at * of.axes[axis].inStride;
          }
          if (!isInside) continue;
          const Run run = insideOf(line.begin, line.end, tap % inner.kernel * inner.kernelDilation - inner.low, inner.step, inner.in, inner.inDilation);
          if (run.count == 0) continue;
          const Piece piece{offset + run.at * inner.inStride, run.step * inner.inStride, int(line.column + run.first - line.begin), int(run.count), int(run.spacing)};
          // Rows without gaps between them are one piece.
          if (starts.back() < pieces.size()) {
            Piece& before = pieces.back();
            if (before.step == piece.step && before.spacing == piece.spacing && before.column + before.count * before.spacing == piece.column &&
                before.offset + before.count * before.step == piece.offset) {
              before.count += piece.count;
              continue;
            }
          }
          pieces.push_back(piece);
        }
      }
    }

    /** Where the kernel is wider than the output, as in gradients of kernels: column by column along the taps. */
    void packByDepth(T* to, const T* in, int64_t panel, int64_t begin, int64_t end) const {
      const Axis& inner = of.axes.back();
      const size_t outer = of.axes.size() - 1;
      std::memset(to, 0, size_t(end - begin) * C * sizeof(T));
      const int64_t first = panel * C, last = std::min(first + C, of.images * of.positions);
      for (int64_t column = first; column < last; column++) {
        int64_t at[8];
        int64_t position = column % of.positions;
        const T* image = in + column / of.positions * of.inImage;
        for (size_t axis = of.axes.size(); axis-- > 0;) {
          at[axis] = position % of.axes[axis].out;
          position /= of.axes[axis].out;
        }
        for (int64_t k = begin; k < end;) {
          const int64_t tap = k % of.taps, firstTap = tap % inner.kernel;
          const int64_t lastTap = std::min(inner.kernel, firstTap + end - k);
          int64_t rest = tap / inner.kernel;
          int64_t offset = k / of.taps * of.inChannel;
          bool isInside = true;
          for (size_t axis = outer; axis-- > 0;) {
            const int64_t index = of.axes[axis].at(at[axis], rest % of.axes[axis].kernel);
            rest /= of.axes[axis].kernel;
            isInside = isInside && index >= 0;
            offset += index * of.axes[axis].inStride;
          }
          if (isInside) {
            const Run run = insideOf(firstTap, lastTap, at[outer] * inner.step - inner.low, inner.kernelDilation, inner.in, inner.inDilation);
            const T* from = image + offset + run.at * inner.inStride;
            T* target = to + (k - begin + run.first - firstTap) * C + column - first;
            const int64_t step = run.step * inner.inStride, spacing = run.spacing * C;
            for (int64_t i = 0; i < run.count; i++) target[i * spacing] = from[i * step];
          }
          k += lastTap - firstTap;
        }
      }
    }

    const PatchProduct& of;
    const bool byDepth;
    std::vector<Piece> pieces;
    std::vector<size_t> starts;
  };

  void multiplyBlock(const Patches& patches, const T* in, const T* left, T* out, int64_t kc, int64_t firstRow, int64_t lastRow) const {
    const int64_t count = patches.lastPanel - patches.firstPanel;
    const int64_t height = lastRow - firstRow;
    T* packed = reinterpret_cast<T*>(scratchOf(Scratch::panels, count * kc * C * int64_t(sizeof(T))));
    // Panels whose columns are not side by side in the result are summed apart.
    T* apart = nullptr;
    const auto isApart = [&](int64_t panel) {
      const int64_t first = panel * C, last = std::min(first + C, patches.lastColumn) - 1;
      return !isDense || first / positions != last / positions;
    };
    for (int64_t panel = patches.firstPanel; panel < patches.lastPanel && apart == nullptr; panel++)
      if (isApart(panel)) apart = reinterpret_cast<T*>(scratchOf(Scratch::sums, count * height * C * int64_t(sizeof(T))));
    for (int64_t k0 = 0; k0 < depth; k0 += kc) {
      const int64_t there = std::min(kc, depth - k0);
      for (int64_t index = 0; index < count; index++) patches.pack(packed + index * there * C, in, patches.firstPanel + index, k0, k0 + there);
      for (int64_t r0 = firstRow; r0 < lastRow; r0 += Tiling<T>::blockRows) {
        const int64_t r1 = std::min(lastRow, r0 + Tiling<T>::blockRows);
        for (int64_t index = 0; index < count; index++) {
          const int64_t column = (patches.firstPanel + index) * C;
          const bool apartHere = isApart(patches.firstPanel + index);
          T* to = apartHere ? apart + index * height * C - firstRow * C : out + column / positions * outImage + column % positions;
          const int64_t toRow = apartHere ? C : outRow;
          const int64_t cols = std::min<int64_t>(C, patches.lastColumn - column);
          const T* from = left + k0 * paddedRows() + r0 * there;
          for (int64_t r = r0; r < r1;) {
            const int size = panelRows<T>(rows - r);
            multiplyPanel<T>(size, there, from, packed + index * there * C, to + r * toRow, toRow, k0 > 0, r1 - r, apartHere ? C : cols);
            from += size * there;
            r += size;
          }
        }
      }
    }
    if (apart == nullptr) return;
    for (int64_t index = 0; index < count; index++) {
      if (!isApart(patches.firstPanel + index)) continue;
      const int64_t column = (patches.firstPanel + index) * C;
      const int64_t cols = std::min<int64_t>(C, patches.lastColumn - column);
      int64_t offsets[C];
      for (int64_t j = 0; j < cols; j++) offsets[j] = outputAt(column + j);
      for (int64_t row = 0; row < height; row++) {
        const T* from = apart + (index * height + row) * C;
        T* to = out + (firstRow + row) * outRow;
        for (int64_t j = 0; j < cols; j++) to[offsets[j]] = from[j];
      }
    }
  }

  int64_t outputAt(int64_t column) const {
    int64_t offset = column / positions * outImage, rest = column % positions;
    for (size_t axis = axes.size(); axis-- > 0;) {
      offset += rest % axes[axis].out * axes[axis].outStride;
      rest /= axes[axis].out;
    }
    return offset;
  }

  int64_t paddedRows() const { return roundUp(rows, R); }

  /** The kernel of every group in panels of rows, block by block of the depth. */
  void packKernel(T* to, const T* kernel, int64_t kc) const {
    const int64_t panels = divideUp(rows, R);
    parallelFor(groups * panels, divideUp(1 << 14, R * depth), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t group = task / panels, first = task % panels * R;
        const int64_t height = std::min<int64_t>(R, rows - first);
        const T* from = kernel + group * kernelGroup + first * kernelRow;
        for (int64_t k0 = 0; k0 < depth; k0 += kc) {
          const int64_t there = std::min(kc, depth - k0);
          T* target = to + group * paddedRows() * depth + k0 * paddedRows() + first * there;
          if (depthStride != 0) packRows<T>(target, {from + k0 * depthStride, kernelRow, depthStride}, height, there);
          else packTaps(target, from, height, k0, k0 + there);
        }
      }
    });
  }
  void packTaps(T* to, const T* from, int64_t height, int64_t begin, int64_t end) const {
    const int64_t there = end - begin;
    for (int64_t row = 0; row < height;) {
      const int panel = panelRows<T>(height - row);
      const int count = int(std::min<int64_t>(panel, height - row));
      if (count < panel) std::memset(to, 0, size_t(panel * there) * sizeof(T));
      for (int r = 0; r < count; r++) {
        const T* line = from + (row + r) * kernelRow;
        T* target = to + r;
        int64_t tap = begin % taps, channel = begin / taps;
        for (int64_t k = begin; k < end; k++, target += panel) {
          *target = line[channel * kernelChannel + tapOffsets[size_t(tap)]];
          if (++tap == taps) {
            tap = 0;
            channel++;
          }
        }
      }
      to += panel * there;
      row += panel;
    }
  }

  /** Where the whole depth of a row of the kernel is walked with one stride, that, or else 0. */
  int64_t depthStride;
  Kept<T> kept;
};

}  // namespace weft
