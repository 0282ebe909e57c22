// erf on vectors of float32, to about two units in the last place. Where a vector has sixteen lanes, tables of sixteen numbers are
// looked up in registers: erf(x) / x is a polynomial on each of sixteen intervals of |x|. Elsewhere one polynomial serves small numbers
// and an exponential large ones.
#pragma once
#include "math.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace weft {

#if defined(__AVX512F__)
/**
 * erf(t) / t on [i / 4, (i + 1) / 4): coefficients of a polynomial in t - centre, the constant first. Centres are near the middle, where
 * the constant is almost a float32, so that rounding it costs nothing.
 */
struct ErrorFunctionTables {
  alignas(64) static constexpr float centres[16] = {
      0.140380859f, 0.357055664f, 0.624267578f, 0.852416992f, 1.11230469f, 1.38513184f, 1.6463623f, 1.85839844f,
      2.11975098f, 2.35656738f, 2.61486816f, 2.88208008f, 3.13818359f, 3.35144043f, 3.64160156f, 3.88891602f};
  alignas(64) static constexpr float coefficients[6][16] = {
      {
          1.12101054f, 1.08220696f, 0.997459173f, 0.905647755f, 0.795006633f, 0.685763061f, 0.595315039f, 0.533478439f,
          0.470470577f, 0.423981041f, 0.382345349f, 0.346955717f, 0.318652779f, 0.298378527f, 0.27460438f, 0.257141054f},
      {
          -0.104361884f, -0.248955727f, -0.373655021f, -0.422360957f, -0.420355141f, -0.375488788f, -0.316014558f, -0.267858416f,
          -0.215993166f, -0.178059608f, -0.145756826f, -0.120287105f, -0.101521514f, -0.0890254751f, -0.0754070431f, -0.0661214441f},
      {
          -0.362937957f, -0.296069145f, -0.165649816f, -0.0501343571f, 0.0504688434f, 0.105423093f, 0.116906725f, 0.108443499f,
          0.0892770365f, 0.0711874217f, 0.0545311682f, 0.0414575748f, 0.0322907716f, 0.0265483856f, 0.0207051188f, 0.0170022324f},
      {
          0.0618526042f, 0.138338149f, 0.175338268f, 0.155479953f, 0.099290669f, 0.0370042324f, -0.00384227582f, -0.0205291361f,
          -0.0262661166f, -0.023954913f, -0.018897688f, -0.0138816033f, -0.0101710847f, -0.00788980536f, -0.00568106677f, -0.00437108846f},
      {
          0.104605563f, 0.0668682083f, 0.0021346698f, -0.0415435247f, -0.0603192002f, -0.0497190095f, -0.0279776286f, -0.0122637544f,
          -0.000276552571f, 0.00422551064f, 0.00505817682f, 0.00418312894f, 0.00307744229f, 0.0023086099f, 0.00155552162f, 0.00112375419f},
      {
          -0.0191867314f, -0.0463691205f, -0.0464337841f, -0.0253694914f, -0.000505011238f, 0.0143617941f, 0.0169275291f, 0.0119997039f,
          0.00588706322f, 0.00165151025f, -0.000314562494f, -0.000861783628f, -0.000816346263f, -0.00061816111f, -0.00042087608f, -0.000295103004f}};
};

inline Floats<16> errorFunctionByTables(Floats<16> x) {
  using Tables = ErrorFunctionTables;
  constexpr float last = 3.9999998f;
  const Floats<16> t = absolute<16>(x);
  const Floats<16> capped = t > last ? splat<Floats<16>>(last) : t;
  const __m512i interval = __m512i(__builtin_convertvector(capped * 4.0f, Ints<16>));
  const auto at = [&](const float* table) { return Floats<16>(_mm512_maskz_permutexvar_ps(0xffff, interval, _mm512_load_ps(table))); };
  const Floats<16> u = capped - at(Tables::centres);
  Floats<16> p = at(Tables::coefficients[5]);
  for (int power = 4; power >= 0; power--) p = p * u + at(Tables::coefficients[power]);
  // Beyond, the nearest float32 is 1.
  return t > 3.925f ? withSign<16>(splat<Floats<16>>(1.0f), x) : p * x;
}
#endif

template <int L>
inline Floats<L> errorFunction(Floats<L> x) {
#if defined(__AVX512F__)
  if constexpr (L == 16) return errorFunctionByTables(x);
#endif
  const Floats<L> t = absolute<L>(x);
  const Floats<L> s = x * x;
  const Floats<L> small =
      x + x * polynomial(s, 8.185249316738918e-05f, -0.0008097749669104815f, 0.005196957383304834f, -0.026857707649469376f,
                         0.11283664405345917f, -0.37612631916999817f, 0.12837916612625122f);
  const Floats<L> capped = t > 4.0f ? splat<Floats<L>>(4.0f) : t;
  const Floats<L> q = polynomial(capped, 1.0433114766783547e-05f, -0.0003148581017740071f, 0.0036103420425206423f,
                                 -0.023694565519690514f, 0.10615904629230499f, 0.6351980566978455f, 0.12863707542419434f);
  const Floats<L> large = 1.0f - exponential<L>(-(capped + capped * q));
  return t < 0.925f ? small : withSign<L>(large, x);
}

}  // namespace weft
