// Elementwise programs: a group of operators over one shape, run tile by tile so that everything between the first load and
// the last store stays in the first-level cache. An instruction is one vector loop over a tile. Operands that are dense in
// memory are read where they are, and results written where they go; only operands that walk memory differently (a
// broadcast in short rows, a transpose) are first gathered into a tile. A scalar operand is one vector that is read again
// and again: its step is zero.
#pragma once
#include <algorithm>
#include "program.h"
#include "work.h"

namespace weft {

/** Operands of one instruction over `n` elements; a step is 1 for a tensor and 0 for a scalar. */
struct Lanes {
  char* d;
  const char *a, *b, *c, *e;
  int64_t aStep, bStep, cStep, eStep;
  int64_t n;
};
using Instruction = void (*)(const Lanes&);

/** Instructions by name: `add.float32`, `convert.int32.float64`. */
inline std::map<std::string, Instruction>& instructions() {
  static std::map<std::string, Instruction> table;
  return table;
}
inline const std::vector<Instruction>& instructionList() {
  static const std::vector<Instruction> list = [] {
    std::vector<Instruction> all;
    for (const auto& [name, run] : instructions()) all.push_back(run);
    return all;
  }();
  return list;
}

constexpr int mostAxes = 8;

/**
 * Words: rank, sizes (merged, the last densest); loads (slot, bytes, offset, strides), constants (bits, bytes), stores (slot,
 * bytes, strides), temporaries (bytes), each list after its count; instructions (number, d, a, b, c, e) over operands numbered in
 * that order, -1 for none; the work of an element (1: one cheap operation).
 */
class Pointwise final : public Step {
 public:
  explicit Pointwise(Reader& reader) {
    rank = reader.nextInt();
    for (int axis = 0; axis < rank; axis++) sizes[axis] = reader.next();
    for (int axis = 0; axis < rank; axis++) count *= sizes[axis];
    inner = rank > 0 ? sizes[rank - 1] : 1;
    loads.resize(reader.nextCount());
    for (auto& load : loads) readLoad(reader, load);
    constants.resize(reader.nextCount());
    for (auto& constant : constants) {
      const int64_t bits = reader.next();
      const int64_t bytes = reader.next();
      for (int64_t at = 0; at < vectorBytes; at += bytes) std::memcpy(constant.bytes + at, &bits, size_t(bytes));
    }
    stores.resize(reader.nextCount());
    for (auto& store : stores) readStore(reader, store);
    temporaries = reader.list();
    code.resize(reader.nextCount());
    for (auto& line : code) {
      line.run = instructionList().at(size_t(reader.next()));
      for (int* operand : {&line.d, &line.a, &line.b, &line.c, &line.e}) {
        *operand = reader.nextInt();
        if (*operand < 0) *operand = operandCount();  // a place that is never read
      }
    }
    work = reader.nextDouble();
    planTiles();
    if (!isLong) return;
    for (const Load& load : loads)
      if (load.isLinear) fetched.push_back({load.slot, load.offset, load.bytes});
  }

  void run(Slots slots) override {
    if (count == 0) return;
    const int64_t units = divideUp(count, 64);
    shareOperations(units, 64 * (work + double(traffic) / 8), [&](int64_t begin, int64_t end) { runRange(slots, begin * 64, std::min(count, end * 64)); });
  }

  void runParts(Slots slots, int64_t begin, int64_t end, int64_t parts) override {
    Frame frame = frameOf(slots);
    const int64_t first = count / parts * begin, last = count / parts * end;
    runIn(frame, slots, first, last, {0, count});
  }

  void findsInCache(int64_t first, int64_t last) override {
    std::erase_if(fetched, [&](const Fetched& load) { return load.slot >= first && load.slot < last; });
  }

  /** Computes elements begin … end - 1, in row-major order of the sizes. */
  void runRange(Slots slots, int64_t begin, int64_t end) const {
    Frame frame = frameOf(slots);
    runIn(frame, slots, begin, end, {0, end});
  }

