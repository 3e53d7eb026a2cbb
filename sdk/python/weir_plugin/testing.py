"""A plugin under test: configured and called as the proxy does it, in plain Python."""

from __future__ import annotations

import json
from typing import Any, Generic, Sequence, TypeVar

from .decision import ConnectionDecision, Decision, Edit
from .needs import Inputs, Needs
from .plugin import Found, Pick, Plugin, Server

P = TypeVar("P", bound=Plugin)


class Loaded(Generic[P]):
    """``Loaded(MyFilter(), {"header": "x-tier"})``; raises what ``configure`` raises.

    Facts are given by the names of the inputs: ``{"header(x-tier)": "gold"}``.
    """

    def __init__(self, plugin: P, config: Any = None) -> None:
        self.plugin = plugin
        self.needs = Needs()
        plugin.configure(json.loads(json.dumps(config or {})), self.needs)
        self._turn = 0

    def on_connection(self, facts: dict[str, str] | None = None) -> ConnectionDecision:
        return self.plugin.on_connection(_values(self.needs.on_connection, facts))

    def on_request(self, facts: dict[str, str] | None = None) -> Decision:
        return self.plugin.on_request(_values(self.needs.on_request, facts))

    def on_response(self, facts: dict[str, str] | None = None) -> list[Edit]:
        return self.plugin.on_response(_values(self.needs.on_response, facts))

    def backend_of(self, decision: Decision | ConnectionDecision) -> str | None:
        """The name of the backend that a decision chose."""
        return None if decision.backend is None else self.needs.backends[decision.backend]

    def update(self, servers: Sequence[str | Server]) -> None:
        """Servers, or names of servers that are as usual."""
        self.plugin.update(
            [
                Server(server, position) if isinstance(server, str) else server
                for position, server in enumerate(servers, 1)
            ]
        )

    def pick(
        self,
        facts: dict[str, str] | None = None,
        loads: Sequence[int] = (),
        tried: Sequence[int] = (),
        turn: int | None = None,
    ) -> int | None:
        if turn is None:
            turn = self._turn
            self._turn += 1
        return self.plugin.pick(Pick(turn, _values(self.needs.pick, facts), loads, tried))

    def lookup(self, facts: dict[str, str] | None = None) -> Found:
        return self.plugin.lookup(_values(self.needs.lookup, facts))

    def assigned(self, server: str, facts: dict[str, str] | None = None) -> list[Edit]:
        return self.plugin.assigned(server, _values(self.needs.assigned, facts))


def _values(inputs: Inputs, facts: dict[str, str] | None) -> list[str | None]:
    facts = facts or {}
    strangers = [name for name in facts if name not in inputs.names]
    if strangers:
        asked = ", ".join(inputs.names) or "nothing"
        raise ValueError(f"the plugin does not ask for {', '.join(strangers)}; it asks for {asked}")
    return [facts.get(name) for name in inputs.names]
