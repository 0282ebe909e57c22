// `pointwise`: an elementwise group as a step of its own.
#include "pointwise.h"

namespace weft {

const Register registerPointwise("pointwise", makeStep<Pointwise>);

}  // namespace weft
