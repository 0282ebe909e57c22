// Matrix products C = A B of any strides, after Goto and van de Geijn: B in packed panels that stay in the first-level cache, A in
// packed blocks that stay in the second, and a kernel that holds a tile of C in registers. Products that are too thin for
// that have ways of their own: a vector times a matrix, and few rows times columns that are dense along the depth.
#pragma once
#include <algorithm>
#include <array>
#include <utility>
#include "pool.h"

namespace weft {

/** A matrix by where elements (row, column) are: at[row * rowStride + column * columnStride]. */
template <class T>
struct Matrix {
  const T* at;
  int64_t rowStride, columnStride;
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
  /** Depth of a packed block: a panel of B takes 32 KiB. */
  static constexpr int64_t depth = 32768 / (columns * int(sizeof(T)));
  /** Rows of a packed block of A: at most 192 KiB. */
  static constexpr int64_t blockRows = 196608 / (depth * int(sizeof(T))) / rows * rows;
  /** Columns of B that are packed at a time. */
  static constexpr int64_t blockColumns = 2048;
};

/** The first `count` elements of a vector, stored or added. */
template <class T>
__attribute__((noinline)) void storeColumns(T* to, Vector<T, lanesOf<T>> sums, int64_t count, bool adds) {
  for (int64_t i = 0; i < count; i++) to[i] = adds ? to[i] + sums[i] : sums[i];
}

/**
 * C[R × cols] (+)= A[R × depth] B[depth × cols] for one tile, cols ≤ vectors · lanes. B's rows are dense and, but for
 * `cols` = all, padded. Only the first `rows` rows are stored.
 */
template <class T, int R, int V, bool isPacked>
__attribute__((noinline)) void multiplyTile(int64_t depth, const T* a, int64_t aRow, int64_t aDepth, const T* b, int64_t bDepth, T* c,
                                            int64_t cRow, bool adds, int64_t rows, int64_t cols) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  W sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) sums[r][v] = W{};
  for (int64_t k = 0; k < depth; k++) {
    W right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) right[v] = loadVector<W>(b + v * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const W left = splat<W>(isPacked ? a[r] : a[r * aRow]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sums[r][v] += left * right[v];
    }
    a += isPacked ? R : aDepth;
    b += bDepth;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    if (r >= rows) break;
    T* to = c + r * cRow;
#pragma GCC unroll 4
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

template <class T>
using TileKernel = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, T*, int64_t, bool, int64_t, int64_t);

/** Kernels for one to `rows` rows whose A is read where it is. */
template <class T, int V, int... R>
constexpr std::array<TileKernel<T>, sizeof...(R)> directKernels(std::integer_sequence<int, R...>) {
  return {multiplyTile<T, R + 1, V, false>...};
}

/** Rows of a packed panel for so many rows of A: whole tiles, or what is left in a smaller one. */
template <class T>
inline int panelRows(int64_t left) {
  constexpr int R = Tiling<T>::rows;
  if (R > 8 && left <= 4) return 4;
  if (R > 8 && left <= 8) return 8;
  return R;
}
template <class T>
inline void multiplyPanel(int panel, int64_t depth, const T* a, const T* b, T* c, int64_t cRow, bool adds, int64_t rows, int64_t cols) {
  constexpr int R = Tiling<T>::rows, V = Tiling<T>::vectors;
  constexpr int64_t bDepth = Tiling<T>::columns;
  if (panel == R) return multiplyTile<T, R, V, true>(depth, a, 0, 0, b, bDepth, c, cRow, adds, rows, cols);
  if (panel == 8) return multiplyTile<T, 8, V, true>(depth, a, 0, 0, b, bDepth, c, cRow, adds, rows, cols);
  return multiplyTile<T, 4, V, true>(depth, a, 0, 0, b, bDepth, c, cRow, adds, rows, cols);
}

// ---- packing ------------------------------------------------------------------------------------------------------

