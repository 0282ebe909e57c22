// Instructions that do several operations on a vector of float32 while it is in registers: runs of arithmetic, each of whose operations
// takes the result so far and one more operand. `multiply-add` is (a · b) + c, `add-subtract_from-multiply` is (c - (a + b)) · d. Results
// are those of the single instructions to the last bit. src/cpu/runs.ts finds them.
#include "instructions.h"

namespace weft {

enum class Arithmetic { add, subtract, subtractFrom, multiply };
constexpr const char* arithmeticNames[] = {"add", "subtract", "subtract_from", "multiply"};

/** A product as it is rounded: compilers would make one operation of it and the sum that it goes into. */
template <class V>
inline V rounded(V v) {
#if defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

template <Arithmetic operation, class V>
inline V applied(V so, V x) {
  if constexpr (operation == Arithmetic::add) return so + x;
  if constexpr (operation == Arithmetic::subtract) return so - x;
  if constexpr (operation == Arithmetic::subtractFrom) return x - so;
  if constexpr (operation == Arithmetic::multiply) return rounded(so * x);
}

template <Arithmetic... operations>
static void runOfArithmetic(const Lanes& p) {
  using T = float;
  constexpr int L = lanesOf<T>, U = 4, operands = int(sizeof...(operations)) + 1;
  using V = Vector<T, L>;
  const T* at[] = {(const T*)p.a, (const T*)p.b, (const T*)p.c, (const T*)p.e};
  const int64_t steps[] = {p.aStep * L, p.bStep * L, p.cStep * L, p.eStep * L};
  T* to = (T*)p.d;
  const auto resultOf = [](const auto& operand) {
    V so = operand(0);
    int next = 1;
    ((so = applied<operations>(so, operand(next++))), ...);
    return so;
  };
  int64_t n = p.n;
  for (; n >= U * L; n -= U * L) {
    V y[U];
    eachVector<U>([&](int vector) { y[vector] = resultOf([&](int index) { return loadVector<V>(at[index] + vector * steps[index]); }); });
    eachVector<U>([&](int vector) { storeVector(to + vector * L, y[vector]); });
    for (int index = 0; index < operands; index++) at[index] += U * steps[index];
    to += U * L;
  }
  for (; n >= L; n -= L) {
    storeVector(to, resultOf([&](int index) { return loadVector<V>(at[index]); }));
    for (int index = 0; index < operands; index++) at[index] += steps[index];
    to += L;
  }
  if (n > 0) storePart(to, resultOf([&](int index) { return loadPart<V>(at[index], steps[index] != 0 ? int(n) : L); }), int(n));
}

/** All runs of two and three operations that begin with `operations`; a run has no use of subtractFrom first, whose operands are turned. */
template <Arithmetic... operations>
static void addRuns() {
  constexpr int count = int(sizeof...(operations));
  if constexpr (count > 1) {
    std::string name;
    for (const Arithmetic each : {operations...}) name += (name.empty() ? "" : "-") + std::string(arithmeticNames[int(each)]);
    InstructionTable{"float32"}.add(name.c_str(), runOfArithmetic<operations...>);
  }
  if constexpr (count < 3) {
    addRuns<operations..., Arithmetic::add>();
    addRuns<operations..., Arithmetic::subtract>();
    addRuns<operations..., Arithmetic::subtractFrom>();
    addRuns<operations..., Arithmetic::multiply>();
  }
}

[[maybe_unused]] const bool runsAreThere = [] {
  addRuns<Arithmetic::add>();
  addRuns<Arithmetic::subtract>();
  addRuns<Arithmetic::multiply>();
  return true;
}();

}  // namespace weft
