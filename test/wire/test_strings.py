"""String commands, one promise a test. test_strings_differential.py covers their combinations."""

import random
import threading
import unittest

import harness
import resp


class Strings(harness.WireTest):
    def test_a_value_comes_back_as_it_was(self):
        for value in (b"", b"x", b"\x00\xff\r\n$3\r\n", b"v" * 70000, bytes(range(256)) * 9):
            self.ok("SET", "k", value)
            self.bulk(value, "GET", "k")
            self.integer(len(value), "STRLEN", "k")

    def test_a_key_may_be_any_bytes_even_none(self):
        for key in (b"", b"\x00", b"\r\n", bytes(range(256)), b"k" * 2048):
            self.ok("SET", key, b"of " + key[:8])
            self.bulk(b"of " + key[:8], "GET", key)
        self.integer(5, "DBSIZE")

    @harness.only_holdfast
    def test_a_key_over_the_limit_is_an_error_in_reads_and_writes(self):
        key = b"k" * 2049
        text = "ERR key is longer than 2048 bytes"
        for command in (["SET", key, "v"], ["GET", key], ["DEL", "a", key], ["EXISTS", key],
                        ["MGET", "a", key], ["MSET", "a", "1", key, "2"], ["INCR", key],
                        ["APPEND", key, "v"], ["RENAME", "a", key], ["EXPIRE", key, "10"],
                        ["TTL", key], ["COPY", "a", key], ["OBJECT", "ENCODING", key]):
            if command[0] == "RENAME":
                self.ok("SET", "a", "1")
            self.fails(text, *command)
        self.bulk("1", "GET", "a")

    def test_set_refuses_contradictions(self):
        for options in (["NX", "XX"], ["EX", "5", "PX", "5"], ["EX", "5", "KEEPTTL"], ["EX"],
                        ["KEEPTTL", "EXAT", "99999999999"], ["FOO"], ["PERSIST"], ["EX", "5", "5"]):
            self.fails("ERR syntax error", "SET", "k", "v", *options)
        for amount in ("0", "-1", "9223372036854775807", "9223372036854776"):
            self.fails("ERR invalid expire time in 'set' command", "SET", "k", "v", "EX", amount)
        self.fails("ERR value is not an integer or out of range", "SET", "k", "v", "PX", "1.5")
        self.null("GET", "k")

    def test_set_says_the_last_of_repeated_options(self):
        self.ok("SET", "k", "v", "EX", "100", "EX", "200")
        self.assertGreater(self.call("TTL", "k"), 150)

    def test_set_with_get_answers_the_old_value_even_when_refused(self):
        self.null("SET", "k", "1", "GET")
        self.bulk("1", "SET", "k", "2", "NX", "GET")
        self.bulk("1", "SET", "k", "2", "XX", "GET")
        self.null("SET", "other", "2", "XX", "GET")
        self.null("GET", "other")
        self.bulk("2", "GET", "k")

    def test_set_with_keepttl_keeps_what_set_alone_ends(self):
        self.ok("SET", "k", "1", "EX", "100")
        self.ok("SET", "k", "2", "KEEPTTL")
        self.assertGreater(self.call("TTL", "k"), 90)
        self.ok("SET", "k", "3")
        self.integer(-1, "TTL", "k")

    def test_setting_a_past_moment_leaves_no_key(self):
        self.ok("SET", "k", "1")
        self.ok("SET", "k", "2", "EXAT", "1")
        self.null("GET", "k")

    def test_getex_changes_only_the_life(self):
        self.ok("SET", "k", "v")
        self.bulk("v", "GETEX", "k")
        self.integer(-1, "TTL", "k")
        self.bulk("v", "GETEX", "k", "EX", "100")
        self.assertGreater(self.call("TTL", "k"), 90)
        self.bulk("v", "GETEX", "k", "PERSIST")
        self.integer(-1, "TTL", "k")
        self.bulk("v", "GETEX", "k", "PXAT", "1")
        self.null("GETEX", "k", "EX", "-1")

    def test_increments_stop_at_the_ends_of_64_bits(self):
        self.ok("SET", "k", "9223372036854775806")
        self.integer(9223372036854775807, "INCR", "k")
        self.fails("ERR increment or decrement would overflow", "INCR", "k")
        self.fails("ERR decrement would overflow", "DECRBY", "k", "-9223372036854775808")
        self.ok("SET", "k", "-9223372036854775807")
        self.integer(-9223372036854775808, "DECR", "k")
        self.fails("ERR increment or decrement would overflow", "DECRBY", "k", "1")
        for value in ("", " 1", "1 ", "01", "+1", "1.0", "9223372036854775808"):
            self.ok("SET", "k", value)
            self.fails("ERR value is not an integer or out of range", "INCR", "k")

    def test_increments_keep_the_life(self):
        self.ok("SET", "k", "1", "EX", "100")
        self.integer(2, "INCR", "k")
        self.bulk("2.5", "INCRBYFLOAT", "k", "0.5")
        self.integer(4, "APPEND", "k", "7")
        self.integer(4, "SETRANGE", "k", "0", "9")
        self.bulk("9.57", "GET", "k")
        self.assertGreater(self.call("TTL", "k"), 90)

    def test_floats_are_written_as_redis_writes_them(self):
        for start, by, end in (("10.50", "0.1", "10.6"), ("5.0e3", "2.0e2", "5200"),
                               ("0", "3.0", "3"), ("1", "-1", "0"), ("3", "1.23e-17",
                               "3.00000000000000001"), ("-0", "-0", "0")):
            self.ok("SET", "k", start)
            self.bulk(end, "INCRBYFLOAT", "k", by)
            self.bulk(end, "GET", "k")
        self.fails("ERR value is not a valid float", "INCRBYFLOAT", "k", "abc")
        self.fails("ERR increment would produce NaN or Infinity", "INCRBYFLOAT", "k", "inf")
        self.fails("ERR value is not a valid float", "INCRBYFLOAT", "k", "1e-5000")

    def test_ranges_at_every_edge(self):
        self.ok("SET", "k", "hello")
        for start in range(-8, 9):
            for end in range(-8, 9):
                first = max(start + 5, 0) if start < 0 else start
                last = min(max(end + 5, 0) if end < 0 else end, 4)
                wrong_way = start < 0 and end < 0 and start > end
                expected = b"" if wrong_way else b"hello"[first:last + 1]
                self.bulk(expected, "GETRANGE", "k", start, end)
        self.bulk("", "GETRANGE", "missing", "0", "-1")

    def test_setrange_fills_with_zeros_and_knows_its_limits(self):
        self.integer(0, "SETRANGE", "k", "5", "")
        self.integer(0, "EXISTS", "k")
        self.integer(7, "SETRANGE", "k", "5", "xy")
        self.bulk(b"\0\0\0\0\0xy", "GET", "k")
        self.integer(7, "SETRANGE", "k", "100", "")
        self.fails("ERR offset is out of range", "SETRANGE", "k", "-1", "x")
        too_long = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        self.fails(too_long, "SETRANGE", "k", str(64 << 20), "x")
        self.fails(too_long, "SETRANGE", "k", "9223372036854775807", "x")

    def test_mset_takes_pairs_only(self):
        self.fails("ERR wrong number of arguments for 'mset' command", "MSET", "a", "1", "b")
        self.fails("ERR wrong number of arguments for 'msetnx' command", "MSETNX", "a", "1", "b")
        self.ok("MSET", "a", "1", "b", "2", "a", "3")
        self.assertEqual(self.call("MGET", "a", "b", "c", "a"), [b"3", b"2", None, b"3"])
        self.integer(0, "MSETNX", "c", "1", "a", "9")
        self.integer(0, "EXISTS", "c")
        self.integer(1, "MSETNX", "c", "1", "d", "9")

    def test_mset_and_mget_over_all_shards_see_each_other_whole(self):
        """Readers run while writers set all keys to one value: no mixture is ever seen."""
        keys = [f"key:{i}" for i in range(40)]
        self.ok("MSET", *[part for key in keys for part in (key, "0")])
        done = threading.Event()
        mixed = []

        def read():
            with resp.Connection(self.server.port) as reader:
                while not done.is_set():
                    values = set(reader.command("MGET", *keys))
                    if len(values) != 1:
                        mixed.append(values)
                        return

        def write(number):
            with resp.Connection(self.server.port) as writer:
                for i in range(60 if harness.SLOW else 300):
                    value = f"{number}:{i}"
                    order = keys if i % 2 else keys[::-1]
                    writer.command("MSET", *[part for key in order for part in (key, value)])

        readers = [threading.Thread(target=read) for _ in range(2)]
        writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in readers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in readers:
            thread.join()
        self.assertEqual(mixed, [])

    def test_increments_of_many_clients_are_all_counted(self):
        each = 100 if harness.SLOW else 500

        def count():
            with resp.Connection(self.server.port) as connection:
                for _ in range(each // 10):
                    connection.pipeline([("INCR", "counter")] * 10)

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.bulk(8 * each, "GET", "counter")

    def test_setnx_lets_one_of_many_win(self):
        wins = []

        def race():
            with resp.Connection(self.server.port) as connection:
                replies = connection.pipeline([("SETNX", f"lock:{i}", "x") for i in range(200)])
                wins.extend(i for i, reply in enumerate(replies) if reply == 1)

        threads = [threading.Thread(target=race) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(wins), list(range(200)))


class LargeValues(harness.WireTest):
    """Values up to `max-value-size`, with the server's own defaults."""

    options = {"log_segment_size": "128mb"}

    def test_values_up_to_the_limit_come_back_and_survive_a_kill(self):
        sizes = [65535, 65536, 65537, (1 << 20) + 1, 16 << 20]
        if not harness.SLOW:
            sizes.append(64 << 20)
        for size in sizes:
            value = (b"%d|" % size * (size // 4 + 1))[:size]
            self.ok("SET", f"large:{size}", value)
            self.assertTrue(self.call("GET", f"large:{size}") == value)
        self.server.crash()
        connection = self.server.connect()
        for size in sizes:
            value = (b"%d|" % size * (size // 4 + 1))[:size]
            self.assertTrue(connection.command("GET", f"large:{size}") == value, size)
            self.assertEqual(connection.command("STRLEN", f"large:{size}"), size)

    def test_a_part_of_a_long_value_is_the_same_in_memory_and_from_the_disk(self):
        value = bytes(random.Random(7).randbytes(300_000))
        self.ok("SET", "k", value)
        ranges = [(0, 0), (0, 65535), (65530, 65560), (131000, 262200), (-10, -1), (-70000, 99999999),
                  (299_999, 299_999), (300_000, 300_001), (5, 4)]

        def check(connection):
            for start, end in ranges:
                stop = len(value) if end == -1 else end + 1
                self.assertEqual(connection.command("GETRANGE", "k", start, end),
                                 value[start:stop], (start, end))

        check(self.connection)
        self.server.stop()
        self.server.start()
        check(self.server.connect())

    def test_a_value_cannot_be_made_longer_than_the_limit(self):
        limit = 64 << 20
        self.integer(limit, "SETRANGE", "k", limit - 1, "x")
        text = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        self.fails(text, "APPEND", "k", "x")
        self.fails(text, "SETRANGE", "k", limit, "x")
        self.integer(limit, "STRLEN", "k")

    def test_an_argument_over_the_limit_ends_the_connection(self):
        self.connection.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % ((64 << 20) + 1))
        self.assertEqual(self.connection.read(), b"ERR Protocol error: invalid bulk length")
        self.assertTrue(self.connection.is_closed())
        self.is_undisturbed()


@harness.only_holdfast
class DefaultSizes(harness.Case):
    """What the defaults promise without any parameter being set."""

    def test_the_largest_value_fits_into_the_log(self):
        server = harness.Server(log_segment_size="64mb", max_value_size="64mb")
        self.addCleanup(server.close)
        server.start()
        value = b"v" * (64 << 20)
        self.assertEqual(server.connect().command("SET", "k", value), b"OK")
        server.crash()
        self.assertTrue(server.connect().command("GET", "k") == value)


if __name__ == "__main__":
    unittest.main()
