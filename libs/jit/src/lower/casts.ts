// Casts while a program is lowered: the tensor itself where nothing changes and no copy is asked for, else a copy with another
// dtype or in another memory format. A compiled graph stays on one device.
import type { DeviceValue, IValue } from '@weft/ir';
import { OperatorError, dtypes } from '@weft/ir';
import { isInFormat, memoryFormats, oldCasts, suggestsChannelsLast } from '@weft/ops';
import type { Evaluator } from './evaluator.ts';
import { queries } from './queries.ts';
import type { SymbolicTensor } from './symbolic.ts';
import { evaluateTensorOperator } from './tensor-operators.ts';

type Cast = (evaluator: Evaluator, args: readonly IValue[]) => IValue;

interface Wanted {
  /** PyTorch's number of a dtype. */
  readonly dtype?: IValue;
  readonly device?: IValue;
  readonly copy?: IValue;
  readonly format?: IValue;
}

function cast(evaluator: Evaluator, value: IValue, { dtype, device, copy, format }: Wanted): IValue {
  const self = value as unknown as SymbolicTensor;
  const place = queries['prim::device'](self) as DeviceValue;
  if (device && (device as DeviceValue).type !== place.type)
    evaluator.requirements?.refuse(`a tensor goes to the device ${String(device)}`);
  const asked = format === null || format === undefined ? null : Number(format);
  const stays = asked === null || asked === memoryFormats.preserve || liesAs(self, asked);
  const own = BigInt(dtypes[self.dtype].scalarType);
  const to = dtype ?? own;
  if (to === own && stays && copy !== true) return value;
  const args = [value, to, null, null, null, false, asked === null ? null : BigInt(asked)];
  return evaluateTensorOperator(evaluator, 'aten::_to_copy', args) as IValue;
}

/** Whether the tensor lies as tensors of the format do, gaps aside. */
function liesAs({ sizes, strides }: SymbolicTensor, format: number): boolean {
  const isLast = suggestsChannelsLast(sizes, strides);
  if (format === memoryFormats.contiguous) return !isLast;
  return isLast && sizes.length === (format === memoryFormats.channelsLast ? 4 : 5);
}

/** The tensor itself when it lies in the format, else a copy that does. */
const contiguous: Cast = (evaluator, [self, given]) => {
  const format = Number(given ?? memoryFormats.contiguous);
  if (format === memoryFormats.preserve)
    throw new OperatorError('preserve memory format is unsupported by the contiguous operator');
  if (isInFormat(self as unknown as SymbolicTensor, format)) return self;
  return evaluateTensorOperator(evaluator, 'aten::clone', [self, BigInt(format)]) as IValue;
};

const itself: Cast = (_, [self]) => self;

export const casts: Readonly<Record<string, Cast>> = {
  'aten::to.device': (evaluator, [self, device, dtype, , copy, format]) =>
    cast(evaluator, self, { device, dtype, copy, format }),
  'aten::to.dtype': (evaluator, [self, dtype, , copy, format]) =>
    cast(evaluator, self, { dtype, copy, format }),
  'aten::to.dtype_layout': (evaluator, [self, dtype, , device, , , copy, format]) =>
    cast(evaluator, self, { dtype, device, copy, format }),
  'aten::to.other': (evaluator, [self, other, , copy, format]) =>
    cast(evaluator, self, {
      dtype: queries['prim::dtype'](other as unknown as SymbolicTensor),
      copy,
      format,
    }),
  'aten::to.prim_Device': (evaluator, [self, device, dtype, , copy]) =>
    cast(evaluator, self, { device, dtype, copy }),
  'aten::to.prim_dtype': (evaluator, [self, dtype, , copy]) => cast(evaluator, self, { dtype, copy }),
  'aten::to.prim_other': (evaluator, [self, , copy]) => cast(evaluator, self, { copy }),
  'aten::contiguous': contiguous,
  'aten::cpu': itself,
  'aten::pin_memory': itself,
  ...Object.fromEntries(
    oldCasts.map(([name, dtype]): [string, Cast] => [
      `aten::_cast_${name}`,
      (evaluator, [self]) => cast(evaluator, self, { dtype: BigInt(dtypes[dtype].scalarType) }),
    ]),
  ),
};
