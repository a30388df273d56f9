"""Key commands: lives and their ends, names, listings and their guarantees, emptying."""

import threading
import time
import unittest

import harness
import resp
from harness import scan_all, wait_until


class Keys(harness.WireTest):
    def test_exists_counts_a_key_as_often_as_it_is_named(self):
        self.ok("MSET", "a", "1", "b", "2")
        self.integer(3, "EXISTS", "a", "a", "b", "c")
        self.integer(3, "TOUCH", "a", "a", "b", "c")

    def test_del_counts_a_key_once(self):
        for name in ("DEL", "UNLINK"):
            self.ok("MSET", "a", "1", "b", "2")
            self.integer(2, name, "a", "a", "b", "c")
            self.integer(0, "DBSIZE")

    def test_type_is_a_status(self):
        self.ok("SET", "a", "1")
        for key, kind in (("a", b"string"), ("b", b"none")):
            reply = self.call("TYPE", key)
            self.assertIsInstance(reply, resp.Simple)
            self.assertEqual(reply, kind)

    def test_rename_takes_value_and_life_along(self):
        self.fails("ERR no such key", "RENAME", "a", "b")
        self.fails("ERR no such key", "RENAME", "a", "a")
        self.ok("SET", "a", "1", "EX", "100")
        self.ok("SET", "b", "2")
        self.ok("RENAME", "a", "a")
        self.ok("RENAME", "a", "b")
        self.integer(0, "EXISTS", "a")
        self.bulk("1", "GET", "b")
        self.assertGreater(self.call("TTL", "b"), 90)
        self.ok("SET", "c", "3")
        self.integer(0, "RENAMENX", "b", "c")
        self.integer(0, "RENAMENX", "b", "b")
        self.integer(1, "RENAMENX", "b", "d")
        self.assertEqual(sorted(self.call("KEYS", "*")), [b"c", b"d"])

    def test_copy_and_move_reach_other_databases(self):
        self.ok("SET", "a", "1", "EX", "100")
        self.fails("ERR source and destination objects are the same", "COPY", "a", "a")
        self.integer(1, "COPY", "a", "a", "DB", "1")
        self.integer(0, "COPY", "a", "a", "DB", "1")
        self.integer(1, "COPY", "a", "a", "DB", "1", "REPLACE")
        self.integer(0, "MOVE", "a", "1")
        self.integer(1, "MOVE", "a", "2")
        self.integer(0, "EXISTS", "a")
        self.fails("ERR source and destination objects are the same", "MOVE", "a", "0")
        self.fails("ERR DB index is out of range", "MOVE", "a", "16")
        self.fails("ERR DB index is out of range", "COPY", "a", "b", "DB", "-1")
        for db in (1, 2):
            self.ok("SELECT", db)
            self.bulk("1", "GET", "a")
            self.assertGreater(self.call("TTL", "a"), 90)

    def test_object_tells_what_there_is_to_tell(self):
        for value, encoding in (("12", "int"), ("-9223372036854775808", "int"), ("012", "embstr"),
                                ("9223372036854775808", "embstr"), ("v" * 44, "embstr"),
                                ("v" * 45, "raw"), ("", "embstr")):
            self.ok("SET", "k", value)
            self.bulk(encoding, "OBJECT", "ENCODING", "k")
        # One that was written in part is raw, whatever is in it, and so is what becomes of it.
        self.integer(2, "APPEND", "part", "12")
        self.bulk("int", "OBJECT", "ENCODING", "part")
        self.integer(3, "APPEND", "part", "3")
        self.integer(2, "SETRANGE", "range", 0, "12")
        self.integer(1, "COPY", "part", "copy")
        self.ok("RENAME", "range", "renamed")
        self.integer(1, "EXPIRE", "part", 100)
        self.bulk("123", "GETEX", "copy", "EX", 100)
        for key in ("part", "copy", "renamed"):
            self.bulk("raw", "OBJECT", "ENCODING", key)
        self.integer(124, "INCR", "part")
        self.bulk("int", "OBJECT", "ENCODING", "part")
        self.integer(1, "OBJECT", "REFCOUNT", "k")
        self.integer(0, "OBJECT", "IDLETIME", "k")
        self.assertTrue(self.call("OBJECT", "FREQ", "k").startswith(b"ERR An LFU maxmemory"))
        self.null("OBJECT", "ENCODING", "missing")
        small = self.call("MEMORY", "USAGE", "k")
        self.ok("SET", "k", "v" * 10000)
        self.assertGreaterEqual(self.call("MEMORY", "USAGE", "k"), small + 9000)
        self.null("MEMORY", "USAGE", "missing")

    def test_databases_do_not_see_each_other(self):
        self.ok("SET", "k", "0")
        for db in range(1, 16):
            self.ok("SELECT", db)
            self.null("GET", "k")
            self.ok("SET", "k", db)
        self.fails("ERR DB index is out of range", "SELECT", "16")
        self.fails("ERR DB index is out of range", "SELECT", "-1")
        self.fails("ERR value is not an integer or out of range", "SELECT", "x")
        self.ok("FLUSHDB")
        self.ok("SELECT", "0")
        self.bulk("0", "GET", "k")
        self.ok("SELECT", "14")
        self.bulk("14", "GET", "k")

    def test_dbsize_is_exact_through_every_kind_of_change(self):
        self.ok("MSET", *[part for i in range(500) for part in (f"k{i}", "v")])
        self.integer(500, "DBSIZE")
        self.ok("MSET", *[part for i in range(250, 750) for part in (f"k{i}", "w")])
        self.integer(750, "DBSIZE")
        self.integer(100, "DEL", *[f"k{i}" for i in range(100)])
        self.integer(0, "DEL", *[f"k{i}" for i in range(100)])
        self.integer(650, "DBSIZE")
        self.ok("RENAME", "k100", "k101")
        self.integer(1, "COPY", "k101", "new")
        self.integer(650, "DBSIZE")
        self.server.restart()
        self.assertEqual(self.server.connect().command("DBSIZE"), 650)
        self.server.crash()
        connection = self.server.connect()
        self.assertEqual(connection.command("DBSIZE"), 650)
        connection.command("SET", "one more", "1")
        connection.command("DEL", "k700", "k701")
        self.assertEqual(connection.command("DBSIZE"), 649)

    def test_randomkey_finds_the_only_key_and_all_of_a_few(self):
        self.null("RANDOMKEY")
        self.ok("SET", "only", "1")
        for _ in range(20):
            self.bulk("only", "RANDOMKEY")
        self.ok("MSET", *[part for i in range(5) for part in (f"k{i}", "v")])
        replies = self.connection.pipeline([("RANDOMKEY",)] * 400)
        self.assertEqual(set(replies), {b"only"} | {b"k%d" % i for i in range(5)})

    def test_keys_matches_as_redis_patterns_do(self):
        names = ["hello", "hallo", "hxllo", "hllo", "heello", "h*llo", "a", "b"]
        self.ok("MSET", *[part for name in names for part in (name, "v")])
        for pattern, expected in (
                ("*", names), ("h?llo", ["hello", "hallo", "hxllo", "h*llo"]),
                ("h*llo", ["hello", "hallo", "hxllo", "hllo", "heello", "h*llo"]),
                ("h[ae]llo", ["hello", "hallo"]), ("h[^e]llo", ["hallo", "hxllo", "h*llo"]),
                ("h[a-b]llo", ["hallo"]), ("h\\*llo", ["h*llo"]), ("?", ["a", "b"]),
                ("nothing", []), ("", [])):
            reply = self.call("KEYS", pattern)
            self.assertEqual(sorted(reply), sorted(name.encode() for name in expected), pattern)


