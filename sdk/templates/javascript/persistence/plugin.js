// @summary@.

import { ConfigError, definePlugin, edit } from 'weir-plugin';

export const { lifecycle, persistence } = definePlugin({
  name: '@name@',
  version: '0.1.0',
  summary: '@summary@',
  // What weir.toml may say under `config`.
  schema: {
    type: 'object',
    properties: { cookie: { type: 'string', description: "The cookie's name." } },
    required: ['cookie'],
    additionalProperties: false,
  },
  configure({ cookie }, needs) {
    if (cookie === '') throw new ConfigError('/cookie', 'a cookie needs a name');
    const had = needs.lookup.cookie(cookie);
    // Both answers follow from what they are given: the proxy need not ask twice.
    needs.repeatable();
    return {
      /** The server that the client had, if it says so. The proxy uses it if it is up. */
      lookup: (values) => ({ server: values[had] }),

      /** The client got this server, and not the one it had. */
      assigned: (server) => [edit.addHeader('set-cookie', `${cookie}=${server}; Path=/`)],
    };
  },
});
