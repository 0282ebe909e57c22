// Numbers where C++ leaves a choice or has none: maxima with NaN, conversions out of range, bfloat16, integer powers.
#pragma once
#include <cmath>
#include <limits>
#include "half.h"
#include "vector.h"
#if defined(__AVX512DQ__)
#include <immintrin.h>
#endif

namespace weft {

#if defined(__AVX512DQ__)
/** The larger (or the smaller) of whole vectors, +0 above -0; then the sum where a lane is NaN. */
template <bool larger>
inline Vector<float, 16> extremeOf(Vector<float, 16> a, Vector<float, 16> b) {
  const __m512 y = _mm512_maskz_range_ps(0xffff, __m512(a), __m512(b), larger ? 5 : 4);
  return Vector<float, 16>(_mm512_mask_add_ps(y, _mm512_cmp_ps_mask(__m512(a), __m512(b), _CMP_UNORD_Q), __m512(a), __m512(b)));
}
template <bool larger>
inline Vector<double, 8> extremeOf(Vector<double, 8> a, Vector<double, 8> b) {
  const __m512d y = _mm512_maskz_range_pd(0xff, __m512d(a), __m512d(b), larger ? 5 : 4);
  return Vector<double, 8>(_mm512_mask_add_pd(y, _mm512_cmp_pd_mask(__m512d(a), __m512d(b), _CMP_UNORD_Q), __m512d(a), __m512d(b)));
}
#endif

/** The larger; NaN when either is; +0 of two zeros. */
template <class T, class V>
inline V largerOf(V a, V b) {
#if defined(__AVX512DQ__)
  if constexpr (std::is_floating_point_v<T> && sizeof(V) == 64) return extremeOf<true>(a, b);
#endif
  if constexpr (std::is_floating_point_v<T>) {
    using I = decltype(a == b);
    const V both = bitsAs<V>(bitsAs<I>(a) & bitsAs<I>(b));
    const V y = a == b ? both : b;
    return ((a > b) | (a != a)) ? a : y;
  } else {
    return a > b ? a : b;
  }
}
/** The smaller; NaN when either is; -0 of two zeros. */
template <class T, class V>
inline V smallerOf(V a, V b) {
#if defined(__AVX512DQ__)
  if constexpr (std::is_floating_point_v<T> && sizeof(V) == 64) return extremeOf<false>(a, b);
#endif
  if constexpr (std::is_floating_point_v<T>) {
    using I = decltype(a == b);
    const V both = bitsAs<V>(bitsAs<I>(a) | bitsAs<I>(b));
    const V y = a == b ? both : b;
    return ((a < b) | (a != a)) ? a : y;
  } else {
    return a < b ? a : b;
  }
}

/** Converts as x86 does: what does not fit becomes the least integer; wider integers wrap. */
template <class R, class A>
inline R convertElement(A x) {
  if constexpr (std::is_same_v<R, bool>) {
    return x != A(0);
  } else if constexpr (std::is_floating_point_v<A> && std::is_integral_v<R>) {
    if constexpr (std::is_same_v<R, uint64_t>) {
      if (!(x > A(-9223372036854775808.0) && x < A(18446744073709551616.0))) return uint64_t(1) << 63;
      return x >= A(9223372036854775808.0) ? uint64_t(int64_t(x - A(9223372036854775808.0))) ^ (uint64_t(1) << 63) : uint64_t(int64_t(x));
    } else if constexpr (sizeof(R) == 8 || std::is_same_v<R, uint32_t>) {
      const bool fits = x >= A(-9223372036854775808.0) && x < A(9223372036854775808.0);
      return R(fits ? int64_t(x) : std::numeric_limits<int64_t>::min());
    } else {
      const bool fits = double(x) > -2147483649.0 && double(x) < 2147483648.0;
      return R(fits ? int32_t(x) : std::numeric_limits<int32_t>::min());
    }
  } else {
    return R(x);
  }
}

inline uint32_t bfloat16Bits(uint32_t bits) {
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded & 0xffff;
}

template <class T>
inline T integerPower(T x, T y) {
  if constexpr (std::is_signed_v<T>) {
    if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 == 0 ? 1 : -1) : 0;
  }
  using U = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  U result = 1, base = U(x);
  for (U rest = U(y); rest > 0; rest >>= 1, base *= base)
    if (rest & 1) result *= base;
  return T(result);
}

}  // namespace weft
