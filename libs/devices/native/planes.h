// Planes of images laid out so that every tap of a window reads dense memory: padded with zeros, and, where the window moves by more
// than one, split into phases (every second column of every second row, …). A tap is then an offset, the same for all positions,
// and positions may be walked as one run across the ends of rows: what lies between rows is computed and left out.
#pragma once
#include "interleave.h"
#include "spatial.h"

namespace weft {

/** How blocks of rows of a plane are laid out. Taps are numbered row by row. */
template <class T>
class Planes {
 public:
  /** Axes whose input is not dilated and whose columns are side by side. */
  Planes(const ConvolutionAxis& outer, const ConvolutionAxis& inner) : y(outer), x(inner) {
    pitch = x.out + (x.kernel - 1) * x.kernelDilation / x.step;
    extraRows = (y.kernel - 1) * y.kernelDilation / y.step;
    std::vector<int64_t> number(size_t(y.step * x.step), -1);
    for (int64_t ty = 0; ty < y.kernel; ty++) {
      for (int64_t tx = 0; tx < x.kernel; tx++) {
        const int64_t py = ty * y.kernelDilation % y.step, px = tx * x.kernelDilation % x.step;
        int64_t& phase = number[size_t(py * x.step + px)];
        if (phase < 0) {
          phase = int64_t(phases.size());
          phases.push_back({py, px});
        }
        taps.push_back({phase, ty * y.kernelDilation / y.step * pitch + tx * x.kernelDilation / x.step});
      }
    }
  }

  int64_t rowsOf(int64_t outputRows) const { return outputRows + extraRows; }
  /** Elements of a block for so many rows of the output, with what vectors may read beyond. */
  int64_t sizeOf(int64_t outputRows) const { return int64_t(phases.size()) * phaseSize(outputRows) + slack; }
  /** Positions of a run over so many rows of the output. */
  int64_t runOf(int64_t outputRows) const { return (outputRows - 1) * pitch + x.out; }
  /** Where each tap begins in a block. */
  void offsets(int64_t outputRows, int64_t* to) const {
    for (const Tap& tap : taps) *to++ = tap.phase * phaseSize(outputRows) + tap.offset;
  }

  /**
   * Copies what rows first … first + outputRows - 1 of the output read to a block for `blockRows`. What pads columns has to be zero
   * before, and stays so.
   */
  void copy(T* block, const T* plane, int64_t first, int64_t outputRows, int64_t blockRows) const {
    for (size_t index = 0; index < phases.size(); index++) {
      const Phase& phase = phases[index];
      T* to = block + int64_t(index) * phaseSize(blockRows);
      const auto columns = insideOf(0, pitch, phase.x - x.low, x.step, x.in, 1);
      for (int64_t row = 0; row < rowsOf(outputRows); row++, to += pitch) {
        const int64_t from = (first + row) * y.step + phase.y - y.low;
        if (from < 0 || from >= y.in) {
          std::memset(to, 0, size_t(pitch) * sizeof(T));
          continue;
        }
        const T* line = plane + from * y.inStride + columns.at * x.inStride;
        copyEvery(to + columns.first, line, columns.step * x.inStride, columns.count);
      }
    }
  }

  int64_t pitch;
  /** Elements that vectors may read beyond a block. */
  static constexpr int64_t slack = 8 * lanesOf<T>;

 private:
  struct Phase {
    int64_t y, x;
  };
  struct Tap {
    int64_t phase, offset;
  };
  int64_t phaseSize(int64_t outputRows) const { return rowsOf(outputRows) * pitch; }

  ConvolutionAxis y, x;
  int64_t extraRows;
  std::vector<Phase> phases;
  std::vector<Tap> taps;
};

}  // namespace weft
