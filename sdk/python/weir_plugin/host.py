"""What a plugin may call in the proxy. Outside of it there is a log only; tests replace the functions."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional


def _to_stderr(level: str, message: str) -> None:
    print(f"{level}: {message}", file=sys.stderr)


class _Functions:
    """Filled by ``weir_plugin.component`` with those that the component imports."""

    write: Callable[[str, str], None] = staticmethod(_to_stderr)
    now: Optional[Callable[[], int]] = None
    random: Optional[Callable[[], int]] = None
    lookup: Optional[Callable[[str, str], Optional[str]]] = None
    version: Optional[Callable[[str], int]] = None
    entries: Optional[Callable[[str], list[tuple[str, str]]]] = None
    #: An object with the functions of the interface.
    counters: Any = None


functions = _Functions()


class NotImported(RuntimeError):
    """The component was built without the import that this function needs."""


def _granted(function, name: str):
    if function is None:
        raise NotImported(f"`{name}` is not imported: build with --import {name}")
    return function


class log:
    """The plugin's log: 20 messages a second are kept."""

    @staticmethod
    def debug(message: object) -> None:
        functions.write("debug", str(message))

    @staticmethod
    def info(message: object) -> None:
        functions.write("info", str(message))

    @staticmethod
    def warn(message: object) -> None:
        functions.write("warn", str(message))

    @staticmethod
    def error(message: object) -> None:
        functions.write("error", str(message))


class clock:
    """Needs ``--import clock`` and ``grant = ["clock"]``."""

    @staticmethod
    def now() -> int:
        """Milliseconds since 1970."""
        return _granted(functions.now, "clock")()


def random_u64() -> int:
    """64 random bits. Needs ``--import random`` and ``grant = ["random"]``."""
    return _granted(functions.random, "random")()


class maps:
    """The maps that weir.toml grants. Needs ``--import maps``."""

    @staticmethod
    def lookup(name: str, key: str) -> str | None:
        return _granted(functions.lookup, "maps")(name, key)

    @staticmethod
    def version(name: str) -> int:
        return _granted(functions.version, "maps")(name)

    @staticmethod
    def entries(name: str) -> list[tuple[str, str]]:
        return _granted(functions.entries, "maps")(name)


class counters:
    """The tables of counters that weir.toml grants. Needs ``--import counters``.

    A table, a counter or a key that is not there answers ``None``.
    """

    @staticmethod
    def declared(table: str) -> list[tuple[str, int]] | None:
        """Names and windows in milliseconds; 0 is a total."""
        return _granted(functions.counters, "counters").declared(table)

    @staticmethod
    def add(table: str, counter: str, key: str, amount: int = 1) -> int | None:
        """What the counter then is: the rate over its window, or the total."""
        return _granted(functions.counters, "counters").add(table, counter, key, amount)

    @staticmethod
    def read(table: str, counter: str, key: str) -> int | None:
        return _granted(functions.counters, "counters").read(table, counter, key)

    @staticmethod
    def falls_to(table: str, counter: str, key: str, most: int) -> int | None:
        """In how many milliseconds the counter will be at most ``most``."""
        return _granted(functions.counters, "counters").falls_to(table, counter, key, most)

    @staticmethod
    def value(table: str, key: str) -> str | None:
        return _granted(functions.counters, "counters").value(table, key)

    @staticmethod
    def set_value(table: str, key: str, value: str) -> bool:
        return _granted(functions.counters, "counters").set_value(table, key, value)

    @staticmethod
    def remove(table: str, key: str) -> bool:
        return _granted(functions.counters, "counters").remove(table, key)
