import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from 'weir-plugin/testing';

import * as plugin from '../redirects.js';

const RULES = {
  rules: [
    { from: '/blog/(?<year>\\d{4})/(.+)', to: '/archive/$<year>/$2' },
    { from: '/shop', to: 'https://shop.example.com/?from=old', status: 301 },
  ],
};

function location(path, query) {
  const { verdict } = load(plugin, RULES).onRequest({ 'raw-path': path, ...(query && { query }) });
  if (verdict.tag === 'pass') return 'pass';
  return `${verdict.val.status} ${verdict.val.headers[0].value}`;
}

test('an old address is answered with the new one', () => {
  assert.equal(location('/blog/2019/on-proxies'), '308 /archive/2019/on-proxies');
  assert.equal(location('/shop'), '301 https://shop.example.com/?from=old');
});

test('the query goes along', () => {
  assert.equal(location('/blog/2019/x', 'page=2'), '308 /archive/2019/x?page=2');
  assert.equal(location('/shop', 'a=b'), '301 https://shop.example.com/?from=old&a=b');
});

test('an expression is for the whole path', () => {
  assert.equal(location('/shop/cart'), 'pass');
  assert.equal(location('/my/shop'), 'pass');
});

test('a bad expression is pointed at', () => {
  const bad = { rules: [{ from: '(', to: '/' }] };
  assert.throws(() => load(plugin, bad), { payload: /^\/rules\/0\/from: Invalid regular expression/ });
});
