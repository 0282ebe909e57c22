// Convolutions whose values are in blocked channels: [images, blocks of channels, height, width, lanes], where a block has as many
// channels as a vector has lanes, and the last one may have lanes that mean nothing. A position of a block is one vector, so that
// neighbouring output features are summed in lanes, whatever the size of planes, stride or window.
#pragma once
#include "epilogue.h"
#include "kept.h"
#include "spatial.h"

namespace weft {

/**
 * Words: groups, images, output features and input features of a group; how many groups of the kernel one of these is, with nothing between
 * them, and features of the last one (output, input), which may have fewer; the kernel's strides (group, output feature, input feature); the
 * strides of the input (image, feature) where it is in planes whose columns are dense, or 0 twice where it is in blocks; height and width
 * as in ConvolutionAxis. Groups are one, or of whole blocks, or of one feature each (depthwise).
 */
struct BlockedShape {
  explicit BlockedShape(Reader& reader) {
    for (int64_t* word : {&groups, &images, &rows, &channels, &merged, &lastRows, &lastChannels, &kernelGroup, &kernelRow, &kernelChannel, &inImage, &inChannel}) *word = reader.next();
    for (ConvolutionAxis* axis : {&y, &x})
      for (int64_t* word : {&axis->in, &axis->kernel, &axis->out, &axis->step, &axis->low, &axis->inDilation, &axis->kernelDilation, &axis->inStride,
                            &axis->kernelStride, &axis->outStride})
        *word = reader.next();
  }
  BlockedShape() = default;

  bool isDepthwise() const { return groups > 1 && rows == 1 && channels == 1; }
  bool isPlanes() const { return inChannel != 0; }
  /** Whether the result is in planes, whose positions are dense. */
  bool givesPlanes() const { return outRow != 0; }
  int64_t rowsOf(int64_t group) const { return group == groups - 1 ? lastRows : rows; }
  int64_t channelsOf(int64_t group) const { return group == groups - 1 ? lastChannels : channels; }
  /** Elements of the result that one block has. */
  int64_t outBlock(int64_t lanes) const { return y.out * x.out * lanes; }

  int64_t groups, images, rows, channels, merged = 1, lastRows, lastChannels, kernelGroup, kernelRow, kernelChannel, inImage, inChannel;
  /** Where the result is in planes, elements between groups of the input, and of the result between groups, images and features. */
  int64_t inGroup = 0, outGroup = 0, outImage = 0, outRow = 0;
  ConvolutionAxis y, x;
};

/** What is done with sums before they are stored: a formula whose rows have a number for every lane of every block. */
template <class T>
struct BlockedFinish {
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;

  /** For blocks of features from `feature` on; `element` is where the first of them is in the result. */
  BlockedFinish(const Affine<T>* affine, int64_t feature, int64_t element) {
    if (affine == nullptr) return;
    isThere = true;
    factor = affine->factorRow() + feature;
    shift = affine->shiftRow() + feature;
    low = affine->low;
    high = affine->high;
    others = affine->countOfTerms();
    for (int other = 0; other < others; other++) {
      at[other] = affine->termAt(other) + element;
      by[other] = affine->termRow(other) + feature;
    }
    gate = affine->gateThere();
    gate.at += gate.kind != 0 ? element : 0;
  }

  /** The value of a sum of block `block` from the first on, `offset` elements after the first. */
  W operator()(W sum, int block, int64_t offset) const {
    W value = sum * loadVector<W>(factor + block * L) + loadVector<W>(shift + block * L);
    for (int other = 0; other < others; other++) value += loadVector<W>(at[other] + offset) * loadVector<W>(by[other] + block * L);
    // Comparisons let NaN through.
    const W least = splat<W>(low), most = splat<W>(high);
    value = value <= least ? least : value;
    value = value >= most ? most : value;
    if (gate.kind == 0) return value;
    const W through = loadVector<W>(gate.at + offset) * splat<W>(gate.sign), bound = splat<W>(gate.bound), other = splat<W>(gate.replacement);
    return gate.kind == 1 ? (through <= bound ? other : value) : (through > bound ? value : other);
  }

  bool isThere = false;
  const T *factor = nullptr, *shift = nullptr;
  T low = 0, high = 0;
  int others = 0;
  const T* at[mostTerms] = {};
  const T* by[mostTerms] = {};
  typename Affine<T>::Gate gate{};
};

}  // namespace weft
