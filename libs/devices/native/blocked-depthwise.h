// Depthwise convolutions in blocked channels: for each block, some positions of a row of the result are summed in registers, each
// vector of the input for all the windows that it is in. Nothing is copied; rows and columns beyond the input are left out.
#pragma once
#include <array>
#include <utility>
#include "blocked.h"

namespace weft {

template <class T>
class BlockedDepthwise final : BlockedShape {
 public:
  explicit BlockedDepthwise(const BlockedShape& shape) : BlockedShape(shape), blocks(divideUp(groups, L)), taps(y.kernel * x.kernel) {
    known = x.kernelDilation == 1 && x.step <= 2 && (x.kernel == 3 || x.kernel == 5 || x.kernel == 7);
  }

  void run(const T* in, const T* kernel, int64_t stamp, T* out, Slots slots, const FeatureEpilogue<T>& epilogue) {
    const T* weights = kept.of(kernel, stamp, blocks * taps * L, Scratch::rows, [&](T* to) { packKernel(to, kernel); });
    const int64_t inBlock = y.in * x.in * L, outBlock = this->outBlock(L);
    // Blocks of an image, in rows where there are fewer than threads could use.
    const int64_t threads = pool().size();
    const int64_t cuts = threads == 1 ? 1 : std::clamp<int64_t>(divideUp(4 * threads, images * blocks), 1, divideUp(y.out, 4));
    const int64_t work = std::max<int64_t>(1, y.out * x.out * taps * L / cuts);
    parallelFor(images * blocks * cuts, divideUp(1 << 17, work), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; task++) {
        const int64_t cut = task % cuts, plane = task / cuts, block = plane % blocks;
        const int64_t first = y.out * cut / cuts, last = y.out * (cut + 1) / cuts;
        const BlockedFinish<T> finish(epilogue.affine.get(), block * L, plane * outBlock);
        const T* from = in + plane * inBlock;
        const T* numbers = weights + block * taps * L;
        for (int64_t row = first; row < last; row++) sumRow(from, numbers, out + plane * outBlock + row * x.out * L, row, finish);
        if (epilogue.pointwise != nullptr) epilogue.pointwise->runRange(slots, plane * outBlock + first * x.out * L, plane * outBlock + last * x.out * L);
      }
    });
  }

 private:
  static constexpr int L = lanesOf<T>;
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int most = 14;
#else
  static constexpr int most = 7;
