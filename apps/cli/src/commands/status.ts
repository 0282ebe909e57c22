// weft status: who is in a cluster and what it works on.
import type { Command } from 'commander';
import { defaultPort } from '@weft/scheduler';
import type { ClusterStatus } from 'weft';
import { ClusterClient } from 'weft';
import { Output, formatBytes } from '../output.ts';

export function statusCommand(program: Command): void {
  program
    .command('status')
    .description('show the workers and jobs of a cluster')
    .option('--scheduler <host:port>', 'address of the scheduler', `127.0.0.1:${defaultPort}`)
    .option('--json', 'one JSON object')
    .action(async (flags: { readonly scheduler: string; readonly json?: boolean }) => {
      const output = new Output(flags);
      const client = await ClusterClient.connect(flags.scheduler);
      try {
        const status = await client.status();
        output.record('status', { address: client.address, ...status });
        if (!output.isJson) print(output, client.address, status);
      } finally {
        client.close();
      }
    });
}

function print(output: Output, address: string, { workers, jobs }: ClusterStatus): void {
  output.line(`scheduler ${address}: ${counted(workers.length, 'worker')}, ${counted(jobs.length, 'job')}`);
  if (workers.length > 0) {
    output.line();
    output.table(
      ['worker', 'state', 'host', 'process', 'devices', 'memory', 'doing'],
      workers.map(({ worker, state, host, pid, devices, progress }) => [
        worker,
        state,
        host,
        pid,
        devices.map(({ type, index }) => `${type}:${index}`).join(', '),
        formatBytes(devices.reduce((sum, { memory }) => sum + memory, 0)),
        progress.map(({ job, step, doing }) => `${job} step ${step}: ${doing}`).join('; ') || '-',
      ]),
    );
  }
  if (jobs.length > 0) {
    output.line();
    output.table(
      ['job', 'name', 'state', 'step', 'workers', 'checkpoint', 'error'],
      jobs.map(({ job, name, state, committed, steps, workers: on, checkpoint, error }) => [
        job,
        name,
        state,
        steps > 0 ? `${committed}/${steps}` : '-',
        on.join(', ') || '-',
        checkpoint || '-',
        error || '-',
      ]),
    );
  }
}

const counted = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
