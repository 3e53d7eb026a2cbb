"""The side that faces the component: turns the contract's types into those of this package and back.

Imported by the module that ``weir_plugin.build`` writes, and nowhere else: ``wit_world`` exists only while
a component is built.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from componentize_py_types import Err
from wit_world.imports import types

from . import host
from .decision import ConnectionDecision, Decision, Edit
from .needs import Needs
from .plugin import ConfigError, Pick, Plugin, Server


def _imported(name: str) -> Any:
    """A module of the world, if it has it."""
    try:
        return importlib.import_module(f"wit_world.{name}")
    except ImportError:
        return None


# All of them now: a component is a snapshot taken after its modules were imported, and has no files.
_lifecycle = _imported("exports.lifecycle")
_connection_filter = _imported("exports.connection_filter")
_request_filter = _imported("exports.request_filter")
_persistence = _imported("exports.persistence")
_log = _imported("imports.log")
_clock = _imported("imports.clock")
_random = _imported("imports.random")
_maps = _imported("imports.maps")
_counters = _imported("imports.counters")


def connect() -> None:
    """Puts the proxy's functions where the SDK looks for them, and what is printed into the log."""
    levels = {name: getattr(_log.Level, name.upper()) for name in ("debug", "info", "warn", "error")}
    host.functions.write = lambda level, message: _log.write(levels[level], message)
    if _clock:
        host.functions.now = _clock.now
    if _random:
        host.functions.random = _random.get_u64
    if _maps:
        host.functions.lookup = _maps.lookup
        host.functions.version = _maps.version
        host.functions.entries = _maps.entries
    if _counters:
        host.functions.counters = _counters
    sys.stdout = _Lines("info")
    sys.stderr = _Lines("warn")


class _Lines:
    """A stream whose lines go to the log."""

    encoding = "utf-8"

    def __init__(self, level: str) -> None:
        self.level = level
        self.begun = ""

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            if line:
                host.functions.write(self.level, line)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


_HEADERS = {
    "set-header": types.Edit_SetHeader,
    "add-header": types.Edit_AddHeader,
    "set-cookie-value": types.Edit_SetCookieValue,
    "set-var": types.Edit_SetVar,
}
_TEXTS = {
    "remove-header": types.Edit_RemoveHeader,
    "set-path": types.Edit_SetPath,
    "set-query": types.Edit_SetQuery,
    "set-method": types.Edit_SetMethod,
    "remove-cookie": types.Edit_RemoveCookie,
}


def _edit(edit: Edit) -> Any:
    if edit.kind in _HEADERS:
        return _HEADERS[edit.kind](types.Header(edit.name, edit.value))
    if edit.kind == "set-status":
        return types.Edit_SetStatus(edit.value)
    return _TEXTS[edit.kind](edit.name)


def _edits(edits: list[Edit] | None) -> list[Any]:
    return [_edit(edit) for edit in edits] if edits else []


def _connection_verdict(decision: ConnectionDecision) -> Any:
    module = _connection_filter
    if decision.verdict == "pass":
        return module.Verdict_Pass()
    if decision.verdict == "use-backend":
        return module.Verdict_UseBackend(decision.backend)
    return module.Verdict_Refuse(getattr(module.Refusal, decision.refusal.upper()))


def _verdict(decision: Decision) -> Any:
    module = _request_filter
    if decision.verdict == "pass":
        return module.Verdict_Pass()
    if decision.verdict == "use-backend":
        return module.Verdict_UseBackend(decision.backend)
    if decision.verdict == "deny":
        return module.Verdict_Deny(decision.status)
    reply = decision.reply
    headers = [types.Header(name, value) for name, value in reply.headers]
    return module.Verdict_Reply(types.Reply(reply.status, headers, reply.body))


class Exports:
    """The contract's functions, made of a plugin's methods."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin

    def describe(self) -> Any:
        plugin = self.plugin
        schema = "" if plugin.schema is None else json.dumps(plugin.schema)
        return _lifecycle.PluginInfo(plugin.name, plugin.version, plugin.summary, schema)

    def configure(self, config: str) -> Any:
        needs = Needs()
        try:
            self.plugin.configure(json.loads(config), needs)
        except ConfigError as error:
            raise Err(str(error)) from None
        inputs = [_lifecycle.HookInputs(hook, names) for hook, names in needs.hooks()]
        return _lifecycle.Needs(inputs, needs.backends, needs.features)

    def on_connection(self, values: list[str | None]) -> Any:
        decision = self.plugin.on_connection(values)
        variables = [_connection_filter.Var(name, value) for name, value in decision.variables]
        return _connection_filter.Decision(_connection_verdict(decision), variables)

    def on_request(self, values: list[str | None]) -> Any:
        decision = self.plugin.on_request(values)
        edits, response_edits = _edits(decision.edits), _edits(decision.response_edits)
        return _request_filter.Decision(_verdict(decision), edits, response_edits)

    def on_response(self, values: list[str | None]) -> Any:
        return _edits(self.plugin.on_response(values))

    def update(self, servers: list[Any]) -> None:
        self.plugin.update([Server(s.name, s.id, s.weight, s.limit) for s in servers])

    def pick(self, turn: int, values: Any, loads: Any, tried: Any) -> int | None:
        return self.plugin.pick(Pick(turn, values or (), loads or (), tried or ()))

    def picks(self, first: int, count: int) -> list[int | None]:
        return [self.plugin.pick(Pick(first + ahead)) for ahead in range(count)]

    def observe(self, index: int, outcome: Any, microseconds: int) -> None:
        self.plugin.observe(index, outcome.name.lower().replace("_", "-"), microseconds)

    def lookup(self, values: list[str | None]) -> Any:
        found = self.plugin.lookup(values)
        return _persistence.Found(found.server, _edits(found.edits))

    def assigned(self, server: str, values: list[str | None]) -> Any:
        return _edits(self.plugin.assigned(server, values))
