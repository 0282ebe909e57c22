// The gradient of every differentiable operator against finite differences in float64: of all recorded calls with floating operands,
// and of the calls of operators that PyTorch does not run. What cannot be compared is listed here with the reason.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { IValue, Type } from '@weft/ir';
import { findSchema } from '@weft/ir';
import { operatorMeaning, operatorsWithMeaning } from '@weft/ops';
import { callOperator } from '../index.ts';
import type { Movement } from './finite-differences.ts';
import { checkGradient } from './finite-differences.ts';
import type { OperatorCase } from './run-case.ts';
import { isWrittenTo } from './run-case.ts';
import { unrecordedCalls } from './unrecorded-calls.ts';

const call = (name: string, ...args: IValue[]): IValue => callOperator(`aten::${name}`, args);
const symmetric: Movement = { hermitian: [0] };
/** log_probs as the log-softmax that they are taken for. */
const normalised = (index: number): Movement => ({
  follow: (args) => (args[index] = call('log_softmax.int', args[index], -1n, null)),
});

const movements: Readonly<Record<string, Movement>> = {
  // They read one triangle, and their derivative is by symmetric matrices.
  ...Object.fromEntries(
    [
      'linalg_cholesky',
      'linalg_cholesky_ex',
      'cholesky',
      'linalg_eigvalsh',
      'linalg_eigh',
      '_linalg_eigh',
      'symeig',
      '_symeig_helper',
    ].map((name) => [`aten::${name}`, symmetric]),
  ),
  'aten::ctc_loss.IntList': normalised(0),
  'aten::ctc_loss.Tensor': normalised(0),
  'aten::_ctc_loss': normalised(0),
  'aten::_ctc_loss.Tensor': normalised(0),
};

/** Why the gradient is not that of the numbers that come out. */
const incomparable: Readonly<Record<string, string>> = {
  'aten::poisson': 'draws whole numbers; its rates may not be negative',
  'aten::_standard_gamma': 'the derivative is the implicit one of the distribution, not of the sampler',
  'aten::_sample_dirichlet': 'the derivative is the implicit one of the distribution, not of the sampler',
  'aten::normal.Tensor_float': 'PyTorch gives zeros',
  'aten::normal.float_Tensor': 'PyTorch gives zeros',
  'aten::normal.Tensor_Tensor': 'PyTorch gives zeros',
  'aten::exponential_': 'of rate 0: all infinite',
  'aten::_cast_Float': 'rounds to float32',
  'aten::_cast_Half': 'rounds to float16',
  'aten::dequantize.self': 'rounds to float32',
  'aten::embedding': 'the row of padding_idx gets no gradient',
};

/** Operators no result of which requires gradients. */
const withoutGradient: Readonly<Record<string, readonly string[]>> = {
  'new values of the shape of an operand': [
    ...['zeros_like', 'ones_like', 'full_like', 'new_full', 'new_ones', 'new_zeros'],
    ...['rand_like', 'randn_like', 'randint_like', 'bernoulli.p'],
  ],
  'reinterpreted or counted': ['view.dtype', 'histc', 'view_copy.dtype'],
  'no derivative in PyTorch, of Bessel functions': [
    'special_modified_bessel_i0',
    'special_modified_bessel_i1',
  ],
  'power 0': ['linalg_matrix_power'],
  'no derivative in PyTorch': [
    ...['t', 'u', 'v', 'w'].flatMap((kind) => [
      `special_chebyshev_polynomial_${kind}`,
      `special_shifted_chebyshev_polynomial_${kind}`,
    ]),
    ...[
      'hermite_polynomial_h',
      'hermite_polynomial_he',
      'laguerre_polynomial_l',
      'legendre_polynomial_p',
    ].map((name) => `special_${name}`),
  ].flatMap((name) => [name, `${name}.x_scalar`, `${name}.n_scalar`]),
};

/** Results that require no gradients beside ones that do, by index: saved for the derivative, or counts and residuals. */
const constantResults: Readonly<Record<string, readonly number[]>> = {
  'aten::_grid_sampler_2d_cpu_fallback_backward': [1],
  'aten::_batch_norm_impl_index': [1, 2],
  'aten::_ctc_loss': [1],
  'aten::_ctc_loss.Tensor': [1],
  'aten::_symeig_helper': [1],
  'aten::native_batch_norm': [1, 2],
  'aten::native_layer_norm': [1, 2],
  'aten::_weight_norm_interface': [1],
  'aten::linalg_lstsq': [1, 2],
  'aten::linalg_qr': [0],
  'aten::log_sigmoid_forward': [1],
  'aten::lu_unpack': [0],
  'aten::multilabel_margin_loss_forward': [1],
  'aten::nll_loss_forward': [1],
  'aten::nll_loss2d_forward': [1],
};

