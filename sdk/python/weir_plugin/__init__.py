"""What a plugin in Python is written with.

Knows nothing of components: ``weir_plugin.component`` brings the two together when one is built, and
``weir_plugin.testing`` calls a plugin in plain Python.
"""

from .decision import (
    ConnectionDecision,
    Decision,
    Edit,
    Reply,
    connection,
    deny,
    edit,
    pass_,
    reply,
    use_backend,
)
from .host import clock, counters, log, maps, random_u64
from .needs import BackendRef, Handle, Needs
from .plugin import (
    Balancer,
    ConfigError,
    ConnectionFilter,
    Found,
    Persistence,
    Pick,
    Plugin,
    RequestFilter,
    ResponseFilter,
    Server,
    Values,
)

__all__ = [
    "BackendRef",
    "Balancer",
    "ConfigError",
    "ConnectionDecision",
    "ConnectionFilter",
    "Decision",
    "Edit",
    "Found",
    "Handle",
    "Needs",
    "Persistence",
    "Pick",
    "Plugin",
    "Reply",
    "RequestFilter",
    "ResponseFilter",
    "Server",
    "Values",
    "clock",
    "connection",
    "counters",
    "deny",
    "edit",
    "log",
    "maps",
    "pass_",
    "random_u64",
    "reply",
    "use_backend",
]
