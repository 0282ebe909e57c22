// A table of vectors looked up by integers.
import { empty } from '../functions.generated.ts';
import { noGrad } from '../autograd/grad-mode.ts';
import type { Tensor } from '../tensor.ts';
import type { int } from '../types.ts';
import * as F from './functional.ts';
import * as init from './init.ts';
import { Module } from './module.ts';
import { Parameter } from './parameter.ts';

/** Integers of any shape [...] → [..., embeddingDim]. The row `paddingIdx` starts at zero and gets no gradient. */
export class Embedding extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.sparse.Embedding';
  readonly num_embeddings: int;
  readonly embedding_dim: int;
  readonly padding_idx: int;
  readonly weight: Parameter;

  constructor(numEmbeddings: int, embeddingDim: int, options: { readonly paddingIdx?: int } = {}) {
    super();
    this.num_embeddings = numEmbeddings;
    this.embedding_dim = embeddingDim;
    this.padding_idx = options.paddingIdx ?? -1;
    this.weight = new Parameter(empty([numEmbeddings, embeddingDim]));
    init.normal_(this.weight);
    if (this.padding_idx >= 0) noGrad(() => this.weight.select(0, this.padding_idx).zero_());
  }

  forward(input: Tensor): Tensor {
    return F.embedding(input, this.weight, this.padding_idx);
  }

  override extraRepr(): string {
    return `${this.num_embeddings}, ${this.embedding_dim}`;
  }
}
