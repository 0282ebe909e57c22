// `dot.float32`, `dot.float64`: batches of matrix products, with what follows them element by element done while it is hot.
#include <memory>
#include "batches.h"
#include "gemm.h"
#include "pointwise.h"

namespace weft {

/** Words: see `BatchedProduct`; then 1 and a pointwise step over C's elements, or 0. C is dense. */
template <class T>
class Dot final : public Step {
 public:
  explicit Dot(Reader& reader) : product(reader) {
    if (reader.next() != 0) {
      reader.next();  // the kind of the step, which is known
      epilogue = std::make_unique<Pointwise>(reader);
    }
  }

  void run(Slots slots) override {
    product.forEach([&](int64_t batch) { runOne(slots, batch); });
  }

  void runParts(Slots slots, int64_t begin, int64_t end, int64_t parts) override {
    const int64_t each = product.batches / parts;
    for (int64_t batch = each * begin; batch < each * end; batch++) runOne(slots, batch);
  }

 private:
  void runOne(Slots slots, int64_t batch) {
    const int64_t rows = product.rows, columns = product.columns;
    const auto [a, b] = product.operands<T>(slots, batch);
    T* c = reinterpret_cast<T*>(slots[product.cSlot]) + batch * rows * columns;
    if (epilogue == nullptr) return multiply<T>(a, b, c, columns, rows, columns, product.depth, NoEpilogue{});
    const auto finish = [&](int64_t rowBegin, int64_t rowEnd, int64_t begin, int64_t end) {
      epilogue->runRows(slots, (batch * rows + rowBegin) * columns + begin, columns, rowEnd - rowBegin, end - begin);
    };
    multiply<T>(a, b, c, columns, rows, columns, product.depth, finish);
  }

  BatchedProduct product;
  std::unique_ptr<Pointwise> epilogue;
};

const Register registerDotFloat32("dot.float32", makeStep<Dot<float>>);
const Register registerDotFloat64("dot.float64", makeStep<Dot<double>>);

}  // namespace weft
