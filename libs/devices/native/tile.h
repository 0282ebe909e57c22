// What matrix products are made of: a kernel that holds a tile of C in registers, and the panels that it reads.
#pragma once
#include <algorithm>
#include <array>
#include <utility>
#include "pool.h"
#include "shuffle.h"

namespace weft {

/** A matrix by where elements (row, column) are: at[row * rowStride + column * columnStride]. */
template <class T>
struct Matrix {
  const T* at;
  int64_t rowStride, columnStride;

  Matrix from(int64_t row, int64_t column) const { return {at + row * rowStride + column * columnStride, rowStride, columnStride}; }
  Matrix transposed() const { return {at, columnStride, rowStride}; }
};

template <class T>
struct Tiling {
  static constexpr int lanes = lanesOf<T>;
  /** Vectors side by side in a tile of C, and rows. With the vectors of B and one of A they fill the registers. */
  static constexpr int vectors = 2;
#if defined(__AVX512F__)
  static constexpr int rows = 12;
#elif defined(__AVX2__)
  static constexpr int rows = 6;
#elif defined(__aarch64__)
  static constexpr int rows = 8;
#else
  static constexpr int rows = 4;
#endif
  static constexpr int columns = vectors * lanes;
  /** Depth of a packed block: a panel of B takes 32 KiB at most. */
  static constexpr int64_t depth = std::min<int64_t>(512, 32768 / (columns * int(sizeof(T))));
  /** The same where C is too large for the cache, and better visited less often. */
  static constexpr int64_t deepDepth = 512;
  /** Rows of a packed block of A: at most 192 KiB. */
  static constexpr int64_t blockRows = 196608 / (depth * int(sizeof(T))) / rows * rows;
  /** Columns of B that are packed at a time. */
  static constexpr int64_t blockColumns = 2048;

  /** Depth of the blocks that so much depth is cut into, all about alike. */
  static int64_t blockDepth(int64_t whole, int64_t most = depth) {
    const int64_t blocks = divideUp(whole, most);
    return blocks <= 1 ? whole : divideUp(whole, blocks);
  }
};

/** The first `count` elements of a vector, stored or added. */
template <class T>
__attribute__((noinline)) void storeColumns(T* to, Vector<T, lanesOf<T>> sums, int64_t count, bool adds) {
  constexpr int L = lanesOf<T>;
  T all[L];
  storeVector(all, sums);
  const T* from = all;
  const auto piece = [&]<int N>(std::integral_constant<int, N>) {
    if constexpr (N < L) {
      if ((count & N) == 0) return;
      using P = Vector<T, N>;
      storeVector(to, adds ? loadVector<P>(to) + loadVector<P>(from) : loadVector<P>(from));
      to += N;
      from += N;
    }
  };
  piece(std::integral_constant<int, 8>{});
  piece(std::integral_constant<int, 4>{});
  piece(std::integral_constant<int, 2>{});
  piece(std::integral_constant<int, 1>{});
}

/** Memory that will be read soon. */
struct Ahead {
  const char* at = nullptr;
  /** Bytes to go on by for each step of the depth; where there are rows, from each to the next. */
  int64_t step = 0;
  /** Read::streaming and multiplyLines: so many rows from `at` on. */
  int64_t rows = 0;
};

/**
 * How a tile finds its operands: both where they are; A where it is, from memory, and B in a packed panel; A in a packed panel, and B in
 * one or where it is, to be copied to one by the way.
 */
enum class Read { direct, streaming, packed, copying };

/**
 * C[R × cols] (+)= A[R × depth] B[depth × cols] for one tile, cols ≤ V · lanes. B's rows are dense and have V · lanes elements that can be
 * read. Only the first `rows` rows are stored. `copy` takes the panel of B that is read, V vectors for each step of the depth.
 */
template <class T, int R, int V, Read mode>
__attribute__((noinline)) void multiplyTile(int64_t depth, const T* a, int64_t aRow, int64_t aDepth, const T* b, int64_t bDepth, T* c,
                                            int64_t cRow, bool adds, int64_t rows, int64_t cols, Ahead ahead, T* copy) {
  constexpr int L = lanesOf<T>;
  constexpr bool isPacked = mode == Read::packed || mode == Read::copying;
  using W = Vector<T, L>;
  W sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) sums[r][v] = W{};
  const char* soon = ahead.at;
  const auto accumulate = [&](int64_t count) __attribute__((always_inline)) {
    for (int64_t k = 0; k < count; k++) {
      if constexpr (mode == Read::packed) {
        __builtin_prefetch(soon, 0, 2);
        soon += ahead.step;
      } else if constexpr (mode != Read::streaming) {
        // Rows of B may be far from each other, where the processor foresees nothing.
#pragma GCC unroll 8
        for (int at = 0; at < V * vectorBytes; at += int(alignment)) __builtin_prefetch(reinterpret_cast<const char*>(b + 12 * bDepth) + at, 0, 2);
      }
      W right[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) right[v] = loadVector<W>(b + v * L);
      if constexpr (mode == Read::copying) {
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) storeVector(copy + v * L, right[v]);
        copy += V * L;
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const W left = splat<W>(isPacked ? a[r] : a[r * aRow]);
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) sums[r][v] += left * right[v];
      }
      a += isPacked ? R : aDepth;
      b += bDepth;
    }
  };
  // C comes into the cache while the last of the depth is summed.
  const int64_t last = std::min<int64_t>(depth, 64);
  if constexpr (mode == Read::streaming) {
    constexpr int64_t line = alignment / int64_t(sizeof(T));
    int64_t left = depth - last;
    for (; left > 0; left -= line) {
      for (int64_t r = 0; r < ahead.rows; r++) __builtin_prefetch(soon + r * ahead.step, 0, 3);
      soon += alignment;
      accumulate(std::min(left, line));
    }
    for (int64_t r = 0; r < ahead.rows; r++)
      for (int64_t at = 0; at < last * int64_t(sizeof(T)); at += alignment) __builtin_prefetch(soon + r * ahead.step + at, 0, 2);
  } else {
    accumulate(depth - last);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    if (r >= rows) break;
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) __builtin_prefetch(c + r * cRow + v * L, 1, 3);
  }
  accumulate(last);
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    if (r >= rows) break;
    T* to = c + r * cRow;
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) {
      const int64_t left = cols - v * L;
      if (left >= L) {
        storeVector(to + v * L, adds ? loadVector<W>(to + v * L) + sums[r][v] : sums[r][v]);
      } else if (left > 0) {
        storeColumns<T>(to + v * L, sums[r][v], left, adds);
      }
    }
  }
}

