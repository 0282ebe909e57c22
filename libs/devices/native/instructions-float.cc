// Instructions on float32 and float64.
#include "error-function.h"
#include "instructions.h"
#include "math.h"

namespace weft {

#define FLOATS(name, function) \
  table.add(name, [](const Lanes& p) { mapOne<float, float>(p, [](auto x) { return function; }); })

template <class T>
static void addFloat(const char* dtype) {
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

static void addFloat32() {
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

static void addFloat64() {
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

[[maybe_unused]] const bool floatsAreThere = [] {
  addFloat32();
  addFloat64();
  return true;
}();

}  // namespace weft
