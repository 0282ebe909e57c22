export * from './plan/program.ts';
