// What becomes of a method's graph, pass by pass: as the executor compiles it for some arguments, with the gradients of a loss, or by the
// passes of the torch level.
import { UnsupportedError, hostDevice, ir, jit } from 'weft';

/** The graph as one step left it. */
export interface PassStage {
  readonly name: string;
  readonly summary: string;
  /** `changed`, `unchanged`, or what else is to be said of the step. */
  readonly outcome: string;
  /** The graph's text, where the step changed it. */
  readonly graph?: string;
}

/** As written, prepared for running, lowered for the arguments, and after each pass over the core graph. */
export function* executorStages(
  module: jit.ScriptModule,
  method: string,
  values: readonly ir.IValue[],
): Generator<PassStage> {
  const callee = module.method(method);
  yield written(callee);
  const prepared = jit.executable(callee.graph);
  yield {
    name: 'prepare',
    summary: 'Makes the changes that can be seen in results, as PyTorch makes them before it runs a graph.',
    ...outcomeOf(prepared !== callee.graph, prepared),
  };
  const { unrollLimit } = jit.setExecutor({});
  let lowered: jit.ExactLowering;
  const summary = 'Makes one core graph of the method and all that it calls, for these arguments.';
  try {
    const options = { unrollLimit, gradEnabled: false };
    lowered = jit.lowerExactly(callee, [module.object, ...values], options);
  } catch (error) {
    // As the executor does: whatever keeps it from compiling, the interpreter can run the call.
    if (!(error instanceof Error)) throw error;
    yield { name: 'lower', summary, outcome: `refused, it is interpreted: ${error.message}` };
    return;
  }
  const { graph } = lowered;
  yield { name: 'lower', summary, ...outcomeOf(true, graph) };
  const fixed = lowered.requests.length > 0 ? [] : jit.fixedInputs(lowered);
  yield* stagesOf(graph, 'core', fixed);
  const split = jit.splitGraph(graph, fixed);
  yield {
    name: 'fixed-part',
    summary:
      'Takes apart what follows from weights alone, which is computed once, and again when they change.',
    ...(split === undefined
      ? outcomeOf(false, graph)
      : { outcome: 'changed', graph: `${ir.printGraph(split.fixed)}\n${ir.printGraph(split.rest)}` }),
  };
}

/**
 * A method that returns a loss, with the gradients of the parameters that it depends on, as one graph, and after each pass.
 * @param memoryLimit bytes, or text such as `512MB`, that the graph may take on the host's device. Throws MemoryLimitError, and
 * UnsupportedError for a method that has no such graph
 */
export function* trainingStages(
  module: jit.ScriptModule,
  method: string,
  values: readonly ir.IValue[],
  memoryLimit?: number | string,
): Generator<PassStage> {
  const callee = module.method(method);
  yield written(callee);
  const { unrollLimit } = jit.setExecutor({});
  const options = { unrollLimit, gradEnabled: true };
  const { graph: forward, operands, inputs, result } = jit.lowerExactly(callee, [module.object, ...values], options); // prettier-ignore
  yield {
    name: 'lower',
    summary: 'Makes one core graph of the method and all that it calls, for these arguments.',
    ...outcomeOf(true, forward),
  };
  if (result.kind !== 'tensor')
    throw new UnsupportedError(
      `'${method}' returns no new tensor; its gradients need a loss, a single number`,
    );
  const wrt = inputs.flatMap((operand, index) => {
    const source = operands[operand];
    return source.kind === 'held' && source.tensor.requiresGrad ? [index] : [];
  });
  const { graph } = ir.jointGraph(forward, { wrt, loss: result.output });
  yield {
    name: 'differentiate',
    summary: 'Puts the gradients of the parameters behind the loss.',
    ...outcomeOf(true, graph),
  };
  yield* stagesOf(graph, 'core');
  if (memoryLimit === undefined) return;
  const device = hostDevice();
  const measure = (tried: ir.Graph): number => device.compile(tried, {}).memory;
  const before = measure(graph);
  const changed = jit.fitMemory(graph, jit.limitInBytes(memoryLimit), measure);
  yield {
    name: 'recompute',
    summary: jit.recomputePass(0).summary,
    ...outcomeOf(changed, graph),
    ...(changed ? { outcome: `changed, from ${before} bytes to ${measure(graph)}` } : {}),
  };
}

/** The passes of the torch level, as `jit.optimize` runs them; the module is left as it is. */
export function* torchStages(module: jit.ScriptModule, method: string): Generator<PassStage> {
  const callee = module.method(method);
  yield written(callee);
  yield* stagesOf(callee.graph.clone(), 'torch');
}

function stagesOf(graph: ir.Graph, level: jit.Level, fixed: readonly number[] = []): PassStage[] {
  const stages: PassStage[] = [];
  jit.optimize(graph, level, {
    fixed,
    observe({ pass, round, changed }) {
      const name = round === 0 ? pass : `${pass}, round ${round + 1}`;
      stages.push({ name, summary: jit.findPass(pass)?.summary ?? '', ...outcomeOf(changed, graph) });
    },
  });
  return stages;
}

const written = ({ graph }: ir.ScriptFunction): PassStage => ({
  name: 'written',
  summary: 'The graph of the method as the archive has it.',
  outcome: 'the start',
  graph: ir.printGraph(graph),
});

const outcomeOf = (changed: boolean, graph: ir.Graph): Pick<PassStage, 'outcome' | 'graph'> =>
  changed ? { outcome: 'changed', graph: ir.printGraph(graph) } : { outcome: 'unchanged' };