class Lives(harness.WireTest):
    def test_a_life_ends_at_its_time_lazily(self):
        started = time.monotonic()
        self.ok("SET", "k", "v", "PX", "300")
        self.bulk("v", "GET", "k")
        self.assertTrue(wait_until(lambda: self.call("GET", "k") != b"v", 5))
        self.assertGreater(time.monotonic() - started, 0.299)
        for command in (["EXISTS", "k"], ["STRLEN", "k"], ["DEL", "k"], ["PERSIST", "k"],
                        ["EXPIRE", "k", "10"]):
            self.integer(0, *command)
        self.integer(-2, "TTL", "k")
        self.assertEqual(self.call("TYPE", "k"), b"none")
        self.assertEqual(self.call("KEYS", "*"), [])
        self.assertEqual(scan_all(self.connection), [])
        self.null("RANDOMKEY")
        self.integer(1, "APPEND", "k", "n")
        self.integer(-1, "TTL", "k")

    def test_ended_keys_are_cleared_away_though_nobody_asks(self):
        self.connection.pipeline([("SET", f"k{i}", "v", "PX", "50") for i in range(1000)])
        self.ok("SET", "stays", "v", "EX", "1000")
        self.assertTrue(wait_until(lambda: self.call("DBSIZE") == 1, 30, 0.05))

    def test_a_longer_life_is_honoured_though_the_first_end_has_passed(self):
        self.ok("SET", "k", "v", "PX", "80")
        self.integer(1, "PEXPIRE", "k", "100000")
        self.ok("SET", "persists", "v", "PX", "80")
        self.integer(1, "PERSIST", "persists")
        self.ok("SET", "witness", "v", "PX", "80")
        self.assertTrue(wait_until(lambda: self.call("DBSIZE") == 2, 30, 0.02))
        self.bulk("v", "GET", "k")
        self.bulk("v", "GET", "persists")

    def test_lives_end_on_time_after_restart_and_kill(self):
        now = int(time.time() * 1000)
        self.ok("SET", "short", "v", "PXAT", now + 1200)
        self.ok("SET", "long", "v", "PXAT", now + 10**9)
        self.server.crash()
        connection = self.server.connect()
        self.assertEqual(connection.command("PEXPIRETIME", "long"), now + 10**9)
        self.server.restart()
        connection = self.server.connect()
        self.assertTrue(wait_until(lambda: connection.command("GET", "short") != b"v" and
                                   connection.command("DBSIZE") == 1, 30, 0.02))
        self.assertGreaterEqual(int(time.time() * 1000), now + 1200)
        self.assertEqual(connection.command("PEXPIRETIME", "long"), now + 10**9)

    def test_a_past_moment_deletes(self):
        for command in (["EXPIRE", "k", "0"], ["EXPIRE", "k", "-1"], ["PEXPIRE", "k", "-5"],
                        ["EXPIREAT", "k", "1"], ["PEXPIREAT", "k", "0"], ["PEXPIREAT", "k", "-1"],
                        ["EXPIRE", "k", "-9223372036854775"]):
            self.ok("SET", "k", "v")
            self.integer(1, *command)
            self.integer(0, "DBSIZE")
            self.integer(0, *command)

    def test_impossible_lives_name_their_command(self):
        self.ok("SET", "k", "v")
        for name, amount in (("EXPIRE", "9223372036854776"), ("EXPIRE", "-9223372036854776"),
                             ("EXPIRE", "9223372036854775"), ("PEXPIRE", "9223372036854775807"),
                             ("EXPIREAT", "9223372036854776")):
            self.fails(f"ERR invalid expire time in '{name.lower()}' command", name, "k", amount)
        self.integer(1, "PEXPIREAT", "k", "9223372036854775807")
        self.integer(9223372036854775807, "PEXPIRETIME", "k")
        self.fails("ERR value is not an integer or out of range", "EXPIRE", "k", "x")

    def test_conditions_on_lives(self):
        self.ok("SET", "k", "v")
        self.integer(0, "EXPIRE", "k", "100", "XX")
        self.integer(0, "EXPIRE", "k", "100", "GT")
        self.integer(1, "EXPIRE", "k", "100", "LT")
        self.integer(0, "EXPIRE", "k", "200", "NX")
        self.integer(0, "EXPIRE", "k", "50", "GT")
        self.integer(1, "EXPIRE", "k", "200", "XX", "GT")
        self.integer(0, "EXPIRE", "k", "300", "lt")
        self.fails("ERR NX and XX, GT or LT options at the same time are not compatible",
                   "EXPIRE", "k", "1", "NX", "XX")
        self.fails("ERR GT and LT options at the same time are not compatible",
                   "EXPIRE", "k", "1", "GT", "LT")
        self.fails("ERR Unsupported option foo", "EXPIRE", "k", "1", "foo")

    def test_seconds_are_rounded_as_redis_rounds_them(self):
        self.ok("SET", "k", "v", "PXAT", "4102444800499")
        self.integer(4102444800, "EXPIRETIME", "k")
        self.ok("SET", "k", "v", "PXAT", "4102444800500")
        self.integer(4102444801, "EXPIRETIME", "k")
        self.ok("SET", "k", "v", "PX", "2900")
        self.integer(3, "TTL", "k")


