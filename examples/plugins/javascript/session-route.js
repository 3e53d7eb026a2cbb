// Persistence by the application's own session cookie: Tomcat and its like end it with the name of the server that
// has the session, `JSESSIONID=8C2F.web-b`. Clients without a session are balanced; nothing is added to answers.

import { definePlugin } from 'weir-plugin';

export const { lifecycle, persistence } = definePlugin({
  name: 'session-route',
  version: '0.1.0',
  summary: 'Follows the server that a session cookie ends with',
  schema: {
    type: 'object',
    properties: {
      cookie: { type: 'string', minLength: 1, description: "The session cookie's name." },
    },
    required: ['cookie'],
    additionalProperties: false,
  },
  configure(config, needs) {
    const session = needs.lookup.cookie(config.cookie);
    needs.repeatable();
    return {
      lookup: (values) => ({ server: route(values[session]) }),
      assigned: () => [],
    };
  },
});

/** What stands after the last dot; undefined if there is nothing. */
export function route(session = '') {
  const dot = session.lastIndexOf('.');
  return (dot >= 0 && session.slice(dot + 1)) || undefined;
}
