// Plays every role that there is, each so that it shows in what clients and servers get.

import { connection, counters, definePlugin, edit, log, maps, now, pass, randomU64 } from 'weir-plugin';

export const {
  lifecycle, connectionFilter, requestFilter, responseFilter, balancer, balancerAhead, balancerFeedback, persistence,
} = definePlugin({
  name: 'roles',
  version: '0.1.0',
  summary: 'Plays every role',
  configure(_, needs) {
    const address = needs.onConnection.clientAddress();
    const path = needs.onRequest.path();
    const from = needs.onRequest.variable('from');
    const status = needs.onResponse.status();
    const had = needs.lookup.header('x-server');
    needs.repeatable();
    let calls = 0;
    let count = 0;
    return {
      onConnection: (values) => connection.pass().setVariable('from', values[address] ?? 'nowhere'),
      onRequest(values) {
        calls += 1;
        return pass()
          .setHeader('X-From', values[from] ?? '')
          .setHeader('X-Calls', String(calls))
          .setHeader('X-Tier', maps.lookup('tiers', values[path] ?? '') ?? 'none')
          .setHeader('X-Time', String(now() > 0 && randomU64() >= 0n));
      },
      onResponse: (values) => [edit.setHeader('X-Status', values[status] ?? '')],
      update(servers) { count = servers.length; },
      pick: ({ turn }) => turn % count,
      observe(index, outcome) {
        log.info(`server ${index}: ${outcome}, ${counters.add('seen', 'outcomes', outcome)} so far`);
      },
      lookup: (values) => ({ server: values[had] }),
      assigned: (server) => [edit.setHeader('X-Assigned', server)],
    };
  },
});
