// Reads Python pickles as data: all of protocol 2, which torch.save and torch.jit.save write, and what later protocols add for
// the same values. Classes are never imported: a global must be on the reader's list, and what calling it means is up to the
// reader. Nesting is bounded, and nothing takes more memory than the pickle's length allows.
import { ArchiveError } from './archive-error.ts';

/** A Python tuple; lists are arrays. */
export class PickledTuple {
  constructor(readonly items: readonly Pickled[]) {}
}
/** A name that the pickle refers to. */
export class PickledGlobal {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
  toString(): string {
    return `${this.module}.${this.name}`;
  }
}
/** A value that a global made. */
export class PickledValue<T = unknown> {
  constructor(readonly value: T) {}
}
/** An object of a class: its state comes with BUILD. */
export class PickledObject {
  state: Pickled | undefined;
  constructor(readonly type: PickledGlobal) {}
}

export type Pickled =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | PickledTuple
  | PickledGlobal
  | PickledValue
  | PickledObject
  | Pickled[]
  | Map<Pickled, Pickled>;

/** What a pickle may refer to. */
export interface PickleRules {
  /** Whether the pickle may name this global at all. */
  allows(global: PickledGlobal): boolean;
  /** The result of calling it. */
  call(global: PickledGlobal, given: Pickled): Pickled;
  /** The value that a persistent id stands for. */
  persistent(id: Pickled): Pickled;
  /** Called when an object has its state. */
  built?(object: PickledObject): void;
  /** Called when something that a call made gets attributes. */
  attributes?(object: Pickled, state: Pickled): void;
}

const deepest = 2000;
const mark = Symbol('mark');

/** Throws ArchiveError naming the file, the entry and what it refuses. */
export function readPickle(bytes: Uint8Array, rules: PickleRules, file: string, entry: string): Pickled {
  return new PickleReader(bytes, rules, file, entry).read();
}

class PickleReader {
  private readonly view: DataView;
  private readonly buffer: Buffer;
  private at = 0;
  private readonly stack: (Pickled | typeof mark)[] = [];
  private marks = 0;
  private readonly memo = new Map<number, Pickled>();

