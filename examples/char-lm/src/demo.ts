// The whole way in one run: a model written in TypeScript is scripted, trained data-parallel over two worker processes, saved as
// a TorchScript archive, loaded again, split in two pipeline stages over the two workers, and asked to write.
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import type { LocalCluster, Tensor } from 'weft';
import {
  Tensor as TensorClass,
  describeServing,
  fromTypedArray,
  hostDevice,
  ir,
  jit,
  noGrad,
  prepareTraining,
  startLocalCluster,
  submitServing,
  submitTraining,
} from 'weft';
import type { CharLm } from './model.ts';
import { Vocabulary, holdOut, readText, unigramEntropy } from './text.ts';
import trainingOf from './train.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', default: root },
    steps: { type: 'string', default: '300' },
    workers: { type: 'string', default: '2' },
    characters: { type: 'string', default: '300' },
    output: { type: 'string', default: join(root, 'tmp', 'char-lm.pt') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (options.help) {
  console.log(
    `usage: npm run demo -- [--data FILE|FOLDER] [--steps 300] [--workers 2] [--characters 300] [--output char-lm.pt]`,
  );
  process.exit(0);
}

let cluster: LocalCluster | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    process.stdout.write('\nstopping\n');
    void (cluster?.close() ?? Promise.resolve()).then(() => process.exit(130));
  });
}

const began = performance.now();
const say = (text: string): void =>
  console.log(`\n[${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s] ${text}`);

try {
  await demo();
} finally {
  await cluster?.close();
}

async function demo(): Promise<void> {
  const definition = trainingOf({ data: options.data, steps: options.steps });
  const context = definition.data.length;
  const text = readText(options.data);
  const vocabulary = Vocabulary.of(text);
  const tokens = vocabulary.encode(text);
  const { training, heldOut } = holdOut(tokens, 16 * context + 1);
  const entropy = unigramEntropy(training);
  say(
    `text: ${tokens.length} characters, ${vocabulary.size} different; guessing by frequency costs ${entropy.toFixed(3)} nats each`,
  );
  console.log(
    `  every tenth passage of ${heldOut[0].length} characters is held out: ${heldOut.length} of them`,
  );

  const workers = Number(options.workers);
  const module = definition.module as CharLm;
  const parameters = [...module.parameters()].reduce((sum, parameter) => sum + parameter.data.length, 0);
  say(
    `scripting a transformer of ${parameters} parameters, and planning its training over ${workers} data shards`,
  );
  const prepared = prepareTraining({
    ...definition,
    data: { ...definition.data, tokens: training },
    mesh: { data: workers },
  });

  say(`starting a scheduler and ${workers} workers`);
  cluster = await startLocalCluster({ workers });
  const { client } = cluster;

  say(`training for ${prepared.steps} steps`);
  const job = await submitTraining(client, prepared);
  const trained = await follow(job, prepared.steps, entropy);

  const state = await client.state(job);
  for (const [name, own] of module.stateDict())
    own.detach().copy_(TensorClass.fromLiteral(state.get(name)!, hostDevice()));
  const scripted = jit.script(module);
  const loss = validationLoss(scripted, heldOut, context);

  mkdirSync(dirname(options.output), { recursive: true });
  jit.save(scripted, options.output, {
    extraFiles: { 'vocabulary.json': JSON.stringify(vocabulary.characters) },
  });
  say(`saved ${options.output}`);

  const extraFiles: Record<string, string> = { 'vocabulary.json': '' };
  const loaded = jit.load(options.output, { extraFiles });
  const characters = new Vocabulary(JSON.parse(extraFiles['vocabulary.json']) as string[]);
  const lowered = jit.lowerModule(loaded.object, 'forward', [ir.tensorSpec('int64', [1, context])]);
  say(`loaded it again, and split it in 2 pipeline stages over the workers`);
  const serving = await submitServing(
    client,
    'char-lm',
    describeServing(lowered, { pipeline: Math.min(2, workers) }),
  );
  const written = await generate(
    serving,
    characters,
    heldOut[0].subarray(0, context),
    Number(options.characters),
  );
  await client.cancel(serving);

  say('done');
  const bits = (nats: number): string => `${nats.toFixed(3)} nats, ${(nats / Math.LN2).toFixed(2)} bits`;
  const guess = unigramEntropy(heldOut.flatMap((passage) => [...passage]));
  console.log(`  what a character costs (the less, the better it is foreseen):`);
  console.log(`    guessed evenly       ${bits(Math.log(vocabulary.size))}: all ${vocabulary.size} alike`);
  console.log(`    guessed by frequency ${bits(guess)}: its share of the held-out passages`);
  console.log(`    by the model         ${bits(loss)}: the same passages, which it was not trained on`);
  console.log(`    in training          ${bits(trained)}: mean of about the last 20 steps`);
  console.log(
    `  what it writes after ${JSON.stringify(characters.decode(heldOut[0].subarray(0, context)))}, held out:`,
  );
  console.log(`    ${JSON.stringify(characters.decode(written))}`);
}