/**
 * As a whole tile of Read::streaming, for rows of A that several panels of B are multiplied with: they stand in `lines`, a vector of each row and
 * then the next of each, so that they are read in one piece, whatever their stride. Where `a` is given, they are copied from there by the
 * way.
 */
template <class T>
__attribute__((noinline)) void multiplyLines(int64_t depth, const T* a, int64_t aRow, T* lines, const T* b, T* c, int64_t cRow, bool adds, Ahead ahead) {
  constexpr int L = lanesOf<T>, R = Tiling<T>::rows, V = Tiling<T>::vectors;
  using W = Vector<T, L>;
  W sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) sums[r][v] = W{};
  const auto copyTo = [&](T* to, int64_t k) __attribute__((always_inline)) {
    if (k + L <= depth) {
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) storeVector(to + r * L, loadVector<W>(a + r * aRow + k));
    } else if (k < depth) {
      for (int r = 0; r < R; r++)
        for (int64_t i = 0; i < depth - k; i++) to[r * L + i] = a[r * aRow + k + i];
    }
  };
  if (a != nullptr) copyTo(lines, 0);
  const char* soon = ahead.at;
  const T* left = lines;
  for (int64_t k = 0; k < depth; k += L) {
    // What comes next, while this is multiplied.
    if (a != nullptr) copyTo(lines + (k / L + 1) * (R * L), k + L);
    for (int64_t r = 0; r < ahead.rows; r++) __builtin_prefetch(soon + r * ahead.step, 0, 2);
    soon += vectorBytes;
    if (k + 2 * L > depth) {
#pragma GCC unroll 16
      for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) __builtin_prefetch(c + r * cRow + v * L, 1, 3);
    }
    const auto one = [&](int i) __attribute__((always_inline)) {
      W right[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) right[v] = loadVector<W>(b + v * L);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const W value = splat<W>(left[r * L + i]);
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) sums[r][v] += value * right[v];
      }
      b += V * L;
    };
    if (k + L <= depth) {
      for (int i = 0; i < L; i++) {
        // The next lines, one beside each step: read all at once, they would be waited for.
        __builtin_prefetch(left + R * L + i * L, 0, 3);
        one(i);
      }
    } else {
      for (int i = 0; i < int(depth - k); i++) one(i);
    }
    left += R * L;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    T* to = c + r * cRow;
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) storeVector(to + v * L, adds ? loadVector<W>(to + v * L) + sums[r][v] : sums[r][v]);
  }
}

/** Vectors side by side in a tile of so few rows that more fit than in a whole one. */
template <class T>
constexpr int wideVectors(int rows) {
  constexpr int most = Tiling<T>::rows * Tiling<T>::vectors;
  return rows * 8 <= most ? 8 : rows * 4 <= most ? 4 : Tiling<T>::vectors;
}

