// Matrix products of numbers narrower than a word: bfloat16, two to a word of 32 bits, summed in float32, and int8, four to a word, summed
// in int32. Both operands are packed into words that run along the depth, so that one instruction multiplies and sums whole words where
// the processor has it (VDPBF16PS, VPDPBUSD; asked at run time), and a few shifts do elsewhere. Few rows times a matrix that is
// dense along the depth read it where it is.
#pragma once
#include "numbers.h"
#include "thin.h"

namespace weft {

constexpr int wordLanes = lanesOf<int32_t>;
using Words = Vector<int32_t, wordLanes>;

/** Bits of bfloat16. The native instruction takes subnormal numbers for zero. */
struct BrainNumbers {
  using Element = uint16_t;
  using Sum = float;
  using Sums = Vector<float, wordLanes>;
  static constexpr int each = 2;
  /** What words of A are combined with when they are packed. */
  static constexpr int32_t leftBits = 0;

  static bool hasInstruction() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
  }
  template <bool isNative>
  __attribute__((always_inline)) static void accumulate(Sums& sums, Words a, Words b) {
#if defined(__AVX512F__)
    if constexpr (isNative) {
      asm("vdpbf16ps %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
      return;
    }
#endif
    constexpr int32_t high = int32_t(0xffff0000);
    sums += bitsAs<Sums>(a << 16) * bitsAs<Sums>(b << 16);
    sums += bitsAs<Sums>(a & high) * bitsAs<Sums>(b & high);
  }
  static uint16_t convert(float sum, uint16_t*) { return uint16_t(bfloat16Bits(bitsAs<uint32_t>(sum))); }
  static float convert(float sum, float*) { return sum; }
};

/** int8. The left operand is packed 128 too large, as the unsigned bytes that the native instruction takes; `128 Σ B` is taken off at the end. */
struct SignedBytes {
  using Element = int8_t;
  using Sum = int32_t;
  using Sums = Words;
  static constexpr int each = 4;
  static constexpr int32_t leftBits = int32_t(0x80808080);

  static bool hasInstruction() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
  }
  template <bool isNative>
  __attribute__((always_inline)) static void accumulate(Sums& sums, Words a, Words b) {
#if defined(__AVX512F__)
    if constexpr (isNative) {
      asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
      return;
    }
#endif
    sums += (a & 255) * ((b << 24) >> 24) + ((a >> 8) & 255) * ((b << 16) >> 24) + ((a >> 16) & 255) * ((b << 8) >> 24) + ((a >> 24) & 255) * (b >> 24);
  }
  static int32_t convert(int32_t sum, int32_t*) { return sum; }
  static int8_t convert(int32_t sum, int8_t*) { return int8_t(sum); }
};

/** Whether sums are off by what an A of nothing but `leftBits` gives. */
template <class N>
constexpr bool isShifted = N::leftBits != 0;

/** Without the instruction, panels of bfloat16 are unfolded to float32 once they are packed: cheaper than at every use. */
template <class N, bool isNative>
constexpr bool unfolds = !isNative && std::is_same_v<N, BrainNumbers>;

struct NarrowTiling {
  static constexpr int vectors = 2;
  static constexpr int rows = Tiling<float>::rows;
  static constexpr int columns = vectors * wordLanes;
  /** Bytes of A that are packed at a time: they stay in the second-level cache beside a panel of B. */
  static constexpr int64_t blockBytes = 393216;
};

/** out[R × columns], dense, = a panel of A times one of B. */
template <class N, bool isNative, int R>
__attribute__((noinline)) void narrowTile(int64_t words, const int32_t* a, const int32_t* b, typename N::Sum* out) {
  constexpr int V = NarrowTiling::vectors, L = wordLanes;
  typename N::Sums sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) sums[r][v] = typename N::Sums{};
  for (int64_t k = 0; k < words; k++) {
    __builtin_prefetch(b + 8 * V * L, 0, 3);
    __builtin_prefetch(b + 9 * V * L - L, 0, 3);
    Words right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) right[v] = loadVector<Words>(b + v * L);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const Words left = splat<Words>(a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) N::template accumulate<isNative>(sums[r][v], left, right[v]);
    }
    a += R;
    b += V * L;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) storeVector(out + (r * V + v) * L, sums[r][v]);
}

