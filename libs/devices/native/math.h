// Elementary functions on vectors of float32, to about one unit in the last place: argument reduction, then a polynomial
// fitted for the least relative error on the reduced interval. Infinities, NaN and signed zeros come out as IEEE has them.
#pragma once
#include <cmath>
#include "vector.h"

namespace weft {

template <int L>
using Floats = Vector<float, L>;
template <int L>
using Ints = Vector<int32_t, L>;

/** Horner's rule, highest coefficient first. */
template <class V, class... C>
inline V polynomial(V x, float first, C... rest) {
  V p = splat<V>(first);
  ((p = p * x + float(rest)), ...);
  return p;
}

template <int L>
inline Floats<L> absolute(Floats<L> x) {
  return bitsAs<Floats<L>>(bitsAs<Ints<L>>(x) & 0x7fffffff);
}
/** The magnitude of x with the sign of s. */
template <int L>
inline Floats<L> withSign(Floats<L> x, Floats<L> s) {
  return bitsAs<Floats<L>>((bitsAs<Ints<L>>(x) & 0x7fffffff) | (bitsAs<Ints<L>>(s) & int32_t(0x80000000)));
}
/** 2^n for -126 ≤ n ≤ 127. */
template <int L>
inline Floats<L> powerOfTwo(Ints<L> n) {
  return bitsAs<Floats<L>>((n + 127) << 23);
}

/** x = n ln 2 + r with |r| ≤ ln 2 / 2. */
template <int L>
inline void reduceByLog2(Floats<L> x, Ints<L>& n, Floats<L>& r) {
  const float magic = 12582912.0f;
  const Floats<L> shifted = x * 1.44269504f + magic;
  const Floats<L> whole = shifted - magic;
  n = bitsAs<Ints<L>>(shifted) - 0x4b400000;
  r = x - whole * 0.693145752f;
  r = r - whole * 1.42860677e-6f;
}

/** y 2^n for whole n, also where 2^n or the result is no normal number. */
template <int L>
inline Floats<L> scaledBy(Floats<L> y, Ints<L> n) {
#if defined(__AVX512F__)
  if constexpr (L == 16) return __builtin_ia32_scalefps512_mask(y, __builtin_convertvector(n, Floats<L>), y, 0xffff, 4);
#endif
  // In two steps, so that results below the least normal number and above the largest come out right.
  const Ints<L> half = n >> 1;
  return y * powerOfTwo<L>(half) * powerOfTwo<L>(n - half);
}

template <int L>
inline Floats<L> exponential(Floats<L> x) {
  x = x > 89.0f ? splat<Floats<L>>(89.0f) : x;
  x = x < -104.5f ? splat<Floats<L>>(-104.5f) : x;
  Ints<L> n;
  Floats<L> r;
  reduceByLog2<L>(x, n, r);
  const Floats<L> p = polynomial(r, 0.0013813142431899905f, 0.008369418792426586f, 0.04166845604777336f,
                                 0.16666515171527863f, 0.4999999403953552f);
  return scaledBy<L>(r * r * p + r + 1.0f, n);
}

template <int L>
inline Floats<L> exponentialMinusOne(Floats<L> x) {
  const Floats<L> given = x;
  x = x > 89.0f ? splat<Floats<L>>(89.0f) : x;
  x = x < -20.0f ? splat<Floats<L>>(-20.0f) : x;
  Ints<L> n;
  Floats<L> r;
  reduceByLog2<L>(x, n, r);
  const Floats<L> p = polynomial(r, 0.0013882021885365248f, 0.008369134739041328f, 0.041667286306619644f,
                                 0.1666652411222458f, 0.4999999701976776f);
  const Floats<L> e = r * r * p + r;
  // 2^n e + (2^n - 1), with 2^128 reached in two steps.
  const Ints<L> top = n > 127;
  const Floats<L> scale = powerOfTwo<L>(n + top);
  Floats<L> y = e * scale + (scale - 1.0f);
  y = top ? y + y : y;
  // Zero keeps its sign, and the smallest numbers all their bits.
  return absolute<L>(given) < 1e-7f ? given : y;
}

/** x = m 2^e with m in [√½, √2), for positive normal x and, scaled up, for smaller ones. */
template <int L>
inline void splitExponent(Floats<L> x, Floats<L>& m, Floats<L>& e) {
  const Ints<L> tiny = x < 1.17549435e-38f;
  x = tiny ? x * 16777216.0f : x;
  const Ints<L> bits = bitsAs<Ints<L>>(x) - 0x3f3504f3;
  const Ints<L> exponent = bits >> 23;
  m = bitsAs<Floats<L>>((bits & 0x007fffff) + 0x3f3504f3);
  e = __builtin_convertvector(exponent + (tiny & -24), Floats<L>);
}

/** log(m 2^e) where m = 1 + f. */
template <int L>
inline Floats<L> logOfParts(Floats<L> f, Floats<L> e) {
  const Floats<L> s = f * f;
  const Floats<L> p = polynomial(f, -0.07634429633617401f, 0.12761549651622772f, -0.131601944565773f, 0.14201761782169342f,
                                 -0.16623356938362122f, 0.20001226663589478f, -0.250008225440979f, 0.3333333134651184f);
  Floats<L> low = f * s * p + e * 1.42860677e-6f;
  low = low - 0.5f * s;
  return e * 0.693145752f + (f + low);
}

template <int L>
inline Floats<L> logarithm(Floats<L> x) {
  Floats<L> m, e;
  splitExponent<L>(x, m, e);
  Floats<L> y = logOfParts<L>(m - 1.0f, e);
  y = x == INFINITY ? x : y;
  y = x == 0.0f ? splat<Floats<L>>(-INFINITY) : y;
  // Negative numbers and NaN.
  return x >= 0.0f ? y : splat<Floats<L>>(NAN);
}

template <int L>
inline Floats<L> logarithmPlusOne(Floats<L> x) {
  const Floats<L> u = x + 1.0f;
  Floats<L> m, e;
  splitExponent<L>(u, m, e);
  // What the sum lost, relative to it.
  const Floats<L> lost = (absolute<L>(x) < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x)) / u;
  Floats<L> y = logOfParts<L>(m - 1.0f, e) + lost;
  y = absolute<L>(x) < 1e-4f ? x - 0.5f * x * x : y;
  y = x == INFINITY ? x : y;
  y = x == -1.0f ? splat<Floats<L>>(-INFINITY) : y;
  y = x == 0.0f ? x : y;
  return x >= -1.0f ? y : splat<Floats<L>>(NAN);
}

