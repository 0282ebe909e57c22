// Every recorded operator call against PyTorch's own results and gradients.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { OperatorCase } from './run-case.ts';
import { runCase } from './run-case.ts';

const folder = join(__dirname, 'cases');

for (const file of readdirSync(folder).sort()) {
  const cases = JSON.parse(readFileSync(join(folder, file), 'utf8')) as OperatorCase[];
  describe(file.replace('.json', ''), () => {
    const names = [...new Set(cases.map(({ op }) => op))];
    test.each(names)('%s', (name) => {
      const failures = cases
        .filter(({ op }) => op === name)
        .flatMap((each) => {
          const problem = runCase(each);
          return problem === null ? [] : [`${JSON.stringify(each.args).slice(0, 300)}: ${problem}`];
        });
      expect(failures).toEqual([]);
    });
  });
}
