export * from './plan/program.ts';
export * from './errors.ts';
export * from './transport/transport.ts';
export * from './transport/in-memory.ts';
export * from './collectives/collectives.ts';
export * from './runner/program-runner.ts';
export * from './runner/progress.ts';
