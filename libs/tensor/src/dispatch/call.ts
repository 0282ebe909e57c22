// Calling operators on eager tensors. Each call of a tensor operator is one small core graph, compiled once for its
// operand specs and attributes and run by the device; with gradients on, it is recorded on the tape as that same graph.
import type { Device } from '@weft/devices';
import type { DType, IValue, RandomRequest, Schema, TensorLike, TensorLiteral, Value } from '@weft/ir';
import {
  CoreBuilder,
  Graph,
  InternalError,
  OperatorError,
  TensorLiteral as Literal,
  WeftError,
  asTensorSpec,
  dtypes,
  qualifiedName,
  specOf,
} from '@weft/ir';
import type { DataArgument, Kernel, LoweringResult, Strided } from '@weft/ops';
import { canCast } from '@weft/ops';
import { attachKernelNode } from '../autograd/kernel-node.ts';
import { runRecorded } from '../autograd/function-node.ts';
import { isGradEnabled, noGrad } from '../autograd/grad-mode.ts';
import { checkInPlace, rebaseHistory, trackView } from '../autograd/views.ts';
import { CoreFunction } from '../core-function.ts';
import { deviceNamed, hostDevice } from '../devices.ts';
import type { Generator } from '../random/generator.ts';
import { defaultGenerator } from '../random/generator.ts';
import { fillRequest } from '../random/requests.ts';
import { contiguousStrides } from '../layout.ts';
import { Storage } from '../storage.ts';
import { scalarTensor } from '../creation.ts';
import { Tensor } from '../tensor.ts';
import {
  callKey,
  convertImplicitly,
  isTensor,
  loweringArguments,
  operandsOf,
  preparedArgument,
  scalarOf,
} from './arguments.ts';
import type { CompiledOperator, ReturnShape } from './cache.ts';
import { cached } from './cache.ts';
import { dispatchHook, withDispatchHook } from './hook.ts';
import { callNested, hasNested } from './nested.ts';
import type { Operator } from './operator.ts';
import { findOperator, functionalArguments } from './operator.ts';
import { userLine } from './user-line.ts';

/**
 * Calls the operator of a qualified name (`aten::add.Tensor`) with one value an argument; trailing arguments that have
 * defaults may be left out. Several returns come as an array, none as null. Errors name the operator, its operands and
 * the user's line.
 */
export function callOperator(name: string, args: readonly IValue[]): IValue {
  return invoke(findOperator(name), args);
}

/** As `callOperator`, for an operator that was looked up before. */
export function invoke(operator: Operator, args: readonly IValue[]): IValue {
  const full = withDefaults(operator.schema, args);
  const hook = dispatchHook();
  if (hook === null) return located(operator, full);
  const result = withDispatchHook(null, () => located(operator, full));
  hook(operator.schema, full, result);
  return result;
}

function withDefaults(schema: Schema, args: readonly IValue[]): readonly IValue[] {
  const formals = schema.arguments;
  if (args.length === formals.length) return args;
  if (args.length > formals.length) {
    throw new OperatorError(
      `${qualifiedName(schema)} takes ${formals.length} arguments, ${args.length} are given`,
    );
  }
  const full = [...args];
  for (let index = args.length; index < formals.length; index++) {
    const formal = formals[index];
    if (!formal.hasDefault) {
      throw new OperatorError(`${qualifiedName(schema)} is missing its argument '${formal.name}'`);
    }
    full.push(formal.default ?? null);
  }
  return full;
}

function located(operator: Operator, args: readonly IValue[]): IValue {
  try {
    return execute(operator, args);
  } catch (error) {
    throw locate(error, operator.name, args);
  }
}

/** Adds to an error what is not in it yet: the operator with its operands, and the user's line. */
function locate(error: unknown, name: string, args: readonly IValue[]): unknown {
  if (!(error instanceof WeftError) || (error as { isLocated?: boolean }).isLocated === true) return error;
  if (!error.message.includes(`\n  in ${name.slice(0, name.indexOf('::'))}::`)) {
    error.message += `\n  in ${name}(${args.map(describe).join(', ')})`;
  }
  const source = error.source ?? userLine(new Error().stack);
  if (source !== undefined && error.source === undefined) error.message += `\n${source.highlight()}`;
  return Object.assign(error, { isLocated: true });
}

