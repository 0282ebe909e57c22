// What chains (chain.cc) ask of steps that fold the parts of all of a chain into one result.
#pragma once
#include "program.h"

namespace weft {

/** A step that folds all parts into one result, which no other step of the chain reads. */
class Gathering {
 public:
  virtual ~Gathering() = default;
  virtual int64_t stateBytes() const = 0;
  virtual void startState(char* state) const = 0;
  /** Folds parts begin … end - 1, whose operands are `between` elements apart. */
  virtual void foldParts(Slots slots, char* state, int64_t begin, int64_t end, int64_t between) const = 0;
  virtual void finishStates(Slots slots, char* const* states, int64_t count) const = 0;
};

}  // namespace weft
