// Gives operators that have several names one of them, as PyTorch does right after compilation.
import type { Block, Graph, Node } from '@weft/ir';
import { schemasOf } from '@weft/ir';

/** Alias → the name used in graphs. */
export const operatorAliases: Readonly<Record<string, string>> = {
  'aten::absolute': 'aten::abs',
  'aten::absolute_': 'aten::abs_',
  'aten::clip': 'aten::clamp',
  'aten::clip_': 'aten::clamp_',
  'aten::det': 'aten::linalg_det',
  'aten::ger': 'aten::outer',
  'aten::arccos': 'aten::acos',
  'aten::arccos_': 'aten::acos_',
  'aten::arcsin': 'aten::asin',
  'aten::arcsin_': 'aten::asin_',
  'aten::arctan': 'aten::atan',
  'aten::arctan_': 'aten::atan_',
  'aten::arctan2': 'aten::atan2',
  'aten::arctan2_': 'aten::atan2_',
  'aten::arccosh': 'aten::acosh',
  'aten::arccosh_': 'aten::acosh_',
  'aten::arcsinh': 'aten::asinh',
  'aten::arcsinh_': 'aten::asinh_',
  'aten::arctanh': 'aten::atanh',
  'aten::arctanh_': 'aten::atanh_',
  'aten::fix': 'aten::trunc',
  'aten::fix_': 'aten::trunc_',
  'aten::negative': 'aten::neg',
  'aten::negative_': 'aten::neg_',
  'aten::subtract': 'aten::sub',
  'aten::subtract_': 'aten::sub_',
  'aten::greater_equal': 'aten::ge',
  'aten::greater_equal_': 'aten::ge_',
  'aten::greater': 'aten::gt',
  'aten::greater_': 'aten::gt_',
  'aten::less_equal': 'aten::le',
  'aten::less_equal_': 'aten::le_',
  'aten::less': 'aten::lt',
  'aten::less_': 'aten::lt_',
  'aten::not_equal': 'aten::ne',
  'aten::not_equal_': 'aten::ne_',
  'aten::divide': 'aten::div',
  'aten::divide_': 'aten::div_',
  'aten::multiply': 'aten::mul',
  'aten::multiply_': 'aten::mul_',
  'aten::true_divide': 'aten::div',
  'aten::true_divide_': 'aten::div_',
  'aten::concat': 'aten::cat',
  'aten::concatenate': 'aten::cat',
  'aten::special_erf': 'aten::erf',
  'aten::special_erfc': 'aten::erfc',
  'aten::special_exp2': 'aten::exp2',
  'aten::special_expm1': 'aten::expm1',
  'aten::special_expit': 'aten::sigmoid',
  'aten::special_logit': 'aten::logit',
  'aten::special_logsumexp': 'aten::logsumexp',
  'aten::special_round': 'aten::round',
  'aten::special_log1p': 'aten::log1p',
  'aten::special_sinc': 'aten::sinc',
  'aten::special_digamma': 'aten::digamma',
  'aten::special_psi': 'aten::digamma',
  'aten::special_i0': 'aten::i0',
  'aten::special_xlogy': 'aten::xlogy',
  'aten::special_gammaln': 'aten::lgamma',
  'aten::special_polygamma': 'aten::polygamma',
  'aten::special_multigammaln': 'aten::mvlgamma',
  'aten::special_softmax': 'aten::softmax',
  'aten::orgqr': 'aten::linalg_householder_product',
  'aten::row_stack': 'aten::vstack',
  'aten::swapaxes': 'aten::transpose',
  'aten::swapdims': 'aten::transpose',
  'aten::moveaxis': 'aten::movedim',
  'aten::linalg_matmul': 'aten::matmul',
};

export function normalizeOps(graph: Graph): void {
  visit(graph.block);
}

function visit(block: Block): void {
  for (const node of [...block.nodes()]) {
    for (const inner of node.blocks) visit(inner);
    rename(node);
  }
}

function rename(node: Node): void {
  const kind = operatorAliases[node.kind];
  if (kind === undefined || kind === node.kind) return;
  const overload = schemasOf(kind).find((schema) => schema.overload === node.overload);
  if (overload === undefined) return;
  const { graph } = node;
  const replacement = graph.create(kind, [...node.inputs], 0).insertBefore(node);
  replacement.source = node.source;
  replacement.overload = node.overload;
  for (const output of node.outputs) {
    const fresh = replacement.addOutput(output.type);
    const name = output.hasName ? output.name : undefined;
    output.setName(undefined);
    fresh.setName(name);
    output.replaceAllUsesWith(fresh);
  }
  node.destroy();
}
