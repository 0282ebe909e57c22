// Rearrangements of vectors that the compiler does not make by itself: square transposes and sums across lanes.
#pragma once
#include <utility>
#include "vector.h"

namespace weft {

/** Lanes of x and y chosen by `pick`, a constexpr function from lane of the result to lane of x (below L) or of y (from L on). */
template <class T, int L, class Pick, int... I>
inline Vector<T, L> chooseLanes(Vector<T, L> x, Vector<T, L> y, Pick pick, std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(x, y, pick(I)...);
#else
  using M = Vector<IntegerOf<T>, L>;
  return __builtin_shuffle(x, y, M{IntegerOf<T>(pick(I))...});
#endif
}
template <class T, int L, class Pick>
inline Vector<T, L> chooseLanes(Vector<T, L> x, Vector<T, L> y, Pick pick) {
  return chooseLanes<T, L>(x, y, pick, std::make_integer_sequence<int, L>{});
}

/** Elements of 16 bytes of a vector, within which processors interleave cheaply. */
template <class T, int L>
constexpr int laneGroup = L < 16 / int(sizeof(T)) ? L : 16 / int(sizeof(T));

/** Interleaves the low (or high) `unit`-wide halves of every group of 16 bytes. */
template <class T, int L, int unit, bool high>
inline Vector<T, L> interleaveGroups(Vector<T, L> x, Vector<T, L> y) {
  return chooseLanes<T, L>(x, y, [](int i) constexpr {
    constexpr int G = laneGroup<T, L>;
    const int group = i / G * G, at = i % G;
    return group + (high ? G / 2 : 0) + at / (2 * unit) * unit + at % unit + (at / unit % 2) * L;
  });
}

/** The even (or odd) ones of the pieces of `unit` elements of x, then those of y. */
template <class T, int L, int unit, bool odd>
inline Vector<T, L> everySecond(Vector<T, L> x, Vector<T, L> y) {
  return chooseLanes<T, L>(x, y, [](int i) constexpr {
    const int piece = i / unit, half = L / unit / 2;
    return (piece % half * 2 + (odd ? 1 : 0)) * unit + i % unit + (piece >= half ? L : 0);
  });
}

/** Rows of an L × L matrix become its columns. */
template <class T, int L>
__attribute__((always_inline)) inline void transposeSquare(Vector<T, L> (&rows)[L]) {
  using W = Vector<T, L>;
  constexpr int G = laneGroup<T, L>;
  // Squares of G × G inside the groups of 16 bytes.
#pragma GCC unroll 8
  for (int q = 0; q < L; q += G) {
    if constexpr (G == 4) {
      const W a = interleaveGroups<T, L, 1, false>(rows[q], rows[q + 1]), b = interleaveGroups<T, L, 1, true>(rows[q], rows[q + 1]);
      const W c = interleaveGroups<T, L, 1, false>(rows[q + 2], rows[q + 3]), d = interleaveGroups<T, L, 1, true>(rows[q + 2], rows[q + 3]);
      rows[q] = interleaveGroups<T, L, 2, false>(a, c);
      rows[q + 1] = interleaveGroups<T, L, 2, true>(a, c);
      rows[q + 2] = interleaveGroups<T, L, 2, false>(b, d);
      rows[q + 3] = interleaveGroups<T, L, 2, true>(b, d);
    } else if constexpr (G == 2) {
      const W a = interleaveGroups<T, L, 1, false>(rows[q], rows[q + 1]), b = interleaveGroups<T, L, 1, true>(rows[q], rows[q + 1]);
      rows[q] = a;
      rows[q + 1] = b;
    }
  }
  // The groups themselves: rows[q G + i] has column p G + i of the q-th rows in its group p.
  if constexpr (L / G == 2) {
#pragma GCC unroll 8
    for (int i = 0; i < G; i++) {
      const W a = rows[i], b = rows[G + i];
      rows[i] = everySecond<T, L, G, false>(a, b);
      rows[G + i] = everySecond<T, L, G, true>(a, b);
    }
  } else if constexpr (L / G == 4) {
#pragma GCC unroll 8
    for (int i = 0; i < G; i++) {
      const W a = everySecond<T, L, G, false>(rows[i], rows[G + i]), b = everySecond<T, L, G, true>(rows[i], rows[G + i]);
      const W c = everySecond<T, L, G, false>(rows[2 * G + i], rows[3 * G + i]), d = everySecond<T, L, G, true>(rows[2 * G + i], rows[3 * G + i]);
      rows[i] = everySecond<T, L, G, false>(a, c);
      rows[2 * G + i] = everySecond<T, L, G, true>(a, c);
      rows[G + i] = everySecond<T, L, G, false>(b, d);
      rows[3 * G + i] = everySecond<T, L, G, true>(b, d);
    }
  }
}

/** The sum of a vector's elements, pairwise. */
template <class T, int L>
inline T sumOf(Vector<T, L> v) {
  if constexpr (L == 1) {
    return v[0];
  } else {
    Vector<T, L / 2> low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sumOf<T, L / 2>(low + high);
  }
}

/** Neighbours added: those of x, then those of y. */
template <class T, int L>
inline Vector<T, L> addNeighbours(Vector<T, L> x, Vector<T, L> y) {
  return everySecond<T, L, 1, false>(x, y) + everySecond<T, L, 1, true>(x, y);
}

/** Stores the sums of the elements of four vectors one after the other. */
template <class T, int L>
inline void storeSums(T* to, const Vector<T, L> (&v)[4]) {
  if constexpr (L < 4) {
    for (int i = 0; i < 4; i++) to[i] = sumOf<T, L>(v[i]);
  } else {
    const Vector<T, L> quarters = addNeighbours<T, L>(addNeighbours<T, L>(v[0], v[1]), addNeighbours<T, L>(v[2], v[3]));
    if constexpr (L == 4) {
      storeVector(to, quarters);
    } else if constexpr (L == 8) {
      const Vector<T, 8> halves = addNeighbours<T, 8>(quarters, quarters);
      __builtin_memcpy(to, &halves, 4 * sizeof(T));
    } else {
      const Vector<T, L> halves = addNeighbours<T, L>(quarters, quarters);
      const Vector<T, L> sums = addNeighbours<T, L>(halves, halves);
      __builtin_memcpy(to, &sums, 4 * sizeof(T));
    }
  }
}

}  // namespace weft
