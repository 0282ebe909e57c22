// A mesh arranges logical devices on named axes. Devices are numbered row-major: the last axis varies fastest.
import { WeftError } from '@weft/ir';

/** A plan that cannot be made: names what was asked for, what stands against it, and what would do. */
export class PlanError extends WeftError {}

/** Axis name → size, in order: `{ pipeline: 2, data: 4 }`. */
export type MeshShape = Readonly<Record<string, number>>;

export class Mesh {
  readonly axes: readonly string[];
  readonly size: number;

  constructor(readonly shape: MeshShape) {
    for (const [axis, size] of Object.entries(shape)) {
      if (!Number.isInteger(size) || size < 1) {
        throw new PlanError(`mesh axis '${axis}' has size ${size}; a positive whole number is expected`);
      }
    }
    this.axes = Object.keys(shape);
    this.size = this.axes.reduce((product, axis) => product * shape[axis], 1);
  }

  /** The size of an axis; 1 for an axis the mesh does not have. */
  axisSize(axis: string): number {
    return this.shape[axis] ?? 1;
  }

  /** The coordinate of a device on each axis. */
  coordinate(device: number): Record<string, number> {
    const coordinate: Record<string, number> = {};
    let rest = device;
    for (const axis of [...this.axes].reverse()) {
      coordinate[axis] = rest % this.shape[axis];
      rest = Math.floor(rest / this.shape[axis]);
    }
    return coordinate;
  }

  device(coordinate: Readonly<Record<string, number>>): number {
    return this.axes.reduce((number, axis) => number * this.shape[axis] + (coordinate[axis] ?? 0), 0);
  }

  /** The devices that differ from `device` on `axis` only, itself included, in the order of that axis. */
  group(device: number, axis: string): number[] {
    const coordinate = this.coordinate(device);
    return Array.from({ length: this.axisSize(axis) }, (_, index) =>
      this.device({ ...coordinate, [axis]: index }),
    );
  }

  /** `pipeline 2 × data 4`. */
  toString(): string {
    return this.axes.map((axis) => `${axis} ${this.shape[axis]}`).join(' × ') || '1 device';
  }
}

/** Parses `pipeline=2,data=4`. */
export function parseMesh(text: string): Mesh {
  const shape: Record<string, number> = {};
  for (const part of text.split(',').filter((piece) => piece.trim() !== '')) {
    const match = /^\s*([a-z]+)\s*=\s*(\d+)\s*$/.exec(part);
    if (match === null)
      throw new PlanError(`'${part}' is no mesh axis; write it as data=2 or pipeline=2,data=2`);
    shape[match[1]] = Number(match[2]);
  }
  return new Mesh(shape);
}
