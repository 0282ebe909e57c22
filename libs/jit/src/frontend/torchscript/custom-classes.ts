// Classes that PyTorch implements in C++ and archives refer to by name (`__torch__.torch.classes.…`), and the operators that take
// their objects, written in TorchScript. An archive brings no code of theirs, only the states of their objects.
import type { ScriptFunction } from '@weft/ir';
import { registerSchema } from '@weft/ir';
import type { NamedType, ProgramSource } from './program.ts';
import { ArchiveProgram } from './program.ts';

const prefix = '__torch__.torch.classes.';

export const isCustomClass = (name: string): boolean => name.startsWith(prefix);

const context = (name: string, fields: Readonly<Record<string, string>>): string => {
  const names = Object.keys(fields);
  const state = `Tuple[${Object.values(fields).join(', ')}]`;
  return [
    `class ${name}:`,
    ...names.map((field) => `  ${field} : ${fields[field]}`),
    `  def __getstate__(self: ${prefix}xnnpack.${name}) -> ${state}:`,
    `    return (${names.map((field) => `self.${field}`).join(', ')})`,
    `  def __setstate__(self: ${prefix}xnnpack.${name}, state: ${state}) -> NoneType:`,
    ...names.map((field, index) => `    self.${field} = (state)[${index}]`),
    '    return None',
    '',
  ].join('\n');
};

const weights = { weight: 'Tensor', bias: 'Optional[Tensor]' };
const window = { stride: 'List[int]', padding: 'List[int]' };
const groups = { dilation: 'List[int]', groups: 'int' };
const bounds = { output_min: 'Optional[number]', output_max: 'Optional[number]' };

/** What `torch.utils.mobile_optimizer` makes of convolutions and linear layers, with an activation that clamps. */
const xnnpack = [
  context('LinearOpContext', { ...weights, ...bounds }),
  context('Conv2dOpContext', { ...weights, ...window, ...groups, ...bounds }),
  context('TransposeConv2dOpContext', {
    ...weights,
    ...window,
    output_padding: 'List[int]',
    ...groups,
    ...bounds,
  }),
  `
def clamped(y: Tensor, least: Optional[number], most: Optional[number]) -> Tensor:
  if torch.__isnot__(least, None):
    result = torch.clamp(y, least, most)
  else:
    if torch.__isnot__(most, None):
      result = torch.clamp(y, least, most)
    else:
      result = y
  return result

def linear_clamp_run(x: Tensor, w: ${prefix}xnnpack.LinearOpContext) -> Tensor:
  y = torch.linear(x, w.weight, w.bias)
  return ${prefix}xnnpack.clamped(y, w.output_min, w.output_max)

def conv2d_clamp_run(x: Tensor, w: ${prefix}xnnpack.Conv2dOpContext) -> Tensor:
  y = torch.conv2d(x, w.weight, w.bias, w.stride, w.padding, w.dilation, w.groups)
  return ${prefix}xnnpack.clamped(y, w.output_min, w.output_max)

def conv2d_transpose_clamp_run(x: Tensor, w: ${prefix}xnnpack.TransposeConv2dOpContext) -> Tensor:
  y = torch.conv_transpose2d(x, w.weight, w.bias, w.stride, w.padding, w.output_padding, w.groups, w.dilation)
  return ${prefix}xnnpack.clamped(y, w.output_min, w.output_max)
`,
].join('\n');

/** Operators by name, with the function that is their meaning. */
const operators: ReadonlyMap<string, string> = new Map(
  ['linear_clamp_run', 'conv2d_clamp_run', 'conv2d_transpose_clamp_run'].map((name) => [
    `prepacked::${name}`,
    `${prefix}xnnpack.${name}`,
  ]),
);
for (const name of operators.keys()) registerSchema(`${name}(Tensor X, Any W_prepack) -> Tensor Y`);

const source: ProgramSource = {
  file: (name) => (name === '__torch__/torch/classes/xnnpack.py' ? { name, text: xnnpack } : undefined),
  constant: () => undefined,
};
let program: ArchiveProgram | undefined;
const classes = (): ArchiveProgram => (program ??= new ArchiveProgram(source));

/** The class of a qualified name, or undefined when it is none of these. */
export const customClass = (qualified: string): NamedType | undefined =>
  isCustomClass(qualified) ? classes().namedType(qualified) : undefined;

export const isCustomOperator = (kind: string): boolean => operators.has(kind);

/** The function that an operator of these classes stands for, or undefined. */
export function customOperator(kind: string): ScriptFunction | undefined {
  const name = operators.get(kind);
  return name === undefined ? undefined : classes().functionNamed(name);
}
