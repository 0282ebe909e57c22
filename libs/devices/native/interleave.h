// Every second or fourth element of memory to vectors, and two or four vectors element by element to memory.
#pragma once
#include "shuffle.h"

namespace weft {

/** Elements 0, 2, 4, … of 2 L. */
template <class T>
inline Vector<T, lanesOf<T>> everySecond(const T* from) {
  using W = Vector<T, lanesOf<T>>;
  return chooseLanes<T, lanesOf<T>>(loadVector<W>(from), loadVector<W>(from + lanesOf<T>), [](int i) constexpr { return 2 * i; });
}

/** `count` elements, `step` apart. */
template <class T>
inline void copyEvery(T* to, const T* from, int64_t step, int64_t count) {
  constexpr int L = lanesOf<T>;
  if (step == 1) return copyFew(to, from, count);
  int64_t i = 0;
  if (step == 2)
    for (; i + L < count; i += L) storeVector(to + i, everySecond<T>(from + 2 * i));
  for (; i < count; i++) to[i] = from[i * step];
}

/** Of 2 L elements 0, 2, 4, …; and 1, 3, 5, …. */
template <class T>
inline void dealTwo(Vector<T, lanesOf<T>> (&to)[2], const T* from) {
  using W = Vector<T, lanesOf<T>>;
  const W a = loadVector<W>(from), b = loadVector<W>(from + lanesOf<T>);
  to[0] = chooseLanes<T, lanesOf<T>>(a, b, [](int i) constexpr { return 2 * i; });
  to[1] = chooseLanes<T, lanesOf<T>>(a, b, [](int i) constexpr { return 2 * i + 1; });
}

/** Of 4 L elements 0, 4, 8, …; 1, 5, 9, …; and so on. */
template <class T>
inline void dealFour(Vector<T, lanesOf<T>> (&to)[4], const T* from) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const auto even = [](int i) constexpr { return 2 * i; };
  const auto odd = [](int i) constexpr { return 2 * i + 1; };
  const W a = loadVector<W>(from), b = loadVector<W>(from + L), c = loadVector<W>(from + 2 * L), d = loadVector<W>(from + 3 * L);
  const W evenLow = chooseLanes<T, lanesOf<T>>(a, b, even), evenHigh = chooseLanes<T, lanesOf<T>>(c, d, even);
  const W oddLow = chooseLanes<T, lanesOf<T>>(a, b, odd), oddHigh = chooseLanes<T, lanesOf<T>>(c, d, odd);
  to[0] = chooseLanes<T, lanesOf<T>>(evenLow, evenHigh, even);
  to[1] = chooseLanes<T, lanesOf<T>>(oddLow, oddHigh, even);
  to[2] = chooseLanes<T, lanesOf<T>>(evenLow, evenHigh, odd);
  to[3] = chooseLanes<T, lanesOf<T>>(oddLow, oddHigh, odd);
}

/** a[0], b[0], a[1], … */
template <class T>
inline void interleaveTwo(T* to, const T* a, const T* b) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const W x = loadVector<W>(a), y = loadVector<W>(b);
  storeVector(to, chooseLanes<T, lanesOf<T>>(x, y, [](int i) constexpr { return i / 2 + i % 2 * lanesOf<T>; }));
  storeVector(to + L, chooseLanes<T, lanesOf<T>>(x, y, [](int i) constexpr { return i / 2 + lanesOf<T> / 2 + i % 2 * lanesOf<T>; }));
}

/** a[0], b[0], c[0], d[0], a[1], … */
template <class T>
inline void interleaveFour(T* to, const T* a, const T* b, const T* c, const T* d) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const auto lower = [](int i) constexpr { return i / 2 + i % 2 * lanesOf<T>; };
  const auto upper = [](int i) constexpr { return i / 2 + lanesOf<T> / 2 + i % 2 * lanesOf<T>; };
  const W x = loadVector<W>(a), y = loadVector<W>(b), z = loadVector<W>(c), w = loadVector<W>(d);
  const W xz = chooseLanes<T, lanesOf<T>>(x, z, lower), yw = chooseLanes<T, lanesOf<T>>(y, w, lower);
  const W xzHigh = chooseLanes<T, lanesOf<T>>(x, z, upper), ywHigh = chooseLanes<T, lanesOf<T>>(y, w, upper);
  storeVector(to, chooseLanes<T, lanesOf<T>>(xz, yw, lower));
  storeVector(to + L, chooseLanes<T, lanesOf<T>>(xz, yw, upper));
  storeVector(to + 2 * L, chooseLanes<T, lanesOf<T>>(xzHigh, ywHigh, lower));
  storeVector(to + 3 * L, chooseLanes<T, lanesOf<T>>(xzHigh, ywHigh, upper));
}

}  // namespace weft
