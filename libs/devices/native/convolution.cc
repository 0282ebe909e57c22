// `convolution.float32`, `convolution.float64`: steps that choose how a convolution of this shape is computed.
#include "phases.h"

namespace weft {

/**
 * Words: slots of input, kernel and result; offsets of input and kernel; the convolution (ConvolutionShape); whether the kernel
 * changes (Constancy); where the input is dilated, a slot for as many elements as the result has; an epilogue (FeatureEpilogue).
 */
template <class T>
class Convolution final : public Step {
 public:
  explicit Convolution(Reader& reader)
      : inSlot(reader.next()), kernelSlot(reader.next()), outSlot(reader.next()), inOffset(reader.next()), kernelOffset(reader.next()), shape(reader),
        constancy(reader), apartSlot(reader.next()), epilogue(reader) {
    if (Phases<T>::takes(shape)) phases = std::make_unique<Phases<T>>(shape);
    else way = std::make_unique<ConvolutionWay<T>>(shape);
  }

  void run(Slots slots) override {
    const T* in = reinterpret_cast<const T*>(slots[inSlot]) + inOffset;
    const T* kernel = reinterpret_cast<const T*>(slots[kernelSlot]) + kernelOffset;
    T* out = reinterpret_cast<T*>(slots[outSlot]);
    const int64_t stamp = constancy.stampOf(slots);
    epilogue.prepare(slots, shape.groups * shape.rows);
    if (phases != nullptr) phases->run(in, kernel, stamp, out, reinterpret_cast<T*>(slots[apartSlot]), slots, epilogue);
    else way->run(in, kernel, stamp, out, slots, epilogue);
    if (epilogue.pointwise != nullptr && !shape.isDense) epilogue.pointwise->run(slots);
  }

 private:
  int64_t inSlot, kernelSlot, outSlot, inOffset, kernelOffset;
  ConvolutionShape shape;
  Constancy constancy;
  int64_t apartSlot;
  FeatureEpilogue<T> epilogue;
  std::unique_ptr<Phases<T>> phases;
  std::unique_ptr<ConvolutionWay<T>> way;
};

const Register convolutionFloat32("convolution.float32", makeStep<Convolution<float>>);
const Register convolutionFloat64("convolution.float64", makeStep<Convolution<double>>);

}  // namespace weft