function describe(value: IValue): string {
  if (isTensor(value)) return `${value.dtype}[${value.sizes.join(', ')}]`;
  if (Array.isArray(value)) return `[${value.map(describe).join(', ')}]`;
  return value === null ? 'None' : typeof value === 'object' ? value.constructor.name : String(value);
}

const wrapNumber = (value: IValue): Tensor => scalarTensor(value as bigint | number | boolean);

function execute(operator: Operator, given: readonly IValue[]): IValue {
  let args = given;
  const { kinds } = operator;
  if (hasNested(args)) return callNested(operator, args);
  if (operator.eager !== undefined) return operator.eager(...(args as never[]));
  for (let index = 0; index < kinds.length; index++) {
    const value = args[index];
    const kind = kinds[index];
    if (kind === 'tensor' ? value !== null && !(value instanceof Tensor) : value instanceof Tensor) {
      if (args === given) args = [...given];
      (args as IValue[])[index] = convertImplicitly(kind, value, wrapNumber);
    }
  }
  if (operator.check !== undefined || operator.prepare !== undefined) args = lookAtData(operator, args);
  const meaning = operator.meaning!;
  switch (meaning.kind) {
    case 'host':
      return unwrap(operator, meaning.run(...args));
    case 'kernel':
      return callKernel(operator, meaning.kernel, args);
    case 'view': {
      const view = operator.writeMode === 'none' ? callView(operator, meaning.view, args) : null;
      return view ?? callLowering(operator, args);
    }
    case 'lowering':
      return callLowering(operator, args);
    default:
      return meaning satisfies never;
  }
}

/** Runs the checks and preparations that need the operands' data. */
function lookAtData(operator: Operator, args: readonly IValue[]): readonly IValue[] {
  const { schema, kinds, sources } = operator;
  const own = loweringArguments(schema, kinds, args, (tensor) => tensor);
  const given = functionalArguments(operator, own, () => outDType(operator, args)) as DataArgument[];
  const prepared = operator.prepare?.(readTensor, ...given) ?? given;
  operator.check?.(readTensor, ...prepared);
  const device = operandsOf(kinds, args)[0]?.storage.device ?? hostDevice();
  const changed = [...args];
  for (const [position, value] of prepared.entries()) {
    if (value === given[position]) continue;
    const index = sources?.[position] ?? position;
    if (typeof index === 'number') changed[index] = preparedArgument(kinds[index], value, device);
  }
  return changed;
}

/** The dtype of the tensor that an `out=` form writes to. */
const outDType = (operator: Operator, args: readonly IValue[]): DType =>
  ([args[operator.outArguments[0]]].flat()[0] as unknown as Tensor).dtype;

const readTensor = (tensor: TensorLike): TensorLiteral =>
  tensor instanceof Tensor ? literalOf(tensor) : (tensor as TensorLiteral);

function unwrap(operator: Operator, result: IValue | readonly IValue[]): IValue {
  return operator.schema.returns.length === 0 ? null : (result as IValue);
}

// ---- views --------------------------------------------------------------------------------------------------------

function callView(
  operator: Operator,
  view: (self: Strided, ...args: never[]) => Strided | readonly Strided[] | null,
  args: readonly IValue[],
): IValue | null {
  const self = args[0] as unknown as Tensor;
  const rest = loweringArguments(operator.schema, operator.kinds, args, literalOf).slice(1);
  const found = view(self, ...(rest as never[]));
  if (found === null) return null;
  if (Array.isArray(found)) {
    const made = (found as readonly Strided[]).map((each) => self.onStorage(each));
    made.forEach((each, output) => trackView(each, self, { operator, args, output, several: true }));
    return made as unknown as IValue;
  }
  const made = self.onStorage(found as Strided);
  trackView(made, self, { operator, args, output: 0, several: false });
  return made as unknown as IValue;
}

