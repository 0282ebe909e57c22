// What steps keep, such as packed weights, once a process: threads that run the same model, and variants of one method, make equal
// blocks, of which all but the first go at once. A block is found by its contents, since each thread may have the weights at
// an address of its own. Blocks do not change once they are here.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace weft {

class KeptBlock {
 public:
  /** Zeros, so that what nobody fills is equal too. */
  explicit KeptBlock(int64_t bytes) : bytes(bytes) {
#if defined(__linux__)
    // From the system and back to it at once: most threads make a block only to find that it is there. Large ones in large
    // pages, where the system has them: their addresses are found faster.
    const int64_t page = bytes >= (4 << 20) ? 1 << 21 : 4096, size = (bytes + page - 1) / page * page, whole = size + page;
    void* mapped = mmap(nullptr, size_t(whole), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    const intptr_t first = reinterpret_cast<intptr_t>(mapped), start = (first + page - 1) / page * page;
    if (start > first) munmap(mapped, size_t(start - first));
    munmap(reinterpret_cast<void*>(start + size), size_t(first + whole - start - size));
    memory = reinterpret_cast<void*>(start);
    if (page > 4096) madvise(memory, size_t(size), MADV_HUGEPAGE);
    reserved = size;
#else
    memory = std::aligned_alloc(4096, size_t((bytes + 4095) / 4096 * 4096));
    if (memory == nullptr) throw std::bad_alloc();
    std::memset(memory, 0, size_t(bytes));
#endif
  }
  KeptBlock(const KeptBlock&) = delete;
  KeptBlock& operator=(const KeptBlock&) = delete;
  ~KeptBlock() {
#if defined(__linux__)
    munmap(memory, size_t(reserved));
#else
    std::free(memory);
#endif
  }

  void* start() const { return memory; }
  bool equals(const KeptBlock& other) const { return bytes == other.bytes && std::memcmp(memory, other.memory, size_t(bytes)) == 0; }
  uint64_t hash() const {
    uint64_t sums[4] = {1, 2, 3, 4};
    const auto* words = static_cast<const uint64_t*>(memory);
    const int64_t count = bytes / 8;
    for (int64_t at = 0; at < count; at++) sums[at & 3] = (sums[at & 3] ^ words[at]) * 0x9e3779b97f4a7c15u;
    return sums[0] ^ sums[1] << 1 ^ sums[2] << 2 ^ sums[3] << 3 ^ uint64_t(bytes);
  }

  const int64_t bytes;

 private:
  void* memory;
  int64_t reserved = 0;
};

class KeptBlocks {
 public:
  /** The block with the contents of `fresh` that is there already; else `fresh`, which others get from now on. */
  static std::shared_ptr<const KeptBlock> share(std::unique_ptr<KeptBlock> fresh) {
    const uint64_t hash = fresh->hash();
    KeptBlocks& all = instance();
    // Blocks that only these hold go when the lock is free again.
    std::vector<std::shared_ptr<const KeptBlock>> seen;
    const std::lock_guard lock(all.mutex);
    for (auto [at, end] = all.blocks.equal_range(hash); at != end;) {
      std::shared_ptr<const KeptBlock> known = at->second.lock();
      if (known == nullptr) {
        at = all.blocks.erase(at);
        continue;
      }
      seen.push_back(known);
      if (known->equals(*fresh)) return known;
      at++;
    }
    std::shared_ptr<const KeptBlock> added = std::move(fresh);
    all.blocks.emplace(hash, added);
    return added;
  }

  /** The bytes of all blocks. */
  static int64_t bytes() {
    KeptBlocks& all = instance();
    std::vector<std::shared_ptr<const KeptBlock>> seen;
    const std::lock_guard lock(all.mutex);
    int64_t sum = 0;
    for (auto at = all.blocks.begin(); at != all.blocks.end();) {
      std::shared_ptr<const KeptBlock> known = at->second.lock();
      if (known == nullptr) {
        at = all.blocks.erase(at);
        continue;
      }
      sum += known->bytes;
      seen.push_back(std::move(known));
      at++;
    }
    return sum;
  }

 private:
  /** Never destroyed: threads may end after the process has begun to. */
  static KeptBlocks& instance() {
    static KeptBlocks& all = *new KeptBlocks;
    return all;
  }
  std::mutex mutex;
  std::unordered_multimap<uint64_t, std::weak_ptr<const KeptBlock>> blocks;
};

}  // namespace weft
