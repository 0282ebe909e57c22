// Runs of arithmetic: which operations become one instruction, and that its results are those of single instructions to the last bit.
import { describe, expect, test } from '@jest/globals';
import type { TensorLiteral, Value } from '@weft/ir';
import { CoreBuilder, Graph } from '@weft/ir';
import { specOfLiteral } from '../conformance/case.ts';
import { Source } from '../conformance/random-cases.ts';
import { executeOnDevice } from '../host.ts';
import { cpuDevice } from './device.ts';
import { nativeLibrary } from './library.ts';
import type { NativeLibrary } from './library.ts';
import type { Instruction } from './runs.ts';
import { withRuns } from './runs.ts';

const names = ['add', 'subtract', 'subtract_from', 'multiply'];
const pairs = names.flatMap((first) => names.map((second) => `${first}-${second}`));
const runs = [...pairs, ...pairs.flatMap((pair) => names.map((name) => `${pair}-${name}`))];
const library = {
  instructions: new Map(runs.map((name, index) => [`${name}.float32`, index])),
} as unknown as NativeLibrary;

/** Instructions as `d = name a b`, temporaries t…. */
function joined(...lines: string[]): string[] {
  const parsed = lines.map((line): Instruction<string> => {
    const [d, , name, ...from] = line.split(' ');
    return { name: `${name}.float32`, d, from };
  });
  return withRuns(parsed, library, (place) => place.startsWith('t')).map(
    ({ name, d, from }) => `${d} = ${name.replace('.float32', '')} ${from.join(' ')}`,
  );
}

describe('what becomes a run', () => {
  test('operations that only the next one reads, three at most', () => {
    expect(joined('t0 = multiply x y', 'd = add t0 z')).toEqual(['d = multiply-add x y z']);
    expect(joined('t0 = add x y', 't1 = subtract z t0', 't2 = multiply t1 t3', 'd = add w t2')).toEqual([
      't2 = add-subtract_from-multiply x y z t3',
      'd = add w t2',
    ]);
  });
  test('the longer of two operands', () => {
    expect(joined('t0 = multiply x y', 't1 = add x y', 't2 = add t1 z', 'd = subtract t0 t2')).toEqual([
      't0 = multiply x y',
      'd = add-add-subtract_from x y z t0',
    ]);
  });
  test('nothing that is stored, read twice or no arithmetic', () => {
    for (const lines of [
      ['s = multiply x y', 'd = add s z'],
      ['t0 = multiply x y', 'd = add t0 t0'],
      ['t0 = multiply x y', 'd = add t0 z', 'e = add t0 w'],
      ['t0 = multiply x y', 'd = maximum t0 z'],
      ['t0 = maximum x y', 'd = add t0 z'],
    ]) {
      expect(joined(...lines)).toEqual(lines);
    }
  });
});

test('results are those of single operations to the last bit', async () => {
  if (!('library' in nativeLibrary())) return;
  const source = new Source(3);
  const sizes = [5, 177];
  const inputs: TensorLiteral[] = Array.from({ length: 4 }, () => source.tensor('float32', sizes));
  const operations = [
    (b: CoreBuilder, so: Value, x: Value) => b.add(so, x),
    (b: CoreBuilder, so: Value, x: Value) => b.subtract(so, x),
    (b: CoreBuilder, so: Value, x: Value) => b.subtract(x, so),
    (b: CoreBuilder, so: Value, x: Value) => b.multiply(so, x),
  ];
  for (const first of operations) {
    for (const second of operations) {
      for (const third of operations) {
        const resultsOf = async (count: number): Promise<TensorLiteral[]> => {
          const graph = new Graph();
          const b = new CoreBuilder(graph);
          const [x, y, z, w] = inputs.map((literal) => b.input(specOfLiteral(literal)));
          const one = first(b, x, y);
          const two = second(b, one, z);
          for (const value of [third(b, two, w), two, one].slice(0, count)) graph.addOutput(value);
          return await executeOnDevice(graph, inputs, cpuDevice(), 0);
        };
        // What is a result too is no part of a run.
        const [single] = await resultsOf(3);
        const [run] = await resultsOf(1);
        expect(run).toEqual(single);
      }
    }
  }
});
