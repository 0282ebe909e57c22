// `gather` and `scatter.*`: windows of a tensor by start indices. For each index vector a window of the operand is copied to, or
// combined with, a window of the slices. Scatter's updates of one element are combined in the order of their index vectors.
#include <algorithm>
#include "fold.h"
#include "program.h"
#include "work.h"

namespace weft {

/**
 * Words: slots of operand, indices and slices; offset of the operand; bytes of an index and whether it is signed; elements between the
 * components of an index vector; axes of index vectors (size, strides of indices, operand, slices), after their count; axes of a window
 * (size, strides of operand, slices), after their count; components (stride of the operand, its size, largest start, axis of the window
 * or -1), after their count.
 */
class Indexing {
 public:
  explicit Indexing(Reader& reader) {
    for (int64_t* word : {&operandSlot, &indexSlot, &sliceSlot, &operandOffset, &indexBytes}) *word = reader.next();
    isSigned = reader.next() != 0;
    vectorStride = reader.next();
    vectors.resize(reader.nextCount());
    for (VectorAxis& axis : vectors) {
      for (int64_t* word : {&axis.size, &axis.index, &axis.operand, &axis.slice}) *word = reader.next();
      vectorCount *= axis.size;
    }
    window.resize(reader.nextCount());
    for (WindowAxis& axis : window) {
      for (int64_t* word : {&axis.size, &axis.operand, &axis.slice}) *word = reader.next();
      windowCount *= axis.size;
    }
    components.resize(reader.nextCount());
    for (Component& component : components)
      for (int64_t* word : {&component.stride, &component.size, &component.most, &component.axis}) *word = reader.next();
    if (!window.empty()) inner = window.back();
    windowLines = windowCount / std::max<int64_t>(1, inner.size);
  }

 protected:
  struct VectorAxis {
    int64_t size, index, operand, slice;
  };
  struct WindowAxis {
    int64_t size, operand, slice;
  };
  struct Component {
    int64_t stride, size, most, axis;
  };
  struct Place {
    int64_t index = 0, operand = 0, slice = 0;
  };

  Place placeOf(int64_t vector) const {
    Place place;
    for (size_t axis = vectors.size(); axis-- > 0;) {
      const int64_t at = vector % vectors[axis].size;
      vector /= vectors[axis].size;
      place.index += at * vectors[axis].index;
      place.operand += at * vectors[axis].operand;
      place.slice += at * vectors[axis].slice;
    }
    return place;
  }

  /** Calls `body(place)` for index vectors begin … end - 1. */
  template <class Body>
  void eachVector(int64_t begin, int64_t end, const Body& body) const {
    if (vectors.empty()) {
      if (begin < end) body(Place{});
      return;
    }
    const VectorAxis& last = vectors.back();
    while (begin < end) {
      Place place = placeOf(begin);
      const int64_t count = std::min(end - begin, last.size - begin % last.size);
      for (int64_t at = 0; at < count; at++) {
        body(place);
        place.index += last.index;
        place.operand += last.operand;
        place.slice += last.slice;
      }
      begin += count;
    }
  }

  /** A component of an index vector; unsigned ones beyond the greatest signed number are that. */
  int64_t indexAt(const char* indices, int64_t at) const {
    switch (indexBytes * 2 + (isSigned ? 1 : 0)) {
      case 2: return int64_t(reinterpret_cast<const uint8_t*>(indices)[at]);
      case 3: return int64_t(reinterpret_cast<const int8_t*>(indices)[at]);
      case 4: return int64_t(reinterpret_cast<const uint16_t*>(indices)[at]);
      case 5: return int64_t(reinterpret_cast<const int16_t*>(indices)[at]);
      case 8: return int64_t(reinterpret_cast<const uint32_t*>(indices)[at]);
      case 9: return int64_t(reinterpret_cast<const int32_t*>(indices)[at]);
      case 16: return int64_t(std::min<uint64_t>(reinterpret_cast<const uint64_t*>(indices)[at], uint64_t(INT64_MAX)));
      default: return reinterpret_cast<const int64_t*>(indices)[at];
    }
  }

  /** Offsets of a line of the window, and its coordinates but for the innermost. */
  void lineOf(int64_t line, int64_t& operand, int64_t& slice, int64_t* coordinates) const {
    operand = slice = 0;
    if (window.size() < 2) return;
    for (size_t axis = window.size() - 1; axis-- > 0;) {
      const int64_t at = line % window[axis].size;
      line /= window[axis].size;
      coordinates[axis] = at;
      operand += at * window[axis].operand;
      slice += at * window[axis].slice;
    }
  }

  int64_t operandSlot, indexSlot, sliceSlot, operandOffset, indexBytes, vectorStride;
  bool isSigned;
  std::vector<VectorAxis> vectors;
  std::vector<WindowAxis> window;
  std::vector<Component> components;
  WindowAxis inner{1, 1, 1};
  int64_t vectorCount = 1, windowCount = 1, windowLines = 1;
};

/** Gather of elements of some width, whatever they are: starts are clamped so that windows fit. */
template <class T>
class Gather final : public Step, private Indexing {
 public:
  explicit Gather(Reader& reader) : Indexing(reader) {}

