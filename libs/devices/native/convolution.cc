// `convolution.float32`, `convolution.float64`: for each group a product of the kernel (output features × depth) with the patches
// of the input (depth × output positions of all images), where depth is input features × taps. Patches are never written out whole:
// they are packed panel by panel as the product wants them. Groups of a feature or two (depthwise) are summed tap by tap.
#include <memory>
#include "gemm.h"
#include "pointwise.h"
#include "spatial.h"

namespace weft {

/** Few dense elements; longer ones are memcpy's. */
template <class T>
inline void copyFew(T* to, const T* from, int64_t count) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  using H = Vector<T, L / 2>;
  if (count >= L) {
    for (int64_t at = 0; at + L <= count; at += L) storeVector(to + at, loadVector<W>(from + at));
    storeVector(to + count - L, loadVector<W>(from + count - L));
  } else if (count >= L / 2) {
    storeVector(to, loadVector<H>(from));
    storeVector(to + count - L / 2, loadVector<H>(from + count - L / 2));
  } else {
    for (int64_t at = 0; at < count; at++) to[at] = from[at];
  }
}

/**
 * Words: slots of input, kernel and result; offsets of input and kernel; groups, images, output features and input features of a group;
 * strides of the input (group, image, feature), the kernel (group, output feature, input feature) and the result (group, image,
 * feature); spatial dimensions as in ConvolutionAxis, after their count; whether the kernel never changes; 1 and a pointwise step over
 * the result's elements, or 0.
 */
template <class T>
class Convolution final : public Step {
 public:
  explicit Convolution(Reader& reader) {
    for (int64_t* word : {&inSlot, &kernelSlot, &outSlot, &inOffset, &kernelOffset, &groups, &images, &rows, &channels, &inGroup, &inImage, &inChannel,
                          &kernelGroup, &kernelRow, &kernelChannel, &outGroup, &outImage, &outRow})
      *word = reader.next();
    axes.resize(reader.nextCount());
    for (Axis& axis : axes)
      for (int64_t* word : {&axis.in, &axis.kernel, &axis.out, &axis.step, &axis.low, &axis.inDilation, &axis.kernelDilation, &axis.inStride,
                            &axis.kernelStride, &axis.outStride})
        *word = reader.next();
    isConstant = reader.next() != 0;
    if (reader.next() != 0) {
      reader.next();  // the kind of the step, which is known
      epilogue = std::make_unique<Pointwise>(reader);
    }
    int64_t dense = 1;
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
    depthStride = taps > 1 ? tapOffsets[1] : kernelChannel;
    for (int64_t tap = 0; tap < taps; tap++)
      if (tapOffsets[size_t(tap)] != tap * depthStride) depthStride = 0;
    if (channels > 1 && kernelChannel != taps * depthStride) depthStride = 0;
  }

  void run(Slots slots) override {
    const T* in = reinterpret_cast<const T*>(slots[inSlot]) + inOffset;
    const T* kernel = reinterpret_cast<const T*>(slots[kernelSlot]) + kernelOffset;
    T* out = reinterpret_cast<T*>(slots[outSlot]);
    if (rows <= 2) sumTaps(in, kernel, out, slots);
    else multiplyPatches(in, kernel, out, slots);
    if (epilogue != nullptr && !isDense) epilogue->run(slots);
  }

 private:
  using Axis = ConvolutionAxis;
  using Run = ConvolutionRun;
  static constexpr int C = Tiling<T>::columns, R = Tiling<T>::rows;

  // ---- as a product -------------------------------------------------------------------------------------------------

