// What follows a kernel whose result has features in one dimension, as one formula in registers:
//   result = clamp(factor[feature] · sum + Σ factor[feature] · other + shift[feature], low, high),
// or a number where an element of another tensor is beyond a bound, as gradients of relu are.
// Factors and shifts are arithmetic on small tensors (the statistics of a normalisation, a bias), done once a run.
#pragma once
#include <cmath>
#include "program.h"

namespace weft {

/** Tensors of the result's shape beside the kernel's own. */
constexpr int mostTerms = 2;

/**
 * Words: arithmetic on rows of a number for each feature (operation, a, b, c), after its count: 0 a constant (bits of a double), 1 a
 * tensor (slot, offset, stride), 2 … 5 the sum, difference, product and quotient of two earlier rows; rows of the own factor and of
 * the shift; other tensors (slot, row of the factor), after their count; bits of low and high; a gate: 0 none, 1 what replaces stands where
 * sign · element ≤ bound, 2 where not sign · element > bound; if there is one its slot, bits of sign, of bound, of what replaces.
 */
template <class T>
class Affine {
 public:
  explicit Affine(Reader& reader) {
    code.resize(reader.nextCount());
    rowAt.resize(code.size());
    for (Line& line : code) {
      line.operation = reader.nextInt();
      for (int64_t* word : {&line.a, &line.b, &line.c}) *word = reader.next();
    }
    own = reader.nextCount();
    shift = reader.nextCount();
    others = reader.nextInt();
    if (others > mostTerms) throw std::runtime_error("an affine epilogue has too many tensors");
    for (int other = 0; other < others; other++) {
      slots[other] = reader.next();
      factors[other] = reader.nextCount();
    }
    low = T(reader.nextDouble());
    high = T(reader.nextDouble());
    gate = reader.nextInt();
    if (gate == 0) return;
    gateSlot = reader.next();
    for (T* number : {&sign, &bound, &replacement}) *number = T(reader.nextDouble());
  }

  /** Computes factors and shifts of `features` features; where the other tensors are. */
  void prepare(Slots given, int64_t features) {
    if (count != features) {
      count = features;
      rows.resize(size_t(features) * code.size());
      for (size_t index = 0; index < code.size(); index++) {
        if (code[index].operation == 0) fillRow(code[index], rows.data() + index * size_t(count));
      }
    }
    for (size_t index = 0; index < code.size(); index++) rowAt[index] = computedRow(given, code[index], rows.data() + index * size_t(count));
    for (int other = 0; other < others; other++) at[other] = reinterpret_cast<const T*>(given[slots[other]]);
    if (gate != 0) gateAt = reinterpret_cast<const T*>(given[gateSlot]);
  }

  /** Whether there are no other tensors. */
  bool isAlone() const { return others == 0 && gate == 0; }
  T factorOf(int64_t feature) const { return rowOf(own)[feature]; }
  T shiftOf(int64_t feature) const { return rowOf(shift)[feature]; }
  /** Numbers of all features: factors, shifts, and of the other tensors, which are at `termAt`. */
  const T* factorRow() const { return rowOf(own); }
  const T* shiftRow() const { return rowOf(shift); }
  int countOfTerms() const { return others; }
  const T* termAt(int term) const { return at[term]; }
  const T* termRow(int term) const { return rowOf(factors[term]); }
  /** Whether there is a gate (1: what replaces stands where sign · element ≤ bound; 2: where not sign · element > bound). */
  struct Gate {
    int kind;
    const T* at;
    T sign, bound, replacement;
  };
  Gate gateThere() const { return {gate, gateAt, sign, bound, replacement}; }
  T low, high;

  /** Elements of one feature, `element` on in memory; `to` may be `from`. */
  void apply(T* to, const T* from, int64_t n, int64_t feature, int64_t element) const { applyAs<false>(to, from, 0, 1, n, feature, element); }
  /** `rows` rows of elements of `n` features, `feature` on, one of each; `stride` elements from a row to the next. */
  void applyRows(T* at, int64_t stride, int64_t rows, int64_t n, int64_t feature, int64_t element) const {
    applyAs<true>(at, at, stride, rows, n, feature, element);
  }

 private:
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  struct Line {
    int operation;
    int64_t a, b, c;
  };

  const T* rowOf(size_t index) const { return rowAt[index]; }

  void fillRow(const Line& line, T* to) const {
    double value;
    std::memcpy(&value, &line.a, sizeof value);
    std::fill_n(to, count, T(value));
  }