/** Operators with tensors in and out of which there is no call, and why. */
const uncalled: Readonly<Record<string, readonly string[]>> = {
  'of truth values': ['all.dims', 'any.dims'],
  'values that nobody wrote': ['empty_like', 'new_empty', 'new_empty_strided'],
  'without gradients by definition': [
    ...['_no_grad_uniform_', '_no_grad_normal_', '_no_grad_fill_', '_no_grad_zero_'],
    '_no_grad_embedding_renorm_',
  ],
  'updates of optimizers and of loss scales': [
    ...['_amp_foreach_non_finite_check_and_unscale', '_amp_update_scale', '_fused_adam'],
  ],
  'equal to others in relations.test.ts, halves of derivatives themselves': [
    ...['batch_norm_gather_stats', 'batch_norm_gather_stats_with_counts', 'batch_norm_stats'],
    ...['batch_norm_backward_reduce', 'batch_norm_backward_elemt', 'convolution_backward_overrideable'],
    ...['mkldnn_max_pool2d_backward', 'mkldnn_max_pool3d_backward', 'mkldnn_adaptive_avg_pool2d_backward'],
    ...['mkldnn_linear_backward', 'mkldnn_linear_backward_input', 'mkldnn_linear_backward_weights'],
    ...['_thnn_fused_lstm_cell', '_thnn_fused_lstm_cell_backward_impl', '_thnn_fused_lstm_cell_backward'],
    ...['_thnn_fused_gru_cell', '_thnn_fused_gru_cell_backward', 'to_dense_backward', 'to_mkldnn_backward'],
  ],
};

const qualified = (table: Readonly<Record<string, readonly string[]>>): Set<string> =>
  new Set(Object.values(table).flatMap((names) => names.map((name) => `aten::${name}`)));

const folder = join(__dirname, 'cases');
const recorded = readdirSync(folder).flatMap(
  (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as OperatorCase[],
);
/** A call without its numbers; in `kinds` all floating dtypes are one, because it is made in float64 whatever it was recorded in. */
const dtypesOf = ({ op, args }: OperatorCase): string =>
  op + JSON.stringify(args, (key, value: unknown) => (key === 'd' ? undefined : value));
const kindsOf = (each: OperatorCase): string => dtypesOf(each).replace(/"(b?float|complex)\d+"/g, '"$1"');
const dtypesByKinds = new Map<string, string>();
const isFirstOfItsKinds = (each: OperatorCase): boolean => {
  const [kinds, dtypes] = [kindsOf(each).replaceAll('bfloat', 'float'), dtypesOf(each)];
  if (!dtypesByKinds.has(kinds)) dtypesByKinds.set(kinds, dtypes);
  return dtypesByKinds.get(kinds) === dtypes;
};

/** Without errors, `out=`, which refuses gradients, and nested tensors, which have no numbers to move. */
const calls = [...recorded, ...unrecordedCalls]
  .filter(isFirstOfItsKinds)
  .filter(
    ({ op, args, error }) =>
      error === undefined &&
      !op.includes('nested') &&
      !JSON.stringify(args).includes('"nested"') &&
      !findSchema(op)!.arguments.some((formal) => isWrittenTo(formal) && formal.kwargOnly),
  );

const constants = qualified(withoutGradient);

/** What is wrong with a call's gradient, or null. */
function problemOf(recordedCall: OperatorCase): string | null {
  const { op } = recordedCall;
  let outcome;
  try {
    outcome = checkGradient(recordedCall, movements[op]);
  } catch (error) {
    const [message] = (error as Error).message.split('\n');
    // Operators without a derivative say so.
    return /derivative|not differentiable/.test(message) ? null : message;
  }
  switch (outcome.kind) {
    case 'agrees': {
      const expected = constantResults[op] ?? [];
      return outcome.constant.every((index) => expected.includes(index))
        ? null
        : `results ${outcome.constant.join(', ')} have no gradient`;
    }
    case 'differs':
      return outcome.reason;
    case 'nothing':
      return outcome.reason === 'no gradient' && constants.has(op) ? null : outcome.reason;
    default:
      return outcome satisfies never;
  }
}

const isPlain = (problem: string): boolean => problem.startsWith('no floating');

describe('gradients agree with finite differences', () => {
  const byOperator = new Map<string, OperatorCase[]>();
  for (const each of calls) {
    const known = byOperator.get(each.op);
    if (known === undefined) byOperator.set(each.op, [each]);
    else known.push(each);
  }
  test.each([...byOperator.keys()])('%s', (op) => {
    const found = byOperator.get(op)!.flatMap((each) => {
      const problem = problemOf(each);
      return problem === null || isPlain(problem)
        ? []
        : [`${problem}: ${JSON.stringify(each.args).slice(0, 300)}`];
    });
    // A reason that is no longer one has to go.
    if (op in incomparable) expect(found).not.toEqual([]);
    else expect(found).toEqual([]);
  });
});

test('every operator with tensors in and out is called, or is in a list', () => {
  const hasTensors = (type: Type): boolean =>
    type.kind === 'Tensor' || ('element' in type && hasTensors(type.element as Type));
  const called = new Set(
    [...recorded, ...unrecordedCalls].flatMap(({ op, error }) => (error === undefined ? [op] : [])),
  );
  const listed = qualified(uncalled);
  const missing = operatorsWithMeaning().filter((name) => {
    const schema = findSchema(name);
    if (schema === undefined || operatorMeaning(name)!.kind === 'host') return false;
    const takes = schema.arguments.some(({ type }) => hasTensors(type));
    return (
      takes && schema.returns.some(({ type }) => hasTensors(type)) && !called.has(name) && !listed.has(name)
    );
  });
  expect(missing).toEqual([]);
  expect([...listed].filter((name) => called.has(name) || operatorMeaning(name) === undefined)).toEqual([]);
});

test('a wrong gradient is found', () => {
  const { op, args } = recorded.find((each) => each.op === 'aten::tanh')!;
  // As if the operand were scaled after the derivative was taken.
  const twice: Movement = { follow: (values) => (values[0] = call('detach', values[0])) };
  expect(checkGradient({ op, args }).kind).toBe('agrees');
  expect(checkGradient({ op: 'aten::mul.Tensor', args: [args[0], args[0]] }, twice).kind).toBe('differs');
});
