"""Leases of cache keys: who leads, who waits, who is told what when the lease ends, and crowds."""

import concurrent.futures
import time
import unittest

import harness
import resp
from cache_case import CacheTest, Crowd, state_of

LONG = ("WAIT", 60_000)


class Leases(CacheTest):
    def lead(self, key, *options, by=None):
        return self.gets("lead", key, *options, by=by).token

    def test_a_fill_answers_all_who_wait_with_its_value(self):
        for options in (("TTL", 100), ("TTL", 0), ()):
            for value in ("v", ""):
                key = self.key()
                token = self.lead(key)
                waiters = self.park(key, *LONG, count=4)
                self.ok("CACHE.FILL", key, token, value, *options)
                for waiter in waiters:
                    self.answer(waiter, "fresh", value)

    def test_an_absence_answers_all_who_wait(self):
        key = self.key()
        token = self.lead(key)
        waiters = self.park(key, *LONG, count=4)
        self.ok("CACHE.ABSENT", key, token, "TTL", 100)
        for waiter in waiters:
            self.answer(waiter, "absent")

    def promotes(self, end, key=None, token=None):
        """After `end` the first of three leads, then the second, and the third is filled."""
        first, second, third = self.park(key, *LONG, count=3)
        end()
        one = self.answer(first, "lead").token
        self.assertNotEqual(one, token)
        self.assertTrue(second.is_silent(0.05) and third.is_silent(0.05), "one alone leads")
        self.lost("CACHE.FILL", key, token, "late")
        self.lost("CACHE.RENEW", key, token, 1000)
        self.assertEqual(first.command("CACHE.FAIL", key, one, "RETRY", 60_000), b"OK")
        two = self.answer(second, "lead").token
        self.assertTrue(third.is_silent(0.05))
        self.ok("CACHE.FILL", key, two, "v")
        self.answer(third, "fresh", "v")

    def test_a_failure_promotes_the_first_in_line(self):
        key = self.key()
        token = self.lead(key)
        self.promotes(lambda: self.ok("CACHE.FAIL", key, token), key, token)

    def test_the_close_of_the_holders_connection_promotes_the_first_in_line(self):
        key = self.key()
        holder = self.open()
        token = self.lead(key, "LEASE", 3_600_000, by=holder)
        self.promotes(holder.close, key, token)

    def test_a_time_out_promotes_the_first_in_line(self):
        key = self.key()
        token = self.lead(key, "LEASE", 400)
        self.promotes(lambda: None, key, token)

    def test_the_close_of_all_leases_of_a_connection_is_seen_for_each(self):
        holder = self.open()
        keys = [self.key() for _ in range(20)]
        for key in keys:
            self.lead(key, "LEASE", 3_600_000, by=holder)
        waiters = [self.park(key, *LONG)[0] for key in keys]
        holder.close()
        for waiter in waiters:
            self.answer(waiter, "lead")

    def test_who_hung_up_while_waiting_is_passed_over(self):
        for how in ("FAIL", "close"):
            key = self.key()
            holder = self.open()
            token = self.lead(key, "LEASE", 3_600_000, by=holder)
            gone, also_gone, stays = self.park(key, *LONG, count=3)
            gone.close()
            also_gone.close()
            time.sleep(0.05)
            if how == "FAIL":
                self.ok("CACHE.FAIL", key, token)
            else:
                holder.close()
            self.answer(stays, "lead")

    def test_who_waits_behind_itself_leaves_nothing_held_when_it_closes(self):
        key = self.key()
        holder = self.open()
        self.lead(key, "LEASE", 3_600_000, by=holder)
        before = self.stats()["coalesced"]
        for _ in range(3):
            holder.send("CACHE.SWR", key, *LONG, "LEASE", 3_600_000)
        self.soon(lambda: self.stats()["coalesced"] >= before + 1)
        holder.close()
        other = self.open()
        other.send("CACHE.SWR", key, *LONG)
        self.answer(other, "lead")

    def test_busy_is_told_when_the_wait_is_over_and_gives_no_second_lease(self):
        key = self.key()
        token = self.lead(key, "LEASE", 5000)
        state = self.gets("busy", key, "WAIT", 0)
        self.assertTrue(0 < state.retry_ms <= 5000, state)
        start = time.monotonic()
        state = self.gets("busy", key, "WAIT", 150)
        self.assertTrue(0.14 < time.monotonic() - start < 3)
        self.assertTrue(0 < state.retry_ms <= 5000 - 100, state)
        self.ok("CACHE.FILL", key, token, "v")
        self.gets("fresh", key, "WAIT", 0, value="v")

    def test_a_lease_can_be_made_longer_and_shorter(self):
        key = self.key()
        token = self.lead(key, "LEASE", 300)
        self.ok("CACHE.RENEW", key, token, 60_000)
        time.sleep(0.35)
        self.assertGreater(self.gets("busy", key, "WAIT", 0).retry_ms, 10_000)
        waiter, = self.park(key, *LONG)
        self.ok("CACHE.RENEW", key, token, 50)
        self.answer(waiter, "lead")
        self.lost("CACHE.RENEW", key, token, 50)

    def test_a_token_works_once_and_for_its_key_alone(self):
        key, other = self.key(), self.key()
        token, of_other = self.lead(key), self.lead(other)
        self.assertNotEqual(token, of_other)
        self.lost("CACHE.FILL", other, token, "wrong")
        self.ok("CACHE.FILL", key, token, "v")
        for command in (("FILL", key, token, "again"), ("FAIL", key, token), ("ABSENT", key, token),
                        ("RENEW", key, token, 1)):
            self.lost("CACHE." + command[0], *command[1:])
        self.bulk("v", "CACHE.GET", key)
        self.assertIsNone(self.info(other))

    def test_a_token_may_be_used_by_another_connection(self):
        key = self.key()
        token = self.lead(key)
        with self.open() as other:
            self.assertEqual(other.command("CACHE.FILL", key, token, "v"), b"OK")
        self.bulk("v", "CACHE.GET", key)

    # --- what voids a token --------------------------------------------------------------------

    def test_a_set_voids_the_token_and_answers_who_waits(self):
        key = self.key()
        token = self.lead(key)
        waiters = self.park(key, *LONG, count=3)
        self.ok("CACHE.SET", key, "set")
        for waiter in waiters:
            self.answer(waiter, "fresh", "set")
        self.lost("CACHE.FILL", key, token, "late")
        self.lost("CACHE.ABSENT", key, token)
        self.bulk("set", "CACHE.GET", key)

    def test_a_set_that_nx_refuses_leaves_the_token(self):
        key = self.key()
        self.ok("CACHE.SET", key, "v")
        token = self.gets("refresh", key, 0, 9).token
        self.null("CACHE.SET", key, "w", "NX")
        self.ok("CACHE.FILL", key, token, "v2")

    def voids(self, *command, times_out_ms=60_000):
        """The command voids the token of a key with a stale value and of one without; one who waits
        leads soon."""
        keys = [self.key() for _ in range(2)]
        self.ok("CACHE.SET", keys[0], "old", "TAGS", 1, keys[0])
        tokens = [self.gets("refresh", keys[0], 0, 1000, "LEASE", times_out_ms).token,
                  self.lead(keys[1], "LEASE", times_out_ms)]
        waiters = [self.park(keys[0], 0, 0, *LONG, count=2), self.park(keys[1], *LONG, count=2)]
        for key in keys:
            words = [key if word is None else word for word in command]
            self.assertNotIsInstance(self.call(*words), resp.Error)
        for key, token, (first, second) in zip(keys, tokens, waiters):
            new = self.answer(first, "lead").token
            self.assertTrue(second.is_silent(0.03))
            self.lost("CACHE.FILL", key, token, "late", "TAGS", 1, key)
            self.lost("CACHE.FAIL", key, token)
            self.null("CACHE.GET", key)
            self.ok("CACHE.FILL", key, new, "new")
            self.answer(second, "fresh", "new")

    def test_a_delete_voids_the_token(self):
        self.voids("CACHE.DEL", None)

    def test_a_delete_of_several_keys_voids_the_tokens(self):
        for _ in range(3):
            self.voids("CACHE.DEL", None, *[self.key() for _ in range(5)])

    def test_an_invalidation_of_the_key_voids_the_token(self):
        self.voids("CACHE.INVALIDATE", "KEY", None)

    def refuses_late_fill(self, what, *soft):
        tag = self.key("tag")
        for has_value in (False, True):
            key = self.key()
            if has_value:
                self.ok("CACHE.SET", key, "old", "TAGS", 1, tag)
                token = self.gets("refresh", key, 0, 1000).token
                waiter, = self.park(key, 0, 0, *LONG)
            else:
                token = self.lead(key)
                waiter, = self.park(key, *LONG)
            self.ok("CACHE.INVALIDATE", what, tag if what == "TAG" else key[:-1], *soft)
            self.lost("CACHE.FILL", key, token, "late", "TAGS", 1, tag)
            new = self.answer(waiter, "lead").token
            self.assertEqual(self.info(key) is not None, bool(soft and has_value))
            self.null("CACHE.GET", key)
            self.ok("CACHE.FILL", key, new, "new", "TTL", 1000, "TAGS", 1, tag)
            self.bulk("new", "CACHE.GET", key)

    def test_a_fill_of_a_tag_that_was_invalidated_meanwhile_is_refused(self):
        self.refuses_late_fill("TAG")

    def test_a_fill_of_a_tag_that_was_made_soft_meanwhile_is_refused(self):
        self.refuses_late_fill("TAG", "SOFT")

    def test_a_fill_under_a_prefix_that_was_invalidated_meanwhile_is_refused(self):
        self.refuses_late_fill("PREFIX")

    def test_an_absence_under_a_prefix_that_was_invalidated_meanwhile_is_refused(self):
        key = self.key()
        token = self.lead(key)
        self.ok("CACHE.INVALIDATE", "PREFIX", key)
        self.lost("CACHE.ABSENT", key, token)
        self.lead(key)

    # --- order and shutting down ---------------------------------------------------------------

    def test_a_pipeline_keeps_its_order_around_one_that_waits(self):
        key, other = self.key(), self.key()
        token = self.lead(key)
        self.ok("CACHE.SET", other, "other")
        client = self.open()
        client.send_bytes(resp.encode("PING") + resp.encode("CACHE.SWR", key, *LONG)
                          + resp.encode("CACHE.SWR", other) + resp.encode("PING", "last")
                          + resp.encode("CACHE.SWR", key, *LONG) + resp.encode("CACHE.GET", other))
        self.assertEqual(client.read(), b"PONG")
        self.assertTrue(client.is_silent(0.1))
        self.ok("CACHE.FILL", key, token, "v")
        self.assertEqual(state_of(client.read())[:2], ("fresh", b"v"))
        self.assertEqual(state_of(client.read())[:2], ("fresh", b"other"))
        self.assertEqual(client.read(), b"last")
        self.assertEqual(state_of(client.read())[:2], ("fresh", b"v"))
        self.assertEqual(client.read(), b"other")

    def test_leases_of_many_keys_do_not_mix(self):
        keys = [self.key(f"k{number}") for number in range(300)]
        clients = [self.open() for _ in range(4)]
        for client in clients:
            client.send_bytes(b"".join(resp.encode("CACHE.SWR", key, "WAIT", 0) for key in keys))
        leads = {}
        for client in clients:
            for key in keys:
                state = state_of(client.read())
                self.assertIn(state.name, ("lead", "busy"))
                if state.name == "lead":
                    self.assertNotIn(key, leads)
                    leads[key] = state.token
        self.assertEqual(len(leads), len(keys))
        for key, token in leads.items():
            self.ok("CACHE.FILL", key, token, key)
        self.assertEqual(self.call("CACHE.MGET", *keys), [key.encode() for key in keys])

    def test_early_gives_one_refresh_among_many_readers(self):
        key = self.key()
        token = self.lead(key)
        time.sleep(0.05)
        self.ok("CACHE.FILL", key, token, "v", "TTL", 1, "STALE", 100)
        clients = [self.open() for _ in range(20)]
        refreshes, end = [], time.monotonic() + 1.3

        def read(client):
            while time.monotonic() < end:
                state = self.swr(key, "EARLY", 1, "LEASE", 60_000, by=client)
                if state.name == "refresh":
                    refreshes.append(state)
                elif state.name not in ("fresh", "stale"):
                    return state
                time.sleep(0.002)
            return None
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            self.assertEqual(list(pool.map(read, clients)), [None] * len(clients))
        self.assertEqual(len(refreshes), 1)
        self.assertEqual(self.stats()["lead"] > 0, True)
        self.ok("CACHE.FILL", key, refreshes[0].token, "v2", "TTL", 100)
        self.gets("fresh", key, value="v2")


