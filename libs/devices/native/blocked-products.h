// Convolutions in blocked channels as products where the input is: a tile of some positions by some blocks of output features is
// summed in registers, one element of the input at a time against a vector of weights for each block. Weights are reordered
// once; inputs are copied only where the window reaches beyond them.
#pragma once
#include <array>
#include <utility>
#include "blocked.h"
#include "gemm.h"

namespace weft {

template <class T>
struct BlockedTiling {
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int blocks = 4;
  static constexpr int positions[blocks] = {14, 12, 8, 6};
#elif defined(__AVX2__)
  static constexpr int blocks = 3;
  static constexpr int positions[blocks] = {8, 6, 4};
#else
  static constexpr int blocks = 2;
  static constexpr int positions[blocks] = {8, 5};
#endif
  /** Positions of a tile of so many blocks, at most. */
  static constexpr int most(int count) { return positions[count - 1]; }
  /** Bytes of weights that are read again and again for one range of the depth: what is left of a small first-level cache. */
  static constexpr int64_t depthBytes = 24576;
};

/** Neighbouring elements of the input, from `offset` on, that a position is made of. */
struct BlockedRun {
  int64_t offset, count;
};

/** A tile: where it reads and writes. */
template <class T>
struct BlockedTile {
  const T* in;
  /** Elements of the input from one position to the next. */
  int64_t inStep;
  const BlockedRun* runs;
  int64_t runCount;
  const T* weights;
  T* out;
  int64_t outBlock;
  /** Whether sums begin with what is there. */
  bool adds;
  const BlockedFinish<T>* finish;
  /** Where the tile is in the result, counted from what `finish` begins with. */
  int64_t offset;
  /** Memory that will be read soon, a line for each step of the depth; where there is none, the same again. */
  const char* soon;
  int64_t soonStep;
};

/** One tile of P positions by B blocks, positions S elements apart in the input (0: `inStep`). */
template <class T, int P, int B, int S>
__attribute__((noinline)) void multiplyBlocks(const BlockedTile<T>& tile) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  const int64_t step = S != 0 ? S : tile.inStep;
  W sums[P][B];
#pragma GCC unroll 16
  for (int p = 0; p < P; p++)
#pragma GCC unroll 4
    for (int b = 0; b < B; b++) sums[p][b] = W{};
  const T* weights = tile.weights;
  const char* soon = tile.soon;
  const int64_t soonStep = tile.soonStep;
  for (const BlockedRun *run = tile.runs, *end = run + tile.runCount; run != end; run++) {
    const T* from = tile.in + run->offset;
    for (int64_t k = 0; k < run->count; k++) {
      __builtin_prefetch(soon, 0, 2);
      soon += soonStep;
      W right[B];
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) right[b] = loadVector<W>(weights + b * L);
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) {
        const W left = splat<W>(from[p * step]);
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) sums[p][b] += left * right[b];
      }
      weights += B * L;
      from++;
    }
  }
  if (tile.adds) {
#pragma GCC unroll 4
    for (int b = 0; b < B; b++)
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) sums[p][b] += loadVector<W>(tile.out + b * tile.outBlock + p * L);
  }
  if (tile.finish != nullptr) {
    const BlockedFinish<T> finish = *tile.finish;
#pragma GCC unroll 4
    for (int b = 0; b < B; b++)
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) storeVector(tile.out + b * tile.outBlock + p * L, finish(sums[p][b], b, tile.offset + b * tile.outBlock + p * L));
    return;
  }
#pragma GCC unroll 4
  for (int b = 0; b < B; b++)
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) storeVector(tile.out + b * tile.outBlock + p * L, sums[p][b]);
}

template <class T>
using BlockedKernel = void (*)(const BlockedTile<T>&);
/** The kernels of B blocks by their positions, less one. */
template <class T, int B, int S, int... P>
constexpr std::array<BlockedKernel<T>, sizeof...(P)> blockedKernels(std::integer_sequence<int, P...>) {
  return {&multiplyBlocks<T, P + 1, B, S>...};
}
template <class T, int S, int B = BlockedTiling<T>::blocks>
inline BlockedKernel<T> blockedKernel(int positions, int blocks) {
  if constexpr (B > 1)
    if (blocks < B) return blockedKernel<T, S, B - 1>(positions, blocks);
  static constexpr auto all = blockedKernels<T, B, S>(std::make_integer_sequence<int, BlockedTiling<T>::most(B)>{});
  return all[size_t(positions - 1)];
}

