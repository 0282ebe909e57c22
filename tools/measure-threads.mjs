// How much memory several interpreter threads over one archive take: `node tools/measure-threads.mjs ARCHIVE SHAPE [THREADS]`, such as
// `model.pt 1,3,224,224 8` (float32 zeros for `forward`). Linux only, since it reads /proc/self/smaps. Prints a JSON object a line: after
// one thread and after all, bytes of
//   mapped    the archive's mappings, each counted in the share of it that is its own (one copy, however many map it)
//   changed   pages of these mappings that a thread has written, of which it has a copy
//   kept      what compiled programs keep of weights, such as packed kernels
//   process   the whole process, mappings counted in the same way
import { readFileSync, realpathSync } from 'node:fs';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { devices, jit, noGrad, zeros } from '../libs/weft/dist/index.js';

if (isMainThread) await main();
else serve();

function serve() {
  const { archive, shape } = workerData;
  jit.setExecutor({ profileRuns: 0 });
  const module = jit.load(archive);
  const input = zeros(shape);
  // Packed weights are kept from the second run on.
  for (let run = 0; run < 3; run++) noGrad(() => module.forward(input));
  parentPort.on('message', () => {
    module.forward(input);
    process.exit(0);
  });
  parentPort.postMessage(
    jit.executorState(module.method('forward'), module.object).map(({ state }) => state),
  );
}

async function main() {
  const [archive, shape, count = '8'] = process.argv.slice(2);
  if (shape === undefined) throw new Error('usage: node tools/measure-threads.mjs ARCHIVE SHAPE [THREADS]');
  const data = { archive: realpathSync(archive), shape: shape.split(',').map(Number) };
  const workers = [];
  const start = async () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    workers.push(worker);
    const states = await new Promise((resolve, reject) =>
      worker.once('message', resolve).once('error', reject),
    );
    if (!states.includes('compiled')) throw new Error(`forward is not compiled but ${states.join(', ')}`);
  };
  await start();
  console.log(JSON.stringify({ threads: 1, ...memoryOf(data.archive) }));
  while (workers.length < Number(count)) await start();
  console.log(JSON.stringify({ threads: workers.length, ...memoryOf(data.archive) }));
  await Promise.all(workers.map((worker) => worker.terminate()));
}

function memoryOf(archive) {
  const figures = { mapped: 0, changed: 0, kept: devices.keptBytes(), process: 0 };
  let isArchive = false;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isArchive = line.endsWith(archive);
    const [name, value] = line.split(/:\s+/);
    if (name === 'Pss') figures.process += 1024 * parseInt(value, 10);
    if (!isArchive) continue;
    if (name === 'Pss') figures.mapped += 1024 * parseInt(value, 10);
    if (name === 'Private_Dirty' || name === 'Shared_Dirty') figures.changed += 1024 * parseInt(value, 10);
  }
  return figures;
}
