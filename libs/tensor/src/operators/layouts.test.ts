// Strides of results and shared storage against PyTorch's: recorded calls with operands laid out in several ways (see
// tools/make-layout-cases.py). The contents must not depend on how the operands lie.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { LayoutRecord } from './run-layout.ts';
import { runLayout } from './run-layout.ts';

const path = process.env.WEFT_LAYOUTS ?? join(__dirname, 'layouts.json');
const records = JSON.parse(readFileSync(path, 'utf8')) as LayoutRecord[];

describe('strides of results', () => {
  test.each([...new Set(records.map(({ op }) => op))])('%s', (name) => {
    const calls = records.filter(({ op }) => op === name);
    expect(calls.flatMap((call) => call.layouts.flatMap((layout) => runLayout(call, layout) ?? []))).toEqual(
      [],
    );
  });
});
