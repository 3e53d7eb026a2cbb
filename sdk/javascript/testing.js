// A plugin under test: configured and called as the proxy does it, in plain Node.

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
