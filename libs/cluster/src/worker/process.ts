// The entry of a worker that a local cluster starts: the options come as JSON.
import type { WorkerMainOptions } from './main.ts';
import { workerMain } from './main.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as WorkerMainOptions;
void workerMain(options).then((code) => process.exit(code));
