// A small GPT over characters, written as one would in PyTorch. `jit.script` compiles it from this very source.
import type { Tensor, float, int } from 'weft';
import { F, arange, nn, ones } from 'weft';

export interface CharLmConfig {
  readonly vocabulary: int;
  /** Longest context, in characters. */
  readonly context: int;
  readonly width: int;
  readonly heads: int;
  readonly layers: int;
}

class CausalSelfAttention extends nn.Module {
  readonly project: nn.Linear;
  readonly output: nn.Linear;
  readonly heads: int;
  readonly scale: float;

  constructor(width: int, heads: int) {
    super();
    this.project = new nn.Linear(width, 3 * width);
    this.output = new nn.Linear(width, width);
    this.heads = heads;
    this.scale = Math.sqrt(heads / width);
  }

  forward(x: Tensor): Tensor {
    const batch = x.size(0);
    const time = x.size(1);
    const parts = this.project
      .forward(x)
      .view([batch, time, 3, this.heads, -1])
      .permute([2, 0, 3, 1, 4])
      .unbind(0);
    const scores = parts[0].matmul(parts[1].transpose(-2, -1)).mul(this.scale);
    const future = ones([time, time]).triu(1).gt(0);
    const mixed = scores.maskedFill(future, -1e9).softmax(-1).matmul(parts[2]);
    return this.output.forward(mixed.transpose(1, 2).reshape([batch, time, -1]));
  }
}

class FeedForward extends nn.Module {
  readonly expand: nn.Linear;
  readonly contract: nn.Linear;

  constructor(width: int) {
    super();
    this.expand = new nn.Linear(width, 4 * width);
    this.contract = new nn.Linear(4 * width, width);
  }

  forward(x: Tensor): Tensor {
    return this.contract.forward(F.gelu(this.expand.forward(x)));
  }
}

class Block extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly attention: CausalSelfAttention;
  readonly norm2: nn.LayerNorm;
  readonly feedForward: FeedForward;

  constructor(width: int, heads: int) {
    super();
    this.norm1 = new nn.LayerNorm([width]);
    this.attention = new CausalSelfAttention(width, heads);
    this.norm2 = new nn.LayerNorm([width]);
    this.feedForward = new FeedForward(width);
  }

  forward(x: Tensor): Tensor {
    const attended = x.add(this.attention.forward(this.norm1.forward(x)));
    return attended.add(this.feedForward.forward(this.norm2.forward(attended)));
  }
}

export class CharLm extends nn.Module {
  readonly tokens: nn.Embedding;
  readonly positions: nn.Embedding;
  readonly blocks: nn.ModuleList<Block>;
  readonly norm: nn.LayerNorm;
  readonly head: nn.Linear;

  constructor(config: CharLmConfig) {
    super();
    this.tokens = new nn.Embedding(config.vocabulary, config.width);
    this.positions = new nn.Embedding(config.context, config.width);
    const blocks: Block[] = [];
    for (let layer = 0; layer < config.layers; layer++) blocks.push(new Block(config.width, config.heads));
    this.blocks = new nn.ModuleList(blocks);
    this.norm = new nn.LayerNorm([config.width]);
    this.head = new nn.Linear(config.width, config.vocabulary);
  }

  /** Logits of the next character at every position: int64 [batch, time] → float32 [batch, time, vocabulary]. */
  forward(input: Tensor): Tensor {
    let x = this.tokens.forward(input).add(this.positions.forward(arange(input.size(1))));
    for (const block of this.blocks) x = block.forward(x);
    return this.head.forward(this.norm.forward(x));
  }

  /** Mean cross entropy (nats a character) of `target`, the characters that follow those of `input`. */
  loss(input: Tensor, target: Tensor): Tensor {
    const logits = this.forward(input);
    return F.crossEntropy(logits.view([-1, logits.size(2)]), target.view([-1]));
  }
}
