// A torch graph as a JavaScript function that does what the interpreter does.
import type { Graph, IValue, Node } from '@weft/ir';
import { executable } from '../passes/executable.ts';
import type { RunContext } from '../runtime/frame.ts';
import { generateJavaScript } from './generate.ts';
import { support } from './support.ts';

/** Runs the function; an error comes with the node that failed. */
export type GeneratedFunction = (context: RunContext, ...inputs: IValue[]) => IValue;

/** An error of a generated function, before it has its stack. */
export class GeneratedFailure {
  constructor(
    readonly error: unknown,
    readonly node: Node | undefined,
  ) {}
}

type Factory = (
  R: typeof support,
  K: readonly unknown[],
  fail: (error: unknown, at: number) => unknown,
) => GeneratedFunction;

/**
 * The function of a graph. Throws UnsupportedError for what only the interpreter does, and EvalError where the host forbids
 * making functions from text.
 */
export function generate(graph: Graph): GeneratedFunction {
  const { text, constants, places } = generateJavaScript(executable(graph));
  // Only minted names and literals in JSON's form are in the text.
  const factory = new Function('R', 'K', 'fail', text) as Factory;
  return factory(support, constants, (error, at) => new GeneratedFailure(error, places[at]));
}

export { generateJavaScript } from './generate.ts';
