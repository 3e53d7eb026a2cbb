"""Lets in who has a link with a good signature: ``/file?expires=SECONDS&key=NAME&signature=HEX``.

The signature is HMAC-SHA256 over path, newline and ``expires``, under the secret that the map `keys` has
for that name. A secret is changed by editing the map's file, while traffic flows.
"""

import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode

from weir_plugin import RequestFilter, clock, deny, edit, maps, pass_

OWN = ("expires", "key", "signature")


class SignedUrls(RequestFilter):
    name = "signed-urls"
    summary = "Lets in who has a link with a good signature that has not expired"
    schema = {
        "type": "object",
        "properties": {
            "prefix": {
                "type": "string",
                "pattern": "^/",
                "description": "What needs a signature; everything else passes.",
            },
        },
        "required": ["prefix"],
        "additionalProperties": False,
    }

    def configure(self, config, needs):
        self.prefix = config["prefix"]
        self.path = needs.on_request.path()
        self.raw_path = needs.on_request.raw_path()
        self.query = needs.on_request.query()

    def on_request(self, values):
        # What the rules of the proxy call the path decides; what was signed is what the client sent.
        if not (values[self.path] or "").startswith(self.prefix):
            return pass_()
        pairs = parse_qsl(values[self.query] or "", keep_blank_values=True)
        given = dict(pairs)
        if not self.is_good(values[self.raw_path] or "", given):
            return deny(403)
        rest = [(name, value) for name, value in pairs if name not in OWN]
        return pass_().with_edit(edit.set_query(urlencode(rest)))

    def is_good(self, path, given):
        expires, key, signature = (given.get(name, "") for name in OWN)
        if not (expires.isascii() and expires.isdigit()) or len(expires) > 12:
            return False
        secret = maps.lookup("keys", key)
        if secret is None or int(expires) * 1000 <= clock.now():
            return False
        return hmac.compare_digest(sign(secret, path, expires).encode(), signature.encode())


def sign(secret, path, expires):
    """The signature of a link, for whoever makes links too."""
    return hmac.new(secret.encode(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