/** Rows of A in panels, depth by depth; rows that are not there are zero. */
template <class T>
inline void packRows(T* to, Matrix<T> a, int64_t rows, int64_t depth) {
  for (int64_t row = 0; row < rows;) {
    const int panel = panelRows<T>(rows - row);
    const int there = int(std::min<int64_t>(panel, rows - row));
    const T* from = a.at + row * a.rowStride;
    if (there < panel) std::memset(to, 0, size_t(panel) * size_t(depth) * sizeof(T));
    if (a.columnStride == 1) {
      for (int r = 0; r < there; r++) {
        const T* line = from + r * a.rowStride;
        T* target = to + r;
        for (int64_t k = 0; k < depth; k++, target += panel) *target = line[k];
      }
    } else {
      for (int64_t k = 0; k < depth; k++) {
        const T* line = from + k * a.columnStride;
        T* target = to + k * panel;
        for (int r = 0; r < there; r++) target[r] = line[r * a.rowStride];
      }
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
      for (int64_t k = 0; k < depth; k++) std::memcpy(to + k * C, b.at + k * b.rowStride, C * sizeof(T));
      return;
    }
    for (int64_t k = 0; k < depth; k++) {
      std::memcpy(to + k * C, b.at + k * b.rowStride, size_t(cols) * sizeof(T));
      std::memset(to + k * C + cols, 0, size_t(C - cols) * sizeof(T));
    }
    return;
  }
  if (cols < C) std::memset(to, 0, size_t(C) * size_t(depth) * sizeof(T));
  // A few columns at a time, so that what is written stays in the cache.
  constexpr int64_t step = 16;
  for (int64_t k0 = 0; k0 < depth; k0 += step) {
    const int64_t end = std::min(depth, k0 + step);
    for (int64_t j = 0; j < cols; j++) {
      const T* from = b.at + j * b.columnStride;
      for (int64_t k = k0; k < end; k++) to[k * C + j] = from[k * b.rowStride];
    }
  }
}

/** All of B, packed: depth blocks, in each the panels. */
template <class T>
struct PackedMatrix {
  std::vector<T> memory;
  const T* source = nullptr;
  int64_t paddedColumns = 0;

  static int64_t blockDepth(int64_t depth) {
    const int64_t blocks = divideUp(depth, Tiling<T>::depth);
    return blocks <= 1 ? depth : divideUp(depth, blocks);
  }
  void pack(Matrix<T> b, int64_t depth, int64_t columns) {
    constexpr int C = Tiling<T>::columns;
    if (source == b.at) return;
    paddedColumns = roundUp(columns, C);
    memory.resize(size_t(paddedColumns * depth + alignment));
    const int64_t kc = blockDepth(depth);
    const int64_t panels = paddedColumns / C;
    parallelFor(panels, 4, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < depth; k += kc) {
        const int64_t there = std::min(kc, depth - k);
        for (int64_t panel = begin; panel < end; panel++) {
          packColumns<T>(const_cast<T*>(at(k, panel, there)), {b.at + k * b.rowStride + panel * C * b.columnStride, b.rowStride, b.columnStride}, there,
                         std::min<int64_t>(C, columns - panel * C));
        }
      }
    });
    source = b.at;
  }
  const T* at(int64_t depth, int64_t panel, int64_t there) const {
    const T* base = reinterpret_cast<const T*>(roundUp(int64_t(memory.data()), alignment));
    return base + depth * paddedColumns + panel * Tiling<T>::columns * there;
  }
};

// ---- thin products ------------------------------------------------------------------------------------------------

/** The sum of a vector's elements, pairwise. */
template <class T, int L>
inline T sumOf(Vector<T, L> v) {
  if constexpr (L == 1) {
    return v[0];
  } else {
    Vector<T, L / 2> low, high;
    std::memcpy(&low, &v, sizeof low);
    std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sumOf<T, L / 2>(low + high);
  }
}

