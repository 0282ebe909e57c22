// Traces: what is recorded, what is warned of, and that the recording computes what the original does.
import { describe, expect, test } from '@jest/globals';
import { verifyGraph } from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { F, Parameter, arange, cat, manualSeed, nn, ones, rand, tensor, zeros } from '@weft/tensor';
import { inlined } from '../../inlined.ts';
import { script } from '../../script.ts';
import { sameResult } from './check.ts';
import { trace } from './trace.ts';

type AnyFunction = (...given: never[]) => unknown;
const silent = { onWarning: () => {} };
const kinds = (graph: ReturnType<typeof inlined>): string[] => [...graph.nodes()].map((node) => node.kind);

/** The trace agrees with the original for the example and for other data, without a warning. */
function expectFaithful(fn: AnyFunction, inputs: Tensor[], others: Tensor[]): void {
  const traced = trace(fn as (...given: unknown[]) => unknown, inputs, silent);
  verifyGraph(traced.graph);
  verifyGraph(traced.inlinedGraph);
  for (const given of [inputs, others]) {
    const expected = (fn as (...given: unknown[]) => unknown)(...given.map((each) => each.clone()));
    expect(sameResult(expected, traced(...given.map((each) => each.clone())))).toBeUndefined();
  }
}

describe('functions', () => {
  const pairs: readonly (readonly [string, AnyFunction, number])[] = [
    [
      'operators with keywords',
      (x: Tensor, y: Tensor) => x.add(y, { alpha: 2 }).sum(0, { keepdim: true }),
      2,
    ],
    [
      'in-place operators on views',
      (x: Tensor) => {
        const y = x.mul(2);
        y.select(0, 1).add_(5);
        y.t().mul_(3);
        return y.add(1);
      },
      1,
    ],
    [
      'an input changed in place',
      (x: Tensor) => {
        x.add_(1);
        return x.mul(2);
      },
      1,
    ],
    [
      'lists of tensors in and out',
      (x: Tensor, y: Tensor) => cat([x, ...y.unbind(0).map((row) => row.unsqueeze(0))], 0),
      2,
    ],
    [
      'several results',
      (x: Tensor) => {
        const [values, indices] = x.max(1);
        return [values, [indices, x]];
      },
      1,
    ],
    [
      'a dict',
      (x: Tensor) =>
        new Map([
          ['a', x.add(1)],
          ['b', x],
        ]),
      1,
    ],
    ['an object', (x: Tensor) => ({ sum: x.sum(), mean: x.mean() }), 1],
    [
      'constants and factories',
      (x: Tensor) =>
        x
          .add(tensor([1, 2, 3]))
          .add(zeros([3], { dtype: 'float32' }))
          .mul(arange(3)),
      1,
    ],
    [
      'loops are unrolled',
      (x: Tensor) => {
        let y = x;
        for (let i = 0; i < 3; i++) y = y.mul(i + 1).tanh();
        return y;
      },
      1,
    ],
    ['the same tensor twice', (x: Tensor) => [x, x], 1],
    ['nothing', (x: Tensor) => x, 1],
  ];
  test.each(pairs.map(([name, fn, count]) => [name, { fn, count }] as const))('%s', (_, { fn, count }) => {
    manualSeed(4);
    const data = (): Tensor[] => Array.from({ length: count }, () => rand([3, 3]));
    expectFaithful(fn, data(), data());
  });

  test('tuples as inputs', () => {
    const fn = (pair: [Tensor, Tensor], z: Tensor): Tensor => pair[0].add(pair[1]).mul(z);
    const traced = trace(fn, [[ones([2]), ones([2])], ones([2])], silent);
    expect(traced([ones([2]), ones([2])], ones([2]).mul(3)).tolist()).toEqual([6, 6]);
  });
  test('inputs have the names of the parameters and what was seen of them', () => {
    const { graph } = trace(
      (left: Tensor, right: Tensor) => left.add(right),
      [rand([2, 3]), rand([3])],
      silent,
    );
    expect(graph.inputs.map((input) => input.name)).toEqual(['left', 'right']);
    expect(graph.inputs[0].type).toMatchObject({
      dtype: 'float32',
      sizes: [2, 3],
      strides: [3, 1],
      device: 'cpu',
    });
  });
  test('dead operators are left out', () => {
    const { graph } = trace(
      (x: Tensor) => {
        x.exp();
        return x.neg();
      },
      rand([2]),
      silent,
    );
    expect(kinds(graph)).toEqual(['aten::neg']);
  });
});

