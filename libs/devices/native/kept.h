// What a step makes of an operand that stays the same from run to run, such as packed weights: made once, when the operand has been
// the same for two runs. One that changes at every run is made in scratch memory, and nothing is kept of it.
#pragma once
#include "program.h"

namespace weft {

/** Word: 0, the operand may be another at every run; 1, it never changes; 2 + a slot that holds a number which changes with it. */
class Constancy {
 public:
  explicit Constancy(Reader& reader) : word(reader.next()) {}
  /** The same number as at another run: the operand is the same too. -1: nothing is known. */
  int64_t stampOf(Slots slots) const { return word == 0 ? -1 : word == 1 ? 0 : int64_t(reinterpret_cast<intptr_t>(slots[word - 2])); }

 private:
  int64_t word;
};

template <class T>
class Kept {
 public:
  /** `count` elements, which `make(to)` fills if they are not there yet. */
  template <class Make>
  const T* of(const void* operand, int64_t stamp, int64_t count, Scratch scratch, const Make& make) {
    const bool isSame = stamp >= 0 && operand == seen && stamp == seenStamp;
    seen = operand;
    seenStamp = stamp;
    if (isSame && isMade) return start();
    isMade = isSame;
    T* to;
    if (isSame) {
      memory.resize(size_t(count + alignment / int64_t(sizeof(T))));
      to = start();
    } else {
      to = reinterpret_cast<T*>(scratchOf(scratch, count * int64_t(sizeof(T))));
    }
    make(to);
    return to;
  }

 private:
  T* start() { return reinterpret_cast<T*>(roundUp(int64_t(memory.data()), alignment)); }
  std::vector<T> memory;
  const void* seen = nullptr;
  int64_t seenStamp = -1;
  bool isMade = false;
};

}  // namespace weft
