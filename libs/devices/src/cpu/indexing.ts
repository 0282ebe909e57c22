// gather and scatter natively: which axes of operand, indices and slices go together, by strides. Scatter combines with one
// operator, or replaces.
import type { Block, DType, Node } from '@weft/ir';
import { dtypes, gatherPlan, numel, scatterPlan, specOf } from '@weft/ir';
import { returnsSecond, simpleBody } from '../reference/region.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { merged } from './access.ts';
import { copyWords } from './copy.ts';
import type { NativeLibrary } from './library.ts';
import type { NativeFamily, NativeSite, Operand, Word } from './step.ts';

interface Roles {
  readonly windowDims: readonly number[];
  readonly operandWindowDims: readonly number[];
  readonly batchDims: readonly number[];
  readonly indicesBatchDims: readonly number[];
  readonly operandBatching: readonly number[];
  readonly indicesBatching: readonly number[];
  /** The operand's dimension of each component of an index vector. */
  readonly components: readonly number[];
}

type Walked = Pick<Operand, 'slot' | 'offset' | 'sizes' | 'strides'>;

/** What native/indexing.cc reads; the indices are operand 1, dense. */
function indexingWords(site: NativeSite, roles: Roles, operand: Walked, slices: Walked): Word[] {
  const { dtype, sizes } = site.inSpecs[1];
  const strides = stridesOf(sizes);
  const vectorDim = site.node.int('index_vector_dim');
  const vectors = merged(
    roles.batchDims.map((dimension) => slices.sizes[dimension]),
    [
      roles.indicesBatchDims.map((dimension) => strides[dimension]),
      roles.indicesBatchDims.map((dimension) => {
        const batch = roles.indicesBatching.indexOf(dimension);
        return batch < 0 ? 0 : operand.strides[roles.operandBatching[batch]];
      }),
      roles.batchDims.map((dimension) => slices.strides[dimension]),
    ],
  );
  const windowSizes = roles.windowDims.map((dimension) => slices.sizes[dimension]);
  const words: Word[] = [operand.slot, site.dense(1), slices.slot, operand.offset];
  words.push(dtypes[dtype].bytes, dtypes[dtype].category === 'int' ? 1 : 0);
  words.push(vectorDim < sizes.length ? strides[vectorDim] : 0);
  words.push(vectors.sizes.length);
  vectors.sizes.forEach((size, axis) => words.push(size, ...vectors.walks.map((walk) => walk[axis])));
  // A window is walked whole where indices never leave it half outside, which merged axes could not tell.
  words.push(windowSizes.length);
  windowSizes.forEach((size, axis) =>
    words.push(size, operand.strides[roles.operandWindowDims[axis]], slices.strides[roles.windowDims[axis]]),
  );
  words.push(roles.components.length);
  for (const dimension of roles.components) {
    const axis = roles.operandWindowDims.indexOf(dimension);
    const extent = axis < 0 ? 1 : windowSizes[axis];
    words.push(operand.strides[dimension], operand.sizes[dimension], operand.sizes[dimension] - extent, axis);
  }
  return words;
}

function emitGather(site: NativeSite): void {
  const { node, results } = site;
  const [{ dtype, sizes }] = site.outSpecs;
  if (numel(sizes) === 0) return;
  const roles: Roles = {
    ...gatherPlan(node, sizes.length),
    operandBatching: node.ints('operand_batching_dims'),
    indicesBatching: node.ints('start_indices_batching_dims'),
    components: node.ints('start_index_map'),
  };
  const slices = { slot: results[0], offset: 0, sizes, strides: stridesOf(sizes) };
  site.push(`gather.${dtypes[dtype].bytes}`, ...indexingWords(site, roles, site.operand(0), slices));
}

function emitScatter(site: NativeSite): void {
  const { node, results } = site;
  const [{ dtype, sizes }] = site.outSpecs;
  if (numel(sizes) === 0) return;
  const whole = { slot: results[0], offset: 0, sizes, strides: stridesOf(sizes) };
  const from = site.operand(0);
  site.push('copy', ...copyWords(from.slot, results[0], dtype, sizes, from, whole));
  const updates = site.inSpecs[2].sizes;
  if (numel(updates) === 0) return;
  const roles: Roles = {
    ...scatterPlan(node),
    operandBatching: node.ints('input_batching_dims'),
    indicesBatching: node.ints('scatter_indices_batching_dims'),
    components: node.ints('scatter_dims_to_operand_dims'),
  };
  const slices = { slot: site.dense(2), offset: 0, sizes: updates, strides: stridesOf(updates) };
  site.push(scatterKind(node.blocks[0], dtype)!, ...indexingWords(site, roles, whole, slices));
}

function scatterKind(body: Block, dtype: DType): string | undefined {
  if (returnsSecond(body)) return `scatter.replace.${dtypes[dtype].bytes}`;
  const operator = simpleBody(body);
  return operator === undefined ? undefined : `scatter.${operator}.${dtype}`;
}

function accepts(node: Node, library: NativeLibrary): boolean {
  const { dtype, sizes } = specOf(node.inputs[0]);
  const index = specOf(node.inputs[1]).dtype;
  if (sizes.length > 16 || !['int', 'uint'].includes(dtypes[index].category)) return false;
  if (node.operator === 'gather') return library.operations.has(`gather.${dtypes[dtype].bytes}`);
  const kind = node.outputs.length === 1 ? scatterKind(node.blocks[0], dtype) : undefined;
  return kind !== undefined && library.operations.has(kind) && library.operations.has('copy');
}

export const indexingFamily: NativeFamily = {
  operators: ['gather', 'scatter'],
  accepts,
  emit: (site) => (site.node.operator === 'gather' ? emitGather : emitScatter)(site),
};
