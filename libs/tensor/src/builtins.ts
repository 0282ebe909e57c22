// Operators as functions and methods: thin callers of `callEager`, made from names. The scripting front end asks which operator a
// function is.
import { callEager } from './dispatch/overloads.ts';
import { Tensor } from './tensor.ts';

type AnyFunction = (...given: never[]) => unknown;
const operatorNames = new WeakMap<AnyFunction, string>();

/** The function that calls `aten::name`. */
export function builtin<F extends AnyFunction>(name: string): F {
  const operator = `aten::${name}`;
  const call = (...given: unknown[]): unknown => callEager(operator, given);
  Object.defineProperty(call, 'name', { value: name });
  operatorNames.set(call, operator);
  return call as unknown as F;
}

/** The operator (`aten::cat`) that a builtin function is, or undefined for any other function. */
export const operatorOf = (value: unknown): string | undefined =>
  typeof value === 'function' ? operatorNames.get(value as AnyFunction) : undefined;

/** Marks a function of ours as being an operator for scripts (`tensor`, `zeros`-like creators with JavaScript's conveniences). */
export function namesOperator<F extends AnyFunction>(operator: string, value: F): F {
  operatorNames.set(value, operator);
  return value;
}

/** Gives tensors a method for each pair of names: JavaScript's and the operator's. */
export function installMethods(methods: Readonly<Record<string, string>>): void {
  for (const [method, name] of Object.entries(methods)) {
    const operator = `aten::${name}`;
    const call = function (this: Tensor, ...given: unknown[]): unknown {
      given.unshift(this);
      return callEager(operator, given);
    };
    operatorNames.set(call, operator);
    Object.defineProperty(Tensor.prototype, method, { value: call, writable: true, configurable: true });
  }
}
