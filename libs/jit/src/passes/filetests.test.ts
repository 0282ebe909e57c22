// Passes are tested by text files in filetests/. A file holds cases separated by lines of `===`; a case is a head of comments,
// the graph before, `---`, and the graph after:
//
//   # What the case shows.
//   # run: dead-code, peephole
//   graph(%x : Tensor): …
//   ---
//   graph(%x : Tensor): …
//
// With `# run: rewrite` the pattern and the replacement come first, each followed by `---`; `# run: recompute 64` is for so many bytes.
// `# fixed: w, v` names inputs that seldom change. Names that are numbers count by their place only. The graph is verified before and after.
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parseGraph, printGraph, verifyGraph } from '@weft/ir';
import type { Graph } from '@weft/ir';
import { recomputePass } from '../memory/limit.ts';
import type { Pass } from './index.ts';
import { rewrite, runPass } from './index.ts';

const folder = fileURLToPath(new URL('filetests', import.meta.url));

interface Case {
  readonly title: string;
  readonly passes: readonly string[];
  readonly fixed: readonly string[];
  readonly parts: readonly string[];
}

function readCases(file: string): Case[] {
  const text = readFileSync(`${folder}/${file}`, 'utf8');
  return text.split(/^===\n/m).map((section) => {
    const comments = [...section.matchAll(/^# (.*)$/gm)].map((match) => match[1]);
    const run = comments.find((comment) => comment.startsWith('run: '));
    const fixed = comments.find((comment) => comment.startsWith('fixed: '));
    if (run === undefined) throw new Error(`${file}: a case has no '# run:' line`);
    return {
      title: comments.filter((comment) => comment !== run && comment !== fixed).join(' '),
      passes: run.slice('run: '.length).split(', '),
      fixed: fixed?.slice('fixed: '.length).split(', ') ?? [],
      parts: section.split(/^---\n/m),
    };
  });
}

const passNamed = (name: string): Pass | string =>
  name.startsWith('recompute ') ? recomputePass(Number(name.slice('recompute '.length))) : name;

const normalise = (graph: Graph): string => {
  const numbers = new Map<string, number>();
  return printGraph(graph).replace(/%(\d+)\b(?!\.)/g, (_, number: string) => {
    if (!numbers.has(number)) numbers.set(number, numbers.size);
    return `%${numbers.get(number)}`;
  });
};

describe.each(readdirSync(folder).filter((file) => file.endsWith('.ir')))('%s', (file) => {
  test.each(readCases(file).map((entry) => [entry.title, entry] as const))(
    '%s',
    (_, { passes, fixed: names, parts }) => {
      const graph = parseGraph(parts.at(-2)!, { file });
      verifyGraph(graph);
      const fixed = names.map((name) => graph.inputs.indexOf(graph.valueNamed(name)!));
      if (passes[0] === 'rewrite') rewrite(graph, [{ pattern: parts[0], replacement: parts[1] }]);
      else for (const pass of passes) runPass(passNamed(pass), graph, { verify: true, fixed });
      verifyGraph(graph);
      expect(normalise(graph)).toBe(normalise(parseGraph(parts.at(-1)!, { file })));
    },
  );
});
