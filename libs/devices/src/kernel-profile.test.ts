// Kernels told one by one: the same results, every operator in some kernel, nothing recorded outside.
import { expect, test } from '@jest/globals';
import { CoreBuilder, Graph, SourceRange, specOf, tensorSpec } from '@weft/ir';
import { Source } from './conformance/random-cases.ts';
import { CpuDevice, cpuDevice } from './cpu/device.ts';
import type { BufferView } from './device.ts';
import { KernelRecorder, recordKernels } from './kernel-profile.ts';

const device = cpuDevice();
const source = new Source(3);

/** A product with an epilogue, a softmax, a sort (which no native kernel does) and a loop. */
function compiled(): { run: () => Uint8Array; operators: string[] } {
  const b = new CoreBuilder(new Graph());
  const inputs = [source.tensor('float32', [6, 40]), source.tensor('float32', [40, 30])];
  const [x, y] = inputs.map(({ dtype, shape }) => b.input(tensorSpec(dtype, shape)));
  b.graph.currentSource = new SourceRange('net.ts', 'first\nsecond', 6, 12);
  const scores = b.exponential(b.dotGeneral(x, y, { lhsContracting: [1], rhsContracting: [0] }));
  const [sorted] = b.sort([scores], 1, true, (r, left, right) => [r.compare(left, right, 'LT')]);
  const total = b.reduceSum(sorted, [1]);
  const [count, result] = b.while(
    [b.full(0, 'int32'), total],
    (r, at) => [r.compare(at, r.full(3, 'int32'), 'LT')],
    (r, at, sum) => [r.add(at, r.full(1, 'int32')), r.add(sum, sum)],
  );
  b.graph.addOutput(b.add(result, b.broadcastTo(b.convert(count, 'float32'), [6])));
  const executable = device.compile(b.graph, {});
  const view = (spec: BufferView['spec'], bytes: number): BufferView => ({ buffer: device.allocate(bytes), byteOffset: 0, spec }); // prettier-ignore
  const given = inputs.map((literal, index) => {
    const made = view(specOf(b.graph.inputs[index]), literal.bytes.byteLength);
    device.write(made.buffer, 0, literal.bytes);
    return made;
  });
  const out = [view(specOf(b.graph.outputs[0]), 24)];
  const run = (): Uint8Array => {
    executable.run(given, out);
    return out[0].buffer.bytes!.slice(0, 24);
  };
  return { run, operators: [...b.graph.block.nodes()].map(({ operator }) => operator) };
}

test('recorded runs give the same, kernel by kernel with their places', () => {
  const { run, operators } = compiled();
  const expected = run();
  const recorder = new KernelRecorder();
  expect(recordKernels(recorder, run)).toEqual(expected);
  if (!(device instanceof CpuDevice)) return;
  const { spans } = recorder;
  const told = spans.flatMap(({ kernel }) => kernel.operators);
  expect(new Set(told)).toEqual(new Set(operators.filter((name) => told.includes(name))));
  for (const name of ['dot_general', 'exponential', 'sort', 'reduce', 'while', 'add'])
    expect(told).toContain(name);
  const product = spans.find(({ kernel }) => kernel.operators.includes('dot_general'))!;
  expect([product.device, product.kernel.name, product.kernel.flops >= 2 * 6 * 40 * 30]).toEqual(['cpu', 'dot.float32', true]); // prettier-ignore
  expect(product.kernel.result).toMatchObject({ dtype: 'float32', sizes: [6, 30] });
  expect(product.kernel.sources.map(String)).toEqual(['net.ts:2:1']);
  expect(spans.find(({ kernel }) => kernel.operators.includes('sort'))!.kernel.name).toBe('host sort');
  spans.forEach(({ start, duration }, index) => {
    expect(duration).toBeGreaterThanOrEqual(0);
    if (index > 0) expect(start).toBeGreaterThanOrEqual(spans[index - 1].start + spans[index - 1].duration);
  });
  run();
  expect(recorder.spans).toHaveLength(spans.length);
});

test('spans beyond the limit are counted', () => {
  const { run } = compiled();
  const recorder = new KernelRecorder(2);
  recordKernels(recorder, run);
  if (device instanceof CpuDevice) expect([recorder.spans.length, recorder.dropped > 0]).toEqual([2, true]);
});

test('an error ends the recording', () => {
  const recorder = new KernelRecorder();
  expect(() =>
    recordKernels(recorder, () => {
      throw new Error('stop');
    }),
  ).toThrow('stop');
  compiled().run();
  expect(recorder.spans).toEqual([]);
});
