// Chains: steps that each need, of another's result, only the same part of it as they compute (a row, a matrix of a batch, a
// channel). They are run part by part, so that what one hands to the next is in the cache and never in memory.
#include <algorithm>
#include "chain.h"
#include "work.h"

namespace weft {

/** What the parts in hand take of a cache, at most where a part takes less: a fourth of the second level's. */
static int64_t bytesInHand() { return std::clamp<int64_t>(secondLevelCache() / 4, 1 << 17, 1 << 19); }

/**
 * Words: parts; bytes a part of what stays inside, which the steps see as slots 0, 1, …, after their count; slots of the program, which
 * they see after those, likewise; bytes a part read and written there; work of a part (1: one cheap operation); steps, after their
 * count: 1 and the elements between parts of the operand for one that folds all parts, else 0 0; the step.
 */
class Chain final : public Step {
 public:
  explicit Chain(Reader& reader) {
    parts = reader.next();
    inside = reader.list();
    outside = reader.list();
    for (const int64_t bytes : inside) partBytes += bytes;
    partTraffic = reader.next();
    work = reader.nextDouble();
    links.resize(reader.nextCount());
    for (Link& link : links) {
      const bool gathers = reader.next() != 0;
      link.between = reader.next();
      link.step = reader.step();
      link.step->findsInCache(0, int64_t(inside.size()));
      if (!gathers) continue;
      link.gathering = dynamic_cast<Gathering*>(link.step.get());
      if (link.gathering == nullptr) throw std::runtime_error("a step that does not fold parts is to do so");
      link.stateAt = stateBytes;
      stateBytes += roundUp(link.gathering->stateBytes(), alignment);
    }
  }

  void run(Slots slots) override {
    if (parts == 0) return;
    const double each = std::max(1.0, work);
    if (stateBytes == 0) return shareOperations(parts, each, [&](int64_t begin, int64_t end) { runRange(slots, begin, end, nullptr); });
    const int64_t pieces = double(parts) * each < sharedOperations ? 1 : std::min<int64_t>(parts, pool().size());
    std::vector<char> memory(size_t(stateBytes * pieces + alignment));
    char* states = memory.data() + (alignment - int64_t(uintptr_t(memory.data()) % alignment));
    parallelFor(pieces, 1, [&](int64_t first, int64_t last) {
      for (int64_t piece = first; piece < last; piece++) {
        char* state = states + piece * stateBytes;
        for (const Link& link : links)
          if (link.gathering != nullptr) link.gathering->startState(state + link.stateAt);
        runRange(slots, parts * piece / pieces, parts * (piece + 1) / pieces, state);
      }
    });
    std::vector<char*> all;
    for (const Link& link : links) {
      if (link.gathering == nullptr) continue;
      all.clear();
      for (int64_t piece = 0; piece < pieces; piece++) all.push_back(states + piece * stateBytes + link.stateAt);
      const std::vector<char*> local = localSlots(slots);
      link.gathering->finishStates(local.data(), all.data(), pieces);
    }
  }

 private:
  struct Link {
    std::unique_ptr<Step> step;
    Gathering* gathering = nullptr;
    int64_t between = 0, stateAt = 0;
  };

  std::vector<char*> localSlots(Slots slots) const {
    std::vector<char*> local;
    local.resize(inside.size());
    for (const int64_t slot : outside) local.push_back(slots[slot]);
    return local;
  }

  void runRange(Slots slots, int64_t begin, int64_t end, char* state) const {
    std::vector<char*> local = localSlots(slots);
    const int64_t each = std::clamp<int64_t>(bytesInHand() / std::max<int64_t>(1, partBytes + partTraffic), 1, end - begin);
    int64_t bytes = 0;
    for (const int64_t part : inside) bytes += roundUp(part * each, alignment) + alignment;
    char* memory = scratchOf(Scratch::links, bytes);
    for (int64_t first = begin; first < end; first += each) {
      const int64_t last = std::min(end, first + each);
      char* at = memory;
      for (size_t index = 0; index < inside.size(); index++) {
        // Steps count from the first part of all.
        local[index] = reinterpret_cast<char*>(uintptr_t(at) - uintptr_t(first * inside[index]));
        at += roundUp(inside[index] * each, alignment) + alignment;
      }
      for (const Link& link : links) {
        if (link.gathering == nullptr) {
          link.step->runParts(local.data(), first, last, parts);
        } else {
          link.gathering->foldParts(local.data(), state + link.stateAt, first, last, link.between);
        }
      }
    }
  }

  int64_t parts, partBytes = 0, partTraffic, stateBytes = 0;
  double work;
  std::vector<int64_t> outside, inside;
  std::vector<Link> links;
};

const Register registerChain("chain", makeStep<Chain>);

}  // namespace weft
