// How much work a step is, and what of it is worth another thread.
#pragma once
#include "pool.h"

namespace weft {

/** Elementwise operations that make a piece of a job, about a microsecond; one of them is an addition of elements in the cache. */
constexpr double operationsOfPiece = 32768;
/** Operations from which on other threads take part: less is done before they have begun and what this core wrote has come to theirs. */
constexpr double sharedOperations = 20 * operationsOfPiece;

/** Calls `body(begin, end)` for pieces of [0, count), whose items are `each` operations. */
template <class Body>
inline void shareOperations(int64_t count, double each, const Body& body) {
  if (double(count) * each < sharedOperations) return body(int64_t(0), count);
  parallelFor(count, int64_t(operationsOfPiece / each) + 1, body);
}

}  // namespace weft