  /** Computes elements first + row · stride … first + row · stride + n - 1 for each of `rows` rows. */
  void runRows(Slots slots, int64_t first, int64_t stride, int64_t rows, int64_t n) const {
    if (n == stride) return runRange(slots, first, first + rows * stride);
    Frame frame = frameOf(slots);
    for (int64_t row = 0; row < rows; row++) {
      const int64_t begin = first + row * stride, next = row + 1 < rows ? stride : 0;
      runIn(frame, slots, begin, begin + n, {next, begin + next + n});
    }
  }

 private:
  static constexpr int mostOperands = 256;
  /** Where operands are while elements are computed. */
  struct Frame {
    char* at[mostOperands];
    int64_t step[mostOperands];
    /** Bytes from a row to the next, where tiles are rows; and whether a row continues the one before it. */
    int64_t rowStep[mostOperands];
    bool continues[mostOperands];
    char* tiles;
    int firstStore;
    /** What is gathered in tiles begins with this element; -1: nothing is. */
    int64_t gatheredFrom = -1, gatheredCount = 0;
  };

  /** What comes into the cache meanwhile: elements `distance` from those of a tile (0: the next tile), as far as `end`. */
  struct Ahead {
    int64_t distance, end;
  };

  Frame frameOf(Slots slots) const {
    if (operandCount() >= mostOperands) throw std::runtime_error("a pointwise step has too many operands");
    Frame frame;
    frame.tiles = tileMemory > 0 ? scratchOf(Scratch::tiles, tileMemory) : nullptr;
    int operand = 0;
    const auto addOperand = [&](char* at, int64_t step, int64_t bytes) {
      frame.at[operand] = at;
      frame.step[operand] = step;
      frame.rowStep[operand] = step * inner * bytes;
      frame.continues[operand++] = true;
    };
    for (const Load& load : loads) {
      char* from = slots[load.slot] + load.offset * load.bytes;
      addOperand(load.isScalar ? splatInto(frame.tiles + load.tileAt, from, load.bytes) : from, load.isScalar ? 0 : 1, load.bytes);
    }
    for (const Constant& constant : constants) addOperand(const_cast<char*>(constant.bytes), 0, 0);
    frame.firstStore = operand;
    for (const Store& store : stores) addOperand(nullptr, 1, store.bytes);
    for (size_t index = 0; index < temporaries.size(); index++) addOperand(frame.tiles + temporaryAt[index], 1, temporaries[index]);
    addOperand(nullptr, 0, 0);
    return frame;
  }

