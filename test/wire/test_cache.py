"""Entries of the cache: what is kept, for how long, in which state, what errors say, what STATS and
SCAN tell, and the bounds of memory and disk. Who waits for whom is test_cache_leases.py's."""

import threading
import time
import unittest

import harness
import resp
from cache_case import AGE_MAX_S, LEASE_LOST, CacheTest, scan_cache

KEY_MAX = 2048


class Entries(CacheTest):
    def test_any_bytes_come_back_as_they_were_given(self):
        for value in (b"", b"plain", b"a\0\r\n\xff", b"x" * 3_000_000):
            key = self.key(b"k\0\r\n\xff".decode("latin-1"))
            self.ok("CACHE.SET", key, value)
            self.bulk(value, "CACHE.GET", key)
            self.gets("fresh", key, value=value)

    def test_keys_are_1_to_the_longest_bytes_long(self):
        longest = self.key().encode().ljust(KEY_MAX, b"k")
        self.ok("CACHE.SET", longest, "v")
        self.bulk("v", "CACHE.GET", longest)
        text = f"ERR a key is 1 to {KEY_MAX} bytes long"
        for key in (b"", longest + b"k"):
            for command in (("SET", key, "v"), ("GET", key), ("MGET", longest, key), ("SWR", key),
                            ("FILL", key, "t", "v"), ("FAIL", key, "t"), ("ABSENT", key, "t"),
                            ("RENEW", key, "t", 1), ("DEL", longest, key), ("INFO", key),
                            ("INVALIDATE", "KEY", key)):
                self.fails(text, "CACHE." + command[0], *command[1:])
        self.bulk("v", "CACHE.GET", longest)

    def test_empty_absent_and_missing_are_told_apart(self):
        empty, absent, missing = self.key("empty"), self.key("absent"), self.key("missing")
        self.ok("CACHE.SET", empty, "", "TTL", 100)
        self.ok("CACHE.ABSENT", absent, self.gets("lead", absent).token)
        self.bulk("", "CACHE.GET", empty)
        self.null("CACHE.GET", absent)
        self.null("CACHE.GET", missing)
        self.gets("fresh", empty, value=b"")
        self.gets("absent", absent)
        self.gets("lead", missing)
        self.assertEqual(self.info(absent)["state"], b"absent")
        self.assertEqual(self.info(empty)["state"], b"fresh")
        self.assertIsNone(self.info(missing))

    def test_an_absence_has_a_life_of_its_own(self):
        for options, ttl_ms in (((), 60_000), (("TTL", 7), 7000)):
            key = self.key()
            self.ok("CACHE.ABSENT", key, self.gets("lead", key).token, *options)
            self.assertEqual(self.info(key)["ttl-ms"], ttl_ms)

    def test_nx_sets_only_what_is_not_there(self):
        key = self.key()
        self.ok("CACHE.SET", key, "one", "NX", "TTL", 100)
        self.null("CACHE.SET", key, "two", "NX")
        self.bulk("one", "CACHE.GET", key)
        self.assertEqual(self.info(key)["ttl-ms"], 100_000)
        self.integer(1, "CACHE.DEL", key)
        self.ok("CACHE.SET", key, "three", "NX")
        self.bulk("three", "CACHE.GET", key)

    def test_a_set_replaces_value_lives_and_tags(self):
        key = self.key()
        self.ok("CACHE.SET", key, "one", "TTL", 100, "STALE", 200, "TAGS", 2, "t1", "t2")
        info = self.info(key)
        self.assertEqual((info["ttl-ms"], info["stale-ms"], info["tags"]),
                         (100_000, 200_000, [b"t1", b"t2"]))
        self.ok("CACHE.SET", key, "two")
        info = self.info(key)
        self.assertEqual((info["ttl-ms"], info["tags"]), (-1, []))
        self.ok("CACHE.INVALIDATE", "TAG", "t1")
        self.bulk("two", "CACHE.GET", key)

    def test_del_tells_how_many_there_were(self):
        keys = [self.key() for _ in range(20)]
        for key in keys[:10]:
            self.ok("CACHE.SET", key, "v")
        self.integer(10, "CACHE.DEL", *keys)
        self.integer(0, "CACHE.DEL", *keys)
        self.ok("CACHE.SET", keys[0], "v")
        self.integer(1, "CACHE.DEL", keys[0], keys[0])

    def test_mget_tells_of_each_key_in_order(self):
        keys = [self.key() for _ in range(40)]
        for number, key in enumerate(keys[::2]):
            self.ok("CACHE.SET", key, number)
        replies = self.call("CACHE.MGET", *keys, keys[0])
        self.assertEqual(replies[::2], [b"%d" % n for n in range(20)] + [b"0"])
        self.assertEqual(replies[1::2], [None] * 20)
        self.fails("ERR CACHE.MGET takes up to 10000 keys", "CACHE.MGET", *["k"] * 10_001)

    def test_info_tells_bytes_age_and_tier(self):
        key = self.key()
        self.ok("CACHE.SET", key, "12345", "TTL", 100)
        info = self.info(key)
        self.assertEqual(info["bytes"], len(key) + 5)
        self.assertEqual((info["tier"], info["state"], info["fetch-ms"]), (b"memory", b"fresh", 0))
        self.assertLess(info["age-ms"], 5000)
        self.assertEqual(info["stale-ms"], 100_000)

    def test_jitter_only_lengthens_and_differs(self):
        ttls = []
        for _ in range(100):
            key = self.key()
            self.ok("CACHE.SET", key, "v", "TTL", 100, "STALE", 300, "JITTER", 50)
            info = self.info(key)
            self.assertEqual(info["stale-ms"] - info["ttl-ms"], 200_000)
            ttls.append(info["ttl-ms"])
        self.assertGreaterEqual(min(ttls), 100_000)
        self.assertLessEqual(max(ttls), 150_000)
        self.assertGreater(max(ttls) - min(ttls), 10_000)

    def test_no_life_is_longer_than_invalidations_are_remembered(self):
        for _ in range(10):
            key = self.key()
            self.ok("CACHE.SET", key, "v", "TTL", AGE_MAX_S, "JITTER", AGE_MAX_S)
            info = self.info(key)
            self.assertLessEqual(max(info["ttl-ms"], info["stale-ms"]), AGE_MAX_S * 1000)

    def test_a_value_too_large_for_memory_is_served_from_disk(self):
        key, value = self.key(), bytes(3 << 20)
        self.ok("CACHE.SET", key, value, "TTL", 100, "TAGS", 1, key)
        self.assertEqual(self.info(key)["tier"], b"disk")
        self.gets("fresh", key, value=value)
        self.ok("CACHE.INVALIDATE", "TAG", key)
        self.gets("lead", key)

    def test_strings_of_the_same_name_are_something_else(self):
        key = self.key()
        self.ok("CACHE.SET", key, "cached")
        self.null("GET", key)
        self.ok("SET", key, "string")
        self.call("FLUSHALL")
        self.bulk("cached", "CACHE.GET", key)


