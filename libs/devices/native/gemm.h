// Matrix products C = A B of any strides, by their shapes:
// - large ones after Goto and van de Geijn: B in packed panels that stay in the first-level cache, A in packed blocks that stay in
//   the second, and a kernel that holds a tile of C in registers (tile.h);
// - few rows times a large matrix that is dense along the depth, as layers have their weights: the large one is read once and where
//   it is, as the left operand of the transposed product, against the few rows in packed panels;
// - shallow ones with A read where it is, small ones with both operands so, and thin ones (thin.h).
// Nothing is kept from one product to the next: packing takes little beside each of them, and a second copy of weights much memory.
#pragma once
#include "thin.h"

namespace weft {

/** Called when rows × columns of C are final, by the thread that made them. */
struct NoEpilogue {
  void operator()(int64_t, int64_t, int64_t, int64_t) const {}
};

/** Rows of B are dense and either A has few rows or B stays in the cache: both are read where they are. */
template <class T, class Epilogue>
void multiplyInPlace(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Epilogue& epilogue) {
  constexpr int R = Tiling<T>::rows, L = lanesOf<T>;
  // Few rows leave registers for wide tiles, which read longer pieces of B's rows.
  const int64_t C = rows <= R ? wideVectors<T>(int(rows)) * L : Tiling<T>::columns;
  const int64_t tiles = divideUp(columns, C);
  parallelFor(tiles, divideUp(columnGrain<T>(rows, depth), C), [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; tile++) {
      const T* from = b.at + tile * C;
      int64_t bDepth = b.rowStride;
      const int64_t cols = std::min(C, columns - tile * C);
      const auto each = [&](const T* right, int64_t rightRow, int64_t first, int64_t wide, bool isWide) {
        for (int64_t r = 0; r < rows; r += R) {
          const int there = int(std::min<int64_t>(R, rows - r));
          const auto kernel = isWide ? tileKernel<T, Read::direct, true>(there) : tileKernel<T, Read::direct>(there);
          kernel(depth, a.at + r * a.rowStride, a.rowStride, a.columnStride, right, rightRow, c + r * cRow + tile * C + first, cRow, false, there, wide, {}, nullptr);
        }
      };
      if (cols == C) {
        each(from, bDepth, 0, C, rows <= R);
        continue;
      }
      // The last columns in narrower tiles, the very last ones from a copy with zeros behind them.
      constexpr int64_t narrow = Tiling<T>::columns;
      int64_t first = 0;
      for (; first + narrow <= cols; first += narrow) each(from + first, bDepth, first, narrow, false);
      if (first == cols) continue;
      T* copy = reinterpret_cast<T*>(scratchOf(Scratch::panels, narrow * depth * int64_t(sizeof(T))));
      packColumns<T>(copy, {from + first, b.rowStride, 1}, depth, cols - first);
      each(copy, narrow, first, cols - first, false);
    }
    epilogue(0, rows, begin * C, std::min(columns, end * C));
  });
}

/** At least `least` tasks out of so many tiles: as many for each thread, and for each a second one where there are several. */
inline int64_t evenTasks(int64_t least, int64_t tiles) {
  const int64_t threads = pool().size();
  return threads == 1 ? least : std::min(tiles, roundUp(std::max(least, 2 * threads), threads));
}

/** Calls `task(i, state)` for 0 … count - 1 on several threads, `grain` of them or more each; a thread has a state for its tasks. */
template <class State, class Task>
void shareTasks(int64_t count, int64_t grain, const Task& task) {
  struct Shared {
    const Task& task;
    int64_t count;
    std::atomic<int64_t> next{0};

    void work() {
      State state{};
      for (int64_t at = next.fetch_add(1, std::memory_order_relaxed); at < count; at = next.fetch_add(1, std::memory_order_relaxed)) task(at, state);
    }
  } shared{task, count};
  const int64_t threads = std::min<int64_t>(pool().size(), std::max<int64_t>(1, count / std::max<int64_t>(1, grain)));
  if (threads == 1) return shared.work();
  pool().run(threads, &shared, [](const void* context, int64_t) { static_cast<Shared*>(const_cast<void*>(context))->work(); });
}

