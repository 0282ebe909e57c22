// reduce_window by one operator, and select_and_scatter of the greatest or least element (max pooling and its gradient), natively.
import type { Block, Node, Value } from '@weft/ir';
import { numel, specOf } from '@weft/ir';
import { isHalf } from '../reference/half.ts';
import { simpleBody } from '../reference/region.ts';
import { stridesOf } from '../reference/typed-array.ts';
import { canWiden, wideResult, widened } from './half.ts';
import type { NativeFamily, NativeSite, Operand, Word } from './step.ts';

/** Every dimension as native/spatial.h reads it, with the strides of operand and result. */
function windowWords(
  node: Node,
  operand: Operand,
  positions: readonly number[],
  strides: readonly number[],
): Word[] {
  const ones = operand.sizes.map(() => 1);
  const read = (name: string) => (node.attributes.has(name) ? node.ints(name) : ones);
  const [window, step] = [read('window_dimensions'), read('window_strides')];
  const [base, dilation] = [read('base_dilations'), read('window_dilations')];
  const padding = node.intPairs('padding');
  return [
    operand.sizes.length,
    ...operand.sizes.flatMap((size, axis): Word[] => [
      size,
      window[axis],
      positions[axis],
      step[axis],
      padding[axis][0],
      base[axis],
      dilation[axis],
      operand.strides[axis],
      0,
      strides[axis],
    ]),
  ];
}

function emitReduceWindow(site: NativeSite): void {
  const [{ sizes }] = site.outSpecs;
  if (numel(sizes) === 0) return;
  const operand = widened(site, 0);
  const init = widened(site, 1).slot;
  const result = wideResult(site);
  const operator = simpleBody(site.node.blocks[0])!;
  const words = windowWords(site.node, operand, sizes, stridesOf(sizes));
  site.push(
    `reduce_window.${operator}.${operand.dtype}`,
    operand.slot,
    init,
    result.slot,
    operand.offset,
    ...words,
  );
  result.narrow();
}

function emitSelectAndScatter(site: NativeSite): void {
  const { node, results } = site;
  const [{ dtype, sizes }] = site.outSpecs;
  if (numel(sizes) === 0) return;
  const operand = site.operand(0);
  site.push(
    `select_and_scatter.${selection(node.blocks[0])!}.${dtype}`,
    operand.slot,
    site.dense(1),
    site.dense(2),
    results[0],
    operand.offset,
    ...windowWords(node, operand, site.inSpecs[1].sizes, stridesOf(sizes)),
  );
}

/**
 * Which comparison makes the next element take the place of the old one, when a body is `!(next beats old) && next == next`: the
 * first of the greatest or least elements stays, NaN beats all.
 */
function selection(block: Block): 'GT' | 'LT' | undefined {
  const [old, next] = block.inputs;
  const compares = (value: Value, left: Value, right: Value): string | undefined =>
    value.node.operator === 'compare' && value.node.inputs[0] === left && value.node.inputs[1] === right
      ? value.node.get('s', 'comparison_direction')
      : undefined;
  const [both] = block.outputs;
  if (both.node.operator !== 'and') return undefined;
  const [first, second] = both.node.inputs;
  if (first.node.operator !== 'not' || compares(second, next, next) !== 'EQ') return undefined;
  const direction = compares(first.node.inputs[0], next, old);
  return direction === 'GT' || direction === 'LT' ? direction : undefined;
}

export const windowFamily: NativeFamily = {
  operators: ['reduce_window', 'select_and_scatter'],
  accepts(node: Node, library) {
    const { dtype, sizes } = specOf(node.inputs[0]);
    if (node.outputs.length !== 1 || sizes.length === 0 || sizes.length > 16 || numel(sizes) === 0)
      return false;
    if (node.operator === 'select_and_scatter') {
      const kind = selection(node.blocks[0]);
      return (
        simpleBody(node.blocks[1]) === 'add' && library.operations.has(`select_and_scatter.${kind}.${dtype}`)
      );
    }
    const operator = simpleBody(node.blocks[0]);
    const wide = isHalf(dtype) ? 'float32' : dtype;
    return canWiden(dtype, { library }) && library.operations.has(`reduce_window.${operator}.${wide}`);
  },
  emit: (site) => (site.node.operator === 'reduce_window' ? emitReduceWindow : emitSelectAndScatter)(site),
};
