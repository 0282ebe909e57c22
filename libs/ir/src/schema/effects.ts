// What schemas do not say of operators: effects beyond their operands, and dependence on a random generator. Passes ask
// here. Writing to an operand is not an effect in this sense: schemas say that, and alias.ts follows it.
import { coreOperator } from '../core/operator.ts';
import type { Node } from '../graph/graph.ts';
import { schemaOfNode, schemasOf } from './registry.ts';

const effectful = new Set([
  'aten::_assert_async',
  'aten::_assert_tensor_metadata',
  'aten::backward',
  'aten::is_autocast_cpu_enabled',
  'aten::is_autocast_enabled',
  'aten::is_grad_enabled',
  'aten::manual_seed',
  'aten::save',
  'aten::seed',
  'aten::set_grad_enabled',
  'aten::set_num_threads',
  'aten::wait',
  'aten::warn',
  'prim::AddStatValue',
  'prim::BailOut',
  'prim::BailoutTemplate',
  'prim::CallFunction',
  'prim::CallMethod',
  'prim::Enter',
  'prim::Exit',
  'prim::IgnoredPythonOp',
  'prim::Print',
  'prim::PythonOp',
  'prim::RaiseException',
  'prim::SetAttr',
  'prim::TimePoint',
  'prim::Store',
  'prim::fork',
  'prim::forkClosure',
  'prim::profile',
  'prim::profile_ivalue',
  'prim::rpc_async',
  'prim::rpc_remote',
  'prim::rpc_sync',
  // Exits that an emitter leaves for its own later step.
  'prim::BreakStmt',
  'prim::ContinueStmt',
  'prim::ReturnStmt',
  'prim::LoopContinuation',
]);

/** Draw random numbers although no argument is a generator. */
const random = new Set([
  'aten::_fused_dropout',
  'aten::_scaled_dot_product_attention',
  'aten::_scaled_dot_product_attention_math',
  'aten::_standard_gamma',
  'aten::alpha_dropout',
  'aten::bernoulli',
  'aten::dropout',
  'aten::feature_alpha_dropout',
  'aten::feature_dropout',
  'aten::gru',
  'aten::lstm',
  'aten::native_dropout',
  'aten::normal',
  'aten::poisson',
  'aten::rand',
  'aten::rand_like',
  'aten::randint',
  'aten::randint_like',
  'aten::randn',
  'aten::randn_like',
  'aten::randperm',
  'aten::rnn_relu',
  'aten::rnn_tanh',
  'aten::rrelu',
  'aten::rrelu_with_noise',
  'aten::scaled_dot_product_attention',
]);

/** Declares that an operator has an effect beyond its operands, such as printing: it is never removed, merged or moved. */
export function declareEffect(kind: string): void {
  effectful.add(kind);
}

/**
 * Whether running the node (nested blocks included) does something beyond making its outputs and writing to its operands.
 * Operators of other namespaces without schema are taken to do so; prim:: structure does not unless it is listed.
 */
export function hasSideEffects(node: Node): boolean {
  if (effectful.has(node.kind)) return true;
  if (node.namespace === 'core') {
    if (coreOperator(node.operator).hasEffect === true) return true;
  } else if (node.namespace !== 'prim' && schemasOf(node.kind).length === 0) return true;
  return node.blocks.some((block) => [...block.nodes()].some(hasSideEffects));
}

/** Whether equal operands may give unequal results: random numbers. */
export function isNondeterministic(node: Node): boolean {
  if (random.has(node.kind)) return true;
  const schema = schemaOfNode(node);
  if (schema?.arguments.some(({ type }) => type.kind === 'Generator' || isOptionalGenerator(type)))
    return true;
  return node.blocks.some((block) => [...block.nodes()].some(isNondeterministic));
}

const isOptionalGenerator = (type: {
  readonly kind: string;
  readonly element?: { readonly kind: string };
}): boolean => type.kind === 'Optional' && type.element?.kind === 'Generator';
