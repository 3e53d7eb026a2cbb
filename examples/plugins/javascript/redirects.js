// Redirects by regular expressions, for a site whose addresses have changed. JavaScript's own expressions
// and replacements: named groups, look-behind, `$1`.

import { ConfigError, definePlugin, pass, reply } from 'weir-plugin';

export const { lifecycle, requestFilter } = definePlugin({
  name: 'redirects',
  version: '0.1.0',
  summary: 'Answers old addresses with where they are now',
  schema: {
    type: 'object',
    properties: {
      rules: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            from: { type: 'string', description: 'A regular expression for the whole path.' },
            to: { type: 'string', description: 'The new address; `$1` or `$<name>` is what a group matched.' },
            status: { enum: [301, 302, 307, 308], default: 308 },
          },
          required: ['from', 'to'],
          additionalProperties: false,
        },
      },
    },
    required: ['rules'],
    additionalProperties: false,
  },
  configure(config, needs) {
    const rules = config.rules.map(({ from, to, status = 308 }, number) => {
      try {
        return { from: new RegExp(`^(?:${from})$`, 'u'), to, status };
      } catch (error) {
        throw new ConfigError(`/rules/${number}/from`, error.message);
      }
    });
    const path = needs.onRequest.rawPath();
    const query = needs.onRequest.query();
    return {
      onRequest(values) {
        const rule = rules.find(({ from }) => from.test(values[path]));
        if (!rule) return pass();
        const to = values[path].replace(rule.from, rule.to);
        const location = values[query] ? `${to}${to.includes('?') ? '&' : '?'}${values[query]}` : to;
        return reply(rule.status, `moved to ${location}\n`, { Location: location });
      },
    };
  },
});
