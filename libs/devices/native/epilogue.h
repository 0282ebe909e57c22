// What a kernel whose result has features in one dimension does with parts of it as they are finished: a pointwise step over the same
// elements, or a formula.
#pragma once
#include <memory>
#include "affine.h"
#include "pointwise.h"

namespace weft {

/** Words: 0 for nothing; 1 and a pointwise step over the result's elements; 2 and a formula (affine.h). */
template <class T>
class FeatureEpilogue {
 public:
  explicit FeatureEpilogue(Reader& reader) {
    const int64_t kind = reader.next();
    if (kind == 1) {
      reader.next();  // the kind of the step, which is known
      pointwise = std::make_unique<Pointwise>(reader);
    } else if (kind == 2) {
      affine = std::make_unique<Affine<T>>(reader);
    }
  }

  bool isNone() const { return pointwise == nullptr && affine == nullptr; }

  void prepare(Slots slots, int64_t features) {
    if (affine != nullptr) affine->prepare(slots, features);
  }

  /** Elements `element` … of one feature, which are in memory from `at` on. */
  void finish(Slots slots, T* at, int64_t n, int64_t feature, int64_t element) const {
    if (affine != nullptr) affine->apply(at, at, n, feature, element);
    else if (pointwise != nullptr) pointwise->runRange(slots, element, element + n);
  }

  /** Features first … first + n - 1 of `rows` rows, which are dense: the first element is `element`, and `stride` are from a row to the next. */
  void finishRows(Slots slots, T* at, int64_t stride, int64_t rows, int64_t n, int64_t first, int64_t element) const {
    if (pointwise != nullptr) return pointwise->runRows(slots, element, stride, rows, n);
    if (affine != nullptr) affine->applyRows(at, stride, rows, n, first, element);
  }

  std::unique_ptr<Pointwise> pointwise;
  std::unique_ptr<Affine<T>> affine;
};

}  // namespace weft
