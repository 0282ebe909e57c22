// Ten thousand calls of compiled and of generated methods leave nothing behind.
import { expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Tensor } from '@weft/tensor';
import { nn, noGrad, rand } from '@weft/tensor';
import { script } from '../script.ts';

class Cell extends nn.Module {
  linear = new nn.Linear(4, 4);
  forward(x: Tensor, h: Tensor): Tensor {
    const y = this.linear.forward(x);
    if (y.sum().item() > 0) return y.add(h).tanh();
    return h.sub(y).tanh();
  }
}

function count(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of text.split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that live objects and their buffers hold. */
function held(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test.each(['tensors', 'text'])('memory does not grow with calls on %s', async (kind) => {
  const cell = script(new Cell());
  const counted = script(count);
  const [x, h] = [rand([3, 4]), rand([3, 4])] as Tensor[];
  const run = (): unknown =>
    kind === 'text' ? counted('a b a c b a') : noGrad(() => cell.forward(x, h) as Tensor);
  // Buffers are given back when finalizers have run, which takes a turn of the event loop.
  const runs = async (times: number): Promise<number> => {
    for (let call = 0; call < times; call++) run();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return held();
  };
  await runs(3000);
  // Tables of the engine grow now and then; what is kept by each call is kept in every round.
  const rounds: number[] = [];
  for (let round = 0; round < 4; round++) rounds.push(await runs(10_000));
  const growth = rounds.slice(1).map((after, round) => after - rounds[round]);
  // A single number kept by each call would be 80 KB.
  expect(Math.min(...growth)).toBeLessThan(80_000);
});
