import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from 'weir-plugin/testing';

import * as plugin from '../session-route.js';

const loaded = load(plugin, { cookie: 'JSESSIONID' });
const found = (session) => loaded.lookup({ 'cookie(JSESSIONID)': session }).server;

test('a session leads to the server that it ends with', () => {
  assert.equal(found('8C2F.web-b'), 'web-b');
  assert.equal(found('8C.2F.web-b'), 'web-b');
});

test('without a session, or one that names nobody, the balancer picks', () => {
  assert.equal(loaded.lookup().server, undefined);
  assert.equal(found('8C2F'), undefined);
  assert.equal(found('8C2F.'), undefined);
});

test('answers stay as they are', () => {
  assert.deepEqual(loaded.assigned('web-a'), []);
});
