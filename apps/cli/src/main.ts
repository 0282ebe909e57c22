// The `weft` command: one file a subcommand in commands/.
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { WeftError } from 'weft';
import { benchCommand } from './commands/bench.ts';
import { deviceCommand } from './commands/device.ts';
import { explainCommand } from './commands/explain.ts';
import { inspectCommand } from './commands/inspect.ts';
import { profileCommand } from './commands/profile.ts';
import { runCommand } from './commands/run.ts';
import { schedulerCommand } from './commands/scheduler.ts';
import { statusCommand } from './commands/status.ts';
import { trainCommand } from './commands/train.ts';
import { upCommand } from './commands/up.ts';
import { verifyCommand } from './commands/verify.ts';
import { workerCommand } from './commands/worker.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

const commands = [
  trainCommand,
  runCommand,
  explainCommand,
  inspectCommand,
  upCommand,
  schedulerCommand,
  workerCommand,
  statusCommand,
  deviceCommand,
  verifyCommand,
  benchCommand,
  profileCommand,
];

export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads the output may have seen enough: `weft … | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const program = new Command('weft')
    .description('PyTorch-style programs in TypeScript: scripted, compiled, and spread over machines')
    .version(version)
    .showHelpAfterError();
  for (const command of commands) command(program);
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.stderr.write(`weft: ${describe(error)}\n`);
    process.exitCode = 1;
  }
}

/** Users' mistakes as they are; anything else with its stack, since it is a defect. */
function describe(error: unknown): string {
  if (error instanceof WeftError)
    return process.env.WEFT_STACK === undefined ? error.message : (error.stack ?? error.message);
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