template <class T>
class BlockedProduct final : BlockedShape {
 public:
  explicit BlockedProduct(const BlockedShape& shape) : BlockedShape(shape) {
    // Positions side by side in input and result are one row.
    isCopied = reach(y) || reach(x);
    if (!isPlanes() && !isCopied && y.kernel == 1 && x.kernel == 1 && y.step == 1 && x.step == 1 && x.out == x.in) {
      x.in = x.out = y.in * x.in;
      y.in = y.out = 1;
    }
    element = isPlanes() ? 1 : L;
    blocks = divideUp(rows, L);
    inBlocks = divideUp(channels, L);
    depth = channels * y.kernel * x.kernel;
    parts = divideUp(blocks, Tiling::blocks);
    // Rows whose input is copied at a time: half of a second-level cache.
    const int64_t line = std::max<int64_t>(1, paddedWidth() * planes() * element * y.step * int64_t(sizeof(T)));
    blockRows = isCopied ? std::clamp<int64_t>(262144 / line, 1, y.out) : y.out;
  }

  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    const T* weights = kept.of(kernel, stamp, groups * blocks * L * depth, Scratch::rows, [&](T* to) { packKernel(to, kernel); });
    const int64_t threads = pool().size();
    // Rows in pieces, and positions of a row where it is the only one.
    const int64_t whole = divideUp(y.out, blockRows);
    const int64_t tasks = images * groups * whole;
    const int64_t few = threads == 1 ? 1 : divideUp(2 * threads, tasks);
    // Each part of the features reads a copied input again, which is then made again.
    const int64_t cuts = isCopied ? 1 : std::min(parts, few);
    const int64_t left = divideUp(few, cuts), rowCuts = y.out > 1 ? std::min(left, std::min(blockRows, y.out)) : 1;
    const int64_t columnCuts = y.out == 1 ? std::clamp<int64_t>(x.out / 32, 1, left) : 1;
    const int64_t pieces = tasks * cuts * rowCuts * columnCuts;
    const int64_t work = std::max<int64_t>(1, images * groups * rows * depth * y.out * x.out / pieces);
    parallelFor(pieces, divideUp(convolutionGrain, work), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        int64_t rest = task;
        const auto next = [&](int64_t count) {
          const int64_t at = rest % count;
          rest /= count;
          return at;
        };
        const int64_t columnCut = next(columnCuts), rowCut = next(rowCuts), cut = next(cuts), piece = next(whole), group = next(groups), image = rest;
        const int64_t first = piece * blockRows, last = std::min(y.out, first + blockRows);
        const Range range{first + (last - first) * rowCut / rowCuts, first + (last - first) * (rowCut + 1) / rowCuts, x.out * columnCut / columnCuts,
                          x.out * (columnCut + 1) / columnCuts};
        if (range.firstRow == range.lastRow || range.firstColumn == range.lastColumn) continue;
        multiply(in + image * imageStride() + group * groupStride(), weights + group * blocks * L * depth, out, image, group, range, parts * cut / cuts,
                 parts * (cut + 1) / cuts, slots, epilogue);
      }
    });
  }

 private:
  static constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  using Tiling = BlockedTiling<T>;
  struct Range {
    int64_t firstRow, lastRow, firstColumn, lastColumn;
  };

  /** Whether windows reach beyond the input. */
  static bool reach(const ConvolutionAxis& axis) {
    return axis.low > 0 || (axis.out - 1) * axis.step - axis.low + (axis.kernel - 1) * axis.kernelDilation >= axis.in;
  }
  int64_t planes() const { return isPlanes() ? channels : inBlocks; }
  int64_t imageStride() const { return isPlanes() ? inImage : groups * inBlocks * y.in * x.in * L; }
  int64_t groupStride() const { return isPlanes() ? channels * inChannel : inBlocks * y.in * x.in * L; }
  /** Columns and rows of a copy with what windows reach beyond the input. */
  int64_t paddedWidth() const { return (x.out - 1) * x.step + (x.kernel - 1) * x.kernelDilation + 1; }
  int64_t linesOf(int64_t count) const { return (count - 1) * y.step + (y.kernel - 1) * y.kernelDilation + 1; }

  void multiply(const T* in, const T* weights, T* out, int64_t image, int64_t group, const Range& range, int64_t firstPart, int64_t lastPart, Slots slots,
                const FeatureEpilogue<T>& epilogue) const {
    // Where the first row of the range is under the first tap, and how far planes and lines are apart.
    const T* from = in;
    int64_t line = isPlanes() ? y.inStride : x.in * L, plane = isPlanes() ? inChannel : y.in * x.in * L;
    int64_t firstLine = range.firstRow * y.step - y.low;
    if (isCopied) {
      const int64_t lines = linesOf(range.lastRow - range.firstRow);
      T* copy = reinterpret_cast<T*>(scratchOf(Scratch::panels, planes() * lines * paddedWidth() * element * int64_t(sizeof(T))));
      copyPadded(copy, in, line, plane, firstLine, lines);
      from = copy;
      line = paddedWidth() * element;
      plane = lines * line;
      firstLine = 0;
    } else {
      from -= x.low * element;
    }
    const std::vector<BlockedRun> runs = runsOf(line, plane);
    const int64_t outBlock = this->outBlock(L);
    for (int64_t part = firstPart; part < lastPart; part++) {
      const int64_t firstBlock = blocks * part / parts, count = blocks * (part + 1) / parts - firstBlock;
      const T* panel = weights + firstBlock * L * depth;
      const int64_t feature = (group * blocks + firstBlock) * L, start = (image * groups * blocks + group * blocks + firstBlock) * outBlock;
      const BlockedFinish<T> finish(epilogue.affine.get(), feature, start);
      const int64_t mostDepth = std::max<int64_t>(1, Tiling::depthBytes / (count * vectorBytes));
      for (size_t first = 0; first < runs.size();) {
        size_t last = first;
        int64_t deep = 0;
        while (last < runs.size() && (last == first || deep + runs[last].count <= mostDepth)) deep += runs[last++].count;
        const bool isLast = last == runs.size();
        BlockedTile<T> tile{};
        tile.inStep = x.step * element;
        tile.runs = runs.data() + first;
        tile.runCount = int64_t(last - first);
        tile.weights = panel;
        tile.outBlock = outBlock;
        tile.adds = first > 0;
        tile.finish = isLast && finish.isThere ? &finish : nullptr;
        // The weights that come next.
        const char *soon = reinterpret_cast<const char*>(panel + deep * count * L), *end = soon + std::min<int64_t>(Tiling::depthBytes, deep * count * vectorBytes);
        const int64_t width = range.lastColumn - range.firstColumn, most = Tiling::most(int(count)), tiles = divideUp(width, most);
        for (int64_t row = range.firstRow; row < range.lastRow; row++) {
          const T* left = from + (firstLine + (row - range.firstRow) * y.step) * line;
          for (int64_t at = 0; at < tiles; at++) {
            const int64_t column = range.firstColumn + width * at / tiles, next = range.firstColumn + width * (at + 1) / tiles;
            tile.in = left + column * tile.inStep;
            tile.offset = (row * x.out + column) * L;
            tile.out = out + start + tile.offset;
            const bool isSoon = soon < end;
            tile.soon = isSoon ? soon : reinterpret_cast<const char*>(panel);
            tile.soonStep = isSoon ? alignment : 0;
            if (isSoon) soon += deep * alignment;
            kernelOf(int(next - column), int(count))(tile);
          }
        }
        panel += deep * count * L;
        first = last;
      }
      if (epilogue.pointwise == nullptr) continue;
      for (int64_t block = 0; block < count; block++) {
        if (range.lastColumn - range.firstColumn == x.out) {
          epilogue.pointwise->runRange(slots, start + block * outBlock + range.firstRow * x.out * L, start + block * outBlock + range.lastRow * x.out * L);
        } else {
          const int64_t row = start + block * outBlock + range.firstRow * x.out * L;
          epilogue.pointwise->runRange(slots, row + range.firstColumn * L, row + range.lastColumn * L);
        }
      }
    }
  }

  BlockedKernel<T> kernelOf(int positions, int count) const {
    return x.step * element == L ? blockedKernel<T, L>(positions, count) : blockedKernel<T, 0>(positions, count);
  }

  /** What a position is made of, in the order of the weights. */
  std::vector<BlockedRun> runsOf(int64_t line, int64_t plane) const {
    std::vector<BlockedRun> runs;
    if (isPlanes()) {
      // Taps of a row of the window are side by side.
      const bool isDense = x.kernelDilation == 1;
      for (int64_t channel = 0; channel < channels; channel++)
        for (int64_t ty = 0; ty < y.kernel; ty++)
          for (int64_t tx = 0; tx < (isDense ? 1 : x.kernel); tx++)
            runs.push_back({channel * plane + ty * y.kernelDilation * line + tx * x.kernelDilation, isDense ? x.kernel : 1});
      return runs;
    }
    for (int64_t block = 0; block < inBlocks; block++)
      for (int64_t ty = 0; ty < y.kernel; ty++)
        for (int64_t tx = 0; tx < x.kernel; tx++)
          runs.push_back({block * plane + ty * y.kernelDilation * line + tx * x.kernelDilation * L, std::min<int64_t>(L, channels - block * L)});
    return runs;
  }

  /** Lines first … first + lines - 1 of all planes with zeros beside them. */
  void copyPadded(T* to, const T* in, int64_t line, int64_t plane, int64_t first, int64_t lines) const {
    const int64_t width = paddedWidth();
    const int64_t before = std::clamp<int64_t>(x.low, 0, width), skipped = std::max<int64_t>(0, -x.low);
    const int64_t there = std::clamp<int64_t>(std::min(x.in - skipped, width - before), 0, width), after = width - before - there;
    for (int64_t index = 0; index < planes(); index++) {
      for (int64_t at = 0; at < lines; at++, to += width * element) {
        const int64_t row = first + at;
        if (row < 0 || row >= y.in) {
          std::memset(to, 0, size_t(width * element) * sizeof(T));
          continue;
        }
        std::memset(to, 0, size_t(before * element) * sizeof(T));
        std::memcpy(to + before * element, in + index * plane + row * line + skipped * element, size_t(there * element) * sizeof(T));
        std::memset(to + (before + there) * element, 0, size_t(after * element) * sizeof(T));
      }
    }
  }

  /** The kernel of every group: for each part of the features, element by element of the runs, its vectors. */
  void packKernel(T* to, const T* kernel) const {
    const int64_t taps = y.kernel * x.kernel;
    parallelFor(groups * parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t group = task / parts, part = task % parts;
        const int64_t firstBlock = blocks * part / parts, width = (blocks * (part + 1) / parts - firstBlock) * L;
        T* target = to + (group * blocks + firstBlock) * L * depth;
        const int64_t first = firstBlock * L, there = std::min(width, rows - first);
        const T* from = kernel + group * kernelGroup + first * kernelRow;
        const auto pack = [&](int64_t channel, int64_t ty, int64_t tx) {
          const T* element = from + channel * kernelChannel + ty * y.kernelStride + tx * x.kernelStride;
          for (int64_t row = 0; row < there; row++) target[row] = element[row * kernelRow];
          for (int64_t row = there; row < width; row++) target[row] = T(0);
          target += width;
        };
        if (isPlanes()) {
          for (int64_t channel = 0; channel < channels; channel++)
            for (int64_t tap = 0; tap < taps; tap++) pack(channel, tap / x.kernel, tap % x.kernel);
          continue;
        }
        for (int64_t block = 0; block < inBlocks; block++)
          for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t channel = block * L; channel < std::min(channels, (block + 1) * L); channel++) pack(channel, tap / x.kernel, tap % x.kernel);
      }
    });
  }

  bool isCopied;
  /** Elements of a position of the input. */
  int64_t element;
  /** Blocks of output and input features of a group; parts of the output features, each the blocks of one tile. */
  int64_t blocks, inBlocks, parts;
  int64_t depth, blockRows;
  Kept<T> kept;
};

}  // namespace weft
