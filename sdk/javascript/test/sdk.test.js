import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ConfigError, connection, counters, definePlugin, deny, edit, host, log, maps, now, pass, randomU64, reply, useBackend } from '../index.js';
import { contractVersion, entry, world } from '../build.js';
import { load, setCounters, setMaps } from '../testing.js';

const tiers = definePlugin({
  name: 'tiers',
  version: '0.1.0',
  summary: 'Sends gold elsewhere',
  schema: { type: 'object' },
  configure(config, needs) {
    if (config.header === '') throw new ConfigError('/header', 'cannot be empty');
    const tier = needs.onRequest.header(config.header);
    const gold = needs.backend('fast');
    return {
      onRequest: (values) => (values[tier] === 'gold' ? useBackend(gold).setHeader('X-Seen', 'yes') : pass()),
      onResponse: () => {},
      update() {},
      pick: ({ turn, tried }) => (tried.length > 0 ? null : turn),
    };
  },
});

test('a hook is given the values of its inputs and answers with a decision', () => {
  const plugin = load(tiers, { header: 'X-Tier' });
  assert.deepEqual(plugin.needs.inputs, [{ hook: 'on-request', inputs: ['header(x-tier)'] }]);
  const decision = plugin.onRequest({ 'header(x-tier)': 'gold' });
  assert.equal(plugin.backendOf(decision), 'fast');
  assert.deepEqual(decision.edits, [edit.setHeader('X-Seen', 'yes')]);
  assert.equal(plugin.onRequest().verdict.tag, 'pass');
  assert.deepEqual(plugin.onResponse(), []);
});

test('a fact that the plugin did not ask for is a mistake of the test', () => {
  const plugin = load(tiers, { header: 'X-Tier' });
  assert.throws(() => plugin.onRequest({ path: '/' }), /does not ask for path; it asks for header\(x-tier\)/);
});

test('a config error has the text that the proxy points with', () => {
  assert.throws(() => load(tiers, { header: '' }), { payload: '/header: cannot be empty' });
});

test('the same input twice is one value', () => {
  let handles;
  const plugin = load(definePlugin({
    name: 'twice', version: '0', summary: '',
    configure(_, needs) {
      handles = [needs.pick.path(), needs.pick.header('A'), needs.pick.path()];
      needs.loads();
      return {};
    },
  }));
  assert.deepEqual(handles, [0, 1, 0]);
  assert.deepEqual(plugin.needs.features, ['loads']);
});

test('a hook on responses is asked for without inputs too', () => {
  const plugin = load(definePlugin({
    name: 'r', version: '0', summary: '',
    configure(_, needs) { needs.responses(); return {}; },
  }));
  assert.deepEqual(plugin.needs.inputs, [{ hook: 'on-response', inputs: [] }]);
});

test('picks are positions, and none is none', () => {
  const plugin = load(tiers, { header: 'x' });
  plugin.update(['a', { name: 'b', weight: 3 }]);
  assert.equal(plugin.pick(), 0);
  assert.equal(plugin.pick(), 1);
  assert.equal(plugin.pick({ tried: [0] }), undefined);
});

test('turns to come are asked of the same function', () => {
  const plugin = load(tiers, { header: 'x' });
  assert.deepEqual(plugin.picks(7, 3), [7, 8, 9]);
});

test('a plugin can promise to answer alike', () => {
  const plugin = load(definePlugin({
    name: 'r', version: '0', summary: '',
    configure(_, needs) { needs.repeatable(); needs.repeatable(); return {}; },
  }));
  assert.deepEqual(plugin.needs.features, ['repeatable']);
});

test('a connection is judged, and can be given variables', () => {
  const plugin = load(definePlugin({
    name: 'c', version: '0', summary: '',
    configure(_, needs) {
      const name = needs.onConnection.tlsSni();
      const other = needs.backend('other');
      needs.requests();
      return {
        onConnection: (values) => {
          if (values[name] === undefined) return connection.reset();
          return connection.useBackend(other).setVariable('name', values[name]);
        },
      };
    },
  }));
  assert.deepEqual(plugin.needs.inputs, [
    { hook: 'on-connection', inputs: ['tls-sni'] },
    { hook: 'on-request', inputs: [] },
  ]);
  const decision = plugin.onConnection({ 'tls-sni': 'a.example' });
  assert.equal(plugin.backendOf(decision), 'other');
  assert.deepEqual(decision.vars, [{ name: 'name', value: 'a.example' }]);
  assert.deepEqual(plugin.onConnection().verdict, { tag: 'refuse', val: 'reset' });
});

test('a hook that is missing is named', () => {
  assert.throws(() => load(tiers, { header: 'x' }).lookup(), /no function `lookup`/);
});

