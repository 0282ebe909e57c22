// Results written over operands, against the same programs with memory of their own.
import { describe, expect, test } from '@jest/globals';
import type { DType, Value } from '@weft/ir';
import { CoreBuilder, Graph, dtypes, numel, specOf, tensorSpec } from '@weft/ir';
import type { DeviceBuffer, InPlace } from '../device.ts';
import { CpuDevice, cpuDevice } from './device.ts';

const device = cpuDevice();
type Build = (b: CoreBuilder, ...values: Value[]) => Value[];

/** Runs a program with and without the pairs, and gives those that were taken. */
function agrees(
  dtype: DType,
  shapes: readonly (readonly number[])[],
  build: Build,
  inPlace: readonly InPlace[],
): readonly InPlace[] {
  const b = new CoreBuilder(new Graph());
  const inputs = shapes.map((sizes) => b.input(tensorSpec(dtype, sizes)));
  for (const output of build(b, ...inputs)) b.graph.addOutput(output);
  const { graph } = b;
  const views = (values: readonly Value[]) =>
    values.map((value) => {
      const spec = specOf(value);
      const buffer = device.allocate(numel(spec.sizes) * dtypes[spec.dtype].bytes);
      return { buffer, byteOffset: 0, spec };
    });
  const filled = () => {
    const given = views(graph.inputs);
    given.forEach(({ buffer }, index) => {
      // Bytes that are small positive numbers in float32 and bfloat16.
      for (let at = 0; at < buffer.byteLength; at++) buffer.bytes![at] = at % 2 ? 0x3f : 0x40 + ((at * 7 + index * 13) % 0x40);
    }); // prettier-ignore
    return given;
  };
  const contents = (list: readonly { readonly buffer: DeviceBuffer }[]) =>
    list.map(({ buffer }) => [...buffer.bytes!]);

  const [expected, apart] = [views(graph.outputs), filled()];
  device.compile(graph, {}).run(apart, expected);
  const executable = device.compile(graph, { inPlace });
  const taken = executable.inPlace ?? [];
  const own = filled();
  const results = views(graph.outputs);
  for (const { input, output } of taken) results[output] = own[input];
  executable.run(own, results);
  expect(contents(results)).toEqual(contents(expected));
  return taken;
}

const pair = (input: number, output: number): InPlace => ({ input, output });
const native = device instanceof CpuDevice ? test : test.skip;

describe('results in the place of operands', () => {
  native('elementwise, each element over itself', () => {
    for (const dtype of ['float32', 'float64', 'bfloat16'] as const) {
      const taken = agrees(dtype, [[50, 70], [50, 70], [50, 70]], (b, x, y, g) => {
        const next = b.add(b.multiply(y, y), g);
        // Read again after its place is written.
        return [b.subtract(x, next), b.add(next, b.multiply(y, x))];
      }, [pair(0, 0), pair(1, 1)]); // prettier-ignore
      expect(taken).toHaveLength(2);
    }
  });
  native('exchanged: each over the other', () => {
    expect(agrees('float32', [[4, 40], [4, 40]], (b, x, y) => [b.add(y, y), b.add(x, x)], [pair(0, 0), pair(1, 1)])).toHaveLength(2); // prettier-ignore
  });
  native('where other elements are needed, moved when all is done', () => {
    agrees('float32', [[30, 30]], (b, x) => [b.add(x, b.transpose(x, [1, 0]))], [pair(0, 0)]);
    agrees('float32', [[30, 30]], (b, x) => [b.add(x, b.broadcastInDim(b.reshape(b.slice(x, [0, 0], [1, 30]), [30]), [30, 30], [1]))], [pair(0, 0)]); // prettier-ignore
    agrees('float32', [[30, 30], [30, 30]], (b, x, w) => {
      const product = { lhsContracting: [1], rhsContracting: [0] };
      const updated = b.subtract(w, b.dotGeneral(x, x, product));
      return [updated, b.dotGeneral(x, w, product)];
    }, [pair(1, 0)]); // prettier-ignore
  });
  native('after a product: its epilogue over an operand, its own result over another', () => {
    const product = { lhsContracting: [1], rhsContracting: [0] };
    for (const result of [0, 1]) {
      agrees('float32', [[40, 20], [20, 30], [40, 30]], (b, x, w, old) => {
        const y = b.dotGeneral(x, w, product);
        return [y, b.add(b.multiply(y, y), old)];
      }, [pair(2, result)]); // prettier-ignore
    }
    agrees('float32', [[40, 40], [40, 40]], (b, x, w) => [b.add(b.dotGeneral(x, w, product), w)], [pair(1, 0)]); // prettier-ignore
  });
  native('not over an input that is a result itself, nor of another type', () => {
    expect(agrees('float32', [[8]], (b, x) => [b.add(x, x), x], [pair(0, 0)])).toEqual([]);
    expect(agrees('float32', [[8]], (b, x) => [b.compare(x, b.multiply(x, x), 'LT')], [pair(0, 0)])).toEqual([]); // prettier-ignore
  });
});
