// The table of pointwise instructions: every elementwise operator on every dtype it has, by name. A new one is one more line;
// TypeScript finds it under `operator.dtype`. Half-precision numbers are float32 here, decoded by loads (`decode`), rounded
// after every operator (`round`) and encoded by stores (`encode`); bool is a byte, 0 or 1.
#pragma once
#include <bit>
#include <limits>
#include "math.h"
#include "pointwise.h"

namespace weft {

template <class... T>
constexpr int commonLanes = vectorBytes / int(std::max({sizeof(T)...}));

// ---- loops --------------------------------------------------------------------------------------------------------

template <class R, class A, class F>
inline void mapOne(const Lanes& p, F f) {
  constexpr int L = commonLanes<R, A>;
  const char* a = p.a;
  char* d = p.d;
  int64_t n = p.n;
  const int64_t aStep = p.aStep * L * int64_t(sizeof(A));
  for (; n >= L; n -= L) {
    storeVector(d, f(loadVector<Vector<A, L>>(a)));
    a += aStep;
    d += L * sizeof(R);
  }
  if (n > 0) storePart((R*)d, f(loadPart<Vector<A, L>>((const A*)a, p.aStep ? int(n) : L)), int(n));
}

template <class R, class A, class B, class F>
inline void mapTwo(const Lanes& p, F f) {
  constexpr int L = commonLanes<R, A, B>;
  const char *a = p.a, *b = p.b;
  char* d = p.d;
  int64_t n = p.n;
  const int64_t aStep = p.aStep * L * int64_t(sizeof(A)), bStep = p.bStep * L * int64_t(sizeof(B));
  for (; n >= L; n -= L) {
    storeVector(d, f(loadVector<Vector<A, L>>(a), loadVector<Vector<B, L>>(b)));
    a += aStep;
    b += bStep;
    d += L * sizeof(R);
  }
  if (n > 0) {
    storePart((R*)d, f(loadPart<Vector<A, L>>((const A*)a, p.aStep ? int(n) : L), loadPart<Vector<B, L>>((const B*)b, p.bStep ? int(n) : L)), int(n));
  }
}

template <class R, class A, class B, class C, class F>
inline void mapThree(const Lanes& p, F f) {
  constexpr int L = commonLanes<R, A, B, C>;
  const char *a = p.a, *b = p.b, *c = p.c;
  char* d = p.d;
  int64_t n = p.n;
  const int64_t aStep = p.aStep * L * int64_t(sizeof(A)), bStep = p.bStep * L * int64_t(sizeof(B)), cStep = p.cStep * L * int64_t(sizeof(C));
  for (; n >= L; n -= L) {
    storeVector(d, f(loadVector<Vector<A, L>>(a), loadVector<Vector<B, L>>(b), loadVector<Vector<C, L>>(c)));
    a += aStep;
    b += bStep;
    c += cStep;
    d += L * sizeof(R);
  }
  if (n > 0) {
    storePart((R*)d, f(loadPart<Vector<A, L>>((const A*)a, p.aStep ? int(n) : L), loadPart<Vector<B, L>>((const B*)b, p.bStep ? int(n) : L), loadPart<Vector<C, L>>((const C*)c, p.cStep ? int(n) : L)), int(n));
  }
}

/** Element by element, for what has no vector form; the compiler vectorises what it can. */
template <class R, class A, class F>
inline void eachOne(const Lanes& p, F f) {
  const A* a = (const A*)p.a;
  R* d = (R*)p.d;
  if (p.aStep == 1)
    for (int64_t i = 0; i < p.n; i++) d[i] = f(a[i]);
  else
    for (int64_t i = 0; i < p.n; i++) d[i] = f(a[0]);
}
template <class R, class A, class B, class F>
inline void eachTwo(const Lanes& p, F f) {
  const A* a = (const A*)p.a;
  const B* b = (const B*)p.b;
  R* d = (R*)p.d;
  for (int64_t i = 0; i < p.n; i++) d[i] = f(a[i * p.aStep], b[i * p.bStep]);
}

// ---- numbers ------------------------------------------------------------------------------------------------------

/** The larger; NaN when either is; +0 of two zeros. */
template <class T, class V>
inline V largerOf(V a, V b) {
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

inline float roundToHalf(float x) { return float(_Float16(x)); }
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

// ---- the table ----------------------------------------------------------------------------------------------------

struct InstructionTable {
  std::string dtype;
  void add(const char* name, Instruction run) { instructions()[std::string(name) + "." + dtype] = run; }
};

#define UNARY(name, expression) \
  table.add(name, [](const Lanes& p) { mapOne<T, T>(p, [](auto x) { return decltype(x)(expression); }); })
#define BINARY(name, expression) \
  table.add(name, [](const Lanes& p) { mapTwo<T, T, T>(p, [](auto x, auto y) { return decltype(x)(expression); }); })
#define COMPARE(name, operator_)                                                      \
  table.add(name, [](const Lanes& p) {                                                \
    mapTwo<uint8_t, T, T>(p, [](auto x, auto y) {                                     \
      auto mask = x operator_ y;                                                      \
      return __builtin_convertvector(mask, Vector<uint8_t, commonLanes<uint8_t, T>>) & 1; \
    });                                                                               \
  })
#define EACH(name, expression) \
  table.add(name, [](const Lanes& p) { eachOne<T, T>(p, [](T x) { return T(expression); }); })
#define EACH_PAIR(name, expression) \
  table.add(name, [](const Lanes& p) { eachTwo<T, T, T>(p, [](T x, T y) { return T(expression); }); })
#define FLOATS(name, function) \
  table.add(name, [](const Lanes& p) { mapOne<float, float>(p, [](auto x) { return function; }); })

template <class T>
void addComparisons(InstructionTable table) {
  COMPARE("compare_EQ", ==);
  COMPARE("compare_NE", !=);
  COMPARE("compare_LT", <);
  COMPARE("compare_LE", <=);
  COMPARE("compare_GT", >);
  COMPARE("compare_GE", >=);
}

template <class T>
void addArithmetic(InstructionTable table) {
  addComparisons<T>(table);
  BINARY("add", x + y);
  BINARY("subtract", x - y);
  BINARY("multiply", x * y);
  BINARY("maximum", (largerOf<T>(x, y)));
  BINARY("minimum", (smallerOf<T>(x, y)));
}

template <class T>
void addFloat(const char* dtype) {
  InstructionTable table{dtype};
  addArithmetic<T>(table);
  BINARY("divide", x / y);
  UNARY("negate", -x);
  EACH("abs", std::fabs(x));
  EACH("sign", (x > 0 ? T(1) : x < 0 ? T(-1) : x));
  EACH("sqrt", std::sqrt(x));
  EACH("rsqrt", T(1) / std::sqrt(x));
  EACH("floor", std::floor(x));
  EACH("ceil", std::ceil(x));
  EACH("round_nearest_even", __builtin_rint(double(x)));
  EACH("round_nearest_afz", std::round(x));
  EACH_PAIR("remainder", std::fmod(x, y));
  EACH_PAIR("atan2", std::atan2(double(x), double(y)));
  EACH_PAIR("power", std::pow(double(x), double(y)));
  EACH("cbrt", std::cbrt(double(x)));
  EACH("tan", std::tan(double(x)));
  EACH("asin", std::asin(double(x)));
  EACH("acos", std::acos(double(x)));
  EACH("atan", std::atan(double(x)));
  EACH("sinh", std::sinh(double(x)));
  EACH("cosh", std::cosh(double(x)));
  EACH("asinh", std::asinh(double(x)));
  EACH("acosh", std::acosh(double(x)));
  EACH("atanh", std::atanh(double(x)));
  EACH("erfc", std::erfc(double(x)));
  table.add("is_finite", [](const Lanes& p) { eachOne<uint8_t, T>(p, [](T x) { return uint8_t(std::fabs(x) <= std::numeric_limits<T>::max()); }); });
}

inline void addFloat32() {
  addFloat<float>("float32");
  InstructionTable table{"float32"};
  FLOATS("exponential", exponential<lanesOf<float>>(x));
  FLOATS("exponential_minus_one", exponentialMinusOne<lanesOf<float>>(x));
  FLOATS("log", logarithm<lanesOf<float>>(x));
  FLOATS("log_plus_one", logarithmPlusOne<lanesOf<float>>(x));
  FLOATS("logistic", logistic<lanesOf<float>>(x));
  FLOATS("tanh", hyperbolicTangent<lanesOf<float>>(x));
  FLOATS("erf", errorFunction<lanesOf<float>>(x));
  FLOATS("sine", sineOf<lanesOf<float>>(x, 0));
  FLOATS("cosine", sineOf<lanesOf<float>>(x, 1));
}

inline void addFloat64() {
  using T = double;
  addFloat<T>("float64");
  InstructionTable table{"float64"};
  EACH("exponential", std::exp(x));
  EACH("exponential_minus_one", std::expm1(x));
  EACH("log", std::log(x));
  EACH("log_plus_one", std::log1p(x));
  EACH("logistic", 1 / (1 + std::exp(-x)));
  EACH("tanh", std::tanh(x));
  EACH("erf", std::erf(x));
  EACH("sine", std::sin(x));
  EACH("cosine", std::cos(x));
}

template <class T>
void addInteger(const char* dtype) {
  constexpr int bits = int(sizeof(T)) * 8;
  using U = std::make_unsigned_t<T>;
  using S = std::make_signed_t<T>;
  InstructionTable table{dtype};
  addArithmetic<T>(table);
  BINARY("and", x & y);
  BINARY("or", x | y);
  BINARY("xor", x ^ y);
  UNARY("not", ~x);
  UNARY("negate", -x);
  if constexpr (std::is_signed_v<T>) {
    UNARY("abs", (x < 0 ? -x : x));
    UNARY("sign", ((x > 0 ? x - x + 1 : x - x) + (x < 0)));
  } else {
    UNARY("abs", x);
    UNARY("sign", (x > 0 ? x - x + 1 : x - x));
  }
  // As XLA: all bits set for a division by zero, and the dividend for its remainder.
  EACH_PAIR("divide", (y == 0 ? T(-1) : std::is_signed_v<T> && y == T(-1) ? T(U(0) - U(x)) : T(x / y)));
  EACH_PAIR("remainder", (y == 0 ? x : std::is_signed_v<T> && y == T(-1) ? T(0) : T(x % y)));
  EACH_PAIR("power", integerPower<T>(x, y));
  EACH_PAIR("shift_left", (U(y) >= U(bits) ? T(0) : T(U(x) << U(y))));
  EACH_PAIR("shift_right_logical", (U(y) >= U(bits) ? T(0) : T(U(x) >> U(y))));
  EACH_PAIR("shift_right_arithmetic", (S(x) >> (U(y) >= U(bits) ? bits - 1 : int(y))));
  EACH("popcnt", std::popcount(U(x)));
  EACH("count_leading_zeros", std::countl_zero(U(x)));
}

inline void addBool() {
  using T = uint8_t;
  InstructionTable table{"bool"};
  addComparisons<T>(table);
  for (const char* name : {"add", "or", "maximum"}) BINARY(name, x | y);
  for (const char* name : {"multiply", "and", "minimum"}) BINARY(name, x & y);
  for (const char* name : {"subtract", "xor"}) BINARY(name, x ^ y);
  UNARY("not", x ^ 1);
}

/** `select.4`: by bytes of an element. */
template <class I>
void addSelect() {
  InstructionTable table{std::to_string(sizeof(I))};
  table.add("select", [](const Lanes& p) {
    mapThree<I, uint8_t, I, I>(p, [](auto chosen, auto x, auto y) {
      const auto mask = __builtin_convertvector(chosen, decltype(x)) != 0;
      return mask ? x : y;
    });
  });
  table.add("copy", [](const Lanes& p) { mapOne<I, I>(p, [](auto x) { return x; }); });
}

template <class R, class A>
void addConversion(const char* to, const char* from) {
  instructions()[std::string("convert.") + from + "." + to] = [](const Lanes& p) {
    eachOne<std::conditional_t<std::is_same_v<R, bool>, uint8_t, R>, A>(p, [](A x) { return convertElement<R, A>(x); });
  };
}
template <class A>
void addConversionsFrom(const char* from) {
  addConversion<bool, A>("bool", from);
  addConversion<int8_t, A>("int8", from);
  addConversion<uint8_t, A>("uint8", from);
  addConversion<int16_t, A>("int16", from);
  addConversion<uint16_t, A>("uint16", from);
  addConversion<int32_t, A>("int32", from);
  addConversion<uint32_t, A>("uint32", from);
  addConversion<int64_t, A>("int64", from);
  addConversion<uint64_t, A>("uint64", from);
  addConversion<float, A>("float32", from);
  addConversion<double, A>("float64", from);
}

inline void addHalves() {
  auto& table = instructions();
  table["decode.float16"] = [](const Lanes& p) { eachOne<float, _Float16>(p, [](_Float16 x) { return float(x); }); };
  table["encode.float16"] = [](const Lanes& p) { eachOne<_Float16, float>(p, [](float x) { return _Float16(x); }); };
  table["round.float16"] = [](const Lanes& p) { eachOne<float, float>(p, [](float x) { return roundToHalf(x); }); };
  table["decode.bfloat16"] = [](const Lanes& p) { eachOne<uint32_t, uint16_t>(p, [](uint16_t x) { return uint32_t(x) << 16; }); };
  table["encode.bfloat16"] = [](const Lanes& p) { eachOne<uint16_t, uint32_t>(p, [](uint32_t x) { return uint16_t(bfloat16Bits(x)); }); };
  table["round.bfloat16"] = [](const Lanes& p) { eachOne<uint32_t, uint32_t>(p, [](uint32_t x) { return bfloat16Bits(x) << 16; }); };
}

inline const bool instructionsAreThere = [] {
  addFloat32();
  addFloat64();
  addInteger<int8_t>("int8");
  addInteger<uint8_t>("uint8");
  addInteger<int16_t>("int16");
  addInteger<uint16_t>("uint16");
  addInteger<int32_t>("int32");
  addInteger<uint32_t>("uint32");
  addInteger<int64_t>("int64");
  addInteger<uint64_t>("uint64");
  addBool();
  addSelect<int8_t>();
  addSelect<int16_t>();
  addSelect<int32_t>();
  addSelect<int64_t>();
  addConversionsFrom<uint8_t>("bool");
  addConversionsFrom<int8_t>("int8");
  addConversionsFrom<uint8_t>("uint8");
  addConversionsFrom<int16_t>("int16");
  addConversionsFrom<uint16_t>("uint16");
  addConversionsFrom<int32_t>("int32");
  addConversionsFrom<uint32_t>("uint32");
  addConversionsFrom<int64_t>("int64");
  addConversionsFrom<uint64_t>("uint64");
  addConversionsFrom<float>("float32");
  addConversionsFrom<double>("float64");
  addHalves();
  return true;
}();

#undef UNARY
#undef BINARY
#undef COMPARE
#undef EACH
#undef EACH_PAIR
#undef FLOATS

}  // namespace weft
