// Walks over the nodes of a block that V8 can inline, as it cannot generators.
import type { Block, Node } from './graph.ts';

/** From the first to the last. The node at hand may be removed or moved meanwhile. */
export class NodesInOrder implements IterableIterator<Node> {
  private current: Node;
  private following: Node;

  constructor(private readonly block: Block) {
    this.current = block.paramNode;
    this.following = block.paramNode.next!;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Node> {
    const { block, current } = this;
    const node = current.block === block && current.next !== undefined ? current.next : this.following;
    if (node === block.returnNode) {
      // Ended: it stays so.
      this.current = this.following = node;
      return { done: true, value: undefined };
    }
    this.current = node;
    this.following = node.next!;
    return { done: false, value: node };
  }
}

/** From the last to the first. */
export class NodesInReverse implements IterableIterator<Node> {
  private preceding: Node;

  constructor(private readonly block: Block) {
    this.preceding = block.returnNode.prev!;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Node> {
    const node = this.preceding;
    if (node === this.block.paramNode) return { done: true, value: undefined };
    this.preceding = node.prev!;
    return { done: false, value: node };
  }
}
