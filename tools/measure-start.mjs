// How long a program waits for weft: processes that import it, add two tensors and print the sum, one after the other.
// `node tools/measure-start.mjs [processes]`; prints the fastest and the median in milliseconds, from the import's begin.
import { execFileSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const weft = pathToFileURL(join(root, 'libs/weft/dist/index.js')).href;
const program = `
const begin = performance.now();
const { tensor } = await import(${JSON.stringify(weft)});
const imported = performance.now();
const text = String(tensor([1, 2, 3]).add(tensor([4, 5, 6])));
console.log(text);
const done = performance.now();
const { user, system } = process.cpuUsage();
console.log(JSON.stringify([imported - begin, done - begin, (user + system) / 1000]));`;

const processes = Number(process.argv[2] ?? 10);
const runs = Array.from({ length: processes }, () => {
  const out = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }); // prettier-ignore
  return JSON.parse(out.trim().split('\n').at(-1));
});
for (const [index, name] of ['import', 'first result', 'processor, in all'].entries()) {
  const times = runs.map((run) => run[index]).sort((a, b) => a - b);
  console.log(`${name.padEnd(18)} min ${times[0].toFixed(0).padStart(5)} ms   median ${times[times.length >> 1].toFixed(0).padStart(5)} ms`); // prettier-ignore
}
