// Parity of the library's modules: each is scripted from its TypeScript and gives what it gives when called.
import { expect, test } from '@jest/globals';
import { manualSeed, nn } from '@weft/tensor';
import { script } from './index.ts';
import { moduleCases, plainResult } from './nn-module-cases.ts';

type Callable = { forward(...given: unknown[]): unknown };

test.each([...moduleCases])('%s', (_, { make, inputs }) => {
  manualSeed(0);
  const module = make().eval() as nn.Module & Callable;
  const given = inputs();
  const scripted = script(module as never) as unknown as Callable;
  expect(plainResult(scripted.forward(...given))).toEqual(plainResult(module.forward(...given)));
});

test('every class of modules is there', () => {
  const made = new Set([...moduleCases.values()].map(({ make }) => make().constructor));
  const classes = Object.values<unknown>(nn).filter(
    (value): value is typeof nn.Module => typeof value === 'function' && value.prototype instanceof nn.Module,
  );
  // Containers without a forward of their own.
  const containers: unknown[] = [nn.ModuleList, nn.ModuleDict];
  expect(classes.filter((each) => !made.has(each) && !containers.includes(each))).toEqual([]);
});