  void runIn(Frame& frame, Slots slots, int64_t begin, int64_t end, Ahead ahead) const {
    auto& [at, step, rowStep, continues, tiles, firstStore, gatheredFrom, gatheredCount] = frame;
    int64_t position[mostAxes], rowAt[mostOperands];
    if (byRows) {
      locate(begin, position);
      locateRow(position, rowAt);
    }
    for (int64_t start = begin; start < end;) {
      int64_t n = std::min(tile, end - start), rows = 1;
      if (byRows) {
        if (rank > 1 && position[rank - 1] == 0) rows = std::max<int64_t>(1, std::min(n / inner, sizes[rank - 2] - position[rank - 2]));
        n = rows > 1 ? rows * inner : std::min(n, inner - position[rank - 1]);
      }
      for (size_t index = 0; index < loads.size(); index++) {
        const Load& load = loads[index];
        if (load.isScalar) continue;
        char* base = slots[load.slot] + load.offset * load.bytes;
        if (load.isLinear) {
          at[index] = base + start * load.bytes;
        } else if (byRows) {
          const int64_t stride = load.strides[rank - 1], row = rows > 1 ? load.strides[rank - 2] * load.bytes : 0;
          const char* from = base + (rowAt[index] + position[rank - 1] * stride) * load.bytes;
          if (stride == 1) {
            at[index] = const_cast<char*>(from);
            rowStep[index] = row;
            continues[index] = row == inner * load.bytes;
          } else if (stride == 0) {
            at[index] = tiles + load.tileAt;
            step[index] = 0;
            rowStep[index] = row != 0 ? vectorBytes : 0;
            continues[index] = row == 0;
            for (int64_t each = 0; each < (row != 0 ? rows : 1); each++) splatInto(at[index] + each * vectorBytes, from + each * row, load.bytes);
          } else {
            at[index] = tiles + load.tileAt;
            if (rows == 1) gatherRow(at[index], from, load.bytes, stride, n);
            else
              for (int64_t each = 0; each < rows; each++) gatherRow(at[index] + each * inner * load.bytes, from + each * row, load.bytes, stride, inner);
          }
        } else {
          at[index] = tiles + load.tileAt;
          const bool isThere = load.period > 0 && gatheredFrom >= 0 && n <= gatheredCount && (start - gatheredFrom) % load.period == 0;
          if (!isThere) gatherRuns(tiles + load.tileAt, base, load, start, n);
        }
      }
      if (!byRows && (gatheredFrom < 0 || n > gatheredCount || !sharesPeriod(start - gatheredFrom))) {
        gatheredFrom = start;
        gatheredCount = n;
      }
      for (size_t index = 0; index < stores.size(); index++) {
        const Store& store = stores[index];
        char* base = slots[store.slot];
        char*& to = at[size_t(firstStore) + index];
        if (store.isLinear) {
          to = base + start * store.bytes;
        } else if (byRows && store.strides[rank - 1] == 1) {
          to = base + (rowAt[loads.size() + index] + position[rank - 1]) * store.bytes;
          const int64_t row = rows > 1 ? store.strides[rank - 2] * store.bytes : 0;
          rowStep[size_t(firstStore) + index] = row;
          continues[size_t(firstStore) + index] = row == inner * store.bytes;
        } else {
          to = tiles + store.tileAt;
        }
      }
      int64_t next = start + (ahead.distance != 0 ? ahead.distance : n);
      const int64_t nextEnd = fetched.empty() ? next : std::min(next + n, ahead.end), share = fetchedAtOnce(n);
      for (const Line& line : code) {
        if (next < nextEnd) {
          fetchAhead(slots, next, std::min(share, nextEnd - next));
          next += share;
        }
        Lanes lanes{at[line.d], at[line.a], at[line.b], at[line.c], at[line.e], step[line.a], step[line.b], step[line.c], step[line.e], n};
        if (rows == 1 || (continues[line.d] && continues[line.a] && continues[line.b] && continues[line.c] && continues[line.e])) {
          line.run(lanes);
          continue;
        }
        lanes.n = inner;
        for (int64_t row = 0; row < rows; row++) {
          line.run(lanes);
          lanes.d += rowStep[line.d];
          lanes.a += rowStep[line.a];
          lanes.b += rowStep[line.b];
          lanes.c += rowStep[line.c];
          lanes.e += rowStep[line.e];
        }
      }
      if (scatters) {
        for (size_t index = 0; index < stores.size(); index++) {
          const Store& store = stores[index];
          if (!store.isLinear && !(byRows && store.strides[rank - 1] == 1)) scatterRuns(slots[store.slot], tiles + store.tileAt, store, start, n);
        }
      }
      start += n;
      if (byRows && start < end) advance(position, n, rows, rowAt);
    }
  }

 public:
  int64_t elements() const { return count; }

 private:
  struct Load {
    int64_t slot, bytes, offset;
    int64_t strides[mostAxes];
    bool isLinear, isScalar;
    /** Elements after which what is gathered repeats; 0: it does not. */
    int64_t period;
    int64_t tileAt;
  };
  struct Fetched {
    int64_t slot, offset, bytes;
  };
  struct Constant {
    alignas(64) char bytes[vectorBytes];
  };
  struct Store {
    int64_t slot, bytes;
    int64_t strides[mostAxes];
    bool isLinear;
    int64_t tileAt;
  };
  struct Line {
    Instruction run;
    int d, a, b, c, e;
  };

  int operandCount() const {
    return int(loads.size() + constants.size() + stores.size() + temporaries.size());
  }