#endif
  using W = Vector<T, L>;

  /** A row of the result. */
  void sumRow(const T* in, const T* weights, T* to, int64_t row, const BlockedFinish<T>& finish) const {
    // Rows of the window that are inside.
    const int64_t shift = row * y.step - y.low;
    int64_t firstTap = 0, lastTap = y.kernel;
    while (firstTap < lastTap && shift + firstTap * y.kernelDilation < 0) firstTap++;
    while (lastTap > firstTap && shift + (lastTap - 1) * y.kernelDilation >= y.in) lastTap--;
    const T* line = in + (shift + firstTap * y.kernelDilation) * x.in * L;
    const T* numbers = weights + firstTap * x.kernel * L;
    const int64_t count = lastTap - firstTap, offset = row * x.out * L;
    if (!known) {
      for (int64_t at = 0; at < x.out; at++) sumOne(line, numbers, count, at, to, finish, offset);
      return;
    }
    const int64_t tiles = divideUp(x.out, most);
    for (int64_t index = 0; index < tiles; index++) {
      const int64_t column = x.out * index / tiles, next = x.out * (index + 1) / tiles;
      const int64_t first = column * x.step - x.low, last = (next - 1) * x.step - x.low + x.kernel - 1;
      const Part part{line + first * L, x.in * L * y.kernelDilation, first, x.in, numbers, count, to + column * L, offset + column * L};
      kernelOf(int(next - column), first >= 0 && last < x.in)(part, finish);
    }
  }

  /** One position, tap by tap. */
  void sumOne(const T* line, const T* weights, int64_t rows, int64_t column, T* to, const BlockedFinish<T>& finish, int64_t offset) const {
    W sum{};
    const int64_t shift = column * x.step - x.low;
    for (int64_t ty = 0; ty < rows; ty++) {
      for (int64_t tx = 0; tx < x.kernel; tx++) {
        const int64_t index = shift + tx * x.kernelDilation;
        if (index < 0 || index >= x.in) continue;
        sum += loadVector<W>(line + (ty * y.kernelDilation * x.in + index) * L) * loadVector<W>(weights + (ty * x.kernel + tx) * L);
      }
    }
    storeVector(to + column * L, finish.isThere ? finish(sum, 0, offset + column * L) : sum);
  }

  /** Neighbouring positions of a row. */
  struct Part {
    const T* in;
    int64_t line;
    /** The column of the input that is read first, and how many there are. */
    int64_t first, width;
    const T* weights;
    int64_t rows;
    T* to;
    int64_t offset;
  };
  /** P positions of windows of K columns, S apart; where they are whole, all columns are there. */
  template <int P, int K, int S, bool isWhole>
  static __attribute__((noinline)) void sumPart(const Part& part, const BlockedFinish<T>& finish) {
    W sums[P];
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) sums[p] = W{};
    const T *line = part.in, *weights = part.weights;
    for (int64_t row = 0; row < part.rows; row++, line += part.line, weights += K * L) {
      W by[K];
#pragma GCC unroll 8
      for (int tap = 0; tap < K; tap++) by[tap] = loadVector<W>(weights + tap * L);
#pragma GCC unroll 64
      for (int column = 0; column < (P - 1) * S + K; column++) {
        if (!isWhole && uint64_t(part.first + column) >= uint64_t(part.width)) continue;
        const W value = loadVector<W>(line + column * L);
#pragma GCC unroll 8
        for (int tap = 0; tap < K; tap++)
          if (column >= tap && (column - tap) % S == 0 && (column - tap) / S < P) sums[(column - tap) / S] += value * by[tap];
      }
    }
    if (finish.isThere) {
      const BlockedFinish<T> last = finish;
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) storeVector(part.to + p * L, last(sums[p], 0, part.offset + p * L));
      return;
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) storeVector(part.to + p * L, sums[p]);
  }

  using Kernel = void (*)(const Part&, const BlockedFinish<T>&);
  template <int K, int S, bool isWhole>
  static Kernel kernelOfWindow(int positions) {
    static constexpr auto all = kernels<K, S, isWhole>(std::make_integer_sequence<int, most>{});
    return all[size_t(positions - 1)];
  }
  template <int K, int S, bool isWhole, int... P>
  static constexpr std::array<Kernel, most> kernels(std::integer_sequence<int, P...>) {
    return {&sumPart<P + 1, K, S, isWhole>...};
  }
  template <int K, int S>
  static Kernel kernelOfSteps(int positions, bool isWhole) {
    return isWhole ? kernelOfWindow<K, S, true>(positions) : kernelOfWindow<K, S, false>(positions);
  }
  Kernel kernelOf(int positions, bool isWhole) const {
    if (x.kernel == 3) return x.step == 1 ? kernelOfSteps<3, 1>(positions, isWhole) : kernelOfSteps<3, 2>(positions, isWhole);
    if (x.kernel == 5) return x.step == 1 ? kernelOfSteps<5, 1>(positions, isWhole) : kernelOfSteps<5, 2>(positions, isWhole);
    return x.step == 1 ? kernelOfSteps<7, 1>(positions, isWhole) : kernelOfSteps<7, 2>(positions, isWhole);
  }

  /** For each block, tap by tap, a vector of weights. */
  void packKernel(T* to, const T* kernel) const {
    for (int64_t block = 0; block < blocks; block++) {
      for (int64_t tap = 0; tap < taps; tap++) {
        const T* from = kernel + tap / x.kernel * y.kernelStride + tap % x.kernel * x.kernelStride;
        for (int64_t lane = 0; lane < L; lane++, to++) {
          const int64_t feature = block * L + lane;
          *to = feature < groups ? from[feature * kernelGroup] : T(0);
        }
      }
    }
  }

  int64_t blocks, taps;
  /** Whether there are kernels for the window. */
  bool known;
  Kept<T> kept;
};

}  // namespace weft