const literalOf = (tensor: Tensor): TensorLiteral => new Literal(tensor.dtype, tensor.sizes, tensor.bytes());

// ---- lowerings ----------------------------------------------------------------------------------------------------

/** The compiled form of a call; what the tape differentiates. */
export function compileCall(operator: Operator, args: readonly IValue[]): CompiledOperator {
  return cached(`${operator.id}${callKey(operator.kinds, args)}`, () => lower(operator, args));
}

function lower(operator: Operator, args: readonly IValue[]): CompiledOperator {
  const { schema, kinds, meaning, outArguments } = operator;
  if (meaning?.kind !== 'lowering' && meaning?.kind !== 'view') {
    throw new InternalError(`${operator.name} has no lowering`);
  }
  const graph = new Graph();
  const requests: RandomRequest[] = [];
  const randoms: Value[] = [];
  const b = new CoreBuilder(graph, {
    draw(builder, request) {
      requests.push(request);
      const value = builder.input({ kind: 'Tensor', dtype: request.dtype, sizes: request.sizes });
      randoms.push(value);
      return value;
    },
  });
  const inputs: Value[] = [];
  const own = loweringArguments(schema, kinds, args, (tensor) => {
    const value = b.input(tensor.spec);
    inputs.push(value);
    return value;
  });
  const result = meaning.lower(b, ...functionalArguments(operator, own, () => outDType(operator, args)));
  const values = normalise(result);
  const returns: ReturnShape[] = [];
  const writes: { argument: number; outputs: number[] }[] = [];
  const addOutputs = (items: readonly Value[]): number[] =>
    items.map((item) => {
      graph.addOutput(item);
      return graph.outputs.length - 1;
    });
  const given = operator.written.filter((index) => args[index] !== null);
  if (operator.writeMode === 'returns') {
    const isOneList = given.length === 1 && schema.arguments[given[0]].type.kind === 'List';
    const contents = isOneList ? [values.flat()] : values;
    given.forEach((argument, position) => {
      const content = contents[position];
      if (content === undefined) {
        throw new InternalError(`the lowering of ${operator.name} returns too few values`);
      }
      if (content === null) return;
      const targets = [args[argument]].flat() as unknown as Tensor[];
      const items = [content].flat() as Value[];
      const fitted = items.map((item, index) =>
        fitContents(b, item, targets[index], outArguments.includes(argument)),
      );
      writes.push({ argument, outputs: addOutputs(fitted) });
    });
  } else {
    const listReturn = schema.returns.length === 1 && schema.returns[0].type.kind === 'List';
    const own = listReturn && !Array.isArray(values[0]) ? [values as Value[]] : values;
    schema.returns.forEach((_, index) => {
      const value = own[index];
      if (value === undefined) {
        throw new InternalError(`the lowering of ${operator.name} returns too few values`);
      }
      if (value === null) returns.push({ kind: 'none' });
      else if (Array.isArray(value)) {
        addOutputs(value);
        returns.push({ kind: 'list', length: value.length });
      } else {
        addOutputs([value as Value]);
        returns.push({ kind: 'one' });
      }
    });
    if (operator.writeMode === 'extra') {
      given.forEach((argument, position) => {
        const value = own[schema.returns.length + position] as Value | undefined;
        if (value === undefined) {
          throw new InternalError(`the lowering of ${operator.name} returns too few values`);
        }
        if (value.isParameter) return;
        writes.push({ argument, outputs: addOutputs([value]) });
      });
    }
  }
  return { fn: new CoreFunction(graph, requests), returns, writes };
}

type Lowered = Value | readonly Value[] | null;

function normalise(result: LoweringResult): Lowered[] {
  return Array.isArray(result) ? [...(result as Lowered[])] : [result as Value];
}

