// `convolution.float32`, `convolution.float64`: steps that choose how a convolution of this shape is computed.
#include "depthwise.h"
#include "patches.h"
#include "plane-products.h"
#include "taps.h"
#include "winograd.h"

namespace weft {

/**
 * Words: slots of input, kernel and result; offsets of input and kernel; the convolution (ConvolutionShape); whether the kernel
 * changes (Constancy); an epilogue (FeatureEpilogue).
 */
template <class T>
class Convolution final : public Step {
 public:
  explicit Convolution(Reader& reader)
      : inSlot(reader.next()), kernelSlot(reader.next()), outSlot(reader.next()), inOffset(reader.next()), kernelOffset(reader.next()), shape(reader),
        constancy(reader), epilogue(reader) {
    if (PlaneSums<T>::takes(shape)) planes = std::make_unique<PlaneSums<T>>(shape);
    else if (PlaneProducts<T>::takes(shape)) products = std::make_unique<PlaneProducts<T>>(shape);
    else if (shape.rows <= 2) taps = std::make_unique<TapSums<T>>(shape);
    else if (Winograd<T>::takes(shape)) winograd = std::make_unique<Winograd<T>>(shape);
    else patches = std::make_unique<PatchProduct<T>>(shape);
  }

  void run(Slots slots) override {
    const T* in = reinterpret_cast<const T*>(slots[inSlot]) + inOffset;
    const T* kernel = reinterpret_cast<const T*>(slots[kernelSlot]) + kernelOffset;
    T* out = reinterpret_cast<T*>(slots[outSlot]);
    epilogue.prepare(slots, shape.groups * shape.rows);
    if (planes != nullptr) planes->run(in, kernel, out, slots, epilogue);
    else if (products != nullptr) products->run(in, kernel, out, slots, epilogue);
    else if (taps != nullptr) taps->run(in, kernel, out, slots, epilogue);
    else if (winograd != nullptr) winograd->run(in, kernel, constancy.stampOf(slots), out, slots, epilogue);
    else patches->run(in, kernel, constancy.stampOf(slots), out, slots, epilogue);
    if (epilogue.pointwise != nullptr && !shape.isDense) epilogue.pointwise->run(slots);
  }

 private:
  int64_t inSlot, kernelSlot, outSlot, inOffset, kernelOffset;
  ConvolutionShape shape;
  Constancy constancy;
  FeatureEpilogue<T> epilogue;
  std::unique_ptr<PlaneSums<T>> planes;
  std::unique_ptr<PlaneProducts<T>> products;
  std::unique_ptr<TapSums<T>> taps;
  std::unique_ptr<Winograd<T>> winograd;
  std::unique_ptr<PatchProduct<T>> patches;
};

const Register convolutionFloat32("convolution.float32", makeStep<Convolution<float>>);
const Register convolutionFloat64("convolution.float64", makeStep<Convolution<double>>);

}  // namespace weft