class EntriesInResp3(Entries):
    protocol = 3

    def test_info_and_stats_are_maps_and_nothing_is_an_underscore(self):
        key = self.key()
        self.ok("CACHE.SET", key, "v")
        self.assertIsInstance(self.call("CACHE.INFO", key), resp.Map)
        self.assertIsInstance(self.call("CACHE.STATS"), resp.Map)
        self.assertEqual(self.connection.command_raw("CACHE.GET", key + "not"), b"_\r\n")
        self.assertRegex(self.connection.command_raw("CACHE.SWR", key),
                         rb"\A\*5\r\n\$5\r\nfresh\r\n\$1\r\nv\r\n:\d+\r\n_\r\n_\r\n\Z")


class EntriesWithOneWorker(Entries):
    options = {"workers": 1, "io_threads": 2}


class States(CacheTest):
    def make(self, *options, value="v"):
        key = self.key()
        self.ok("CACHE.SET", key, value, *options)
        return key

    def test_ages_decide_and_one_second_is_one_second(self):
        """Everything that needs time to pass, in one wait."""
        fresh = self.make("TTL", 1, "STALE", 100)
        short = self.make("TTL", 1, "STALE", 2)
        gone = self.make("TTL", 1)
        lasting = self.make()
        overridden = self.make("TTL", 1, "STALE", 1000)
        beside = self.make("TTL", 1, "STALE", 1000)
        absent = self.key("absent")
        self.ok("CACHE.ABSENT", absent, self.gets("lead", absent).token, "TTL", 1)
        nx = self.make("TTL", 1)
        start = time.monotonic()
        for key in (fresh, short, gone, lasting, overridden, beside):
            state = self.swr(key)
            self.assertTrue(state.name == "fresh" or time.monotonic() - start > 0.9, state)
        self.gets("absent", absent)
        time.sleep(1.05)
        for key in (fresh, short, gone, overridden, beside):
            self.null("CACHE.GET", key)
        self.assertEqual(self.call("CACHE.MGET", fresh, lasting), [None, b"v"])
        self.assertEqual(self.info(fresh)["state"], b"stale")
        self.assertIsNone(self.info(gone))
        # The override holds for this read alone, longer or shorter.
        self.gets("fresh", overridden, 100, 200, value="v")
        self.gets("lead", beside, 1, 1)
        self.gets("busy", beside, 0, 0, "WAIT", 0)
        state = self.gets("refresh", fresh, value="v")
        self.assertTrue(1000 <= state.age_ms < 20_000, state)
        self.gets("stale", fresh, value="v")
        self.ok("CACHE.FILL", fresh, state.token, "new")
        self.gets("fresh", fresh, value="new")
        self.assertEqual((self.info(fresh)["ttl-ms"], self.info(fresh)["stale-ms"]),
                         (1000, 100_000), "the lives that it was set with hold on")
        self.gets("lead", gone)
        self.gets("lead", absent)
        self.ok("CACHE.SET", nx, "again", "NX")
        self.gets("fresh", lasting, value="v")
        time.sleep(1)
        self.gets("lead", short)
        self.assertGreaterEqual(self.info(lasting)["age-ms"], 2000)
        stats = [key for key in scan_cache(self.connection) if key.decode() in (gone, short)]
        self.assertEqual(stats, [], "what is over is not listed")

    def test_an_override_makes_an_entry_older_or_younger_for_this_read(self):
        key = self.make("TTL", 100, "STALE", 200)
        token = self.gets("refresh", key, 0, 100, value="v").token
        self.gets("stale", key, 0, 100, value="v")
        self.gets("fresh", key, value="v")
        self.gets("busy", key, 0, 0, "WAIT", 0)
        self.ok("CACHE.FILL", key, token, "v2", "TTL", 100)
        self.gets("fresh", key, value="v2")

    def test_a_failure_is_remembered_while_a_stale_value_is_there(self):
        for value in (b"v", b""):
            key = self.make("TTL", 100, "STALE", 200, value=value)
            token = self.gets("refresh", key, 0, 100).token
            self.ok("CACHE.FAIL", key, token, "RETRY", 400, "MESSAGE", "no answer")
            failed = time.monotonic()
            state = self.swr(key, 0, 100)
            if time.monotonic() - failed < 0.4:
                self.assertEqual(state.name, "failed", f"{len(value)} bytes")
                self.assertEqual(state.value, value)
                self.assertTrue(0 < state.retry_ms <= 400, state)
            self.gets("fresh", key, value=value)
            self.lost("CACHE.FILL", key, token, "late")
            self.soon(lambda: self.swr(key, 0, 100).name == "refresh")
            self.assertGreaterEqual(time.monotonic() - failed, 0.39)

    def test_a_failure_without_a_value_or_a_pause_is_tried_again(self):
        key = self.key()
        self.ok("CACHE.FAIL", key, self.gets("lead", key).token, "RETRY", 60_000)
        self.gets("lead", key)
        key = self.make()
        self.ok("CACHE.FAIL", key, self.gets("refresh", key, 0, 9).token, "RETRY", 0)
        self.gets("refresh", key, 0, 9)

    def test_a_new_value_ends_a_failure(self):
        key = self.make()
        self.ok("CACHE.FAIL", key, self.gets("refresh", key, 0, 9).token, "RETRY", 60_000)
        self.assertEqual(self.gets("failed", key, 0, 9).retry_ms // 10_001, 5)
        self.ok("CACHE.SET", key, "new")
        self.gets("refresh", key, 0, 9, value="new")

    def test_a_fill_gives_lives_and_tags(self):
        key, tag = self.key(), self.key("tag")
        self.ok("CACHE.FILL", key, self.gets("lead", key).token, "v", "TTL", 10, "STALE", 20, "TAGS",
                1, tag)
        info = self.info(key)
        self.assertEqual((info["ttl-ms"], info["stale-ms"], info["tags"]),
                         (10_000, 20_000, [tag.encode()]))
        self.ok("CACHE.INVALIDATE", "TAG", tag)
        self.gets("lead", key)

    def test_a_fill_with_ttl_0_is_for_nobody_who_comes_later(self):
        key = self.key()
        self.ok("CACHE.FILL", key, self.gets("lead", key).token, "v", "TTL", 0)
        self.null("CACHE.GET", key)
        self.assertIsNone(self.info(key))
        token = self.gets("lead", key).token
        self.ok("CACHE.FILL", key, token, "v", "TTL", 0, "STALE", 100)
        self.null("CACHE.GET", key)
        self.gets("refresh", key, value="v")

    def test_a_fill_without_lives_keeps_those_of_the_set(self):
        key = self.make("TTL", 100, "STALE", 200)
        self.ok("CACHE.INVALIDATE", "KEY", key, "SOFT")
        self.ok("CACHE.FILL", key, self.gets("refresh", key).token, "v2")
        self.assertEqual((self.info(key)["ttl-ms"], self.info(key)["stale-ms"]), (100_000, 200_000))

    def test_a_fill_without_lives_has_those_of_the_call_that_was_granted_the_lease(self):
        key = self.key()
        token = self.gets("lead", key, 900, 3600).token
        self.gets("busy", key, 1, 1, "WAIT", 0)
        self.ok("CACHE.FILL", key, token, "v")
        self.assertEqual((self.info(key)["ttl-ms"], self.info(key)["stale-ms"]), (900_000, 3_600_000))
        token = self.gets("refresh", key, 0, 3600).token
        self.ok("CACHE.FILL", key, token, "v", "TTL", 5, "STALE", 6)
        self.assertEqual((self.info(key)["ttl-ms"], self.info(key)["stale-ms"]), (5000, 6000))
        token = self.gets("refresh", key, 0, 60).token
        waiter, = self.park(key, 0, 0, "WAIT", 60_000)
        self.ok("CACHE.FILL", key, token, "v", "STALE", 7)
        self.answer(waiter, "fresh", "v")
        self.assertEqual((self.info(key)["ttl-ms"], self.info(key)["stale-ms"]), (0, 7000))

    def test_early_is_rare_when_young_and_sure_when_a_fetch_took_as_long_as_is_left(self):
        key = self.key()
        token = self.gets("lead", key).token
        time.sleep(0.03)
        self.ok("CACHE.FILL", key, token, "v", "TTL", 1000)
        self.assertGreaterEqual(self.info(key)["fetch-ms"], 30)
        for _ in range(50):
            self.gets("fresh", key, "EARLY", 1)
        self.ok("CACHE.SET", self.key("set"), "v")
        token = None
        for _ in range(200):  # ahead of its time by 30 s times an exponential variable
            state = self.swr(key, 10, 100, "EARLY", 1000)
            if state.name == "refresh":
                token = state.token
                break
        self.assertIsNotNone(token)
        for _ in range(50):
            self.gets("fresh", key, 10, 100, "EARLY", 1000)
        self.ok("CACHE.FILL", key, token, "v2", "TTL", 1000)

    # --- invalidation --------------------------------------------------------------------------

    def test_invalidated_is_gone_whatever_named_it(self):
        tags = [self.key(f"tag{number}") for number in range(32)]
        for how in (("KEY",), ("TAG", tags[0]), ("TAG", tags[31]), ("PREFIX",)):
            key = self.make("TTL", 100, "STALE", 200, "TAGS", 32, *tags)
            other = self.make("TTL", 100)
            name = how[1] if len(how) > 1 else key if how[0] == "KEY" else key[:-2]
            self.ok("CACHE.INVALIDATE", how[0], name)
            self.null("CACHE.GET", key)
            self.assertIsNone(self.info(key), how)
            self.assertNotIn(key.encode(), scan_cache(self.connection))
            self.gets("lead", key)
            self.bulk("v", "CACHE.GET", other)

    def test_soft_keeps_the_value_as_stale_and_its_lives(self):
        for options in (("TTL", 100, "STALE", 200), ("TTL", 100), ()):
            for what in ("KEY", "TAG", "PREFIX"):
                key, tag = self.key(), self.key("tag")
                self.ok("CACHE.SET", key, "old", *options, "TAGS", 1, tag)
                before = self.info(key)
                self.ok("CACHE.INVALIDATE", what, tag if what == "TAG" else key, "SOFT")
                self.null("CACHE.GET", key)
                self.assertEqual(self.info(key)["state"], b"stale")
                token = self.gets("refresh", key, value="old").token
                self.gets("stale", key, value="old")
                self.gets("stale", key, 50, 60, value="old")
                self.ok("CACHE.FILL", key, token, "new")
                self.gets("fresh", key, value="new")
                after = self.info(key)
                for name in ("ttl-ms", "stale-ms", "state"):
                    self.assertEqual(after[name], before[name], (options, what, name))

    def test_soft_never_brings_back_what_is_gone(self):
        for hard in ("TAG", "PREFIX", "KEY"):
            for soft in ("TAG", "PREFIX", "KEY"):
                key, tag = self.key(), self.key("tag")
                self.ok("CACHE.SET", key, "old", "TTL", 100, "STALE", 200, "TAGS", 1, tag)
                self.ok("CACHE.INVALIDATE", hard, tag if hard == "TAG" else key)
                self.ok("CACHE.INVALIDATE", soft, tag if soft == "TAG" else key, "SOFT")
                self.gets("lead", key)

    def test_an_absence_that_is_soft_is_asked_for_again(self):
        key = self.key()
        self.ok("CACHE.ABSENT", key, self.gets("lead", key).token, "TTL", 100)
        self.ok("CACHE.INVALIDATE", "KEY", key, "SOFT")
        self.gets("lead", key)

    def test_what_is_set_after_an_invalidation_stays(self):
        key, tag = self.key(), self.key("tag")
        for what, name in (("KEY", key), ("TAG", tag), ("PREFIX", key), ("PREFIX", key[:1])):
            for soft in ((), ("SOFT",)):
                self.ok("CACHE.INVALIDATE", what, name, *soft)
                self.ok("CACHE.SET", key, "v", "TTL", 100, "TAGS", 1, tag)
                self.gets("fresh", key, value="v")

    def test_an_invalidation_costs_the_same_whatever_it_hits(self):
        counts = {}
        for entries in (10, 5000):
            tag = self.key("tag")
            self.connection.pipeline([("CACHE.SET", f"{tag}:{number}", "v", "TAGS", 1, tag)
                                      for number in range(entries)])
            costs = []
            for _ in range(5):
                self.all_durable()
                before = self.figures()
                self.ok("CACHE.INVALIDATE", "TAG", tag)
                self.ok("CACHE.INVALIDATE", "PREFIX", tag)
                after = self.figures()
                costs.append(int(after["log_records"]) - int(before["log_records"]))
            counts[entries] = min(costs)
            self.null("CACHE.GET", f"{tag}:{entries - 1}")
        self.assertEqual(counts, {10: 2, 5000: 2})

    def test_an_invalidation_holds_at_once_for_every_worker(self):
        """A tag on keys of all shards: whoever reads after the reply sees none of them."""
        tag = self.key("tag")
        keys = [f"{tag}:{number}" for number in range(64)]
        readers = [self.open() for _ in range(6)]
        for turn in range(20):
            how = ("TAG", tag) if turn % 2 else ("PREFIX", tag)
            self.connection.pipeline([("CACHE.SET", key, turn, "TAGS", 1, tag) for key in keys])
            self.assertEqual(self.call("CACHE.MGET", *keys), [b"%d" % turn] * len(keys))
            self.ok("CACHE.INVALIDATE", *how)
            for reader in readers:
                reader.send("CACHE.MGET", *keys)
            for reader in readers:
                self.assertEqual(reader.read(), [None] * len(keys))


class Replies(CacheTest):
    """What waits for the disk and what does not."""

    def pending_after(self, *command, times=100):
        pending = 0
        for number in range(times):
            self.all_durable()
            before = int(self.figures()["appended_lsn"])
            reply = self.call(*[number if word is int else word for word in command])
            figures = self.figures()
            self.assertNotIsInstance(reply, resp.Error)
            durable = int(figures["durable_lsn"])
            self.assertGreater(int(figures["appended_lsn"]), before, "it wrote something")
            pending += durable < int(figures["appended_lsn"])
        return pending

    def test_a_set_is_answered_before_it_is_on_disk_and_an_end_is_not(self):
        key = self.key()
        self.assertGreater(self.pending_after("CACHE.SET", key, int), 0)
        self.assertEqual(self.pending_after("CACHE.INVALIDATE", "TAG", key, times=20), 0)
        self.assertEqual(self.pending_after("SET", key, int, times=20), 0)
        for number in range(20):
            self.ok("CACHE.SET", key, number)
            self.integer(1, "CACHE.DEL", key)
            figures = self.figures()
            self.assertEqual(figures["durable_lsn"], figures["appended_lsn"])


class Failures(CacheTest):
    def test_failures_of_a_groups_keys_are_logged_once_a_while(self):
        groups = [self.key(f"{number}:") for number in range(8)]
        for group in groups:
            for number in range(5):
                key = f"{group}{number}"
                self.ok("CACHE.FAIL", key, self.gets("lead", key).token, "MESSAGE", b"down\r\n\xff")
        log = self.server.log(10_000)
        counts = [log.count(f"Who refreshed {group}") for group in groups]
        # Groups may share a line, so that not each of them must have one.
        self.assertLessEqual(max(counts), 1, log)
        told = groups[counts.index(1)]
        self.assertIn(f"Who refreshed {told}0 in the cache says that it failed: down... (", log)


class Errors(CacheTest):
    STALE = "ERR stale is the whole age up to which an entry may be served: not below ttl"
    TAGS = "ERR TAGS is a count of 1 to 32 and as many tags of 1 to 255 bytes"

    def age(self, name, least=0):
        return f"ERR {name} is {least} to {AGE_MAX_S} seconds"

    def setUp(self):
        super().setUp()
        self.there = self.key("there")
        self.ok("CACHE.SET", self.there, "before", "TTL", 1000, "STALE", 2000, "TAGS", 1, "tag")
        self.token = self.gets("refresh", self.there, 0, 100, "LEASE", 3_600_000).token
        self.records = self.stats()

    def tearDown(self):
        """Nothing was changed by what was refused, and the token holds still."""
        info = self.info(self.there)
        self.assertEqual((info["ttl-ms"], info["stale-ms"], info["tags"], info["state"]),
                         (1_000_000, 2_000_000, [b"tag"], b"fresh"))
        self.bulk("before", "CACHE.GET", self.there)
        after = self.stats()
        for name in ("sets", "fills", "failures", "deletes", "invalidations", "entries", "bytes"):
            self.assertEqual(after[name], self.records[name], name)
        self.ok("CACHE.FILL", self.there, self.token, "after")

    def refuse(self, text, *command):
        with self.subTest(command=command):
            self.fails(text, "CACHE." + command[0], *command[1:])

    def misfit(self, *command):
        with self.subTest(command=command):
            self.misfits("CACHE." + command[0], *command[1:])

    def test_ages(self):
        for word in (-1, "", "x", "1.5", "1e3", " 1", AGE_MAX_S + 1, 2 ** 63, -2 ** 63, "9" * 400):
            for name in ("TTL", "STALE", "JITTER"):
                self.refuse(self.age(name), "SET", self.there, "v", name, word)
                self.refuse(self.age(name), "FILL", self.there, self.token, "v", name, word)
            self.refuse(self.age("TTL"), "ABSENT", self.there, self.token, "TTL", word)
        self.refuse(self.age("TTL", 1), "ABSENT", self.there, self.token, "TTL", 0)
        self.refuse(self.STALE, "SET", self.there, "v", "TTL", 10, "STALE", 9)
        self.refuse(self.STALE, "SET", self.there, "v", "STALE", 9)
        self.refuse(self.STALE, "FILL", self.there, self.token, "v", "TTL", 10, "STALE", 9)
        other = self.key("other")
        token = self.gets("lead", other, 10, 100).token
        self.refuse(self.STALE, "FILL", other, token, "v", "STALE", 9)

    def test_overrides_of_swr(self):
        self.refuse(self.STALE, "SWR", self.there, 10, 9)
        self.refuse(self.age("ttl"), "SWR", self.there, -1, 10)
        self.refuse(self.age("stale"), "SWR", self.there, 1, AGE_MAX_S + 1)
        self.refuse(self.age("stale"), "SWR", self.there, 1, "WAIT", 5)
        self.misfit("SWR", self.there, 1)
        self.misfit("SWR", self.there, "x", 1)
        self.misfit("SWR", self.there, 1, 2, 3)

    def test_options(self):
        wait, lease = "ERR WAIT is 0 to 60000 milliseconds", "ERR LEASE is 1 to 3600000 milliseconds"
        retry, beta = "ERR RETRY is 0 to 3600000 milliseconds", \
            "ERR EARLY is a number above 0 and up to 1000"
        for word in (-1, "x", "", 60_001, 2 ** 64):
            self.refuse(wait, "SWR", self.there, "WAIT", word)
        for word in (0, -1, "x", 3_600_001, 2 ** 64):
            self.refuse(lease, "SWR", self.there, "LEASE", word)
            self.refuse(lease, "RENEW", self.there, self.token, word)
        for word in (-1, "x", 3_600_001):
            self.refuse(retry, "FAIL", self.there, self.token, "RETRY", word)
        for word in (0, -1, "x", "nan", "inf", 1000.5, ""):
            self.refuse(beta, "SWR", self.there, "EARLY", word)
        self.refuse("ERR MESSAGE is up to 256 bytes long", "FAIL", self.there, self.token, "MESSAGE",
                    "m" * 257)

    def test_words_that_are_not_options_or_come_twice(self):
        for command in (("SET", self.there, "v"), ("FILL", self.there, self.token, "v"),
                        ("FAIL", self.there, self.token), ("ABSENT", self.there, self.token),
                        ("SWR", self.there), ("SCAN", 0)):
            self.misfit(*command, "NONSENSE")
            self.misfit(*command, "NONSENSE", "1")
            self.misfit(*command, "")
        for command in (("SET", self.there, "v", "TTL", 1, "ttl", 2), ("SET", self.there, "v", "NX", "NX"),
                        ("SET", self.there, "v", "TAGS", 1, "a", "TAGS", 1, "b"),
                        ("SET", self.there, "v", "TTL"), ("SET", self.there, "v", "JITTER"),
                        ("SET", self.there, "v", "WAIT", 1),
                        ("FILL", self.there, self.token, "v", "NX"),
                        ("FILL", self.there, self.token, "v", "STALE", 1, "STALE", 1),
                        ("FAIL", self.there, self.token, "RETRY", 1, "RETRY", 1),
                        ("FAIL", self.there, self.token, "MESSAGE"),
                        ("ABSENT", self.there, self.token, "TTL", 1, "TTL", 1),
                        ("ABSENT", self.there, self.token, "STALE", 1),
                        ("SWR", self.there, "WAIT", 1, "WAIT", 1), ("SWR", self.there, "WAIT"),
                        ("SWR", self.there, "CALL", "Class", "id"),
                        ("SWR", self.there, "LEASE", 1, "WAIT", 1, "LEASE", 1),
                        ("SWR", self.there, "EARLY", 1, "EARLY", 1),
                        ("SCAN", 0, "COUNT"), ("SCAN", 0, "COUNT", 1, "COUNT", 2),
                        ("SCAN", 0, "PREFIX", "a", "PREFIX", "b"),
                        ("STATS", "a", "b"),
                        ("INVALIDATE", "KEYS", self.there), ("INVALIDATE", "KEY", self.there, "HARD"),
                        ("INVALIDATE", "KEY", self.there, "SOFT", "SOFT")):
            self.misfit(*command)

    def test_tags_and_prefixes(self):
        for tags in ((33, *range(33)), (0, "a"), (-1, "a"), ("x", "a"), (2, "a"), (1, ""),
                     (1, "t" * 256), (2 ** 32 + 1, "a"), (2 ** 63, "a")):
            self.refuse(self.TAGS, "SET", self.there, "v", "TAGS", *tags)
            self.refuse(self.TAGS, "FILL", self.there, self.token, "v", "TAGS", *tags)
        for tag in ("", "t" * 256):
            self.refuse("ERR a tag is 1 to 255 bytes long", "INVALIDATE", "TAG", tag)
        for prefix in ("", "p" * (KEY_MAX + 1)):
            self.refuse(f"ERR a prefix is 1 to {KEY_MAX} bytes long", "INVALIDATE", "PREFIX", prefix)
        self.refuse("ERR a prefix is 1 to 64 bytes long", "STATS", "p" * 65)

    def test_tokens_that_hold_nothing(self):
        other = self.key("other")
        token = self.gets("lead", other).token
        for dead in ("", "x", self.token[:-1], self.token + "x", self.token[::-1], token, "t" * 5000):
            for command in (("FILL", self.there, dead, "late"), ("FAIL", self.there, dead),
                            ("ABSENT", self.there, dead), ("RENEW", self.there, dead, 1000)):
                self.refuse(LEASE_LOST, *command)
        self.ok("CACHE.FAIL", other, token)
        self.records["failures"] += 1

    def test_too_few_or_too_many_words(self):
        for words in ("SET", "SET k", "GET", "GET a b", "MGET", "DEL", "SWR", "FILL k t", "FAIL k",
                      "ABSENT k", "RENEW k t", "RENEW k t 1 2", "INVALIDATE TAG", "SCAN", "INFO",
                      "INFO a b"):
            with self.subTest(words):
                name, *arguments = words.split()
                self.miscounts("CACHE." + name, *arguments)

    def test_cursors_and_counts(self):
        for cursor in ("x", "-1", "", 2 ** 53, 2 ** 64):
            self.refuse("ERR invalid cursor", "SCAN", cursor)
        for count in (0, -1, "x", 10_001):
            self.refuse("ERR COUNT is 1 to 10000", "SCAN", 0, "COUNT", count)
        self.assertEqual(self.call("CACHE.SCAN", 2 ** 53 - 1), [b"0", []])


class Scan(CacheTest):
    def test_each_key_comes_once_while_others_come_and_go(self):
        prefix = self.key("")
        names = {f"{prefix}{number}".encode() for number in range(2000)}
        self.connection.pipeline([("CACHE.SET", name, "v") for name in names])
        stopped = threading.Event()

        def disturb():
            with resp.Connection(self.server.port) as other:
                for number in range(1_000_000):
                    if stopped.is_set():
                        return
                    other.command("CACHE.SET", f"{prefix}x{number}", "v")
                    other.command("CACHE.DEL", f"{prefix}x{number - 20}")
        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            for options in ((), ("COUNT", 1000), ("COUNT", 7, "PREFIX", prefix)):
                keys = scan_cache(self.connection, *options)
                ours = [key for key in keys if key in names]
                self.assertEqual(len(ours), len(names))
                self.assertEqual(set(ours), names)
        finally:
            stopped.set()
            thread.join()
        self.assertTrue(all(key.startswith(prefix.encode())
                            for key in scan_cache(self.connection, "PREFIX", prefix)))

    def test_what_may_not_be_served_is_not_listed(self):
        prefix = self.key("")
        self.ok("CACHE.SET", prefix + "deleted", "v")
        self.ok("CACHE.SET", prefix + "tagged", "v", "TAGS", 1, prefix)
        self.ok("CACHE.SET", prefix + "soft", "v")
        self.call("CACHE.DEL", prefix + "deleted")
        self.ok("CACHE.INVALIDATE", "TAG", prefix)
        self.ok("CACHE.INVALIDATE", "KEY", prefix + "soft", "SOFT")
        self.ok("CACHE.ABSENT", prefix + "absent", self.gets("lead", prefix + "absent").token)
        self.assertEqual(scan_cache(self.connection, "PREFIX", prefix), [f"{prefix}soft".encode()])

    def test_every_count_gives_the_same_keys(self):
        prefix = self.key("")
        names = sorted(f"{prefix}{number}".encode() for number in range(50))
        self.connection.pipeline([("CACHE.SET", name, "v") for name in names])
        for count in (1, 2, 10, 49, 50, 51, 10_000):
            self.assertEqual(sorted(scan_cache(self.connection, "PREFIX", prefix, "COUNT", count)),
                             names)


class Stats(CacheTest):
    def setUp(self):
        super().setUp()
        self.server.close()
        type(self).server = harness.Server(**self.options).start()
        self.addClassCleanup(self.server.close)
        self.reconnect()

    def test_sums_agree_with_what_was_done(self):
        self.assertEqual({name: value for name, value in self.stats().items()
                          if value not in (0, b"0.00") and name != "memory-bytes"}, {})
        for number in range(10):
            self.ok("CACHE.SET", f"a:{number}", "12345", "TTL", 100)
        self.ok("CACHE.SET", "b:1", "12345")
        self.ok("CACHE.SET", "plain", "12345")
        self.null("CACHE.SET", "plain", "x", "NX")
        for _ in range(3):
            self.bulk("12345", "CACHE.GET", "a:1")
        self.null("CACHE.GET", "a:none")
        self.call("CACHE.MGET", "a:2", "b:1", "b:none")
        self.gets("fresh", "a:1")
        token = self.gets("refresh", "a:1", 0, 100).token
        self.gets("stale", "a:1", 0, 100)
        self.ok("CACHE.FAIL", "a:1", token, "RETRY", 60_000)
        self.gets("failed", "a:1", 0, 100)
        self.lost("CACHE.FILL", "a:1", token, "v")
        token = self.gets("lead", "c:1").token
        self.gets("busy", "c:1", "WAIT", 0)
        self.ok("CACHE.FILL", "c:1", token, "v", "TTL", 100)
        self.ok("CACHE.ABSENT", "c:2", self.gets("lead", "c:2").token)
        self.gets("absent", "c:2")
        self.integer(1, "CACHE.DEL", "a:9", "a:none")
        self.ok("CACHE.INVALIDATE", "KEY", "a:8")
        self.ok("CACHE.INVALIDATE", "TAG", "t")
        self.call("CACHE.SCAN", 0)
        stats = self.stats()
        self.assertEqual({name: stats[name] for name in stats if name not in (
            "hit-rate", "memory-bytes", "bytes", "hits-memory", "hits-disk")}, {
            "gets": 7, "swrs": 8, "fresh": 6, "stale": 1, "early": 0, "refresh": 1, "lead": 2,
            "miss": 5, "coalesced": 0, "busy": 1, "failed": 1, "absent": 1, "refreshes": 2,
            "failures": 1, "leases-lost": 1, "sets": 13, "fills": 1, "deletes": 2,
            "invalidations": 2, "scans": 1, "evictions-memory": 0, "evictions-disk": 0,
            "origin-fetches": 0, "origin-ms": 0, "entries": 12, "without-ttl": 2})
        self.assertEqual(stats["hits-memory"] + stats["hits-disk"], 10, "reads that found something")
        self.assertEqual(stats["hit-rate"], b"66.67")
        self.assertGreater(stats["memory-bytes"], 0)
        self.assertEqual(self.call("CACHE.STATS", "PREFIXES"), [b"a:", b"b:", b"c:"])
        of_a, of_b = self.stats("a:"), self.stats("b:")
        self.assertEqual((of_a["sets"], of_a["entries"], of_a["without-ttl"], of_a["refresh"]),
                         (10, 8, 0, 1))
        self.assertEqual((of_b["sets"], of_b["entries"], of_b["without-ttl"], of_b["gets"]),
                         (1, 1, 1, 2))
        self.assertEqual(self.stats("zzz")["sets"], 0)
        self.assertEqual(self.stats("")["sets"], 13)

    def test_what_is_held_is_told_after_deletes_expiry_and_restarts(self):
        def held(*prefix):
            stats = self.stats(*prefix)
            return stats["entries"], stats["without-ttl"]

        for number in range(100):
            self.ok("CACHE.SET", f"a:{number}", "x" * 100, *(("TTL", 1) if number < 30 else ()))
        full = self.stats()["bytes"]
        self.assertEqual(held(), (100, 70))
        self.integer(20, "CACHE.DEL", *[f"a:{number}" for number in range(80, 100)])
        self.assertEqual(held(), (80, 50))
        self.soon(lambda: held() == (50, 50))
        self.assertAlmostEqual(self.stats()["bytes"] / full, 0.5, delta=0.02)
        bytes_before = self.stats("a:")["bytes"]
        self.server.restart()
        self.reconnect()
        self.assertEqual(held("a:"), (50, 50))
        self.assertEqual(self.stats("a:")["bytes"], bytes_before)
        self.assertEqual(self.call("CACHE.STATS", "PREFIXES"), [b"a:"])
        self.bulk("x" * 100, "CACHE.GET", "a:50")
        self.assertEqual((self.stats()["hits-disk"], self.stats()["hits-memory"]), (1, 0))
        self.bulk("x" * 100, "CACHE.GET", "a:50")
        self.assertEqual((self.stats()["hits-disk"], self.stats()["hits-memory"]), (1, 1))
        self.all_durable()
        self.server.crash()
        self.reconnect()
        self.assertEqual(held("a:"), (50, 50))
        self.call("CACHE.DEL", *[f"a:{number}" for number in range(100)])
        self.assertEqual((held(), self.stats()["bytes"]), ((0, 0), 0))

    def test_prefixes_that_have_gone_make_room_for_others(self):
        for start in range(0, 3000, 500):
            keys = [f"group{number}:{{one shard}}" for number in range(start, start + 500)]
            self.connection.pipeline([("CACHE.SET", key, "v", "TTL", 100) for key in keys])
            self.call("CACHE.DEL", *keys)
        for number in range(50):
            self.ok("CACHE.SET", f"late:{number}{{one shard}}", "v")
        self.assertEqual(self.stats("late:")["entries"], 50)


class Bounds(CacheTest):
    """Entries in a stream, more than there is room for."""

    DISK = 2 << 20

    @classmethod
    def setUpClass(cls):
        cls.options = {"cache_disk": cls.DISK, "cache_memory": "1mb"}
        super().setUpClass()

    def stream(self, prefix, count, size, used=(), between=None):
        for start in range(0, count, 200):
            self.connection.pipeline([("CACHE.SET", f"{prefix}:{number}", b"%d:" % number + bytes(size))
                                      for number in range(start, start + 200)])
            if used:
                self.connection.pipeline([("CACHE.GET", key) for key in used])
            if between:
                between()

    def test_sums_stay_within_disk_and_memory(self):
        seen = []

        def look():
            stats = self.stats()
            seen.append((stats["bytes"], stats["memory-bytes"]))
        self.stream(self.key("s"), 10_000, 500, between=look)
        self.assertLessEqual(max(disk for disk, _ in seen), self.DISK)
        self.assertGreater(seen[-1][0], self.DISK // 2, "the room there is is used")
        self.assertLessEqual(max(memory for _, memory in seen), 1 << 20)
        stats = self.stats()
        self.assertGreater(stats["evictions-disk"], 1000)
        self.assertGreater(stats["evictions-memory"], 1000)
        self.assertEqual(stats["entries"], len(scan_cache(self.connection, "COUNT", 10_000)))

    def test_used_entries_outlive_unused_ones(self):
        prefix = self.key("u")
        used = [f"{prefix}-used:{number}" for number in range(100)]
        unused = [f"{prefix}-unused:{number}" for number in range(100)]
        for pair in zip(used, unused):
            for key in pair:
                self.ok("CACHE.SET", key, "v" * 500)
        self.stream(prefix, 10_000, 500, used=used)
        left = [sum(isinstance(value, bytes) for value in self.call("CACHE.MGET", *keys))
                for keys in (used, unused)]
        self.assertEqual(left[1], 0)
        self.assertGreater(left[0], 90)

    def test_a_lowered_bound_is_reached_by_writing_on(self):
        self.stream(self.key("s"), 5000, 500)
        self.ok("CONFIG", "SET", "cache-disk", "1mb")
        self.addCleanup(self.call, "CONFIG", "SET", "cache-disk", self.DISK)
        self.stream(self.key("t"), 2000, 500)
        self.assertLessEqual(self.stats()["bytes"], 1 << 20)

    def test_a_value_beyond_the_bound_does_no_harm(self):
        key = self.key()
        self.ok("CACHE.SET", key, bytes(3 << 20))
        self.assertLessEqual(self.stats()["bytes"], self.DISK)
        self.ok("CACHE.SET", key, "small")
        self.bulk("small", "CACHE.GET", key)


if __name__ == "__main__":
    unittest.main()
