"""Shuffle sharding: each tenant has a hand of a few servers, dealt by hashing, and its requests go to the
least busy of them. A tenant that brings servers down brings down its own hand; with 8 servers and hands
of 2, only one tenant in 28 has the same hand.
"""

from functools import lru_cache

from weir_plugin import Balancer

MASK = 0xFFFF_FFFF


class ShuffleShard(Balancer):
    name = "shuffle-shard"
    summary = "Gives each tenant a few of the servers, and picks the least busy of them"
    schema = {
        "type": "object",
        "properties": {
            "tenant": {"type": "string", "description": "The header that names the tenant."},
            "hand": {
                "type": "integer",
                "minimum": 1,
                "maximum": 64,
                "description": "Servers per tenant.",
            },
        },
        "required": ["tenant", "hand"],
        "additionalProperties": False,
    }

    def configure(self, config, needs):
        self.tenant = needs.pick.header(config["tenant"])
        self.size = config["hand"]
        needs.loads()
        self.servers = []
        self.hand = lru_cache(maxsize=1000)(self.deal)

    def update(self, servers):
        self.servers = list(servers)
        self.hand.cache_clear()

    def deal(self, tenant):
        """The positions of a tenant's servers, in order; without a tenant all of them."""
        positions = range(len(self.servers))
        if not tenant or self.size >= len(self.servers):
            return list(positions)
        scores = [score(tenant, server.id) for server in self.servers]
        return sorted(sorted(positions, key=lambda position: -scores[position])[: self.size])

    def pick(self, pick):
        hand = self.hand(pick.value(self.tenant))
        untried = [position for position in hand if position not in pick.tried]
        if not untried:
            untried = [p for p in range(len(self.servers)) if p not in pick.tried] or hand
        return self.least_busy(untried, pick) if untried else None

    def least_busy(self, positions, pick):
        def busier(a, b):
            return (pick.load(a) + 1) * self.servers[b].weight - (
                pick.load(b) + 1
            ) * self.servers[a].weight

        least = positions[0]
        for position in positions:
            if busier(least, position) > 0:
                least = position
        equals = [position for position in positions if busier(position, least) == 0]
        return equals[pick.turn % len(equals)]


def score(tenant, server):
    """FNV-1a over the tenant, a zero byte and the server's id, with MurmurHash3's last mixing."""
    value = 0x811C9DC5
    for byte in tenant.encode() + b"\0" + server.to_bytes(4, "little"):
        value = (value ^ byte) * 0x01000193 & MASK
    value = (value ^ value >> 16) * 0x85EBCA6B & MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & MASK
    return value ^ value >> 16
