import io
import unittest
from contextlib import redirect_stderr

from weir_plugin import (
    Balancer,
    ConfigError,
    ConnectionFilter,
    RequestFilter,
    clock,
    connection,
    counters,
    deny,
    edit,
    log,
    maps,
    pass_,
    random_u64,
    reply,
    use_backend,
)
from weir_plugin.build import contract_version, entry, world
from weir_plugin.host import NotImported, functions
from weir_plugin.testing import Loaded, set_counters, set_maps


class Tiers(RequestFilter):
    name = "tiers"

    def configure(self, config, needs):
        if not config["header"]:
            raise ConfigError("/header", "cannot be empty")
        self.tier = needs.on_request.header(config["header"])
        self.gold = needs.backend("fast")

    def on_request(self, values):
        if values[self.tier] == "gold":
            return use_backend(self.gold).with_edit(edit.set_header("X-Seen", "yes"))
        return pass_()


class InTurn(Balancer):
    def configure(self, config, needs):
        needs.loads()
        needs.loads()

    def update(self, servers):
        self.count = len(servers)

    def pick(self, pick):
        return None if pick.tried else pick.turn % self.count


class ByName(ConnectionFilter):
    def configure(self, config, needs):
        self.name_asked_for = needs.on_connection.tls_sni()
        self.other = needs.backend("other")
        needs.requests()

    def on_connection(self, values):
        name = values[self.name_asked_for]
        if name is None:
            return connection.reset()
        return connection.use_backend(self.other).with_variable("name", name)


class Sdk(unittest.TestCase):
    def test_a_hook_is_given_the_values_of_its_inputs(self):
        tiers = Loaded(Tiers(), {"header": "X-Tier"})
        self.assertEqual(tiers.needs.hooks(), [("on-request", ["header(x-tier)"])])
        decision = tiers.on_request({"header(x-tier)": "gold"})
        self.assertEqual(tiers.backend_of(decision), "fast")
        self.assertEqual(decision.edits, [edit.set_header("X-Seen", "yes")])
        self.assertEqual(tiers.on_request().verdict, "pass")

    def test_a_fact_that_was_not_asked_for_is_a_mistake_of_the_test(self):
        tiers = Loaded(Tiers(), {"header": "X-Tier"})
        with self.assertRaisesRegex(ValueError, r"does not ask for path; it asks for header\(x-tier\)"):
            tiers.on_request({"path": "/"})

    def test_a_config_error_has_the_text_that_the_proxy_points_with(self):
        with self.assertRaisesRegex(ConfigError, "^/header: cannot be empty$"):
            Loaded(Tiers(), {"header": ""})

    def test_turns_go_on_and_none_is_none(self):
        balancer = Loaded(InTurn())
        self.assertEqual(balancer.needs.features, ["loads"])
        balancer.update(["a", "b"])
        self.assertEqual([balancer.pick() for _ in range(3)], [0, 1, 0])
        self.assertIsNone(balancer.pick(tried=[0]))

    def test_a_plugin_can_promise_to_answer_alike(self):
        needs = Loaded(InTurn()).needs
        needs.repeatable()
        needs.repeatable()
        self.assertEqual(needs.features, ["loads", "repeatable"])

    def test_a_connection_is_judged_and_can_be_given_variables(self):
        filter = Loaded(ByName())
        self.assertEqual(filter.needs.hooks(), [("on-connection", ["tls-sni"]), ("on-request", [])])
        decision = filter.on_connection({"tls-sni": "a.example"})
        self.assertEqual(filter.backend_of(decision), "other")
        self.assertEqual(decision.variables, [("name", "a.example")])
        self.assertEqual(filter.on_connection().refusal, "reset")

    def test_the_same_input_twice_is_one_value(self):
        needs = Loaded(InTurn()).needs
        self.assertEqual([needs.pick.path(), needs.pick.header("A"), needs.pick.path()], [0, 1, 0])

    def test_a_hook_on_responses_is_asked_for_without_inputs_too(self):
        needs = Loaded(InTurn()).needs
        needs.responses()
        self.assertEqual(needs.hooks(), [("on-response", [])])

    def test_a_reply_has_its_body_in_bytes(self):
        answer = reply(403, "n\u00e4h", {"X-Why": "no"}).reply
        self.assertEqual((answer.body, answer.headers), ("n\u00e4h".encode(), (("X-Why", "no"),)))
        self.assertEqual(deny(404).status, 404)

    def test_what_was_not_imported_says_how_to_import_it(self):
        with self.assertRaisesRegex(NotImported, "build with --import clock"):
            clock.now()
        functions.now = lambda: 17
        self.addCleanup(setattr, functions, "now", None)
        self.assertEqual(clock.now(), 17)

    def test_outside_of_the_proxy_the_log_is_stderr(self):
        with redirect_stderr(io.StringIO()) as written:
            log.warn(5)
        self.assertEqual(written.getvalue(), "warn: 5\n")

    def test_a_component_imports_and_exports_what_it_is_built_with(self):
        text = world(["balancer", "balancer-ahead"], ["clock"], "0.1.7")
        self.assertIn("import weir:plugin/clock@0.1.7;", text)
        self.assertIn("export weir:plugin/balancer@0.1.7;", text)
        self.assertIn("export weir:plugin/balancer-ahead@0.1.7;", text)
        self.assertRegex(contract_version(), r"^0\.1\.\d+$")
        self.assertNotIn("random", text)
        module = entry("my_filter", "Mine", ["request-filter"])
        compile(module, "weir_entry.py", "exec")
        self.assertIn("class RequestFilter:", module)
        self.assertIn("from my_filter import Mine", module)


