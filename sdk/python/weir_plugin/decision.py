"""A filter's answer about a request, and changes to requests and responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from .needs import BackendRef


@dataclass(frozen=True)
class Edit:
    """A change; made by the functions of :class:`edit`."""

    kind: str
    name: str
    value: Union[str, int, None] = None


class edit:
    """One function for each change that the contract has."""

    @staticmethod
    def set_header(name: str, value: str) -> Edit:
        return Edit("set-header", name, value)

    @staticmethod
    def add_header(name: str, value: str) -> Edit:
        return Edit("add-header", name, value)

    @staticmethod
    def remove_header(name: str) -> Edit:
        return Edit("remove-header", name)

    @staticmethod
    def set_path(path: str) -> Edit:
        return Edit("set-path", path)

    @staticmethod
    def set_query(query: str) -> Edit:
        """Without ``?``; an empty text removes it."""
        return Edit("set-query", query)

    @staticmethod
    def set_method(method: str) -> Edit:
        return Edit("set-method", method)

    @staticmethod
    def set_status(status: int) -> Edit:
        return Edit("set-status", "", status)

    @staticmethod
    def remove_cookie(name: str) -> Edit:
        return Edit("remove-cookie", name)

    @staticmethod
    def set_cookie_value(name: str, value: str) -> Edit:
        return Edit("set-cookie-value", name, value)

    @staticmethod
    def set_variable(name: str, value: str) -> Edit:
        return Edit("set-var", name, value)


@dataclass(frozen=True)
class Reply:
    """An answer of the plugin's own."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Decision:
    """What is to become of a request. Its methods add edits and answer with the decision itself."""

    #: ``pass``, ``use-backend``, ``deny`` or ``reply``
    verdict: str
    backend: BackendRef | None = None
    status: int | None = None
    reply: Reply | None = None
    edits: list[Edit] = field(default_factory=list)
    response_edits: list[Edit] = field(default_factory=list)

    def with_edit(self, *edits: Edit) -> Decision:
        """Adds edits of the request."""
        self.edits.extend(edits)
        return self

    def with_response_edit(self, *edits: Edit) -> Decision:
        """Adds edits of whatever answer the client gets."""
        self.response_edits.extend(edits)
        return self


def pass_() -> Decision:
    """Nothing decided."""
    return Decision("pass")


def use_backend(backend: BackendRef) -> Decision:
    """A backend that ``needs.backend()`` named."""
    return Decision("use-backend", backend=backend)


def deny(status: int) -> Decision:
    """Ends the exchange with the proxy's own page for that status."""
    return Decision("deny", status=status)


def reply(status: int, body: str | bytes = b"", headers: dict[str, str] | None = None) -> Decision:
    """Ends the exchange with this answer."""
    content = body.encode() if isinstance(body, str) else body
    pairs = tuple((headers or {}).items())
    return Decision("reply", reply=Reply(status, content, pairs))


@dataclass
class ConnectionDecision:
    """What is to become of a connection. Made by the functions of ``connection``."""

    #: ``pass``, ``use-backend`` or ``refuse``
    verdict: str
    backend: BackendRef | None = None
    #: ``close`` or ``reset``
    refusal: str | None = None
    variables: list[tuple[str, str]] = field(default_factory=list)

    def with_variable(self, name: str, value: str) -> ConnectionDecision:
        """Sets a variable for as long as the connection lives."""
        self.variables.append((name, value))
        return self


class connection:
    """Verdicts on connections."""

    @staticmethod
    def pass_() -> ConnectionDecision:
        return ConnectionDecision("pass")

    @staticmethod
    def use_backend(backend: BackendRef) -> ConnectionDecision:
        return ConnectionDecision("use-backend", backend=backend)

    @staticmethod
    def close() -> ConnectionDecision:
        """Ends the connection in the ordinary way."""
        return ConnectionDecision("refuse", refusal="close")

    @staticmethod
    def reset() -> ConnectionDecision:
        """Ends it with a reset."""
        return ConnectionDecision("refuse", refusal="reset")
