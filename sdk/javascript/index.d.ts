/** A fact of the exchange; undefined where it has no such thing. */
export type Value = string | undefined;
/** Where a value stands in `values`. */
export type Handle = number;
/** A backend that `configure` named. */
export type BackendRef = number;

export interface Inputs {
  /** Any input by its name in the contract, such as `header(x-tier)`. */
  input(name: string): Handle;
  method(): Handle;
  /** Normalised: percent-encoded letters decoded, dot segments and doubled slashes removed. */
  path(): Handle;
  /** As the client sent it. */
  rawPath(): Handle;
  query(): Handle;
  queryParam(name: string): Handle;
  /** Lower case, without the port. */
  host(): Handle;
  clientAddress(): Handle;
  /** The name that the client's TLS hello asked for. */
  tlsSni(): Handle;
  /** The last field of that name. */
  header(name: string): Handle;
  /** All of them, joined with `, `. */
  headerAll(name: string): Handle;
  cookie(name: string): Handle;
  /** What an earlier plugin set. */
  variable(name: string): Handle;
  requestId(): Handle;
  /** In `onResponse` and `assigned` only. */
  status(): Handle;
  /** In `onResponse` and `assigned` only. */
  responseHeader(name: string): Handle;
}

export class Needs {
  readonly onConnection: Inputs;
  readonly onRequest: Inputs;
  readonly onResponse: Inputs;
  readonly pick: Inputs;
  readonly lookup: Inputs;
  readonly assigned: Inputs;
  /** Names a backend that the plugin may route to; it must exist when the plugin is loaded. */
  backend(name: string): BackendRef;
  /** `pick` is to be given the servers' loads. */
  loads(): void;
  /** `assigned` is to be called for every response. */
  alwaysAssigned(): void;
  /**
   * What all hooks but `pick` answer follows from what they are called with and the contents of the maps: not from
   * the clock, random numbers or earlier calls. The proxy may then give an answer again instead of calling.
   */
  repeatable(): void;
  /** `onResponse` is to be called, also without inputs. */
  responses(): void;
  /** `onConnection` is to be called, also without inputs; for filters that judge more than connections. */
  connections(): void;
  /** `onRequest` is to be called, also without inputs; for filters that judge connections too. */
  requests(): void;
}

/** A mistake in the config; `pointer` is a JSON pointer into it, or empty. */
export class ConfigError extends Error {
  constructor(pointer: string, message: string);
}

export interface Header { name: string; value: string }

export type Edit =
  | { tag: 'set-header' | 'add-header' | 'set-cookie-value' | 'set-var'; val: Header }
  | { tag: 'remove-header' | 'set-path' | 'set-query' | 'set-method' | 'remove-cookie'; val: string }
  | { tag: 'set-status'; val: number };

export const edit: {
  setHeader(name: string, value: string): Edit;
  addHeader(name: string, value: string): Edit;
  removeHeader(name: string): Edit;
  setPath(path: string): Edit;
  setQuery(query: string): Edit;
  setMethod(method: string): Edit;
  setStatus(status: number): Edit;
  removeCookie(name: string): Edit;
  setCookieValue(name: string, value: string): Edit;
  setVariable(name: string, value: string): Edit;
};

export type Verdict =
  | { tag: 'pass' }
  | { tag: 'use-backend'; val: BackendRef }
  | { tag: 'deny'; val: number }
  | { tag: 'reply'; val: { status: number; headers: Header[]; body: Uint8Array } };

export class Decision {
  constructor(verdict: Verdict);
  verdict: Verdict;
  edits: Edit[];
  responseEdits: Edit[];
  with(change: Edit): this;
  withResponse(change: Edit): this;
  setHeader(name: string, value: string): this;
  removeHeader(name: string): this;
  setPath(path: string): this;
  setQuery(query: string): this;
  setVariable(name: string, value: string): this;
  setResponseHeader(name: string, value: string): this;
}

export function pass(): Decision;
export function useBackend(backend: BackendRef): Decision;
/** Ends the exchange with the proxy's own page for that status. */
export function deny(status: number): Decision;
export function reply(
  status: number,
  body?: string | Uint8Array,
  headers?: Record<string, string> | [string, string][],
): Decision;

export type ConnectionVerdict =
  | { tag: 'pass' }
  | { tag: 'use-backend'; val: BackendRef }
  | { tag: 'refuse'; val: 'close' | 'reset' };

