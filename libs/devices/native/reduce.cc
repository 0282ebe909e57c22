// Reductions by one operator: along rows (what is folded is dense) or down columns (what is kept is dense), of any strides outside
// of that.
#include <algorithm>
#include "chain.h"
#include "fold.h"
#include "program.h"

namespace weft {

/**
 * Words: slots of the operand, the initial value and the result; offset into the operand; kept axes (size, stride), after their
 * count; folded axes likewise; dense elements inside of those; whether these are folded (rows) or kept (columns).
 */
template <class Op, class T>
class Reduce final : public Step, public Gathering {
 public:
  explicit Reduce(Reader& reader) {
    from = reader.next();
    init = reader.next();
    to = reader.next();
    offset = reader.next();
    readAxes(reader, kept, keptCount);
    readAxes(reader, folded, foldedCount);
    inner = reader.next();
    isRows = reader.next() != 0;
  }

  void run(Slots slots) override {
    const T* source = sourceIn(slots);
    const A start = startIn(slots);
    T* target = reinterpret_cast<T*>(slots[to]);
    if (isRows) runRows(source, start, target);
    else runColumns(source, start, target);
  }

  void runParts(Slots slots, int64_t begin, int64_t end, int64_t parts) override {
    const int64_t each = keptCount / parts;
    T* target = reinterpret_cast<T*>(slots[to]);
    if (isRows) {
      foldResults(sourceIn(slots), startIn(slots), target, each * begin, each * end);
    } else {
      const int64_t width = std::min<int64_t>(roundUp(inner, 64), mostColumns);
      const int64_t tiles = divideUp(inner, width);
      foldColumns(sourceIn(slots), startIn(slots), target, width, tiles, each * begin * tiles, each * end * tiles);
    }
  }

  int64_t stateBytes() const override { return keptCount * (isRows ? 1 : inner) * int64_t(sizeof(A)); }
  void startState(char* state) const override {
    A* sums = reinterpret_cast<A*>(state);
    std::fill(sums, sums + stateBytes() / int64_t(sizeof(A)), Op::template identity<A>());
  }
  void foldParts(Slots slots, char* state, int64_t begin, int64_t end, int64_t between) const override {
    const T* source = sourceIn(slots) + begin * between;
    A* sums = reinterpret_cast<A*>(state);
    for (int64_t result = 0; result < keptCount; result++) {
      const T* base = source + offsetOf(kept, result);
      if (!isRows && foldedCount == 1) {
        weft::foldRows<Op, T>(sums + result * inner, base, end - begin, between, inner);
        continue;
      }
      for (int64_t part = begin; part < end; part++, base += between) {
        if (isRows) sums[result] = foldRange(base, 0, foldedCount * inner, sums[result]);
        else foldDown(sums + result * inner, base, inner);
      }
    }
  }
  void finishStates(Slots slots, char* const* states, int64_t count) const override {
    const A start = startIn(slots);
    T* target = reinterpret_cast<T*>(slots[to]);
    const int64_t results = stateBytes() / int64_t(sizeof(A));
    for (int64_t result = 0; result < results; result++) {
      A sum = start;
      for (int64_t at = 0; at < count; at++) sum = foldPair<Op, A>(sum, reinterpret_cast<const A*>(states[at])[result]);
      target[result] = T(sum);
    }
  }

 private:
  using A = AccumulatorOf<Op, T>;
  struct WalkAxis {
    int64_t size, stride;
  };
  static void readAxes(Reader& reader, std::vector<WalkAxis>& axes, int64_t& count) {
    axes.resize(reader.nextCount());
    count = 1;
    for (auto& axis : axes) {
      axis.size = reader.next();
      axis.stride = reader.next();
      count *= axis.size;
    }
  }
  static int64_t offsetOf(const std::vector<WalkAxis>& axes, int64_t index) {
    int64_t offset = 0;
    for (size_t axis = axes.size(); axis-- > 0;) {
      offset += index % axes[axis].size * axes[axis].stride;
      index /= axes[axis].size;
    }
    return offset;
  }
  static constexpr int64_t grain = 1 << 15;
  static constexpr int64_t mostColumns = 1024;
  /** Longer rows are walked one after the other. */
  static constexpr int64_t mostOfShortRow = 4096;

  const T* sourceIn(Slots slots) const { return reinterpret_cast<const T*>(slots[from]) + offset; }
  A startIn(Slots slots) const { return A(*reinterpret_cast<const T*>(slots[init])); }

  void foldResults(const T* source, A start, T* target, int64_t begin, int64_t end) const {
    if (!kept.empty() && foldedCount == 1 && inner <= mostOfShortRow) return foldShortRows(source, start, target, begin, end);
    for (int64_t result = begin; result < end; result++) target[result] = T(foldRange(source + offsetOf(kept, result), 0, foldedCount * inner, start));
  }

  /** Four at once, so that what follows the last element of each is done for them together. */
  void foldShortRows(const T* source, A start, T* target, int64_t begin, int64_t end) const {
    const auto rowOf = [&](int64_t result) { return source + (kept.size() == 1 ? result * kept[0].stride : offsetOf(kept, result)); };
    for (int64_t result = begin; result < end; result += 4) {
      const int64_t last = std::min<int64_t>(4, end - result) - 1;
      const T* const rows[4] = {rowOf(result), rowOf(result + std::min<int64_t>(1, last)), rowOf(result + std::min<int64_t>(2, last)), rowOf(result + last)};
      A sums[4];
      foldFourRows<Op, T>(sums, rows, inner, start);
      for (int64_t row = 0; row <= last; row++) target[result + row] = T(sums[row]);
    }
  }