  void multiplyPatches(const T* in, const T* kernel, T* out, Slots slots) {
    const int64_t kc = PackedMatrix<T>::blockDepth(depth);
    const T* left = packKernel(kernel, kc);
    const int64_t columns = images * positions;
    const int64_t panels = divideUp(columns, C);
    const int64_t threads = pool().size();
    // Panels of a task: what the second-level cache holds, fewer where threads would go without.
    const int64_t most = std::max<int64_t>(1, 262144 / (kc * C * int64_t(sizeof(T))));
    const int64_t wide = std::clamp<int64_t>(groups * panels / (3 * threads), 1, most);
    const int64_t blocks = divideUp(panels, wide);
    const int64_t parts = groups * blocks >= threads ? 1 : std::clamp<int64_t>(divideUp(threads, groups * blocks), 1, divideUp(rows, R));
    const int64_t work = std::max<int64_t>(1, depth * rows * wide * C / parts);
    parallelFor(groups * blocks * parts, divideUp(productGrain, work), [&](int64_t begin, int64_t end) {
      Patches patches(*this);
      for (int64_t task = begin; task < end; task++) {
        const int64_t part = task % parts, block = task / parts % blocks, group = task / parts / blocks;
        const int64_t firstRow = divideUp(rows, R) * part / parts * R, lastRow = std::min(rows, divideUp(rows, R) * (part + 1) / parts * R);
        patches.place(block * wide, std::min(panels, (block + 1) * wide));
        multiplyBlock(patches, in + group * inGroup, left + group * paddedRows() * depth, out + group * outGroup, kc, firstRow, lastRow);
        if (epilogue == nullptr || !isDense) continue;
        for (int64_t row = firstRow; row < lastRow; row++) {
          for (int64_t column = patches.firstColumn; column < patches.lastColumn;) {
            const int64_t position = column % positions;
            const int64_t count = std::min(patches.lastColumn - column, positions - position);
            const int64_t at = group * outGroup + row * outRow + column / positions * outImage + position;
            epilogue->runRange(slots, at, at + count);
            column += count;
          }
        }
      }
    });
  }

  /** Columns of the patch matrix that a task works on, and how they are packed. */
  class Patches {
   public:
    explicit Patches(const Convolution& of) : of(of), byDepth(of.axes.back().kernel > of.axes.back().out) {}
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
          if (piece->step == 1 && piece->spacing == 1) copyFew(target, source, piece->count);
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

    const Convolution& of;
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
  const T* packKernel(const T* kernel, int64_t kc) {
    const int64_t count = groups * paddedRows() * depth;
    if (isConstant && packedFrom == kernel) return aligned(kept.data());
    T* to;
    if (isConstant) {
      kept.resize(size_t(count + alignment));
      to = aligned(kept.data());
      packedFrom = kernel;
    } else {
      to = reinterpret_cast<T*>(scratchOf(Scratch::rows, count * int64_t(sizeof(T))));
    }
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
    return to;
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
  static T* aligned(T* at) { return reinterpret_cast<T*>(roundUp(int64_t(at), alignment)); }

  // ---- tap by tap ---------------------------------------------------------------------------------------------------

  void sumTaps(const T* in, const T* kernel, T* out, Slots slots) const {
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
        if (epilogue != nullptr && isDense) epilogue->runRange(slots, to, to + inner.out);
      }
    });
  }

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

  int64_t inSlot, kernelSlot, outSlot, inOffset, kernelOffset, groups, images, rows, channels, inGroup, inImage, inChannel, kernelGroup, kernelRow, kernelChannel,
      outGroup, outImage, outRow;
  std::vector<Axis> axes;
  int64_t positions = 1, taps = 1, depth = 1;
  /** Where each tap is in the kernel; and, where the whole depth of a row is walked with one stride, that, or else 0. */
  std::vector<int64_t> tapOffsets;
  int64_t depthStride = 0;
  /** The positions of an image are side by side in the result. */
  bool isDense = true;
  bool isConstant;
  std::vector<T> kept;
  const T* packedFrom = nullptr;
  std::unique_ptr<Pointwise> epilogue;
};

const Register registerConvolutionFloat32("convolution.float32", makeStep<Convolution<float>>);
const Register registerConvolutionFloat64("convolution.float64", makeStep<Convolution<double>>);

}  // namespace weft
