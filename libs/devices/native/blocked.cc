// `blocked_convolution.L.float32`: convolutions whose results, and inputs but for those in planes, are in blocks of L channels, as many
// as a vector has lanes.
#include "blocked-depthwise.h"
#include "blocked-products.h"

namespace weft {

/**
 * Words: slots of input, kernel and result; offsets of input and kernel; the convolution (BlockedShape); whether the kernel changes
 * (Constancy); an epilogue (FeatureEpilogue) over the result as it is in memory, with rows of whole blocks.
 */
template <class T>
class BlockedConvolution final : public Step {
 public:
  explicit BlockedConvolution(Reader& reader)
      : inSlot(reader.next()), kernelSlot(reader.next()), outSlot(reader.next()), inOffset(reader.next()), kernelOffset(reader.next()), shape(reader),
        constancy(reader), epilogue(reader) {
    if (shape.isDepthwise()) depthwise = std::make_unique<BlockedDepthwise<T>>(shape);
    else product = std::make_unique<BlockedProduct<T>>(shape);
  }

  void run(Slots slots) override {
    const T* in = reinterpret_cast<const T*>(slots[inSlot]) + inOffset;
    const T* kernel = reinterpret_cast<const T*>(slots[kernelSlot]) + kernelOffset;
    T* out = reinterpret_cast<T*>(slots[outSlot]);
    const int64_t stamp = constancy.stampOf(slots);
    epilogue.prepare(slots, shape.isDepthwise() ? roundUp(shape.groups, lanesOf<T>) : shape.groups * roundUp(shape.rows, lanesOf<T>));
    if (depthwise != nullptr) depthwise->run(in, kernel, stamp, out, slots, epilogue);
    else product->run(in, kernel, stamp, out, slots, epilogue);
  }

 private:
  int64_t inSlot, kernelSlot, outSlot, inOffset, kernelOffset;
  BlockedShape shape;
  Constancy constancy;
  FeatureEpilogue<T> epilogue;
  std::unique_ptr<BlockedDepthwise<T>> depthwise;
  std::unique_ptr<BlockedProduct<T>> product;
};

[[maybe_unused]] const bool blockedConvolutionIsThere = [] {
  operations()["blocked_convolution." + std::to_string(lanesOf<float>) + ".float32"] = makeStep<BlockedConvolution<float>>;
  return true;
}();

}  // namespace weft