/** out[rows × columns] = a panel of A, of as many rows as `panelRows<float>` says, times one of B. */
template <class N, bool isNative>
inline void multiplyNarrowPanel(int rows, int64_t words, const int32_t* a, const int32_t* b, typename N::Sum* out) {
  constexpr int R = NarrowTiling::rows;
  if constexpr (unfolds<N, isNative>) {
    multiplyPanel<float>(rows, words * N::each, reinterpret_cast<const float*>(a), reinterpret_cast<const float*>(b), out, NarrowTiling::columns, false, rows, NarrowTiling::columns);
  } else {
    if (rows == R) return narrowTile<N, isNative, R>(words, a, b, out);
    if constexpr (R > 8) {
      if (rows == 8) return narrowTile<N, isNative, 8>(words, a, b, out);
    }
    narrowTile<N, isNative, 4>(words, a, b, out);
  }
}

/** One word: elements along the depth, zeros behind the last. */
template <class N>
inline int32_t wordAt(Matrix<typename N::Element> m, int64_t line, int64_t first, int64_t depth) {
  typename N::Element elements[N::each] = {};
  for (int64_t e = 0; e < N::each && first + e < depth; e++) elements[e] = m.at[line * m.rowStride + (first + e) * m.columnStride];
  int32_t word;
  std::memcpy(&word, elements, sizeof word);
  return word;
}

/** Lines (rows of A, or columns of B as rows) as a panel: `P` words for each step of the depth, zeros where there is no line. */
template <class N>
inline void packWords(int32_t* to, int P, Matrix<typename N::Element> m, int64_t lines, int64_t depth, int32_t bits) {
  constexpr int G = N::each;
  const int64_t words = divideUp(depth, G), whole = depth / G;
  int64_t done = 0;
  if (lines < P) std::memset(to, 0, size_t(words * P) * 4);
  if (m.columnStride == 1 && m.rowStride % G == 0 && reinterpret_cast<uintptr_t>(m.at) % 4 == 0) {
    transposeInto<int32_t>(to, P, reinterpret_cast<const int32_t*>(m.at), m.rowStride / G, lines, whole);
    done = whole;
  } else if (m.rowStride == 1) {
    for (; done < whole; done++) {
      const typename N::Element* from = m.at + done * G * m.columnStride;
      int32_t* row = to + done * P;
      for (int64_t line = 0; line < lines; line++) {
        uint32_t word = 0;
        for (int e = 0; e < G; e++) word |= uint32_t(std::make_unsigned_t<typename N::Element>(from[e * m.columnStride + line])) << (32 / G * e);
        row[line] = int32_t(word);
      }
    }
  }
  for (; done < words; done++)
    for (int64_t line = 0; line < lines; line++) to[done * P + line] = wordAt<N>(m, line, done * G, depth);
  if (bits == 0) return;
  for (int64_t at = 0; at < words * P; at++) to[at] ^= bits;
}

/** Pairs of `count` words for each step of the depth as float32, in place; there is room for twice as many words. */
inline void unfoldPanel(int32_t* panel, int count, int64_t words) {
  for (int64_t k = words; k-- > 0;) {
    int32_t pairs[NarrowTiling::columns];
    std::memcpy(pairs, panel + k * count, size_t(count) * 4);
    int32_t* to = panel + 2 * k * count;
    for (int i = 0; i < count; i++) {
      to[i] = int32_t(uint32_t(pairs[i]) << 16);
      to[count + i] = pairs[i] & int32_t(0xffff0000);
    }
  }
}

