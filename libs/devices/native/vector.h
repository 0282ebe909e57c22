// Vectors of the machine that the library is built for, on GCC and Clang's vector extensions: one width, lanes by element
// size, loads and stores that need no alignment. Everything else is ordinary operators on these types.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace weft {

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
constexpr int vectorBytes = 64;
#elif defined(__AVX2__)
constexpr int vectorBytes = 32;
#else
constexpr int vectorBytes = 16;
#endif

/** Lines of the cache, and what buffers are aligned to. */
constexpr int64_t alignment = 64;

template <class T, int L>
struct VectorOf {
  typedef T type __attribute__((vector_size(L * sizeof(T))));
};
/** L elements of T. */
template <class T, int L>
using Vector = typename VectorOf<T, L>::type;

template <class T>
constexpr int lanesOf = vectorBytes / int(sizeof(T));

/** The signed integer as wide as T: what comparisons of T give. */
template <class T>
using IntegerOf = std::conditional_t<
    sizeof(T) == 8, int64_t,
    std::conditional_t<sizeof(T) == 4, int32_t, std::conditional_t<sizeof(T) == 2, int16_t, int8_t>>>;

template <class V>
inline V loadVector(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class V>
inline void storeVector(void* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}
/** The first `count` elements; the others are zero. */
template <class V, class T>
inline V loadPart(const T* from, int count) {
  V v{};
  for (int i = 0; i < count; i++) v[i] = from[i];
  return v;
}
template <class V, class T>
inline void storePart(T* to, V v, int count) {
  for (int i = 0; i < count; i++) to[i] = v[i];
}

template <class V, class T>
inline V splat(T x) {
  return x - V{};
}

/** Dense elements, as few as a row has. */
template <class T>
inline void copyFew(T* to, const T* from, int64_t count) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const auto ends = [&]<int N>(std::integral_constant<int, N>) {
    using V = Vector<T, N>;
    const V last = loadVector<V>(from + count - N);
    storeVector(to, loadVector<V>(from));
    storeVector(to + count - N, last);
  };
  if (count >= L) {
    for (int64_t at = 0; at + L <= count; at += L) storeVector(to + at, loadVector<W>(from + at));
    storeVector(to + count - L, loadVector<W>(from + count - L));
  } else if (L >= 8 && count >= L / 2) {
    ends(std::integral_constant<int, (L >= 4 ? L / 2 : 1)>{});
  } else if (L >= 16 && count >= L / 4) {
    ends(std::integral_constant<int, (L >= 8 ? L / 4 : 1)>{});
  } else {
    for (int64_t at = 0; at < count; at++) to[at] = from[at];
  }
}

/** Asks for a line of memory to come into the first-level cache. GCC drops calls of functions that do nothing else, were it not for the asm. */
inline void fetchLine(const void* at) {
  __builtin_prefetch(at, 0, 3);
  asm volatile("");
}

/** The same bits as another type. */
template <class R, class V>
inline R bitsAs(V v) {
  static_assert(sizeof(R) == sizeof(V));
  R r;
  __builtin_memcpy(&r, &v, sizeof r);
  return r;
}

inline int64_t roundUp(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
inline int64_t divideUp(int64_t x, int64_t by) { return (x + by - 1) / by; }

}  // namespace weft
