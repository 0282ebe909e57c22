// `reduce_window.*`: windows folded by one operator, row by row of the result; `select_and_scatter.*`: sources added where windows have
// their greatest or least element. Dimensions are those of a convolution.
#include "fold.h"
#include "interleave.h"
#include "program.h"
#include "spatial.h"

namespace weft {

/** Dimensions, after their count: as in ConvolutionAxis, the window for the kernel. */
inline std::vector<ConvolutionAxis> readWindows(Reader& reader) {
  std::vector<ConvolutionAxis> axes(reader.nextCount());
  for (ConvolutionAxis& axis : axes)
    for (int64_t* word : {&axis.in, &axis.kernel, &axis.out, &axis.step, &axis.low, &axis.inDilation, &axis.kernelDilation, &axis.inStride,
                          &axis.kernelStride, &axis.outStride})
      *word = reader.next();
  return axes;
}

/** Words: slots of operand, initial value and result; offset of the operand; dimensions. The result is dense. */
template <class Op, class T>
class ReduceWindow final : public Step {
 public:
  explicit ReduceWindow(Reader& reader) {
    for (int64_t* word : {&from, &init, &to, &offset}) *word = reader.next();
    axes = readWindows(reader);
    inner = axes.back();
    axes.pop_back();
    // Elements that only lie beside each other, such as the channels of a block.
    if (!axes.empty() && inner.kernel == 1 && inner.out == inner.in && inner.step == 1 && inner.low == 0 && inner.inStride == 1 && inner.inDilation == 1) {
      width = inner.out;
      inner = axes.back();
      axes.pop_back();
    }
    for (const ConvolutionAxis& axis : axes) {
      lines *= axis.out;
      outerTaps *= axis.kernel;
    }
    for (int64_t tap = 0; tap < outerTaps; tap++) {
      int64_t rest = outerTaps, number = tap;
      for (const ConvolutionAxis& axis : axes) {
        rest /= axis.kernel;
        tapsOfAxes.push_back(number / rest);
        number %= rest;
      }
    }
    for (int64_t tap = 0; tap < inner.kernel; tap++)
      runs.push_back(insideOf(0, inner.out, tap * inner.kernelDilation - inner.low, inner.step, inner.in, inner.inDilation));
  }

  void run(Slots slots) override {
    const T* source = reinterpret_cast<const T*>(slots[from]) + offset;
    const A start = A(*reinterpret_cast<const T*>(slots[init]));
    T* target = reinterpret_cast<T*>(slots[to]);
    const bool countsPadding = Op::widens && start != Op::template identity<A>();
    const int64_t length = inner.out * width;
    if constexpr (!Op::widens) {
      if (fitsRegisters()) {
        parallelFor(lines, divideUp(8192, length * outerTaps * inner.kernel), [&](int64_t begin, int64_t end) {
          for (int64_t line = begin; line < end; line++) {
            if (width > 1 || inner.out >= L) foldWindows<L>(source, line, start, target + line * length);
            else foldWindows<few>(source, line, start, target + line * length);
          }
        });
        return;
      }
    }
    parallelFor(lines, divideUp(8192, length * outerTaps * inner.kernel), [&](int64_t begin, int64_t end) {
      A* sums = reinterpret_cast<A*>(scratchOf(Scratch::sums, length * int64_t(sizeof(A))));
      T* row = reinterpret_cast<T*>(scratchOf(Scratch::rows, (inner.out + inner.in) * int64_t(sizeof(T))));
      T* whole = row + inner.out;
      for (int64_t line = begin; line < end; line++) {
        for (int64_t o = 0; o < length; o++) sums[o] = start;
        if (!Op::widens && width == 1 && inner.inStride == 1 && inner.kernel > 1) foldRows(source, line, sums, row, whole);
        else foldLine(source, line, start, countsPadding, sums, row);
        T* result = target + line * length;
        for (int64_t o = 0; o < length; o++) result[o] = T(sums[o]);
      }
    });
  }

 private:
  using A = AccumulatorOf<Op, T>;

  /** Lanes of vectors, and of those for short rows. */
  static constexpr int L = lanesOf<T>, few = std::max(16 / int(sizeof(T)), L / 4);
  static constexpr int64_t mostRows = 64;

