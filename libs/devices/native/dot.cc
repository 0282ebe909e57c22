// `dot.float32`, `dot.float64`: batches of matrix products, with what follows them element by element done while it is hot.
#include "batches.h"
#include "epilogue.h"
#include "gemm.h"

namespace weft {

/** Words: see `BatchedProduct`; an epilogue (FeatureEpilogue) over C, whose features are its columns. C is dense. */
template <class T>
class Dot final : public Step {
 public:
  explicit Dot(Reader& reader) : product(reader), epilogue(reader) { findsInCache(product.cSlot, product.cSlot + 1); }

  void run(Slots slots) override {
    epilogue.prepare(slots, product.columns);
    product.forEach([&](int64_t batch) { runRows(slots, batch, 0, product.rows); });
  }

  void findsInCache(int64_t first, int64_t last) override {
    if (epilogue.pointwise != nullptr) epilogue.pointwise->findsInCache(first, last);
  }

  /** Parts are some products each, or blocks of rows of one; what follows them there is no formula. */
  void runParts(Slots slots, int64_t begin, int64_t end, int64_t parts) override {
    const int64_t rows = product.rows * product.batches / parts;
    for (int64_t row = rows * begin, last = rows * end; row < last;) {
      const int64_t batch = row / product.rows, next = std::min(last, (batch + 1) * product.rows);
      runRows(slots, batch, row - batch * product.rows, next - batch * product.rows);
      row = next;
    }
  }

 private:
  void runRows(Slots slots, int64_t batch, int64_t first, int64_t last) {
    const int64_t columns = product.columns, start = batch * product.rows + first;
    const auto [a, b] = product.operands<T>(slots, batch);
    T* c = reinterpret_cast<T*>(slots[product.cSlot]) + start * columns;
    if (epilogue.isNone()) return multiply<T>(a.from(first, 0), b, c, columns, last - first, columns, product.depth, NoEpilogue{});
    const auto finish = [&](int64_t rowBegin, int64_t rowEnd, int64_t begin, int64_t end) {
      const int64_t at = rowBegin * columns + begin;
      epilogue.finishRows(slots, c + at, columns, rowEnd - rowBegin, end - begin, begin, start * columns + at);
    };
    multiply<T>(a.from(first, 0), b, c, columns, last - first, columns, product.depth, finish);
  }

  BatchedProduct product;
  FeatureEpilogue<T> epilogue;
};

const Register registerDotFloat32("dot.float32", makeStep<Dot<float>>);
const Register registerDotFloat64("dot.float64", makeStep<Dot<double>>);

}  // namespace weft
