// Writes TorchScript archives that PyTorch's torch.jit.load and weft's load open: code, attributes, tensors, constants.
import type { IValue } from '@weft/ir';
import { Graph, ObjectValue, ScriptFunction, TupleValue, createClassType, BoolType } from '@weft/ir';
import { basename } from 'node:path';
import { ArchiveError, io } from '@weft/tensor';
import type { ScriptModule } from '../script-module.ts';
import { CodeWriter } from './code-out.ts';
import { ValueWriter } from './values-out.ts';

export interface SaveOptions {
  /** Texts or bytes that are stored with the module, by name. */
  readonly extraFiles?: Readonly<Record<string, string | Uint8Array>>;
}

/** A scripted or traced module, or a scripted function. */
export type Saveable = ScriptModule | { readonly compiled: ScriptFunction };

/**
 * Writes a module to a file. The file appears whole or not at all. Throws UnsupportedError naming what cannot be stored
 * and ArchiveError when the file cannot be written.
 */
export function save(module: Saveable, path: string, options: SaveOptions = {}): void {
  const stem = basename(path).replace(/\.[^.]*$/, '') || 'archive';
  try {
    io.writeAtomically(path, (write) => writeArchive(objectOf(module), stem, options, write));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined) throw new ArchiveError(path, undefined, `cannot be written (${code})`, { cause });
    throw cause;
  }
}

/** The archive's bytes. */
export function saveToBytes(module: Saveable, options: SaveOptions = {}): Uint8Array {
  const pieces: Uint8Array[] = [];
  writeArchive(objectOf(module), 'archive', options, (bytes) => pieces.push(bytes.slice()));
  const { buffer, byteOffset, byteLength } = Buffer.concat(pieces);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function writeArchive(
  root: ObjectValue,
  name: string,
  { extraFiles = {} }: SaveOptions,
  write: (bytes: Uint8Array) => void,
): void {
  const folder = `${name}/`;
  const zip = new io.ZipWriter(write);
  const code = new CodeWriter(root.type);
  code.add(root.type);
  const values = (record: string, value: IValue): void => {
    const table = new io.StorageTable();
    const pickle = new ValueWriter(table, code.nameOf, (type) => code.add(type)).write(value);
    zip.add(`${folder}${record}.pkl`, pickle);
    table.storages.forEach((storage, index) =>
      zip.add(`${folder}${record}/${index}`, storage.read(0, storage.byteLength)),
    );
  };
  values('data', root);
  for (const [path, contents] of code.entries())
    zip.add(`${folder}code/${path}`, contents, { deflate: true });
  values('constants', new TupleValue(code.constants));
  zip.add(`${folder}version`, Buffer.from(`${code.version}\n`));
  for (const [file, contents] of Object.entries(extraFiles)) {
    zip.add(`${folder}extra/${file}`, typeof contents === 'string' ? Buffer.from(contents) : contents);
  }
  zip.finish();
}

function objectOf(module: Saveable): ObjectValue {
  return 'object' in module ? module.object : placeholder(module.compiled);
}

/** A function is stored as the `forward` of a module that has nothing else, as PyTorch does. */
function placeholder(compiled: ScriptFunction): ObjectValue {
  const type = createClassType('__torch__.PlaceholderModule', true);
  type.attributes.push({ name: 'training', type: BoolType });
  const { schema } = compiled;
  const self = { name: 'self', type, hasDefault: false, kwargOnly: false };
  const graph = new Graph();
  graph.addInput(type, 'self');
  const inputs = schema.arguments.map((argument) => graph.addInput(argument.type, argument.name));
  const callee = graph.insert('prim::Constant', [], [{ kind: 'Function', function: compiled }]);
  callee.set('name', { kind: 's', value: compiled.name.slice(compiled.name.lastIndexOf('.') + 1) });
  const call = graph.insert('prim::CallFunction', [callee.output, ...inputs], [schema.returns[0].type]);
  graph.block.addOutput(call.output);
  const forward = new ScriptFunction(
    '__torch__.PlaceholderModule.forward',
    { ...schema, name: 'forward', arguments: [self, ...schema.arguments] },
    () => graph,
  );
  type.methods.set('forward', forward);
  return new ObjectValue(type, [true]);
}
