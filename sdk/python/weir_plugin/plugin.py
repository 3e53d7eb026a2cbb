"""The classes that a plugin derives from: one for each role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Sequence

from .decision import ConnectionDecision, Decision, Edit
from .needs import Handle, Needs

#: The values of a hook's inputs, by handle; ``None`` where the exchange has no such thing.
Values = Sequence[Optional[str]]


class ConfigError(Exception):
    """A mistake in the config. ``pointer`` is a JSON pointer to where it is, such as ``/rules/0/from``."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}" if pointer else message)


class Plugin:
    """What every plugin has."""

    name: str = ""
    version: str = "0.1.0"
    #: One sentence.
    summary: str = ""
    #: JSON Schema of the config; what does not fit it never reaches ``configure``.
    schema: dict[str, Any] | None = None

    def configure(self, config: Any, needs: Needs) -> None:
        """Called once, before anything else. Raises :class:`ConfigError` for a config that is wrong."""


class ConnectionFilter(Plugin):
    def on_connection(self, values: Values) -> ConnectionDecision:
        raise NotImplementedError


class RequestFilter(Plugin):
    def on_request(self, values: Values) -> Decision:
        raise NotImplementedError


class ResponseFilter(Plugin):
    def on_response(self, values: Values) -> list[Edit]:
        raise NotImplementedError


@dataclass(frozen=True)
class Server:
    name: str
    #: Stays the same when servers are added or removed.
    id: int
    #: 1 to 256.
    weight: int = 1
    #: How many exchanges it takes at a time; 0 is no limit.
    limit: int = 0


@dataclass(frozen=True)
class Pick:
    """One question to a balancer."""

    #: Counts the picks of this backend over all workers.
    turn: int
    values: Values = ()
    #: One per server; empty unless ``needs.loads()`` was called.
    loads: Sequence[int] = ()
    #: Servers that this exchange has failed on or that have no room. Mostly empty.
    tried: Sequence[int] = ()

    def value(self, handle: Handle) -> str | None:
        return self.values[handle]

    def load(self, server: int) -> int:
        """0 if loads were not asked for."""
        return self.loads[server] if self.loads else 0


class Balancer(Plugin):
    def update(self, servers: Sequence[Server]) -> None:
        """Which servers there are now; what is expensive is prepared here."""
        raise NotImplementedError

    def pick(self, pick: Pick) -> int | None:
        """The position of a server in the last ``update``, or none. With the role ``balancer-ahead`` it is
        asked about turns to come, so it must follow from the turn and the last ``update`` alone."""
        raise NotImplementedError

    def observe(self, index: int, outcome: str, microseconds: int) -> None:
        """How a pick turned out; only with the role ``balancer-feedback``."""


@dataclass(frozen=True)
class Found:
    """What persistence knows of a client."""

    server: str | None = None
    edits: list[Edit] = field(default_factory=list)


class Persistence(Plugin):
    def lookup(self, values: Values) -> Found:
        raise NotImplementedError

    def assigned(self, server: str, values: Values) -> list[Edit]:
        raise NotImplementedError
