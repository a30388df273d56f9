"""What watches a Redis finds here what it reads there: every field of INFO, CONFIG, CLIENT LIST, SLOWLOG
and LATENCY that a redis-server of the same machine has, but for those that would have to be invented."""

import re
import shutil
import subprocess
import unittest

import harness

# Fields of INFO that say nothing true of this server.
NOT_TOLD = {
    "lru_clock": "keys bear no time of their last use",
    "allocator_resident": "malloc does not say what of its memory is resident",
    "allocator_rss_bytes": "as allocator_resident",
    "allocator_rss_ratio": "as allocator_resident",
    "rss_overhead_bytes": "as allocator_resident",
    "rss_overhead_ratio": "as allocator_resident",
    "current_save_keys_processed": "a checkpoint counts its keys when it has ended",
    "current_save_keys_total": "as current_save_keys_processed",
    "rdb_last_load_keys_expired": "a start reads the log behind the last checkpoint, not keys",
    "rdb_last_load_keys_loaded": "as rdb_last_load_keys_expired",
    "expired_stale_perc": "nothing samples what has expired and stands",
    "expired_time_cap_reached_count": "expiry has no time of its own to use up",
    "expire_cycle_cpu_milliseconds": "as expired_time_cap_reached_count",
    "reply_buffer_shrinks": "replies have no buffer of a size that changes by itself",
    "reply_buffer_expands": "as reply_buffer_shrinks",
}
# Secrets that nobody needs to read back.
CONFIG_NOT_TOLD = {"tls-key-file-pass", "tls-client-key-file-pass"}


def redis_version():
    if shutil.which("redis-server") is None:
        return ""
    done = subprocess.run(["redis-server", "--version"], stdout=subprocess.PIPE, text=True, check=False)
    match = re.search(r"v=(\d+\.\d+)", done.stdout)
    return match.group(1) if match else ""


def fields_of(text):
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


@harness.only_holdfast
@unittest.skipUnless(redis_version() == "7.0", "redis-server 7.0 is the judge, and is not here")
class Watched(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.connections = {}
        for program in ("redis", harness.PROGRAM):
            server = harness.Server(program=program)
            cls.addClassCleanup(server.close)
            server.start()
            connection = cls.connections[program] = server.connect()
            # The same life for both.
            connection.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
            connection.command("CONFIG", "SET", "latency-monitor-threshold", 1)
            for i in range(200):
                connection.command("SET", f"k{i}", "v", "EX", 100 + i)
            connection.command("INCR", "k1")
            connection.command("NOSUCH")
            connection.command("GET")
        cls.redis, cls.ours = cls.connections.values()

    def test_info_has_what_redis_has(self):
        theirs, ours = (fields_of(connection.command("INFO", "ALL"))
                        for connection in (self.redis, self.ours))
        self.assertEqual(set(theirs) - set(ours), set(NOT_TOLD))
        # A number is a number, and a list of named values one of the same names.
        number = re.compile(r"-?[\d.]+(e[+-]\d+)?%?$")
        for name in set(theirs) & set(ours):
            with self.subTest(name):
                if number.match(theirs[name]):
                    self.assertRegex(ours[name], number)
                elif "=" in theirs[name]:
                    self.assertEqual(re.findall(r"([^=,]+)=", ours[name]),
                                     re.findall(r"([^=,]+)=", theirs[name]))
        self.assertEqual(theirs["errorstat_ERR"], ours["errorstat_ERR"])
        self.assertEqual(theirs["total_error_replies"], ours["total_error_replies"])
        for name in ("cmdstat_set", "cmdstat_incr", "cmdstat_get"):
            strip = re.compile(r"usec(_per_call)?=[\d.]+,")
            self.assertEqual(strip.sub("", ours[name]), strip.sub("", theirs[name]))

    def test_the_average_of_lives_is_near_to_what_it_is(self):
        ours = re.match(r"keys=200,expires=200,avg_ttl=(\d+)$",
                        fields_of(self.ours.command("INFO", "keyspace"))["db0"])
        self.assertTrue(ours)
        self.assertAlmostEqual(int(ours.group(1)), 200000, delta=50000)

    def test_config_has_what_redis_has(self):
        theirs, ours = (set(connection.command("CONFIG", "GET", "*")[::2])
                        for connection in (self.redis, self.ours))
        self.assertEqual({name.decode() for name in theirs - ours}, CONFIG_NOT_TOLD)

    def test_lists_of_clients_have_the_same_fields_in_the_same_order(self):
        theirs, ours = ([word.split("=")[0] for word in
                         connection.command("CLIENT", "LIST").decode().splitlines()[0].split(" ")]
                        for connection in (self.redis, self.ours))
        self.assertEqual([name for name in ours if name not in ("lib-name", "lib-ver")], theirs)

    def test_slow_and_late_commands_have_the_same_shape(self):
        def shape(value):
            return [shape(one) for one in value] if isinstance(value, list) else type(value)
        theirs, ours = (connection.command("SLOWLOG", "GET", 1)
                        for connection in (self.redis, self.ours))
        self.assertEqual(shape(ours), shape(theirs))
        for connection in (self.redis, self.ours):
            self.assertIsInstance(connection.command("SLOWLOG", "LEN"), int)
            self.assertIsInstance(connection.command("LATENCY", "LATEST"), list)
            histogram = connection.command("LATENCY", "HISTOGRAM", "set")
            self.assertEqual((histogram[0], histogram[1][:2]), (b"set", [b"calls", 200]))

    def test_all_numbers_of_info_are_finite(self):
        for value in fields_of(self.ours.command("INFO", "EVERYTHING")).values():
            self.assertNotRegex(value, r"(^|=)-?(nan|inf)")


if __name__ == "__main__":
    unittest.main()
