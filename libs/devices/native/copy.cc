// Copies between strided boxes: transposes, slices, broadcasts, pads, concatenations, writes into views. Dimensions come
// merged and in order, the last walks the target densest. A copy whose source walks another dimension densest goes in
// square tiles, so that both sides stay in the cache.
#include <algorithm>
#include "program.h"

namespace weft {

/** An integer scalar of `size` bytes, signed or not. */
static int64_t readIndex(const char* from, int64_t size, bool isSigned) {
  switch (size) {
    case 1:
      return isSigned ? int64_t(*reinterpret_cast<const int8_t*>(from)) : int64_t(*reinterpret_cast<const uint8_t*>(from));
    case 2:
      return isSigned ? int64_t(*reinterpret_cast<const int16_t*>(from)) : int64_t(*reinterpret_cast<const uint16_t*>(from));
    case 4:
      return isSigned ? int64_t(*reinterpret_cast<const int32_t*>(from)) : int64_t(*reinterpret_cast<const uint32_t*>(from));
    default:
      return *reinterpret_cast<const int64_t*>(from);
  }
}

struct Axis {
  int64_t size, from, to;
};

template <class T>
inline void copyRow(T* to, const T* from, int64_t count, int64_t toStride, int64_t fromStride) {
  if (toStride == 1 && fromStride == 1) {
    if (count <= 16)
      for (int64_t i = 0; i < count; i++) to[i] = from[i];
    else
      std::memcpy(to, from, size_t(count) * sizeof(T));
  } else if (toStride == 1 && fromStride == 0) {
    const T value = *from;
    for (int64_t i = 0; i < count; i++) to[i] = value;
  } else {
    for (int64_t i = 0; i < count; i++) to[i * toStride] = from[i * fromStride];
  }
}

/** rows × columns, where the source is dense along rows and the target along columns. */
template <class T>
inline void transposeBox(T* to, const T* from, int64_t rows, int64_t columns, int64_t toRow, int64_t fromRow,
                         int64_t toColumn, int64_t fromColumn) {
  constexpr int64_t tile = 16;
  for (int64_t row0 = 0; row0 < rows; row0 += tile) {
    const int64_t rowEnd = std::min(rows, row0 + tile);
    for (int64_t column0 = 0; column0 < columns; column0 += tile) {
      const int64_t count = std::min(tile, columns - column0);
      for (int64_t row = row0; row < rowEnd; row++) {
        T* target = to + row * toRow + column0 * toColumn;
        const T* source = from + row * fromRow + column0 * fromColumn;
        for (int64_t i = 0; i < count; i++) target[i * toColumn] = source[i * fromColumn];
      }
    }
  }
}

template <class T>
void copyBoxes(T* to, const T* from, const std::vector<Axis>& axes, int64_t begin, int64_t end) {
  const size_t rank = axes.size();
  const Axis column = axes[rank - 1];
  const Axis row = rank > 1 ? axes[rank - 2] : Axis{1, 0, 0};
  const bool turns = rank > 1 && row.size >= 8 && column.size >= 8 && std::abs(column.from) > std::abs(row.from) && row.from != 0;
  const size_t outer = rank > 1 ? rank - 2 : 0;
  for (int64_t box = begin; box < end; box++) {
    int64_t rest = box, fromAt = 0, toAt = 0;
    for (size_t axis = outer; axis-- > 0;) {
      const int64_t index = rest % axes[axis].size;
      rest /= axes[axis].size;
      fromAt += index * axes[axis].from;
      toAt += index * axes[axis].to;
    }
    if (turns) {
      transposeBox(to + toAt, from + fromAt, row.size, column.size, row.to, row.from, column.to, column.from);
    } else {
      for (int64_t r = 0; r < row.size; r++)
        copyRow(to + toAt + r * row.to, from + fromAt + r * row.from, column.size, column.to, column.from);
    }
  }
}

inline void copyStrided(char* to, const char* from, int64_t size, const std::vector<Axis>& axes) {
  int64_t boxes = 1, inner = 1;
  for (size_t axis = 0; axis < axes.size(); axis++) (axis + 2 < axes.size() ? boxes : inner) *= axes[axis].size;
  if (boxes * inner == 0) return;
  const auto piece = [&](const std::vector<Axis>& part, int64_t begin, int64_t end, int64_t toShift, int64_t fromShift) {
    switch (size) {
      case 1:
        return copyBoxes((uint8_t*)to + toShift, (const uint8_t*)from + fromShift, part, begin, end);
      case 2:
        return copyBoxes((uint16_t*)to + toShift, (const uint16_t*)from + fromShift, part, begin, end);
      case 4:
        return copyBoxes((uint32_t*)to + toShift, (const uint32_t*)from + fromShift, part, begin, end);
      case 8:
        return copyBoxes((uint64_t*)to + toShift, (const uint64_t*)from + fromShift, part, begin, end);
      default:
        return copyBoxes((unsigned __int128*)to + toShift, (const unsigned __int128*)from + fromShift, part, begin, end);
    }
  };
  constexpr int64_t grain = 1 << 16;
  if (boxes > 1 || axes.size() == 1) {
    if (axes.size() == 1) {
      const Axis only = axes[0];
      parallelFor(only.size, grain, [&](int64_t begin, int64_t end) {
        piece({Axis{end - begin, only.from, only.to}}, 0, 1, begin * only.to, begin * only.from);
      });
    } else {
      parallelFor(boxes, divideUp(grain, inner), [&](int64_t begin, int64_t end) { piece(axes, begin, end, 0, 0); });
    }
    return;
  }
  // One box: split along its rows.
  const Axis row = axes[axes.size() - 2];
  const Axis column = axes.back();
  const int64_t blocks = divideUp(row.size, 16);
  parallelFor(blocks, divideUp(grain, 16 * column.size), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * 16, last = std::min(row.size, end * 16);
    piece({Axis{last - first, row.from, row.to}, column}, 0, 1, first * row.to, first * row.from);
  });
}

