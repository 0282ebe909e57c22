// Convolutions in blocked channels as products where the input is: a tile of some positions by some blocks of output features is
// summed in registers, one element of the input at a time against a vector of weights for each block. Weights are reordered
// once; inputs are copied only where the window reaches beyond them. Where values are in planes, parts of them become blocks in memory that
// stays in the caches, and blocks of the result planes.
#pragma once
#include "blocked-tile.h"
#include "planes-blocks.h"

namespace weft {

template <class T>
class BlockedProduct final : BlockedShape {
 public:
  /** Whether a convolution of planes is better computed in blocks that are made of parts of them. */
  static bool takes(const ConvolutionShape& shape) {
    if (shape.axes.size() > 2 || !shape.isDense || shape.inChannel <= 0 || shape.axes.back().inStride != 1 || shape.axes.back().out < 4) return false;
    for (const ConvolutionAxis& axis : shape.axes)
      if (axis.inDilation != 1) return false;
    // Plain products gain nothing by blocks, and lanes without a feature cost as much as others.
    return shape.taps > 1 && 3 * shape.rows >= 2 * roundUp(shape.rows, L);
  }
  static BlockedShape shapeOf(const ConvolutionShape& shape) {
    BlockedShape result;
    result.groups = shape.groups;
    result.images = shape.images;
    result.rows = shape.rows;
    result.channels = shape.channels;
    result.lastRows = shape.rows;
    result.lastChannels = shape.channels;
    result.kernelGroup = shape.kernelGroup;
    result.kernelRow = shape.kernelRow;
    result.kernelChannel = shape.kernelChannel;
    result.inGroup = shape.inGroup;
    result.inImage = shape.inImage;
    result.inChannel = shape.inChannel;
    result.outGroup = shape.outGroup;
    result.outImage = shape.outImage;
    result.outRow = shape.outRow;
    result.y = shape.axes.size() > 1 ? shape.axes[0] : ConvolutionAxis{1, 1, 1, 1, 0, 1, 1, shape.axes[0].in, 0, 0};
    result.x = shape.axes.back();
    return result;
  }

