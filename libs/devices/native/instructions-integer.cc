// Instructions on integers and bool, and those that only move elements.
#include <bit>
#include "instructions.h"

namespace weft {

template <class T>
static void addInteger(const char* dtype) {
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

static void addBool() {
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
static void addSelect() {
  InstructionTable table{std::to_string(sizeof(I))};
  table.add("select", [](const Lanes& p) {
    if (p.aStep == 0) {
      // One choice for all: nothing is to be done where its operand is the result.
      Lanes one = p;
      one.a = *p.a != 0 ? p.b : p.c;
      one.aStep = *p.a != 0 ? p.bStep : p.cStep;
      if (one.a == p.d && one.aStep == 1) return;
      return mapOne<I, I>(one, [](auto x) { return x; });
    }
    mapThree<I, uint8_t, I, I>(p, [](auto chosen, auto x, auto y) {
      const auto mask = asIntegers<decltype(x)>(chosen) != 0;
      return mask ? x : y;
    });
  });
  table.add("copy", [](const Lanes& p) { mapOne<I, I>(p, [](auto x) { return x; }); });
}

[[maybe_unused]] const bool integersAreThere = [] {
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
  return true;
}();

}  // namespace weft
