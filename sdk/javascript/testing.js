// A plugin under test: configured and called as the proxy does it, in plain Node.

import { host } from './index.js';

/** Configures `plugin`, the exports that `definePlugin` made. Throws what `configure` throws. */
export function load(plugin, config = {}) {
  const needs = plugin.lifecycle.configure(JSON.stringify(config));
  return new Loaded(plugin, needs);
}

class Loaded {
  #plugin;
  #turn = 0;

  constructor(plugin, needs) {
    this.#plugin = plugin;
    this.needs = needs;
  }

  /** The values of a hook's inputs; `facts` has them by name: `{ 'header(x-tier)': 'gold' }`. */
  #values(hook, facts) {
    const asked = this.needs.inputs.find((inputs) => inputs.hook === hook)?.inputs ?? [];
    const strangers = Object.keys(facts).filter((name) => !asked.includes(name));
    if (strangers.length > 0) {
      throw new Error(`${hook} does not ask for ${strangers.join(', ')}; it asks for ${asked.join(', ') || 'nothing'}`);
    }
    return asked.map((name) => facts[name]);
  }

  onConnection(facts = {}) {
    return this.#plugin.connectionFilter.onConnection(this.#values('on-connection', facts));
  }

  onRequest(facts = {}) {
    return this.#plugin.requestFilter.onRequest(this.#values('on-request', facts));
  }

  onResponse(facts = {}) {
    return this.#plugin.responseFilter.onResponse(this.#values('on-response', facts));
  }

  /** The name of the backend that a decision chose. */
  backendOf(decision) {
    return decision.verdict.tag === 'use-backend' ? this.needs.backends[decision.verdict.val] : undefined;
  }

  /** Servers as names, or as `{ name, id, weight, limit }` with what is left out as usual. */
  update(servers) {
    this.#plugin.balancer.update(servers.map((server, position) => ({
      id: position + 1,
      weight: 1,
      limit: 0,
      ...(typeof server === 'string' ? { name: server } : server),
    })));
  }

  pick({ turn = this.#turn++, facts = {}, loads = [], tried = [] } = {}) {
    const filled = (list) => (list.length > 0 ? list : undefined);
    const values = filled(this.#values('pick', facts));
    return this.#plugin.balancer.pick(BigInt(turn), values, filled(loads), filled(tried));
  }

  /** The picks of `count` turns from `first` on, as the role `balancer-ahead` is asked for them. */
  picks(first, count) {
    return this.#plugin.balancerAhead.picks(BigInt(first), count);
  }

  lookup(facts = {}) {
    return this.#plugin.persistence.lookup(this.#values('lookup', facts));
  }

  assigned(server, facts = {}) {
    return this.#plugin.persistence.assigned(server, this.#values('assigned', facts));
  }
}

/** Grants maps: `{ tiers: { '/gold': 'fast' } }`, which match exactly. Without any, `maps` is not imported. */
export function setMaps(all) {
  host.maps = all && {
    lookup: (name, key) => all[name]?.[key],
    version: (name) => (name in all ? 1n : 0n),
    entries: (name) => Object.entries(all[name] ?? {}),
  };
}

/**
 * Grants empty tables of counters, each counter with its window in milliseconds or 0 for a total:
 * `{ clients: { requests: 10_000 } }`. Time does not pass, so a rate is what was added. Without any, `counters` is not
 * imported.
 */
export function setCounters(tables) {
  host.counters = tables && new Tables(tables);
}

const LONGEST_VALUE = 256;

class Tables {
  #declared;
  #rows = new Map();

  constructor(tables) { this.#declared = tables; }

  #has(table, counter) { return counter in (this.#declared[table] ?? {}); }

  #row(table, key) { return this.#rows.get(JSON.stringify([table, key])); }

  #madeRow(table, key) {
    const row = this.#row(table, key) ?? { counts: {}, value: undefined };
    this.#rows.set(JSON.stringify([table, key]), row);
    return row;
  }

  declared(table) {
    const declared = this.#declared[table];
    return declared && Object.entries(declared).map(([name, window]) => [name, BigInt(window)]);
  }

  add(table, counter, key, amount) {
    if (!this.#has(table, counter)) return undefined;
    const { counts } = this.#madeRow(table, key);
    counts[counter] = (counts[counter] ?? 0n) + amount;
    return counts[counter];
  }

  read(table, counter, key) {
    const row = this.#has(table, counter) ? this.#row(table, key) : undefined;
    return row && (row.counts[counter] ?? 0n);
  }

  fallsTo(table, counter, key, most) {
    if (!this.#has(table, counter)) return undefined;
    if ((this.read(table, counter, key) ?? 0n) <= most) return 0n;
    const window = this.#declared[table][counter];
    return window > 0 ? BigInt(window) : undefined;
  }

  value(table, key) { return this.#row(table, key)?.value; }

  setValue(table, key, value) {
    const fits = table in this.#declared && new TextEncoder().encode(value).length <= LONGEST_VALUE;
    if (fits) this.#madeRow(table, key).value = value;
    return fits;
  }

  remove(table, key) { return this.#rows.delete(JSON.stringify([table, key])); }
}