/** What is written into `target`: of its dtype, and in place of its shape. */
function fitContents(b: CoreBuilder, value: Value, target: Tensor, resizes: boolean): Value {
  const { dtype, sizes } = specOf(value);
  if (!canCast(dtype, target.dtype)) {
    throw new OperatorError(
      `result type ${dtypes[dtype].printName} can't be cast to the desired output type ${dtypes[target.dtype].printName}`,
    );
  }
  if (
    !resizes &&
    (sizes.length !== target.sizes.length || sizes.some((size, dim) => size !== target.sizes[dim]))
  ) {
    throw new OperatorError(
      `output with shape [${target.sizes.join(', ')}] doesn't match the broadcast shape [${sizes.join(', ')}]`,
    );
  }
  return b.convert(value, target.dtype);
}

function callLowering(operator: Operator, args: readonly IValue[]): IValue {
  const compiled = compileCall(operator, args);
  const operands = operandsOf(operator.kinds, args);
  const device = deviceOf(operator, operands, args);
  const { fn } = compiled;
  if (operator.writeMode === 'returns') return callWriting(operator, compiled, operands, args, device);
  const randoms = drawRandoms(fn.requests, operator, args, device);
  const all = randoms.length === 0 ? operands : [...operands, ...randoms];
  const outputs = runRecorded(operator.name, fn, all, device, operator.mayAlias);
  if (compiled.writes.length > 0) {
    noGrad(() => {
      for (const { argument, outputs: sources } of compiled.writes) {
        write(args[argument] as unknown as Tensor, outputs[sources[0]]);
      }
    });
  }
  return assemble(operator, compiled.returns, outputs);
}

function assemble(operator: Operator, shapes: readonly ReturnShape[], outputs: readonly Tensor[]): IValue {
  if (shapes.length === 1 && shapes[0].kind === 'one') return convertReturn(operator, 0, outputs[0]);
  let at = 0;
  const values = shapes.map((shape, index): IValue => {
    if (shape.kind === 'none') return null;
    if (shape.kind === 'one') return convertReturn(operator, index, outputs[at++]);
    const list = outputs.slice(at, at + shape.length);
    at += shape.length;
    return list as unknown as IValue;
  });
  return values.length === 0 ? null : values.length === 1 ? values[0] : values;
}

/** A tensor, or the number in it when the schema returns one (`aten::equal`). */
function convertReturn(operator: Operator, index: number, value: Tensor): IValue {
  const { type } = operator.schema.returns[index];
  return type.kind === 'Tensor' || asTensorSpec(type) !== undefined
    ? (value as unknown as IValue)
    : scalarOf(value);
}

// ---- in-place and out= --------------------------------------------------------------------------------------------

function callWriting(
  operator: Operator,
  { fn, writes }: CompiledOperator,
  operands: readonly Tensor[],
  args: readonly IValue[],
  device: Device,
): IValue {
  const targets = writes.map(({ argument }) => [args[argument]].flat() as unknown as Tensor[]);
  const isOut = operator.outArguments.length > 0;
  const recorded = isGradEnabled() && operands.some((operand) => operand.requiresGrad);
  if (recorded && isOut) {
    throw new OperatorError(
      `${operator.schema.name.slice(6)}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.`,
    );
  }
  if (!isOut) for (const target of targets.flat()) checkInPlace(target, recorded);
  const randoms = drawRandoms(fn.requests, operator, args, device);
  const all = randoms.length === 0 ? operands : [...operands, ...randoms];
  const outputs = runRecorded(operator.name, fn, all, device, false, targets.flat());
  writes.forEach(({ outputs: sources }, position) => {
    sources.forEach((source, index) => {
      const target = targets[position][index];
      const value = outputs[source];
      if (isOut && value.specKey !== target.specKey) resize(target, value.sizes);
      write(target, value);
      if (recorded) rebaseHistory(target, value.meta?.edge ?? null);
    });
  });
  return writtenReturns(operator, args);
}

