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
      reserve(count * int64_t(sizeof(T)));
      to = start();
    } else {
      to = reinterpret_cast<T*>(scratchOf(scratch, count * int64_t(sizeof(T))));
    }
    make(to);
    return to;
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  void reserve(int64_t bytes) {
    memory.reset();
    // Large ones in large pages, where the system has them: their addresses are found faster.
    const int64_t page = bytes >= (4 << 20) ? 1 << 21 : 4096, size = roundUp(bytes, page);
    memory.reset(std::aligned_alloc(size_t(page), size_t(size)));
    if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (page > 4096) madvise(memory.get(), size_t(size), MADV_HUGEPAGE);
#endif
  }
  T* start() { return static_cast<T*>(memory.get()); }
  std::unique_ptr<void, Free> memory;
  const void* seen = nullptr;
  int64_t seenStamp = -1;
  bool isMade = false;
};

}  // namespace weft