  /** Whether vectors of neighbouring results have operands that are neighbours, or every second one. */
  bool fitsRegisters() const {
    return inner.inDilation == 1 && outerTaps <= mostRows && (width >= L || (width == 1 && inner.inStride == 1 && inner.step <= 2 && inner.out >= few));
  }

  /** Operators that may fold in any order, and as they are: a window in registers, for a vector of results at a time. */
  template <int N>
  void foldWindows(const T* source, int64_t line, T start, T* result) const {
    using W = Vector<T, N>;
    int64_t at[16];
    locate(line, at);
    const T* rows[mostRows];
    int64_t count = 0;
    for (int64_t outer = 0; outer < outerTaps; outer++) {
      const int64_t base = baseOf(at, outer);
      if (base != outside) rows[count++] = source + base;
    }
    const auto fold = [&](int64_t first, int64_t taps, auto load, auto sum) {
      for (int64_t row = 0; row < count; row++) {
        const T* from = rows[row] + first * inner.inStride;
        for (int64_t tap = 0; tap < taps; tap++, from += inner.kernelDilation * inner.inStride) sum = Op::template apply<T, decltype(sum)>(sum, load(from));
      }
      return sum;
    };
    // Where the taps of a position that are inside begin, and how many they are.
    const auto inside = [&](int64_t o, int64_t& first) {
      const int64_t shift = o * inner.step - inner.low, skipped = shift < 0 ? divideUp(-shift, inner.kernelDilation) : 0;
      first = shift + skipped * inner.kernelDilation;
      return first >= inner.in ? 0 : std::max<int64_t>(0, std::min(inner.kernel - skipped, (inner.in - 1 - first) / inner.kernelDilation + 1));
    };
    using Few = Vector<T, 16 / int(sizeof(T))>;
    const auto foldOne = [&](int64_t first, int64_t taps) {
      Few one{};
      one[0] = start;
      return fold(first, taps, [](const T* from) { Few element{}; element[0] = *from; return element; }, one)[0];
    };
    const auto vectorOf = [](const T* from) { return loadVector<W>(from); };
    if (width > 1) {
      for (int64_t o = 0; o < inner.out; o++, result += width) {
        int64_t first;
        const int64_t taps = inside(o, first);
        for (int64_t beside = 0; beside < width;) {
          // The last vector may begin in the one before.
          const int64_t place = std::min(beside, width - N);
          storeVector(result + place, fold(first, taps, [&](const T* from) { return loadVector<W>(from + place); }, splat<W>(start)));
          beside = place + N;
        }
      }
      return;
    }
    const int64_t reach = inner.low - (inner.kernel - 1) * inner.kernelDilation;
    const int64_t firstWhole = divideUp(std::max<int64_t>(0, inner.low), inner.step), lastWhole = std::min(inner.out, divideFloor(inner.in - 1 + reach, inner.step) + 1);
    for (int64_t o = 0; o < inner.out;) {
      // The last vector may begin in the one before.
      const int64_t place = o >= firstWhole ? std::min(o, lastWhole - N) : -1;
      if (place >= firstWhole && place + N > o) {
        const int64_t first = place * inner.step - inner.low;
        storeVector(result + place, inner.step == 1 ? fold(first, inner.kernel, vectorOf, splat<W>(start))
                                                    : fold(first, inner.kernel, [](const T* from) { return everySecond<T, N>(from); }, splat<W>(start)));
        o = place + N;
        continue;
      }
      int64_t first;
      const int64_t taps = inside(o, first);
      result[o++] = foldOne(first, taps);
    }
  }

  /** Operators that may fold in any order, and as they are: whole rows of the operand first, then along the row that they give. */
  void foldRows(const T* source, int64_t line, A* sums, T* row, T* whole) const {
    int64_t at[16];
    locate(line, at);
    bool isFirst = true;
    for (int64_t outer = 0; outer < outerTaps; outer++) {
      const int64_t base = baseOf(at, outer);
      if (base == outside) continue;
      if (isFirst) std::memcpy(whole, source + base, size_t(inner.in) * sizeof(T));
      else foldRow<Op, T>(reinterpret_cast<A*>(whole), source + base, inner.in);
      isFirst = false;
    }
    if (isFirst) return;
    for (const ConvolutionRun& run : runs) {
      if (run.spacing == 1) {
        copyEvery(row, whole + run.at, run.step, run.count);
        foldRow<Op, T>(sums + run.first, row, run.count);
      } else {
        for (int64_t i = 0; i < run.count; i++) sums[run.first + i * run.spacing] = foldPair<Op, A>(sums[run.first + i * run.spacing], A(whole[run.at + i * run.step]));
      }
    }
  }

