// Operators that fold elements into one, for reductions, windows and scatters. Sums and products of float32 go through
// float64, so long ones lose nothing; NaN goes through maximum and minimum.
#pragma once
#include "numbers.h"

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
    for (int64_t row = 0; row < rows; row++) {
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