class Scaled extends nn.Module {
  readonly linear = new nn.Linear(3, 3);
  readonly scale = new Parameter(ones([3]));
  readonly blocks = new nn.Sequential(new nn.Linear(3, 3), new nn.ReLU());
  constructor() {
    super();
    this.registerBuffer('offset', ones([3]));
  }
  forward(x: Tensor): Tensor {
    const once = this.linear.forward(x).mul(this.scale);
    return this.blocks.forward(this.linear.forward(once)).add(this.blocks.forward(once));
  }
}
class Shared extends nn.Module {
  readonly first = new nn.Linear(3, 3);
  readonly second = new nn.Linear(3, 3);
  forward(x: Tensor): Tensor {
    return F.linear(this.second.forward(x), this.first.weight, this.second.bias);
  }
}
class Outer extends nn.Module {
  readonly scaled = new Scaled();
  readonly shared = new Shared();
  forward(x: Tensor): [Tensor, Tensor] {
    const y = this.shared.forward(x);
    return [this.scaled.forward(y).add(y), y];
  }
}

describe('modules', () => {
  test('a hierarchy: parameters, buffers, shared weights, several calls of one module', () => {
    manualSeed(5);
    const outer = new Outer();
    const traced = trace(outer, rand([2, 3]), silent);
    expect(traced.warnings).toEqual([]);
    verifyGraph(traced.graph);
    expect(kinds(traced.graph).filter((kind) => kind === 'prim::CallMethod')).toHaveLength(2);
    const x = rand([4, 3]);
    expect(sameResult(outer.forward(x), traced.forward(x))).toBeUndefined();
    const scaled = traced.object.type.attributes.find(({ name }) => name === 'scaled')!.type;
    if (scaled.kind !== 'Class') throw new Error('a submodule is no class');
    const linear = scaled.attributes.find(({ name }) => name === 'linear')!.type;
    expect(linear.kind === 'Class' && [...linear.methods.keys()]).toEqual(['forward', 'forward1']);
    // Without calls it is plain operators.
    expect(
      kinds(inlined(traced.graph)).every(
        (kind) => kind.startsWith('aten::') || /Constant|GetAttr|Tuple/.test(kind),
      ),
    ).toBe(true);
  });

  test('the module is as it was afterwards', () => {
    const outer = new Outer();
    trace(outer, rand([2, 3]), silent);
    expect(Object.hasOwn(outer.scaled, 'forward')).toBe(false);
    expect(outer.scaled.linear.forward(rand([1, 3])).sizes).toEqual([1, 3]);
  });

  test('parameters are shared, so training the trace trains the module', () => {
    const module = new Scaled();
    const traced = trace(module, rand([2, 3]), silent);
    expect([...traced.parameters()].every((own) => [...module.parameters()].includes(own))).toBe(true);
    (traced.forward(rand([2, 3])) as Tensor).sum().backward();
    expect(module.scale.grad).not.toBeNull();
  });

  test('scripted functions and modules in a trace stay calls', () => {
    const gate = (x: Tensor): Tensor => {
      if (x.sum().item() > 0) return x;
      return x.neg();
    };
    const scripted = script(gate);
    const traced = trace((x: Tensor) => scripted(x.mul(2)).add(1), ones([2]), silent);
    expect(kinds(traced.graph)).toContain('prim::CallFunction');
    expect(traced.warnings).toEqual([]);
    expect(traced(ones([2]).neg()).tolist()).toEqual([3, 3]);
  });

  test('a scripted function that gives several tensors', () => {
    const both = script((x: Tensor): [Tensor, Tensor] => [x.add(1), x.mul(2)]);
    const traced = trace(
      (x: Tensor) => {
        const [a, b] = both(x);
        return a.mul(b);
      },
      ones([2]),
      silent,
    );
    expect(traced(ones([2]).mul(3)).tolist()).toEqual([24, 24]);
  });
});

describe('warnings', () => {
  const reasons = (fn: AnyFunction, input: Tensor): string[] =>
    trace(fn, input, silent).warnings.map(({ reason }) => reason);

  test('a size that was read', () => {
    const [reason] = reasons((x: Tensor) => x.view([x.size(0) * x.size(1)]), rand([2, 3]));
    expect(reason).toMatch(/a size was read as a number/);
  });
  test('data that decides', () => {
    const found = reasons((x: Tensor) => (x.sum().item() > 0 ? x : x.neg()), ones([2]));
    expect(found[0]).toMatch(/a number was read from a tensor \(item\)/);
  });
  test('a second run with other data shows what was frozen', () => {
    const found = reasons((x: Tensor) => x.add(x.sum().item()), ones([3]));
    expect(found.at(-1)).toMatch(
      /does not agree with the original for other data of the same shapes: the result is/,
    );
    expect(
      trace((x: Tensor) => x.add(x.sum().item()), ones([3]), { ...silent, checkTrace: false }).warnings,
    ).toHaveLength(1);
  });
  test('warnings go to the process unless they are taken', () => {
    const seen: string[] = [];
    trace((x: Tensor) => x.mul(x.sum().item()), ones([1]), {
      onWarning: ({ name }) => seen.push(name),
      checkTrace: false,
    });
    expect(seen).toEqual(['TracerWarning']);
  });
  test('the random stream does not move through the check', () => {
    manualSeed(9);
    const expected = rand([2]).tolist();
    manualSeed(9);
    trace((x: Tensor) => x.mul(2), ones([2]), silent);
    expect(rand([2]).tolist()).toEqual(expected);
  });
});
