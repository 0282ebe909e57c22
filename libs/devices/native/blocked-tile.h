// The tile of products in blocked channels: some positions by some blocks of features, summed in registers, one element of the
// input at a time against a vector of weights for each block.
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

}  // namespace weft