/** Few rows, both operands dense along the depth: C columns at a time, vectors along the depth. `a`'s rows are packed with zeros behind. */
template <class N, bool isNative, int R, int C>
inline void narrowDots(int64_t depth, const int32_t* a, int64_t aRow, const typename N::Element* b, int64_t bColumn, typename N::Sum* out, int64_t outRow) {
  constexpr int L = wordLanes, step = L * N::each;
  using Sums = typename N::Sums;
  Sums sums[R][C], shift[C];
#pragma GCC unroll 4
  for (int j = 0; j < C; j++) {
    shift[j] = Sums{};
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) sums[r][j] = Sums{};
  }
  const auto add = [&](const Words(&right)[C], int64_t at) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      const Words left = loadVector<Words>(a + r * aRow + at);
#pragma GCC unroll 4
      for (int j = 0; j < C; j++) N::template accumulate<isNative>(sums[r][j], left, right[j]);
    }
    if constexpr (isShifted<N>) {
#pragma GCC unroll 4
      for (int j = 0; j < C; j++) N::template accumulate<isNative>(shift[j], splat<Words>(N::leftBits), right[j]);
    }
  };
  int64_t k = 0;
  Words right[C];
  for (; k + step <= depth; k += step) {
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) {
      right[j] = loadVector<Words>(b + j * bColumn + k);
      __builtin_prefetch(b + (j + C) * bColumn + k, 0, 3);
    }
    add(right, k / N::each);
  }
  if (k < depth) {
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) {
      right[j] = Words{};
      std::memcpy(&right[j], b + j * bColumn + k, size_t(depth - k) * sizeof(typename N::Element));
    }
    add(right, k / N::each);
  }
  for (int r = 0; r < R; r++)
    for (int j = 0; j < C; j++) out[r * outRow + j] = sumOf<typename N::Sum, L>(isShifted<N> ? sums[r][j] - shift[j] : sums[r][j]);
}

template <class N, bool isNative, int R, class Out>
void multiplyNarrowDots(Matrix<typename N::Element> a, Matrix<typename N::Element> b, Out* c, int64_t cRow, int64_t columns, int64_t depth) {
  const int64_t aRow = roundUp(divideUp(depth, N::each), wordLanes);
  int32_t* rows = reinterpret_cast<int32_t*>(scratchOf(Scratch::rows, R * aRow * 4));
  std::memset(rows, 0, size_t(R * aRow) * 4);
  for (int r = 0; r < R; r++) packWords<N>(rows + r * aRow, 1, a.from(r, 0), 1, depth, 0);
  if constexpr (isShifted<N>) {
    for (int64_t at = 0; at < R * aRow; at++) rows[at] ^= N::leftBits;
  }
  parallelFor(columns, columnGrain<float>(R, divideUp(depth, N::each)), [&](int64_t begin, int64_t end) {
    typename N::Sum out[R * 4];
    const auto store = [&](int64_t column, int count) {
      for (int r = 0; r < R; r++)
        for (int j = 0; j < count; j++) c[r * cRow + column + j] = N::convert(out[r * 4 + j], static_cast<Out*>(nullptr));
    };
    int64_t column = begin;
    for (; column + 4 <= end; column += 4) {
      narrowDots<N, isNative, R, 4>(depth, rows, aRow, b.at + column * b.columnStride, b.columnStride, out, 4);
      store(column, 4);
    }
    for (; column < end; column++) {
      narrowDots<N, isNative, R, 1>(depth, rows, aRow, b.at + column * b.columnStride, b.columnStride, out, 4);
      store(column, 1);
    }
  });
}

