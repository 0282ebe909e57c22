// Asks V8 about live functions, through node:inspector on the own thread: in which script and where a function was written,
// and the values of its free variables. Nothing is paused and no port is opened.
import { Session } from 'node:inspector';
import { InternalError } from '@weft/ir';

export interface ScriptInfo {
  readonly url: string;
  readonly sourceMapUrl: string;
  readonly id: string;
}
/** Where a function starts in the script that V8 runs; line and column from 0. */
export interface FunctionLocation {
  readonly script: ScriptInfo;
  readonly line: number;
  readonly column: number;
}

interface RemoteObject {
  readonly objectId?: string;
  readonly type: string;
  readonly value?: unknown;
  readonly description?: string;
}
interface PropertyDescriptor {
  readonly name: string;
  readonly value?: RemoteObject;
}

/** Values go to and from the inspector through this object, which is on the main realm's global while a question runs. */
interface Exchange {
  given?: unknown;
  found?: boolean;
  value?: unknown;
}

const exchangeKey = '__weftInspectorExchange';

class Inspector {
  private readonly session = new Session();
  private readonly scripts = new Map<string, ScriptInfo>();
  private readonly exchange: Exchange = {};
  private asking = false;
  /** Whether the debugger domain is on, which tells of all scripts when it is switched on. */
  private listening = false;
  /** The global of the main realm, which is where expressions are evaluated (Jest runs tests in another one). */
  private readonly root: Record<string, unknown>;

  constructor() {
    this.session.connect();
    this.session.on('Debugger.scriptParsed', ({ params }) => {
      this.scripts.set(params.scriptId, {
        id: params.scriptId,
        url: params.url,
        sourceMapUrl: params.sourceMapURL ?? '',
      });
    });
    this.root = this.mainGlobal();
  }

  private mainGlobal(): Record<string, unknown> {
    const make = (Session as unknown as { constructor: (body: string) => () => Record<string, unknown> })
      .constructor;
    try {
      return make('return globalThis')();
    } catch {
      return globalThis as unknown as Record<string, unknown>;
    }
  }

  private post<T>(method: string, params: Record<string, unknown> = {}): T {
    let answer: { error: Error | null; result: unknown } | undefined;
    const send = this.session.post.bind(this.session) as (
      method: string,
      params: Record<string, unknown>,
      callback: (error: Error | null, result: unknown) => void,
    ) => void;
    send(method, params, (error, result) => (answer = { error, result }));
    if (answer === undefined) throw new InternalError(`the inspector did not answer ${method} at once`);
    if (answer.error !== null) throw new InternalError(`${method}: ${answer.error.message}`);
    return answer.result as T;
  }

  /**
   * Runs `body`, which may ask, and releases what the inspector holds afterwards. The debugger domain, whose list of all scripts takes
   * milliseconds, and far more where there are thousands, is on only from the first question about a script that is not known.
   */
  ask<T>(body: () => T): T {
    if (this.asking) return body();
    this.asking = true;
    this.root[exchangeKey] = this.exchange;
    try {
      return body();
    } finally {
      this.asking = false;
      this.exchange.given = this.exchange.value = undefined;
      delete this.root[exchangeKey];
      this.post('Runtime.releaseObjectGroup', { objectGroup: 'weft' });
      if (this.listening) this.post('Debugger.disable');
      this.listening = false;
    }
  }

  /** Switches the debugger domain on until the end of `ask`; false when it is on already. */
  private listen(): boolean {
    if (this.listening) return false;
    this.post('Debugger.enable', { maxScriptsCacheSize: 0 });
    return (this.listening = true);
  }

  private remote(value: unknown): string {
    this.exchange.given = value;
    const { result } = this.post<{ result: RemoteObject }>('Runtime.evaluate', {
      expression: `globalThis.${exchangeKey}.given`,
      objectGroup: 'weft',
      silent: true,
    });
    if (result.objectId === undefined) throw new InternalError('the inspector gave no handle of a function');
    return result.objectId;
  }

  private properties(objectId: string): {
    result: PropertyDescriptor[];
    internalProperties?: PropertyDescriptor[];
  } {
    return this.post('Runtime.getProperties', { objectId, ownProperties: true });
  }

  /** An internal property of a function, such as `[[Scopes]]`; where V8 tells of it only then, with the debugger domain on. */
  private internal(fn: object, name: string): RemoteObject | undefined {
    const { internalProperties = [] } = this.properties(this.remote(fn));
    const found = internalProperties.find((each) => each.name === name)?.value;
    return found === undefined && this.listen() ? this.internal(fn, name) : found;
  }

  location(fn: object): FunctionLocation | undefined {
    const place = this.internal(fn, '[[FunctionLocation]]')?.value as
      { scriptId: string; lineNumber: number; columnNumber: number } | undefined;
    if (place === undefined) return undefined;
    if (!this.scripts.has(place.scriptId)) this.listen();
    const script = this.scripts.get(place.scriptId);
    return script && { script, line: place.lineNumber, column: place.columnNumber };
  }

  source(script: ScriptInfo): string {
    this.listen();
    return this.post<{ scriptSource: string }>('Debugger.getScriptSource', { scriptId: script.id })
      .scriptSource;
  }

  /** The value of the variable `name` as `fn` sees it, innermost scope first. */
  variable(fn: object, name: string): { value: unknown } | undefined {
    const scopes = this.internal(fn, '[[Scopes]]')?.objectId;
    if (scopes === undefined) return undefined;
    const exchange = this.remote(this.exchange);
    for (const { value: scope } of this.properties(scopes).result) {
      if (scope?.objectId === undefined || scope.description === 'Global') continue;
      this.exchange.found = false;
      this.post('Runtime.callFunctionOn', {
        objectId: scope.objectId,
        functionDeclaration: `function (exchange, name) {
          const { object } = this;
          if (!Object.prototype.hasOwnProperty.call(object, name)) return;
          exchange.value = object[name];
          exchange.found = true;
        }`,
        arguments: [{ objectId: exchange }, { value: name }],
        silent: true,
      });
      if (this.exchange.found) return { value: this.exchange.value };
    }
    return undefined;
  }
}

let inspector: Inspector | undefined;
const instance = (): Inspector => (inspector ??= new Inspector());

/** Runs `body`, in which any number of questions about live functions cost one start of the inspector. */
export const inspecting = <T>(body: () => T): T => instance().ask(body);

/** Where V8 has `fn` from; undefined for native and bound functions. */
export const locateFunction = (fn: object): FunctionLocation | undefined =>
  instance().ask(() => instance().location(fn));

/** The text of a script. */
export const sourceOf = (script: ScriptInfo): string => instance().ask(() => instance().source(script));

/** The value of a free variable of `fn`, or undefined when there is none of that name. */
export function freeVariable(fn: object, name: string): { value: unknown } | undefined {
  return instance().ask(() => instance().variable(fn, name));
}
