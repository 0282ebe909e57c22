// Operators that fold elements into one, for reductions, windows and scatters. Sums and products of float32 go through
// float64, so long ones lose nothing: of dense elements four are added first, since converting each takes longer than
// all else. NaN goes through maximum and minimum.
#pragma once
#include <algorithm>
#include "numbers.h"
#include "shuffle.h"

namespace weft {

/** What the elements of T are folded in. */
template <class Op, class T>
using AccumulatorOf = std::conditional_t<Op::widens && std::is_same_v<T, float>, double, T>;

struct SumOf {
  static constexpr bool widens = true;
  template <class T> static T identity() { return T(0); }
  template <class T, class V> static V apply(V a, V b) { return a + b; }
};
struct ProductOf {
  static constexpr bool widens = true;
  template <class T> static T identity() { return T(1); }
  template <class T, class V> static V apply(V a, V b) { return a * b; }
};
struct MaximumOf {
  static constexpr bool widens = false;
  template <class T> static T identity() { return std::is_floating_point_v<T> ? T(-INFINITY) : std::numeric_limits<T>::lowest(); }
  template <class T, class V> static V apply(V a, V b) { return largerOf<T>(a, b); }
};
struct MinimumOf {
  static constexpr bool widens = false;
  template <class T> static T identity() { return std::is_floating_point_v<T> ? T(INFINITY) : std::numeric_limits<T>::max(); }
  template <class T, class V> static V apply(V a, V b) { return smallerOf<T>(a, b); }
};
struct AndOf {
  static constexpr bool widens = false;
  template <class T> static T identity() { return T(-1); }
  template <class T, class V> static V apply(V a, V b) { return a & b; }
};
struct OrOf {
  static constexpr bool widens = false;
  template <class T> static T identity() { return T(0); }
  template <class T, class V> static V apply(V a, V b) { return a | b; }
};
struct XorOf {
  static constexpr bool widens = false;
  template <class T> static T identity() { return T(0); }
  template <class T, class V> static V apply(V a, V b) { return a ^ b; }
};

/** Folds two numbers, through a vector so that there is one definition. */
template <class Op, class A>
inline A foldPair(A a, A b) {
  using W = Vector<A, 16 / int(sizeof(A))>;
  W x{}, y{};
  x[0] = a;
  y[0] = b;
  return Op::template apply<A, W>(x, y)[0];
}

/** Folds the lanes of a vector into one number. */
template <class Op, class A, int L>
inline A foldLanes(Vector<A, L> all) {
  if constexpr (L * sizeof(A) > 16) {
    Vector<A, L / 2> low, high;
    __builtin_memcpy(&low, &all, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&all) + sizeof low, sizeof high);
    return foldLanes<Op, A, L / 2>(Op::template apply<A, Vector<A, L / 2>>(low, high));
  } else {
    A result = all[0];
    for (int lane = 1; lane < L; lane++) result = foldPair<Op, A>(result, A(all[lane]));
    return result;
  }
}

/** Whether four elements are added as they are before they go on in a wider type. */
template <class Op, class T>
constexpr bool addsFours = std::is_same_v<Op, SumOf> && !std::is_same_v<AccumulatorOf<Op, T>, T>;

/** Folds a vector of elements into two vectors of accumulators. */
template <class Op, class A, class W, class V>
inline void foldHalves(W& low, W& high, V v) {
  using T = std::remove_cvref_t<decltype(v[0])>;
  using N = Vector<T, int(sizeof(V) / sizeof(T)) / 2>;
  N halves[2];
  __builtin_memcpy(halves, &v, sizeof halves);
  low = Op::template apply<A, W>(low, __builtin_convertvector(halves[0], W));
  high = Op::template apply<A, W>(high, __builtin_convertvector(halves[1], W));
}

/** Folds `count` dense elements into `start`. */
template <class Op, class T>
__attribute__((noinline)) AccumulatorOf<Op, T> foldDense(const T* from, int64_t count, AccumulatorOf<Op, T> start) {
  using A = AccumulatorOf<Op, T>;
  constexpr int L = lanesOf<A>;
  using W = Vector<A, L>;
  using N = Vector<T, L>;
  A result = start;
  int64_t at = 0;
  if (count >= 2 * L) {
    W sums[4];
    for (int v = 0; v < 4; v++) sums[v] = splat<W>(Op::template identity<A>());
    if constexpr (addsFours<Op, T>) {
      using F = Vector<T, 2 * L>;
      const auto four = [&](int64_t first) {
        return (loadVector<F>(from + first) + loadVector<F>(from + first + 2 * L)) + (loadVector<F>(from + first + 4 * L) + loadVector<F>(from + first + 6 * L));
      };
      for (; at + 16 * L <= count; at += 16 * L) {
        foldHalves<Op, A>(sums[0], sums[1], four(at));
        foldHalves<Op, A>(sums[2], sums[3], four(at + 8 * L));
      }
    }
    for (; at + 4 * L <= count; at += 4 * L) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; v++) sums[v] = Op::template apply<A, W>(sums[v], __builtin_convertvector(loadVector<N>(from + at + v * L), W));
    }
    for (int v = 0; at + L <= count; v++, at += L) sums[v] = Op::template apply<A, W>(sums[v], __builtin_convertvector(loadVector<N>(from + at), W));
    const W all = Op::template apply<A, W>(Op::template apply<A, W>(sums[0], sums[1]), Op::template apply<A, W>(sums[2], sums[3]));
    result = foldPair<Op, A>(result, foldLanes<Op, A, L>(all));
  }
  for (; at < count; at++) result = foldPair<Op, A>(result, A(from[at]));
  return result;
}

