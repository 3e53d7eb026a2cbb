"""@summary@."""

from weir_plugin import RequestFilter, pass_, use_backend


class @Type@(RequestFilter):
    name = "@name@"
    version = "0.1.0"
    summary = "@summary@"
    # What weir.toml may say under `config`.
    schema = {
        "type": "object",
        "properties": {
            "header": {"type": "string", "description": "The header that names the tier."},
            "gold": {
                "type": "string",
                "description": "The backend of those whose tier is `gold`.",
            },
        },
        "required": ["header", "gold"],
        "additionalProperties": False,
    }

    def configure(self, config, needs):
        """Says once what the decision will need: the inputs it is called with, the backends it may choose."""
        self.tier = needs.on_request.header(config["header"])
        self.gold = needs.backend(config["gold"])

    def on_request(self, values):
        return use_backend(self.gold) if values[self.tier] == "gold" else pass_()
