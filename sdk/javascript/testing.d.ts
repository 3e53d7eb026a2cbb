import type { Decision, Edit, PluginExports, Server } from './index.js';

/** Values by the names of their inputs: `{ 'header(x-tier)': 'gold' }`. */
export type Facts = Record<string, string>;

export interface Loaded {
  needs: { inputs: { hook: string; inputs: string[] }[]; backends: string[]; features: string[] };
  onRequest(facts?: Facts): Decision;
  onResponse(facts?: Facts): Edit[];
  backendOf(decision: Decision): string | undefined;
  update(servers: (string | (Partial<Server> & { name: string }))[]): void;
  pick(asked?: { turn?: number; facts?: Facts; loads?: number[]; tried?: number[] }): number | undefined;
  lookup(facts?: Facts): { server?: string; edits: Edit[] };
  assigned(server: string, facts?: Facts): Edit[];
}

export function load(plugin: PluginExports, config?: unknown): Loaded;
