// Writes pickles of protocol 2 with the instructions that torch.jit.save uses. Objects that are met again are written as
// references to their first place, so sharing and cycles survive.
import type { Complex, DeviceValue } from '@weft/ir';

export class PickleWriter {
  private chunks: Uint8Array[] = [];
  private memoized = 0;
  private readonly globals = new Map<string, number>();
  private readonly strings = new Map<string, number>();
  private readonly objects = new Map<object, number>();

  constructor() {
    this.op('\x80\x02');
  }

  private op(text: string): void {
    this.chunks.push(Buffer.from(text, 'latin1'));
  }
  private sized(code: string, size: 1 | 2 | 4, value: number): void {
    const bytes = Buffer.alloc(1 + size);
    bytes.write(code, 0, 'latin1');
    bytes.writeUIntLE(value, 1, size);
    this.chunks.push(bytes);
  }

  /** Remembers the value on top of the stack; gives its number. */
  private remember(): number {
    const index = this.memoized++;
    if (index < 256) this.sized('q', 1, index);
    else this.sized('r', 4, index);
    return index;
  }
  private recall(index: number): void {
    if (index < 256) this.sized('h', 1, index);
    else this.sized('j', 4, index);
  }

  none(): void {
    this.op('N');
  }
  bool(value: boolean): void {
    this.op(value ? '\x88' : '\x89');
  }
  int(value: bigint): void {
    if (value >= 0n && value < 256n) this.sized('K', 1, Number(value));
    else if (value >= 0n && value < 65536n) this.sized('M', 2, Number(value));
    else if (value >= -(2n ** 31n) && value < 2n ** 31n)
      this.sized('J', 4, Number(BigInt.asUintN(32, value)));
    else {
      const bytes = Buffer.alloc(10);
      bytes.write('\x8a\x08', 0, 'latin1');
      bytes.writeBigInt64LE(value, 2);
      this.chunks.push(bytes);
    }
  }
  float(value: number): void {
    const bytes = Buffer.alloc(9);
    bytes.write('G', 0, 'latin1');
    bytes.writeDoubleBE(value, 1);
    this.chunks.push(bytes);
  }
  complex(value: Complex): void {
    this.global('builtins', 'complex');
    this.tuple(() => {
      this.float(value.re);
      this.float(value.im);
    });
    this.reduce();
  }
  device(value: DeviceValue): void {
    this.global('torch', 'device');
    this.tuple(() => this.string(value.toString()));
    this.reduce();
  }
  string(value: string): void {
    const known = this.strings.get(value);
    if (known !== undefined) return this.recall(known);
    const bytes = Buffer.from(value, 'utf8');
    this.sized('X', 4, bytes.length);
    this.chunks.push(bytes);
    this.strings.set(value, this.remember());
  }
  global(module: string, name: string): void {
    const key = `${module}\n${name}\n`;
    const known = this.globals.get(key);
    if (known !== undefined) return this.recall(known);
    this.chunks.push(Buffer.from(`c${key}`, 'utf8'));
    this.globals.set(key, this.remember());
  }

  /** Writes a reference when `object` was written before; otherwise gives false. */
  reference(object: object): boolean {
    const known = this.objects.get(object);
    if (known !== undefined) this.recall(known);
    return known !== undefined;
  }
  /** The value on top of the stack is `object`. */
  defines(object: object): void {
    this.objects.set(object, this.remember());
  }

  list(items: () => void): void {
    this.op('](');
    items();
    this.op('e');
  }
  emptyList(): void {
    this.op(']');
  }
  /** Items appended to the list on top of the stack. */
  append(items: () => void): void {
    this.op('(');
    items();
    this.op('e');
  }
  emptyTuple(): void {
    this.op(')');
  }
  tuple(items: () => void): void {
    this.op('(');
    items();
    this.op('t');
  }
  emptyDict(): void {
    this.op('}');
  }
  /** Keys and values, alternating, put into the dict on top of the stack. */
  setItems(items: () => void): void {
    this.op('(');
    items();
    this.op('u');
  }
  /** Calls the global below the arguments on the stack. */
  reduce(): void {
    this.op('R');
  }
  /** An object of the class below the empty tuple on the stack. */
  newObject(): void {
    this.op('\x81');
  }
  /** Gives the object its state. */
  build(): void {
    this.op('b');
  }
  /** The value that the id on top of the stack stands for. */
  persistent(): void {
    this.op('Q');
  }

  finish(): Uint8Array {
    this.op('.');
    return Buffer.concat(this.chunks);
  }
}
