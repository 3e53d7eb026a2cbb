// What a plugin in JavaScript is written with. Knows nothing of components: `build.js` puts the functions
// of the proxy into `host`, and tests put theirs there.

/** The functions of the proxy. Outside of it there is a log only. */
export const host = {
  log: (level, message) => console.error(`${level}: ${message}`),
  clock: undefined,
  random: undefined,
  maps: undefined,
  counters: undefined,
};

const POSITIONS = 2 ** 32;

/** A mistake in the config: `pointer` is a JSON pointer to where it is, such as `/rules/0/from`. */
export class ConfigError extends Error {
  constructor(pointer, message) {
    super(pointer === '' ? message : `${pointer}: ${message}`);
    this.name = 'ConfigError';
  }
}

/** The inputs of one hook. Each method answers with the position of the value in `values`. */
class Inputs {
  names = [];

  /** Any input by its name in the contract, such as `header(x-tier)`. */
  input(name) {
    const known = this.names.indexOf(name);
    return known >= 0 ? known : this.names.push(name) - 1;
  }

  method() { return this.input('method'); }
  path() { return this.input('path'); }
  rawPath() { return this.input('raw-path'); }
  query() { return this.input('query'); }
  queryParam(name) { return this.input(`query-param(${name})`); }
  host() { return this.input('host'); }
  clientAddress() { return this.input('client-address'); }
  tlsSni() { return this.input('tls-sni'); }
  header(name) { return this.input(`header(${name.toLowerCase()})`); }
  headerAll(name) { return this.input(`header-all(${name.toLowerCase()})`); }
  cookie(name) { return this.input(`cookie(${name})`); }
  variable(name) { return this.input(`var(${name})`); }
  requestId() { return this.input('request-id'); }
  status() { return this.input('status'); }
  responseHeader(name) { return this.input(`response-header(${name.toLowerCase()})`); }
}

const HOOKS = {
  onConnection: 'on-connection',
  onRequest: 'on-request',
  onResponse: 'on-response',
  pick: 'pick',
  lookup: 'lookup',
  assigned: 'assigned',
};

/** What a plugin asks for in `configure`. */
export class Needs {
  onConnection = new Inputs();
  onRequest = new Inputs();
  onResponse = new Inputs();
  pick = new Inputs();
  lookup = new Inputs();
  assigned = new Inputs();
  #backends = [];
  #features = new Set();
  #named = new Set();

  /** Names a backend that the plugin may route to. Give what comes back to `useBackend`. */
  backend(name) {
    const known = this.#backends.indexOf(name);
    return known >= 0 ? known : this.#backends.push(name) - 1;
  }

