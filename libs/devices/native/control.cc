// Branches and loops: steps that hold programs of their own.
#include "program.h"

namespace weft {

/** `if`: words are the predicate's slot and both branches, each writing its results in their places. */
class If final : public Step {
 public:
  explicit If(Reader& reader) {
    predicate = reader.next();
    whenTrue = reader.steps();
    whenFalse = reader.steps();
  }
  void run(Slots slots) override { runSteps(slots[predicate][0] ? whenTrue : whenFalse, slots); }

 private:
  int64_t predicate;
  Steps whenTrue, whenFalse;
};

/** `while`: words are the predicate's slot, the condition, the body (which ends by moving results to the loop's values). */
class While final : public Step {
 public:
  explicit While(Reader& reader) {
    predicate = reader.next();
    condition = reader.steps();
    body = reader.steps();
  }
  void run(Slots slots) override {
    for (;;) {
      runSteps(condition, slots);
      if (!slots[predicate][0]) return;
      runSteps(body, slots);
    }
  }

 private:
  int64_t predicate;
  Steps condition, body;
};

const Register registerIf("if", makeStep<If>);
const Register registerWhile("while", makeStep<While>);

}  // namespace weft
