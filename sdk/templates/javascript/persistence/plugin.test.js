import assert from 'node:assert/strict';
import { test } from 'node:test';

import { edit } from 'weir-plugin';
import { load } from 'weir-plugin/testing';

import * as plugin from './plugin.js';

const loaded = load(plugin, { cookie: 'SERVER' });

test('a client with a cookie has its server', () => {
  assert.equal(loaded.lookup({ 'cookie(SERVER)': 'web-b' }).server, 'web-b');
  assert.equal(loaded.lookup().server, undefined);
});

test('a client that got a server is told', () => {
  assert.deepEqual(loaded.assigned('web-a'), [edit.addHeader('set-cookie', 'SERVER=web-a; Path=/')]);
});

test('a cookie needs a name', () => {
  assert.throws(() => load(plugin, { cookie: '' }), /a cookie needs a name/);
});
