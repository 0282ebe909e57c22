// Branches and loops: steps that hold programs of their own.
#pragma once
#include "program.h"

namespace weft {

/** An integer scalar of `size` bytes, signed or not. */
inline int64_t readIndex(const char* from, int64_t size, bool isSigned) {
  switch (size) {
    case 1:
      return isSigned ? int64_t(*reinterpret_cast<const int8_t*>(from)) : int64_t(*reinterpret_cast<const uint8_t*>(from));
    case 2:
      return isSigned ? int64_t(*reinterpret_cast<const int16_t*>(from)) : int64_t(*reinterpret_cast<const uint16_t*>(from));
    case 4:
      return isSigned ? int64_t(*reinterpret_cast<const int32_t*>(from)) : int64_t(*reinterpret_cast<const uint32_t*>(from));
    default:
      return *reinterpret_cast<const int64_t*>(from);
  }
}

/** `if`: words are the predicate's slot and both branches, each writing its results in their places. */
class If final : public Step {
 public:
  explicit If(Reader& reader) {
    predicate = reader.next();
    whenTrue = reader.steps();
    whenFalse = reader.steps();
  }
  void run(Slots slots) override { runSteps(slots[predicate][0] ? whenTrue : whenFalse, slots); }

 private:
  int64_t predicate;
  Steps whenTrue, whenFalse;
};

/** `while`: words are the predicate's slot, the condition, the body (which ends by moving results to the loop's values). */
class While final : public Step {
 public:
  explicit While(Reader& reader) {
    predicate = reader.next();
    condition = reader.steps();
    body = reader.steps();
  }
  void run(Slots slots) override {
    for (;;) {
      runSteps(condition, slots);
      if (!slots[predicate][0]) return;
      runSteps(body, slots);
    }
  }

 private:
  int64_t predicate;
  Steps condition, body;
};

inline Register registerIf("if", makeStep<If>);
inline Register registerWhile("while", makeStep<While>);

}  // namespace weft
