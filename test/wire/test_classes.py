"""The classes under conf/classes on a real server: many clients at once, crashes, and a provider of
tokens and feeds that fails in the ways providers do. Their rules in detail are tested without a
network by test/classes."""

import json
import time
import unittest

import fake_provider
import harness
import resp

CLASSES = str(harness.ROOT / "conf" / "classes")
MANAGER = "UserSubscriptionManager"
CALLERS = 1000
CONNECTIONS = 20


def from_all(server, connections, each, *command):
    """The replies to a command sent `each` times over each of so many connections at once."""
    clients = [server.connect() for _ in range(connections)]
    data = resp.encode(*command) * each
    for client in clients:
        client.send_bytes(data)
    return [client.read() for client in clients for _ in range(each)]


@harness.only_holdfast
class SmallClasses(harness.WireTest):
    options = {"class_dir": CLASSES, "env": [("MagicCode", "SECRET", "pepper")]}

    def setUp(self):
        super().setUp()
        for name in (b"Counter", b"UniqueIndex", b"RateLimiter", b"MagicCode", b"CalendarCache"):
            for identity in self.call("DO.OBJECTS", name):
                self.call("DO.DELETEALL", name, identity)
                self.call("DO.EVICT", name, identity)

    def test_a_counter_loses_no_addition_of_many_clients(self):
        replies = from_all(self.server, 20, 50, "DO.CALL", "Counter", "visits", "add")
        self.assertEqual(sorted(replies), list(range(1, 1001)))

    def test_a_counter_keeps_acknowledged_additions_through_a_kill(self):
        for _ in range(100):
            self.call("DO.CALL", "Counter", "visits", "add")
        self.server.crash()
        call = self.server.connect().command
        self.assertEqual(call("DO.CALL", "Counter", "visits", "get"), 100)

    def test_clients_that_claim_a_key_at_once_get_one_id(self):
        replies = from_all(self.server, 20, 10, "DO.CALL", "UniqueIndex", "emails", "claim", "ann@x")
        self.assertEqual(len(replies), 200)
        self.assertEqual(len(set(replies)), 1)
        self.bulk(replies[0], "DO.CALL", "UniqueIndex", "emails", "lookup", "ann@x")

    def test_a_rate_limiter_lets_exactly_its_limit_through(self):
        for method, last in (("bucket", "0.000001"), ("window", "3600")):
            replies = from_all(self.server, 10, 20, "DO.CALL", "RateLimiter", "ann", method, 30, last)
            self.assertEqual(sum(reply[0] for reply in replies), 30, method)

    def test_a_magic_code_is_accepted_once_however_many_send_it(self):
        code = self.call("DO.CALL", "MagicCode", "login:ann", "create")
        replies = from_all(self.server, 20, 5, "DO.CALL", "MagicCode", "login:ann", "verify", code)
        self.assertEqual(replies.count(b"ok"), 1)
        self.assertEqual(replies.count(b"none"), 99)

    def test_wrong_codes_sent_at_once_get_five_tries_together(self):
        code = self.call("DO.CALL", "MagicCode", "login:ann", "create")
        wrong = b"x" + code
        replies = from_all(self.server, 10, 5, "DO.CALL", "MagicCode", "login:ann", "verify", wrong)
        self.assertEqual(replies.count(b"wrong"), 4)
        self.assertEqual(replies.count(b"locked"), 46)
        self.bulk("locked", "DO.CALL", "MagicCode", "login:ann", "verify", code)

    def test_clearing_a_calendar_cache_clears_one_user(self):
        for user in ("ann", "anna"):
            self.bulk("OK", "DO.CALL", "CalendarCache", user, "put_events", "home", '[{"id":1}]')
        self.integer(1, "DO.CALL", "CalendarCache", "ann", "clear")
        call = self.server.connect(protocol=3).command
        self.assertEqual(call("DO.CALL", "CalendarCache", "ann", "events", "home")[b"state"], b"MISS")
        hit = call("DO.CALL", "CalendarCache", "anna", "events", "home")
        self.assertEqual((hit[b"state"], hit[b"data"]), (b"HIT", b'[{"id":1}]'))


