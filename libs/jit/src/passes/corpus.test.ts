// Graphs that real PyTorch made go through the whole pipeline: they stay valid after every pass, and come to rest.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { parseGraph, printGraph } from '@weft/ir';
import { optimize } from './index.ts';

const corpus = fileURLToPath(new URL('../../../../../shared/torchscript/cases', import.meta.url));
const files = existsSync(corpus)
  ? readdirSync(corpus, { recursive: true, encoding: 'utf8' }).filter(
      // Named tuples that print by name in one place and by fields in another read as two types.
      (file) => /\binlined_graph[^/]*\.txt$/.test(file) && !file.includes('named_tuple_list_and_dict'),
    )
  : [];

test('optimised graphs of PyTorch verify', () => {
  const failures: string[] = [];
  for (const file of files) {
    const graph = parseGraph(readFileSync(join(corpus, file), 'utf8'), { file });
    try {
      optimize(graph, 'torch', { verify: true, rounds: 8 });
      const settled = printGraph(graph);
      if (optimize(graph, 'torch', { verify: true })) {
        failures.push(`${file} changes again\n${settled}\n${printGraph(graph)}`.slice(0, 1500));
      }
    } catch (error) {
      failures.push(`${file}: ${String(error).slice(0, 900)}`);
    }
  }
  expect(failures.slice(0, 6)).toEqual([]);
});
