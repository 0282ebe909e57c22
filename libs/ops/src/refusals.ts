// Why some of PyTorch's operators have no meaning here: one rule for each kind of them. The rules give the error messages of
// calls and archives that use such an operator, and the reasons in docs/operators.md.
import type { Schema } from '@weft/ir';
import { qualifiedName } from '@weft/ir';

export interface Refusal {
  /** The kind of operators, in a few words. */
  readonly family: string;
  /** Why there is no meaning, and what to do instead; continues "is not supported: ". */
  readonly reason: string;
}

interface Rule extends Refusal {
  readonly matches: (name: string, schema: Schema) => boolean;
}

const named = (pattern: RegExp) => (name: string) => pattern.test(name);
/** Whether an argument or a result has a type of this name. */
const usesType = (schema: Schema, pattern: RegExp): boolean =>
  [...schema.arguments, ...schema.returns].some(({ type }) => pattern.test(typeName(type)));

function typeName(type: Schema['arguments'][number]['type']): string {
  if (type.kind === 'Optional' || type.kind === 'List') return typeName(type.element);
  return type.kind === 'Class' ? type.name : type.kind;
}

const rules: readonly Rule[] = [
  {
    family: 'named tensors',
    reason:
      'tensors have no named dimensions, which TorchScript archives cannot hold either; give the number of the dimension',
    matches: (name, schema) =>
      /(\.|_)(dimname|Dimname|names)(_|$|List|\b)/.test(name) ||
      /::(align_|refine_names|rename)|::flatten\.(named|using_names)|\.(dim_Dimname|dim_DimnameList|DimnameList_out|names\w*|generator_with_names\w*|correction_names\w*)$/.test(
        name,
      ) ||
      schema.arguments.some(({ name: argument }) => argument === 'names'),
  },
  {
    family: 'tests of PyTorch itself',
    reason: "it exists for PyTorch's own tests",
    matches: named(/::_(test_|foobar)|torch_cuda_cu_linker_symbol_op/),
  },
  {
    family: 'remote calls',
    reason:
      "remote references and distributed autograd contexts are PyTorch's RPC, which weft's cluster does not speak",
    matches: (name, schema) =>
      usesType(schema, /RRef|WorkerInfo/) || /::(rpc_|get_gradients|dist_backward)/.test(name),
  },
  {
    family: 'CUDA, cuDNN, MIOpen, MPS and Triton',
    reason:
      'it belongs to a backend of PyTorch; the operator without the prefix does the same on every device',
    matches: named(
      /::_?(cudnn|miopen|mps|cufft|triton|flash|lstm_mps)|::CudaFusion|::record_stream|::_?use_cudnn/,
    ),
  },
  {
    family: 'quantized tensors',
    reason: 'there are no tensors of quantized dtypes; run the model in floating point',
    matches: named(
      /::(quantize_per|quantized_|dequantize|int_repr|q_|qscheme|empty_quantized|fbgemm_|_empty_(affine|per_channel_affine)_quantized|_make_per_(tensor|channel)_quantized)/,
    ),
  },
  {
    family: 'sparse tensors',
    reason: 'tensors are dense; keep indices and values apart and use index_add, gather or scatter',
    matches: named(
      /sparse|::_?(coalesce|indices|values)|::_(dim[IV]|nnz|spdiags)|::(c?col|c?row|crow)_indices|::(hspmm|smm|sspaddmm)|::is_coalesced|::dense_dim/,
    ),
  },
  {
    family: 'forward-mode derivatives and vmap',
    reason: 'dual tensors and batching levels exist only inside of functorch transforms; there are none here',
    matches: named(
      /::_(fw_primal|make_dual|unpack_dual)|::_(add|remove)_batch_dim|::_new_zeros_with_same_feature_meta/,
    ),
  },
  {
    family: 'storages and files',
    reason: 'a program has no values of storages, and does not touch the files of its host',
    matches: (name, schema) =>
      usesType(schema, /^Storage/) || /source_Storage|::(from_file|save)$|::from_file/.test(name),
  },
  {
    family: "PyTorch's fusers and static runtime",
    reason:
      "it stands only in graphs that PyTorch's executor optimised while running, which it does not save; load the archive itself",
    matches: named(
      /prim::(BailOut|BailoutTemplate|Guard|TypeCheck|TensorExpr|StaticSubgraph|StaticRuntime|FallbackGraph|AddStatValue|ConstantMKLDNN|BroadcastMKLDNN|MKLDNN|MM(BatchSide|TreeReduce)|Autograd(Add|Zero|All|Any)|DifferentiableGraph|RequiresGradCheck|profile|Fus(ed|ion)|BroadcastSizes|ChunkSizes|ConstantChunk|Var(Concat|Stack)|add_optional|\w+_copy)/,
    ),
  },
  {
    family: 'Python',
    reason:
      'it calls a Python function, and there is no Python here; script the function or leave it out of the archive',
    matches: named(/prim::(PythonOp|IgnoredPythonOp)/),
  },
];

/** Why an operator has no meaning; undefined where no reason is known. */
export function refusalOf(schema: Schema): Refusal | undefined {
  const name = qualifiedName(schema);
  return rules.find(({ matches }) => matches(name, schema));
}
