// Random numbers against PyTorch's: the programs of the corpus' group `random` in TypeScript, compared bit for bit where
// the case says so.
import { expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DType } from '@weft/ir';
import * as w from '../index.ts';
import { F, Generator, manualSeed, nn, tensor } from '../index.ts';
import type { Tensor } from '../index.ts';

const root = resolve(import.meta.dirname ?? __dirname, '../../../../../shared/torchscript/cases/random');

type Result = Tensor[] | ReadonlyMap<string, Tensor>;
const f64 = { dtype: 'float64' } as const;
const parameters = (module: nn.Module): Map<string, Tensor> => new Map(module.namedParameters());
const holder = (modules: Record<string, nn.Module>): nn.ModuleDict => new nn.ModuleDict(modules);

const programs: Record<string, () => Result> = {
  bernoulli_probabilities: () => {
    const p = tensor([0.0, 0.1, 0.5, 0.9, 1.0]);
    return [
      w.bernoulli(p),
      w.bernoulli(p.to('float64')),
      w.zeros(5).bernoulli_(p),
      w.bernoulli(w.full([3, 3], 0.5)),
    ];
  },
  bernoulli_scalar: () => [
    w.empty(10).bernoulli_(0.3),
    w.empty(5, { dtype: 'int64' }).bernoulli_(0.5),
    w.empty(4, { dtype: 'bool' }).bernoulli_(),
    w.bernoulli(w.zeros(6), 0.7),
    w.empty(20, f64).bernoulli_(0.5),
  ],
  default_init_attention: () =>
    parameters(
      holder({
        attn: new nn.MultiheadAttention(4, 2),
        encoder: new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 6 }),
      }),
    ),
  default_init_conv1d_and_transposed: () =>
    parameters(
      holder({
        a: new nn.Conv1d(2, 4, 3, { groups: 2 }),
        b: new nn.ConvTranspose2d(2, 3, 2),
        c: new nn.Conv3d(1, 2, 2, { bias: false }),
      }),
    ),
  default_init_conv2d: () => parameters(new nn.Conv2d(2, 3, 3)),
  default_init_embedding: () =>
    parameters(holder({ a: new nn.Embedding(4, 3), b: new nn.Embedding(7, 4, { paddingIdx: 2 }) })),
  default_init_linear: () => parameters(new nn.Linear(3, 5)),
  default_init_mlp_order: () =>
    parameters(
      new nn.Sequential(
        new nn.Linear(2, 4),
        new nn.ReLU(),
        new nn.Linear(4, 4),
        new nn.BatchNorm1d(4),
        new nn.Linear(4, 1),
      ),
    ),
  default_init_norms_and_bilinear: () => {
    const m = holder({
      bn: new nn.BatchNorm2d(3),
      ln: new nn.LayerNorm(4),
      gn: new nn.GroupNorm(2, 4),
      bi: new nn.Bilinear(2, 3, 2),
      prelu: new nn.PReLU(2),
    });
    return new Map([...m.namedParameters(), ...m.namedBuffers()]);
  },
  default_init_recurrent: () =>
    parameters(
      holder({
        lstm: new nn.LSTM(3, 2, { bidirectional: true }),
        gru: new nn.GRU(2, 3, { numLayers: 2 }),
        rnn: new nn.RNN(2, 2),
        cell: new nn.LSTMCell(2, 2),
      }),
    ),
  dropout_mask: () => {
    const x = w.ones(4, 5);
    return [
      ...[0.5, 0.1, 0.9, 0.0, 1.0].map((p) => F.dropout(x, p, true)),
      F.dropout(x, 0.5, false),
      w.rand(1),
    ];
  },
  dropout_variants: () => {
    const x = w.ones(2, 3, 2, 2);
    return [
      w.featureDropout(x, 0.5, true),
      w.featureDropout(x.select(3, 0), 0.5, true),
      w.featureDropout(x.unsqueeze(-1), 0.5, true),
      w.alphaDropout(x.select(0, 0), 0.5, true),
      w.featureAlphaDropout(x, 0.5, true),
    ];
  },
  exponential_and_others: () => [
    w.empty(5).exponential_(),
    w.empty(5).exponential_(2.0),
    w.empty(5).geometric_(0.3),
    w.empty(5).cauchy_(),
    w.empty(5).logNormal_(),
    w.empty(20).exponential_(),
    w.empty(5, f64).exponential_(),
  ],
  generator_state_restored: () => {
    w.rand(7);
    const state = w.getRngState();
    const a = w.rand(3);
    w.setRngState(state);
    const b = w.rand(3);
    return [a, b, state.slice(0, 0, 16).clone(), tensor(state.numel())];
  },
  gumbel_softmax: () => {
    const x = tensor([[1.0, 2.0, 3.0]], { dtype: 'float32' });
    return [F.gumbelSoftmax(x), F.gumbelSoftmax(x, 0.5, true)];
  },
  init_constants: () => {
    const [a, b, c, d] = [w.empty(2, 3), w.empty(2, 2), w.empty(3), w.empty(2, 2, 3)];
    nn.init.constant_(a, 0.3);
    nn.init.eye_(b);
    nn.init.ones_(c);
    nn.init.dirac_(d);
    return [
      a,
      b,
      c,
      d,
      nn.init.zeros_(w.empty(2)),
      nn.init.uniform_(w.empty(3), -1, 1),
      tensor(nn.init.calculateGain('leaky_relu', 0.2)),
    ];
  },
  kaiming_and_xavier_normal: () => {
    const [a, b, c, d] = [w.empty(3, 4), w.empty(5, 4), w.empty(2, 3, 3, 3), w.empty(2, 2)];
    nn.init.kaimingNormal_(a);
    nn.init.xavierNormal_(b);
    nn.init.kaimingNormal_(c, { mode: 'fan_out', nonlinearity: 'relu' });
    nn.init.normal_(d, 1.0, 0.02);
    return [a, b, c, d];
  },
  kaiming_and_xavier_uniform: () => {
    const [a, b, c, d, e] = [w.empty(3, 4), w.empty(3, 4), w.empty(2, 3, 3, 3), w.empty(3, 4), w.empty(3, 4)];
    nn.init.kaimingUniform_(a);
    nn.init.kaimingUniform_(b, { a: Math.sqrt(5) });
    nn.init.kaimingUniform_(c, { mode: 'fan_out', nonlinearity: 'relu' });
    nn.init.xavierUniform_(d);
    nn.init.xavierUniform_(e, nn.init.calculateGain('tanh'));
    return [a, b, c, d, e];
  },
  multinomial_with_replacement: () => {
    const p = tensor(
      [
        [1.0, 0.0, 3.0],
        [5.0, 5.0, 0.0],
      ],
      { dtype: 'float32' },
    );
    return [
      w.multinomial(p, 5, { replacement: true }),
      w.multinomial(p.select(0, 0), 8, true),
      w.multinomial(p.to('float64'), 3, true),
    ];
  },
  multinomial_without_replacement: () => {
    const p = tensor([0.1, 0.2, 0.3, 0.4]);
    return [w.multinomial(p, 1), w.multinomial(p, 2), w.multinomial(p, 4), w.multinomial(p.repeat(3, 1), 2)];
  },
  normal_with_parameters: () => {
    const options = { dtype: 'float32' } as const;
    const mean = tensor([0.0, 10.0, -5.0], options);
    const std = tensor([1.0, 0.1, 3.0], options);
    return [
      w.normal(mean, std),
      w.normal(mean, 2.0),
      w.normal(1.0, std),
      w.normal(3.0, 0.5, [4]),
      w.normal(0.0, 1.0, [20]),
      w.normal(mean.repeat(6), std.repeat(6)),
      w.empty(4).normal_(2.0, 3.0),
      w.empty(18).normal_(-1.0, 0.5),
    ];
  },
  odd_number_of_normals_leaves_a_cached_one: () => [
    w.randn(1),
    w.randn(1),
    w.randn(3),
    w.rand(1),
    w.randn(1),
    w.randn(2, f64),
  ],
  own_generator: () => {
    const g = new Generator().manualSeed(123);
    const h = new Generator().manualSeed(123);
    return [
      w.rand([3], { generator: g }),
      w.randn([3], { generator: h }),
      w.randperm(5, { generator: g }),
      w.rand(2),
      tensor(g.initialSeed()),
    ];
  },
  rand: () => [w.rand(5), w.rand(2, 3), w.rand(40), w.rand(3)],
  rand_float64: () => [w.rand(5, f64), w.rand(20, f64), w.rand(2)],
  rand_half_and_bfloat16: () => [
    w.rand(6, { dtype: 'float16' }),
    w.rand(6, { dtype: 'bfloat16' }),
    w.rand(2),
  ],
  rand_like_and_empty: () => [w.randLike(w.zeros(2, 2)), w.rand(0), w.rand([]), w.rand(1)],
  rand_non_contiguous: () => [
    w.empty(3, 4).t().uniform_(),
    w.empty(6, 6).slice(0, null, null, 2).slice(1, null, null, 3).uniform_(),
    w.empty(4, 4).select(1, 1).random_(0, 9),
  ],
  randint: () => [
    w.randint(10, [5]),
    w.randint(-5, 5, [2, 3]),
    w.randint(0, 2, [20]),
    w.randint(3, [4], { dtype: 'int32' }),
    w.randint(0, 256, [6], { dtype: 'uint8' }),
    w.randint(0, 100, [3], { dtype: 'float32' }),
  ],
  randint_wide_range: () => [
    w.randint(0, 2 ** 40, [4]),
    w.randint(-(2 ** 62), 2 ** 62, [4]),
    w.randint(0, 2 ** 32, [4]),
    w.randint(0, 2 ** 32 - 1, [2]),
    w.randintLike(w.zeros(3), 7),
  ],
  randn_complex: () => [w.randn(3, { dtype: 'complex64' }), w.randn(10, { dtype: 'complex64' })],
  randn_float64: () => [w.randn(5, f64), w.randn(16, f64), w.randn(21, f64)],
  randn_half_and_bfloat16: () => [w.randn(5, { dtype: 'float16' }), w.randn(20, { dtype: 'bfloat16' })],
  randn_like_and_non_contiguous: () => [
    w.randnLike(w.zeros(2, 3)),
    w.empty(5, 4).t().normal_(),
    w.empty(3, 2).t().normal_(),
  ],
  randn_sixteen_and_more: () => [
    w.randn(16),
    w.randn(17),
    w.randn(31),
    w.randn(32),
    w.randn(40),
    w.randn(4, 4),
  ],
  randn_small: () => [w.randn(5), w.randn(2, 3), w.randn(15), w.randn(1), w.randn([])],
  random_in_place: () => [
    w.zeros(4, { dtype: 'int64' }).random_(),
    w.zeros(4).random_(0, 10),
    w.zeros(4, { dtype: 'int32' }).random_(100),
    w.zeros(4, { dtype: 'uint8' }).random_(),
    w.zeros(4).random_(),
    w.zeros(4, { dtype: 'bool' }).random_(),
  ],
  randperm: () => [
    w.randperm(1),
    w.randperm(5),
    w.randperm(30),
    w.randperm(0),
    w.randperm(4, { dtype: 'int32' }),
  ],
  rrelu: () => {
    const x = tensor([-1.0, -2.0, 3.0, -4.0], { dtype: 'float32' });
    return [w.rrelu(x, 0.1, 0.3, true), w.rrelu(x)];
  },
  sparse_and_orthogonal_init: () => {
    const [a, b] = [w.empty(4, 3), w.empty(3, 5)];
    nn.init.orthogonal_(a);
    nn.init.orthogonal_(b, 2.0);
    return [a, b, nn.init.sparse_(w.empty(4, 3), 0.5)];
  },
  trunc_normal: () => {
    const [a, b] = [w.empty(4, 3), w.empty(20)];
    nn.init.truncNormal_(a, 0, 0.02);
    nn.init.truncNormal_(b, 1.0, 2.0, -1.0, 1.5);
    return [a, b];
  },
  two_streams_share_one_generator: () => [
    w.rand(3),
    w.randn(3),
    w.randint(10, [3]),
    w.rand(3, f64),
    w.randn(20),
    w.randperm(6),
    w.rand(2),
  ],
  uniform_in_place: () => [
    w.empty(5).uniform_(),
    w.empty(5).uniform_(-2, 3),
    w.empty(4, f64).uniform_(0, 10),
    w.empty(3, 2).t().uniform_(),
  ],
};