/** The kernel that reads A where it is for so many rows, of tiles of the usual width or as wide as the registers take. */
template <class T>
using TileKernel = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, T*, int64_t, bool, int64_t, int64_t, Ahead, T*);
template <class T, Read mode, bool isWide = false>
inline TileKernel<T> tileKernel(int rows) {
  static constexpr auto all = []<int... R>(std::integer_sequence<int, R...>) {
    return std::array<TileKernel<T>, sizeof...(R)>{multiplyTile<T, R + 1, isWide ? wideVectors<T>(R + 1) : Tiling<T>::vectors, mode>...};
  }(std::make_integer_sequence<int, Tiling<T>::rows>{});
  return all[size_t(rows - 1)];
}

/** Rows of a packed panel for so many rows of A: whole tiles, or what is left in a smaller one. */
template <class T>
inline int panelRows(int64_t left) {
  constexpr int R = Tiling<T>::rows;
  if (R > 8 && left <= 4) return 4;
  if (R > 8 && left <= 8) return 8;
  return R;
}
template <class T, int V, Read mode>
inline void multiplyPanelOf(int panel, int64_t depth, const T* a, const T* b, int64_t bDepth, T* c, int64_t cRow, bool adds, int64_t rows, int64_t cols,
                            Ahead ahead, T* copy) {
  constexpr int R = Tiling<T>::rows;
  if (panel == R) return multiplyTile<T, R, V, mode>(depth, a, 0, 0, b, bDepth, c, cRow, adds, rows, cols, ahead, copy);
  if (panel == 8) return multiplyTile<T, 8, V, mode>(depth, a, 0, 0, b, bDepth, c, cRow, adds, rows, cols, ahead, copy);
  return multiplyTile<T, 4, V, mode>(depth, a, 0, 0, b, bDepth, c, cRow, adds, rows, cols, ahead, copy);
}
/** A packed panel of A times one of B. */
template <class T>
inline void multiplyPanel(int panel, int64_t depth, const T* a, const T* b, T* c, int64_t cRow, bool adds, int64_t rows, int64_t cols, Ahead ahead = {}) {
  constexpr int V = Tiling<T>::vectors;
  constexpr int64_t C = Tiling<T>::columns;
  if (cols > lanesOf<T>) multiplyPanelOf<T, V, Read::packed>(panel, depth, a, b, C, c, cRow, adds, rows, cols, ahead, nullptr);
  else multiplyPanelOf<T, 1, Read::packed>(panel, depth, a, b, C, c, cRow, adds, rows, cols, ahead, nullptr);
}

// ---- packing ------------------------------------------------------------------------------------------------------

/**
 * to[j * toRow + i] = from[i * fromRow + j] for a matrix of rows × cols. Of many rows few of what is written are at hand at a time, each
 * in one piece: lines of many that are a power of two apart would all fall into one set of the cache.
 */
template <class T>
inline void transposeInto(T* to, int64_t toRow, const T* from, int64_t fromRow, int64_t rows, int64_t cols) {
  constexpr int L = lanesOf<T>, U = 4;
  using W = Vector<T, L>;
  const auto square = [&](T* into, int64_t intoRow, int64_t i, int64_t j) __attribute__((always_inline)) {
    W lines[L];
#pragma GCC unroll 16
    for (int r = 0; r < L; r++) lines[r] = loadVector<W>(from + (i + r) * fromRow + j);
    transposeSquare<T, L>(lines);
#pragma GCC unroll 16
    for (int r = 0; r < L; r++) storeVector(into + r * intoRow, lines[r]);
  };
  const int64_t whole = rows / L * L;
  // Whole lines of what is read: where vectors are shorter, several squares side by side. Few rows are read along instead.
  const int64_t line = std::max<int64_t>(L, alignment / int64_t(sizeof(T))), step = rows <= U * L ? cols : line;
  const bool isOneSet = toRow * int64_t(sizeof(T)) % 4096 == 0;
  for (int64_t j0 = 0; j0 < cols; j0 += step) {
    const int64_t end = std::min(cols, j0 + step), wholeEnd = j0 + (end - j0) / L * L;
    int64_t i = 0;
    // Even the lines of one square are too many for a set: they are put together row by row.
    for (; isOneSet && i + U * L <= whole; i += U * L) {
      for (int64_t j = j0; j < wholeEnd; j += L) {
        alignas(alignment) T pieces[L * U * L];
        for (int u = 0; u < U; u++) square(pieces + u * L, U * L, i + u * L, j);
        for (int r = 0; r < L; r++)
#pragma GCC unroll 4
          for (int u = 0; u < U; u++) storeVector(to + (j + r) * toRow + i + u * L, loadVector<W>(pieces + (r * U + u) * L));
      }
    }
    for (; i < whole; i += L)
      for (int64_t j = j0; j < wholeEnd; j += L) square(to + j * toRow + i, toRow, i, j);
    for (i = 0; i < whole; i++)
      for (int64_t j = wholeEnd; j < end; j++) to[j * toRow + i] = from[i * fromRow + j];
  }
  // Few rows left: a few columns at a time, so that what is written stays in the cache.
  for (int64_t j0 = 0; j0 < cols; j0 += 16) {
    const int64_t end = std::min(cols, j0 + 16);
    for (int64_t r = whole; r < rows; r++)
      for (int64_t j = j0; j < end; j++) to[j * toRow + r] = from[r * fromRow + j];
  }
}

