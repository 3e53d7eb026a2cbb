import unittest

from plugin import @Type@
from weir_plugin.testing import Loaded


def three(config=None):
    loaded = Loaded(@Type@(), config)
    loaded.update(["a", "b", "near-c"])
    return loaded


class @Type@Test(unittest.TestCase):
    def test_the_least_loaded_is_picked_and_equals_take_turns(self):
        loaded = three()
        self.assertEqual(loaded.pick(turn=0, loads=[2, 1, 2]), 1)
        self.assertEqual(loaded.pick(turn=0, loads=[1, 1, 1]), 0)
        self.assertEqual(loaded.pick(turn=1, loads=[1, 1, 1]), 1)

    def test_among_equals_the_preferred_comes_first(self):
        loaded = three({"prefer": "near-"})
        self.assertEqual(loaded.pick(turn=0, loads=[1, 1, 1]), 2)
        self.assertEqual(loaded.pick(turn=0, loads=[1, 1, 2]), 0)

    def test_a_server_that_failed_comes_last(self):
        self.assertEqual(three().pick(turn=0, loads=[0, 1, 1], tried=[0]), 1)


if __name__ == "__main__":
    unittest.main()
