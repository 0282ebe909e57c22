// Which way a convolution whose input is not dilated is computed.
#pragma once
#include "blocked-kernels.h"
#include "blocked-products.h"
#include "depthwise.h"
#include "depthwise-kernels.h"
#include "depthwise-rows.h"
#include "patches.h"
#include "plane-products.h"
#include "taps.h"
#include "winograd.h"
#include "winograd-kernels.h"

namespace weft {

template <class T>
class ConvolutionWay {
 public:
  explicit ConvolutionWay(const ConvolutionShape& shape) {
    if (DepthwiseKernels<T>::takes(shape)) depthwise = std::make_unique<DepthwiseKernels<T>>(shape);
    else if (RowSums<T>::takes(shape)) lines = std::make_unique<RowSums<T>>(shape);
    else if (PlaneSums<T>::takes(shape)) planes = std::make_unique<PlaneSums<T>>(shape);
    else if (WinogradKernels<T>::takes(shape)) kernels = std::make_unique<WinogradKernels<T>>(shape);
    else if (BlockedKernels<T>::takes(shape)) sums = std::make_unique<BlockedKernels<T>>(shape);
    else if (PlaneProducts<T>::takes(shape)) products = std::make_unique<PlaneProducts<T>>(shape);
    else if (shape.rows <= 2) taps = std::make_unique<TapSums<T>>(shape);
    else if (winogradTile<T>(shape) == 4) fours = std::make_unique<Winograd<T, 4>>(shape);
    else if (winogradTile<T>(shape) == 2) twos = std::make_unique<Winograd<T, 2>>(shape);
    else if (BlockedProduct<T>::takes(shape)) blocks = std::make_unique<BlockedProduct<T>>(BlockedProduct<T>::shapeOf(shape));
    else patches = std::make_unique<PatchProduct<T>>(shape);
  }

  /** @param stamp whether the kernel is the one of the last run (kept.h) */
  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    if (depthwise != nullptr) depthwise->run(in, kernel, out, slots, epilogue);
    else if (lines != nullptr) lines->run(in, kernel, out, slots, epilogue);
    else if (planes != nullptr) planes->run(in, kernel, out, slots, epilogue);
    else if (kernels != nullptr) kernels->run(in, kernel, out, slots, epilogue);
    else if (sums != nullptr) sums->run(in, kernel, out, slots, epilogue);
    else if (products != nullptr) products->run(in, kernel, out, slots, epilogue);
    else if (taps != nullptr) taps->run(in, kernel, out, slots, epilogue);
    else if (fours != nullptr) fours->run(in, kernel, stamp, out, slots, epilogue);
    else if (twos != nullptr) twos->run(in, kernel, stamp, out, slots, epilogue);
    else if (blocks != nullptr) blocks->run(in, kernel, stamp, out, slots, epilogue);
    else patches->run(in, kernel, stamp, out, slots, epilogue);
  }

 private:
  std::unique_ptr<DepthwiseKernels<T>> depthwise;
  std::unique_ptr<RowSums<T>> lines;
  std::unique_ptr<PlaneSums<T>> planes;
  std::unique_ptr<WinogradKernels<T>> kernels;
  std::unique_ptr<BlockedKernels<T>> sums;
  std::unique_ptr<PlaneProducts<T>> products;
  std::unique_ptr<TapSums<T>> taps;
  std::unique_ptr<Winograd<T, 4>> fours;
  std::unique_ptr<Winograd<T, 2>> twos;
  std::unique_ptr<BlockedProduct<T>> blocks;
  std::unique_ptr<PatchProduct<T>> patches;
};

}  // namespace weft
