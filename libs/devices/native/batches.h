// Batches of matrix products as steps tell them: where the operands of each are, and which run side by side.
#pragma once
#include "program.h"
#include "thin.h"

namespace weft {

/**
 * Words: slots of A, B and C; offsets of A and B in elements; batch axes (size, strides of A and B), after their count; rows, columns,
 * depth; strides of A (row, depth) and B (depth, column).
 */
struct BatchedProduct {
  explicit BatchedProduct(Reader& reader) {
    for (int64_t* word : {&aSlot, &bSlot, &cSlot, &aOffset, &bOffset}) *word = reader.next();
    axes.resize(reader.nextCount());
    for (auto& axis : axes) {
      axis.size = reader.next();
      axis.a = reader.next();
      axis.b = reader.next();
      batches *= axis.size;
    }
    for (int64_t* word : {&rows, &columns, &depth, &aRow, &aDepth, &bDepth, &bColumn}) *word = reader.next();
  }

  template <class T>
  std::pair<Matrix<T>, Matrix<T>> operands(Slots slots, int64_t batch) const {
    int64_t aAt = aOffset, bAt = bOffset;
    for (size_t axis = axes.size(); axis-- > 0; batch /= axes[axis].size) {
      const int64_t index = batch % axes[axis].size;
      aAt += index * axes[axis].a;
      bAt += index * axes[axis].b;
    }
    return {{reinterpret_cast<const T*>(slots[aSlot]) + aAt, aRow, aDepth}, {reinterpret_cast<const T*>(slots[bSlot]) + bAt, bDepth, bColumn}};
  }

  /** Calls `one(batch)` for all: small products and many on several threads, large ones after each other, each on all threads. */
  template <class One>
  void forEach(const One& one) const {
    const auto some = [&](int64_t begin, int64_t end) {
      for (int64_t batch = begin; batch < end; batch++) one(batch);
    };
    const int64_t work = std::max<int64_t>(1, rows * columns * depth);
    const bool isSideBySide = batches > 1 && (work < (int64_t(1) << 22) || batches >= 4 * pool().size());
    if (isSideBySide) parallelFor(batches, divideUp(productGrain, work), some);
    else some(0, batches);
  }

  struct Axis {
    int64_t size, a, b;
  };
  int64_t aSlot, bSlot, cSlot, aOffset, bOffset, rows, columns, depth, aRow, aDepth, bDepth, bColumn;
  int64_t batches = 1;
  std::vector<Axis> axes;
};

}  // namespace weft
