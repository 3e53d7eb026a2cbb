// @summary@.

import { definePlugin, pass, useBackend } from 'weir-plugin';

export const { lifecycle, requestFilter } = definePlugin({
  name: '@name@',
  version: '0.1.0',
  summary: '@summary@',
  // What weir.toml may say under `config`.
  schema: {
    type: 'object',
    properties: {
      header: { type: 'string', description: 'The header that names the tier.' },
      gold: { type: 'string', description: 'The backend of those whose tier is `gold`.' },
    },
    required: ['header', 'gold'],
    additionalProperties: false,
  },
  /** Says once what the decision will need: the inputs it is called with, the backends it may choose. */
  configure(config, needs) {
    const tier = needs.onRequest.header(config.header);
    const gold = needs.backend(config.gold);
    return {
      onRequest: (values) => (values[tier] === 'gold' ? useBackend(gold) : pass()),
    };
  },
});
