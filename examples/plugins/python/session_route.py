"""Persistence by the application's own session cookie: Tomcat and its like end it with the name of the server
that has the session, ``JSESSIONID=8C2F.web-b``. Clients without a session are balanced; nothing is added to
answers.
"""

from weir_plugin import Found, Persistence


class SessionRoute(Persistence):
    name = "session-route"
    summary = "Follows the server that a session cookie ends with"
    schema = {
        "type": "object",
        "properties": {
            "cookie": {
                "type": "string",
                "minLength": 1,
                "description": "The session cookie's name.",
            },
        },
        "required": ["cookie"],
        "additionalProperties": False,
    }

    def configure(self, config, needs):
        self.session = needs.lookup.cookie(config["cookie"])
        needs.repeatable()

    def lookup(self, values):
        _, dot, server = (values[self.session] or "").rpartition(".")
        return Found(server if dot and server else None)

    def assigned(self, server, values):
        return []