inline std::vector<Axis> readAxes(Reader& reader) {
  std::vector<Axis> axes(reader.nextCount());
  for (auto& axis : axes) {
    axis.size = reader.next();
    axis.from = reader.next();
    axis.to = reader.next();
  }
  if (axes.empty()) axes.push_back({1, 1, 1});
  return axes;
}

/**
 * `copy`: words are source and target slots, bytes of an element, offsets in elements of both, and the axes. Then shifts of
 * the source and of the target known when it runs, each a list of (slot, bytes, signed, largest, stride): dynamic slices.
 */
class Copy final : public Step {
 public:
  explicit Copy(Reader& reader) {
    from = reader.next();
    to = reader.next();
    size = reader.next();
    fromOffset = reader.next();
    toOffset = reader.next();
    axes = readAxes(reader);
    fromShifts = readShifts(reader);
    toShifts = readShifts(reader);
  }
  void run(Slots slots) override {
    const int64_t source = fromOffset + shiftOf(fromShifts, slots);
    const int64_t target = toOffset + shiftOf(toShifts, slots);
    copyStrided(slots[to] + target * size, slots[from] + source * size, size, axes);
  }

 private:
  struct Shift {
    int64_t slot, bytes, isSigned, largest, stride;
  };
  static std::vector<Shift> readShifts(Reader& reader) {
    std::vector<Shift> shifts(reader.nextCount());
    for (auto& shift : shifts) {
      shift.slot = reader.next();
      shift.bytes = reader.next();
      shift.isSigned = reader.next();
      shift.largest = reader.next();
      shift.stride = reader.next();
    }
    return shifts;
  }
  static int64_t shiftOf(const std::vector<Shift>& shifts, Slots slots) {
    int64_t offset = 0;
    for (const Shift& shift : shifts) {
      int64_t index = readIndex(slots[shift.slot], shift.bytes, shift.isSigned);
      // An unsigned index beyond the signed range is beyond the tensor too.
      if (index < 0) index = shift.isSigned ? 0 : shift.largest;
      offset += std::min(index, shift.largest) * shift.stride;
    }
    return offset;
  }

  int64_t from, to, size, fromOffset, toOffset;
  std::vector<Axis> axes;
  std::vector<Shift> fromShifts, toShifts;
};

/** `fill`: words are the slot of one element, the target slot, bytes of an element, count. */
class Fill final : public Step {
 public:
  explicit Fill(Reader& reader) {
    from = reader.next();
    to = reader.next();
    size = reader.next();
    count = reader.next();
  }
  void run(Slots slots) override {
    if (count > 0) copyStrided(slots[to], slots[from], size, {Axis{count, 0, 1}});
  }

 private:
  int64_t from, to, size, count;
};

const Register registerCopy("copy", makeStep<Copy>);
const Register registerFill("fill", makeStep<Fill>);

}  // namespace weft
