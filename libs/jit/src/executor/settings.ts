// How the executor goes about its work; set for the whole process.
import { WeftError } from '@weft/ir';
import { limitInBytes } from '../memory/bytes.ts';

export interface ExecutorSettings {
  /** `auto` profiles, then compiles; `interpret` never compiles; `compile` compiles at the first call (for tests). */
  readonly mode: 'auto' | 'interpret' | 'compile';
  /** Interpreted calls of a pattern before it is compiled. */
  readonly profileRuns: number;
  /** Patterns that are kept for a function and object. */
  readonly maxVariants: number;
  /** Failed guards of a pattern after which it is interpreted for good. */
  readonly maxMisses: number;
  /** Calls without gradients that differ in the sizes of tensors alone after which a graph is made that leaves these open; Infinity: never. */
  readonly openAfter: number;
  /** Loops of a known count above this become loops of the compiled graph. */
  readonly unrollLimit: number;
  /**
   * Bytes, or text such as `512MB`, that a compiled call with gradients may take: what it keeps for its backward pass, and what either
   * takes while it runs, beside arguments, results and parameters. Activations are computed again where that is needed to keep it. For
   * what is compiled from then on; a call throws MemoryLimitError where it cannot be kept. Calls that are interpreted keep none.
   */
  readonly memoryLimit?: number | string;
}

const modes = ['auto', 'interpret', 'compile'] as const;

function modeFromEnvironment(): ExecutorSettings['mode'] {
  const given = process.env.WEFT_EXECUTOR;
  if (given === undefined || given === '') return 'auto';
  const mode = modes.find((each) => each === given);
  if (mode === undefined)
    throw new WeftError(`WEFT_EXECUTOR=${given}: one of ${modes.join(', ')} is expected`);
  return mode;
}

export let executorSettings: ExecutorSettings = {
  mode: modeFromEnvironment(),
  profileRuns: 2,
  maxVariants: 16,
  maxMisses: 4,
  openAfter: 3,
  unrollLimit: 256,
};

/** Changes settings of the executor; those that are not given stay. Returns what they were. Throws WeftError for a wrong limit. */
export function setExecutor(changes: Partial<ExecutorSettings>): ExecutorSettings {
  const before = executorSettings;
  if (changes.memoryLimit !== undefined) limitInBytes(changes.memoryLimit);
  executorSettings = { ...before, ...changes };
  return before;
}
