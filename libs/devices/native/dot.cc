// `dot.float32`, `dot.float64`: batches of matrix products, with what follows them element by element done while it is hot.
#include <memory>
#include "gemm.h"
#include "pointwise.h"

namespace weft {

/**
 * Words: slots of A, B and C; offsets of A and B in elements; batch axes (size, strides of A and B), after their count; rows, columns,
 * depth; strides of A (row, depth) and B (depth, column); 1 and a pointwise step over C's elements, or 0.
 */
template <class T>
class Dot final : public Step {
 public:
  explicit Dot(Reader& reader) {
    for (int64_t* word : {&aSlot, &bSlot, &cSlot, &aOffset, &bOffset}) *word = reader.next();
    axes.resize(reader.nextCount());
    for (auto& axis : axes) {
      axis.size = reader.next();
      axis.a = reader.next();
      axis.b = reader.next();
      batches *= axis.size;
    }
    for (int64_t* word : {&rows, &columns, &depth, &aRow, &aDepth, &bDepth, &bColumn}) *word = reader.next();
    if (reader.next() != 0) {
      reader.next();  // the kind of the step, which is known
      epilogue = std::make_unique<Pointwise>(reader);
    }
  }

  void run(Slots slots) override {
    const T* a = reinterpret_cast<const T*>(slots[aSlot]) + aOffset;
    const T* b = reinterpret_cast<const T*>(slots[bSlot]) + bOffset;
    T* c = reinterpret_cast<T*>(slots[cSlot]);
    if (batches == 1) return product(slots, a, b, c, 0);
    const int64_t work = std::max<int64_t>(1, rows * columns * depth);
    const bool isSmall = work < (int64_t(1) << 22) || batches >= 4 * pool().size();
    const auto some = [&](int64_t begin, int64_t end) { products(slots, begin, end); };
    if (isSmall) parallelFor(batches, divideUp(productGrain, work), some);
    else some(0, batches);
  }

  void runParts(Slots slots, int64_t begin, int64_t end, int64_t parts) override {
    products(slots, batches / parts * begin, batches / parts * end);
  }

 private:
  /** Those of batches begin … end - 1. */
  void products(Slots slots, int64_t begin, int64_t end) {
    const T* a = reinterpret_cast<const T*>(slots[aSlot]) + aOffset;
    const T* b = reinterpret_cast<const T*>(slots[bSlot]) + bOffset;
    T* c = reinterpret_cast<T*>(slots[cSlot]);
    for (int64_t batch = begin; batch < end; batch++) {
      int64_t aAt = 0, bAt = 0, rest = batch;
      for (size_t axis = axes.size(); axis-- > 0;) {
        const int64_t index = rest % axes[axis].size;
        rest /= axes[axis].size;
        aAt += index * axes[axis].a;
        bAt += index * axes[axis].b;
      }
      product(slots, a + aAt, b + bAt, c + batch * rows * columns, batch * rows);
    }
  }

  void product(Slots slots, const T* a, const T* b, T* c, int64_t firstRow) {
    const Matrix<T> left{a, aRow, aDepth}, right{b, bDepth, bColumn};
    if (epilogue == nullptr) return multiply<T>(left, right, c, columns, rows, columns, depth, NoEpilogue{});
    const auto finish = [&](int64_t rowBegin, int64_t rowEnd, int64_t begin, int64_t end) {
      epilogue->runRows(slots, (firstRow + rowBegin) * columns + begin, columns, rowEnd - rowBegin, end - begin);
    };
    multiply<T>(left, right, c, columns, rows, columns, depth, finish);
  }

  struct BatchAxis {
    int64_t size, a, b;
  };
  int64_t aSlot, bSlot, cSlot, aOffset, bOffset, rows, columns, depth, aRow, aDepth, bDepth, bColumn;
  int64_t batches = 1;
  std::vector<BatchAxis> axes;
  std::unique_ptr<Pointwise> epilogue;
};

const Register registerDotFloat32("dot.float32", makeStep<Dot<float>>);
const Register registerDotFloat64("dot.float64", makeStep<Dot<double>>);

}  // namespace weft
