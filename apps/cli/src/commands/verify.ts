// weft verify: does again what PyTorch did in recorded cases and compares, in several processes.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { count } from '@weft/worker';
import type { jit } from 'weft';
import { WeftError } from 'weft';
import { Output } from '../output.ts';
import { casesIn } from '../recorded-cases.ts';
import { onSignal } from '../signals.ts';

interface Flags {
  readonly jobs: number;
  readonly timeout: number;
  readonly filter?: string;
  readonly json?: string;
}

type Status = 'passed' | 'failed' | 'skipped';

interface Outcome {
  readonly name: string;
  readonly status: Status;
  readonly reasons: readonly string[];
  readonly milliseconds: number;
  readonly largestError?: number;
}

export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('run recorded TorchScript cases and compare with what PyTorch answered')
    .argument('<folder>', 'a folder of cases: folders with io.json, tensors.bin and model.pt, at any depth')
    .option('--jobs <count>', 'processes that run cases', count, Math.min(8, availableParallelism()))
    .option('--timeout <seconds>', 'how long one case may take', count, 60)
    .option('--filter <text>', 'only cases whose name contains this')
    .option('--json <file>', 'write the outcome of every case')
    .addHelpText(
      'after',
      '\nA line is printed for each case that fails, and one with the sums. The exit status is 1 when a case fails.',
    )
    .action(verify);
}

async function verify(folder: string, flags: Flags): Promise<void> {
  if (!existsSync(folder)) throw new WeftError(`there is no folder ${folder}`);
  const cases = casesIn(folder)
    .map((path) => ({ path, name: relative(folder, path).split(sep).join('/') || path }))
    .filter(({ name }) => name.includes(flags.filter ?? ''));
  if (cases.length === 0)
    throw new WeftError(
      `${folder} holds no cases${flags.filter === undefined ? '' : ` named like '${flags.filter}'`}: folders with an io.json are expected`,
    );
  const output = new Output();
  const progress = output.isLive ? output.progress(cases.length, 'case') : undefined;
  const outcomes: Outcome[] = [];
  const record = (outcome: Outcome): void => {
    outcomes.push(outcome);
    if (outcome.status === 'failed') {
      const line = `FAILED ${outcome.name}: ${oneLine(outcome.reasons)}`;
      if (progress === undefined) output.line(line);
      else progress.note(line);
    }
    progress?.update(outcomes.length, outcome.name);
  };
  const runners = Array.from({ length: Math.max(1, Math.min(flags.jobs, cases.length)) }, () => new Runner());
  const stop = (): void => runners.forEach((runner) => runner.close());
  const removeHandlers = onSignal((_, status) => {
    stop();
    process.exit(status);
  });
  const queue = [...cases];
  try {
    await Promise.all(
      runners.map(async (runner) => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift())
          record(await runner.run(next.path, next.name, flags.timeout * 1000));
      }),
    );
  } finally {
    progress?.stop();
    stop();
    removeHandlers();
  }
  const number = (status: Status): number => outcomes.filter((outcome) => outcome.status === status).length;
  if (flags.json !== undefined) {
    outcomes.sort((a, b) => (a.name < b.name ? -1 : 1));
    writeFileSync(flags.json, `${JSON.stringify({ cases: outcomes }, null, 1)}\n`);
  }
  output.line(`${number('passed')} passed, ${number('failed')} failed, ${number('skipped')} skipped`);
  if (number('failed') > 0) process.exitCode = 1;
}

const oneLine = (reasons: readonly string[]): string => {
  const [first, ...rest] = reasons;
  const text = first.split('\n')[0];
  return rest.length === 0 ? text : `${text} (and ${rest.length} more)`;
};

/** A process that runs cases; one that hangs or dies is replaced. */
class Runner {
  private child: ChildProcess | undefined;

  async run(path: string, name: string, timeoutMs: number): Promise<Outcome> {
    const child = (this.child ??= await this.start());
    const began = performance.now();
    const result = await new Promise<jit.CaseResult>((resolve) => {
      const finish = (outcome: jit.CaseResult): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        resolve(outcome);
      };
      const timer = setTimeout(() => {
        finish({ passed: false, failures: [`it took longer than ${timeoutMs / 1000} s`] });
        this.close();
      }, timeoutMs);
      child.once('message', (message) => finish(message as jit.CaseResult));
      child.once('exit', (code, signal) => {
        this.child = undefined;
        finish({ passed: false, failures: [`its process ended (${signal ?? `status ${code}`})`] });
      });
      child.once('error', (error) => finish({ passed: false, failures: [error.message] }));
      child.send(path);
    });
    const { failures, skipped, largestError } = result;
    return {
      name,
      status: failures.length > 0 ? 'failed' : skipped === undefined ? 'passed' : 'skipped',
      reasons: failures.length > 0 || skipped === undefined ? failures : [skipped],
      milliseconds: Math.round(performance.now() - began),
      largestError,
    };
  }

  private async start(): Promise<ChildProcess> {
    const child = fork(fileURLToPath(new URL('./verify-process.js', import.meta.url)), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('error', reject);
      child.once('exit', (code) => reject(new WeftError(`a process for cases ended with status ${code}`)));
    });
    child.removeAllListeners();
    return child;
  }

  close(): void {
    this.child?.removeAllListeners();
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }
}
