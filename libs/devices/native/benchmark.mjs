// Figures of the cpu device on this machine: `node libs/devices/native/benchmark.mjs [filter]` after a build. Each is the best of many
// runs, so that a busy machine disturbs it least; `reference` adds the reference device, `WEFT_CPU_THREADS` sets the threads.
import { CoreBuilder, Graph, dtypes, numel, tensorSpec } from '@weft/ir';
import { cpuDevice, referenceDevice } from '@weft/devices';

const f32 = (...sizes) => tensorSpec('float32', sizes);
const product = (b, x, y, lhs = 1, rhs = 0) =>
  b.dotGeneral(x, y, { lhsContracting: [lhs], rhsContracting: [rhs] });
const unary = (name) => (b, x) => b.emit(name, [x])[0];
const conv = (padding, stride = 1, featureGroupCount = 1) => (b, x, w) =>
  b.convolution(x, w, { windowStrides: [stride, stride], padding: [[padding, padding], [padding, padding]], featureGroupCount }); // prettier-ignore
const size = 1 << 22;

/** Products by shape: operands as they are, and with the right, the left or both stored the other way. */
const layouts = { '': [1, 0], ', right turned': [1, 1], ', left turned': [0, 0] };
const grid = [
  ...[32, 128, 256, 512, 1024, 2048, 4096].map((n) => [n, n, n]),
  ...[1, 2, 4, 8, 16, 64].flatMap((rows) => [[rows, 512, 512], [rows, 4096, 1024]]),
  [128, 512, 784], [128, 768, 3072], [128, 10, 512], [512, 784, 128], [100, 100, 100],
]; // prettier-ignore
const products = grid.flatMap(([rows, columns, depth]) =>
  Object.entries(layouts)
    .filter(([layout]) => layout === '' || rows < 4096)
    .map(([layout, [lhs, rhs]]) => {
      const inputs = [f32(...(lhs === 1 ? [rows, depth] : [depth, rows])), f32(...(rhs === 0 ? [depth, columns] : [columns, depth]))]; // prettier-ignore
      return [
        `product ${rows}x${columns}x${depth}${layout}`,
        inputs,
        (b, x, y) => product(b, x, y, lhs, rhs),
      ];
    }),
);
const heads = (lhs, rhs) => (b, x, y) =>
  b.dotGeneral(x, y, { lhsBatching: [0], rhsBatching: [0], lhsContracting: [lhs], rhsContracting: [rhs] });

/** Products of numbers narrower than a word, right operand as layers have their weights. */
const narrow = [[1, 4096, 1024], [16, 768, 768], [128, 768, 3072], [1024, 1024, 1024]].flatMap(([rows, columns, depth]) =>
  [['bfloat16', 'bfloat16'], ['bfloat16', 'float32'], ['int8', 'int32']].map(([dtype, result]) => [
    `narrow product ${rows}x${columns}x${depth}, ${dtype} to ${result}`,
    [tensorSpec(dtype, [rows, depth]), tensorSpec(dtype, [columns, depth])],
    (b, x, y) => b.dotGeneral(x, y, { lhsContracting: [1], rhsContracting: [1] }, result),
  ]),
); // prettier-ignore

