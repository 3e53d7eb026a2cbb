"""A plugin under test: configured and called as the proxy does it, in plain Python."""

from __future__ import annotations

import json
from typing import Any, Generic, Sequence, TypeVar

from . import host
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


def set_maps(maps: dict[str, dict[str, str]] | None) -> None:
    """Grants maps, ``{"tiers": {"/gold": "fast"}}``, which match exactly; ``None``: ``maps`` is not imported."""
    functions = host.functions
    if maps is None:
        functions.lookup = functions.version = functions.entries = None
        return
    functions.lookup = lambda name, key: maps.get(name, {}).get(key)
    functions.version = lambda name: int(name in maps)
    functions.entries = lambda name: list(maps.get(name, {}).items())


def set_counters(tables: dict[str, dict[str, int]] | None) -> None:
    """Grants empty tables of counters, each counter with its window in milliseconds or 0 for a total:
    ``{"clients": {"requests": 10_000}}``; ``None``: ``counters`` is not imported.

    Time does not pass, so a rate is what was added.
    """
    host.functions.counters = None if tables is None else _Tables(tables)


_LONGEST_VALUE = 256


class _Tables:
    def __init__(self, tables: dict[str, dict[str, int]]) -> None:
        self._declared = tables
        #: By table and key: counts by counter.
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        self._values: dict[tuple[str, str], str] = {}

    def _has(self, table: str, counter: str) -> bool:
        return counter in self._declared.get(table, {})

    def declared(self, table: str) -> list[tuple[str, int]] | None:
        return list(self._declared[table].items()) if table in self._declared else None

    def add(self, table: str, counter: str, key: str, amount: int) -> int | None:
        if not self._has(table, counter):
            return None
        counts = self._counts.setdefault((table, key), {})
        counts[counter] = counts.get(counter, 0) + amount
        return counts[counter]

    def read(self, table: str, counter: str, key: str) -> int | None:
        counts = self._counts.get((table, key)) if self._has(table, counter) else None
        return None if counts is None else counts.get(counter, 0)

    def falls_to(self, table: str, counter: str, key: str, most: int) -> int | None:
        if not self._has(table, counter):
            return None
        if (self.read(table, counter, key) or 0) <= most:
            return 0
        return self._declared[table][counter] or None

    def value(self, table: str, key: str) -> str | None:
        return self._values.get((table, key))

    def set_value(self, table: str, key: str, value: str) -> bool:
        fits = table in self._declared and len(value.encode()) <= _LONGEST_VALUE
        if fits:
            self._counts.setdefault((table, key), {})
            self._values[table, key] = value
        return fits

    def remove(self, table: str, key: str) -> bool:
        self._values.pop((table, key), None)
        return self._counts.pop((table, key), None) is not None
