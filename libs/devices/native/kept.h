// What a step makes of an operand that stays the same from run to run, such as packed weights: made once, at the first run. When the
// operand has changed it is made in scratch memory and nothing is kept, until it has been the same for two runs.
#pragma once
#include "kept-blocks.h"
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
    const bool isSame = stamp >= 0 && (seen == nullptr || (operand == seen && stamp == seenStamp));
    seen = operand;
    seenStamp = stamp;
    if (isSame && block != nullptr) return static_cast<const T*>(block->start());
    block.reset();
    const int64_t bytes = count * int64_t(sizeof(T));
    if (!isSame) {
      T* to = reinterpret_cast<T*>(scratchOf(scratch, bytes));
      make(to);
      return to;
    }
    auto fresh = std::make_unique<KeptBlock>(bytes);
    make(static_cast<T*>(fresh->start()));
    block = KeptBlocks::share(std::move(fresh));
    return static_cast<const T*>(block->start());
  }

 private:
  std::shared_ptr<const KeptBlock> block;
  const void* seen = nullptr;
  int64_t seenStamp = -1;
};

}  // namespace weft
