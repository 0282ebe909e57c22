// Attention and the layers of transformers (Vaswani et al., 2017).
import { empty } from '../functions.generated.ts';
import type { Tensor } from '../tensor.ts';
import type { float, int } from '../types.ts';
import { Dropout } from './dropout.ts';
import * as F from './functional.ts';
import * as init from './init.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';
import { LayerNorm } from './normalization.ts';
import { Parameter } from './parameter.ts';

export interface AttentionOptions {
  readonly dropout?: float;
  readonly bias?: boolean;
  /** Tensors are [batch, time, features] instead of [time, batch, features]. */
  readonly batchFirst?: boolean;
}

/** Several scaled dot products over parts of the features. Queries [L, N, E], keys and values [S, N, E] → [L, N, E]. */
export class MultiheadAttention extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.activation.MultiheadAttention';
  readonly embed_dim: int;
  readonly num_heads: int;
  readonly head_dim: int;
  readonly dropout: float;
  readonly batch_first: boolean;
  readonly in_proj_weight: Parameter;
  readonly in_proj_bias: Parameter | null;
  readonly out_proj: Linear;

  constructor(embedDim: int, numHeads: int, options: AttentionOptions = {}) {
    super();
    if (embedDim % numHeads !== 0) throw new RangeError('embed_dim must be divisible by num_heads');
    this.embed_dim = embedDim;
    this.num_heads = numHeads;
    this.head_dim = embedDim / numHeads;
    this.dropout = options.dropout ?? 0;
    this.batch_first = options.batchFirst ?? false;
    const bias = options.bias ?? true;
    this.in_proj_weight = new Parameter(empty([3 * embedDim, embedDim]));
    this.in_proj_bias = bias ? new Parameter(empty([3 * embedDim])) : null;
    this.out_proj = new Linear(embedDim, embedDim, { bias: bias });
    init.xavierUniform_(this.in_proj_weight);
    if (this.in_proj_bias !== null) init.zeros_(this.in_proj_bias);
    if (this.out_proj.bias !== null) init.zeros_(this.out_proj.bias);
  }

  /**
   * @param keyPaddingMask [N, S], true (or minus infinity) where a key is padding
   * @param attnMask [L, S] or [N * heads, L, S], true where attention is not allowed, or numbers to add
   * @returns the output, and the weights averaged over the heads ([N, L, S]) when they are wanted
   */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keyPaddingMask: Tensor | null = null,
    needWeights: boolean = true,
    attnMask: Tensor | null = null,
  ): [Tensor, Tensor | null] {
    const q = this.batch_first ? query.transpose(0, 1) : query;
    const k = this.batch_first ? key.transpose(0, 1) : key;
    const v = this.batch_first ? value.transpose(0, 1) : value;
    const length = q.size(0);
    const batch = q.size(1);
    const sources = k.size(0);
    const queries = this.heads(this.project(q, 0), length, batch);
    const keys = this.heads(this.project(k, 1), sources, batch);
    const values = this.heads(this.project(v, 2), sources, batch);
    let scores = queries.mul(1.0 / Math.sqrt(this.head_dim)).bmm(keys.transpose(1, 2));
    if (attnMask !== null) {
      if (attnMask.isFloatingPoint()) {
        scores = scores.add(attnMask);
      } else {
        scores = scores.maskedFill(attnMask, -Infinity);
      }
    }
    if (keyPaddingMask !== null) {
      const split = scores.view([batch, this.num_heads, length, sources]);
      const padding = keyPaddingMask.view([batch, 1, 1, sources]);
      const masked: Tensor = keyPaddingMask.isFloatingPoint()
        ? split.add(padding)
        : split.maskedFill(padding, -Infinity);
      scores = masked.view([batch * this.num_heads, length, sources]);
    }
    const weights = F.dropout(F.softmax(scores, -1), this.dropout, this.training);
    const mixed = weights.bmm(values).transpose(0, 1).contiguous().view([length, batch, this.embed_dim]);
    const projected = this.out_proj.forward(mixed);
    const output = this.batch_first ? projected.transpose(0, 1) : projected;
    if (!needWeights) return [output, null];
    return [output, weights.view([batch, this.num_heads, length, sources]).mean([1])];
  }

  /** The part'th third of the input projection. */
  project(input: Tensor, part: int): Tensor {
    const weight = this.in_proj_weight.narrow(0, part * this.embed_dim, this.embed_dim);
    const bias = this.in_proj_bias;
    return F.linear(
      input,
      weight,
      bias === null ? null : bias.narrow(0, part * this.embed_dim, this.embed_dim),
    );
  }

  /** [time, batch, embed] → [batch * heads, time, head]. */
  heads(input: Tensor, time: int, batch: int): Tensor {
    return input
      .contiguous()
      .view([time, batch * this.num_heads, this.head_dim])
      .transpose(0, 1);
  }
}

export interface TransformerLayerOptions {
  readonly dimFeedforward?: int;
  readonly dropout?: float;
  /** `relu` or `gelu`. */
  readonly activation?: string;
  readonly layerNormEps?: float;
  readonly batchFirst?: boolean;
  /** Normalises before attention and feed-forward instead of after them. */
  readonly normFirst?: boolean;
}

/** Self-attention and a feed-forward network, each with a residual connection and normalisation. */
export class TransformerEncoderLayer extends Module {
  static readonly torchName = '__torch__.torch.nn.modules.transformer.TransformerEncoderLayer';
  readonly self_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly norm_first: boolean;
  readonly activation: string;

  constructor(dModel: int, nhead: int, options: TransformerLayerOptions = {}) {
    super();
    const wide = options.dimFeedforward ?? 2048;
    const dropout = options.dropout ?? 0.1;
    const eps = options.layerNormEps ?? 1e-5;
    this.self_attn = new MultiheadAttention(dModel, nhead, {
      dropout: dropout,
      batchFirst: options.batchFirst ?? false,
    });
    this.linear1 = new Linear(dModel, wide);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(wide, dModel);
    this.norm1 = new LayerNorm(dModel, { eps: eps });
    this.norm2 = new LayerNorm(dModel, { eps: eps });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.norm_first = options.normFirst ?? false;
    this.activation = options.activation ?? 'relu';
    if (this.activation !== 'relu' && this.activation !== 'gelu') {
      throw new RangeError(`activation should be relu/gelu, not ${this.activation}`);
    }
  }

  forward(src: Tensor, srcMask: Tensor | null = null, srcKeyPaddingMask: Tensor | null = null): Tensor {
    if (this.norm_first) {
      const attended = src.add(this.attend(this.norm1.forward(src), srcMask, srcKeyPaddingMask));
      return attended.add(this.feedForward(this.norm2.forward(attended)));
    }
    const attended = this.norm1.forward(src.add(this.attend(src, srcMask, srcKeyPaddingMask)));
    return this.norm2.forward(attended.add(this.feedForward(attended)));
  }

  attend(x: Tensor, mask: Tensor | null, keyPaddingMask: Tensor | null): Tensor {
    const [output, _weights] = this.self_attn.forward(x, x, x, keyPaddingMask, false, mask);
    return this.dropout1.forward(output);
  }

  feedForward(x: Tensor): Tensor {
    const hidden = this.linear1.forward(x);
    const active: Tensor = this.activation === 'gelu' ? F.gelu(hidden) : F.relu(hidden);
    return this.dropout2.forward(this.linear2.forward(this.dropout.forward(active)));
  }
}
