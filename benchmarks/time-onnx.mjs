// Times one recorded case with ONNX Runtime: `time-onnx.mjs FOLDER THREADS RUNS` prints milliseconds and bytes at the peak as JSON.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [folder, threads, runs] = process.argv.slice(2);
const record = JSON.parse(readFileSync(join(folder, 'io.json'), 'utf8'));
const { buffer, byteOffset } = readFileSync(join(folder, 'tensors.bin'));
const session = await InferenceSession.create(join(folder, 'model.onnx'), {
  intraOpNumThreads: Number(threads),
});
const inputs = record.calls[0].inputs.map(({ tensor: { dtype, shape, offset } }) => {
  const count = shape.reduce((product, size) => product * size, 1);
  const Elements = dtype === 'int64' ? BigInt64Array : Float32Array;
  const start = byteOffset + offset;
  const bytes = buffer.slice(start, start + count * Elements.BYTES_PER_ELEMENT);
  return new Tensor(dtype, new Elements(bytes), shape);
});
const feeds = Object.fromEntries(session.inputNames.map((name, index) => [name, inputs[index]]));
// The warm-up that the others have.
const begin = performance.now();
for (let run = 0; run < 4 || performance.now() < begin + (run < 10_000 ? 2000 : 500); run++)
  await session.run(feeds);
const times = [];
for (let run = 0; run < Number(runs); run++) {
  const start = performance.now();
  await session.run(feeds);
  times.push(performance.now() - start);
}
const median = times.sort((a, b) => a - b)[times.length >> 1];
console.log(JSON.stringify({ median, memory: 1024 * process.resourceUsage().maxRSS }));
