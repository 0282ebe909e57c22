// IEEE half-precision numbers: the machine's conversions where it and the compiler have them, our own elsewhere.
#pragma once
#include "vector.h"

namespace weft {

#if defined(__aarch64__)
using Half = __fp16;
#elif defined(__F16C__) && (defined(__clang__) ? __clang_major__ >= 15 : __GNUC__ >= 12)
using Half = _Float16;
#else
/** Kept as its bits; rounds to the nearest, of two as near to the even one, and keeps the upper bits of a NaN. */
class Half {
 public:
  Half() = default;
  explicit Half(float x) {
    const uint32_t all = bitsAs<uint32_t>(x), sign = all >> 16 & 0x8000, size = all & 0x7fffffff;
    uint32_t rounded;
    if (size > 0x7f800000) rounded = 0x7e00 | (size >> 13 & 0x3ff);
    else if (size >= 0x47800000) rounded = 0x7c00;
    // Below 2^-14 the last place stays 2^-24, which is that of floats next to 0.5: their addition rounds.
    else if (size < 0x38800000) rounded = bitsAs<uint32_t>(bitsAs<float>(size) + 0.5f) - bitsAs<uint32_t>(0.5f);
    else rounded = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    bits = uint16_t(sign | rounded);
  }
  explicit operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, shifted = uint32_t(bits & 0x7fff) << 13;
    // The difference of the exponents' biases is multiplied in, so that small ones need no case of their own.
    const uint32_t size = shifted >= 0x0f800000 ? shifted | (shifted > 0x0f800000 ? 0x7fc00000 : 0x7f800000) : bitsAs<uint32_t>(bitsAs<float>(shifted) * 0x1p112f);
    return bitsAs<float>(sign | size);
  }

 private:
  uint16_t bits;
};
#endif
static_assert(sizeof(Half) == 2);

inline float roundToHalf(float x) { return float(Half(x)); }

}  // namespace weft