  void runRows(const T* source, A start, T* target) const {
    const int64_t length = foldedCount * inner;
    const int64_t threads = pool().size();
    if (keptCount < threads && length >= 4 * grain) {
      // Few long results: each is folded in parts.
      const int64_t parts = std::min<int64_t>(length / grain, 4 * threads);
      std::vector<A> sums(size_t(parts * keptCount));
      parallelFor(parts * keptCount, 1, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; task++) {
          const int64_t result = task / parts, part = task % parts;
          sums[size_t(task)] = foldRange(source + offsetOf(kept, result), length * part / parts, length * (part + 1) / parts, Op::template identity<A>());
        }
      });
      for (int64_t result = 0; result < keptCount; result++) {
        A sum = start;
        for (int64_t part = 0; part < parts; part++) sum = foldPair<Op, A>(sum, sums[size_t(result * parts + part)]);
        target[result] = T(sum);
      }
      return;
    }
    parallelFor(keptCount, divideUp(grain, std::max<int64_t>(1, length)), [&](int64_t begin, int64_t end) { foldResults(source, start, target, begin, end); });
  }

  /** Folds positions begin … end of what is folded into one result. */
  A foldRange(const T* source, int64_t begin, int64_t end, A sum) const {
    if (foldedCount == 1) return foldDense<Op, T>(source + begin, end - begin, sum);
    for (int64_t at = begin; at < end;) {
      const int64_t column = at % inner;
      const int64_t count = std::min(end - at, inner - column);
      sum = foldDense<Op, T>(source + offsetOf(folded, at / inner) + column, count, sum);
      at += count;
    }
    return sum;
  }

  void runColumns(const T* source, A start, T* target) const {
    const int64_t threads = pool().size();
    const int64_t width = std::clamp<int64_t>(roundUp(divideUp(inner, 2 * threads), 64), 64, mostColumns);
    const int64_t tiles = divideUp(inner, width);
    parallelFor(keptCount * tiles, divideUp(grain, std::max<int64_t>(1, foldedCount * std::min(width, inner))), [&](int64_t begin, int64_t end) {
      foldColumns(source, start, target, width, tiles, begin, end);
    });
  }

  /** Tiles begin … end - 1, of `width` columns each, `tiles` in a row of results. */
  void foldColumns(const T* source, A start, T* target, int64_t width, int64_t tiles, int64_t begin, int64_t end) const {
    alignas(64) A sums[mostColumns];
    for (int64_t task = begin; task < end; task++) {
      const int64_t row = task / tiles, first = task % tiles * width;
      const int64_t count = std::min(width, inner - first);
      const T* base = source + offsetOf(kept, row) + first;
      for (int64_t at = 0; at < count; at++) sums[at] = start;
      foldDown(sums, base, count);
      T* result = target + row * inner + first;
      for (int64_t at = 0; at < count; at++) result[at] = T(sums[at]);
    }
  }

  /** Folds what is folded of `count` columns into their accumulators, some rows at a time. */
  void foldDown(A* sums, const T* base, int64_t count) const {
    constexpr int64_t most = 8;
    const int64_t run = folded.empty() ? 1 : folded.back().size;
    const int64_t stride = folded.empty() ? 0 : folded.back().stride;
    for (int64_t part = 0; part < foldedCount; part += run) {
      const T* first = base + offsetOf(folded, part);
      for (int64_t row = 0; row < run; row += most) weft::foldRows<Op, T>(sums, first + row * stride, std::min(most, run - row), stride, count);
    }
  }

  int64_t from, init, to, offset, inner, keptCount = 1, foldedCount = 1;
  std::vector<WalkAxis> kept, folded;
  bool isRows;
};

template <class Op, class T>
void addReduction(const char* name, const std::string& dtype) {
  operations()[std::string("reduce.") + name + "." + dtype] = makeStep<Reduce<Op, T>>;
}
template <class T>
void addOrderReductions(const std::string& dtype) {
  addReduction<MaximumOf, T>("maximum", dtype);
  addReduction<MinimumOf, T>("minimum", dtype);
}
template <class T>
void addSumReductions(const std::string& dtype) {
  addReduction<SumOf, T>("add", dtype);
  addReduction<ProductOf, T>("multiply", dtype);
}
/** Integers of one width: all but the order is the same for both signs. */
template <class U>
void addIntegerReductions(const std::string& bits) {
  addOrderReductions<std::make_signed_t<U>>("int" + bits);
  addOrderReductions<U>("uint" + bits);
  for (const char* sign : {"int", "uint"}) {
    addSumReductions<U>(sign + bits);
    addReduction<AndOf, U>("and", sign + bits);
    addReduction<OrOf, U>("or", sign + bits);
    addReduction<XorOf, U>("xor", sign + bits);
  }
}

[[maybe_unused]] const bool reductionsAreThere = [] {
  addSumReductions<float>("float32");
  addOrderReductions<float>("float32");
  addSumReductions<double>("float64");
  addOrderReductions<double>("float64");
  addIntegerReductions<uint8_t>("8");
  addIntegerReductions<uint16_t>("16");
  addIntegerReductions<uint32_t>("32");
  addIntegerReductions<uint64_t>("64");
  // On bool, arithmetic is logic.
  for (const char* name : {"add", "or", "maximum"}) addReduction<OrOf, uint8_t>(name, "bool");
  for (const char* name : {"multiply", "and", "minimum"}) addReduction<AndOf, uint8_t>(name, "bool");
  addReduction<XorOf, uint8_t>("xor", "bool");
  return true;
}();

}  // namespace weft