  constructor(
    private readonly bytes: Uint8Array,
    private readonly rules: PickleRules,
    private readonly file: string,
    private readonly entry: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private refuse(reason: string): never {
    throw new ArchiveError(this.file, this.entry, `${reason} (at byte ${this.at} of the pickle)`);
  }

  private take(count: number): number {
    const start = this.at;
    if (count < 0 || start + count > this.bytes.length) this.refuse('the pickle is cut off');
    this.at = start + count;
    return start;
  }
  private text(length: number): string {
    const start = this.take(length);
    return this.buffer.toString('utf8', start, start + length);
  }
  private line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) this.refuse('the pickle is cut off');
    const text = this.text(end - this.at);
    this.at = end + 1;
    return text;
  }
  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }
  private length64(): number {
    const length = this.view.getBigUint64(this.take(8), true);
    if (length > BigInt(this.bytes.length))
      this.refuse(`a string of ${length} bytes does not fit in the pickle`);
    return Number(length);
  }

  private push(value: Pickled): void {
    this.stack.push(value);
  }
  private pop(): Pickled {
    const value = this.stack.pop();
    if (value === undefined || value === mark)
      this.refuse('the pickle takes more from its stack than is there');
    return value;
  }
  private top(): Pickled {
    const value = this.stack.at(-1);
    if (value === undefined || value === mark)
      this.refuse('the pickle takes more from its stack than is there');
    return value;
  }
  /** Everything above the last mark. */
  private popMark(): Pickled[] {
    const position = this.stack.lastIndexOf(mark);
    if (position < 0) this.refuse('a mark is missing');
    this.marks--;
    const items = this.stack.splice(position) as Pickled[];
    items.shift();
    return items;
  }
  private remember(index: number): void {
    this.memo.set(index, this.top());
  }
  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) this.refuse(`nothing was remembered under ${index}`);
    this.push(value);
  }

  private allowed(module: string, name: string): PickledGlobal {
    const global = new PickledGlobal(module, name);
    if (!this.rules.allows(global)) {
      this.refuse(
        `the pickle wants '${global.toString()}', which may not be loaded: an archive holds data only`,
      );
    }
    return global;
  }

  private setItems(target: Pickled, items: readonly Pickled[]): void {
    const map = target instanceof PickledValue ? target.value : target;
    if (!(map instanceof Map) || items.length % 2 !== 0)
      this.refuse('entries are set on something that is no dict');
    for (let index = 0; index < items.length; index += 2) map.set(items[index], items[index + 1]);
  }

  private appendItems(target: Pickled, items: readonly Pickled[]): void {
    if (!Array.isArray(target)) this.refuse('items are appended to something that is no list');
    for (const item of items) target.push(item);
  }

  read(): Pickled {
    for (;;) {
      const opcode = this.bytes[this.take(1)];
      if (opcode === 0x2e) {
        const result = this.pop();
        if (this.stack.length > 0) this.refuse('the pickle leaves values on its stack');
        return result;
      }
      this.step(opcode);
    }
  }

  private step(opcode: number): void {
    const { view } = this;
    switch (String.fromCharCode(opcode)) {
      case '\x80': {
        const protocol = this.bytes[this.take(1)];
        if (protocol > 5) this.refuse(`pickle protocol ${protocol} is not known`);
        return;
      }
      case '\x95': // FRAME
        this.take(8);
        return;
      case 'N':
        return this.push(null);
      case '\x88':
        return this.push(true);
      case '\x89':
        return this.push(false);
      case 'J':
        return this.push(BigInt(view.getInt32(this.take(4), true)));
      case 'K':
        return this.push(BigInt(view.getUint8(this.take(1))));
      case 'M':
        return this.push(BigInt(view.getUint16(this.take(2), true)));
      case '\x8a':
        return this.push(this.long(this.bytes[this.take(1)]));
      case '\x8b':
        return this.push(this.long(view.getInt32(this.take(4), true)));
      case 'G':
        return this.push(view.getFloat64(this.take(8), false));
      case 'X':
        return this.push(this.text(this.uint32()));
      case '\x8c':
        return this.push(this.text(this.bytes[this.take(1)]));
      case '\x8d':
        return this.push(this.text(this.length64()));
      case 'T':
      case 'B':
        return this.push(this.raw(this.uint32()));
      case 'U':
      case 'C':
        return this.push(this.raw(this.bytes[this.take(1)]));
      case '\x8e':
        return this.push(this.raw(this.length64()));
      case '(':
        if (++this.marks > deepest) this.refuse(`values are nested deeper than ${deepest}`);
        this.stack.push(mark);
        return;
      case '0':
        this.stack.pop();
        return;
      case '1':
        this.popMark();
        return;
      case '2':
        return this.push(this.top());
      case ']':
        return this.push([]);
      case 'l':
        return this.push(this.popMark());
      case 'a': {
        const item = this.pop();
        return this.appendItems(this.top(), [item]);
      }
      case 'e': {
        const items = this.popMark();
        return this.appendItems(this.top(), items);
      }
      case ')':
        return this.push(new PickledTuple([]));
      case 't':
        return this.push(new PickledTuple(this.popMark()));
      case '\x85':
        return this.push(new PickledTuple([this.pop()]));
      case '\x86': {
        const [second, first] = [this.pop(), this.pop()];
        return this.push(new PickledTuple([first, second]));
      }
      case '\x87': {
        const [third, second, first] = [this.pop(), this.pop(), this.pop()];
        return this.push(new PickledTuple([first, second, third]));
      }
      case '}':
        return this.push(new Map());
      case 'd': {
        const items = this.popMark();
        const dict = new Map<Pickled, Pickled>();
        this.setItems(dict, items);
        return this.push(dict);
      }
      case 's': {
        const [value, key] = [this.pop(), this.pop()];
        return this.setItems(this.top(), [key, value]);
      }
      case 'u': {
        const items = this.popMark();
        return this.setItems(this.top(), items);
      }
      case 'q':
        return this.remember(this.bytes[this.take(1)]);
      case 'r':
        return this.remember(this.uint32());
      case '\x94':
        return this.remember(this.memo.size);
      case 'h':
        return this.recall(this.bytes[this.take(1)]);
      case 'j':
        return this.recall(this.uint32());
      case 'c':
        return this.push(this.allowed(this.line(), this.line()));
      case '\x93': {
        const [name, module] = [this.pop(), this.pop()];
        if (typeof name !== 'string' || typeof module !== 'string') this.refuse('a global has no name');
        return this.push(this.allowed(module, name));
      }
      case 'R': {
        const [given, callee] = [this.pop(), this.pop()];
        if (!(callee instanceof PickledGlobal)) this.refuse('something that is no function is called');
        return this.push(this.rules.call(callee, given));
      }
      case '\x81': {
        const [, type] = [this.pop(), this.pop()];
        if (!(type instanceof PickledGlobal)) this.refuse('an object is made of something that is no class');
        return this.push(new PickledObject(type));
      }
      case 'b': {
        const state = this.pop();
        const object = this.top();
        // What calls made (an OrderedDict with attributes) keeps no state of its own.
        if (!(object instanceof PickledObject)) return this.rules.attributes?.(object, state);
        object.state = state;
        this.rules.built?.(object);
        return;
      }
      case 'Q':
        return this.push(this.rules.persistent(this.pop()));
      default:
        this.refuse(`pickle instruction 0x${opcode.toString(16).padStart(2, '0')} is not read here`);
    }
  }

  private raw(length: number): Uint8Array {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  /** A little-endian two's complement integer of any length. */
  private long(length: number): bigint {
    if (length > 64) this.refuse(`an integer of ${length} bytes is not read here`);
    const start = this.take(length);
    let value = 0n;
    for (let index = length - 1; index >= 0; index--)
      value = (value << 8n) | BigInt(this.bytes[start + index]);
    return length === 0 ? 0n : BigInt.asIntN(8 * length, value);
  }
}
