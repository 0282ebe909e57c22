// The TypeScript compiler, loaded when something is scripted for the first time: it is large, and processes that only run
// graphs never need it.
import { createRequire } from 'node:module';
import type TS from 'typescript';

let loaded: typeof TS | undefined;
const load = (): typeof TS => (loaded ??= createRequire(import.meta.url)('typescript') as typeof TS);

/** `typescript`, for its functions; take types from the package itself. */
export const ts: typeof TS = new Proxy({} as typeof TS, {
  get: (_, name) => load()[name as keyof typeof TS],
});