class LeasesWithOneWorkerInResp3(Leases):
    options = {"workers": 1, "io_threads": 2}
    protocol = 3


class Ends(CacheTest):
    def test_who_waits_is_told_when_the_server_stops(self):
        key = self.key()
        waiter = self.open()
        self.gets("lead", key, by=waiter)
        before = self.stats()["coalesced"]
        waiter.send("CACHE.SWR", key, "WAIT", 60_000)
        self.soon(lambda: self.stats()["coalesced"] > before)
        start = time.monotonic()
        kept = list(self.server.connections)
        self.server.connections.clear()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(waiter.read(), b"ERR the server is shutting down")
        for connection in kept:
            connection.close()

    def test_tokens_do_not_survive_a_restart(self):
        for again in (self.server.restart, self.server.crash):
            key = self.key()
            token = self.gets("lead", key).token
            self.all_durable()
            again()
            self.reconnect()
            self.lost("CACHE.FILL", key, token, "late")
            self.assertNotEqual(self.gets("lead", key).token, token)


class Crowds(CacheTest):
    SIZE = 2000 if harness.SLOW else 10_000

    @classmethod
    def setUpClass(cls):
        allowed = harness.raise_file_limit(cls.SIZE + 500)
        cls.size = min(cls.SIZE, allowed - 500)
        cls.options = {"maxclients": cls.size + 100}
        super().setUpClass()
        cls.clients = [resp.Connection(cls.server.port, timeout=60) for _ in range(cls.size)]
        cls.addClassCleanup(lambda: [client.close() for client in cls.clients])

    def test_of_all_who_ask_at_once_one_fetches_and_all_get_what_it_brings(self):
        crowd, key = Crowd(self.clients), self.key()
        before = self.stats()
        crowd.send("CACHE.SWR", key, "WAIT", 60_000)
        holder, state = crowd.first()
        self.assertEqual(state.name, "lead")
        self.assertTrue(crowd.is_silent(200), "nobody else is answered before the fill")
        self.assertEqual(holder.command("CACHE.FILL", key, state.token, "value"), b"OK")
        answers = crowd.rest()
        self.assertEqual({(one.name, one.value) for one in answers}, {("fresh", b"value")})
        self.assertEqual(len(answers), len(self.clients) - 1)
        after = self.stats()
        self.assertEqual((after["lead"] - before["lead"], after["fills"] - before["fills"]), (1, 1))
        self.assertGreater(after["coalesced"] - before["coalesced"], len(answers) // 10)

    def test_when_the_holder_dies_one_takes_over_and_all_get_what_it_brings(self):
        crowd, key = Crowd(self.clients), self.key()
        before = self.stats()
        crowd.send("CACHE.SWR", key, "WAIT", 60_000, "LEASE", 60_000)
        holder, state = crowd.first()
        self.assertEqual(state.name, "lead")
        waiting = len(self.clients) - 1
        self.soon(lambda: self.stats()["coalesced"] - before["coalesced"] == waiting, 60)
        self.assertTrue(crowd.is_silent(0))
        holder.close()
        self.clients.remove(holder)
        successor, state = crowd.first()
        self.assertEqual(state.name, "lead")
        self.assertTrue(crowd.is_silent(100), "one alone takes over")
        self.assertEqual(successor.command("CACHE.FILL", key, state.token, "value"), b"OK")
        answers = crowd.rest()
        self.assertEqual({(one.name, one.value) for one in answers}, {("fresh", b"value")})
        self.assertEqual(len(answers), waiting - 1)
        self.assertEqual(self.stats()["lead"] - before["lead"], 2)

    def test_of_all_who_find_it_stale_one_refreshes_and_nobody_waits(self):
        crowd, key = Crowd(self.clients), self.key()
        self.ok("CACHE.SET", key, "old", "TTL", 0, "STALE", 1000)
        crowd.send("CACHE.SWR", key)
        names = [one.name for one in crowd.rest()]
        self.assertEqual((names.count("refresh"), names.count("stale")), (1, len(self.clients) - 1))


if __name__ == "__main__":
    unittest.main()