/** B is dense along the depth: its columns are rows of the left operand of Cᵀ = Bᵀ Aᵀ. */
template <class T, class Epilogue>
void multiplyTurned(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Epilogue& epilogue) {
  constexpr int R = Tiling<T>::rows, C = Tiling<T>::columns;
  const int64_t panels = divideUp(rows, C), width = panels * C;
  // All panels of one block of the depth stay in the second-level cache.
  const int64_t kc = Tiling<T>::blockDepth(depth, std::clamp<int64_t>(393216 / (width * int64_t(sizeof(T))), 128, 512));
  const auto packPanels = [&](T* to, int64_t begin, int64_t end) {
    for (int64_t k0 = 0; k0 < depth; k0 += kc) {
      const int64_t there = std::min(kc, depth - k0);
      for (int64_t panel = begin; panel < end; panel++)
        packColumns<T>(to + k0 * width + panel * C * there, a.transposed().from(k0, panel * C), there, std::min<int64_t>(C, rows - panel * C));
    }
  };
  const auto scratch = [&] { return reinterpret_cast<T*>(scratchOf(Scratch::panels, width * depth * int64_t(sizeof(T)))); };
  // Every thread packs A for itself where that is little beside its share of the product: what another core has written comes slowly.
  const T* shared = nullptr;
  if (columns < 128 * pool().size()) {
    T* to = scratch();
    parallelFor(panels, divideUp(1 << 15, C * depth), [&](int64_t begin, int64_t end) { packPanels(to, begin, end); });
    shared = to;
  }
  // Columns at a time: their part of Cᵀ stays in the cache until it is turned.
  const int64_t most = std::max<int64_t>(1, 262144 / (width * int64_t(sizeof(T)) * R));
  const int64_t tiles = divideUp(columns, R);
  const int64_t blocks = evenTasks(divideUp(tiles, most), tiles);
  const int64_t wide = divideUp(tiles, blocks);
  struct State {
    bool isPacked = false;
  };
  shareTasks<State>(blocks, divideUp(productGrain, rows * depth * wide * R), [&](int64_t block, State& state) {
    if (shared == nullptr && !state.isPacked) packPanels(scratch(), 0, panels);
    state.isPacked = true;
    const T* packed = shared == nullptr ? scratch() : shared;
    T* sums = reinterpret_cast<T*>(scratchOf(Scratch::sums, (wide + 1) * R * width * int64_t(sizeof(T))));
    T* lines = reinterpret_cast<T*>(scratchOf(Scratch::rows, R * roundUp(kc, lanesOf<T>) * int64_t(sizeof(T))));
    const int64_t first = tiles * block / blocks * R, last = std::min(columns, tiles * (block + 1) / blocks * R);
    for (int64_t k0 = 0; k0 < depth; k0 += kc) {
      const int64_t there = std::min(kc, depth - k0);
      for (int64_t j = first; j < last; j += R) {
        const int here = int(std::min<int64_t>(R, last - j));
        const T* left = b.at + j * b.columnStride + k0;
        for (int64_t panel = 0; panel < panels; panel++) {
          // The rows of the next tile come into the cache meanwhile, some beside each panel.
          const int64_t next = std::clamp<int64_t>(columns - j - R, 0, R);
          const int64_t from = panel * next / panels, to = (panel + 1) * next / panels;
          const Ahead ahead{reinterpret_cast<const char*>(left + (R + from) * b.columnStride), b.columnStride * int64_t(sizeof(T)), to - from};
          const T* right = packed + k0 * width + panel * C * there;
          T* into = sums + (j - first) * width + panel * C;
          if (panels > 1 && here == R) multiplyLines<T>(there, panel == 0 ? left : nullptr, b.columnStride, lines, right, into, width, k0 > 0, ahead);
          else tileKernel<T, Read::streaming>(here)(there, left, b.columnStride, 1, right, C, into, width, k0 > 0, here, C, ahead, nullptr);
        }
      }
    }
    // Rows at a time, so that what follows finds them in the first-level cache.
    constexpr int64_t some = 2 * C;
    for (int64_t r = 0; r < rows; r += some) {
      const int64_t end = std::min(rows, r + some);
      transposeInto<T>(c + r * cRow + first, cRow, sums + r, width, last - first, end - r);
      epilogue(r, end, first, last);
    }
  });
}

