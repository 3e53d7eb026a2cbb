import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from 'weir-plugin/testing';

import * as plugin from './plugin.js';

const three = (config) => {
  const loaded = load(plugin, config);
  loaded.update(['a', 'b', 'near-c']);
  return loaded;
};

test('the least loaded is picked and equals take turns', () => {
  const loaded = three({});
  assert.equal(loaded.pick({ turn: 0, loads: [2, 1, 2] }), 1);
  assert.equal(loaded.pick({ turn: 0, loads: [1, 1, 1] }), 0);
  assert.equal(loaded.pick({ turn: 1, loads: [1, 1, 1] }), 1);
});

test('among equals the preferred comes first', () => {
  const loaded = three({ prefer: 'near-' });
  assert.equal(loaded.pick({ turn: 0, loads: [1, 1, 1] }), 2);
  assert.equal(loaded.pick({ turn: 0, loads: [1, 1, 2] }), 0);
});

test('a server that failed comes last', () => {
  assert.equal(three({}).pick({ turn: 0, loads: [0, 1, 1], tried: [0] }), 1);
});
