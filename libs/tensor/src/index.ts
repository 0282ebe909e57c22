// @weft/tensor: eager tensors, autograd, random numbers, modules, optimizers.
import { installMethods, namesOperator } from './builtins.ts';
import { scalarTensor, tensor } from './creation.ts';
import { methodNames } from './methods.generated.ts';

import './dispatch/queries.ts';
import './dispatch/compositions.ts';
import './random/rrelu.ts';
import './random/distributions.ts';
import './dispatch/memory.ts';
import './dispatch/overlap.ts';
import './nested/operators.ts';

installMethods(methodNames);
namesOperator('aten::tensor', tensor);
namesOperator('aten::scalar_tensor', scalarTensor);

export * from './types.ts';
export { Storage } from './storage.ts';
export { Tensor } from './tensor.ts';
export { NestedTensor } from './nested/nested-tensor.ts';
export type { NestedList } from './tensor.ts';
export * from './functions.generated.ts';
// JavaScript data makes tensors; these hide the operators of the same names.
export { fromTypedArray, scalarTensor, tensor, toTensor } from './creation.ts';
export type { TensorData, TensorOptions } from './creation.ts';
export { operatorOf } from './builtins.ts';
export { callEager } from './dispatch/overloads.ts';
export { callOperator, invoke } from './dispatch/call.ts';
export {
  findOperator,
  functionalArguments,
  functionalForm,
  isCallable,
  isCallable as isOperatorSupported,
} from './dispatch/operator.ts';
export type { Operator } from './dispatch/operator.ts';
export { loweringArguments } from './dispatch/arguments.ts';
export { compositions } from './dispatch/compositions.ts';
export { runInto, stridesOfResults } from './dispatch/placement.ts';
export type { UpdatePlan } from './optim/update-plan.ts';
export { dispatchHook, withDispatchHook } from './dispatch/hook.ts';
export type { DispatchHook } from './dispatch/hook.ts';
export { autocast } from './autocast.ts';
export type { AutocastOptions } from './autocast.ts';
export { enableGrad, isGradEnabled, noGrad, setGradEnabled } from './autograd/grad-mode.ts';
export { backward, grad } from './autograd/engine.ts';
export { hostDevice, useHostDevice } from './devices.ts';
export { userLine } from './dispatch/user-line.ts';
export { Generator, defaultGenerator, manualSeed } from './random/generator.ts';
export * as nn from './nn/index.ts';
export * as F from './nn/functional.ts';
export { Parameter } from './nn/parameter.ts';
export * as optim from './optim/index.ts';
export * as data from './data/index.ts';
export * as io from './io/index.ts';
export { ArchiveError } from './io/archive-error.ts';
export { OrderedDict, load, save, saveToBytes } from './io/saved-data.ts';
export type { LoadOptions, SavedValue } from './io/saved-data.ts';
export {
  SafetensorsError,
  SafetensorsFile,
  loadSafetensors,
  readSafetensors,
  saveSafetensors,
  writeSafetensors,
} from './io/safetensors.ts';
export type { SafetensorsEntry, SafetensorsMetadata } from './io/safetensors.ts';
export { getRngState, setRngState } from './random/state.ts';
export { attachBackward } from './autograd/custom-node.ts';
export type { BackwardFunction } from './autograd/custom-node.ts';
export { GradNode } from './autograd/node.ts';
export type { TensorHook } from './autograd/node.ts';
export { CoreFunction } from './core-function.ts';
export type { CoreFunctionOptions } from './core-function.ts';
export { prepareDerivative, runRecorded } from './autograd/function-node.ts';
export { addDevice, deviceNamed } from './devices.ts';
export { setOperatorCacheSize } from './dispatch/cache.ts';
export { drawRequests } from './random/draw.ts';
