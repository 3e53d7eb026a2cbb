"""What a plugin may call in the proxy. Outside of it there is a log only; tests replace the functions."""

from __future__ import annotations

import sys
from typing import Callable, Optional


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