/** A shallow product whose B fits into the cache: B is packed whole, A read where it is, so that neither A nor C is turned. */
template <class T, class Epilogue>
void multiplyShallow(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Epilogue& epilogue) {
  constexpr int R = Tiling<T>::rows, C = Tiling<T>::columns;
  const int64_t panels = divideUp(columns, C), tiles = divideUp(rows, R);
  T* packed = reinterpret_cast<T*>(scratchOf(Scratch::panels, panels * C * depth * int64_t(sizeof(T))));
  for (int64_t panel = 0; panel < panels; panel++)
    packColumns<T>(packed + panel * C * depth, b.from(0, panel * C), depth, std::min<int64_t>(C, columns - panel * C));
  parallelFor(tiles, divideUp(productGrain, R * columns * depth), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * R, last = std::min(rows, end * R);
    for (int64_t r = first; r < last; r += R) {
      const int here = int(std::min<int64_t>(R, last - r));
      for (int64_t panel = 0; panel < panels; panel++) {
        const int64_t cols = std::min<int64_t>(C, columns - panel * C);
        tileKernel<T, Read::streaming>(here)(depth, a.at + r * a.rowStride, a.rowStride, 1, packed + panel * C * depth, C, c + r * cRow + panel * C, cRow, false,
                                             here, cols, {}, nullptr);
      }
    }
    epilogue(first, last, 0, columns);
  });
}

/** A's rows are one block and those of B dense: panels of B are packed while the first tile of each reads them, and used at once. */
template <class T, class Epilogue>
void multiplyBlock(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Epilogue& epilogue) {
  using S = Tiling<T>;
  constexpr int R = S::rows, C = S::columns, V = S::vectors;
  const int64_t kc = S::blockDepth(depth), panels = divideUp(columns, C);
  // Depth at a time, of which A is packed: all blocks of it one after the other, in memory that stays near.
  const int64_t most = std::min(depth, std::max<int64_t>(1, (int64_t(1) << 20) / (rows * kc * int64_t(sizeof(T)))) * kc), height = rows + R;
  const auto scratch = [&] { return reinterpret_cast<T*>(scratchOf(Scratch::rows, height * most * int64_t(sizeof(T)))); };
  // Every thread packs A for itself where that is little beside its share of the product.
  const bool isOwn = columns >= 128 * pool().size();
  for (int64_t start = 0; start < depth; start += most) {
    const int64_t end = std::min(depth, start + most);
    const auto packTiles = [&](T* to, int64_t begin, int64_t last) {
      for (int64_t k0 = start; k0 < end; k0 += kc) {
        const int64_t there = std::min(kc, end - k0);
        packRows<T>(to + (k0 - start) * height + begin * R * there, a.from(begin * R, k0), std::min(rows, last * R) - begin * R, there);
      }
    };
    T* shared = isOwn ? nullptr : scratch();
    const int64_t tiles = divideUp(rows, R);
    if (!isOwn) parallelFor(tiles, divideUp(1 << 15, R * (end - start)), [&](int64_t begin, int64_t last) { packTiles(shared, begin, last); });
    struct State {
      bool isPacked = false;
    };
    const int64_t tasks = evenTasks(1, panels);
    shareTasks<State>(tasks, divideUp(productGrain, std::max<int64_t>(1, rows * (end - start) * columns / tasks)), [&](int64_t task, State& state) {
      T* blocks = isOwn ? scratch() : shared;
      if (isOwn && !state.isPacked) packTiles(blocks, 0, tiles);
      state.isPacked = true;
      T* packed = reinterpret_cast<T*>(scratchOf(Scratch::panels, C * kc * int64_t(sizeof(T))));
      const int64_t first = panels * task / tasks, last = panels * (task + 1) / tasks;
      for (int64_t k0 = start; k0 < end; k0 += kc) {
        const int64_t there = std::min(kc, end - k0);
        for (int64_t panel = first; panel < last; panel++) {
          const Matrix<T> right = b.from(k0, panel * C);
          const int64_t cols = std::min<int64_t>(C, columns - panel * C);
          if (cols < C) packColumns<T>(packed, right, there, cols);
          const T* left = blocks + (k0 - start) * height;
          for (int64_t r = 0; r < rows;) {
            const int size = panelRows<T>(rows - r);
            T* to = c + r * cRow + panel * C;
            if (r == 0 && cols == C) multiplyPanelOf<T, V, Read::copying>(size, there, left, right.at, right.rowStride, to, cRow, k0 > 0, rows, C, {}, packed);
            else multiplyPanel<T>(size, there, left, packed, to, cRow, k0 > 0, rows - r, cols, {reinterpret_cast<const char*>(packed), 0});
            left += size * there;
            r += size;
          }
        }
      }
      if (end == depth) epilogue(0, rows, first * C, std::min(columns, last * C));
    });
  }
}

