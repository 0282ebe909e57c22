// The threads of the process. One pool serves all callers: whoever comes while it is busy runs on its own thread alone, so
// that interpreter threads never oversubscribe the machine. Workers spin for a while between jobs, then sleep.
#pragma once
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>
#include "vector.h"
#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace weft {

inline void pauseThread() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline int coresOfProcess() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const int cores = int(std::thread::hardware_concurrency());
  return cores > 0 ? cores : 1;
}

/** Bytes of the second-level cache of a core, as the system tells; 512 KiB where it does not. */
inline int64_t secondLevelCache() {
  static const int64_t bytes = [] {
#if defined(__linux__) && defined(_SC_LEVEL2_CACHE_SIZE)
    const int64_t told = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (told > 0) return told;
#endif
    return int64_t(1) << 19;
  }();
  return bytes;
}

class Pool {
 public:
  using Task = void (*)(const void* context, int64_t task);

  /** Threads that work on a job, the caller's included. */
  int size() const { return wanted.load(std::memory_order_relaxed); }
  void resize(int threads) { wanted = threads < 1 ? 1 : threads; }

  /** Runs tasks 0 … count - 1, each once, on any threads; returns when all are done. */
  void run(int64_t count, const void* context, Task task) {
    if (count <= 1 || size() == 1 || isWorker || busy.exchange(true, std::memory_order_acquire)) {
      for (int64_t at = 0; at < count; at++) task(context, at);
      return;
    }
    hire();
    job.context = context;
    job.task = task;
    job.count = count;
    job.next.store(0, std::memory_order_relaxed);
    isOpen.store(true);
    generation.fetch_add(1);
    if (sleeping.load() > 0) generation.notify_all();
    isWorker = true;
    work();
    isWorker = false;
    // Nobody enters a closed job; who is inside finishes the task in hand.
    isOpen.store(false);
    while (inside.load() != 0) pauseThread();
    busy.store(false, std::memory_order_release);
  }

 private:
  struct Job {
    const void* context;
    Task task;
    int64_t count;
    alignas(64) std::atomic<int64_t> next;
  };

  void work() {
    for (;;) {
      const int64_t at = job.next.fetch_add(1, std::memory_order_relaxed);
      if (at >= job.count) return;
      job.task(job.context, at);
    }
  }

  /** Starts the threads that are missing; called by the owner of the pool only. */
  void hire() {
    while (hired < size() - 1) {
      const int index = ++hired;
      std::thread([this, index] { serve(index); }).detach();
    }
  }

  void serve(int index) {
    isWorker = true;
    uint32_t seen = 0;
    for (;;) {
      uint32_t now = generation.load();
      for (int spin = 0; now == seen && spin < 4000; spin++) {
        pauseThread();
        now = generation.load(std::memory_order_relaxed);
      }
      while (now == seen) {
        sleeping.fetch_add(1);
        generation.wait(seen);
        sleeping.fetch_sub(1);
        now = generation.load();
      }
      seen = now;
      if (index >= size()) continue;
      inside.fetch_add(1);
      if (isOpen.load()) work();
      inside.fetch_sub(1);
    }
  }

  inline static thread_local bool isWorker = false;
  Job job{};
  std::atomic<int> wanted{coresOfProcess()};
  int hired = 0;
  alignas(64) std::atomic<bool> busy{false};
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<bool> isOpen{false};
  alignas(64) std::atomic<int> inside{0};
  std::atomic<int> sleeping{0};
};

/** Never destroyed: its threads may outlive static destruction. */
inline Pool& pool() {
  static Pool* shared = new Pool();
  return *shared;
}

/** Calls `body(begin, end)` for pieces of [0, count) of at least `grain` each. */
template <class Body>
inline void parallelFor(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t most = pool().size() == 1 ? 1 : 4 * int64_t(pool().size());
  const int64_t pieces = count / grain < most ? (count / grain < 1 ? 1 : count / grain) : most;
  if (pieces == 1) return body(int64_t(0), count);
  struct Range {
    const Body& body;
    int64_t count, pieces;
  } range{body, count, pieces};
  pool().run(pieces, &range, [](const void* context, int64_t piece) {
    const Range& r = *static_cast<const Range*>(context);
    r.body(r.count * piece / r.pieces, r.count * (piece + 1) / r.pieces);
  });
}

/** Asks for large pages for the whole ones in `bytes` from `memory` on, where the system has them. */
inline void useLargePages([[maybe_unused]] char* memory, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t page = 1 << 21;
  const uintptr_t begin = (uintptr_t(memory) + page - 1) / page * page, end = (uintptr_t(memory) + uintptr_t(bytes)) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

/** Memory of a thread for the duration of one kernel, aligned; grows and is kept. `use` tells apart what is held at once. */
enum class Scratch { tiles, panels, rows, sums, links, count };
inline char* scratchOf(Scratch use, int64_t bytes) {
  struct Memory {
    char* at = nullptr;
    int64_t size = 0;
    ~Memory() { std::free(at); }
  };
  thread_local Memory memories[int(Scratch::count)];
  Memory& memory = memories[int(use)];
  if (memory.size < bytes) {
    std::free(memory.at);
    memory.at = nullptr;
    memory.size = 0;
    // Large ones in large pages, where the system has them: their addresses are found faster.
    const int64_t page = bytes >= (1 << 20) ? 1 << 21 : 4096, size = roundUp(bytes, page);
    memory.at = static_cast<char*>(std::aligned_alloc(size_t(page), size_t(size)));
    if (memory.at == nullptr) throw std::bad_alloc();
    if (page > 4096) useLargePages(memory.at, size);
    memory.size = size;
  }
  return memory.at;
}

}  // namespace weft