  void run(Slots slots) override {
    const T* operand = reinterpret_cast<const T*>(slots[operandSlot]) + operandOffset;
    const char* indices = slots[indexSlot];
    T* slices = reinterpret_cast<T*>(slots[sliceSlot]);
    parallelFor(vectorCount, divideUp(16384, windowCount + 8), [&](int64_t begin, int64_t end) {
      eachVector(begin, end, [&](Place place) {
        int64_t start = place.operand;
        for (size_t index = 0; index < components.size(); index++) {
          const int64_t wanted = indexAt(indices, place.index + int64_t(index) * vectorStride);
          start += std::clamp<int64_t>(wanted, 0, components[index].most) * components[index].stride;
        }
        for (int64_t line = 0; line < windowLines; line++) {
          int64_t from, to, coordinates[16];
          lineOf(line, from, to, coordinates);
          const T* source = operand + start + from;
          T* target = slices + place.slice + to;
          if (inner.size == 1) *target = *source;
          else if (inner.operand == 1 && inner.slice == 1) std::memcpy(target, source, size_t(inner.size) * sizeof(T));
          else
            for (int64_t at = 0; at < inner.size; at++) target[at * inner.slice] = source[at * inner.operand];
        }
      });
    });
  }
};

struct ReplaceOf {
  static constexpr bool widens = false;
  template <class T, class V> static V apply(V, V b) { return b; }
};

/** Scatter into a tensor that holds the operand already: elements outside of it are left out. */
template <class Op, class T>
class Scatter final : public Step, private Indexing {
 public:
  explicit Scatter(Reader& reader) : Indexing(reader) {}

  void run(Slots slots) override {
    T* operand = reinterpret_cast<T*>(slots[operandSlot]) + operandOffset;
    const char* indices = slots[indexSlot];
    const T* slices = reinterpret_cast<const T*>(slots[sliceSlot]);
    // What threads share must be apart: columns of the windows, or vectors that have parts of the operand of their own.
    if (inner.size >= 64) {
      const int64_t blocks = divideUp(inner.size, 16), threads = double(inner.size) * double(vectorCount * windowLines) < sharedOperations ? 1 : pool().size();
      // Each thread walks all vectors once.
      parallelFor(blocks, std::max<int64_t>(1, blocks / threads), [&](int64_t begin, int64_t end) {
        update(operand, indices, slices, 0, vectorCount, begin * 16, std::min(inner.size, end * 16));
      });
    } else if (!vectors.empty() && vectors[0].operand != 0) {
      const int64_t each = vectorCount / vectors[0].size;
      parallelFor(vectors[0].size, divideUp(16384, each * (windowCount + 8)), [&](int64_t begin, int64_t end) {
        update(operand, indices, slices, begin * each, end * each, 0, inner.size);
      });
    } else {
      update(operand, indices, slices, 0, vectorCount, 0, inner.size);
    }
  }

 private:
  void update(T* operand, const char* indices, const T* slices, int64_t firstVector, int64_t lastVector, int64_t first, int64_t last) const {
    eachVector(firstVector, lastVector, [&](Place place) {
      int64_t start = place.operand, starts[16];
      bool fits = true;
      for (size_t index = 0; index < components.size(); index++) {
        const int64_t wanted = indexAt(indices, place.index + int64_t(index) * vectorStride);
        starts[index] = wanted;
        if (wanted < 0 || wanted > components[index].most) fits = false;
        else start += wanted * components[index].stride;
      }
      for (int64_t line = 0; line < windowLines; line++) {
        int64_t to, from, coordinates[16];
        lineOf(line, to, from, coordinates);
        const T* source = slices + place.slice + from;
        if (fits) {
          combine(operand + start + to, source, first, last);
          continue;
        }
        for (int64_t at = first; at < last; at++) {
          if (!window.empty()) coordinates[window.size() - 1] = at;
          int64_t element = place.operand + to + at * inner.operand;
          bool isInside = true;
          for (size_t index = 0; isInside && index < components.size(); index++) {
            const Component& component = components[index];
            const int64_t within = component.axis < 0 ? 0 : coordinates[component.axis];
            isInside = starts[index] >= -within && starts[index] < component.size - within;
            if (isInside) element += starts[index] * component.stride;
          }
          if (isInside) operand[element] = foldPair<Op, T>(operand[element], source[at * inner.slice]);
        }
      }
    });
  }

  void combine(T* to, const T* from, int64_t first, int64_t last) const {
    constexpr int L = lanesOf<T>;
    using W = Vector<T, L>;
    int64_t at = first;
    if (inner.operand == 1 && inner.slice == 1) {
      for (; at + L <= last; at += L) storeVector(to + at, Op::template apply<T, W>(loadVector<W>(to + at), loadVector<W>(from + at)));
    }
    for (; at < last; at++) {
      T& target = to[at * inner.operand];
      target = foldPair<Op, T>(target, from[at * inner.slice]);
    }
  }
};

template <class T>
void addScatters(const std::string& dtype) {
  operations()["scatter.add." + dtype] = makeStep<Scatter<SumOf, T>>;
  operations()["scatter.multiply." + dtype] = makeStep<Scatter<ProductOf, T>>;
  operations()["scatter.maximum." + dtype] = makeStep<Scatter<MaximumOf, T>>;
  operations()["scatter.minimum." + dtype] = makeStep<Scatter<MinimumOf, T>>;
}
template <class T>
void addMoves(const std::string& bytes) {
  operations()["gather." + bytes] = makeStep<Gather<T>>;
  operations()["scatter.replace." + bytes] = makeStep<Scatter<ReplaceOf, T>>;
}

[[maybe_unused]] const bool indexingIsThere = [] {
  addMoves<uint8_t>("1");
  addMoves<uint16_t>("2");
  addMoves<uint32_t>("4");
  addMoves<uint64_t>("8");
  addScatters<float>("float32");
  addScatters<double>("float64");
  addScatters<int32_t>("int32");
  addScatters<int64_t>("int64");
  return true;
}();

}  // namespace weft