/** R rows of A by C columns of B, both dense along the depth. */
template <class T, int R, int C>
inline void dotProducts(const T* a, int64_t aRow, const T* b, int64_t bColumn, int64_t depth, T* c, int64_t cRow) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  W sums[R][C];
  for (int r = 0; r < R; r++)
    for (int j = 0; j < C; j++) sums[r][j] = W{};
  int64_t k = 0;
  for (; k + L <= depth; k += L) {
    W right[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; j++) right[j] = loadVector<W>(b + j * bColumn + k);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const W left = loadVector<W>(a + r * aRow + k);
#pragma GCC unroll 8
      for (int j = 0; j < C; j++) sums[r][j] += left * right[j];
    }
  }
  for (int r = 0; r < R; r++) {
    for (int j = 0; j < C; j++) {
      T sum = sumOf<T, L>(sums[r][j]);
      for (int64_t rest = k; rest < depth; rest++) sum += a[r * aRow + rest] * b[j * bColumn + rest];
      c[r * cRow + j] = sum;
    }
  }
}

/** Columns begin … end of A B with both dense along the depth and few rows. */
template <class T, int R>
inline void dotColumns(const T* a, int64_t aRow, const T* b, int64_t bColumn, int64_t depth, T* c, int64_t cRow, int64_t begin, int64_t end) {
  constexpr int C = R == 1 ? 8 : 4;
  int64_t j = begin;
  for (; j + C <= end; j += C) dotProducts<T, R, C>(a, aRow, b + j * bColumn, bColumn, depth, c + j, cRow);
  for (; j < end; j++) dotProducts<T, R, 1>(a, aRow, b + j * bColumn, bColumn, depth, c + j, cRow);
}

/** A row times a matrix whose rows are dense: columns begin … end. */
template <class T>
inline void rowTimesMatrix(const T* a, int64_t aDepth, Matrix<T> b, int64_t depth, T* c, int64_t begin, int64_t end) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  int64_t j = begin;
  const auto wide = [&]<int V>(std::integral_constant<int, V>) {
    for (; j + V * L <= end; j += V * L) {
      W sums[V];
      for (int v = 0; v < V; v++) sums[v] = W{};
      for (int64_t k = 0; k < depth; k++) {
        const W left = splat<W>(a[k * aDepth]);
        const T* from = b.at + k * b.rowStride + j;
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) sums[v] += left * loadVector<W>(from + v * L);
      }
      for (int v = 0; v < V; v++) storeVector(c + j + v * L, sums[v]);
    }
  };
  wide(std::integral_constant<int, 8>{});
  wide(std::integral_constant<int, 1>{});
  if (j < end) {
    T sums[L] = {};
    for (int64_t k = 0; k < depth; k++) {
      const T left = a[k * aDepth];
      for (int64_t rest = j; rest < end; rest++) sums[rest - j] += left * b.at[k * b.rowStride + rest];
    }
    for (int64_t rest = j; rest < end; rest++) c[rest] = sums[rest - j];
  }
}

// ---- the product --------------------------------------------------------------------------------------------------

/** Called when rows × columns of C are final, by the thread that made them. */
struct NoEpilogue {
  void operator()(int64_t, int64_t, int64_t, int64_t) const {}
};

/** Multiply-adds that are worth a thread. */
constexpr int64_t productGrain = 1 << 17;

/** Columns that are worth a thread, in whole tiles. */
template <class T>
inline int64_t columnGrain(int64_t rows, int64_t depth) {
  constexpr int C = Tiling<T>::columns;
  return std::max<int64_t>(C, roundUp(divideUp(productGrain, rows * depth), C));
}

