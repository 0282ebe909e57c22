// jit.freeze: a module in eval mode as one graph a method, with calls put in place and the attributes that nothing changes as
// constants. (torch.jit.freeze is the model: what stays an attribute, its errors, and which optimisations follow.)
import type { ClassAttribute, FunctionRef, Graph, IValue, ScriptFunction as Compiled } from '@weft/ir';
import {
  ObjectValue,
  ScriptFunction,
  TensorLiteral,
  TupleValue,
  UnsupportedError,
  WeftError,
  containerType,
  createClassType,
  createConstant,
  isTensorLike,
  tagContainer,
} from '@weft/ir';
import type { Tensor } from '@weft/tensor';
import { livePrograms } from '../frontend/typescript/live-programs.ts';
import { eliminateDeadCode } from '../passes/dead-code.ts';
import { inlineCalls, optimize } from '../passes/index.ts';
import { ScriptModule, scriptModuleOf } from '../script-module.ts';
import {
  AttributeSet,
  accessesOf,
  always,
  collectChanged,
  isConstantValue,
  moduleOf,
  submodule,
  walk,
} from './attributes.ts';

export interface FreezeOptions {
  /**
   * Attributes that stay attributes although nothing changes them, and methods to keep besides `forward`. `a.b` names the
   * attribute b of the submodule a.
   */
  readonly preservedAttributes?: readonly string[];
  /** Whether batch norms become part of the layers before them, which changes results in their last bits; default true. */
  readonly optimize?: boolean;
}

/**
 * A copy of a scripted, traced or loaded module that has `forward` and the preserved methods only, each one graph in which
 * attributes are constants; what a method changes stays an attribute, shared with the original. The constants are what the attributes were;
 * no gradients flow to them.
 * @throws WeftError when it is no such module, is in training mode, or a preserved name is unknown; UnsupportedError when the
 * module gets away from its methods
 */
export function freeze(module: ScriptModule, options: FreezeOptions = {}): ScriptModule {
  if (!(module instanceof ScriptModule))
    throw new WeftError(
      'Freezing expects a ScriptModule as input. Please use jit.script or jit.trace to script your module.',
    );
  if (module.training)
    throw new WeftError(
      'Freezing is currently only implemented for modules in eval mode. Please call .eval() on your module before freezing.',
    );
  return new Freezer(module, options).run();
}

class Freezer {
  private readonly root: ObjectValue;
  /** Attributes that a method changes, or that are to stay. */
  private kept = new AttributeSet();
  private readonly methods = new Map<string, { readonly callee: Compiled; readonly graph: Graph }>();

  constructor(
    private readonly module: ScriptModule,
    private readonly options: FreezeOptions,
  ) {
    this.root = module.object;
  }

  run(): ScriptModule {
    const { root, methods, options } = this;
    const names = new Set(root.type.methods.has('forward') ? ['forward'] : []);
    const preserved: (readonly [ObjectValue, string])[] = [];
    for (const name of options.preservedAttributes ?? []) {
      const place = this.placeOf(name);
      if (place !== undefined) preserved.push(place);
      else names.add(name);
    }
    for (const name of names) {
      const callee = this.module.method(name);
      methods.set(name, { callee, graph: this.inlined(callee) });
    }
    const disable = options.optimize === false ? ['fold-batch-norm'] : [];
    const graphs = [...methods.values()].map(({ graph }) => graph);
    // Constants decide branches, without which less is changed.
    for (let again = true; again;) {
      this.kept = new AttributeSet();
      for (const graph of graphs) collectChanged(graph, root, this.kept);
      for (const [object, name] of preserved) this.keepWhole(object, name);
      again = graphs.filter((graph) => this.fillIn(graph)).length > 0;
      for (const graph of graphs) {
        optimize(graph, 'torch', { disable });
        eliminateDeadCode(graph);
      }
    }
    const frozen = scriptModuleOf(this.rebuild(preserved));
    frozen.training = false;
    return frozen;
  }

  /** Where a preserved attribute stands; undefined for a method. */
  private placeOf(path: string): readonly [ObjectValue, string] | undefined {
    const names = path.split('.');
    const name = names.pop()!;
    let object: ObjectValue | undefined = this.root;
    for (const part of names)
      object = object && hasAttribute(object, part) ? submodule(object, part) : undefined;
    if (object !== undefined && hasAttribute(object, name)) return [object, name];
    const isMethod = names.length === 0 && this.root.type.methods.has(name);
    if (isMethod) return undefined;
    const { attributes, methods } = this.root.type;
    const known = [...attributes.map((attribute) => attribute.name), ...methods.keys()];
    throw new WeftError(`Unknown name: ${path}. The module has ${known.join(', ')}`);
  }

  private keepWhole(object: ObjectValue, name: string): void {
    this.kept.add(object, name);
    const inner = submodule(object, name);
    if (inner !== undefined)
      for (const attribute of inner.type.attributes) this.keepWhole(inner, attribute.name);
  }

  /** The method's graph with all calls put in place, those of interfaces too where the module behind is known. */
  private inlined(callee: Compiled): Graph {
    const graph = callee.graph.clone();
    inlineCalls(graph);
    for (let again = true; again;) {
      again = false;
      walk(graph.block, ({ kind, inputs }) => {
        if (kind !== 'prim::CallMethod' || inputs[0].type.kind !== 'Interface') return;
        const object = moduleOf(inputs[0], this.root, always);
        if (object === undefined) return;
        inputs[0].setType(object.type);
        again = true;
      });
      if (again) again = inlineCalls(graph);
    }
    return graph;
  }

