// docs/passes.md tells every pass, in the order in which they run, with its summary.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { passesOf } from './index.ts';

test.each(['torch', 'core'] as const)('the table of the %s passes', (level) => {
  const text = readFileSync(fileURLToPath(new URL('../../../../docs/passes.md', import.meta.url)), 'utf8');
  const section = text.split(/^## /m).find((part) => part.toLowerCase().startsWith(`the ${level} level`));
  const rows = [...(section ?? '').matchAll(/^\| `([\w-]+)`\s*\| (.*?)\s*\|$/gm)].map(
    ([, name, summary]) => ({ name, summary }),
  );
  expect(rows).toEqual(passesOf(level).map(({ name, summary }) => ({ name, summary })));
});