  /** `pick` is to be given the servers' loads. */
  loads() { this.#features.add('loads'); }

  /** `assigned` is to be called for every response. */
  alwaysAssigned() { this.#features.add('always-assigned'); }

  /** What all hooks but `pick` answer follows from what they are given and the maps: the proxy may remember it. */
  repeatable() { this.#features.add('repeatable'); }

  /** `onResponse` is to be called, also without inputs. */
  responses() { this.#named.add('on-response'); }

  /** `onConnection` is to be called, also without inputs; for filters that judge more than connections. */
  connections() { this.#named.add('on-connection'); }

  /** `onRequest` is to be called, also without inputs; for filters that judge connections too. */
  requests() { this.#named.add('on-request'); }

  toContract() {
    const asked = Object.entries(HOOKS)
      .map(([key, hook]) => ({ hook, inputs: this[key].names }))
      .filter(({ hook, inputs }) => inputs.length > 0 || this.#named.has(hook));
    return { inputs: asked, backends: this.#backends, features: [...this.#features] };
  }
}

const header = (tag) => (name, value) => ({ tag, val: { name, value } });

/** Changes to a request or a response, as the contract has them. */
export const edit = {
  setHeader: header('set-header'),
  addHeader: header('add-header'),
  removeHeader: (name) => ({ tag: 'remove-header', val: name }),
  setPath: (path) => ({ tag: 'set-path', val: path }),
  setQuery: (query) => ({ tag: 'set-query', val: query }),
  setMethod: (method) => ({ tag: 'set-method', val: method }),
  setStatus: (status) => ({ tag: 'set-status', val: status }),
  removeCookie: (name) => ({ tag: 'remove-cookie', val: name }),
  setCookieValue: header('set-cookie-value'),
  setVariable: header('set-var'),
};

/** A filter's answer about a request. Its methods add edits and answer with the decision itself. */
export class Decision {
  edits = [];
  responseEdits = [];

  constructor(verdict) { this.verdict = verdict; }

  /** Adds an edit of the request, made with `edit`. */
  with(change) { this.edits.push(change); return this; }

  /** Adds an edit of whatever answer the client gets. */
  withResponse(change) { this.responseEdits.push(change); return this; }

  setHeader(name, value) { return this.with(edit.setHeader(name, value)); }
  removeHeader(name) { return this.with(edit.removeHeader(name)); }
  setPath(path) { return this.with(edit.setPath(path)); }
  setQuery(query) { return this.with(edit.setQuery(query)); }
  setVariable(name, value) { return this.with(edit.setVariable(name, value)); }
  setResponseHeader(name, value) { return this.withResponse(edit.setHeader(name, value)); }
}

export const pass = () => new Decision({ tag: 'pass' });
export const useBackend = (backend) => new Decision({ tag: 'use-backend', val: backend });
export const deny = (status) => new Decision({ tag: 'deny', val: status });

/** An answer of the plugin's own. `headers` is an object or a list of [name, value]. */
export function reply(status, body = '', headers = {}) {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  return new Decision({
    tag: 'reply',
    val: {
      status,
      headers: pairs.map(([name, value]) => ({ name, value })),
      body: typeof body === 'string' ? utf8(body) : body,
    },
  });
}

/** UTF-8 without TextEncoder, which not every engine has. */
function utf8(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0));
}

/** A filter's answer about a connection. */
export class ConnectionDecision {
  vars = [];

  constructor(verdict) { this.verdict = verdict; }

  /** Sets a variable for as long as the connection lives. */
  setVariable(name, value) { this.vars.push({ name, value }); return this; }
}

/** Verdicts on connections. */
export const connection = {
  pass: () => new ConnectionDecision({ tag: 'pass' }),
  useBackend: (backend) => new ConnectionDecision({ tag: 'use-backend', val: backend }),
  /** Ends the connection in the ordinary way. */
  close: () => new ConnectionDecision({ tag: 'refuse', val: 'close' }),
  /** Ends it with a reset. */
  reset: () => new ConnectionDecision({ tag: 'refuse', val: 'reset' }),
};

/** The plugin's log: 20 messages a second are kept. */
export const log = {
  debug: (message) => host.log('debug', String(message)),
  info: (message) => host.log('info', String(message)),
  warn: (message) => host.log('warn', String(message)),
  error: (message) => host.log('error', String(message)),
};

function granted(name) {
  const functions = host[name];
  if (functions === undefined) {
    throw new Error(`\`${name}\` is not imported: build with --import ${name}`);
  }
  return functions;
}

/** Milliseconds since 1970. Needs `--import clock` and `grant = ["clock"]`. */
export const now = () => Number(granted('clock').now());

/** 64 random bits as a BigInt. Needs `--import random` and `grant = ["random"]`. */
export const randomU64 = () => granted('random').getU64();

/** The maps that weir.toml grants. Needs `--import maps`. */
export const maps = {
  lookup: (name, key) => granted('maps').lookup(name, key),
  version: (name) => granted('maps').version(name),
  entries: (name) => granted('maps').entries(name),
};

const number = (count) => (count === undefined ? undefined : Number(count));

/** The tables of counters that weir.toml grants. Needs `--import counters`. */
export const counters = {
  declared: (table) => granted('counters').declared(table)?.map(([name, window]) => [name, Number(window)]),
  add: (table, counter, key, amount = 1) => number(granted('counters').add(table, counter, key, BigInt(amount))),
  read: (table, counter, key) => number(granted('counters').read(table, counter, key)),
  fallsTo: (table, counter, key, most) => number(granted('counters').fallsTo(table, counter, key, BigInt(most))),
  value: (table, key) => granted('counters').value(table, key),
  setValue: (table, key, value) => granted('counters').setValue(table, key, value),
  remove: (table, key) => granted('counters').remove(table, key),
};

/**
 * Makes the exports of a plugin. What `configure` answers with is an object of hooks: `onConnection`, `onRequest`,
 * `onResponse`, `update` and `pick`, `observe`, `lookup` and `assigned`.
 */
export function definePlugin({ name, version, summary, schema, configure }) {
  let hooks;

  const call = (hook, ...given) => {
    if (typeof hooks?.[hook] !== 'function') {
      throw new Error(`configure() gave no function \`${hook}\``);
    }
    return hooks[hook](...given);
  };

  const position = (picked) => (picked === null || picked < 0 || picked >= POSITIONS ? undefined : picked);

  return {
    lifecycle: {
      describe: () => ({
        name,
        version,
        summary,
        configSchema: schema === undefined ? '' : JSON.stringify(schema),
      }),
      configure(text) {
        const needs = new Needs();
        try {
          hooks = configure(JSON.parse(text), needs);
        } catch (error) {
          if (error instanceof ConfigError) {
            // What the engine takes for the error case of a result.
            throw Object.assign(error, { payload: error.message });
          }
          throw error;
        }
        return needs.toContract();
      },
    },
    connectionFilter: { onConnection: (values) => call('onConnection', values) },
    requestFilter: { onRequest: (values) => call('onRequest', values) },
    responseFilter: { onResponse: (values) => call('onResponse', values) ?? [] },
    balancer: {
      update: (servers) => call('update', servers),
      pick(turn, values, loads, tried) {
        return position(call('pick', {
          turn: Number(turn),
          values: values ?? [],
          loads: loads ?? [],
          tried: tried ?? [],
        }));
      },
    },
    balancerAhead: {
      picks(first, count) {
        const turns = Array.from({ length: count }, (_, ahead) => Number(first) + ahead);
        return turns.map((turn) => position(call('pick', { turn, values: [], loads: [], tried: [] })));
      },
    },
    balancerFeedback: {
      observe: (index, outcome, microseconds) =>
        call('observe', index, outcome, Number(microseconds)),
    },
    persistence: {
      lookup(values) {
        const found = call('lookup', values) ?? {};
        return { server: found.server, edits: found.edits ?? [] };
      },
      assigned: (server, values) => call('assigned', server, values) ?? [],
    },
  };
}
