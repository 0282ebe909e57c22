// Graphs of loaded archives against PyTorch's, over the recorded cases:
//  - text for text what PyTorch makes of the archive when it loads it (loaded-graphs.json, by tools/make-loaded-graphs.py);
//  - in structure what PyTorch compiled before it wrote the archive (graph.txt), apart from what writing changes.
// A sample by default; WEFT_ALL_CASES=1 checks every case.
import { expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Graph } from '@weft/ir';
import { parseGraph, printGraph } from '@weft/ir';
import { inlined } from '../inlined.ts';
import { structureOf } from '../structure.ts';
import { load } from './index.ts';

const cases = join(__dirname, '../../../../../shared/torchscript/cases');
const recorded = JSON.parse(readFileSync(join(__dirname, 'loaded-graphs.json'), 'utf8')) as Record<
  string,
  [method: string, graph: string, inlined: string][]
>;
const every = process.env.WEFT_ALL_CASES === '1' ? 1 : 7;
const sample = existsSync(cases)
  ? Object.entries(recorded).filter(([name], index) => index % every === 0 || /fork|enum|union/.test(name))
  : [];

/** As `canonical` of the tool. */
const canonical = (graph: Graph): string =>
  printGraph(graph)
    .replace(/\[warn_id=\d+\]/g, '')
    .split(/^(?=with )/m)
    .map((part) => `${renumbered(part).trim()}\n`)
    .join('');

function renumbered(text: string): string {
  const names = new Map<string, string>();
  return text.replace(/"(?:[^"\\]|\\.)*"|%[\w.]+/g, (token) => {
    if (token.startsWith('"')) return token;
    if (!names.has(token)) names.set(token, `%${names.size}`);
    return names.get(token)!;
  });
}

const digest = (graph: Graph): string =>
  createHash('sha256').update(canonical(graph)).digest('hex').slice(0, 12);

/** Inlined graphs that differ from PyTorch's. */
const apart: Readonly<Record<string, string>> = {
  'attention/decoder_layer':
    'PyTorch drops constants that nothing reads once a pass says that it changed something',
};

test('loaded archives have the graphs that PyTorch gives them', () => {
  const wrong: string[] = [];
  for (const [name, methods] of sample) {
    const module = load(join(cases, name, 'model.pt'), { allowUnsupported: true });
    for (const [method, graph, inline] of methods) {
      const own = module.method(method).graph;
      if (digest(own) !== graph) wrong.push(`${name} ${method}`);
      if (digest(inlined(own)) !== inline && !(name in apart)) wrong.push(`${name} ${method}, inlined`);
    }
  }
  expect(wrong).toEqual([]);
});

/** Graphs that are not what was compiled once they have been written and read again, in PyTorch too. */
const changed: Readonly<Record<string, string>> = {
  'catalogue/fractional_and_time_batch_convolution': 'default arguments are written out as literals',
  'control/annotate_empty_containers': 'annotate(Optional[Tensor], None) is written as None',
  'control/mandelbrot_escape': 'the results of a loop are ordered by their first use in the text',
  'modules/freeze': 'constant tensors lose the digits that the text does not show',
  'modules/freeze_keeping_attributes': 'constant tensors lose the digits that the text does not show',
  'modules/optimize_for_inference_free_form': 'constant tensors lose the digits that the text does not show',
  'reductions/max_named_result': 'a result with names is written as a plain tuple',
  'types/enum_iteration': 'the list of members is written as a list literal',
  'vision/gaussian_blur_and_sobel': 'an expression moves to the place where its value is read',
};

test('what was written has the structure of what PyTorch compiled', () => {
  const wrong: string[] = [];
  const options = { exact: true, plainTensors: true };
  const structure = (graph: Graph): string => structureOf(graph, options).replace(/warn_id=[^\]]*/g, '');
  for (const [name, methods] of sample) {
    if (name in changed) continue;
    const module = load(join(cases, name, 'model.pt'), { allowUnsupported: true });
    for (const [method] of methods) {
      const own = join(cases, name, `graph.${method}.txt`);
      const file = existsSync(own) ? own : join(cases, name, 'graph.txt');
      const graph = module.method(method).graph.clone();
      // A function is saved as the only method of a module.
      if (module.object.type.name === '__torch__.PlaceholderModule') graph.block.removeInput(0);
      if (structure(graph) !== structure(parseGraph(readFileSync(file, 'utf8'), { file }))) {
        wrong.push(`${name} ${method}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});
