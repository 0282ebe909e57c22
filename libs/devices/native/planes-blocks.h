// Parts of planes to blocks of channels and back: of as many planes as a vector has lanes, each position becomes a vector. Kernels that
// sum in blocks so take values in planes, a part at a time that stays in the caches; squares of L × L are turned in registers.
#pragma once
#include <algorithm>
#include "shuffle.h"

namespace weft {

/** Rows of some planes, L at most: where they begin, elements between planes and between rows, whose columns are dense. */
template <class T>
struct PlaneRows {
  T* at;
  int64_t plane, row, rows, width;
  int count;
};

/** Calls `square(offset, y, x, n)` for all positions, `n` at once that are side by side in memory, L but where a plane has fewer. */
template <int L, class Rows, class Square>
inline void eachSquare(const Rows& planes, const Square& square) {
  const bool isJoined = planes.row == planes.width;
  const int64_t runs = isJoined ? 1 : planes.rows, length = isJoined ? planes.rows * planes.width : planes.width;
  for (int64_t run = 0; run < runs; run++) {
    int64_t y = run, x = 0, at = 0;
    for (; at + L <= length; at += L) {
      square(run * planes.row + at, y, x, L);
      for (x += L; x >= planes.width && isJoined; x -= planes.width) y++;
    }
    if (at == length) continue;
    // The last ones again where no L are left.
    at = std::max<int64_t>(0, length - L);
    square(run * planes.row + at, run + at / planes.width, at % planes.width, int(length - at));
  }
}

/** To lines of vectors, `line` elements apart; channels that are not there become zeros. */
template <class T>
inline void planesToBlock(T* to, int64_t line, const PlaneRows<const T>& from) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  eachSquare<L>(from, [&](int64_t offset, int64_t y, int64_t x, int n) {
    const T* at = from.at + offset;
    W v[L];
    if (n == L && from.count == L) {
#pragma GCC unroll 16
      for (int r = 0; r < L; r++) v[r] = loadVector<W>(at + r * from.plane);
    } else {
      for (int r = 0; r < L; r++) v[r] = r >= from.count ? W{} : n == L ? loadVector<W>(at + r * from.plane) : loadPart<W>(at + r * from.plane, n);
    }
    transposeSquare<T, L>(v);
    T* target = to + y * line + x * L;
    if (n == L && x + L <= from.width) {
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) storeVector(target + i * L, v[i]);
      return;
    }
    for (int i = 0; i < n; i++) {
      storeVector(target, v[i]);
      target += L;
      if (++x < from.width) continue;
      x = 0;
      target = to + ++y * line;
    }
  });
}

/** A part of planes, which may reach beyond them. */
struct Rectangle {
  int64_t firstRow, firstColumn, rows, columns;
};

/** A rectangle of planes to lines of vectors, zeros where it is outside. */
template <class T>
inline void copyRectangle(T* to, int64_t line, const PlaneRows<const T>& planes, const Rectangle& from) {
  constexpr int L = lanesOf<T>;
  const int64_t before = std::clamp<int64_t>(-from.firstRow, 0, from.rows), rows = std::clamp<int64_t>(planes.rows - from.firstRow - before, 0, from.rows - before);
  const int64_t left = std::clamp<int64_t>(-from.firstColumn, 0, from.columns);
  const int64_t columns = std::clamp<int64_t>(planes.width - from.firstColumn - left, 0, from.columns - left);
  const auto clear = [&](int64_t row, int64_t column, int64_t count) { std::memset(to + row * line + column * L, 0, size_t(count * L) * sizeof(T)); };
  for (int64_t row = 0; row < from.rows; row++) {
    if (row < before || row >= before + rows) {
      clear(row, 0, from.columns);
    } else {
      clear(row, 0, left);
      clear(row, left + columns, from.columns - left - columns);
    }
  }
  if (rows == 0 || columns == 0) return;
  const T* at = planes.at + (from.firstRow + before) * planes.row + from.firstColumn + left;
  planesToBlock<T>(to + before * line + left * L, line, {at, planes.plane, planes.row, rows, columns, planes.count});
}

/** From lines of vectors, `line` elements apart. */
template <class T>
inline void blockToPlanes(const PlaneRows<T>& to, const T* from, int64_t line) {
  constexpr int L = lanesOf<T>;
  using W = Vector<T, L>;
  eachSquare<L>(to, [&](int64_t offset, int64_t y, int64_t x, int n) {
    const T* source = from + y * line + x * L;
    W v[L];
    if (n == L && x + L <= to.width) {
#pragma GCC unroll 16
      for (int i = 0; i < L; i++) v[i] = loadVector<W>(source + i * L);
    } else {
      for (int i = 0; i < L; i++) {
        v[i] = i < n ? loadVector<W>(source) : W{};
        source += L;
        if (++x < to.width || i >= n) continue;
        x = 0;
        source = from + ++y * line;
      }
    }
    transposeSquare<T, L>(v);
    T* at = to.at + offset;
    if (n == L && to.count == L) {
#pragma GCC unroll 16
      for (int r = 0; r < L; r++) storeVector(at + r * to.plane, v[r]);
      return;
    }
    for (int r = 0; r < to.count; r++) {
      if (n == L) storeVector(at + r * to.plane, v[r]);
      else storePart(at + r * to.plane, v[r], n);
    }
  });
}

}  // namespace weft