template <int L>
inline Floats<L> logistic(Floats<L> x) {
  // Of the smaller exponential, so that small results keep their bits.
  const Floats<L> e = exponential<L>(-absolute<L>(x));
  return (x < 0.0f ? e : splat<Floats<L>>(1.0f)) / (1.0f + e);
}

template <int L>
inline Floats<L> hyperbolicTangent(Floats<L> x) {
  const Floats<L> t = absolute<L>(x);
  const Floats<L> s = x * x;
  const Floats<L> small = x + x * s * polynomial(s, -0.005515167023986578f, 0.02046942338347435f, -0.05368802323937416f,
                                                0.1333083063364029f, -0.3333325982093811f);
  const Floats<L> capped = t > 10.0f ? splat<Floats<L>>(10.0f) : t;
  const Floats<L> large = 1.0f - 2.0f / (exponential<L>(capped + capped) + 1.0f);
  return t < 0.625f ? small : withSign<L>(large, x);
}

/** x = n π/2 + r, in double precision for |x| up to 2^20; `n` modulo 4. */
template <int L>
inline void reduceByQuarterTurn(Floats<L> x, Ints<L>& n, Floats<L>& r) {
  for (int i = 0; i < L; i++) {
    const double wide = x[i];
    const double whole = __builtin_rint(wide * 0.63661977236758134308);
    const double rest = ((wide - whole * 1.57079632673412561417) - whole * 6.07710050630396597660e-11) - whole * 2.02226624871116645580e-21;
    r[i] = float(rest);
    n[i] = int32_t(whole);
  }
}

/** sin (turns = 0) or cos (turns = 1). */
template <int L>
inline Floats<L> sineOf(Floats<L> x, int turns) {
  Ints<L> n;
  Floats<L> r;
  reduceByQuarterTurn<L>(x, n, r);
  n += turns;
  const Floats<L> s = r * r;
  const Floats<L> sine = r + r * s * polynomial(s, 2.7173668968316633e-06f, -0.00019839232845697552f, 0.008333329111337662f, -0.1666666716337204f);
  const Floats<L> cosine = 1.0f - 0.5f * s + s * s * polynomial(s, -2.719862663980166e-07f, 2.4799372113193385e-05f, -0.0013888883404433727f, 0.0416666679084301f);
  Floats<L> y = (n & 1) != 0 ? cosine : sine;
  y = (n & 2) != 0 ? -y : y;
  const Ints<L> large = ~(absolute<L>(x) < 1e6f);
  bool any = false;
  for (int i = 0; i < L; i++) any |= large[i] != 0;
  if (any) {
    for (int i = 0; i < L; i++)
      if (large[i]) y[i] = float(turns == 0 ? std::sin(double(x[i])) : std::cos(double(x[i])));
  }
  return y;
}

}  // namespace weft
