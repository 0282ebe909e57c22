// From a live function to the syntax its author wrote: the script's source map leads to the original file, the TypeScript
// parser to the function's node. Without a map the running JavaScript itself is the source (with JSDoc types).
import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  TraceMap,
  generatedPositionFor,
  originalPositionFor,
  sourceContentFor,
} from '@jridgewell/trace-mapping';
import { SourceRange } from '@weft/ir';
import type TS from 'typescript';
import { ts } from './typescript.ts';
import { ScriptError } from '../../emit/script-error.ts';
import type { FunctionLocation, ScriptInfo } from './inspector.ts';
import { locateFunction, sourceOf } from './inspector.ts';

/** A script as V8 runs it, with its map back to the files it was made of. */
interface LoadedScript {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly map: TraceMap | undefined;
  readonly files: Map<string, TS.SourceFile>;
}

/** A function-like or class node in its author's file. */
export interface FunctionSyntax<N extends TS.Node = TS.FunctionLikeDeclaration> {
  readonly node: N;
  readonly file: TS.SourceFile;
  readonly script: LoadedScript;
}

const scripts = new Map<string, LoadedScript>();

function loadScript(info: ScriptInfo): LoadedScript {
  const key = `${info.id} ${info.url}`;
  let script = scripts.get(key);
  if (script === undefined) {
    const path = info.url.startsWith('file:') ? fileURLToPath(info.url) : info.url;
    const text = sourceOf(info);
    script = {
      path,
      text,
      lines: text.split('\n'),
      map: loadMap(info.sourceMapUrl, path, text),
      files: new Map(),
    };
    scripts.set(key, script);
  }
  return script;
}

