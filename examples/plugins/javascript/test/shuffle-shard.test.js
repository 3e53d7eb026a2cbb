import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from 'weir-plugin/testing';

import * as plugin from '../shuffle-shard.js';

const SERVERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const of = (tenant) => ({ 'header(x-tenant)': tenant });

function balancer(servers = SERVERS, hand = 2) {
  const loaded = load(plugin, { tenant: 'X-Tenant', hand });
  loaded.update(servers);
  return loaded;
}

const picks = (loaded, count, asked) => new Set(Array.from({ length: count }, () => loaded.pick(asked)));

test('a tenant stays with its hand, and takes turns within it', () => {
  const loaded = balancer();
  const acme = picks(loaded, 20, { facts: of('acme') });
  assert.equal(acme.size, 2);
  assert.deepEqual(picks(loaded, 20, { facts: of('acme') }), acme);
});

test('tenants have different hands', () => {
  const loaded = balancer();
  const hands = new Set();
  for (let n = 0; n < 50; n += 1) hands.add([...picks(loaded, 4, { facts: of(`t${n}`) })].sort().join());
  assert.ok(hands.size > 15, `${hands.size} hands`);
});

test('the least busy server of the hand is picked, by weight', () => {
  const loaded = balancer(['a', { name: 'b', weight: 3 }], 2);
  assert.equal(loaded.pick({ facts: of('x'), loads: [1, 2] }), 1);
  assert.equal(loaded.pick({ facts: of('x'), loads: [0, 5] }), 0);
});

test('a hand that was tried falls back to the other servers', () => {
  const loaded = balancer();
  const [first, second] = picks(loaded, 20, { facts: of('acme') });
  const other = loaded.pick({ facts: of('acme'), tried: [first, second] });
  assert.ok(other !== undefined && other !== first && other !== second);
});

test('without a tenant all servers share', () => {
  assert.equal(picks(balancer(), 16).size, 8);
});

test('a server that goes moves only the tenants that had it', () => {
  const ids = SERVERS.map((name, position) => ({ name, id: position + 1 }));
  let moved = 0;
  for (let n = 0; n < 100; n += 1) {
    const before = plugin.hand(ids, `t${n}`, 2).map((position) => ids[position].name);
    const left = ids.slice(1);
    const after = plugin.hand(left, `t${n}`, 2).map((position) => left[position].name);
    if (!before.includes('a')) assert.deepEqual(after, before);
    else moved += 1;
  }
  assert.ok(moved > 10 && moved < 45, `${moved} had it`);
});

test('no server is no pick', () => {
  assert.equal(balancer([]).pick({ facts: of('x') }), undefined);
});
