// The passes that every graph goes through when it is optimised, in order. A new pass of ours is a file here and a line below.
import { removeDeadCode } from '@weft/ir';
import type { Graph } from '@weft/ir';
import { commonSubexpressionsPass, coreCommonSubexpressionsPass } from './common-subexpressions.ts';
import { constantPoolingPass } from './constant-pooling.ts';
import { propagateConstants } from './constant-propagation.ts';
import { coreEarlyResultsPass } from './core-early-results.ts';
import { coreLoopInvariantsPass } from './core-loop-invariants.ts';
import { corePadsPass } from './core-pads.ts';
import { coreParallelProductsPass } from './core-parallel-products.ts';
import { coreSlicesPass } from './core-slices.ts';
import { coreSumsPass } from './core-sums.ts';
import { coreTransposesPass } from './core-transposes.ts';
import { deadCodePass } from './dead-code.ts';
import { evaluateNode } from './evaluate.ts';
import { foldBatchNormPass } from './fold-batch-norm.ts';
import { inlinePass } from './inline.ts';
import { loopInvariantsPass } from './loop-invariants.ts';
import { loopUnrollingPass } from './loop-unrolling.ts';
import { lowerSimpleTuplesPass } from './lower-simple-tuples.ts';
import type { Pass } from './pass.ts';
import { registerPass } from './pass.ts';
import { peepholePass } from './peephole.ts';
import { removeDropoutPass } from './remove-dropout.ts';
import { removeListMutationPass, removeTensorMutationPass } from './remove-mutation.ts';
import { scalarOperandsPass } from './scalar-operands.ts';
import { simplifyCorePass } from './simplify-core.ts';

const constantPropagationPass: Pass = {
  name: 'constant-propagation',
  level: 'torch',
  summary: 'Computes what depends on constants only, and decides branches on constants.',
  run: (graph) => propagateConstants(graph, { mutable: true, evaluate: evaluateNode }),
};

const coreDeadCodePass: Pass = {
  name: 'core-dead-code',
  level: 'core',
  summary: 'Removes nodes whose results nobody reads and that have no effect.',
  run: (graph) => {
    const before = countNodes(graph);
    removeDeadCode(graph);
    return countNodes(graph) !== before;
  },
};

const countNodes = (graph: Graph): number => {
  let count = 0;
  const blocks = [graph.block];
  for (let block = blocks.pop(); block !== undefined; block = blocks.pop()) {
    for (const node of block.nodes()) {
      count += 1 + node.outputs.length;
      blocks.push(...node.blocks);
    }
  }
  return count;
};

const pipeline: readonly Pass[] = [
  inlinePass,
  lowerSimpleTuplesPass,
  removeListMutationPass,
  removeTensorMutationPass,
  peepholePass,
  scalarOperandsPass,
  constantPropagationPass,
  loopUnrollingPass,
  removeDropoutPass,
  foldBatchNormPass,
  commonSubexpressionsPass,
  constantPoolingPass,
  loopInvariantsPass,
  deadCodePass,
  simplifyCorePass,
  coreSlicesPass,
  corePadsPass,
  coreTransposesPass,
  coreLoopInvariantsPass,
  coreCommonSubexpressionsPass,
  coreSumsPass,
  coreParallelProductsPass,
  coreDeadCodePass,
  coreEarlyResultsPass,
];
for (const pass of pipeline) registerPass(pass);