  /** Where a row is; one that has to be computed, or put together, is so in `to`, where constants are already. */
  const T* computedRow(Slots given, const Line& line, T* to) const {
    if (line.operation == 0) return to;
    if (line.operation == 1) {
      const T* from = reinterpret_cast<const T*>(given[line.a]) + line.b;
      if (line.c == 1) return from;
      for (int64_t i = 0; i < count; i++) to[i] = from[i * line.c];
      return to;
    }
    const T *a = rowOf(size_t(line.a)), *b = rowOf(size_t(line.b));
    const auto each = [&](const auto& operation) {
      for (int64_t i = 0; i < count; i++) to[i] = operation(a[i], b[i]);
    };
    if (line.operation == 2) each([](T x, T y) { return x + y; });
    else if (line.operation == 3) each([](T x, T y) { return x - y; });
    else if (line.operation == 4) each([](T x, T y) { return x * y; });
    else each([](T x, T y) { return x / y; });
    return to;
  }

  template <bool isAcross>
  void applyAs(T* to, const T* from, int64_t stride, int64_t times, int64_t n, int64_t feature, int64_t element) const {
    if (gate == 0) applyWith<isAcross, 0>(to, from, stride, times, n, feature, element);
    else if (gate == 1) applyWith<isAcross, 1>(to, from, stride, times, n, feature, element);
    else applyWith<isAcross, 2>(to, from, stride, times, n, feature, element);
  }

  template <bool isAcross, int gates>
  void applyWith(T* to, const T* from, int64_t stride, int64_t times, int64_t n, int64_t feature, int64_t element) const {
    if (others == 0) applyTo<isAcross, 0, gates>(to, from, stride, times, n, feature, element);
    else if (others == 1) applyTo<isAcross, 1, gates>(to, from, stride, times, n, feature, element);
    else applyTo<isAcross, 2, gates>(to, from, stride, times, n, feature, element);
  }

  /** `times` rows of `n` elements, all of one feature or, across, of one feature each. */
  template <bool isAcross, int terms, int gates>
  void applyTo(T* to, const T* from, int64_t stride, int64_t times, int64_t n, int64_t feature, int64_t element) const {
    // What is read: of features the own factor, the shift, and factors of the terms; of elements sums, terms, and what opens the gate.
    constexpr int numbers = 2 + terms, streams = 1 + terms + (gates != 0 ? 1 : 0);
    const T* row[numbers] = {rowOf(own) + feature, rowOf(shift) + feature};
    const T* with[streams] = {from};
    for (int term = 0; term < terms; term++) {
      row[2 + term] = rowOf(factors[term]) + feature;
      with[1 + term] = at[term] + element;
    }
    if constexpr (gates != 0) with[1 + terms] = gateAt + element;
    const W least = splat<W>(low), most = splat<W>(high);
    const W signs = splat<W>(sign), bounds = splat<W>(bound), replacements = splat<W>(replacement);
    // Comparisons let NaN through.
    const auto formula = [&](const W* by, const W* given) __attribute__((always_inline)) {
      W value = given[0] * by[0] + by[1];
      for (int term = 0; term < terms; term++) value += given[1 + term] * by[2 + term];
      value = value <= least ? least : value;
      value = value >= most ? most : value;
      if constexpr (gates == 1) value = given[1 + terms] * signs <= bounds ? replacements : value;
      if constexpr (gates == 2) value = given[1 + terms] * signs > bounds ? value : replacements;
      return value;
    };
    const int64_t whole = n / L * L;
    const size_t bytes = size_t(n - whole) * sizeof(T);
    const auto restOf = [bytes](const T* of) {
      W rest{};
      std::memcpy(&rest, of, bytes);
      return rest;
    };
    W by[numbers], last[numbers], given[streams];
    for (int number = 0; number < numbers; number++) {
      if constexpr (isAcross) last[number] = restOf(row[number] + whole);
      else last[number] = by[number] = splat<W>(*row[number]);
    }
    for (int64_t time = 0; time < times; time++) {
      const int64_t start = time * stride;
      for (int64_t i = 0; i < whole; i += L) {
        if constexpr (isAcross) {
          for (int number = 0; number < numbers; number++) by[number] = loadVector<W>(row[number] + i);
        }
        for (int stream = 0; stream < streams; stream++) given[stream] = loadVector<W>(with[stream] + start + i);
        storeVector(to + start + i, formula(by, given));
      }
      if (bytes == 0) continue;
      for (int stream = 0; stream < streams; stream++) given[stream] = restOf(with[stream] + start + whole);
      const W rest = formula(last, given);
      std::memcpy(to + start + whole, &rest, bytes);
    }
  }

  std::vector<Line> code;
  size_t own, shift;
  int others;
  int64_t slots[mostTerms];
  size_t factors[mostTerms];
  const T* at[mostTerms];
  int gate;
  int64_t gateSlot = 0;
  T sign = 1, bound = 0, replacement = 0;
  const T* gateAt = nullptr;
  int64_t count = 0;
  std::vector<T> rows;
  std::vector<const T*> rowAt;
};

}  // namespace weft
