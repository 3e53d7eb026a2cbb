"""Plays every role that there is, each so that it shows in what clients and servers get."""

from weir_plugin import (
    Balancer,
    ConnectionFilter,
    Found,
    Persistence,
    RequestFilter,
    ResponseFilter,
    clock,
    connection,
    counters,
    edit,
    log,
    maps,
    pass_,
    random_u64,
)


class Roles(ConnectionFilter, RequestFilter, ResponseFilter, Balancer, Persistence):
    name = "roles"
    summary = "Plays every role"

    def configure(self, config, needs):
        self.address = needs.on_connection.client_address()
        self.path = needs.on_request.path()
        self.source = needs.on_request.variable("from")
        self.status = needs.on_response.status()
        self.had = needs.lookup.header("x-server")
        needs.repeatable()
        self.calls = 0
        self.count = 0

    def on_connection(self, values):
        return connection.pass_().with_variable("from", values[self.address] or "nowhere")

    def on_request(self, values):
        self.calls += 1
        tier = maps.lookup("tiers", values[self.path] or "")
        return pass_().with_edit(
            edit.set_header("X-From", values[self.source] or ""),
            edit.set_header("X-Calls", str(self.calls)),
            edit.set_header("X-Tier", tier or "none"),
            edit.set_header("X-Time", str(clock.now() > 0 and random_u64() >= 0).lower()),
        )

    def on_response(self, values):
        return [edit.set_header("X-Status", values[self.status] or "")]

    def update(self, servers):
        self.count = len(servers)

    def pick(self, pick):
        return pick.turn % self.count

    def observe(self, index, outcome, microseconds):
        count = counters.add("seen", "outcomes", outcome)
        log.info(f"server {index}: {outcome}, {count} so far")

    def lookup(self, values):
        return Found(values[self.had])

    def assigned(self, server, values):
        return [edit.set_header("X-Assigned", server)]
