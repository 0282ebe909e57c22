// How a workload runs once it is warm.
import { jit } from 'weft';

/** `compiled`, or `not compiled: reason` where one is known. */
export function stateOf({ module, calls, state }: Pick<jit.Workload, 'module' | 'calls' | 'state'>): string {
  const found = state?.();
  if (found !== undefined) return found === 'compiled' ? found : `not compiled: ${found.split('\n')[0]}`;
  const states = jit.executorState(module.method(calls[0].method), module.object);
  if (states.some(({ state }) => state === 'compiled')) return 'compiled';
  const reason = states.find((each) => each.reason !== undefined)?.reason;
  return `not compiled${reason === undefined ? '' : `: ${reason.split('\n')[0]}`}`;
}
