import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from 'weir-plugin/testing';

import * as plugin from './plugin.js';

test('gold goes to its own backend and others pass', () => {
  const loaded = load(plugin, { header: 'X-Tier', gold: 'fast' });
  const decision = loaded.onRequest({ 'header(x-tier)': 'gold' });
  assert.equal(loaded.backendOf(decision), 'fast');
  assert.equal(loaded.onRequest().verdict.tag, 'pass');
});