function loadMap(url: string, path: string, text: string): TraceMap | undefined {
  // Some loaders (tsx) keep the comment in the text without telling V8.
  const comment =
    url !== '' ? url : (/\/\/[#@] sourceMappingURL=(\S+)\s*$/.exec(text.slice(-5_000_000))?.[1] ?? '');
  if (comment === '') return undefined;
  try {
    if (comment.startsWith('data:')) {
      const [header, body] = [
        comment.slice(0, comment.indexOf(',')),
        comment.slice(comment.indexOf(',') + 1),
      ];
      const json = header.includes('base64')
        ? Buffer.from(body, 'base64').toString()
        : decodeURIComponent(body);
      return new TraceMap(json, path);
    }
    const file = comment.startsWith('file:') ? fileURLToPath(comment) : resolve(dirname(path), comment);
    return existsSync(file) ? new TraceMap(readFileSync(file, 'utf8'), file) : undefined;
  } catch {
    return undefined;
  }
}

function parseFile(script: LoadedScript, source: string | undefined): TS.SourceFile {
  const name = source === undefined ? script.path : originalPath(script, source);
  let file = script.files.get(name);
  if (file === undefined) {
    const content =
      source === undefined || script.map === undefined
        ? script.text
        : (sourceContentFor(script.map, source) ?? readFileSync(name, 'utf8'));
    const kind = name.endsWith('.tsx')
      ? ts.ScriptKind.TSX
      : /\.[cm]?js$/.test(name)
        ? ts.ScriptKind.JS
        : ts.ScriptKind.TS;
    file = ts.createSourceFile(name, content, ts.ScriptTarget.ES2023, true, kind);
    script.files.set(name, file);
  }
  return file;
}

function originalPath(script: LoadedScript, source: string): string {
  if (source.startsWith('file:')) return fileURLToPath(source);
  return isAbsolute(source) ? source : resolve(dirname(script.path), source);
}

/** A position in the author's file, as an offset. */
function originalOffset(
  script: LoadedScript,
  location: FunctionLocation,
): { file: TS.SourceFile; offset: number } {
  if (script.map !== undefined) {
    const original = originalPositionFor(script.map, { line: location.line + 1, column: location.column });
    if (original.source !== null) {
      const file = parseFile(script, original.source);
      return { file, offset: file.getPositionOfLineAndCharacter(original.line - 1, original.column) };
    }
  }
  const file = parseFile(script, undefined);
  return { file, offset: file.getPositionOfLineAndCharacter(location.line, location.column) };
}

const syntaxOf = new WeakMap<object, FunctionSyntax>();
const classSyntaxOf = new WeakMap<object, FunctionSyntax<TS.ClassLikeDeclaration>>();

const nameOf = (fn: object): string =>
  String((fn as { name?: unknown }).name ?? '').replace(/^(?:get|set|bound) /, '');

function locate(fn: object): { script: LoadedScript; file: TS.SourceFile; offset: number } {
  const location = locateFunction(fn);
  if (location === undefined) {
    throw new ScriptError(
      `'${nameOf(fn) || 'this function'}' has no source that can be scripted: it is native or bound; give the function itself`,
    );
  }
  const script = loadScript(location.script);
  return { script, ...originalOffset(script, location) };
}

/** The syntax of a live function or method. */
export function functionSyntax(fn: object): FunctionSyntax {
  let syntax = syntaxOf.get(fn);
  if (syntax === undefined) {
    const { script, file, offset } = locate(fn);
    const node = bestMatch(file, offset, nameOf(fn), isFunctionWithBody);
    if (node === undefined) {
      throw new ScriptError(
        `the source of '${nameOf(fn)}' was not found in ${file.fileName}; is its source map current?`,
      );
    }
    syntax = { node, file, script };
    syntaxOf.set(fn, syntax);
  }
  return syntax;
}

/** The syntax of a live class. */
export function classSyntax(constructor: object): FunctionSyntax<TS.ClassLikeDeclaration> {
  let syntax = classSyntaxOf.get(constructor);
  if (syntax === undefined) {
    const { script, file, offset } = locate(constructor);
    const name = nameOf(constructor).replace(/^_(?=\w)/, '');
    const node =
      bestMatch(file, offset, name, ts.isClassLike) ??
      bestMatch(file, offset, nameOf(constructor), ts.isClassLike);
    if (node === undefined)
      throw new ScriptError(`the source of class '${name}' was not found in ${file.fileName}`);
    syntax = { node, file, script };
    classSyntaxOf.set(constructor, syntax);
  }
  return syntax;
}

const isFunctionWithBody = (node: TS.Node): node is TS.FunctionLikeDeclaration =>
  ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;

/**
 * The node of a kind at `offset`: V8 gives a function's start as its parameter list or its name, and maps are coarse, so the
 * innermost node that begins near the offset, with the function's name where there is one, is taken.
 */
function bestMatch<N extends TS.Node>(
  file: TS.SourceFile,
  offset: number,
  name: string,
  is: (node: TS.Node) => node is N,
): N | undefined {
  let best: { node: N; score: number } | undefined;
  const visit = (node: TS.Node): void => {
    if (is(node)) {
      const start = node.getStart(file);
      const body = (node as unknown as { body?: TS.Node }).body;
      const headEnd = body?.getStart(file) ?? node.end;
      const inHead = offset >= start && offset <= headEnd;
      const inside = offset >= node.pos && offset < node.end;
      const named = declaredName(node, file) === name;
      const distance = Math.abs(offset - start);
      const score = (inHead ? 0 : inside ? 1e7 : 1e9) + (named ? 0 : name === '' ? 0 : 1e8) + distance;
      if ((inside || named) && (best === undefined || score < best.score)) best = { node, score };
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return best?.node;
}

/** The name a function or class gets at run time. */
function declaredName(node: TS.Node, file: TS.SourceFile): string {
  if (ts.isConstructorDeclaration(node)) return node.parent.name?.text ?? '';
  const named = (node as unknown as { name?: TS.Node }).name;
  if (named !== undefined) return named.getText(file).replace(/^#/, '');
  const { parent } = node;
  if (
    ts.isVariableDeclaration(parent) ||
    ts.isPropertyAssignment(parent) ||
    ts.isPropertyDeclaration(parent)
  ) {
    return parent.name.getText(file);
  }
  return '';
}

/** The range of a node in the author's file. */
export const rangeOf = (file: TS.SourceFile, node: TS.Node): SourceRange =>
  new SourceRange(file.fileName, file.text, node.getStart(file), node.end);

/**
 * What an identifier of the author's file is called where it runs: bundlers rename variables and turn imports into members
 * (`import_tensor.zeros`). Undefined where no map tells.
 */
export function generatedName(
  { file, script }: Pick<FunctionSyntax, 'file' | 'script'>,
  offset: number,
): string | undefined {
  const { map } = script;
  if (map === undefined) return undefined;
  const source = map.sources.find(
    (candidate) => candidate !== null && originalPath(script, candidate) === file.fileName,
  );
  if (source === undefined || source === null) return undefined;
  const { line, character } = file.getLineAndCharacterOfPosition(offset);
  const position = generatedPositionFor(map, { source, line: line + 1, column: character });
  if (position.line === null) return undefined;
  // A map gives the nearest place before an identifier that it does not mention, which is another one.
  const back = originalPositionFor(map, position);
  if (back.line !== line + 1 || back.column !== character) return undefined;
  const text = script.lines[position.line - 1]?.slice(position.column) ?? '';
  return /^(?:\(0, )?([\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}_$][\p{L}\p{N}_$]*)?)/u.exec(text)?.[1];
}
