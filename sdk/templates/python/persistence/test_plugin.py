import unittest

from plugin import @Type@
from weir_plugin import ConfigError, edit
from weir_plugin.testing import Loaded


class @Type@Test(unittest.TestCase):
    def setUp(self):
        self.loaded = Loaded(@Type@(), {"cookie": "SERVER"})

    def test_a_client_with_a_cookie_has_its_server(self):
        self.assertEqual(self.loaded.lookup({"cookie(SERVER)": "web-b"}).server, "web-b")
        self.assertIsNone(self.loaded.lookup().server)

    def test_a_client_that_got_a_server_is_told(self):
        wanted = [edit.add_header("set-cookie", "SERVER=web-a; Path=/")]
        self.assertEqual(self.loaded.assigned("web-a"), wanted)

    def test_a_cookie_needs_a_name(self):
        with self.assertRaisesRegex(ConfigError, "a cookie needs a name"):
            Loaded(@Type@(), {"cookie": ""})


if __name__ == "__main__":
    unittest.main()