/** Shows the steps as they are made; returns the loss of the last ones. */
async function follow(job: string, steps: number, entropy: number): Promise<number> {
  const { client } = cluster!;
  const isLive = process.stdout.isTTY === true;
  const format = '  step {value}/{total} {bar} loss {loss} (entropy {entropy})  {eta_formatted} left';
  const bar = isLive ? new SingleBar({ format, barsize: 28, hideCursor: true, fps: 8 }) : undefined;
  bar?.start(steps, 0, { loss: '-', entropy: entropy.toFixed(3) });
  let average = 0;
  try {
    await client.finished(job, ({ report, results }) => {
      if (report.kind === 'checkpoint' && !isLive) console.log(`  checkpoint at step ${report.step}`);
      if (report.kind !== 'step') return;
      const loss = TensorClass.fromLiteral(results.get('loss')!, hostDevice()).item();
      average = report.step === 1 ? loss : 0.95 * average + 0.05 * loss;
      bar?.update(report.step, { loss: average.toFixed(3) });
      if (!isLive && (report.step % Math.ceil(steps / 10) === 0 || report.step === 1)) {
        console.log(`  step ${report.step}/${steps}  loss ${average.toFixed(3)}`);
      }
    });
  } finally {
    bar?.stop();
  }
  return average;
}

/** Mean loss over the windows of all passages, each of a number of windows and one character more. */
function validationLoss(
  module: jit.Scripted<CharLm>,
  passages: readonly Uint8Array[],
  length: number,
): number {
  const losses = passages.map((passage) => {
    const windows = (passage.length - 1) / length;
    const rows = (offset: number): Tensor => {
      const data = BigInt64Array.from(passage.subarray(offset, offset + windows * length), BigInt);
      return fromTypedArray(data, [windows, length]);
    };
    return noGrad(() => (module.loss(rows(0), rows(1)) as Tensor).item());
  });
  return losses.reduce((sum, loss) => sum + loss) / losses.length;
}

/** Continues `prompt` by sampling, one run of the pipeline a character. */
async function generate(
  job: string,
  vocabulary: Vocabulary,
  prompt: Uint8Array,
  count: number,
): Promise<number[]> {
  const { client } = cluster!;
  const window = [...prompt];
  const written: number[] = [];
  let seed = 1;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let index = 0; index < count; index++) {
    const input = new ir.TensorLiteral(
      'int64',
      [1, window.length],
      new Uint8Array(BigInt64Array.from(window, BigInt).buffer),
    );
    const logits = (await client.run(job, new Map([['input', input]]))).get('output')!;
    const all = new Float32Array(logits.bytes.slice().buffer);
    const next = sample(all.subarray(all.length - vocabulary.size), 0.7, random());
    written.push(next);
    window.shift();
    window.push(next);
  }
  return written;
}

/** A token drawn from softmax(logits / temperature), by a uniform number. */
function sample(logits: Float32Array, temperature: number, uniform: number): number {
  const most = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - most) / temperature));
  let rest = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  const token = weights.findIndex((weight) => (rest -= weight) <= 0);
  return token < 0 ? logits.length - 1 : token;
}