/** Few rows of A times columns of B that are dense along the depth; `finish(first, last)` follows columns. */
template <class T, class Finish>
void multiplyDeep(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Finish& finish) {
  const T* left = a.at;
  int64_t leftRow = a.rowStride;
  if (a.columnStride != 1) {
    T* copy = reinterpret_cast<T*>(scratchOf(Scratch::rows, rows * depth * int64_t(sizeof(T))));
    for (int64_t r = 0; r < rows; r++)
      for (int64_t k = 0; k < depth; k++) copy[r * depth + k] = a.at[r * a.rowStride + k * a.columnStride];
    left = copy;
    leftRow = depth;
  }
  parallelFor(divideUp(columns, 8), divideUp(columnGrain<T>(rows, depth), 8), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * 8, last = std::min(columns, end * 8);
    for (int64_t r = 0; r < rows;) {
      const T* from = left + r * leftRow;
      T* to = c + r * cRow;
      if (rows - r >= 4) {
        dotColumns<T, 4>(from, leftRow, b.at, b.columnStride, depth, to, cRow, first, last);
        r += 4;
      } else if (rows - r >= 2) {
        dotColumns<T, 2>(from, leftRow, b.at, b.columnStride, depth, to, cRow, first, last);
        r += 2;
      } else {
        dotColumns<T, 1>(from, leftRow, b.at, b.columnStride, depth, to, cRow, first, last);
        r += 1;
      }
    }
    finish(first, last);
  });
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
  multiplyDeep<T>({a, 0, aDepth}, b, c, columns, 1, columns, depth, finish);
  return true;
}

/**
 * C[rows × columns], dense with `cRow` elements a row, = A B. `packed` holds B when it never changes. The epilogue is called
 * with (first row, last row, first column, last column) for parts that cover C.
 */