  void readLoad(Reader& reader, Load& load) {
    load.slot = reader.next();
    load.bytes = reader.next();
    load.offset = reader.next();
    load.isLinear = load.isScalar = true;
    int64_t dense = 1;
    for (int axis = 0; axis < rank; axis++) load.strides[axis] = reader.next();
    for (int axis = rank - 1; axis >= 0; axis--) {
      if (load.strides[axis] != 0 && sizes[axis] != 1) load.isScalar = false;
      if (load.strides[axis] != dense && sizes[axis] != 1) load.isLinear = false;
      dense *= sizes[axis];
    }
    if (load.isScalar) load.isLinear = false;
    // The outer axes that it does not walk along.
    load.period = count;
    for (int axis = 0; axis < rank && load.strides[axis] == 0; axis++) load.period /= sizes[axis] > 0 ? sizes[axis] : 1;
    if (load.period == count) load.period = 0;
    load.tileAt = 0;
  }

  void readStore(Reader& reader, Store& store) {
    store.slot = reader.next();
    store.bytes = reader.next();
    store.isLinear = true;
    store.tileAt = 0;
    int64_t dense = 1;
    for (int axis = 0; axis < rank; axis++) store.strides[axis] = reader.next();
    for (int axis = rank - 1; axis >= 0; axis--) {
      if (store.strides[axis] != dense && sizes[axis] != 1) store.isLinear = false;
      dense *= sizes[axis];
    }
    if (!store.isLinear) scatters = true;
  }

  void planTiles() {
    const bool gathers = scatters || std::any_of(loads.begin(), loads.end(), [](const Load& l) { return !l.isLinear && !l.isScalar; });
    byRows = gathers && inner >= 128;
    int64_t bytes = 0;
    for (const Load& load : loads) {
      if (!load.isScalar) traffic += load.bytes;
      if (!load.isLinear && !load.isScalar && !(byRows && load.strides[rank - 1] <= 1 && load.strides[rank - 1] >= 0)) bytes += load.bytes;
    }
    for (const Store& store : stores) {
      traffic += store.bytes;
      if (!store.isLinear && !(byRows && store.strides[rank - 1] == 1)) bytes += store.bytes;
    }
    for (const int64_t each : temporaries) bytes += each;
    // Half of a small first-level cache for the tiles, a large one for these and what comes from memory and goes there.
    tile = std::min(16384 / std::max<int64_t>(1, bytes), 49152 / std::max<int64_t>(1, bytes + traffic));
    // Short ones, where what the next one reads is to find room too.
    isLong = count * traffic > secondLevelCache();
    tile = std::clamp<int64_t>(tile / 64 * 64, 256, isLong ? 1024 : 4096);
    if (gathers && !byRows) {
      int64_t longest = 0;
      for (const Load& load : loads)
        if (!load.isLinear && load.period > longest && load.period <= tile) longest = load.period;
      if (longest > 0) tile = tile / longest * longest;
    }
    const int64_t room = roundUp(tile + 64, 64);
    for (Load& load : loads) {
      if (load.isLinear) continue;
      load.tileAt = tileMemory;
      tileMemory += load.isScalar ? 64 : room * load.bytes;
    }
    for (Store& store : stores) {
      if (store.isLinear) continue;
      store.tileAt = tileMemory;
      tileMemory += room * store.bytes;
    }
    for (const int64_t each : temporaries) {
      temporaryAt.push_back(tileMemory);
      tileMemory += room * each;
    }
  }

  /** Elements that come into the cache with each instruction on `n`: not all at once, since only so many lines can be on their way. */
  int64_t fetchedAtOnce(int64_t n) const { return roundUp(n / int64_t(code.size()) + 1, alignment); }

  void fetchAhead(Slots slots, int64_t start, int64_t n) const {
    for (const Fetched& load : fetched) {
      const char* from = slots[load.slot] + (load.offset + start) * load.bytes;
      for (int64_t at = 0; at < n * load.bytes; at += alignment) fetchLine(from + at);
    }
  }

  bool sharesPeriod(int64_t distance) const {
    for (const Load& load : loads)
      if (!load.isLinear && !load.isScalar && load.period > 0 && distance % load.period != 0) return false;
    return true;
  }

