// The tile of gradients of kernels in blocked channels: some input features by some blocks of output features, summed over positions in
// registers, at each of them one element of the input at a time against a vector of the result's gradient for each block.
#pragma once
#include <algorithm>
#include "vector.h"

namespace weft {

/** Sums over sheets (of an image each) of lines of positions. */
template <class T>
struct BlockedSums {
  static constexpr int L = lanesOf<T>;
#if defined(__AVX2__)
  static constexpr int blocks = 3;
#elif defined(__aarch64__)
  static constexpr int blocks = 4;
#else
  static constexpr int blocks = 2;
#endif
  /** Input features of a tile of so many blocks: they divide a block. */
  static constexpr int features(int count) { return count == 1 ? L : std::min(L, std::max(4, L / 2)); }

  /** Elements of the input from one position to the next, and between lines and sheets. */
  int64_t leftStep, leftLine, leftSheet;
  /** Elements of the result's gradient, whose positions are side by side, between lines, sheets and blocks. */
  int64_t rightLine, rightSheet, rightBlock;
  /** From one block of sums to the next; features of the input are L apart. */
  int64_t outBlock;
  /** Positions of a line, lines of a sheet. */
  int64_t width, lines, sheets;

  /** Adds to sums of a block of input features by `count` blocks of output features, or sets them. */
  void add(T* out, const T* left, const T* right, int count, bool adds) const { addBlocks<blocks>(out, left, right, count, adds); }

 private:
  using W = Vector<T, L>;

  template <int B>
  void addBlocks(T* out, const T* left, const T* right, int count, bool adds) const {
    if constexpr (B > 1)
      if (count < B) return addBlocks<B - 1>(out, left, right, count, adds);
    constexpr int R = features(B);
    for (int first = 0; first < L; first += R) addTile<R, B>(out + first * L, left + first, right, adds);
  }

  template <int R, int B>
  __attribute__((noinline)) void addTile(T* out, const T* left, const T* right, bool adds) const {
    W sums[R][B];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) sums[r][b] = adds ? loadVector<W>(out + b * outBlock + r * L) : W{};
    const int64_t step = leftStep, apart = rightBlock;
    for (int64_t sheet = 0; sheet < sheets; sheet++) {
      for (int64_t line = 0; line < lines; line++) {
        const T *from = left + sheet * leftSheet + line * leftLine, *with = right + sheet * rightSheet + line * rightLine;
        for (int64_t k = 0; k < width; k++, from += step, with += L) {
          W by[B];
#pragma GCC unroll 4
          for (int b = 0; b < B; b++) by[b] = loadVector<W>(with + b * apart);
#pragma GCC unroll 16
          for (int r = 0; r < R; r++) {
            const W element = splat<W>(from[r]);
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) sums[r][b] += element * by[b];
          }
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int b = 0; b < B; b++) storeVector(out + b * outBlock + r * L, sums[r][b]);
  }
};

}  // namespace weft