  /** Where a line of the result is along each outer dimension. */
  void locate(int64_t line, int64_t* at) const {
    for (size_t axis = axes.size(); axis-- > 0;) {
      at[axis] = line % axes[axis].out;
      line /= axes[axis].out;
    }
  }
  static constexpr int64_t outside = INT64_MIN;
  /** Where the row of the operand under a tap of the outer dimensions begins, or `outside`. */
  int64_t baseOf(const int64_t* at, int64_t tap) const {
    int64_t base = 0;
    const int64_t* taps = tapsOfAxes.data() + tap * int64_t(axes.size());
    for (size_t axis = 0; axis < axes.size(); axis++) {
      const int64_t index = axes[axis].at(at[axis], taps[axis]);
      if (index < 0) return outside;
      base += index * axes[axis].inStride;
    }
    return base;
  }

  /** In the order of the taps. */
  void foldLine(const T* source, int64_t line, A start, bool countsPadding, A* sums, T* row) const {
    int64_t at[16];
    locate(line, at);
    for (int64_t outer = 0; outer < outerTaps; outer++) {
      const int64_t base = baseOf(at, outer);
      for (int64_t tap = 0; tap < inner.kernel; tap++) {
        const ConvolutionRun run = base != outside ? runs[size_t(tap)] : ConvolutionRun{0, 0, 1, 0, 0};
        if (countsPadding) foldPadding(run, start, sums);
        if (run.count == 0) continue;
        const T* elements = source + base + run.at * inner.inStride;
        if (width > 1) foldBeside(elements, run, sums);
        else foldRun(elements, run, sums, row);
      }
    }
  }
  /** The positions that a tap finds outside of the operand. */
  void foldPadding(const ConvolutionRun& run, A start, A* sums) const {
    for (int64_t o = 0; o < inner.out; o++) {
      const int64_t index = o - run.first;
      if (index >= 0 && index % run.spacing == 0 && index / run.spacing < run.count) continue;
      for (int64_t i = o * width; i < (o + 1) * width; i++) sums[i] = foldPair<Op, A>(sums[i], start);
    }
  }
  /** Positions of one element. */
  void foldRun(const T* elements, const ConvolutionRun& run, A* sums, T* row) const {
    const int64_t step = run.step * inner.inStride;
    if (run.spacing != 1) {
      for (int64_t i = 0; i < run.count; i++) sums[run.first + i * run.spacing] = foldPair<Op, A>(sums[run.first + i * run.spacing], A(elements[i * step]));
    } else if (step == 1) {
      foldRow<Op, T>(sums + run.first, elements, run.count);
    } else {
      copyEvery(row, elements, step, run.count);
      foldRow<Op, T>(sums + run.first, row, run.count);
    }
  }
  /** Positions of several elements each. */
  void foldBeside(const T* elements, const ConvolutionRun& run, A* sums) const {
    const int64_t step = run.step * inner.inStride;
    if (step == width && run.spacing == 1) return foldRow<Op, T>(sums + run.first * width, elements, run.count * width);
    for (int64_t i = 0; i < run.count; i++) foldRow<Op, T>(sums + (run.first + i * run.spacing) * width, elements + i * step, width);
  }

