// Shuffle sharding: each tenant has a hand of a few servers, dealt by hashing, and its requests go to the
// least busy of them. A tenant that brings servers down brings down its own hand; with 8 servers and
// hands of 2, only one tenant in 28 has the same hand.

import { definePlugin } from 'weir-plugin';

export const { lifecycle, balancer } = definePlugin({
  name: 'shuffle-shard',
  version: '0.1.0',
  summary: 'Gives each tenant a few of the servers, and picks the least busy of them',
  schema: {
    type: 'object',
    properties: {
      tenant: { type: 'string', description: 'The header that names the tenant.' },
      hand: { type: 'integer', minimum: 1, maximum: 64, description: 'Servers per tenant.' },
    },
    required: ['tenant', 'hand'],
    additionalProperties: false,
  },
  configure(config, needs) {
    const tenant = needs.pick.header(config.tenant);
    needs.loads();
    let servers = [];
    const hands = new Map();
    const handOf = (name) => {
      if (!hands.has(name)) {
        if (hands.size === 1000) hands.clear();
        hands.set(name, hand(servers, name, config.hand));
      }
      return hands.get(name);
    };
    return {
      update(eligible) {
        servers = eligible;
        hands.clear();
      },
      pick({ turn, values, loads, tried }) {
        const dealt = handOf(values[tenant]);
        const untried = (positions) => positions.filter((position) => !tried.includes(position));
        const all = servers.map((_, position) => position);
        const choice = [untried(dealt), untried(all), dealt].find((positions) => positions.length > 0);
        return choice && leastBusy(choice, servers, loads, turn);
      },
    };
  },
});

/** The positions of a tenant's servers, in order; without a tenant all of them. */
export function hand(servers, tenant, size) {
  const all = servers.map((_, position) => position);
  if (!tenant || size >= servers.length) return all;
  const scores = servers.map((server) => score(tenant, server.id));
  const best = all.sort((a, b) => scores[b] - scores[a] || a - b).slice(0, size);
  return best.sort((a, b) => a - b);
}

function leastBusy(positions, servers, loads, turn) {
  const busier = (a, b) =>
    ((loads[a] ?? 0) + 1) * servers[b].weight - ((loads[b] ?? 0) + 1) * servers[a].weight;
  const least = positions.reduce((a, b) => (busier(a, b) > 0 ? b : a));
  const equals = positions.filter((position) => busier(position, least) === 0);
  return equals[turn % equals.length];
}

const utf8 = (text) => unescape(encodeURIComponent(text));

/** FNV-1a over the tenant, a zero byte and the server's id, with MurmurHash3's last mixing. */
export function score(tenant, id) {
  let hash = 0x811c9dc5;
  const add = (byte) => { hash = Math.imul(hash ^ byte, 0x01000193); };
  for (const c of utf8(tenant)) add(c.charCodeAt(0));
  add(0);
  for (const shift of [0, 8, 16, 24]) add((id >>> shift) & 0xff);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
