"""@summary@."""

from weir_plugin import Balancer


class @Type@(Balancer):
    name = "@name@"
    version = "0.1.0"
    summary = "@summary@"
    # What weir.toml may say under `config`.
    schema = {
        "type": "object",
        "properties": {
            "prefer": {
                "type": "string",
                "description": "Servers whose names begin so are taken while all others are busier.",
            },
        },
        "additionalProperties": False,
    }

    def configure(self, config, needs):
        self.prefer = config.get("prefer")
        self.preferred = []
        # Without this `loads` would be empty.
        needs.loads()

    def update(self, servers):
        """Called when a server comes or goes: the place for expensive preparation."""
        self.preferred = [
            self.prefer is not None and server.name.startswith(self.prefer) for server in servers
        ]

    def pick(self, pick):
        """The server with the fewest exchanges; among equals a preferred one, else each in its turn. What
        this exchange has already failed on comes last."""
        count = len(self.preferred)
        in_turn = [(pick.turn + n) % count for n in range(count)]
        return min(
            in_turn,
            key=lambda server: (server in pick.tried, pick.load(server), not self.preferred[server]),
            default=None,
        )
