import { expect, test } from '@jest/globals';
import type { Graph, TensorLiteral, TensorSpec, Value } from '@weft/ir';
import { CoreBuilder, UnsupportedError } from '@weft/ir';
import { graphOfCase } from './conformance/run.ts';
import { modelCases } from './conformance/models.ts';
import { difference } from './conformance/compare.ts';
import { vector } from './conformance/case.ts';
import type { Device } from './device.ts';
import { allocateTensor, downloadLiteral, executeOnHost, readLiteral, uploadLiteral } from './host.ts';
import { compileForDevices, explainPlacement, HeterogeneousExecutable } from './partition.ts';
import { referenceDevice } from './reference/device.ts';

const base = referenceDevice();

/** The reference device under another name, claiming only some operators; `hidden` memory is not shown to the host. */
function partial(type: string, operators: readonly string[], hidden = false): Device {
  const inner = new WeakMap<object, ReturnType<Device['allocate']>>();
  const unwrap = (view: { buffer: object }) =>
    ({ ...view, buffer: inner.get(view.buffer) ?? view.buffer }) as never;
  return {
    info: { ...base.info, type },
    allocate: (bytes) => {
      const real = base.allocate(bytes);
      if (!hidden) return real;
      const shell = { byteLength: bytes, free: () => real.free() };
      inner.set(shell, real);
      return shell;
    },
    write: (to, offset, from) => base.write(inner.get(to) ?? to, offset, from),
    read: async (from, offset, to) => base.read(inner.get(from) ?? from, offset, to),
    supports: (node) =>
      operators.includes(node.kind === 'core::composite' ? node.get('s', 'name') : node.operator),
    synchronize: () => Promise.resolve(),
    compile: (graph, options) => {
      for (const node of graph.nodes()) {
        if (node.kind !== 'core::constant' && !operators.includes(node.operator)) throw new Error(node.kind);
      }
      const executable = base.compile(graph, options);
      return {
        memory: executable.memory,
        cost: executable.cost,
        run: (inputs, outputs) => executable.run(inputs.map(unwrap), outputs.map(unwrap)),
      };
    },
  };
}

function run(graph: Graph, inputs: readonly TensorLiteral[], devices: readonly Device[]): TensorLiteral[] {
  const outputs = graph.outputs.map((output) => allocateTensor(devices[0], output.type as TensorSpec));
  const given = inputs.map((input) => uploadLiteral(devices[0], input));
  compileForDevices(graph, devices).run(given, outputs);
  return outputs.map(readLiteral);
}

function graphOf(build: (b: CoreBuilder, x: Value) => Value[]): Graph {
  const b = new CoreBuilder();
  const x = b.input({ kind: 'Tensor', dtype: 'float32', sizes: [3] });
  for (const output of build(b, x)) b.graph.addOutput(output);
  return b.graph;
}
const x = vector('float32', [1, 2, 3]);

test.each([
  '',
  'add',
  'multiply,subtract',
  'dot_general',
  'exponential,divide,reduce',
  'broadcast_in_dim,add',
])('models split over a device with {%s} and the reference device compute the same', (names) => {
  for (const model of modelCases()) {
    const graph = graphOfCase(model);
    const before = [...graph.nodes()].length;
    const outputs = run(graph, model.inputs, [partial('few', names.split(',')), base]);
    outputs.forEach((output, index) => expect(difference(output, model.expected[index], 1e-6)).toBeUndefined()); // prettier-ignore
    expect([...graph.nodes()].length).toBe(before);
  }
});

test('the placement says where each node goes and why', () => {
  const graph = graphOf((b, value) => [
    b.composite('twice', [b.negate(value)], {}, (r, y) => [r.tanh(r.add(y, y))])[0],
    ...b.composite('whole', [value], {}, (r, y) => [r.abs(y)]),
  ]);
  const devices = [partial('first', ['add', 'whole']), partial('second', ['negate', 'tanh', 'abs'])];
  expect(explainPlacement(graph, devices)).toEqual([
    { node: 'core::negate(float32[3])', device: 'second:0', why: 'not supported by first:0' },
    { node: 'core::add(float32[3], float32[3])', device: 'first:0', why: 'first device in the order' },
    { node: 'core::tanh(float32[3])', device: 'second:0', why: 'not supported by first:0' },
    { node: "composite 'whole'(float32[3])", device: 'first:0', why: 'claims the composite; first device in the order' }, // prettier-ignore
  ]);
});

test('a node that no device supports is named with the devices and the remedy', () => {
  const graph = graphOf((b, value) => [b.cosine(value)]);
  const compile = () => compileForDevices(graph, [partial('one', ['add']), partial('two', ['negate'])]);
  expect(compile).toThrow(UnsupportedError);
  expect(compile).toThrow("core::cosine(float32[3]) is supported by none of one:0, two:0: add a device that supports it, for example 'reference'"); // prettier-ignore
});

test('inputs, constants and one value twice are outputs too', () => {
  const graph = graphOf((b, value) => {
    const negative = b.negate(value);
    const both = b.add(negative, negative);
    return [value, b.constant(x), both, both, negative];
  });
  const values = run(graph, [x], [partial('adder', ['add']), base]).map((out) => [
    ...new Float32Array(out.bytes.buffer),
  ]);
  expect(values).toEqual([[1, 2, 3], [1, 2, 3], [-2, -4, -6], [-2, -4, -6], [-1, -2, -3]]); // prettier-ignore
});

test('a device that hides its memory needs runAsync, and gets it', async () => {
  const graph = graphOf((b, value) => [b.tanh(b.add(b.negate(value), value))]);
  const hidden = partial('hidden', ['add', 'tanh'], true);
  const executable = compileForDevices(graph, [hidden, base]) as HeterogeneousExecutable;
  const input = allocateTensor(hidden, { kind: 'Tensor', dtype: 'float32', sizes: [3] });
  hidden.write(input.buffer, 0, x.bytes);
  const output = allocateTensor(hidden, input.spec);
  expect(() => executable.run([input], [output])).toThrow('use runAsync');
  await executable.runAsync([input], [output]);
  expect([...new Float32Array((await downloadLiteral(hidden, output)).bytes.buffer)]).toEqual([0, 0, 0]);
});

test('one device that supports all gets the graph whole', () => {
  const graph = graphOf((b, value) => [b.tanh(value)]);
  expect(compileForDevices(graph, [base])).not.toBeInstanceOf(HeterogeneousExecutable);
  expect(executeOnHost(graph, [x])).toHaveLength(1);
});