/** Name, inputs, graph, constant inputs. Flops are those of products; bytes those of inputs and outputs. */
const cases = [
  ['call of one element', [f32(1), f32(1)], (b, x, y) => b.add(x, y)],
  ['call of a perceptron 1x8-16-4', [f32(1, 8), f32(8, 16), f32(16, 4)], (b, x, v, w) => product(b, b.tanh(product(b, x, v)), w)],
  ...products,
  ...narrow,
  ['linear 16x768x768, constant', [f32(16, 768), f32(768, 768)], (b, x, y) => product(b, x, y, 1, 1), [1]],
  ['linear 128x768x3072, constant', [f32(128, 768), f32(3072, 768)], (b, x, y) => product(b, x, y, 1, 1), [1]],
  ['product of 12 heads 128x128x64', [f32(12, 128, 64), f32(12, 128, 64)], heads(2, 2)],
  ['product of 12 heads 128x64x128', [f32(12, 128, 128), f32(12, 128, 64)], heads(2, 1)],
  ['convolution 7x7/2 3-64, 224', [f32(1, 3, 224, 224), f32(64, 3, 7, 7)], conv(3, 2), [1]],
  ['convolution 3x3 64, 56', [f32(1, 64, 56, 56), f32(64, 64, 3, 3)], conv(1), [1]],
  ['convolution 3x3/2 64-128, 56', [f32(1, 64, 56, 56), f32(128, 64, 3, 3)], conv(1, 2), [1]],
  ['convolution 3x3 256, 14', [f32(1, 256, 14, 14), f32(256, 256, 3, 3)], conv(1), [1]],
  ['convolution 3x3 512, 7', [f32(1, 512, 7, 7), f32(512, 512, 3, 3)], conv(1), [1]],
  ['convolution 1x1 64-256, 56', [f32(1, 64, 56, 56), f32(256, 64, 1, 1)], conv(0), [1]],
  ['convolution depthwise 3x3 128, 56', [f32(1, 128, 56, 56), f32(128, 1, 3, 3)], conv(1, 1, 128), [1]],
  ['triad', [f32(size), f32(size)], (b, x, y) => b.add(x, b.multiply(y, b.full(3, 'float32', [size])))],
  ['bias and relu 4096x1024', [f32(4096, 1024), f32(1024)], (b, x, y) => b.maximum(b.add(x, b.broadcastInDim(y, [4096, 1024], [1])), b.full(0, 'float32', [4096, 1024]))],
  ...['exponential', 'log', 'tanh', 'erf', 'logistic', 'sine'].map((name) => [`${name} 65536`, [f32(65536)], unary(name)]),
  ['sum 4096x1024 along rows', [f32(4096, 1024)], (b, x) => b.reduceSum(x, [1])],
  ['sum 4096x1024 down columns', [f32(4096, 1024)], (b, x) => b.reduceSum(x, [0])],
  ['transpose 2048x2048', [f32(2048, 2048)], (b, x) => b.transpose(x, [1, 0])],
]; // prettier-ignore

function measure(device, specs, build, constantInputs) {
  const graph = new Graph();
  const b = new CoreBuilder(graph);
  const values = specs.map((spec) => b.input(spec));
  graph.addOutput(build(b, ...values));
  const bytesOf = ({ dtype, sizes }) => numel(sizes) * dtypes[dtype].bytes;
  const view = (spec) => ({ buffer: device.allocate(bytesOf(spec)), byteOffset: 0, spec });
  const inputs = specs.map(view);
  for (const { buffer } of inputs) {
    const array = new Float32Array(buffer.bytes.buffer, buffer.bytes.byteOffset, buffer.byteLength / 4);
    array.forEach((_, index) => (array[index] = ((index * 7919) % 1000) / 1000));
  }
  const outputs = graph.outputs.map((output) => view(output.type));
  const executable = device.compile(graph, { constantInputs });
  const bytes = [...inputs, ...outputs].reduce((sum, { spec }) => sum + bytesOf(spec), 0);
  let best = Infinity;
  let repeat = 1;
  const end = performance.now() + 400;
  do {
    const start = performance.now();
    for (let round = 0; round < repeat; round++) executable.run(inputs, outputs);
    const each = (performance.now() - start) / repeat;
    best = Math.min(best, each);
    if (each * repeat < 0.2) repeat *= 2;
  } while (performance.now() < end);
  return { seconds: best / 1000, flops: executable.cost.flops, bytes };
}

const [filter = ''] = process.argv.slice(2).filter((each) => each !== 'reference');
const devices = process.argv.includes('reference') ? [cpuDevice(), referenceDevice()] : [cpuDevice()];
console.log(devices.map(({ info }) => info.name).join(', '));
const peak = devices[0].info.flops;
console.log(`${(peak / 1e9).toFixed(1)} GFLOP/s of multiply-adds at most`);
for (const [name, specs, build, constants] of cases) {
  if (!name.includes(filter)) continue;
  const columns = devices.map((device) => {
    const { seconds, flops, bytes } = measure(device, specs, build, constants);
    const rate = /product|linear|convolution/.test(name)
      ? `${(flops / seconds / 1e9).toFixed(1)} GFLOP/s ${((100 * flops) / seconds / peak).toFixed(0).padStart(3)} %`
      : `${(bytes / seconds / 1e9).toFixed(1)} GB/s`;
    return `${(seconds * 1e6).toFixed(2).padStart(11)} µs ${rate.padStart(21)}`;
  });
  console.log(`${name.padEnd(38)}${columns.join('   ')}`);
}
