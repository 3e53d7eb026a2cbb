import unittest

from plugin import @Type@
from weir_plugin.testing import Loaded


class @Type@Test(unittest.TestCase):
    def test_gold_goes_to_its_own_backend_and_others_pass(self):
        loaded = Loaded(@Type@(), {"header": "X-Tier", "gold": "fast"})
        decision = loaded.on_request({"header(x-tier)": "gold"})
        self.assertEqual(loaded.backend_of(decision), "fast")
        self.assertEqual(loaded.on_request().verdict, "pass")


if __name__ == "__main__":
    unittest.main()
