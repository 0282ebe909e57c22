// Spans of a run: nested as the calls are, with the lines of the program, and closed when an error ends it.
import { expect, test } from '@jest/globals';
import { nn, tensor } from '@weft/tensor';
import type { Tensor } from '@weft/tensor';
import type { IValue } from '@weft/ir';
import { runMethod } from '../executor/index.ts';
import { script } from '../script.ts';
import { load, saveToBytes } from '../archive/index.ts';
import type { RunOptions } from './frame.ts';
import { SpanRecorder } from './span-recorder.ts';

class Inner extends nn.Module {
  forward(x: Tensor): Tensor {
    if (x.sum().item() > 100) throw new Error('too large');
    return x.neg().tanh();
  }
}

class Outer extends nn.Module {
  readonly inner = new Inner();
  forward(x: Tensor): Tensor {
    return this.inner.forward(x.add(x)).mul(x);
  }
}

const { object } = load(saveToBytes(script(new Outer())));

/** Traces one call after two that are not traced: the executor would compile the third, but a traced run is interpreted. */
function spansOf(x: Tensor, limit?: number): SpanRecorder & { error?: unknown } {
  const tracer: SpanRecorder & { error?: unknown } = new SpanRecorder(limit);
  const call = (options?: RunOptions): unknown =>
    runMethod(object, 'forward', [x as unknown as IValue], options);
  for (const options of [undefined, undefined, { tracer }]) {
    try {
      call(options);
    } catch (error) {
      tracer.error = error;
    }
  }
  return tracer;
}

test('operators in the order of the run, inside the calls that run them', () => {
  const { spans } = spansOf(tensor([1, 2]));
  const names = spans.map(({ name }) => name).filter((name) => /aten|forward|Call/.test(name));
  expect(names.filter((name) => !/sum|item|gt|Scalar|Float|Bool/.test(name))).toEqual([
    'forward',
    'aten::add',
    'prim::CallMethod',
    'forward',
    'aten::neg',
    'aten::tanh',
    'aten::mul',
  ]);
  const call = spans.find(({ name }) => name === 'prim::CallMethod')!;
  const tanh = spans.find(({ name }) => name === 'aten::tanh')!;
  expect(tanh.start).toBeGreaterThanOrEqual(call.start);
  expect(tanh.start + tanh.duration).toBeLessThanOrEqual(call.start + call.duration);
  expect(call.inside).toBeGreaterThanOrEqual(tanh.duration);
  expect(String(tanh.node?.source)).toMatch(/span-recorder\.test\.ts:\d+:\d+/);
  for (const { duration, inside } of spans) expect(duration).toBeGreaterThanOrEqual(inside);
});

test('an error closes what was open', () => {
  const { spans, error } = spansOf(tensor([100, 200]));
  expect(String(error)).toContain('too large');
  for (const { name, duration } of spans) expect([name, duration > 0]).toEqual([name, true]);
});

test('spans beyond the limit are counted', () => {
  const { spans, dropped } = spansOf(tensor([1, 2]), 3);
  expect(spans.length).toBe(3);
  expect(dropped).toBeGreaterThan(3);
});