class Counting(unittest.TestCase):
    def test_counters_are_the_proxys_and_what_is_not_imported_says_so(self):
        with self.assertRaisesRegex(NotImported, "--import counters"):
            counters.add("clients", "requests", "a")

        class Proxy:
            @staticmethod
            def add(*given):
                return list(given)

        functions.counters = Proxy
        self.addCleanup(setattr, functions, "counters", None)
        self.assertEqual(
            counters.add("clients", "requests", "a"), ["clients", "requests", "a", 1]
        )

    def test_a_plugin_that_counts_is_tested_with_tables_in_memory(self):
        class Limit(RequestFilter):
            name = "limit"

            def configure(self, config, needs):
                self.client = needs.on_request.client_address()

            def on_request(self, values):
                count = counters.add("clients", "requests", values[self.client])
                return deny(429) if count > 3 else pass_()

        self.addCleanup(set_counters, None)
        set_counters({"clients": {"requests": 10_000, "ever": 0}})
        limit = Loaded(Limit())
        asked = [limit.on_request({"client-address": "10.0.0.1"}).verdict for _ in range(4)]
        self.assertEqual(asked, ["pass", "pass", "pass", "deny"])
        self.assertEqual(limit.on_request({"client-address": "10.0.0.2"}).verdict, "pass")
        self.assertEqual(counters.declared("clients"), [("requests", 10_000), ("ever", 0)])
        self.assertIsNone(counters.declared("other"))
        self.assertIsNone(counters.add("clients", "other", "a"))
        self.assertEqual(counters.falls_to("clients", "requests", "10.0.0.1", 3), 10_000)
        self.assertEqual(counters.falls_to("clients", "requests", "10.0.0.1", 4), 0)
        self.assertTrue(counters.set_value("clients", "a", "kept"))
        self.assertEqual(counters.value("clients", "a"), "kept")
        self.assertFalse(counters.set_value("clients", "a", "x" * 257))
        self.assertTrue(counters.remove("clients", "a"))
        self.assertFalse(counters.remove("clients", "a"))

    def test_maps_and_random_numbers_are_the_proxys(self):
        with self.assertRaisesRegex(NotImported, "--import maps"):
            maps.lookup("tiers", "/gold")
        with self.assertRaisesRegex(NotImported, "--import random"):
            random_u64()
        self.addCleanup(set_maps, None)
        set_maps({"tiers": {"/gold": "fast"}})
        self.assertEqual([maps.lookup("tiers", key) for key in ("/gold", "/")], ["fast", None])
        self.assertEqual([maps.version("tiers"), maps.version("other")], [1, 0])
        self.assertEqual(maps.entries("tiers"), [("/gold", "fast")])
        self.addCleanup(setattr, functions, "random", None)
        functions.random = lambda: 2**63
        self.assertEqual(random_u64(), 2**63)


if __name__ == "__main__":
    unittest.main()