  /** Reads of attributes that nothing changes become constants. Returns whether there were any. */
  private fillIn(graph: Graph): boolean {
    const { root, kept } = this;
    const constants = new Map<ObjectValue, Map<string, ReturnType<typeof createConstant>>>();
    for (const { node, object, name } of accessesOf(graph, root)) {
      if (node.kind !== 'prim::GetAttr' || kept.has(object, name)) continue;
      const value = object.get(name);
      if (value instanceof ObjectValue && value.type.isModule) continue;
      if (!isConstantValue(value)) {
        kept.add(object, name);
        continue;
      }
      const byName = constants.get(object) ?? new Map<string, ReturnType<typeof createConstant>>();
      constants.set(object, byName);
      let constant = byName.get(name);
      if (constant === undefined) {
        byName.set(name, (constant = constantNode(graph, value, node.output.type)));
        graph.block.prependNode(constant);
        constant.output.setName(pathOf(node.output));
      }
      node.output.replaceAllUsesWith(constant.output);
    }
    return constants.size > 0;
  }

  /** The new module: what is still read or assigned, and what is to stay. */
  private rebuild(preserved: readonly (readonly [ObjectValue, string])[]): ObjectValue {
    const { root, methods, kept } = this;
    const needed = new AttributeSet();
    for (const [object, name] of preserved) needed.add(object, name);
    for (const { graph } of methods.values()) {
      refuseEscape(graph);
      for (const { object, name } of accessesOf(graph, root)) needed.add(object, name);
    }
    /** Submodules that are taken over as they are, since something out of sight has them. */
    const isWhole = (object: ObjectValue): boolean =>
      object !== root && object.type.attributes.length > 0 && object.type.attributes.every(({ name }) => kept.has(object, name)); // prettier-ignore
    const made = new Map<ObjectValue, ObjectValue>();
    const copy = (object: ObjectValue): ObjectValue => {
      if (isWhole(object)) return object;
      const known = made.get(object);
      if (known !== undefined) return known;
      const type = createClassType(livePrograms().qualify(plainName(object.type.name)), true);
      const result = new ObjectValue(type, []);
      made.set(object, result);
      for (const attribute of object.type.attributes) {
        const inner = submodule(object, attribute.name);
        const isNeeded = needed.has(object, attribute.name);
        if (!isNeeded && (inner === undefined || !holdsNeeded(inner, needed, new Set()))) continue;
        const value = inner === undefined ? object.get(attribute.name) : copy(inner);
        const changed: ClassAttribute = inner === undefined ? attribute : { ...attribute, type: (value as ObjectValue).type }; // prettier-ignore
        result.put(type.attributes.push(changed) - 1, value);
      }
      return result;
    };
    const result = copy(root);
    for (const [name, { callee, graph }] of methods) {
      for (const { node, object, name: attribute } of accessesOf(graph, root)) {
        const inner = node.kind === 'prim::GetAttr' ? submodule(object, attribute) : undefined;
        if (inner !== undefined) node.output.setType(copy(inner).type);
      }
      graph.inputs[0].setType(result.type);
      const [self, ...others] = callee.schema.arguments;
      const schema = { ...callee.schema, arguments: [{ ...self, type: result.type }, ...others] };
      const method = new ScriptFunction(`${result.type.name}.${name}`, schema, () => graph);
      result.type.methods.set(name, method satisfies FunctionRef);
    }
    return result;
  }
}

const hasAttribute = ({ type }: ObjectValue, name: string): boolean =>
  type.attributes.some((attribute) => attribute.name === name);

/** Without the part that told equal names apart. */
const plainName = (name: string): string => name.replace(/\.___torch_mangle_\d+/g, '');

function holdsNeeded(object: ObjectValue, needed: AttributeSet, seen: Set<ObjectValue>): boolean {
  if (seen.has(object)) return false;
  seen.add(object);
  return object.type.attributes.some(({ name }) => {
    const inner = submodule(object, name);
    return needed.has(object, name) || (inner !== undefined && holdsNeeded(inner, needed, seen));
  });
}

/** A module that a method hands out whole, itself, is one that the caller may change. */
function refuseEscape(graph: Graph): void {
  const use = graph.inputs[0].uses.find(({ user, index }) => index !== 0 || !['prim::GetAttr', 'prim::SetAttr'].includes(user.kind)); // prettier-ignore
  if (use === undefined) return;
  throw new UnsupportedError(
    `a method hands the module itself to ${use.user.kind}, so that it cannot be frozen; call functions with what they need of it instead`,
    use.user.source,
  );
}

/** `self.conv.weight`. */
function pathOf(value: ReturnType<typeof createConstant>['output']): string {
  const { node } = value;
  return node.kind === 'prim::GetAttr' ? `${pathOf(node.inputs[0])}.${node.get('s', 'name')}` : 'self';
}

function constantNode(
  graph: Graph,
  value: IValue,
  type: Parameters<typeof createConstant>[2],
): ReturnType<typeof createConstant> {
  const literal = toLiterals(value);
  if (literal === null) return createConstant(graph, null);
  // The type says what an empty list or dict holds.
  const declared = type?.kind === 'Optional' ? type.element : type;
  return createConstant(graph, literal, declared);
}

/** Tensors as literals of their own memory: the original may go on changing. */
function toLiterals(value: IValue): IValue {
  if (isTensorLike(value)) {
    const { dtype, shape, bytes } = (value as unknown as Tensor).toLiteral();
    return new TensorLiteral(dtype, shape, bytes.slice());
  }
  if (value instanceof TupleValue) return new TupleValue(value.items.map(toLiterals), value.type);
  if (!Array.isArray(value) && !(value instanceof Map)) return value;
  const copy = Array.isArray(value) ? value.map(toLiterals) : new Map([...value].map(([key, item]) => [toLiterals(key), toLiterals(item)] as const)); // prettier-ignore
  const type = containerType(value);
  return type === undefined ? copy : tagContainer(copy, type);
}
