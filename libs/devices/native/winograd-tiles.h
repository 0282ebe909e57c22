// Tiles of Winograd's convolutions with windows of 3 × 3: M × M elements of a result, (M + 2) × (M + 2) of the input, and their
// transforms to and from as many points as those. Lanes of a vector are channels, so that tiles are as good in planes of any width; planes
// are turned into blocks of channels by the way (planes-blocks.h).
#pragma once
#include "planes-blocks.h"
#include "spatial.h"
#include "winograd-points.h"

namespace weft {

template <class T, int M>
class WinogradTiles {
 public:
  using Points = WinogradPoints<T, M>;
  static constexpr int L = lanesOf<T>, S = Points::side;
  static constexpr int64_t tile = M, points = Points::points;
  using W = Vector<T, L>;

  /** Whether a window along this dimension is one of tiles. */
  static bool takes(const ConvolutionAxis& axis) { return axis.kernel == 3 && axis.step == 1 && axis.inDilation == 1 && axis.kernelDilation == 1; }

  /** @param most tiles of a unit at most: rows of tiles that are longer are cut */
  WinogradTiles(const ConvolutionAxis& outer, const ConvolutionAxis& inner, int64_t images, int64_t most)
      : y(outer), x(inner), down(divideUp(outer.out, tile)), across(divideUp(inner.out, tile)), count(images * down * across), cuts(divideUp(across, most)),
        units(images * down * cuts) {}

  /** Tiles of the longest unit, and of units first … last - 1. */
  int64_t longest() const { return divideUp(across, cuts); }
  int64_t tilesOf(int64_t first, int64_t last) const { return startOf(last) - startOf(first); }

  /** Tiles of one image: rows and columns of them; `at` counts tiles from the first of what is asked for. */
  struct Part {
    int64_t image, firstRow, lastRow, firstColumn, lastColumn, at;

    int64_t columns() const { return lastColumn - firstColumn; }
  };
  /** The parts of units first … last - 1. */
  template <class Each>
  void eachPart(int64_t first, int64_t last, const Each& each) const {
    for (int64_t unit = first; unit < last;) {
      const int64_t line = unit / cuts, cut = unit % cuts, row = line % down;
      const int64_t rows = cuts > 1 ? 1 : std::min(down - row, last - unit);
      each(Part{line / down, row, row + rows, across * cut / cuts, across * (cut + 1) / cuts, startOf(unit) - startOf(first)});
      unit += rows;
    }
  }

  /** Elements of the memory that transforms of so many units take. */
  int64_t copyOf(int64_t some) const { return (std::min(some, down) * tile + 2) * lineOf(longest()); }

  /** The input's features of a block, `count` planes, to points: tile by tile a vector, from `to` on for the first point. */
  void toPoints(T* to, int64_t pointStride, T* copy, const T* planes, int64_t imageStride, int64_t planeStride, int count, int64_t first, int64_t last) const {
    eachPart(first, last, [&](const Part& part) {
      const int64_t line = lineOf(part.columns());
      copyRectangle<T>(copy, line, {planes + part.image * imageStride, planeStride, y.inStride, y.in, x.in, count},
                       {part.firstRow * tile - y.low, part.firstColumn * tile - x.low, (part.lastRow - part.firstRow) * tile + 2, part.columns() * tile + 2});
      for (int64_t row = part.firstRow; row < part.lastRow; row++) {
        const T* lines = copy + (row - part.firstRow) * tile * line;
        T* target = to + (part.at + (row - part.firstRow) * part.columns()) * L;
        for (int64_t column = 0; column < part.columns(); column += few)
          transformInput(target + column * L, pointStride, lines + column * tile * L, line, std::min(few, part.columns() - column));
      }
    });
  }

