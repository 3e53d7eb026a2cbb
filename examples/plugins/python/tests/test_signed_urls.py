import unittest

from weir_plugin.host import functions
from weir_plugin.testing import Loaded

from signed_urls import SignedUrls, sign

NOW = 1_800_000_000


class SignedUrlsTest(unittest.TestCase):
    def setUp(self):
        functions.now = lambda: NOW * 1000
        functions.lookup = lambda name, key: {"web": "s3cret"}.get(key) if name == "keys" else None
        self.addCleanup(setattr, functions, "now", None)
        self.addCleanup(setattr, functions, "lookup", None)
        self.filter = Loaded(SignedUrls(), {"prefix": "/private/"})

    def ask(self, path, query=None):
        facts = {"path": path, "raw-path": path}
        if query is not None:
            facts["query"] = query
        return self.filter.on_request(facts)

    def link(self, path="/private/a", expires=NOW + 60, key="web", secret="s3cret"):
        return f"expires={expires}&key={key}&signature={sign(secret, path, str(expires))}"

    def test_a_good_link_passes_and_the_server_does_not_see_the_signature(self):
        decision = self.ask("/private/a", f"page=2&{self.link()}")
        self.assertEqual(decision.verdict, "pass")
        self.assertEqual([(e.kind, e.name) for e in decision.edits], [("set-query", "page=2")])

    def test_what_needs_no_signature_passes_as_it_is(self):
        decision = self.ask("/public")
        self.assertEqual((decision.verdict, decision.edits), ("pass", []))

    def test_a_link_that_is_not_good_is_denied(self):
        for query in (
            None,
            "",
            self.link(expires=NOW),
            self.link(path="/private/b"),
            self.link(secret="guess"),
            self.link(key="other"),
            self.link(expires="18000000000000000"),
            self.link().replace("expires=1", "expires=%2b1"),
            self.link() + "0",
            self.link()[:-64] + "\u00e4",
        ):
            self.assertEqual(self.ask("/private/a", query).status, 403, query)


if __name__ == "__main__":
    unittest.main()
