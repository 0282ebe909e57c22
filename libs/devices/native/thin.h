// Products that are too thin for packed panels: a row times a matrix, and few rows or columns times many when both are dense along the depth,
// so that vectors go along it. Every element of the large matrix is read once, where it is.
#pragma once
#include "tile.h"

namespace weft {

/** Multiply-adds that are worth a thread, some ten microseconds: less than that does not repay the way to another core and its cold cache. */
constexpr int64_t productGrain = 65536 * lanesOf<float>;
/** The same of elements that are read once. */
constexpr int64_t readingGrain = 1 << 17;

/** Columns that are worth a thread, in whole tiles. */
template <class T>
inline int64_t columnGrain(int64_t rows, int64_t depth) {
  constexpr int C = Tiling<T>::columns;
  return std::max<int64_t>(C, roundUp(std::min(divideUp(productGrain, rows * depth), divideUp(readingGrain, depth)), C));
}

// ---- dot products -------------------------------------------------------------------------------------------------

template <class T>
struct DotTiling {
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int rows = 6;
#else
  static constexpr int rows = 2;
#endif
  /** Columns of a tile. */
  static constexpr int columns = 4;
};

/** R rows of A by C columns of B, both dense along the depth. Columns `soon` … `soonEnd` - 1 of the C after these are fetched meanwhile. */
template <class T, int R, int C>
inline void dotProducts(const T* a, int64_t aRow, const T* b, int64_t bColumn, int64_t depth, T* c, int64_t cRow, int64_t soon = 0, int64_t soonEnd = C) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  W sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int j = 0; j < C; j++) sums[r][j] = W{};
  int64_t k = 0;
  for (; k + L <= depth; k += L) {
    W right[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; j++) right[j] = loadVector<W>(b + j * bColumn + k);
    // Some of the next columns, while there is work to do on these.
    if (vectorBytes >= alignment || k % (alignment / int(sizeof(T))) == 0) {
      for (int64_t j = soon; j < soonEnd; j++) __builtin_prefetch(b + (C + j) * bColumn + k, 0, 3);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const W left = loadVector<W>(a + r * aRow + k);
#pragma GCC unroll 8
      for (int j = 0; j < C; j++) sums[r][j] += left * right[j];
    }
  }
  if (k < depth) {
    // What is left goes into the vectors with zeros behind it.
    const size_t bytes = size_t(depth - k) * sizeof(T);
    W right[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; j++) {
      right[j] = W{};
      std::memcpy(&right[j], b + j * bColumn + k, bytes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      W left{};
      std::memcpy(&left, a + r * aRow + k, bytes);
#pragma GCC unroll 8
      for (int j = 0; j < C; j++) sums[r][j] += left * right[j];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    if constexpr (C % 4 == 0) {
#pragma GCC unroll 2
      for (int j = 0; j < C; j += 4) storeSums<T, L>(c + r * cRow + j, {sums[r][j], sums[r][j + 1], sums[r][j + 2], sums[r][j + 3]});
    } else {
      for (int j = 0; j < C; j++) c[r * cRow + j] = sumOf<T, L>(sums[r][j]);
    }
  }
}

/** R rows, chosen at run time, by C columns. */
template <class T, int C>
inline void dotTile(int64_t rows, const T* a, int64_t aRow, const T* b, int64_t bColumn, int64_t depth, T* c, int64_t cRow, int64_t soon, int64_t soonEnd) {
  const auto tile = [&]<int R>(std::integral_constant<int, R>) {
    if constexpr (R <= DotTiling<T>::rows) dotProducts<T, R, C>(a, aRow, b, bColumn, depth, c, cRow, soon, soonEnd);
  };
  switch (rows) {
    case 1: return tile(std::integral_constant<int, 1>{});
    case 2: return tile(std::integral_constant<int, 2>{});
    case 3: return tile(std::integral_constant<int, 3>{});
    case 4: return tile(std::integral_constant<int, 4>{});
    case 5: return tile(std::integral_constant<int, 5>{});
    default: tile(std::integral_constant<int, 6>{});
  }
}

/** All rows by C columns. */
template <class T, int C>
__attribute__((noinline)) void dotColumns(Matrix<T> a, int64_t rows, const T* b, int64_t bColumn, int64_t depth, T* c, int64_t cRow) {
  // Tiles of about as many rows each; each fetches its share of the columns that come next.
  const int64_t all = divideUp(rows, int64_t(DotTiling<T>::rows));
  for (int64_t tiles = all, r = 0; tiles > 0; tiles--) {
    const int64_t there = divideUp(rows - r, tiles);
    dotTile<T, C>(there, a.at + r * a.rowStride, a.rowStride, b, bColumn, depth, c + r * cRow, cRow, (all - tiles) * C / all, (all - tiles + 1) * C / all);
    r += there;
  }
}

/** Rows first … last - 1 by few columns, which stay in the cache: each row is read once. */
template <class T>
void dotRows(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t first, int64_t last, int64_t columns, int64_t depth) {
  constexpr int C = DotTiling<T>::columns;
  for (int64_t tiles = divideUp(last - first, int64_t(DotTiling<T>::rows)), r = first; tiles > 0; tiles--) {
    const int64_t there = divideUp(last - r, tiles);
    const auto some = [&]<int N>(std::integral_constant<int, N>, int64_t j) {
      dotTile<T, N>(there, a.at + r * a.rowStride, a.rowStride, b.at + j * b.columnStride, b.columnStride, depth, c + r * cRow + j, cRow, 0, 0);
    };
    int64_t j = 0;
    for (; j + C <= columns; j += C) some(std::integral_constant<int, C>{}, j);
    if (columns - j == 3) some(std::integral_constant<int, 3>{}, j);
    else if (columns - j == 2) some(std::integral_constant<int, 2>{}, j);
    else if (columns - j == 1) some(std::integral_constant<int, 1>{}, j);
    r += there;
  }
}

/** The sums of a row times S columns wherever they are, all dense along the depth; `ahead` elements further on is what is read next. */
template <class T, int S>
inline void columnSums(const T* a, const T* const (&from)[S], int64_t depth, int64_t ahead, Vector<T, lanesOf<T>> (&totals)[S]) {
  constexpr int L = lanesOf<T>, chains = 8 / S;
  using W = Vector<T, L>;
  W sums[S][chains]{};
  int64_t k = 0;
  for (; k + chains * L <= depth; k += chains * L) {
#pragma GCC unroll 8
    for (int i = 0; i < chains; i++) {
      const W left = loadVector<W>(a + k + i * L);
#pragma GCC unroll 8
      for (int s = 0; s < S; s++) {
        if (vectorBytes >= alignment || (k + i * L) % (alignment / int(sizeof(T))) == 0) __builtin_prefetch(from[s] + ahead + k + i * L, 0, 2);
        sums[s][i] += left * loadVector<W>(from[s] + k + i * L);
      }
    }
  }
  for (; k + L <= depth; k += L)
    for (int s = 0; s < S; s++) sums[s][0] += loadVector<W>(a + k) * loadVector<W>(from[s] + k);
  if (k < depth) {
    const size_t bytes = size_t(depth - k) * sizeof(T);
    W left{};
    std::memcpy(&left, a + k, bytes);
    for (int s = 0; s < S; s++) {
      W right{};
      std::memcpy(&right, from[s] + k, bytes);
      sums[s][1] += left * right;
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < S; s++) {
    totals[s] = sums[s][0];
    for (int i = 1; i < chains; i++) totals[s] += sums[s][i];
  }
}

/**
 * A row by columns first … last - 1 of B, both dense along the depth. Four stretches of columns are walked at once, each from one end to
 * the other with what comes next fetched into the second-level cache: memory gives more so than to one walk.
 */
template <class T>
inline void rowByColumns(const T* a, const T* b, int64_t bColumn, int64_t depth, T* c, int64_t first, int64_t last) {
  constexpr int L = lanesOf<T>, S = 4;
  const int64_t ahead = divideUp(4096 / int64_t(sizeof(T)), depth) * bColumn;
  const int64_t part = (last - first) / S;
  for (int64_t j = first; j < first + part; j++) {
    const T* from[S];
    for (int s = 0; s < S; s++) from[s] = b + (j + s * part) * bColumn;
    Vector<T, L> totals[S];
    columnSums<T, S>(a, from, depth, ahead, totals);
    T sums[S];
    storeSums<T, L>(sums, totals);
    for (int s = 0; s < S; s++) c[j + s * part] = sums[s];
  }
  for (int64_t j = first + S * part; j < last; j++) {
    const T* const from[1] = {b + j * bColumn};
    Vector<T, L> totals[1];
    columnSums<T, 1>(a, from, depth, 0, totals);
    c[j] = sumOf<T, L>(totals[0]);
  }
}

/** A times B with both dense along the depth; `finish(first, last)` follows columns. */
template <class T, class Finish>
void multiplyDots(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Finish& finish) {
  constexpr int C = DotTiling<T>::columns;
  parallelFor(divideUp(columns, 2 * C), divideUp(columnGrain<T>(rows, depth), 2 * C), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * 2 * C, last = std::min(columns, end * 2 * C);
    if (rows == 1) {
      rowByColumns<T>(a.at, b.at, b.columnStride, depth, c, first, last);
      return finish(first, last);
    }
    int64_t j = first;
    for (; j + C <= last; j += C) dotColumns<T, C>(a, rows, b.at + j * b.columnStride, b.columnStride, depth, c + j, cRow);
    for (; j < last; j++) dotColumns<T, 1>(a, rows, b.at + j * b.columnStride, b.columnStride, depth, c + j, cRow);
    finish(first, last);
  });
}

// ---- a row times a matrix -------------------------------------------------------------------------------------------

/** A row times a matrix whose rows are dense: columns begin … end. Several rows of B are read at once, each from one end to the other. */
template <class T>
inline void rowTimesMatrix(const T* a, int64_t aDepth, Matrix<T> b, int64_t depth, T* c, int64_t begin, int64_t end) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  // Sums of so many columns stay in the first-level cache.
  constexpr int64_t stretch = 16384 / int(sizeof(T));
  const auto addRows = [&]<int K>(std::integral_constant<int, K>, int64_t k, int64_t first, int64_t last) {
    W left[K];
#pragma GCC unroll 8
    for (int i = 0; i < K; i++) left[i] = splat<W>(a[(k + i) * aDepth]);
    const T* from = b.at + k * b.rowStride;
    int64_t j = first;
    for (; j + 2 * L <= last; j += 2 * L) {
      W low = k > 0 ? loadVector<W>(c + j) : W{}, high = k > 0 ? loadVector<W>(c + j + L) : W{};
#pragma GCC unroll 8
      for (int i = 0; i < K; i++) {
        // The rows after these.
#pragma GCC unroll 4
        for (int at = 0; at < 2 * vectorBytes; at += int(alignment)) __builtin_prefetch(reinterpret_cast<const char*>(from + (i + K) * b.rowStride + j) + at, 0, 2);
        low += left[i] * loadVector<W>(from + i * b.rowStride + j);
        high += left[i] * loadVector<W>(from + i * b.rowStride + j + L);
      }
      storeVector(c + j, low);
      storeVector(c + j + L, high);
    }
    for (; j < last; j++) {
      T sum = k > 0 ? c[j] : T(0);
      for (int i = 0; i < K; i++) sum += left[i][0] * from[i * b.rowStride + j];
      c[j] = sum;
    }
  };
  for (int64_t first = begin; first < end; first += stretch) {
    const int64_t last = std::min(end, first + stretch);
    int64_t k = 0;
    for (; k + 8 <= depth; k += 8) addRows(std::integral_constant<int, 8>{}, k, first, last);
    for (; k < depth; k++) addRows(std::integral_constant<int, 1>{}, k, first, last);
  }
}

/** One row of A (elements `aDepth` apart) times B; `finish(first, last)` follows columns. False: B has no dense direction. */
template <class T, class Finish>
bool multiplyRow(const T* a, int64_t aDepth, Matrix<T> b, T* c, int64_t columns, int64_t depth, const Finish& finish) {
  constexpr int C = Tiling<T>::columns;
  if (b.columnStride == 1) {
    parallelFor(divideUp(columns, C), divideUp(columnGrain<T>(1, depth), C), [&](int64_t begin, int64_t end) {
      const int64_t first = begin * C, last = std::min(columns, end * C);
      rowTimesMatrix<T>(a, aDepth, b, depth, c, first, last);
      finish(first, last);
    });
    return true;
  }
  if (b.rowStride != 1) return false;
  const T* dense = a;
  if (aDepth != 1) {
    T* copy = reinterpret_cast<T*>(scratchOf(Scratch::rows, depth * int64_t(sizeof(T))));
    for (int64_t k = 0; k < depth; k++) copy[k] = a[k * aDepth];
    dense = copy;
  }
  multiplyDots<T>({dense, 0, 1}, b, c, columns, 1, columns, depth, finish);
  return true;
}

}  // namespace weft
