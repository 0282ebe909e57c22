// Random tensors for a compiled graph: what its lowering asked for, drawn from the default generator in that order.
import type { Device } from '@weft/devices';
import type { RandomRequest } from '@weft/ir';
import { Tensor } from '../tensor.ts';
import { defaultGenerator } from './generator.ts';
import { fillRequest } from './requests.ts';

export const drawRequests = (requests: readonly RandomRequest[], device: Device): Tensor[] =>
  requests.map((request) => Tensor.fromLiteral(fillRequest(defaultGenerator, request, null), device));