export class ConnectionDecision {
  constructor(verdict: ConnectionVerdict);
  verdict: ConnectionVerdict;
  vars: Header[];
  /** Sets a variable for as long as the connection lives. */
  setVariable(name: string, value: string): this;
}

/** Verdicts on connections. */
export const connection: {
  pass(): ConnectionDecision;
  useBackend(backend: BackendRef): ConnectionDecision;
  /** Ends the connection in the ordinary way. */
  close(): ConnectionDecision;
  /** Ends it with a reset. */
  reset(): ConnectionDecision;
};

export interface Server {
  name: string;
  /** Stays the same when servers are added or removed. */
  id: number;
  /** 1 to 256. */
  weight: number;
  /** How many exchanges it takes at a time; 0 is no limit. */
  limit: number;
}

export interface Pick {
  /** Counts the picks of this backend over all workers. */
  turn: number;
  values: Value[];
  /** One per server; empty unless `needs.loads()` was called. */
  loads: readonly number[] | Uint32Array;
  /** Servers that this exchange has failed on or that have no room. Mostly empty. */
  tried: readonly number[] | Uint32Array;
}

export type Outcome = 'success' | 'connect-failed' | 'timed-out' | 'server-error' | 'aborted';

/** What a plugin does. Which of these there must be, the roles say that it is built with. */
export interface Hooks {
  onConnection?(values: Value[]): ConnectionDecision;
  onRequest?(values: Value[]): Decision;
  onResponse?(values: Value[]): Edit[] | void;
  update?(servers: Server[]): void;
  /**
   * The position of a server in the last `update`; null or undefined for none. With the role `balancer-ahead` it is
   * asked about turns to come, so it must follow from the turn and the last `update` alone.
   */
  pick?(pick: Pick): number | null | undefined;
  observe?(index: number, outcome: Outcome, microseconds: number): void;
  lookup?(values: Value[]): { server?: string; edits?: Edit[] } | void;
  assigned?(server: string, values: Value[]): Edit[] | void;
}

export interface PluginDefinition<Config> {
  name: string;
  version: string;
  /** One sentence. */
  summary: string;
  /** JSON Schema of the config; what does not fit it never reaches `configure`. */
  schema?: object;
  configure(config: Config, needs: Needs): Hooks;
}

/** The exports of a component; export those that the plugin is built with. */
export interface PluginExports {
  lifecycle: object;
  connectionFilter: object;
  requestFilter: object;
  responseFilter: object;
  balancer: object;
  balancerAhead: object;
  balancerFeedback: object;
  persistence: object;
}

export function definePlugin<Config = any>(definition: PluginDefinition<Config>): PluginExports;

export const log: Record<'debug' | 'info' | 'warn' | 'error', (message: unknown) => void>;
/** Milliseconds since 1970. */
export function now(): number;
export function randomU64(): bigint;
export const maps: {
  lookup(name: string, key: string): string | undefined;
  version(name: string): bigint;
  entries(name: string): [string, string][];
};

/** A table, a counter or a key that is not there answers `undefined`. */
export const counters: {
  /** Names and windows in milliseconds; 0 is a total. */
  declared(table: string): [string, number][] | undefined;
  /** What the counter then is: the rate over its window, or the total. */
  add(table: string, counter: string, key: string, amount?: number): number | undefined;
  read(table: string, counter: string, key: string): number | undefined;
  /** In how many milliseconds the counter will be at most `most`. */
  fallsTo(table: string, counter: string, key: string, most: number): number | undefined;
  value(table: string, key: string): string | undefined;
  setValue(table: string, key: string, value: string): boolean;
  remove(table: string, key: string): boolean;
};

/** The functions of the proxy, for tests to replace. */
export const host: {
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
  clock?: { now(): bigint };
  random?: { getU64(): bigint };
  maps?: typeof maps;
  counters?: {
    declared(table: string): [string, bigint][] | undefined;
    add(table: string, counter: string, key: string, amount: bigint): bigint | undefined;
    read(table: string, counter: string, key: string): bigint | undefined;
    fallsTo(table: string, counter: string, key: string, most: bigint): bigint | undefined;
    value(table: string, key: string): string | undefined;
    setValue(table: string, key: string, value: string): boolean;
    remove(table: string, key: string): boolean;
  };
};
