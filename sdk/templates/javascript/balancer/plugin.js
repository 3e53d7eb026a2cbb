// @summary@.

import { definePlugin } from 'weir-plugin';

export const { lifecycle, balancer } = definePlugin({
  name: '@name@',
  version: '0.1.0',
  summary: '@summary@',
  // What weir.toml may say under `config`.
  schema: {
    type: 'object',
    properties: {
      prefer: {
        type: 'string',
        description: 'Servers whose names begin so are taken while all others are busier.',
      },
    },
    additionalProperties: false,
  },
  configure(config, needs) {
    // Without this `loads` would be empty.
    needs.loads();
    /** @type {number[]} 1 for those that are preferred, by their positions. */
    let preferred = [];
    return {
      /** Called when a server comes or goes: the place for expensive preparation. */
      update(servers) {
        const { prefer } = config;
        preferred = servers.map(({ name }) => Number(prefer !== undefined && name.startsWith(prefer)));
      },

      /**
       * The server with the fewest exchanges; among equals a preferred one, else each in its turn. What this
       * exchange has already failed on comes last.
       */
      pick({ turn, loads, tried }) {
        const count = preferred.length;
        const failed = (/** @type {number} */ server) => Number(tried.includes(server));
        const before = (/** @type {number} */ a, /** @type {number} */ b) =>
          failed(a) - failed(b) || loads[a] - loads[b] || preferred[b] - preferred[a];
        let best = null;
        for (let n = 0; n < count; n++) {
          const server = (turn + n) % count;
          if (best === null || before(server, best) < 0) best = server;
        }
        return best;
      },
    };
  },
});
