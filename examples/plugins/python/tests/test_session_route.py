import unittest

from weir_plugin.testing import Loaded

from session_route import SessionRoute


class SessionRouteTest(unittest.TestCase):
    def setUp(self):
        self.loaded = Loaded(SessionRoute(), {"cookie": "JSESSIONID"})

    def found(self, session):
        return self.loaded.lookup({"cookie(JSESSIONID)": session}).server

    def test_a_session_leads_to_the_server_that_it_ends_with(self):
        self.assertEqual(self.found("8C2F.web-b"), "web-b")
        self.assertEqual(self.found("8C.2F.web-b"), "web-b")

    def test_without_a_session_or_with_one_that_names_nobody_the_balancer_picks(self):
        self.assertIsNone(self.loaded.lookup().server)
        for session in ["8C2F", "8C2F.", ""]:
            self.assertIsNone(self.found(session), session)

    def test_answers_stay_as_they_are(self):
        self.assertEqual(self.loaded.assigned("web-a"), [])


if __name__ == "__main__":
    unittest.main()