/** Any product, in blocks that are packed. */
template <class T, class Epilogue>
void multiplyBlocks(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Epilogue& epilogue) {
  using S = Tiling<T>;
  constexpr int R = S::rows, C = S::columns, V = S::vectors;
  const int64_t kc = S::blockDepth(depth, S::deepDepth);
  const int64_t nc = std::min(columns, S::blockColumns);
  const auto scratch = [&] { return reinterpret_cast<T*>(scratchOf(Scratch::panels, roundUp(nc, C) * kc * int64_t(sizeof(T)))); };
  // Blocks of rows, in whole tiles: as many for every thread, as large as the cache takes.
  const int64_t rowTiles = divideUp(rows, R);
  const int64_t rowBlocks = evenTasks(divideUp(rowTiles, S::blockRows / R), rowTiles);
  const int64_t blockRows = divideUp(rowTiles, rowBlocks) * R;
  // Every thread packs B for itself, in its first tiles, where these are few of its own: what another core has written comes slowly.
  const bool isOwn = b.columnStride == 1 && rows >= S::blockRows * pool().size();
  for (int64_t j0 = 0; j0 < columns; j0 += nc) {
    const int64_t width = std::min(nc, columns - j0);
    const int64_t panels = divideUp(width, C);
    // Blocks of columns, where rows alone give too few tasks.
    const int64_t columnBlocks = isOwn ? 1 : std::clamp<int64_t>(evenTasks(1, 2 * pool().size()) / rowBlocks, 1, divideUp(panels, 8));
    for (int64_t k0 = 0; k0 < depth; k0 += kc) {
      const int64_t there = std::min(kc, depth - k0);
      const auto packPanel = [&](T* to, int64_t panel) {
        packColumns<T>(to + panel * C * there, b.from(k0, j0 + panel * C), there, std::min<int64_t>(C, width - panel * C));
      };
      T* shared = isOwn ? nullptr : scratch();
      if (!isOwn) {
        parallelFor(panels, divideUp(1 << 15, C * there), [&](int64_t begin, int64_t end) {
          for (int64_t panel = begin; panel < end; panel++) packPanel(shared, panel);
        });
      }
      const int64_t taskWork = std::max<int64_t>(1, rows * width * there / (rowBlocks * columnBlocks));
      struct State {
        int64_t packedBlock = -1;
      };
      shareTasks<State>(rowBlocks * columnBlocks, divideUp(productGrain, taskWork), [&](int64_t task, State& state) {
        T* packed = isOwn ? scratch() : shared;
        T* block = reinterpret_cast<T*>(scratchOf(Scratch::rows, (blockRows + R) * there * int64_t(sizeof(T))));
        const int64_t rowBlock = task / columnBlocks, columnBlock = task % columnBlocks;
        const int64_t r0 = rowTiles * rowBlock / rowBlocks * R;
        const int64_t height = std::min(rows, rowTiles * (rowBlock + 1) / rowBlocks * R) - r0;
        const bool packs = isOwn && state.packedBlock < 0;
        if (state.packedBlock != rowBlock) packRows<T>(block, a.from(r0, k0), height, there);
        state.packedBlock = rowBlock;
        const int64_t firstPanel = panels * columnBlock / columnBlocks, lastPanel = panels * (columnBlock + 1) / columnBlocks;
        // The next panel comes into the second-level cache while this one is used.
        const int64_t tiles = divideUp(height, R), step = C * int64_t(sizeof(T)) / tiles;
        for (int64_t panel = firstPanel; panel < lastPanel; panel++) {
          T* right = packed + panel * C * there;
          Ahead ahead{reinterpret_cast<const char*>(right + (panel + 1 < panels ? C * there : 0)), step};
          const int64_t cols = std::min<int64_t>(C, width - panel * C);
          const bool isCopied = packs && cols == C;
          if (packs && !isCopied) packPanel(packed, panel);
          const T* left = block;
          for (int64_t r = 0; r < height;) {
            const int size = panelRows<T>(height - r);
            T* to = c + (r0 + r) * cRow + j0 + panel * C;
            const T* from = b.from(k0, j0 + panel * C).at;
            if (r == 0 && isCopied) multiplyPanelOf<T, V, Read::copying>(size, there, left, from, b.rowStride, to, cRow, k0 > 0, height, C, {}, right);
            else multiplyPanel<T>(size, there, left, right, to, cRow, k0 > 0, height - r, cols, ahead);
            ahead.at += step * there;
            left += size * there;
            r += size;
          }
        }
        if (k0 + there == depth) epilogue(r0, r0 + height, j0 + firstPanel * C, j0 + std::min(width, lastPanel * C));
      });
    }
  }
}