  /** The index of an element along each axis. */
  void locate(int64_t element, int64_t* index) const {
    for (int axis = rank - 1; axis >= 0; axis--) {
      index[axis] = element % sizes[axis];
      element /= sizes[axis];
    }
  }
  /** Where the row of a position begins in each load and store. */
  void locateRow(const int64_t* index, int64_t* rowAt) const {
    const auto startOf = [&](const int64_t* strides) { return offsetOf(strides, index) - index[rank - 1] * strides[rank - 1]; };
    for (const Load& load : loads) *rowAt++ = startOf(load.strides);
    for (const Store& store : stores) *rowAt++ = startOf(store.strides);
  }
  /** Goes on by so many whole rows, or, of one, by `n` elements; no further than to the end of the row or of the rows. */
  void advance(int64_t* index, int64_t n, int64_t rows, int64_t* rowAt) const {
    int axis = rank - 1;
    if (rows == 1) index[axis] += n;
    if (rows == 1 && (index[axis] < sizes[axis] || axis == 0)) return;
    index[axis] = 0;
    index[--axis] += rows;
    for (; axis > 0 && index[axis] == sizes[axis]; axis--) {
      index[axis] = 0;
      index[axis - 1]++;
    }
    if (axis < rank - 2) return locateRow(index, rowAt);
    for (const Load& load : loads) *rowAt++ += rows * load.strides[rank - 2];
    for (const Store& store : stores) *rowAt++ += rows * store.strides[rank - 2];
  }
  int64_t offsetOf(const int64_t* strides, const int64_t* index) const {
    int64_t offset = 0;
    for (int axis = 0; axis < rank; axis++) offset += index[axis] * strides[axis];
    return offset;
  }

  /** A whole vector at once: it is read as one right after. */
  template <class T>
  static char* splatOf(char* to, const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    storeVector(to, splat<Vector<T, vectorBytes / int(sizeof(T))>>(value));
    return to;
  }
  static char* splatInto(char* to, const char* from, int64_t bytes) {
    switch (bytes) {
      case 1:
        return splatOf<uint8_t>(to, from);
      case 2:
        return splatOf<uint16_t>(to, from);
      case 4:
        return splatOf<uint32_t>(to, from);
      default:
        return splatOf<uint64_t>(to, from);
    }
  }

  template <class T>
  static void gatherRowOf(T* to, const T* from, int64_t stride, int64_t n) {
    if (stride == 1) {
      std::memcpy(to, from, size_t(n) * sizeof(T));
    } else if (stride == 0) {
      const T value = *from;
      for (int64_t i = 0; i < n; i++) to[i] = value;
    } else {
      for (int64_t i = 0; i < n; i++) to[i] = from[i * stride];
    }
  }
  static void gatherRow(char* to, const char* from, int64_t bytes, int64_t stride, int64_t n) {
    switch (bytes) {
      case 1:
        return gatherRowOf((uint8_t*)to, (const uint8_t*)from, stride, n);
      case 2:
        return gatherRowOf((uint16_t*)to, (const uint16_t*)from, stride, n);
      case 4:
        return gatherRowOf((uint32_t*)to, (const uint32_t*)from, stride, n);
      default:
        return gatherRowOf((uint64_t*)to, (const uint64_t*)from, stride, n);
    }
  }