@harness.only_holdfast
class Manager(harness.Case):
    """A server and a provider for each test."""

    def setUp(self):
        self.provider = fake_provider.Provider()
        self.addCleanup(self.provider.close)
        settings = self.provider.settings() + [(MANAGER, "FETCH_TIMEOUT_MS", "3000")]
        self.server = harness.Server(class_dir=CLASSES, fetch_allow=self.provider.host, env=settings)
        self.addCleanup(self.server.close)
        self.server.start()
        self.connect()

    def connect(self):
        self.client = self.server.connect(protocol=3)

    def call(self, *words):
        return self.client.command("DO.CALL", MANAGER, "ann", *words)

    def expires_in(self, seconds):
        self.assertEqual(self.call("set_token", "fake", self.provider.access, self.provider.refresh,
                                   seconds), 1)

    def fails(self, code, *words):
        reply = self.call(*words)
        self.assertIsInstance(reply, resp.Error, reply)
        self.assertTrue(reply.startswith(code), reply)
        return reply

    def health(self):
        return self.call("health")[b"providers"][b"fake"]

    def thousand(self):
        return from_all(self.server, CONNECTIONS, CALLERS // CONNECTIONS,
                        "DO.CALL", MANAGER, "ann", "token", "fake")

    def test_a_thousand_callers_on_an_expiring_token_cause_one_refresh(self):
        self.expires_in(30)
        self.provider.token_faults += ["slow"]
        replies = self.thousand()
        self.assertEqual(len(replies), CALLERS)
        self.assertEqual(set(replies), {b"access-2"})
        self.assertEqual(self.provider.refresh_requests, 1)
        self.assertEqual(self.provider.spent, 1)

    def test_a_thousand_callers_get_one_answer_when_the_first_is_lost(self):
        self.expires_in(0)
        self.provider.token_faults += ["lost"]
        self.assertEqual(set(self.thousand()), {b"access-2"})
        self.assertEqual(self.provider.spent, 1)
        self.assertEqual(self.provider.replayed, 1)
        self.assertEqual(self.provider.refused, 0)

    def test_a_thousand_callers_do_not_hammer_a_provider_that_fails(self):
        self.expires_in(0)
        self.provider.token_faults += [503] * 1000
        replies = self.thousand()
        self.assertTrue(all(reply.startswith(b"REFRESHFAILED ") for reply in replies))
        # One refresh and its repetition, and those whose time came while the others were answered.
        self.assertLessEqual(self.provider.refresh_requests, 6)
        self.provider.token_faults.clear()
        recovered = harness.wait_until(lambda: self.call("token", "fake") == b"access-2", 20, 0.1)
        self.assertTrue(recovered)

    def test_a_refresh_that_a_kill_cut_short_is_taken_up_again(self):
        self.expires_in(0)
        self.provider.token_faults += ["slow"]
        self.provider.slow_seconds = 2
        self.client.send("DO.CALL", MANAGER, "ann", "token", "fake")
        self.assertTrue(harness.wait_until(lambda: self.provider.refresh_requests == 1))
        self.server.crash()
        self.connect()
        self.assertEqual(self.call("token", "fake"), b"access-2")
        self.assertEqual(self.provider.spent, 1)

    def test_tokens_handed_out_survive_a_kill(self):
        self.expires_in(0)
        self.assertEqual(set(self.thousand()), {b"access-2"})
        self.server.crash()
        self.connect()
        self.assertEqual(self.call("token", "fake"), b"access-2")
        self.assertEqual(self.provider.refresh_requests, 1)

    def test_a_revoked_token_asks_for_a_login_and_the_provider_is_left_alone(self):
        self.expires_in(0)
        self.provider.refresh = "revoked"
        self.fails(b"LOGINREQUIRED ", "token", "fake")
        self.server.crash()
        self.connect()
        replies = self.thousand()
        self.assertTrue(all(reply.startswith(b"LOGINREQUIRED ") for reply in replies))
        self.assertEqual(self.provider.refresh_requests, 1)
        self.assertEqual(self.health()[b"status"], b"login_required")
        self.expires_in(3600)
        self.assertEqual(self.call("token", "fake"), b"access-1")

    def test_a_refresh_that_takes_too_long_is_tried_again(self):
        self.expires_in(0)
        self.provider.slow_seconds = 4
        self.provider.token_faults += ["slow"]
        self.assertEqual(self.call("token", "fake"), b"access-2")
        self.assertEqual(self.provider.refresh_requests, 2)

    def test_an_old_refresh_token_gets_the_present_tokens_without_a_second_refresh(self):
        self.expires_in(0)
        first = self.call("refresh", "fake", "refresh-1")
        self.assertEqual(first[b"refresh_token"], b"refresh-2")
        self.assertEqual(self.call("refresh", "fake", "refresh-1"), first)
        self.fails(b"STALETOKEN ", "refresh", "fake", "never issued")
        self.assertEqual(self.provider.refresh_requests, 1)

    def test_a_host_that_is_not_in_fetch_allow_is_not_asked(self):
        self.client.command("CONFIG", "SET", "fetch-allow", "example.com")
        self.expires_in(0)
        self.fails(b"REFRESHFAILED ", "token", "fake")
        self.assertEqual(self.provider.refresh_requests, 0)

    def test_a_poll_finds_each_item_once(self):
        self.provider.feeds["a show"] = [{"id": "2", "title": "second"}, {"id": "1"}]
        self.expires_in(0)
        self.assertEqual(self.call("subscribe", "fake", "a show"), 1)
        self.assertEqual(self.call("poll")[b"new_items"], 2)
        self.provider.feeds["a show"].insert(0, {"id": "3"})
        self.server.crash()
        self.connect()
        self.assertEqual(self.call("poll")[b"new_items"], 1)
        self.assertEqual(self.call("poll")[b"new_items"], 0)
        self.assertEqual([item[b"id"] for item in self.call("items")], [b"3", b"2", b"1"])
        self.assertEqual(self.provider.feed_requests, ["/feeds/a%20show"] * 3)
        self.assertEqual(self.provider.refresh_requests, 1)

    def test_a_429_keeps_the_provider_from_being_asked(self):
        self.provider.feeds["show"] = []
        self.expires_in(3600)
        self.call("subscribe", "fake", "show")
        self.provider.feed_faults += [429]
        self.assertEqual(self.call("poll")[b"failed"], 1)
        for _ in range(5):
            self.assertEqual(self.call("poll")[b"skipped"], 1)
        self.assertEqual(len(self.provider.feed_requests), 1)
        self.assertIn(b"blocked_until", self.health())

    def test_items_can_be_read_while_a_poll_waits(self):
        self.provider.slow_seconds = 1
        self.provider.feeds["show"] = [{"id": "1"}]
        self.expires_in(3600)
        self.call("subscribe", "fake", "show")
        self.provider.feed_faults += ["slow"]
        other = self.server.connect()
        other.send("DO.CALL", MANAGER, "ann", "poll")
        self.assertTrue(harness.wait_until(lambda: len(self.provider.feed_requests) == 1))
        self.assertEqual(self.call("items"), [])
        self.assertEqual(self.call("poll")[b"busy"], 1)
        other.read()
        self.assertEqual(len(self.call("items")), 1)

    def test_items_can_be_read_while_a_refresh_waits(self):
        self.provider.slow_seconds = 1
        self.expires_in(0)
        self.provider.token_faults += ["slow"]
        others = [self.server.connect() for _ in range(50)]
        for other in others:
            other.send("DO.CALL", MANAGER, "ann", "token", "fake")
        self.assertTrue(harness.wait_until(lambda: self.provider.refresh_requests == 1))
        began = time.monotonic()
        self.assertEqual(self.call("items"), [])
        self.assertLess(time.monotonic() - began, 0.5)
        self.assertEqual({other.read() for other in others}, {b"access-2"})
        self.assertEqual(self.provider.refresh_requests, 1)

    def test_a_wake_polls_every_user(self):
        self.provider.feeds["show"] = [{"id": "1"}]
        users = [f"user{i}" for i in range(50)]
        for user in users:
            self.client.command("DO.CALL", MANAGER, user, "set_token", "fake", "access-1")
            self.client.command("DO.CALL", MANAGER, user, "subscribe", "fake", "show")
        self.assertEqual(self.client.command("DO.WAKE", MANAGER, "poll"), len(users))

        def polled():
            return sum(len(self.client.command("DO.CALL", MANAGER, user, "items")) for user in users)
        self.assertTrue(harness.wait_until(lambda: polled() == len(users), 30, 0.1))
        self.assertEqual(len(self.provider.feed_requests), len(users))

    def test_exported_tokens_go_to_another_user_and_are_gone_with_the_user(self):
        self.expires_in(3600)
        exported = self.call("export_tokens")
        self.assertEqual(json.loads(exported)["fake"]["refresh_token"], "refresh-1")
        move = self.client.command("DO.CALL", MANAGER, "bob", "import_tokens", exported)
        self.assertEqual(move, 1)
        self.assertGreater(self.call("delete_user"), 0)
        self.fails(b"NOTOKEN ", "token", "fake")
        self.assertEqual(self.client.command("DO.OBJECTS", MANAGER), [b"bob"])


if __name__ == "__main__":
    unittest.main()
