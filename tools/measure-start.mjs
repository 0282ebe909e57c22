// How long a program waits for weft: processes that import it, add two tensors and print the sum, one after the other.
// `node tools/measure-start.mjs [processes] [checkout …]`: several built checkouts take turns, so that they are comparable. Prints the
// fastest and the median in milliseconds, from the import's begin; last the `weft` command, whole: `weft --help`.
import { execFileSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const [processes = '10', ...checkouts] = process.argv.slice(2);

const program = (weft) => `
const begin = performance.now();
const { tensor } = await import(${JSON.stringify(weft)});
const imported = performance.now();
const text = String(tensor([1, 2, 3]).add(tensor([4, 5, 6])));
console.log(text);
const done = performance.now();
const { user, system } = process.cpuUsage();
console.log(JSON.stringify([imported - begin, done - begin, (user + system) / 1000]));`;

function timesOf(root) {
  const weft = pathToFileURL(join(root, 'libs/weft/dist/index.js')).href;
  const out = execFileSync(process.execPath, ['--input-type=module', '--eval', program(weft)], { encoding: 'utf8' }); // prettier-ignore
  const begin = performance.now();
  execFileSync(process.execPath, [join(root, 'apps/cli/bin/weft.mjs'), '--help']);
  return [...JSON.parse(out.trim().split('\n').at(-1)), performance.now() - begin];
}

const roots = checkouts.length === 0 ? [here] : checkouts.map((path) => resolve(path));
const runs = roots.map(() => []);
for (let run = 0; run < Number(processes); run++)
  for (const [index, root] of roots.entries()) runs[index].push(timesOf(root));
for (const [index, root] of roots.entries()) {
  if (roots.length > 1) console.log(root);
  for (const [figure, name] of ['import', 'first result', 'processor, in all', 'weft --help'].entries()) {
    const times = runs[index].map((run) => run[figure]).sort((a, b) => a - b);
    console.log(`${name.padEnd(18)} min ${times[0].toFixed(0).padStart(5)} ms   median ${times[times.length >> 1].toFixed(0).padStart(5)} ms`); // prettier-ignore
  }
}