  /** Calls `body(offset, count)` for the runs along the last axis that n elements from `start` on are, in order. */
  template <class Body>
  void eachRun(const int64_t* strides, int64_t start, int64_t n, const Body& body) const {
    int64_t index[mostAxes];
    locate(start, index);
    int64_t offset = offsetOf(strides, index);
    const int last = rank - 1;
    while (n > 0) {
      const int64_t run = std::min(n, inner - index[last]);
      body(offset, run);
      n -= run;
      offset -= index[last] * strides[last];
      index[last] = 0;
      for (int axis = last - 1; axis >= 0; axis--) {
        offset += strides[axis];
        if (++index[axis] < sizes[axis]) break;
        offset -= index[axis] * strides[axis];
        index[axis] = 0;
      }
    }
  }
  /** A row of one vector that is repeated along the axis before the last, as numbers of channels in blocks are. */
  template <class T>
  void repeatVector(T* to, const T* from, const Load& load, int64_t start, int64_t n) const {
    using V = Vector<T, lanesOf<T>>;
    const int64_t times = sizes[rank - 2];
    int64_t index[mostAxes];
    while (n > 0) {
      locate(start, index);
      int64_t at = index[rank - 1];
      const int64_t run = std::min(n, (times - index[rank - 2]) * inner - at);
      index[rank - 1] = 0;
      const T* row = from + offsetOf(load.strides, index);
      const V all = loadVector<V>(row);
      int64_t done = 0;
      for (; at != 0 && done < run; done++) {
        to[done] = row[at];
        if (++at == inner) at = 0;
      }
      for (; done + inner <= run; done += inner) storeVector(to + done, all);
      for (; done < run; done++) to[done] = row[at++];
      to += run;
      start += run;
      n -= run;
    }
  }
  template <class T>
  void gatherRunsOf(T* to, const T* from, const Load& load, int64_t start, int64_t n) const {
    const int64_t stride = load.strides[rank - 1];
    if (inner == lanesOf<T> && rank > 1 && stride == 1 && load.strides[rank - 2] == 0) return repeatVector(to, from, load, start, n);
    eachRun(load.strides, start, n, [&](int64_t offset, int64_t run) {
      const T* row = from + offset;
      if (stride == 0) {
        const T value = *row;
        for (int64_t i = 0; i < run; i++) to[i] = value;
      } else if (stride == 1) {
        for (int64_t i = 0; i < run; i++) to[i] = row[i];
      } else {
        for (int64_t i = 0; i < run; i++) to[i] = row[i * stride];
      }
      to += run;
    });
  }
  template <class T>
  void scatterRunsOf(T* to, const T* from, const Store& store, int64_t start, int64_t n) const {
    const int64_t stride = store.strides[rank - 1];
    eachRun(store.strides, start, n, [&](int64_t offset, int64_t run) {
      T* row = to + offset;
      for (int64_t i = 0; i < run; i++) row[i * stride] = from[i];
      from += run;
    });
  }
  void gatherRuns(char* to, const char* base, const Load& load, int64_t start, int64_t n) const {
    switch (load.bytes) {
      case 1:
        return gatherRunsOf((uint8_t*)to, (const uint8_t*)base, load, start, n);
      case 2:
        return gatherRunsOf((uint16_t*)to, (const uint16_t*)base, load, start, n);
      case 4:
        return gatherRunsOf((uint32_t*)to, (const uint32_t*)base, load, start, n);
      default:
        return gatherRunsOf((uint64_t*)to, (const uint64_t*)base, load, start, n);
    }
  }
  void scatterRuns(char* base, const char* from, const Store& store, int64_t start, int64_t n) const {
    switch (store.bytes) {
      case 1:
        return scatterRunsOf((uint8_t*)base, (const uint8_t*)from, store, start, n);
      case 2:
        return scatterRunsOf((uint16_t*)base, (const uint16_t*)from, store, start, n);
      case 4:
        return scatterRunsOf((uint32_t*)base, (const uint32_t*)from, store, start, n);
      default:
        return scatterRunsOf((uint64_t*)base, (const uint64_t*)from, store, start, n);
    }
  }

  int rank = 0;
  int64_t sizes[mostAxes];
  int64_t count = 1, inner = 1;
  std::vector<Load> loads;
  std::vector<Constant> constants;
  std::vector<Store> stores;
  std::vector<int64_t> temporaries, temporaryAt;
  std::vector<Line> code;
  double work = 1;
  int64_t tile = 0, tileMemory = 0, traffic = 0;
  /** Tiles end with rows, so that dense rows and scalars of a row are read in place. */
  bool byRows = false;
  /** Whether operands and results leave the cache of a core. */
  bool isLong = false;
  /** What is fetched ahead then: dense operands that are in no cache as far as is known. */
  std::vector<Fetched> fetched;
  /** Whether a result is written otherwise than densely. */
  bool scatters = false;
};

}  // namespace weft
