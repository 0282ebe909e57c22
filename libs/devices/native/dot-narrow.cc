// `dot.bfloat16.*`, `dot.int8.*`: batches of matrix products of narrow numbers, by operands and results.
#include "batches.h"
#include "narrow.h"

namespace weft {

/** Words: see `BatchedProduct`. C is dense. */
template <class N, class Out>
class NarrowDot final : public Step {
 public:
  explicit NarrowDot(Reader& reader) : product(reader) {}

  void run(Slots slots) override {
    using E = typename N::Element;
    static const auto multiply = N::hasInstruction() ? multiplyNarrow<N, true, Out> : multiplyNarrow<N, false, Out>;
    Out* c = reinterpret_cast<Out*>(slots[product.cSlot]);
    const auto one = [&](int64_t batch) {
      const auto [a, b] = product.operands<E>(slots, batch);
      multiply(a, b, c + batch * product.rows * product.columns, product.columns, product.rows, product.columns, product.depth);
    };
    if (product.rows * product.columns * product.depth == 0) {
      std::memset(c, 0, size_t(product.batches * product.rows * product.columns) * sizeof(Out));
    } else {
      product.forEach(one);
    }
  }

 private:
  BatchedProduct product;
};

const Register registerBrain("dot.bfloat16.bfloat16", makeStep<NarrowDot<BrainNumbers, uint16_t>>);
const Register registerBrainWide("dot.bfloat16.float32", makeStep<NarrowDot<BrainNumbers, float>>);
const Register registerBytes("dot.int8.int8", makeStep<NarrowDot<SignedBytes, int8_t>>);
const Register registerBytesWide("dot.int8.int32", makeStep<NarrowDot<SignedBytes, int32_t>>);

}  // namespace weft