class Scans(harness.WireTest):
    options = {"checkpoint_interval": 1}

    def fill(self, count, prefix="k"):
        self.connection.pipeline([("SET", f"{prefix}{i}", "v") for i in range(count)])

    def test_an_empty_database_is_over_at_once(self):
        self.assertEqual(self.call("SCAN", "0"), [b"0", []])

    def test_a_small_database_takes_few_calls(self):
        self.fill(5)
        cursor, page = self.call("SCAN", "0", "COUNT", "100")
        self.assertEqual((cursor, sorted(page)), (b"0", [b"k%d" % i for i in range(5)]))

    def test_every_key_is_given_whatever_count_says(self):
        self.fill(3000)
        expected = {b"k%d" % i for i in range(3000)}
        for count in (1, 7, 10, 1000, 100000):
            with self.subTest(count=count):
                self.assertEqual(set(scan_all(self.connection, "COUNT", count)), expected)

    @harness.only_holdfast
    def test_a_still_database_gives_each_key_once(self):
        self.fill(2000)
        keys = scan_all(self.connection, "COUNT", 13)
        self.assertEqual(len(keys), len(set(keys)))

    def test_match_and_type_choose(self):
        self.fill(300)
        self.fill(300, "other")
        self.assertEqual(set(scan_all(self.connection, "MATCH", "k1*")),
                         {b"k%d" % i for i in range(300) if str(i).startswith("1")})
        self.assertEqual(len(set(scan_all(self.connection, "TYPE", "string"))), 600)
        self.assertEqual(len(set(scan_all(self.connection, "TYPE", "STRING", "MATCH", "k*"))), 300)
        self.assertEqual(scan_all(self.connection, "TYPE", "hash"), [])

    def test_wrong_cursors_and_options(self):
        for cursor in ("x", "1x", " 1", "0x1", "99999999999999999999", "1.0"):
            self.fails("ERR invalid cursor", "SCAN", cursor)
        self.fails("ERR syntax error", "SCAN", "0", "COUNT", "0")
        self.fails("ERR syntax error", "SCAN", "0", "COUNT")
        self.fails("ERR value is not an integer or out of range", "SCAN", "0", "COUNT", "x")
        self.fails("ERR syntax error", "SCAN", "0", "FOO", "1")

    def test_any_number_is_a_cursor_that_comes_to_an_end(self):
        self.fill(100)
        for cursor in ("1", "9007199254740991", "18446744073709551615", "1099511627775",
                       "1099511627776", "17592186044416", "-1"):
            calls = 0
            while cursor != b"0" and calls < 300:
                cursor, _ = self.call("SCAN", cursor)
                calls += 1
            self.assertEqual(cursor, b"0")

    def test_what_stays_is_given_while_others_come_and_go(self):
        """Redis's guarantee, with writers at work and checkpoints every second."""
        self.fill(3000)
        stay = {b"k%d" % i for i in range(3000)}
        done = threading.Event()

        def churn(number):
            with resp.Connection(self.server.port) as writer:
                i = 0
                while not done.is_set():
                    i += 1
                    writer.pipeline(
                        [("SET", f"churn{number}:{(i * 7 + j) % 500}", "v") for j in range(10)]
                        + [("DEL", f"churn{number}:{(i * 13 + j) % 500}") for j in range(10)]
                        + [("SET", f"k{(i * 31) % 3000}", i)])

        threads = [threading.Thread(target=churn, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + (2 if harness.SLOW else 4)
            while time.monotonic() < deadline:
                given = set(scan_all(self.connection, "COUNT", 50))
                self.assertEqual(stay - given, set())
                strangers = {k for k in given - stay if not k.startswith(b"churn")}
                self.assertEqual(strangers, set())
        finally:
            done.set()
            for thread in threads:
                thread.join()

    @harness.only_holdfast
    def test_a_cursor_outlives_restarts_and_kills(self):
        self.fill(2000)
        stay = {b"k%d" % i for i in range(2000)}
        given, cursor, calls = set(), b"0", 0
        connection = self.connection
        while True:
            cursor, page = connection.command("SCAN", cursor, "COUNT", "100")
            given |= set(page)
            calls += 1
            if cursor == b"0":
                break
            if calls % 6 == 2:
                self.server.restart(workers=1 + calls % 3)
                connection = self.server.connect()
            if calls % 6 == 5:
                connection.command("SET", f"extra{calls}", "v")
                self.server.crash()
                connection = self.server.connect()
        self.assertEqual(stay - given, set())

    def test_scan_leaves_out_other_databases(self):
        self.fill(50)
        self.ok("SELECT", "3")
        self.fill(50, "three:")
        self.assertEqual(set(scan_all(self.connection)), {b"three:%d" % i for i in range(50)})


class Emptying(harness.WireTest):
    options = {"checkpoint_interval": 1}

    def test_flush_options(self):
        for name in ("FLUSHDB", "FLUSHALL"):
            self.ok(name)
            self.ok(name, "SYNC")
            self.ok(name, "async")
            self.fails("ERR syntax error", name, "FOO")
            self.fails("ERR syntax error", name, "SYNC", "ASYNC")

    def test_flushdb_empties_one_database_and_flushall_all(self):
        for db in (0, 5):
            self.ok("SELECT", db)
            self.ok("MSET", *[part for i in range(100) for part in (f"k{i}", db)])
        self.ok("FLUSHDB")
        self.integer(0, "DBSIZE")
        self.null("GET", "k1")
        self.assertEqual(self.call("KEYS", "*"), [])
        self.ok("SET", "k1", "new")
        self.integer(1, "DBSIZE")
        self.ok("SELECT", "0")
        self.integer(100, "DBSIZE")
        self.ok("FLUSHALL")
        self.integer(0, "DBSIZE")
        self.ok("SELECT", "5")
        self.integer(0, "DBSIZE")
        self.null("GET", "k1")

    def test_emptied_is_empty_after_a_kill_and_what_came_later_stays(self):
        self.connection.pipeline([("SET", f"k{i}", "old") for i in range(2000)])
        self.server.restart()
        connection = self.server.connect()
        connection.pipeline([("SET", f"k{i}", "newer") for i in range(0, 2000, 2)])
        self.assertEqual(connection.command("FLUSHALL"), b"OK")
        connection.pipeline([("SET", f"k{i}", "after") for i in range(0, 10)])
        self.server.crash()
        connection = self.server.connect()
        self.assertEqual(connection.command("DBSIZE"), 10)
        self.assertEqual(sorted(connection.command("KEYS", "*")), [b"k%d" % i for i in range(10)])
        self.assertEqual(set(connection.command("MGET", *[f"k{i}" for i in range(10)])), {b"after"})
        self.assertEqual(connection.command("GET", "k11"), None)
        self.server.restart()
        connection = self.server.connect()
        self.assertEqual(len(scan_all(connection)), 10)
        self.assertEqual(connection.command("DBSIZE"), 10)

    def test_a_database_can_be_emptied_again_and_again_under_load(self):
        done = threading.Event()

        def write(number):
            with resp.Connection(self.server.port) as writer:
                while not done.is_set():
                    writer.pipeline([("SET", f"{number}:{i}", "v") for i in range(50)])

        threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for i in range(30):
            self.ok("FLUSHALL")
        done.set()
        for thread in threads:
            thread.join()
        listed = self.call("KEYS", "*")
        self.integer(len(listed), "DBSIZE")
        self.assertEqual(sorted(scan_all(self.connection)), sorted(listed))
        self.ok("FLUSHALL")
        self.integer(0, "DBSIZE")


if __name__ == "__main__":
    unittest.main()