/** Folds the lanes of four vectors, each into one number, one after the other. */
template <class Op, class A, int L>
inline void foldLanesOfFour(A* to, const Vector<A, L> (&v)[4]) {
  using W = Vector<A, L>;
  if constexpr (L < 4 || sizeof(A) < 4) {
    for (int i = 0; i < 4; i++) to[i] = foldLanes<Op, A, L>(v[i]);
  } else {
    const auto neighbours = [](W x, W y) { return Op::template apply<A, W>(everySecond<A, L, 1, false>(x, y), everySecond<A, L, 1, true>(x, y)); };
    W all = neighbours(neighbours(v[0], v[1]), neighbours(v[2], v[3]));
    for (int lanes = L; lanes > 4; lanes /= 2) all = neighbours(all, all);
    __builtin_memcpy(to, &all, 4 * sizeof(A));
  }
}

/** Folds four dense rows of `count` elements, each into `start`. Whatever a row stands beside, its result is the same. */
template <class Op, class T>
__attribute__((noinline)) void foldFourRows(AccumulatorOf<Op, T> (&to)[4], const T* const (&rows)[4], int64_t count, AccumulatorOf<Op, T> start) {
  using A = AccumulatorOf<Op, T>;
  constexpr int L = lanesOf<A>;
  using W = Vector<A, L>;
  using N = Vector<T, L>;
  W sums[4], more[4];
  for (int row = 0; row < 4; row++) sums[row] = more[row] = splat<W>(Op::template identity<A>());
  int64_t at = 0;
  if constexpr (addsFours<Op, T>) {
    using F = Vector<T, 2 * L>;
    for (; at + 8 * L <= count; at += 8 * L) {
#pragma GCC unroll 4
      for (int row = 0; row < 4; row++) {
        const T* here = rows[row] + at;
        const F pair = loadVector<F>(here) + loadVector<F>(here + 2 * L), other = loadVector<F>(here + 4 * L) + loadVector<F>(here + 6 * L);
        foldHalves<Op, A>(sums[row], more[row], pair + other);
      }
    }
  }
  for (; at + 2 * L <= count; at += 2 * L) {
#pragma GCC unroll 4
    for (int row = 0; row < 4; row++) {
      sums[row] = Op::template apply<A, W>(sums[row], __builtin_convertvector(loadVector<N>(rows[row] + at), W));
      more[row] = Op::template apply<A, W>(more[row], __builtin_convertvector(loadVector<N>(rows[row] + at + L), W));
    }
  }
  for (; at < count; at += L) {
    const size_t bytes = size_t(std::min<int64_t>(L, count - at)) * sizeof(T);
    for (int row = 0; row < 4; row++) {
      T rest[L];
      for (T& each : rest) each = T(Op::template identity<A>());
      std::memcpy(rest, rows[row] + at, bytes);
      sums[row] = Op::template apply<A, W>(sums[row], __builtin_convertvector(loadVector<N>(rest), W));
    }
  }
  for (int row = 0; row < 4; row++) sums[row] = Op::template apply<A, W>(sums[row], more[row]);
  foldLanesOfFour<Op, A, L>(to, sums);
  for (int row = 0; row < 4; row++) to[row] = foldPair<Op, A>(to[row], start);
}

/** Folds a dense row into a row of accumulators. */
template <class Op, class T>
__attribute__((noinline)) void foldRow(AccumulatorOf<Op, T>* to, const T* from, int64_t count) {
  using A = AccumulatorOf<Op, T>;
  constexpr int L = lanesOf<A>;
  using W = Vector<A, L>;
  using N = Vector<T, L>;
  int64_t at = 0;
  for (; at + L <= count; at += L)
    storeVector(to + at, Op::template apply<A, W>(loadVector<W>(to + at), __builtin_convertvector(loadVector<N>(from + at), W)));
  for (; at < count; at++) to[at] = foldPair<Op, A>(to[at], A(from[at]));
}

/** Folds `rows` dense rows, `stride` elements apart, into a row of accumulators, which are held in registers meanwhile. */
template <class Op, class T>
__attribute__((noinline)) void foldRows(AccumulatorOf<Op, T>* to, const T* from, int64_t rows, int64_t stride, int64_t count) {
  using A = AccumulatorOf<Op, T>;
  constexpr int L = lanesOf<A>, V = 4;
  using W = Vector<A, L>;
  using N = Vector<T, L>;
  int64_t at = 0;
  for (; at + V * L <= count; at += V * L) {
    W sums[V];
    for (int v = 0; v < V; v++) sums[v] = loadVector<W>(to + at + v * L);
    int64_t row = 0;
    if constexpr (addsFours<Op, T>) {
      using F = Vector<T, 2 * L>;
      for (; row + 4 <= rows; row += 4) {
        const T* here = from + row * stride + at;
#pragma GCC unroll 2
        for (int v = 0; v < V; v += 2, here += 2 * L) {
          const F pair = loadVector<F>(here) + loadVector<F>(here + stride), other = loadVector<F>(here + 2 * stride) + loadVector<F>(here + 3 * stride);
          foldHalves<Op, A>(sums[v], sums[v + 1], pair + other);
        }
      }
    }
    for (; row < rows; row++) {
      const T* here = from + row * stride + at;
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sums[v] = Op::template apply<A, W>(sums[v], __builtin_convertvector(loadVector<N>(here + v * L), W));
    }
    for (int v = 0; v < V; v++) storeVector(to + at + v * L, sums[v]);
  }
  if (at < count)
    for (int64_t row = 0; row < rows; row++) foldRow<Op, T>(to + at, from + row * stride + at, count - at);
}

}  // namespace weft