/**
 * C[rows × columns], dense with `cRow` elements a row, = A B. The epilogue is called with (first row, last row, first column, last
 * column) for parts that cover C.
 */
template <class T, class Epilogue>
void multiply(Matrix<T> a, Matrix<T> b, T* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth, const Epilogue& epilogue) {
  using S = Tiling<T>;
  constexpr int64_t few = 2 * S::rows;
  if (rows == 0 || columns == 0) return;
  if (depth == 0) {
    for (int64_t r = 0; r < rows; r++) std::memset(c + r * cRow, 0, size_t(columns) * sizeof(T));
    return epilogue(0, rows, 0, columns);
  }
  // One column: the transposed product has one row.
  if (columns == 1 && cRow == 1) {
    const auto finish = [&](int64_t first, int64_t last) { epilogue(first, last, 0, 1); };
    if (multiplyRow<T>(b.at, b.rowStride, a.transposed(), c, rows, depth, finish)) return;
  }
  const auto finish = [&](int64_t first, int64_t last) { epilogue(0, rows, first, last); };
  if (rows == 1 && multiplyRow<T>(a.at, a.columnStride, b, c, columns, depth, finish)) return;
  // Strides of dimensions of one element say nothing.
  if (depth == 1) a.columnStride = b.rowStride = 1;
  if (columns == 1 && b.rowStride != 1) b.columnStride = 1;
  if (b.columnStride == 1 && (rows <= S::rows || (depth <= 512 && depth * columns <= 32768 / int64_t(sizeof(T)))))
    return multiplyInPlace<T>(a, b, c, cRow, rows, columns, depth, epilogue);
  if (b.rowStride == 1 && depth >= 8) {
    if (a.columnStride == 1 && columns <= 16 && columns < rows && depth * columns <= 65536) {
      return parallelFor(rows, std::max<int64_t>(DotTiling<T>::rows, divideUp(productGrain, columns * depth)), [&](int64_t begin, int64_t end) {
        dotRows<T>(a, b, c, cRow, begin, end, columns, depth);
        epilogue(begin, end, 0, columns);
      });
    }
    if (a.columnStride == 1 && std::min(rows, columns) <= few) return multiplyDots<T>(a, b, c, cRow, rows, columns, depth, finish);
    if (rows <= S::blockRows && rows <= 2 * columns && rows <= depth) return multiplyTurned<T>(a, b, c, cRow, rows, columns, depth, epilogue);
    if (a.columnStride == 1 && depth <= S::depth && columns * depth <= 131072 / int64_t(sizeof(T)))
      return multiplyShallow<T>(a, b, c, cRow, rows, columns, depth, epilogue);
  }
  if (b.columnStride == 1 && rows <= S::blockRows) return multiplyBlock<T>(a, b, c, cRow, rows, columns, depth, epilogue);
  multiplyBlocks<T>(a, b, c, cRow, rows, columns, depth, epilogue);
}

}  // namespace weft
