// How a file of instructions is written: loops over the lanes of an instruction, and the table where one is a line under its
// operator's name and dtype. TypeScript finds it as `operator.dtype`.
#pragma once
#include <algorithm>
#include "numbers.h"
#include "pointwise.h"

namespace weft {

template <class... T>
constexpr int commonLanes = vectorBytes / int(std::max({sizeof(T)...}));

/** Integers as wider or narrower ones, in steps that compilers have instructions for: they make a conversion by more lane by lane. */
template <class To, class V>
inline To asIntegers(V v) {
  constexpr size_t from = sizeof(v[0]), to = sizeof(To{}[0]), next = from < to ? 2 * from : from / 2;
  if constexpr (from == to) {
    return bitsAs<To>(v);
  } else {
    using Step = std::conditional_t<next == 1, uint8_t, std::conditional_t<next == 2, uint16_t, std::conditional_t<next == 4, uint32_t, uint64_t>>>;
    return asIntegers<To>(__builtin_convertvector(v, Vector<Step, int(sizeof(V) / from)>));
  }
}

/** Calls `body` for each of a few vectors, written out: one vector a turn of a loop takes a third longer. All are loaded before one is stored. */
template <int count, class Body>
inline void eachVector(const Body& body) {
#pragma GCC unroll 4
  for (int at = 0; at < count; at++) body(at);
}

template <class R, class A, class F>
inline void mapOne(const Lanes& p, F f) {
  constexpr int L = commonLanes<R, A>, U = 2;
  const char* a = p.a;
  char* d = p.d;
  int64_t n = p.n;
  const int64_t aStep = p.aStep * L * int64_t(sizeof(A));
  for (; n >= U * L; n -= U * L) {
    Vector<R, L> y[U];
    eachVector<U>([&](int at) { y[at] = f(loadVector<Vector<A, L>>(a + at * aStep)); });
    eachVector<U>([&](int at) { storeVector(d + at * L * int64_t(sizeof(R)), y[at]); });
    a += U * aStep;
    d += U * L * sizeof(R);
  }
  for (; n >= L; n -= L) {
    storeVector(d, f(loadVector<Vector<A, L>>(a)));
    a += aStep;
    d += L * sizeof(R);
  }
  if (n > 0) storePart((R*)d, f(loadPart<Vector<A, L>>((const A*)a, p.aStep ? int(n) : L)), int(n));
}

template <class R, class A, class B, class F>
inline void mapTwo(const Lanes& p, F f) {
  constexpr int L = commonLanes<R, A, B>, U = 4;
  const char *a = p.a, *b = p.b;
  char* d = p.d;
  int64_t n = p.n;
  const int64_t aStep = p.aStep * L * int64_t(sizeof(A)), bStep = p.bStep * L * int64_t(sizeof(B));
  for (; n >= U * L; n -= U * L) {
    Vector<R, L> y[U];
    eachVector<U>([&](int at) { y[at] = f(loadVector<Vector<A, L>>(a + at * aStep), loadVector<Vector<B, L>>(b + at * bStep)); });
    eachVector<U>([&](int at) { storeVector(d + at * L * int64_t(sizeof(R)), y[at]); });
    a += U * aStep;
    b += U * bStep;
    d += U * L * sizeof(R);
  }
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
  constexpr int L = commonLanes<R, A, B, C>, U = 2;
  const char *a = p.a, *b = p.b, *c = p.c;
  char* d = p.d;
  int64_t n = p.n;
  const int64_t aStep = p.aStep * L * int64_t(sizeof(A)), bStep = p.bStep * L * int64_t(sizeof(B)), cStep = p.cStep * L * int64_t(sizeof(C));
  for (; n >= U * L; n -= U * L) {
    Vector<R, L> y[U];
    eachVector<U>([&](int at) {
      y[at] = f(loadVector<Vector<A, L>>(a + at * aStep), loadVector<Vector<B, L>>(b + at * bStep), loadVector<Vector<C, L>>(c + at * cStep));
    });
    eachVector<U>([&](int at) { storeVector(d + at * L * int64_t(sizeof(R)), y[at]); });
    a += U * aStep;
    b += U * bStep;
    c += U * cStep;
    d += U * L * sizeof(R);
  }
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
      return asIntegers<Vector<uint8_t, commonLanes<uint8_t, T>>>(mask) & 1;              \
    });                                                                               \
  })
#define EACH(name, expression) \
  table.add(name, [](const Lanes& p) { eachOne<T, T>(p, [](T x) { return T(expression); }); })
#define EACH_PAIR(name, expression) \
  table.add(name, [](const Lanes& p) { eachTwo<T, T, T>(p, [](T x, T y) { return T(expression); }); })

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

}  // namespace weft
