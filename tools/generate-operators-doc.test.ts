import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { operatorsDocument } from './generate-operators-doc.ts';

test('docs/operators.md is current (npx tsx tools/generate-operators-doc.ts writes it)', () => {
  expect(operatorsDocument()).toBe(readFileSync(join(__dirname, '../docs/operators.md'), 'utf8'));
});