  int64_t from, init, to, offset, lines = 1, outerTaps = 1;
  /** Elements of a position. */
  int64_t width = 1;
  std::vector<ConvolutionAxis> axes;
  ConvolutionAxis inner;
  std::vector<ConvolutionRun> runs;
  /** For each tap of the outer dimensions, the one along each of them. */
  std::vector<int64_t> tapsOfAxes;
};

/**
 * Words: slots of operand, sources, initial value and result; offset of the operand; dimensions of the operand; strides of the result.
 * In each window the first of the greatest (or least) elements is chosen, the last NaN before all; sources of one element add up.
 */
template <class T, bool isGreatest>
class SelectAndScatter final : public Step {
 public:
  explicit SelectAndScatter(Reader& reader) {
    for (int64_t* word : {&from, &given, &init, &to, &offset}) *word = reader.next();
    axes = readWindows(reader);
    while (apart < axes.size() && isTrivial(axes[apart])) planes *= axes[apart++].out;
    for (size_t axis = apart; axis < axes.size(); axis++) {
      positions *= axes[axis].out;
      taps *= axes[axis].kernel;
    }
    for (const ConvolutionAxis& axis : axes) count *= axis.in;
    const ConvolutionAxis& inner = axes.back();
    isPlain = apart < axes.size() && inner.inDilation == 1 && taps <= mostTaps;
    if (!isPlain || inner.inStride != 1 || inner.step > 2) return;
    // Positions of a line whose windows lie inside the operand along it.
    const ConvolutionRun first = insideOf(0, inner.out, -inner.low, inner.step, inner.in, 1);
    const ConvolutionRun last = insideOf(0, inner.out, (inner.kernel - 1) * inner.kernelDilation - inner.low, inner.step, inner.in, 1);
    if (first.count > 0 && last.count > 0) whole = {std::max(first.first, last.first), std::min(first.first + first.count, last.first + last.count)};
  }

  void run(Slots slots) override {
    const T* operand = reinterpret_cast<const T*>(slots[from]) + offset;
    const T* sources = reinterpret_cast<const T*>(slots[given]);
    const T start = *reinterpret_cast<const T*>(slots[init]);
    T* result = reinterpret_cast<T*>(slots[to]);
    const int64_t plane = count / std::max<int64_t>(1, planes);
    parallelFor(planes, divideUp(8192, positions * taps + plane), [&](int64_t begin, int64_t end) {
      std::fill(result + begin * plane, result + end * plane, start);
      for (int64_t index = begin; index < end; index++) {
        int64_t rest = index, base = 0;
        for (size_t axis = apart; axis-- > 0;) {
          base += rest % axes[axis].out * axes[axis].inStride;
          rest /= axes[axis].out;
        }
        const int64_t width = apart < axes.size() ? axes.back().out : 1;
        for (int64_t line = 0; line < positions; line += width) {
          const T* row = sources + index * positions + line;
          if (isPlain) {
            spreadLine(result + index * plane, operand + base, line, row);
            continue;
          }
          for (int64_t x = 0; x < width; x++) {
            const int64_t chosen = choose(operand + base, line + x);
            if (chosen >= 0) result[index * plane + chosen] += row[x];
          }
        }
      }
    });
  }

 private:
  static constexpr int L = lanesOf<T>;
  static constexpr int64_t mostTaps = 64;
  using W = Vector<T, L>;
  using I = Vector<IntegerOf<T>, L>;

  /** Where the rows of the operand, and of the result, under the outer taps begin, of those that are inside. */
  struct Rows {
    int64_t count = 0, elements[mostTaps], targets[mostTaps];
  };
  Rows rowsOf(int64_t line) const {
    int64_t at[16];
    line /= axes.back().out;
    for (size_t axis = axes.size() - 1; axis-- > apart;) {
      at[axis] = line % axes[axis].out;
      line /= axes[axis].out;
    }
    Rows rows;
    for (int64_t tap = 0; tap < taps / axes.back().kernel; tap++) {
      int64_t rest = tap, element = 0, target = 0;
      bool isInside = true;
      for (size_t axis = axes.size() - 1; axis-- > apart;) {
        const int64_t index = axes[axis].at(at[axis], rest % axes[axis].kernel);
        rest /= axes[axis].kernel;
        isInside = isInside && index >= 0;
        element += index * axes[axis].inStride;
        target += index * axes[axis].outStride;
      }
      if (!isInside) continue;
      rows.elements[rows.count] = element;
      rows.targets[rows.count++] = target;
    }
    return rows;
  }

