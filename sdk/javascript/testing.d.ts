import type { ConnectionDecision, Decision, Edit, PluginExports, Server } from './index.js';

/** Values by the names of their inputs: `{ 'header(x-tier)': 'gold' }`. */
export type Facts = Record<string, string>;

export interface Loaded {
  needs: { inputs: { hook: string; inputs: string[] }[]; backends: string[]; features: string[] };
  onConnection(facts?: Facts): ConnectionDecision;
  onRequest(facts?: Facts): Decision;
  onResponse(facts?: Facts): Edit[];
  backendOf(decision: Decision | ConnectionDecision): string | undefined;
  update(servers: (string | (Partial<Server> & { name: string }))[]): void;
  pick(asked?: { turn?: number; facts?: Facts; loads?: number[]; tried?: number[] }): number | undefined;
  /** The picks of `count` turns from `first` on, as the role `balancer-ahead` is asked for them. */
  picks(first: number, count: number): (number | undefined)[];
  lookup(facts?: Facts): { server?: string; edits: Edit[] };
  assigned(server: string, facts?: Facts): Edit[];
}

/** `plugin` is what `definePlugin` made, or a module that exports parts of it. */
export function load(plugin: Partial<PluginExports>, config?: unknown): Loaded;

/** Grants maps: `{ tiers: { '/gold': 'fast' } }`, which match exactly. Without any, `maps` is not imported. */
export function setMaps(maps?: Record<string, Record<string, string>>): void;

/**
 * Grants empty tables of counters, each counter with its window in milliseconds or 0 for a total. Time does not pass,
 * so a rate is what was added. Without any, `counters` is not imported.
 */
export function setCounters(tables?: Record<string, Record<string, number>>): void;
