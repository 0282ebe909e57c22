// The entry of a worker that a local cluster starts: the options come as JSON.
import module from 'node:module';
import type { WorkerMainOptions } from './main.ts';

// Node 22 and later keep compiled code from start to start.
(module as { enableCompileCache?: () => void }).enableCompileCache?.();
const { workerMain } = await import('./main.ts');
const options = JSON.parse(process.argv[2] ?? '{}') as WorkerMainOptions;
process.exit(await workerMain(options));
