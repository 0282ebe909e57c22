// Calling operators on eager tensors. Each call of a tensor operator is one small core graph, compiled once for its
// operand specs and attributes and run by the device; with gradients on, it is recorded on the tape as that same graph.
import type { Device } from '@weft/devices';
import type {
  DType,
  IValue,
  RandomRequest,
  Schema,
  TensorLike,
  TensorLiteral,
  TensorSpec,
  Value,
} from '@weft/ir';
import {
  CoreBuilder,
  Graph,
  InternalError,
  OperatorError,
  WeftError,
  asTensorSpec,
  dtypes,
  numel,
  qualifiedName,
  specOf,
} from '@weft/ir';
import type { AutocastTensors, DataArgument, Kernel, LoweringResult, View, ViewFunction } from '@weft/ops';
import { autocastArguments, autocastDType, canCast, isRowMajor, kernelRefusal } from '@weft/ops';
import { attachKernelNode } from '../autograd/kernel-node.ts';
import { hasDerivative, runRecorded } from '../autograd/function-node.ts';
import { isGradEnabled, noGrad } from '../autograd/grad-mode.ts';
import { checkInPlace, rebaseHistory, trackView } from '../autograd/views.ts';
import type { ResultStrides, Targets } from '../core-function.ts';
import { CoreFunction, copyToDevice } from '../core-function.ts';
import { deviceName, deviceNamed, hostDevice } from '../devices.ts';
import type { Generator } from '../random/generator.ts';
import { defaultGenerator } from '../random/generator.ts';
import { fillRequest } from '../random/requests.ts';
import { scalarTensor } from '../creation.ts';
import { Placements } from '../placements.ts';
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
import { viewInPlace } from './geometry.ts';
import { dispatchHook, withDispatchHook } from './hook.ts';
import { callNested, hasNested } from './nested.ts';
import type { Operator } from './operator.ts';
import { findOperator, functionalArguments } from './operator.ts';
import {
  isLaidOut,
  literalOf,
  resize,
  stridesOfResults,
  stridesOfTargets,
  viewArguments,
  write,
} from './placement.ts';
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
  const given = withDefaults(operator.schema, args);
  const full = autocastDType() === null ? given : autocastArguments(operator.name, given, autocastTensors);
  const hook = dispatchHook();
  if (hook === null) return located(operator, full);
  const result = withDispatchHook(null, () => located(operator, full));
  hook(operator.schema, full, result);
  return result;
}

const autocastTensors: AutocastTensors = {
  dtypeOf: (value) =>
    (value as unknown) instanceof Tensor ? cpuDType(value as unknown as Tensor) : undefined,
  cast: (value, dtype) =>
    callOperator('aten::to.dtype', [value, BigInt(dtypes[dtype].scalarType), false, false, null]),
};
const cpuDType = ({ device, dtype }: Tensor): DType | undefined => (device === 'cpu' ? dtype : undefined);

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
  if (operator.eager !== undefined) {
    const result = operator.eager(...(args as never[]));
    if (result !== undefined) return result;
  }
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
      if (operator.writeMode === 'returns' && operator.outArguments.length === 0) {
        return viewInPlace(operator, meaning.view, args);
      }
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

function callView(operator: Operator, view: ViewFunction, args: readonly IValue[]): IValue | null {
  const self = args[0] as unknown as Tensor;
  const found = view(self, ...viewArguments(operator, args));
  if (found === null) return null;
  if (Array.isArray(found)) {
    const made = (found as readonly View[]).map((each) => self.onStorage(each, each.dtype));
    const several = operator.mayAlias;
    made.forEach((each, output) => trackView(each, self, { operator, args, output, several }));
    return made as unknown as IValue;
  }
  const single = found as View;
  const made = self.onStorage(single, single.dtype);
  trackView(made, self, { operator, args, output: 0, several: false });
  return made as unknown as IValue;
}

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
  const loweringArgs = functionalArguments(operator, own, () => outDType(operator, args));
  const result = meaning.lower(b, ...loweringArgs);
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
  const operands = operandsOf(kinds, args);
  const pairs = writes.flatMap(({ argument, outputs }) =>
    ([args[argument]].flat() as unknown as Tensor[]).map((target, index) => ({
      input: operands.indexOf(target),
      output: outputs[index],
    })),
  );
  const refusal = kernelRefusal(operator.meaningName, loweringArgs);
  return {
    fn: new CoreFunction(graph, { requests, inPlace: outArguments.length > 0 ? [] : pairs }),
    placements: new Placements(),
    refusal,
    returns,
    writes,
  };
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
  if (compiled.refusal !== null && deviceName(device) === 'cpu') throw new OperatorError(compiled.refusal);
  if (operator.writeMode === 'returns') return callWriting(operator, compiled, operands, args, device);
  const strides = isLaidOut(operator, operands)
    ? compiled.placements.find(operands, () => stridesOfResults(operator, args, operands, fn.outputSpecs)!)
    : undefined;
  const randoms = drawRandoms(fn, operator, args, device, strides);
  const all = randoms.length === 0 ? operands : [...operands, ...randoms];
  const outputs = runRecorded(operator.name, fn, all, device, {
    mayAlias: operator.mayAlias,
    strides,
    gradients: operator.layout?.gradients,
  });
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
  if (recorded && isOut && hasDerivative(fn, operands)) {
    throw new OperatorError(
      `${operator.schema.name.slice(6)}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.`,
    );
  }
  const overwritten = targets.flat();
  if (!isOut) for (const target of overwritten) checkInPlace(target, recorded);
  const strides = isOut
    ? stridesOfOuts(operator, args, overwritten, fn.outputSpecs)
    : stridesOfTargets(overwritten);
  const drawn = isOut ? strides : overwritten.map((target) => target.strides);
  const randoms = drawRandoms(fn, operator, args, device, drawn);
  const all = randoms.length === 0 ? operands : [...operands, ...randoms];
  const outputs = runRecorded(operator.name, fn, all, device, {
    overwritten,
    into: isOut || recorded ? undefined : targetsApart(overwritten, operands),
    strides,
    gradients: operator.layout?.gradients,
  });
  writes.forEach(({ outputs: sources }, position) => {
    sources.forEach((source, index) => {
      const target = targets[position][index];
      const value = outputs[source];
      if (isOut && !fits(operator, target, value)) resize(target, value.sizes, value.strides);
      if (value === target) target.storage.version++;
      else write(target, value);
      if (recorded) rebaseHistory(target, value.meta?.edge ?? null);
    });
  });
  return writtenReturns(operator, args);
}

