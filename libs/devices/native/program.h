// Programs: what a compiled graph is on this side. TypeScript writes a flat list of words; each step is read once, when the
// program is made, and run many times. Memory is named by slots, whose addresses are set before a run.
#pragma once
#include <cmath>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>
#include "pool.h"

namespace weft {

/** Addresses of the program's tensors. */
using Slots = char* const*;

class Reader;

/** One step of a program. */
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(Slots slots) = 0;
  /** Does parts begin … end - 1 of `parts` equal ones along its outermost dimension, on this thread. */
  virtual void runParts(Slots, int64_t /* begin */, int64_t /* end */, int64_t /* parts */) {
    throw std::runtime_error("a step that is no link of a chain is run as one");
  }
  /** Told before it runs: that slots first … last - 1 hold what was just computed. */
  virtual void findsInCache(int64_t /* first */, int64_t /* last */) {}
};
using Steps = std::vector<std::unique_ptr<Step>>;

inline void runSteps(const Steps& steps, Slots slots) {
  for (const auto& step : steps) step->run(slots);
}

using Factory = std::unique_ptr<Step> (*)(Reader&);

/** Kinds of steps by name. A step begins with the number of its kind: its position among the names in order. */
inline std::map<std::string, Factory>& operations() {
  static std::map<std::string, Factory> table;
  return table;
}
template <class S>
std::unique_ptr<Step> makeStep(Reader& reader) {
  return std::make_unique<S>(reader);
}
struct Register {
  Register(const char* name, Factory factory) { operations()[name] = factory; }
};

/** Factories in order of their names. */
inline const std::vector<Factory>& factories() {
  static const std::vector<Factory> list = [] {
    std::vector<Factory> all;
    for (const auto& [name, factory] : operations()) all.push_back(factory);
    return all;
  }();
  return list;
}

/** Takes words one by one; throws when the list is shorter than it should be. */
class Reader {
 public:
  Reader(const int64_t* words, int64_t count) : at(words), end(words + count) {}

  int64_t next() {
    if (at == end) throw std::runtime_error("a step needs more words than there are");
    return *at++;
  }
  int nextInt() { return int(next()); }
  size_t nextCount() { return size_t(next()); }
  double nextDouble() {
    const int64_t word = next();
    double value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  /** A count, then so many words. */
  std::vector<int64_t> list() {
    std::vector<int64_t> values(nextCount());
    for (auto& value : values) value = next();
    return values;
  }
  std::unique_ptr<Step> step() {
    const int64_t kind = next();
    if (kind < 0 || kind >= int64_t(factories().size())) throw std::runtime_error("no such step");
    return factories()[size_t(kind)](*this);
  }
  /** A count, then so many steps. */
  Steps steps() {
    Steps result(nextCount());
    for (auto& each : result) each = step();
    return result;
  }

 private:
  const int64_t* at;
  const int64_t* end;
};

class Program {
 public:
  /** @param bindings addresses of all slots as doubles, written by the caller; the first `dynamic` ones are read at every run */
  Program(Reader reader, const double* bindings, int64_t slotCount, int64_t dynamic)
      : bindings(bindings), dynamic(dynamic), slots(size_t(slotCount)) {
    steps = reader.steps();
  }
  /** Takes the addresses of the other slots over. */
  void bind() { copyAddresses(dynamic, int64_t(slots.size())); }
  void run(int64_t from, int64_t to) {
    copyAddresses(0, dynamic);
    for (int64_t at = from; at < to; at++) steps[size_t(at)]->run(slots.data());
  }
  int64_t length() const { return int64_t(steps.size()); }

 private:
  void copyAddresses(int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at++) slots[size_t(at)] = reinterpret_cast<char*>(uint64_t(bindings[at]));
  }
  const double* bindings;
  int64_t dynamic;
  std::vector<char*> slots;
  Steps steps;
};

}  // namespace weft