/** The written arguments that the schema returns. */
function writtenReturns(operator: Operator, args: readonly IValue[]): IValue {
  const { returns } = operator.schema;
  const values = returns.map((_, index) => args[operator.written[index]]);
  return values.length === 0 ? null : values.length === 1 ? values[0] : values;
}

/** Copies the elements of `value` into `target`, of the same dtype and shape, and counts the change. */
export function write(target: Tensor, value: Tensor): void {
  target.writeBytes(value.bytes());
  target.storage.version++;
}

/** Gives `target` another shape, row-major, with new memory when its own is too small. */
export function resize(target: Tensor, sizes: readonly number[]): void {
  const bytes = sizes.reduce((product, size) => product * size, dtypes[target.dtype].bytes);
  const fits = target.offset * dtypes[target.dtype].bytes + bytes <= target.storage.byteLength;
  const storage = fits ? target.storage : Storage.allocate(target.storage.device, bytes);
  if (!fits) storage.write(0, target.storage.read(0, target.storage.byteLength));
  target.setGeometry(storage, sizes, contiguousStrides(sizes), fits ? target.offset : 0);
}

// ---- kernels ------------------------------------------------------------------------------------------------------

function callKernel(operator: Operator, kernel: Kernel, args: readonly IValue[]): IValue {
  const { schema, kinds } = operator;
  const operands = operandsOf(kinds, args);
  const device = deviceOf(operator, operands, args);
  const own = loweringArguments(schema, kinds, args, literalOf);
  const result = kernel(...functionalArguments(operator, own, () => outDType(operator, args)));
  const literals = (Array.isArray(result) ? result : [result]) as readonly TensorLiteral[];
  const outputs = literals.map((literal) => Tensor.fromLiteral(literal, device));
  if (operator.writeMode === 'returns') {
    const targets = operator.written.flatMap((argument) => args[argument] as unknown as Tensor | Tensor[]);
    targets.forEach((target, index) => {
      checkInPlace(target, false);
      if (outputs[index].specKey !== target.specKey) resize(target, outputs[index].sizes);
      write(target, outputs[index]);
    });
    return writtenReturns(operator, args);
  }
  attachKernelNode(operator, args, outputs, device);
  const listReturn = schema.returns.length === 1 && schema.returns[0].type.kind === 'List';
  const shapes: ReturnShape[] = listReturn
    ? [{ kind: 'list', length: outputs.length }]
    : outputs.map(() => ({ kind: 'one' }));
  return assemble(operator, shapes, outputs);
}

// ---- devices and random numbers -----------------------------------------------------------------------------------

/** Where a call runs: on its operands' device (zero-dimensional host tensors follow the others), else where it says. */
function deviceOf(operator: Operator, operands: readonly Tensor[], args: readonly IValue[]): Device {
  let device: Device | undefined;
  for (const operand of operands) {
    const own = operand.storage.device;
    if (device === undefined || own === device) device = own;
    else if (operand.sizes.length > 0) {
      if (operands.every((each) => each.storage.device === own || each.sizes.length === 0)) device = own;
      else {
        throw new OperatorError(
          `Expected all tensors to be on the same device, but found at least two devices, ${operands[0].device} and ${operand.device}!`,
        );
      }
    }
  }
  const named = operator.kinds.indexOf('device');
  if (named >= 0 && args[named] !== null) return deviceNamed(args[named] as never);
  return device ?? hostDevice();
}

function drawRandoms(
  requests: readonly RandomRequest[],
  operator: Operator,
  args: readonly IValue[],
  device: Device,
): Tensor[] {
  if (requests.length === 0) return [];
  const position = operator.kinds.indexOf('generator');
  const given = position >= 0 ? (args[position] as unknown as Generator | null) : null;
  const generator = given ?? defaultGenerator;
  // In place, elements are drawn in the order in which they lie in memory.
  const target = operator.writeMode === 'returns' ? (args[operator.written[0]] as unknown as Tensor) : null;
  return requests.map((request) => {
    const literal = fillRequest(generator, request, target !== null && !target.isRowMajor ? target : null);
    return Tensor.fromLiteral(literal, device);
  });
}