template <class T, class Epilogue>
void multiply(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, PackedMatrix<T>* packed, const Epilogue& epilogue) {
  using S = Tiling<T>;
  constexpr int R = S::rows, C = S::columns, V = S::vectors;
  if (rows == 0 || columns == 0) return;
  if (depth == 0) {
    for (int64_t r = 0; r < rows; r++) std::memset(c + r * cRow, 0, size_t(columns) * sizeof(T));
    return epilogue(0, rows, 0, columns);
  }
  // One column: the transposed product has one row.
  if (columns == 1 && cRow == 1) {
    const auto finish = [&](int64_t first, int64_t last) { epilogue(first, last, 0, 1); };
    if (multiplyRow<T>(b.at, b.rowStride, {a.at, a.columnStride, a.rowStride}, c, rows, depth, finish)) return;
  }
  const auto finish = [&](int64_t first, int64_t last) { epilogue(0, rows, first, last); };
  if (rows == 1 && multiplyRow<T>(a.at, a.columnStride, b, c, columns, depth, finish)) return;
  if (b.rowStride == 1 && b.columnStride != 1 && depth >= 8 && rows <= (packed == nullptr ? 8 : 4))
    return multiplyDeep<T>(a, b, c, cRow, rows, columns, depth, finish);
  static constexpr auto direct = directKernels<T, V>(std::make_integer_sequence<int, R>{});
  // Small enough to be read where it is: rows of B dense, and no more of A than the cache holds.
  if (packed == nullptr && b.columnStride == 1 && (rows <= R || (rows * columns <= 64 * 64 && depth <= 128))) {
    const int64_t tiles = columns / C;
    const int64_t rest = columns - tiles * C;
    parallelFor(tiles + (rest > 0), divideUp(columnGrain<T>(rows, depth), C), [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; tile++) {
        const T* from = b.at + tile * C;
        int64_t bDepth = b.rowStride;
        int64_t cols = C;
        if (tile == tiles) {
          T* copy = reinterpret_cast<T*>(scratchOf(Scratch::panels, C * depth * int64_t(sizeof(T))));
          packColumns<T>(copy, {from, b.rowStride, 1}, depth, rest);
          from = copy;
          bDepth = C;
          cols = rest;
        }
        for (int64_t r = 0; r < rows; r += R) {
          const int64_t there = std::min<int64_t>(R, rows - r);
          direct[size_t(there - 1)](depth, a.at + r * a.rowStride, a.rowStride, a.columnStride, from, bDepth, c + r * cRow + tile * C, cRow, false, there, cols);
        }
      }
      epilogue(0, rows, begin * C, std::min(columns, end * C));
    });
    return;
  }

  if (packed != nullptr) packed->pack(b, depth, columns);
  const int64_t kc = PackedMatrix<T>::blockDepth(depth);
  const int64_t nc = packed != nullptr ? columns : std::min(columns, S::blockColumns);
  T* shared = packed != nullptr ? nullptr : reinterpret_cast<T*>(scratchOf(Scratch::panels, roundUp(nc, C) * kc * int64_t(sizeof(T))));
  // Blocks of rows: few enough that every thread gets some, as large as the cache takes.
  const int64_t threads = pool().size();
  const int64_t blockRows = std::clamp<int64_t>(roundUp(divideUp(rows, 2 * threads), R), R, S::blockRows);
  const int64_t rowBlocks = divideUp(rows, blockRows);
  for (int64_t j0 = 0; j0 < columns; j0 += nc) {
    const int64_t width = std::min(nc, columns - j0);
    const int64_t panels = divideUp(width, C);
    // Blocks of columns, where rows alone give too few tasks.
    const int64_t columnBlocks = std::clamp<int64_t>(divideUp(2 * threads, rowBlocks), 1, divideUp(panels, 8));
    for (int64_t k0 = 0; k0 < depth; k0 += kc) {
      const int64_t there = std::min(kc, depth - k0);
      if (packed == nullptr) {
        parallelFor(panels, divideUp(1 << 15, C * there), [&](int64_t begin, int64_t end) {
          for (int64_t panel = begin; panel < end; panel++) {
            const T* from = b.at + k0 * b.rowStride + (j0 + panel * C) * b.columnStride;
            packColumns<T>(shared + panel * C * there, {from, b.rowStride, b.columnStride}, there, std::min<int64_t>(C, width - panel * C));
          }
        });
      }
      const int64_t taskWork = std::max<int64_t>(1, rows * width * there / (rowBlocks * columnBlocks));
      parallelFor(rowBlocks * columnBlocks, divideUp(productGrain, taskWork), [&](int64_t begin, int64_t end) {
        int64_t packedBlock = -1;
        T* block = reinterpret_cast<T*>(scratchOf(Scratch::rows, (blockRows + R) * there * int64_t(sizeof(T))));
        for (int64_t task = begin; task < end; task++) {
          const int64_t rowBlock = task / columnBlocks, columnBlock = task % columnBlocks;
          const int64_t r0 = rowBlock * blockRows;
          const int64_t height = std::min(blockRows, rows - r0);
          if (packedBlock != rowBlock) packRows<T>(block, {a.at + r0 * a.rowStride + k0 * a.columnStride, a.rowStride, a.columnStride}, height, there);
          packedBlock = rowBlock;
          const int64_t firstPanel = panels * columnBlock / columnBlocks, lastPanel = panels * (columnBlock + 1) / columnBlocks;
          for (int64_t panel = firstPanel; panel < lastPanel; panel++) {
            const T* right = packed != nullptr ? packed->at(k0, panel, there) : shared + panel * C * there;
            const int64_t cols = std::min<int64_t>(C, width - panel * C);
            const T* left = block;
            for (int64_t r = 0; r < height;) {
              const int size = panelRows<T>(height - r);
              multiplyPanel<T>(size, there, left, right, c + (r0 + r) * cRow + j0 + panel * C, cRow, k0 > 0, height - r, cols);
              left += size * there;
              r += size;
            }
          }
          if (k0 + there == depth) epilogue(r0, r0 + height, j0 + firstPanel * C, j0 + std::min(width, lastPanel * C));
        }
      });
    }
  }
}

}  // namespace weft