/** `P` dense rows of depth `depth`, turned: P elements for each step of the depth. */
template <class T, int P>
inline void packDenseRows(T* to, const T* from, int64_t rowStride, int64_t depth) {
  constexpr int L = lanesOf<T>;
  if constexpr (P > L) {
    transposeInto<T>(to, P, from, rowStride, P, depth);
  } else {
    using W = Vector<T, L>;
    int64_t k = 0;
    // All but the last are stored whole: the next one covers what is too much.
    for (; k + 2 * L <= depth; k += L) {
      W square[L];
#pragma GCC unroll 16
      for (int r = 0; r < L; r++) square[r] = r < P ? loadVector<W>(from + r * rowStride + k) : W{};
      transposeSquare<T, L>(square);
#pragma GCC unroll 16
      for (int r = 0; r < L; r++) storeVector(to + (k + r) * P, square[r]);
    }
    for (; k < depth; k++)
      for (int r = 0; r < P; r++) to[k * P + r] = from[r * rowStride + k];
  }
}

template <class T, int P>
inline void packWholePanel(T* to, Matrix<T> a, int64_t depth) {
  if (a.columnStride == 1) return packDenseRows<T, P>(to, a.at, a.rowStride, depth);
  if (a.rowStride == 1) {
    for (int64_t k = 0; k < depth; k++) __builtin_memcpy(to + k * P, a.at + k * a.columnStride, P * sizeof(T));
    return;
  }
  for (int64_t k = 0; k < depth; k++)
    for (int r = 0; r < P; r++) to[k * P + r] = a.at[r * a.rowStride + k * a.columnStride];
}

/** Rows of A in panels, depth by depth; rows that are not there are zero. */
template <class T>
inline void packRows(T* to, Matrix<T> a, int64_t rows, int64_t depth) {
  constexpr int R = Tiling<T>::rows;
  for (int64_t row = 0; row < rows;) {
    const int panel = panelRows<T>(rows - row);
    const Matrix<T> from = a.from(row, 0);
    if (rows - row < panel) {
      const int there = int(rows - row);
      for (int64_t k = 0; k < depth; k++) {
        for (int r = 0; r < panel; r++) to[k * panel + r] = r < there ? from.at[r * from.rowStride + k * from.columnStride] : T(0);
      }
    } else if (panel == R) {
      packWholePanel<T, R>(to, from, depth);
    } else if (panel == 8) {
      packWholePanel<T, 8>(to, from, depth);
    } else {
      packWholePanel<T, 4>(to, from, depth);
    }
    to += panel * depth;
    row += panel;
  }
}

/** One panel of B: `cols` columns, depth by depth, padded with zeros. */
template <class T>
inline void packColumns(T* to, Matrix<T> b, int64_t depth, int64_t cols) {
  constexpr int C = Tiling<T>::columns;
  if (b.columnStride == 1) {
    if (cols == C) {
      for (int64_t k = 0; k < depth; k++) {
        __builtin_prefetch(b.at + (k + 16) * b.rowStride, 0, 2);
        if (C * sizeof(T) > 64) __builtin_prefetch(b.at + (k + 16) * b.rowStride + C / 2, 0, 2);
        __builtin_memcpy(to + k * C, b.at + k * b.rowStride, C * sizeof(T));
      }
      return;
    }
    for (int64_t k = 0; k < depth; k++) {
      std::memcpy(to + k * C, b.at + k * b.rowStride, size_t(cols) * sizeof(T));
      std::memset(to + k * C + cols, 0, size_t(C - cols) * sizeof(T));
    }
    return;
  }
  if (cols < C) {
    for (int64_t k = 0; k < depth; k++) std::memset(to + k * C + cols, 0, size_t(C - cols) * sizeof(T));
  }
  if (b.rowStride == 1) return transposeInto<T>(to, C, b.at, b.columnStride, cols, depth);
  for (int64_t k = 0; k < depth; k++)
    for (int64_t j = 0; j < cols; j++) to[k * C + j] = b.at[k * b.rowStride + j * b.columnStride];
}

}  // namespace weft