  explicit BlockedProduct(const BlockedShape& shape) : BlockedShape(shape) {
    // Positions side by side in input and result are one row.
    isCopied = reach(y) || reach(x);
    if (!isPlanes() && !isCopied && y.kernel == 1 && x.kernel == 1 && y.step == 1 && x.step == 1 && x.out == x.in) {
      x.in = x.out = y.in * x.in;
      y.in = y.out = 1;
    }
    // Elements of many planes at one position are too far apart.
    isTurned = isPlanes() && givesPlanes() && channels >= L / 2;
    isCopied = isCopied || isTurned;
    element = isPlanes() && !isTurned ? 1 : L;
    blocks = divideUp(rows, L);
    inBlocks = divideUp(channels, L);
    depth = channels * y.kernel * x.kernel;
    parts = divideUp(blocks, Tiling::blocks);
    // Positions whose input is copied at a time: half of a second-level cache; and whose results are held.
    const int64_t column = planes() * element * x.step * int64_t(sizeof(T)), fit = isCopied ? 262144 / std::max<int64_t>(1, column * y.step) : y.out * x.out;
    const int64_t most = givesPlanes() ? std::min<int64_t>(fit, mostHeld) : fit;
    blockRows = std::clamp<int64_t>(most / x.out, 1, y.out);
    rowPieces = y.out == 1 && givesPlanes() ? divideUp(x.out, std::max<int64_t>(most, 64)) : 1;
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
    const int64_t columnCuts = y.out == 1 ? std::max(rowPieces, std::clamp<int64_t>(x.out / 32, 1, left)) : 1;
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
  int64_t planes() const { return element == 1 ? channels : inBlocks; }
  int64_t imageStride() const { return isPlanes() ? inImage : groups * inBlocks * y.in * x.in * L; }
  int64_t groupStride() const { return givesPlanes() ? inGroup : isPlanes() ? channels * inChannel : inBlocks * y.in * x.in * L; }
  /** Columns and rows of a copy with what windows reach beyond the input. */
  int64_t paddedWidth(int64_t count) const { return (count - 1) * x.step + (x.kernel - 1) * x.kernelDilation + 1; }
  int64_t linesOf(int64_t count) const { return (count - 1) * y.step + (y.kernel - 1) * y.kernelDilation + 1; }

  void multiply(const T* in, const T* weights, T* out, int64_t image, int64_t group, const Range& range, int64_t firstPart, int64_t lastPart, Slots slots,
                const FeatureEpilogue<T>& epilogue) const {
    // Where the first row of the range is under the first tap, and how far planes and lines are apart.
    const T* from = in;
    int64_t line = isPlanes() ? y.inStride : x.in * L, plane = isPlanes() ? inChannel : y.in * x.in * L;
    int64_t firstLine = range.firstRow * y.step - y.low;
    if (isCopied) {
      const int64_t lines = linesOf(range.lastRow - range.firstRow);
      const int64_t width = paddedWidth(range.lastColumn - range.firstColumn);
      T* copy = reinterpret_cast<T*>(scratchOf(Scratch::panels, planes() * lines * width * element * int64_t(sizeof(T))));
      copyPadded(copy, in, line, plane, {firstLine, range.firstColumn * x.step - x.low, lines, width});
      from = copy - range.firstColumn * x.step * element;
      line = width * element;
      plane = lines * line;
      firstLine = 0;
    } else {
      from -= x.low * element;
    }
    const std::vector<BlockedRun> runs = runsOf(line, plane, channelsOf(group));
    const int64_t width = range.lastColumn - range.firstColumn, height = range.lastRow - range.firstRow;
    const int64_t outBlock = givesPlanes() ? height * width * L : this->outBlock(L);
    T* held = givesPlanes() ? reinterpret_cast<T*>(scratchOf(Scratch::sums, std::min<int64_t>(blocks, Tiling::blocks) * outBlock * int64_t(sizeof(T)))) : nullptr;
    for (int64_t part = firstPart; part < lastPart; part++) {
      const int64_t firstBlock = blocks * part / parts, count = blocks * (part + 1) / parts - firstBlock;
      const T* panel = weights + firstBlock * L * depth;
      const int64_t feature = (group * blocks + firstBlock) * L, start = (image * groups * blocks + group * blocks + firstBlock) * outBlock;
      const BlockedFinish<T> finish(givesPlanes() ? nullptr : epilogue.affine.get(), feature, start);
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
        const int64_t most = Tiling::most(int(count)), tiles = divideUp(width, most);
        for (int64_t row = range.firstRow; row < range.lastRow; row++) {
          const T* left = from + (firstLine + (row - range.firstRow) * y.step) * line;
          for (int64_t at = 0; at < tiles; at++) {
            const int64_t column = range.firstColumn + width * at / tiles, next = range.firstColumn + width * (at + 1) / tiles;
            tile.in = left + column * tile.inStep;
            tile.offset = (row * x.out + column) * L;
            tile.out = held != nullptr ? held + ((row - range.firstRow) * width + column - range.firstColumn) * L : out + start + tile.offset;
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
      if (held != nullptr) {
        for (int64_t block = 0; block < count; block++) toPlanes(out, held + block * outBlock, image, group, firstBlock + block, range, slots, epilogue);
        continue;
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
  std::vector<BlockedRun> runsOf(int64_t line, int64_t plane, int64_t channels) const {
    std::vector<BlockedRun> runs;
    if (element == 1) {
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

  /** A part of all planes or blocks, with zeros where it is beyond them. */
  void copyPadded(T* to, const T* in, int64_t line, int64_t plane, const Rectangle& part) const {
    if (isTurned) {
      for (int64_t block = 0; block < inBlocks; block++, to += part.rows * part.columns * L)
        copyRectangle<T>(to, part.columns * L, {in + block * L * plane, plane, line, y.in, x.in, int(std::min<int64_t>(L, channels - block * L))}, part);
      return;
    }
    const int64_t width = part.columns;
    const int64_t before = std::clamp<int64_t>(-part.firstColumn, 0, width), skipped = std::max<int64_t>(0, part.firstColumn);
    const int64_t there = std::clamp<int64_t>(std::min(x.in - skipped, width - before), 0, width), after = width - before - there;
    for (int64_t index = 0; index < planes(); index++) {
      for (int64_t at = 0; at < part.rows; at++, to += width * element) {
        const int64_t row = part.firstRow + at;
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

  /** A block of the result to planes. */
  void toPlanes(T* out, const T* from, int64_t image, int64_t group, int64_t block, const Range& range, Slots slots, const FeatureEpilogue<T>& epilogue) const {
    const int64_t width = range.lastColumn - range.firstColumn, height = range.lastRow - range.firstRow, there = std::min<int64_t>(L, rows - block * L);
    const int64_t element = group * outGroup + image * outImage + block * L * outRow + range.firstRow * x.out + range.firstColumn;
    blockToPlanes<T>({out + element, outRow, x.out, height, width, int(there)}, from, width * L);
    if (epilogue.isNone()) return;
    for (int64_t feature = 0; feature < there; feature++) {
      const int64_t plane = element + feature * outRow, number = group * rows + block * L + feature;
      if (width == x.out) {
        epilogue.finish(slots, out + plane, height * width, number, plane);
        continue;
      }
      for (int64_t row = 0; row < height; row++) epilogue.finish(slots, out + plane + row * x.out, width, number, plane + row * x.out);
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
        const int64_t first = firstBlock * L, there = std::min(width, rowsOf(group) - first), channels = channelsOf(group);
        const int64_t rowsOfPart = rows / merged, channelsOfPart = this->channels / merged;
        const T* from = kernel + group * kernelGroup + first * kernelRow;
        const auto pack = [&](int64_t channel, int64_t ty, int64_t tx) {
          const int64_t within = channel / channelsOfPart;
          const T* element = from + (channel - within * channelsOfPart) * kernelChannel + ty * y.kernelStride + tx * x.kernelStride;
          // Only rows of the same group of the kernel.
          const int64_t begin = std::clamp<int64_t>(within * rowsOfPart - first, 0, there), end = std::clamp<int64_t>((within + 1) * rowsOfPart - first, begin, there);
          for (int64_t row = 0; row < begin; row++) target[row] = T(0);
          for (int64_t row = begin; row < end; row++) target[row] = element[row * kernelRow];
          for (int64_t row = end; row < width; row++) target[row] = T(0);
          target += width;
        };
        if (element == 1) {
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

  /** Positions whose results are held before they go to planes. */
  static constexpr int64_t mostHeld = 512;
  /** Whether parts of the input are copied, and become blocks. */
  bool isCopied, isTurned;
  /** Elements of a position of the input. */
  int64_t element;
  /** Blocks of output and input features of a group; parts of the output features, each the blocks of one tile. */
  int64_t blocks, inBlocks, parts;
  /** Rows of the result at a time; pieces of one that is long. */
  int64_t depth, blockRows, rowPieces;
  Kept<T> kept;
};

}  // namespace weft
