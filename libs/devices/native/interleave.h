// Every second element of memory to vectors, or elements some apart side by side.
#pragma once
#include "shuffle.h"

namespace weft {

/** Elements 0, 2, 4, … of 2 L - 1. */
template <class T, int L = lanesOf<T>>
inline Vector<T, L> everySecond(const T* from) {
  using W = Vector<T, L>;
  return chooseLanes<T, L>(loadVector<W>(from), loadVector<W>(from + L - 1), [](int i) constexpr { return 2 * i < L ? 2 * i : 2 * i + 1; });
}

/** `count` elements, `step` apart. */
template <class T>
inline void copyEvery(T* to, const T* from, int64_t step, int64_t count) {
  constexpr int L = lanesOf<T>;
  if (step == 1) return copyFew(to, from, count);
  int64_t i = 0;
  if (step == 2)
    for (; i + L <= count; i += L) storeVector(to + i, everySecond<T>(from + 2 * i));
  for (; i < count; i++) to[i] = from[i * step];
}

}  // namespace weft
