"""What a plugin asks for when it is configured."""

from __future__ import annotations

from typing import NewType

#: Where a value stands in the values of its hook.
Handle = NewType("Handle", int)
#: A backend that the plugin may route to.
BackendRef = NewType("BackendRef", int)


class Inputs:
    """The inputs of one hook. Each method answers with the handle of its value."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def input(self, name: str) -> Handle:
        """Any input by its name in the contract, such as ``header(x-tier)``."""
        if name not in self.names:
            self.names.append(name)
        return Handle(self.names.index(name))

    def method(self) -> Handle:
        return self.input("method")

    def path(self) -> Handle:
        """Normalised: escaped letters decoded, dot segments and doubled slashes removed."""
        return self.input("path")

    def raw_path(self) -> Handle:
        """As the client sent it."""
        return self.input("raw-path")

    def query(self) -> Handle:
        return self.input("query")

    def query_param(self, name: str) -> Handle:
        return self.input(f"query-param({name})")

    def host(self) -> Handle:
        """Lower case, without the port."""
        return self.input("host")

    def client_address(self) -> Handle:
        return self.input("client-address")

    def tls_sni(self) -> Handle:
        """The name that the client's TLS hello asked for."""
        return self.input("tls-sni")

    def header(self, name: str) -> Handle:
        """The last field of that name."""
        return self.input(f"header({name.lower()})")

    def header_all(self, name: str) -> Handle:
        """All fields of that name, joined with ``, ``."""
        return self.input(f"header-all({name.lower()})")

    def cookie(self, name: str) -> Handle:
        return self.input(f"cookie({name})")

    def variable(self, name: str) -> Handle:
        """What an earlier plugin set."""
        return self.input(f"var({name})")

    def request_id(self) -> Handle:
        return self.input("request-id")

    def status(self) -> Handle:
        """Of responses only."""
        return self.input("status")

    def response_header(self, name: str) -> Handle:
        """Of responses only."""
        return self.input(f"response-header({name.lower()})")


class Needs:
    """What a plugin asks for: inputs per hook, backends, features."""

    def __init__(self) -> None:
        self.on_connection = Inputs()
        self.on_request = Inputs()
        self.on_response = Inputs()
        self.pick = Inputs()
        self.lookup = Inputs()
        self.assigned = Inputs()
        self.backends: list[str] = []
        self.features: list[str] = []
        self._named: set[str] = set()

    def backend(self, name: str) -> BackendRef:
        """Names a backend that the plugin may route to; it must exist when the plugin is loaded."""
        if name not in self.backends:
            self.backends.append(name)
        return BackendRef(self.backends.index(name))

    def loads(self) -> None:
        """``pick`` is to be given the servers' loads."""
        self._feature("loads")

    def always_assigned(self) -> None:
        """``assigned`` is to be called for every response."""
        self._feature("always-assigned")

    def repeatable(self) -> None:
        """What all hooks but ``pick`` answer follows from what they are called with and the contents of the
        maps: not from the clock, random numbers or earlier calls. The proxy may then give an answer again
        instead of calling."""
        self._feature("repeatable")

    def responses(self) -> None:
        """``on_response`` is to be called, also without inputs."""
        self._named.add("on-response")

    def connections(self) -> None:
        """``on_connection`` is to be called, also without inputs; for filters that judge more than that."""
        self._named.add("on-connection")

    def requests(self) -> None:
        """``on_request`` is to be called, also without inputs; for filters that judge connections too."""
        self._named.add("on-request")

    def hooks(self) -> list[tuple[str, list[str]]]:
        """The hooks that ask for something, each with the names of its inputs."""
        asked = [
            ("on-connection", self.on_connection.names),
            ("on-request", self.on_request.names),
            ("on-response", self.on_response.names),
            ("pick", self.pick.names),
            ("lookup", self.lookup.names),
            ("assigned", self.assigned.names),
        ]
        return [
            (hook, names)
            for hook, names in asked
            if names or hook in self._named
        ]

    def _feature(self, name: str) -> None:
        if name not in self.features:
            self.features.append(name)
