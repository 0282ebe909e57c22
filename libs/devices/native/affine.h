// What follows a kernel that makes its result feature by feature, as one formula in registers:
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
    count = features;
    rows.resize(size_t(features) * code.size());
    for (size_t index = 0; index < code.size(); index++) computeRow(given, code[index], rowOf(index));
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
  void apply(T* to, const T* from, int64_t n, int64_t feature, int64_t element) const {
    if (gate == 0) applyWith<0>(to, from, n, feature, element);
    else if (gate == 1) applyWith<1>(to, from, n, feature, element);
    else applyWith<2>(to, from, n, feature, element);
  }

 private:
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  struct Line {
    int operation;
    int64_t a, b, c;
  };

  T* rowOf(size_t index) { return rows.data() + index * size_t(count); }
  const T* rowOf(size_t index) const { return rows.data() + index * size_t(count); }

  void computeRow(Slots given, const Line& line, T* to) {
    if (line.operation == 0) {
      double value;
      std::memcpy(&value, &line.a, sizeof value);
      std::fill_n(to, count, T(value));
      return;
    }
    if (line.operation == 1) {
      const T* from = reinterpret_cast<const T*>(given[line.a]) + line.b;
      for (int64_t i = 0; i < count; i++) to[i] = from[i * line.c];
      return;
    }
    const T *a = rowOf(size_t(line.a)), *b = rowOf(size_t(line.b));
    const auto each = [&](const auto& operation) {
      for (int64_t i = 0; i < count; i++) to[i] = operation(a[i], b[i]);
    };
    if (line.operation == 2) each([](T x, T y) { return x + y; });
    else if (line.operation == 3) each([](T x, T y) { return x - y; });
    else if (line.operation == 4) each([](T x, T y) { return x * y; });
    else each([](T x, T y) { return x / y; });
  }

  template <int gates>
  void applyWith(T* to, const T* from, int64_t n, int64_t feature, int64_t element) const {
    if (others == 0) applyTo<0, gates>(to, from, n, feature, element);
    else if (others == 1) applyTo<1, gates>(to, from, n, feature, element);
    else applyTo<2, gates>(to, from, n, feature, element);
  }

  template <int terms, int gates>
  void applyTo(T* to, const T* from, int64_t n, int64_t feature, int64_t element) const {
    const W factor = splat<W>(rowOf(own)[feature]), offset = splat<W>(rowOf(shift)[feature]);
    const W least = splat<W>(low), most = splat<W>(high);
    W by[terms + 1];
    const T* with[terms + 1];
    for (int term = 0; term < terms; term++) {
      by[term] = splat<W>(rowOf(factors[term])[feature]);
      with[term] = at[term] + element;
    }
    // Comparisons let NaN through.
    const W signs = splat<W>(sign), bounds = splat<W>(bound), replacements = splat<W>(replacement);
    const T* gated = gates != 0 ? gateAt + element : nullptr;
    const auto formula = [&](W sum, const W* other, W through) {
      W value = sum * factor + offset;
      for (int term = 0; term < terms; term++) value += other[term] * by[term];
      value = value <= least ? least : value;
      value = value >= most ? most : value;
      if constexpr (gates == 1) value = through * signs <= bounds ? replacements : value;
      if constexpr (gates == 2) value = through * signs > bounds ? value : replacements;
      return value;
    };
    W other[terms + 1], through{};
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      for (int term = 0; term < terms; term++) other[term] = loadVector<W>(with[term] + i);
      if constexpr (gates != 0) through = loadVector<W>(gated + i);
      storeVector(to + i, formula(loadVector<W>(from + i), other, through));
    }
    if (i == n) return;
    T rest[L] = {};
    const size_t bytes = size_t(n - i) * sizeof(T);
    std::memcpy(rest, from + i, bytes);
    const W sum = loadVector<W>(rest);
    for (int term = 0; term < terms; term++) {
      std::memcpy(rest, with[term] + i, bytes);
      other[term] = loadVector<W>(rest);
    }
    if constexpr (gates != 0) {
      std::memcpy(rest, gated + i, bytes);
      through = loadVector<W>(rest);
    }
    storeVector(rest, formula(sum, other, through));
    std::memcpy(to + i, rest, bytes);
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
};

}  // namespace weft