interface Encoded {
  readonly tensor?: { dtype: DType; shape: number[]; offset: number };
  readonly list?: Encoded[];
  readonly dict?: [{ str: string }, Encoded][];
  readonly float?: number;
}
interface Case {
  readonly tolerance: { rtol: number; atol: number };
  readonly calls: readonly { seed: number; output: Encoded }[];
}

function decode({ tensor: data }: Encoded, bytes: Uint8Array): Tensor {
  const { dtype, shape, offset } = data!;
  const width = w.empty(1, { dtype }).elementSize();
  const length = shape.reduce((product, size) => product * size, 1) * width;
  const made = w.empty(shape, { dtype });
  made.writeBytes(bytes.slice(offset, offset + length));
  return made;
}

function compare(name: string, actual: Tensor, expected: Tensor, tolerance: Case['tolerance']): void {
  expect(`${name} ${actual.specKey}`).toBe(`${name} ${expected.specKey}`);
  const own = JSON.stringify(actual.tolist(), replacer);
  const wanted = JSON.stringify(expected.tolist(), replacer);
  if (own === wanted) return;
  if (tolerance.rtol === 0) expect(`${name} ${own}`).toBe(`${name} ${wanted}`);
  const difference = actual.sub(expected).abs().sub(expected.abs().mul(tolerance.rtol));
  expect(difference.max().item()).toBeLessThanOrEqual(tolerance.atol);
}
const replacer = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 're' in value ? String(Object.values(value)) : value;

const runnable = existsSync(root) ? test.each(Object.keys(programs)) : test.each<string>([]);
runnable('%s', (name) => {
  const { tolerance, calls } = JSON.parse(readFileSync(join(root, name, 'io.json'), 'utf8')) as Case;
  const bytes = new Uint8Array(readFileSync(join(root, name, 'tensors.bin')));
  for (const { seed, output } of calls) {
    manualSeed(seed);
    const result = programs[name]();
    const actual =
      result instanceof Map
        ? [...result]
        : (result as Tensor[]).map((each, index) => [String(index), each] as const);
    const expected =
      output.dict?.map(([key, value]) => [key.str, value] as const) ??
      output.list!.map((value, index) => [String(index), value] as const);
    expect(actual.map(([key]) => key)).toEqual(expected.map(([key]) => key));
    actual.forEach(([key, value], index) =>
      compare(`${seed}:${key}`, value as Tensor, decode(expected[index][1], bytes), tolerance),
    );
  }
});
