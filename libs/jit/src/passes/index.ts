// Passes: importing this registers weft's own. Users' passes and rewrite rules join with `registerPass` and `registerRewrite`.
import './pipeline.ts';

export {
  findPass,
  optimize,
  passesOf,
  registerPass,
  runPass,
  switchOffPasses,
  unregisterPass,
} from './pass.ts';
export type { Level, OptimizeOptions, Pass, PassEvent, PassFacts, PassPosition } from './pass.ts';
export { Rewriter, registerRewrite, rewrite } from './rewrite.ts';
export type { Match, RewriteRule } from './rewrite.ts';
export { inlineCalls } from './inline.ts';
export { executable } from './executable.ts';
export { eliminateDeadCode } from './dead-code.ts';