  void spreadLine(T* result, const T* operand, int64_t line, const T* given) const {
    const ConvolutionAxis& inner = axes.back();
    const Rows rows = rowsOf(line);
    if (rows.count == 0) return;
    for (int64_t x = 0; x < inner.out;) {
      if (x >= whole.begin && x + L < whole.end) {
        spreadLanes(result, operand, rows, x, given + x);
        x += L;
        continue;
      }
      T best = 0;
      int64_t chosen = -1;
      for (int64_t row = 0; row < rows.count; row++) {
        int64_t index = x * inner.step - inner.low;
        for (int64_t tap = 0; tap < inner.kernel; tap++, index += inner.kernelDilation) {
          if (index < 0 || index >= inner.in) continue;
          const T next = operand[rows.elements[row] + index * inner.inStride];
          if (chosen >= 0 && !(isGreatest ? next > best : next < best) && next == next) continue;
          best = next;
          chosen = rows.targets[row] + index * inner.outStride;
        }
      }
      if (chosen >= 0) result[chosen] += given[x];
      x++;
    }
  }

  /** L positions of a line from x on, whose windows lie inside the operand along it. */
  void spreadLanes(T* result, const T* operand, const Rows& rows, int64_t x, const T* given) const {
    const ConvolutionAxis& inner = axes.back();
    const I none = I{} - 1;
    W best{};
    I chosen = none;
    int64_t targets[mostTaps];
    IntegerOf<T> number = 0;
    for (int64_t row = 0; row < rows.count; row++) {
      int64_t index = x * inner.step - inner.low;
      for (int64_t tap = 0; tap < inner.kernel; tap++, number++, index += inner.kernelDilation) {
        targets[number] = rows.targets[row] + index * inner.outStride;
        const T* here = operand + rows.elements[row] + index;
        const W next = inner.step == 1 ? loadVector<W>(here) : everySecond<T>(here);
        const I takes = (isGreatest ? next > best : next < best) | (next != next) | (chosen == none);
        best = takes ? next : best;
        chosen = takes ? I{} + number : chosen;
      }
    }
    for (int lane = 0; lane < L; lane++) result[targets[chosen[lane]] + lane * inner.step * inner.outStride] += given[lane];
  }

  static bool isTrivial(const ConvolutionAxis& axis) {
    return axis.kernel == 1 && axis.step == 1 && axis.low == 0 && axis.inDilation == 1 && axis.out == axis.in;
  }

  /** Where in the plane's result the source of a window goes. */
  int64_t choose(const T* operand, int64_t position) const {
    int64_t at[16];
    for (size_t axis = axes.size(); axis-- > apart;) {
      at[axis] = position % axes[axis].out;
      position /= axes[axis].out;
    }
    T best = 0;
    int64_t chosen = -1;
    for (int64_t tap = 0; tap < taps; tap++) {
      int64_t rest = tap, element = 0, target = 0;
      bool isInside = true;
      for (size_t axis = axes.size(); isInside && axis-- > apart;) {
        const int64_t index = axes[axis].at(at[axis], rest % axes[axis].kernel);
        rest /= axes[axis].kernel;
        isInside = index >= 0;
        element += index * axes[axis].inStride;
        target += index * axes[axis].outStride;
      }
      if (!isInside) continue;
      const T next = operand[element];
      const bool stays = !(isGreatest ? next > best : next < best) && next == next;
      if (chosen >= 0 && stays) continue;
      best = next;
      chosen = target;
    }
    return chosen;
  }

  int64_t from, given, init, to, offset, planes = 1, positions = 1, taps = 1, count = 1;
  size_t apart = 0;
  std::vector<ConvolutionAxis> axes;
  /** Whether lines are walked with what they have in common found once. */
  bool isPlain = false;
  struct {
    int64_t begin, end;
  } whole{0, 0};
};

template <class T>
void addWindows(const std::string& dtype) {
  operations()["reduce_window.add." + dtype] = makeStep<ReduceWindow<SumOf, T>>;
  operations()["reduce_window.maximum." + dtype] = makeStep<ReduceWindow<MaximumOf, T>>;
  operations()["reduce_window.minimum." + dtype] = makeStep<ReduceWindow<MinimumOf, T>>;
  operations()["select_and_scatter.GT." + dtype] = makeStep<SelectAndScatter<T, true>>;
  operations()["select_and_scatter.LT." + dtype] = makeStep<SelectAndScatter<T, false>>;
}

[[maybe_unused]] const bool windowsAreThere = [] {
  addWindows<float>("float32");
  addWindows<double>("float64");
  addWindows<int64_t>("int64");
  return true;
}();

}  // namespace weft
