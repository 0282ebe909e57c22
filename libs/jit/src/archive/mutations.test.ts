// Thousands of damaged archives, saved data and IR texts: each gives a value or an error of ours, soon. A failure names the
// number of the mutation, which it follows from alone. WEFT_MUTATIONS=50 makes 50 times as many.
import { describe, expect, test } from '@jest/globals';
import { WeftError, parseGraph, verifyGraph } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import {
  F,
  Parameter,
  arange,
  io,
  load as loadData,
  nn,
  saveToBytes as dataToBytes,
  tensor,
} from '@weft/tensor';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { script } from '../script.ts';
import { load, saveToBytes } from './index.ts';

const times = Number(process.env.WEFT_MUTATIONS ?? 1);
/** No mutation may take longer, however busy the machine. */
const mostMilliseconds = 5000;

class Small extends nn.Module {
  linear = new nn.Linear(2, 2);
  sizes = [1, 2, 3];
  forward(x: Tensor, n: number): Tensor {
    let y = this.linear.forward(x);
    for (const size of this.sizes) {
      if (n > size) y = F.relu(y).add(size);
      else y = y.mul(2.5);
    }
    return y;
  }
}

/** Numbers below a limit, the same for the same seed. */
function numbersFrom(seed: number): (limit: number) => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
}

/** Up to four changes: bytes set, cut out, doubled, moved or replaced by what formats treat as special. */
function mutated(bytes: Uint8Array, random: (limit: number) => number): Uint8Array {
  let result = Buffer.from(bytes);
  for (let change = 1 + random(4); change > 0; change--) {
    const at = random(result.length + 1);
    const end = Math.min(result.length, at + 1 + random(16));
    const part = result.subarray(at, end);
    const [before, after] = [result.subarray(0, at), result.subarray(end)];
    switch (random(6)) {
      case 0:
        result = Buffer.concat([before, after]);
        break;
      case 1:
        result = Buffer.concat([before, part, part, after]);
        break;
      case 2: {
        const to = random(result.length + 1);
        result = Buffer.concat([before, result.subarray(to, to + part.length), after]);
        break;
      }
      case 3:
        result = Buffer.concat([
          before,
          Buffer.alloc(part.length, [0, 255, 40, 41, 0x80, 48][random(6)]),
          after,
        ]);
        break;
      default:
        if (at < result.length) result[at] = random(256);
    }
  }
  return result;
}

/** Runs `use` on mutations; everything that it throws must be an error of ours. */
function mutate(count: number, sources: readonly Uint8Array[], use: (bytes: Uint8Array) => void): void {
  for (let number = 0; number < count * times; number++) {
    const random = numbersFrom(number + 1);
    const bytes = mutated(sources[number % sources.length], random);
    const started = performance.now();
    try {
      use(bytes);
    } catch (error) {
      if (!(error instanceof WeftError)) throw new Error(`mutation ${number}`, { cause: error });
    }
    const took = performance.now() - started;
    if (took > mostMilliseconds) throw new Error(`mutation ${number} took ${Math.round(took)} ms`);
  }
}

/** Mutations of one record, in an archive whose checksums are right. */
function mutateRecords(
  count: number,
  archive: Uint8Array,
  chosen: RegExp,
  use: (bytes: Uint8Array) => void,
): void {
  const zip = new io.ZipFile(new io.MemorySource(archive), 'whole.pt');
  for (const name of zip.names.filter((each) => chosen.test(each))) {
    mutate(count, [zip.read(name)], (record) => {
      const pieces: Uint8Array[] = [];
      const writer = new io.ZipWriter((bytes) => pieces.push(bytes.slice()));
      for (const each of zip.names) writer.add(each, each === name ? record : zip.read(each));
      writer.finish();
      use(Buffer.concat(pieces));
    });
  }
}

describe('mutations end in a value or an error of ours', () => {
  const archive = saveToBytes(script(new Small()));
  const shared = arange(6);
  const data = dataToBytes({
    model: new Map([['weight', new Parameter(tensor([1, 2.5]))]]),
    views: [shared, shared.reshape([2, 3]).t()],
    plain: [1, -2, 0.5, 'text', null, true, Object.freeze([1n << 60n])],
  });
  const use = (bytes: Uint8Array): void => void load(bytes).code;

  test('archives', () => mutate(5000, [archive], use), 600_000 * times);
  test(
    'pickles and versions of archives',
    () => mutateRecords(1200, archive, /pkl$|version$/, (bytes) => void load(bytes)),
    600_000 * times,
  );
  test('code of archives', () => mutateRecords(1000, archive, /\.py$/, use), 600_000 * times);
  test('saved data', () => mutate(4000, [data], loadData), 600_000 * times);
  test('pickles of saved data', () => mutateRecords(4000, data, /data\.pkl$/, loadData), 600_000 * times);
  test(
    'IR text',
    () => {
      const folder = join(__dirname, '../passes/filetests');
      const texts = readdirSync(folder).flatMap((file) =>
        readFileSync(join(folder, file), 'utf8').match(/^graph\([\s\S]*?^ {2}return .*$/gm),
      );
      const sources = texts.flatMap((text) => (text === null ? [] : [Buffer.from(text)]));
      expect(sources.length).toBeGreaterThan(20);
      mutate(6000, sources, (bytes) => verifyGraph(parseGraph(Buffer.from(bytes).toString())));
    },
    600_000 * times,
  );
});
