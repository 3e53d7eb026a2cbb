import unittest

from weir_plugin import Server
from weir_plugin.testing import Loaded

from shuffle_shard import ShuffleShard

SERVERS = ["a", "b", "c", "d", "e", "f", "g", "h"]


def of(tenant):
    return {"header(x-tenant)": tenant}


def balancer(servers=SERVERS, hand=2):
    loaded = Loaded(ShuffleShard(), {"tenant": "X-Tenant", "hand": hand})
    loaded.update(servers)
    return loaded


def picks(loaded, count, facts=None, **asked):
    return {loaded.pick(facts, **asked) for _ in range(count)}


class ShuffleShardTest(unittest.TestCase):
    def test_a_tenant_stays_with_its_hand_and_takes_turns_within_it(self):
        loaded = balancer()
        acme = picks(loaded, 20, of("acme"))
        self.assertEqual(len(acme), 2)
        self.assertEqual(picks(loaded, 20, of("acme")), acme)

    def test_tenants_have_different_hands(self):
        loaded = balancer()
        hands = {frozenset(picks(loaded, 4, of(f"t{n}"))) for n in range(50)}
        self.assertGreater(len(hands), 15)

    def test_the_least_busy_server_of_the_hand_is_picked_by_weight(self):
        loaded = balancer([Server("a", 1), Server("b", 2, weight=3)])
        self.assertEqual(loaded.pick(of("x"), loads=[1, 2]), 1)
        self.assertEqual(loaded.pick(of("x"), loads=[0, 5]), 0)

    def test_a_hand_that_was_tried_falls_back_to_the_other_servers(self):
        loaded = balancer()
        hand = picks(loaded, 20, of("acme"))
        self.assertNotIn(loaded.pick(of("acme"), tried=list(hand)), hand | {None})

    def test_without_a_tenant_all_servers_share(self):
        self.assertEqual(len(picks(balancer(), 16)), 8)

    def test_a_server_that_goes_moves_only_the_tenants_that_had_it(self):
        loaded = balancer([Server(name, number) for number, name in enumerate(SERVERS, 1)])
        names = lambda tenant: {loaded.plugin.servers[p].name for p in loaded.plugin.hand(tenant)}
        before = {f"t{n}": names(f"t{n}") for n in range(100)}
        loaded.update([Server(name, number) for number, name in enumerate(SERVERS, 1) if name != "a"])
        for tenant, hand in before.items():
            if "a" not in hand:
                self.assertEqual(names(tenant), hand)

    def test_no_server_is_no_pick(self):
        self.assertIsNone(balancer([]).pick(of("x")))


if __name__ == "__main__":
    unittest.main()
