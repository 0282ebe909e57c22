// @weft/ops: what aten:: and prim:: operators mean. Importing it registers them, one family a file.
export * from './operator.ts';
export * from './promotion.ts';
export { broadcastShapes, wrapDim, wrapDims, contiguousStrides } from './broadcast.ts';
import './pointwise.ts';
import './comparison.ts';
import './unary.ts';
import './activations.ts';
import './softmax.ts';
import './reductions.ts';
import './views.ts';
import './factories.ts';
import './joining.ts';
import './matmul.ts';
import './indexing.ts';
export * from './host/index.ts';