  /** The result's features of a block, `count` planes whose rows are `rowStride` apart, to points, for M = 4. */
  void resultToPoints(T* to, int64_t pointStride, T* copy, const T* planes, int64_t imageStride, int64_t planeStride, int64_t rowStride, int count, int64_t first, int64_t last) const {
    eachPart(first, last, [&](const Part& part) {
      const int64_t line = lineOf(part.columns());
      copyRectangle<T>(copy, line, {planes + part.image * imageStride, planeStride, rowStride, y.out, x.out, count},
                       {part.firstRow * tile, part.firstColumn * tile, (part.lastRow - part.firstRow) * tile, part.columns() * tile});
      for (int64_t row = part.firstRow; row < part.lastRow; row++) {
        const T* from = copy + (row - part.firstRow) * tile * line;
        T* target = to + (part.at + (row - part.firstRow) * part.columns()) * L;
        for (int64_t column = 0; column < part.columns(); column++, from += tile * L, target += L) {
          W half[4 * 6];
#pragma GCC unroll 1
          for (int j = 0; j < 4; j++) {
            W d[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) d[i] = loadVector<W>(from + i * line + j * L);
            Points::resultToPoints(d, 1, half + j, 4);
          }
#pragma GCC unroll 1
          for (int i = 0; i < 6; i++) {
            W d[6];
            Points::resultToPoints(half + 4 * i, 1, d, 1);
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) storeVector(target + (6 * i + j) * pointStride, d[j]);
          }
        }
      }
    });
  }

  /** Sums of a part at points, tile by tile, to `count` planes of the result with dense rows. */
  void fromPoints(T* planes, int64_t planeStride, int count, T* copy, const T* sums, int64_t pointStride, const Part& part) const {
    const int64_t line = lineOf(part.columns());
    for (int64_t row = part.firstRow; row < part.lastRow; row++) {
      const T* from = sums + (part.at + (row - part.firstRow) * part.columns()) * L;
      T* to = copy + (row - part.firstRow) * tile * line;
      for (int64_t column = 0; column < part.columns(); column++, from += L, to += tile * L) {
        W half[M * S];
#pragma GCC unroll 1
        for (int j = 0; j < S; j++) {
          W m[S];
#pragma GCC unroll 6
          for (int i = 0; i < S; i++) m[i] = loadVector<W>(from + (S * i + j) * pointStride);
          Points::pointsToResult(m, 1, half + j, S);
        }
#pragma GCC unroll 1
        for (int i = 0; i < M; i++) {
          W whole[M];
          Points::pointsToResult(half + S * i, 1, whole, 1);
#pragma GCC unroll 4
          for (int j = 0; j < M; j++) storeVector(to + i * line + j * L, whole[j]);
        }
      }
    }
    const int64_t firstRow = part.firstRow * tile, firstColumn = part.firstColumn * tile;
    blockToPlanes<T>({planes + firstRow * x.out + firstColumn, planeStride, x.out, std::min(part.lastRow * tile, y.out) - firstRow, std::min(part.lastColumn * tile, x.out) - firstColumn, count}, copy, line);
  }

 private:
  /** Tiles whose transforms along columns are held at once. */
  static constexpr int64_t few = 8;

  int64_t startOf(int64_t unit) const { return unit / cuts * across + across * (unit % cuts) / cuts; }
  static int64_t lineOf(int64_t tiles) { return (tiles * tile + 2) * L; }

  /** Neighbouring tiles, `few` at most. */
  static void transformInput(T* to, int64_t pointStride, const T* from, int64_t line, int64_t tiles) {
    W half[(few * M + 2) * S];
    for (int64_t column = 0; column < tiles * M + 2; column++) {
      W d[S];
#pragma GCC unroll 6
      for (int i = 0; i < S; i++) d[i] = loadVector<W>(from + i * line + column * L);
      Points::inputToPoints(d, 1);
#pragma GCC unroll 6
      for (int i = 0; i < S; i++) half[column * S + i] = d[i];
    }
    for (int64_t at = 0; at < tiles; at++, to += L) {
      const W* columns = half + at * M * S;
#pragma GCC unroll 1
      for (int i = 0; i < S; i++) {
        W d[S];
#pragma GCC unroll 6
        for (int j = 0; j < S; j++) d[j] = columns[j * S + i];
        Points::inputToPoints(d, 1);
#pragma GCC unroll 6
        for (int j = 0; j < S; j++) storeVector(to + (S * i + j) * pointStride, d[j]);
      }
    }
  }

  ConvolutionAxis y, x;

 public:
  const int64_t down, across, count;
  /** Pieces of a row of tiles; units: pieces of all rows. */
  const int64_t cuts, units;
};

}  // namespace weft
