// What the machine can do at most, as loops that do nothing else: multiply-adds in registers, reading memory, the triad. Figures of
// programs are told beside these.
#pragma once
#include <algorithm>
#include <chrono>
#include "pool.h"

namespace weft {

using SteadyClock = std::chrono::steady_clock;

/** The least seconds of `rounds` runs of `body(thread)` on every thread of the pool at once. */
template <class Body>
inline double leastSeconds(int rounds, const Body& body) {
  double least = 1e30;
  for (int round = 0; round < rounds; round++) {
    const auto start = SteadyClock::now();
    pool().run(pool().size(), &body, [](const void* context, int64_t thread) {
      (*static_cast<const Body*>(context))(thread);
    });
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    if (seconds < least) least = seconds;
  }
  return least;
}

/** Results go here, so that no loop is without effect. */
inline std::atomic<float> sink{0};

/** float32 operations a second: a multiply-add is two. Enough chains to hide the latency of each. */
inline double multiplyAddsPerSecond() {
  using V = Vector<float, lanesOf<float>>;
  constexpr int chains = 12;
  constexpr int64_t steps = 1 << 20;
  const float start = sink.load();
  const double seconds = leastSeconds(12, [start](int64_t thread) {
    V sums[chains];
    for (int c = 0; c < chains; c++) sums[c] = splat<V>(start + float(c + thread));
    const V factor = splat<V>(0.5f + 0 * start), term = splat<V>(0.25f);
    for (int64_t step = 0; step < steps; step++) {
#pragma GCC unroll 12
      for (int c = 0; c < chains; c++) sums[c] = sums[c] * factor + term;
    }
    for (int c = 0; c < chains; c++) sink.store(sums[c][0], std::memory_order_relaxed);
  });
  return 2.0 * lanesOf<float> * chains * double(steps) * pool().size() / seconds;
}

struct FreeMemory {
  void operator()(float* memory) const { std::free(memory); }
};
using Block = std::unique_ptr<float[], FreeMemory>;

/** Written once, so that its pages are there. */
inline Block blockOf(int64_t count) {
  Block memory(static_cast<float*>(std::aligned_alloc(4096, roundUp(count * 4, 4096))));
  if (memory == nullptr) throw std::bad_alloc();
  float* at = memory.get();
  parallelFor(count, 1 << 16, [at](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) at[i] = 1;
  });
  return memory;
}

/** Seconds that all threads take to read an array in whole, each its part of `count`, in `S` walks side by side. */
template <int S>
inline double secondsToRead(const float* at, int64_t count) {
  using V = Vector<float, lanesOf<float>>;
  constexpr int64_t step = 2 * lanesOf<float>, ahead = 2048 / 4;
  const int64_t part = count / pool().size(), walk = part / S;
  return leastSeconds(6, [=](int64_t thread) {
    V sums[S][2]{};
    const float* from = at + part * thread;
    for (int64_t i = 0; i < walk; i += step) {
#pragma GCC unroll 8
      for (int s = 0; s < S; s++) {
        const float* piece = from + s * walk + i;
        __builtin_prefetch(piece + ahead, 0, 3);
        __builtin_prefetch(piece + ahead + step / 2, 0, 3);
        sums[s][0] += loadVector<V>(piece);
        sums[s][1] += loadVector<V>(piece + step / 2);
      }
    }
    for (int s = 0; s < S; s++) sink.store(sums[s][0][0] + sums[s][1][0], std::memory_order_relaxed);
  });
}

/** Bytes a second that are read from an array of so many bytes, in as many walks as suit the machine best. */
inline double readsPerSecond(int64_t bytes) {
  const int64_t unit = 8 * 2 * lanesOf<float> * pool().size(), count = bytes / 4 / unit * unit;
  const Block memory = blockOf(count + 1024);
  const float* at = memory.get();
  const double seconds = std::min({secondsToRead<1>(at, count), secondsToRead<4>(at, count), secondsToRead<8>(at, count)});
  return 4.0 * double(count) / seconds;
}

/** Bytes a second of a = b + s·c over three arrays of so many bytes each, as STREAM counts them: two read, one written. */
inline double triadPerSecond(int64_t bytes) {
  const int64_t threads = pool().size(), count = bytes / 4 / threads * threads;
  const Block a = blockOf(count), b = blockOf(count), c = blockOf(count);
  const double seconds = leastSeconds(6, [&](int64_t thread) {
    float* __restrict to = a.get();
    const float *left = b.get(), *right = c.get();
    const int64_t end = count / threads * (thread + 1);
    for (int64_t i = count / threads * thread; i < end; i++) to[i] = left[i] + 3.0f * right[i];
  });
  return 12.0 * double(count) / seconds;
}

}  // namespace weft