test('a reply has its body in bytes', () => {
  const { val } = reply(403, 'n\u00e4h', { 'X-Why': 'no' }).verdict;
  assert.deepEqual([...val.body], [110, 195, 164, 104]);
  assert.deepEqual(val.headers, [{ name: 'X-Why', value: 'no' }]);
  assert.deepEqual(deny(404).verdict, { tag: 'deny', val: 404 });
});

test('what was not imported says how to import it', () => {
  assert.throws(() => now(), /build with --import clock/);
  host.clock = { now: () => 17n };
  assert.equal(now(), 17);
  host.clock = undefined;
});

test('the log goes to the proxy as text', () => {
  const lines = [];
  const before = host.log;
  host.log = (level, message) => lines.push([level, message]);
  log.warn(5);
  host.log = before;
  assert.deepEqual(lines, [['warn', '5']]);
});

test('a component imports and exports what it is built with, and no more', () => {
  const text = world(['balancer', 'balancer-ahead'], ['clock'], '0.1.7');
  assert.match(text, /import weir:plugin\/clock@0\.1\.7;/);
  assert.match(text, /export weir:plugin\/balancer@0\.1\.7;/);
  assert.match(text, /export weir:plugin\/balancer-ahead@0\.1\.7;/);
  assert.doesNotMatch(text, /random|request-filter/);
  assert.match(contractVersion(), /^0\.1\.\d+$/);
  assert.match(entry('/a/b.js', ['request-filter'], ['maps'], '0.1.7'), /export \{ lifecycle, requestFilter \} from "\/a\/b\.js"/);
});

test('counters are numbers, and what is not imported says so', () => {
  assert.throws(() => counters.add('clients', 'requests', 'a'), /--import counters/);
  const added = [];
  host.counters = {
    declared: () => [['requests', 10000n]],
    add: (...given) => { added.push(given); return 7n; },
    read: () => undefined,
  };
  assert.deepEqual(counters.declared('clients'), [['requests', 10000]]);
  assert.equal(counters.add('clients', 'requests', 'a'), 7);
  assert.deepEqual(added, [['clients', 'requests', 'a', 1n]]);
  assert.equal(counters.read('clients', 'requests', 'a'), undefined);
  host.counters = undefined;
});

test('maps and random numbers are the proxy\'s', () => {
  assert.throws(() => maps.lookup('tiers', '/gold'), /--import maps/);
  setMaps({ tiers: { '/gold': 'fast' } });
  assert.equal(maps.lookup('tiers', '/gold'), 'fast');
  assert.equal(maps.lookup('tiers', '/'), undefined);
  assert.deepEqual([maps.version('tiers'), maps.version('other')], [1n, 0n]);
  assert.deepEqual(maps.entries('tiers'), [['/gold', 'fast']]);
  setMaps();
  assert.throws(() => randomU64(), /--import random/);
  host.random = { getU64: () => 2n ** 63n };
  assert.equal(randomU64(), 2n ** 63n);
  host.random = undefined;
});

test('a plugin that counts is tested with tables in memory', () => {
  const plugin = definePlugin({
    name: 'limit',
    version: '0.1.0',
    summary: 'Three for each',
    configure(_, needs) {
      const client = needs.onRequest.clientAddress();
      return { onRequest: (values) => (counters.add('clients', 'requests', values[client]) > 3 ? deny(429) : pass()) };
    },
  });
  setCounters({ clients: { requests: 10_000, ever: 0 } });
  const limit = load(plugin);
  const verdicts = Array.from({ length: 4 }, () => limit.onRequest({ 'client-address': '10.0.0.1' }).verdict.tag);
  assert.deepEqual(verdicts, ['pass', 'pass', 'pass', 'deny']);
  assert.equal(limit.onRequest({ 'client-address': '10.0.0.2' }).verdict.tag, 'pass');
  assert.deepEqual(counters.declared('clients'), [['requests', 10_000], ['ever', 0]]);
  assert.deepEqual([counters.declared('other'), counters.add('clients', 'other', 'a')], [undefined, undefined]);
  assert.equal(counters.fallsTo('clients', 'requests', '10.0.0.1', 3), 10_000);
  assert.equal(counters.fallsTo('clients', 'requests', '10.0.0.1', 4), 0);
  assert.deepEqual([counters.setValue('clients', 'a', 'kept'), counters.value('clients', 'a')], [true, 'kept']);
  assert.equal(counters.setValue('clients', 'a', 'x'.repeat(257)), false);
  assert.deepEqual([counters.remove('clients', 'a'), counters.remove('clients', 'a')], [true, false]);
  setCounters();
});
