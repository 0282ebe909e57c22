// Recorded programs, called with other sizes than the recorded ones: each size that occurs in a call's arguments is replaced by others. What a
// graph with open sizes gives is what the interpreter gives; and more of these programs have such a graph than have none.
import { afterAll, expect, test } from '@jest/globals';
import type { IValue } from '@weft/ir';
import { TupleValue, dtypes, numel } from '@weft/ir';
import { Tensor, noGrad } from '@weft/tensor';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openWorkload } from '../archive/index.ts';
import { corpus } from '../runtime/corpus-case.ts';
import { executorState, runMethod, setExecutor } from './index.ts';
import { withTensors } from './pattern.ts';

const groups = ['attention', 'conv', 'norm', 'pooling', 'pointwise', 'linalg'];
const sizes = [9, 12, 10, 11, 12, 10];

/** A tensor of another shape with the elements of one again and again. */
function repeated(from: Tensor, shape: readonly number[]): Tensor {
  const width = dtypes[from.dtype].bytes;
  const source = from.bytes();
  const bytes = new Uint8Array(numel(shape) * width);
  for (let at = 0; at < numel(shape); at++) {
    const element = (at * 7 + Math.floor(at / 3)) % from.elements;
    bytes.set(source.subarray(element * width, (element + 1) * width), at * width);
  }
  const made = Tensor.allocate(from.dtype, shape, from.storage.device);
  made.writeBytes(bytes);
  return made;
}

function tensorsIn(value: IValue): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  if (value instanceof TupleValue) return value.items.flatMap(tensorsIn);
  return value instanceof Map ? [...value.values()].flatMap(tensorsIn) : [];
}

/** Whether two results are the same but for rounding. */
function areClose(a: IValue, b: IValue): boolean {
  if (a instanceof Tensor && b instanceof Tensor) {
    if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape)) return false;
    const [given, expected] = [a.data, b.data].map((data) =>
      Array.from(data as ArrayLike<number | bigint>, Number),
    );
    return given.every((x, at) => {
      const y = expected[at];
      return Object.is(x, y) || x === y || Math.abs(x - y) <= 1e-4 * (1 + Math.abs(y));
    });
  }
  const items = (value: IValue): readonly IValue[] | undefined =>
    Array.isArray(value) ? value : value instanceof TupleValue ? value.items : value instanceof Map ? [...value].flat() : undefined; // prettier-ignore
  const [given, expected] = [items(a), items(b)];
  if (given === undefined || expected === undefined) return Object.is(a, b) || typeof a === 'object' || Math.abs(Number(a) - Number(b)) <= 1e-4; // prettier-ignore
  return given.length === expected.length && given.every((item, at) => areClose(item, expected[at]));
}

const counts = { open: 0, refused: 0 };

const cases = groups.flatMap((group) =>
  readdirSync(join(corpus, group))
    .filter((name) => existsSync(join(corpus, group, name, 'model.pt')) && !name.includes('buffers'))
    .map((name) => join(group, name)),
);

const defaults = setExecutor({});

test.each(cases)('%s', (name) => {
  const folder = join(corpus, name);
  const { calls = [] } = JSON.parse(readFileSync(join(folder, 'io.json'), 'utf8')) as {
    calls?: { error?: object }[];
  };
  if (calls.every(({ error }) => error !== undefined)) return;
  const recorded = openWorkload(folder);
  if (recorded.kind !== 'inference') return;
  for (const [at, { method, inputs }] of recorded.calls.entries()) {
    for (const size of new Set(inputs.flatMap(tensorsIn).flatMap(({ shape }) => shape))) {
      if (size < 2) continue;
      const { module } = openWorkload(folder);
      const given = openWorkload(folder).calls[at].inputs;
      const run = (n: number): IValue => {
        const tensors = given
          .flatMap(tensorsIn)
          .map((tensor) => repeated(tensor, tensor.shape.map((each) => (each === size ? n : each)))); // prettier-ignore
        const args = withTensors(given, tensors as unknown as readonly IValue[]);
        return noGrad(() => runMethod(module.object, method, args, { print: () => undefined, warn: () => undefined })); // prettier-ignore
      };
      const attempt = (n: number): IValue | string => {
        try {
          return run(n);
        } catch (error) {
          return (error as Error).message;
        }
      };
      for (const n of sizes) {
        setExecutor({ ...defaults, mode: 'interpret' });
        const expected = attempt(n);
        setExecutor({ ...defaults, mode: 'auto' });
        if (typeof expected === 'string') break;
        expect([name, method, size, n, areClose(attempt(n), expected)]).toEqual([
          name,
          method,
          size,
          n,
          true,
        ]);
      }
      const states = executorState(module.method(method), module.object).filter(
        ({ openSizes }) => openSizes !== undefined,
      );
      if (states.some(({ state }) => state === 'compiled')) counts.open++;
      else if (states.length > 0) counts.refused++;
    }
  }
});

afterAll(() => {
  setExecutor(defaults);
  expect(counts.open).toBeGreaterThan(counts.refused);
});
