// Every second or fourth element of memory to vectors, and two or four vectors element by element to memory.
#pragma once
#include <utility>
#include "vector.h"

namespace weft {

/** Lanes of x (below L) and y (from L on) as a constexpr function of the lane chooses them. */
template <class T, int L, class Choose, int... I>
inline Vector<T, L> lanesOfTwo(Vector<T, L> x, Vector<T, L> y, Choose choose, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(x, y, choose(I)...);
}
template <class T, class Choose>
inline Vector<T, lanesOf<T>> lanesOfTwo(Vector<T, lanesOf<T>> x, Vector<T, lanesOf<T>> y, Choose choose) {
  return lanesOfTwo<T, lanesOf<T>>(x, y, choose, std::make_integer_sequence<int, lanesOf<T>>{});
}

/** Elements 0, 2, 4, … of 2 L. */
template <class T>
inline Vector<T, lanesOf<T>> everySecond(const T* from) {
  using W = Vector<T, lanesOf<T>>;
  return lanesOfTwo<T>(loadVector<W>(from), loadVector<W>(from + lanesOf<T>), [](int i) constexpr { return 2 * i; });
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
  to[0] = lanesOfTwo<T>(a, b, [](int i) constexpr { return 2 * i; });
  to[1] = lanesOfTwo<T>(a, b, [](int i) constexpr { return 2 * i + 1; });
}

/** Of 4 L elements 0, 4, 8, …; 1, 5, 9, …; and so on. */
template <class T>
inline void dealFour(Vector<T, lanesOf<T>> (&to)[4], const T* from) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const auto even = [](int i) constexpr { return 2 * i; };
  const auto odd = [](int i) constexpr { return 2 * i + 1; };
  const W a = loadVector<W>(from), b = loadVector<W>(from + L), c = loadVector<W>(from + 2 * L), d = loadVector<W>(from + 3 * L);
  const W evenLow = lanesOfTwo<T>(a, b, even), evenHigh = lanesOfTwo<T>(c, d, even);
  const W oddLow = lanesOfTwo<T>(a, b, odd), oddHigh = lanesOfTwo<T>(c, d, odd);
  to[0] = lanesOfTwo<T>(evenLow, evenHigh, even);
  to[1] = lanesOfTwo<T>(oddLow, oddHigh, even);
  to[2] = lanesOfTwo<T>(evenLow, evenHigh, odd);
  to[3] = lanesOfTwo<T>(oddLow, oddHigh, odd);
}

/** a[0], b[0], a[1], … */
template <class T>
inline void interleaveTwo(T* to, const T* a, const T* b) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const W x = loadVector<W>(a), y = loadVector<W>(b);
  storeVector(to, lanesOfTwo<T>(x, y, [](int i) constexpr { return i / 2 + i % 2 * lanesOf<T>; }));
  storeVector(to + L, lanesOfTwo<T>(x, y, [](int i) constexpr { return i / 2 + lanesOf<T> / 2 + i % 2 * lanesOf<T>; }));
}

/** a[0], b[0], c[0], d[0], a[1], … */
template <class T>
inline void interleaveFour(T* to, const T* a, const T* b, const T* c, const T* d) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const auto lower = [](int i) constexpr { return i / 2 + i % 2 * lanesOf<T>; };
  const auto upper = [](int i) constexpr { return i / 2 + lanesOf<T> / 2 + i % 2 * lanesOf<T>; };
  const W x = loadVector<W>(a), y = loadVector<W>(b), z = loadVector<W>(c), w = loadVector<W>(d);
  const W xz = lanesOfTwo<T>(x, z, lower), yw = lanesOfTwo<T>(y, w, lower);
  const W xzHigh = lanesOfTwo<T>(x, z, upper), ywHigh = lanesOfTwo<T>(y, w, upper);
  storeVector(to, lanesOfTwo<T>(xz, yw, lower));
  storeVector(to + L, lanesOfTwo<T>(xz, yw, upper));
  storeVector(to + 2 * L, lanesOfTwo<T>(xzHigh, ywHigh, lower));
  storeVector(to + 3 * L, lanesOfTwo<T>(xzHigh, ywHigh, upper));
}

}  // namespace weft