/** Any product: blocks of A's rows, packed once, by panels of B. */
template <class N, bool isNative, class Out>
void multiplyNarrowBlocks(Matrix<typename N::Element> a, Matrix<typename N::Element> b, Out* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth) {
  constexpr int R = NarrowTiling::rows, C = NarrowTiling::columns;
  using Sum = typename N::Sum;
  const int64_t words = divideUp(depth, N::each), panels = divideUp(columns, C);
  // Words that a packed line takes.
  const int64_t room = unfolds<N, isNative> ? 2 * words : words;
  const int64_t blockRows = std::max<int64_t>(R, NarrowTiling::blockBytes / (room * 4) / R * R);
  int32_t* block = reinterpret_cast<int32_t*>(scratchOf(Scratch::rows, roundUp(std::min(rows, blockRows), R) * room * 4));
  for (int64_t r0 = 0; r0 < rows; r0 += blockRows) {
    const int64_t height = std::min(blockRows, rows - r0), tiles = divideUp(height, R);
    parallelFor(tiles, divideUp(1 << 14, R * words), [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; tile++) {
        const int64_t left = height - tile * R;
        int32_t* panel = block + tile * R * room;
        packWords<N>(panel, panelRows<float>(left), a.from(r0 + tile * R, 0), std::min<int64_t>(R, left), depth, N::leftBits);
        if constexpr (unfolds<N, isNative>) unfoldPanel(panel, panelRows<float>(left), words);
      }
    });
    parallelFor(panels, divideUp(productGrain, height * words * C), [&](int64_t begin, int64_t end) {
      int32_t* packed = reinterpret_cast<int32_t*>(scratchOf(Scratch::panels, C * room * 4));
      Sum sums[R * C], shift[C];
      for (int64_t panel = begin; panel < end; panel++) {
        const int64_t wide = std::min<int64_t>(C, columns - panel * C);
        packWords<N>(packed, C, b.from(0, panel * C).transposed(), wide, depth, 0);
        if constexpr (unfolds<N, isNative>) unfoldPanel(packed, C, words);
        if constexpr (isShifted<N>) {
          typename N::Sums total[NarrowTiling::vectors] = {};
          for (int64_t k = 0; k < words; k++)
            for (int v = 0; v < NarrowTiling::vectors; v++)
              N::template accumulate<isNative>(total[v], splat<Words>(N::leftBits), loadVector<Words>(packed + k * C + v * wordLanes));
          std::memcpy(shift, total, sizeof shift);
        }
        for (int64_t tile = 0; tile < tiles; tile++) {
          const int64_t left = height - tile * R;
          multiplyNarrowPanel<N, isNative>(panelRows<float>(left), words, block + tile * R * room, packed, sums);
          for (int64_t r = 0; r < std::min<int64_t>(R, left); r++) {
            Out* to = c + (r0 + tile * R + r) * cRow + panel * C;
            const Sum* from = sums + r * C;
            if constexpr (isShifted<N>) {
              for (int64_t j = 0; j < wide; j++) to[j] = N::convert(from[j] - shift[j], static_cast<Out*>(nullptr));
            } else {
              for (int64_t j = 0; j < wide; j++) to[j] = N::convert(from[j], static_cast<Out*>(nullptr));
            }
          }
        }
      }
    });
  }
}

/** C[rows × columns], dense with `cRow` elements a row, = A B; the depth is at least one. */
template <class N, bool isNative, class Out>
void multiplyNarrow(Matrix<typename N::Element> a, Matrix<typename N::Element> b, Out* c, int64_t cRow, int64_t rows, int64_t columns, int64_t depth) {
  // One column: the transposed product has one row.
  if (columns == 1 && rows > 1 && cRow == 1 && a.columnStride == 1) return multiplyNarrowDots<N, isNative, 1>(b.transposed(), a.transposed(), c, 1, rows, depth);
  if (b.rowStride == 1 && rows <= 4) {
    if (rows == 1) return multiplyNarrowDots<N, isNative, 1>(a, b, c, cRow, columns, depth);
    if (rows == 2) return multiplyNarrowDots<N, isNative, 2>(a, b, c, cRow, columns, depth);
    if (rows == 3) return multiplyNarrowDots<N, isNative, 3>(a, b, c, cRow, columns, depth);
    return multiplyNarrowDots<N, isNative, 4>(a, b, c, cRow, columns, depth);
  }
  multiplyNarrowBlocks<N, isNative>(a, b, c, cRow, rows, columns, depth);
}

}  // namespace weft