/** The targets, where no two of them and no other operand share memory: then results may be computed in it. */
function targetsApart(targets: readonly Tensor[], operands: readonly Tensor[]): Targets | undefined {
  const storages = new Set(targets.map(({ storage }) => storage));
  const sharing = operands.filter(({ storage }) => storages.has(storage));
  const isApart =
    storages.size === targets.length &&
    new Set(sharing).size === sharing.length &&
    sharing.every((operand) => targets.includes(operand));
  return isApart ? targets : undefined;
}

/** The written arguments that the schema returns. */
function writtenReturns(operator: Operator, args: readonly IValue[]): IValue {
  const { returns } = operator.schema;
  const values = returns.map((_, index) => args[operator.written[index]]);
  return values.length === 0 ? null : values.length === 1 ? values[0] : values;
}

/** Whether an `out=` tensor takes a value without being resized. */
function fits(operator: Operator, target: Tensor, value: Tensor): boolean {
  if (target.specKey === value.specKey) return true;
  const { results } = operator.layout ?? {};
  const isSequence = results !== undefined && 'kind' in results && results.kind === 'sequence';
  return isSequence && numel(target.sizes) === numel(value.sizes);
}

/** Strides in which `out=` tensors are computed: their own, or those of new results where the shape differs. */
function stridesOfOuts(
  operator: Operator,
  args: readonly IValue[],
  outs: readonly Tensor[],
  specs: readonly TensorSpec[],
): ResultStrides | undefined {
  const isAlike = (out: Tensor, { sizes }: TensorSpec): boolean => String(out.sizes) === String(sizes);
  const own = stridesOfTargets(outs);
  if (outs.every((out, index) => isAlike(out, specs[index]))) return own;
  const operands = operandsOf(operator.kinds, args).filter((operand) => !outs.includes(operand));
  // What would lie as an argument is copied into a tensor that was resized.
  const isCopied = [operator.layout?.results ?? []].flat().some(({ kind }) => kind === 'like');
  const made = isCopied ? undefined : stridesOfResults(operator, args, operands, specs);
  return outs.map((out, index) => (isAlike(out, specs[index]) ? own : made)?.[index] ?? null);
}

// ---- kernels ------------------------------------------------------------------------------------------------------

function callKernel(operator: Operator, kernel: Kernel, args: readonly IValue[]): IValue {
  const { schema, kinds } = operator;
  const operands = operandsOf(kinds, args);
  const device = deviceOf(operator, operands, args);
  const own = loweringArguments(schema, kinds, args, literalOf);
  const given = functionalArguments(operator, own, () => outDType(operator, args));
  const result = kernel(...given);
  const refusal = kernelRefusal(operator.meaningName, given);
  if (refusal !== null && deviceName(device) === 'cpu') throw new OperatorError(refusal);
  const literals = (Array.isArray(result) ? result : [result]) as readonly TensorLiteral[];
  const dense = literals.map((literal) => Tensor.fromLiteral(literal, device));
  const specs = dense.map(({ spec }) => spec);
  if (operator.writeMode === 'returns') {
    const targets = operator.written.flatMap((argument) => args[argument] as unknown as Tensor | Tensor[]);
    for (const target of targets) checkInPlace(target, false);
    const strides = stridesOfOuts(operator, args, targets, specs);
    targets.forEach((target, index) => {
      if (target.specKey !== dense[index].specKey) {
        resize(target, specs[index].sizes, strides?.[index] ?? undefined);
      }
      write(target, dense[index]);
    });
    return writtenReturns(operator, args);
  }
  const strides = stridesOfResults(operator, args, operands, specs);
  const outputs = dense.map((output, index) => {
    const wanted = strides?.[index] ?? null;
    return wanted === null ? output : copyToDevice(output, device, wanted);
  });
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

/** @param strides of the results: what fills one is drawn in the order in which its elements lie in memory */
function drawRandoms(
  fn: CoreFunction,
  operator: Operator,
  args: readonly IValue[],
  device: Device,
  strides: ResultStrides | undefined,
): Tensor[] {
  const { requests } = fn;
  if (requests.length === 0) return [];
  const position = operator.kinds.indexOf('generator');
  const given = position >= 0 ? (args[position] as unknown as Generator | null) : null;
  const generator = given ?? defaultGenerator;
  const [filled] = fn.outputSpecs;
  const own = strides?.[0] ?? null;
  return requests.map((request) => {
    const fills = own !== null && request.rowMajor !== true && String(request.sizes) === String(filled.sizes);
    const target = fills && !isRowMajor(filled.sizes, own) ? { sizes: filled.sizes, strides: own } : null;
    return Tensor.fromLiteral(fillRequest(generator, request, target), device);
  });
}
