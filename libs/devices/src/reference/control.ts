// Branches and loops. A branch writes its results in place; a loop keeps its values in registers of its own, which the
// body's results are copied to after every round.
import { numel } from '@weft/ir';
import { copyKernel } from './copy.ts';
import type { Emitter, Kernel } from './program.ts';
import { runKernels } from './program.ts';
import { indexAt } from './shape.ts';

const branch: Emitter = (site) => {
  const regions = site.node.blocks.map((block) => site.region(block, [], site.results));
  const [choice] = site.operands;
  const last = regions.length - 1;
  const isIf = site.node.operator === 'if';
  return (registers) => {
    const value = indexAt(registers[choice], 0);
    // `if`: the first region when true. `case`: the last one for an index out of range.
    const index = isIf ? (value !== 0 ? 0 : 1) : value < 0 || value > last ? last : value;
    runKernels(regions[index].kernels, registers);
  };
};

const loop: Emitter = (site) => {
  const own = (): number[] => site.inSpecs.map((spec) => site.scratch(spec.dtype, numel(spec.sizes)));
  const state = own();
  const [conditionBlock, bodyBlock] = site.node.blocks;
  const condition = site.region(conditionBlock, state);
  const next = own();
  const body = site.region(bodyBlock, state, next);
  const copyAll = (from: readonly number[], to: readonly number[]): Kernel[] =>
    from.map((register, index) => copyKernel(register, to[index]));
  const enter = copyAll(site.operands, state);
  const advance = copyAll(next, state);
  const leave = copyAll(state, site.results);
  const [predicate] = condition.results;
  return (registers) => {
    runKernels(enter, registers);
    for (;;) {
      runKernels(condition.kernels, registers);
      if (indexAt(registers[predicate], 0) === 0) break;
      runKernels(body.kernels, registers);
      runKernels(advance, registers);
    }
    runKernels(leave, registers);
  };
};

export const controlEmitters: Readonly<Record<string, Emitter>> = { if: branch, case: branch, while: loop };
