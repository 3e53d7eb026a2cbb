"""@summary@."""

from weir_plugin import ConfigError, Found, Persistence, edit


class @Type@(Persistence):
    name = "@name@"
    version = "0.1.0"
    summary = "@summary@"
    # What weir.toml may say under `config`.
    schema = {
        "type": "object",
        "properties": {"cookie": {"type": "string", "description": "The cookie's name."}},
        "required": ["cookie"],
        "additionalProperties": False,
    }

    def configure(self, config, needs):
        self.cookie = config["cookie"]
        if not self.cookie:
            raise ConfigError("/cookie", "a cookie needs a name")
        self.had = needs.lookup.cookie(self.cookie)
        # Both answers follow from what they are given: the proxy need not ask twice.
        needs.repeatable()

    def lookup(self, values):
        """The server that the client had, if it says so. The proxy uses it if it is up."""
        return Found(values[self.had])

    def assigned(self, server, values):
        """The client got this server, and not the one it had."""
        return [edit.add_header("set-cookie", f"{self.cookie}={server}; Path=/")]
