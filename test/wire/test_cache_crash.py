"""The cache and kill -9: what was ended stays ended, what is there is whole and its own, and all of
it comes back but the last moments. After a clean stop all does."""

import threading
import time
import unittest
import zlib

import harness
import resp
from cache_case import CacheTest, scan_cache

ROUNDS = 5
WRITERS = 3
LOSS_SECONDS = 1.5  # what was answered so long before the kill must be there; syncs take far less


def value_of(key, number):
    """A value that says whose it is and whether it is whole."""
    body = f"{key}|{number}|".encode() + b"." * (number * 37 % 3000)
    return body + b"%08x" % zlib.crc32(body)


def read_value(key, value):
    """The number; fails when the value is torn or another key's."""
    body, check = value[:-8], value[-8:]
    assert check == b"%08x" % zlib.crc32(body), (key, value[:60])
    name, number, _ = body.split(b"|")
    assert name == key, (key, name)
    return int(number)


class Writer(threading.Thread):
    """Sets, deletes and invalidates keys of its own until the server is gone. `set_at` has when the
    reply of each key's last set came, `ended` the lowest number that a key may have again."""

    def __init__(self, server, name, start):
        super().__init__()
        self.server, self.name, self.number = server, name, start
        self.set_at, self.numbers, self.ended = {}, {}, {}

    def run(self):
        try:
            with resp.Connection(self.server.port) as connection:
                while True:
                    self.write(connection)
        except (resp.Closed, OSError):
            pass

    def write(self, connection):
        self.number += 1
        keys = [f"{self.name}:{(self.number + step) % 300}" for step in range(20)]
        for key in keys:
            self.set_at.pop(key, None)
        connection.pipeline([
            ("CACHE.SET", key, value_of(key, self.number), "TTL", 10_000, "TAGS", 1, f"tag{key}")
            for key in keys])
        for key in keys:
            self.numbers[key], self.set_at[key] = self.number, time.monotonic()
        if self.number % 5 == 0:
            self.end(connection, keys[self.number % 20])

    def end(self, connection, key):
        how = {0: ("CACHE.DEL", key), 1: ("CACHE.INVALIDATE", "TAG", f"tag{key}"),
               2: ("CACHE.INVALIDATE", "KEY", key)}[self.number // 5 % 3]
        self.set_at.pop(key, None)
        connection.command(*how)
        self.ended[key] = self.number + 1


class Crashes(CacheTest):
    def test_values_are_whole_and_what_was_ended_does_not_come_back(self):
        ended, start, lost = {}, 0, 0
        for round_number in range(ROUNDS):
            writers = [Writer(self.server, f"w{number}", start) for number in range(WRITERS)]
            for writer in writers:
                writer.ended = {key: value for key, value in ended.items()
                                if key.startswith(writer.name + ":")}
                writer.start()
            time.sleep(0.5 + 0.4 * (round_number % 4))
            killed = time.monotonic()
            self.server.kill()
            for writer in writers:
                writer.join()
                ended.update(writer.ended)
            start = max(writer.number for writer in writers) + 1
            self.server.start()
            self.reconnect()
            listed = [key for key in scan_cache(self.connection, "COUNT", 1000)
                      if key.startswith(tuple(f"{writer.name}:".encode() for writer in writers))]
            self.assertEqual(len(listed), len(set(listed)))
            found = {}
            for writer in writers:
                keys = [f"{writer.name}:{number}" for number in range(300)]
                for key, value in zip(keys, self.call("CACHE.MGET", *keys)):
                    if isinstance(value, bytes):
                        found[key] = read_value(key.encode(), value)
                        self.assertGreaterEqual(found[key], ended.get(key, 0), key)
                    elif killed - writer.set_at.get(key, killed) > LOSS_SECONDS:
                        lost += 1
            self.assertEqual(set(listed), {key.encode() for key in found})
            self.assertEqual(sum(self.stats(writer.name + ":")["entries"] for writer in writers),
                             len(found), "what MGET found dead is dropped")
        self.assertEqual(lost, 0)
        self.assertGreater(len(ended), 20)
        self.assertGreater(len(found), 100)

    def test_what_is_durable_survives_and_what_ended_does_not(self):
        """In both tiers: the store alone has it after a restart, memory once it was read."""
        keys = {}
        for what in ("DEL", "KEY", "TAG", "PREFIX", "SOFT KEY", "SOFT TAG", "SOFT PREFIX", "stays"):
            keys[what] = self.key(what)
            self.ok("CACHE.SET", keys[what], value_of(keys[what], 1), "TTL", 1000, "TAGS", 1,
                    "tag" + keys[what])
        absent = self.key("absent")
        self.ok("CACHE.ABSENT", absent, self.gets("lead", absent).token, "TTL", 1000)
        self.all_durable()
        self.server.crash()
        self.reconnect()
        for key in keys.values():
            self.gets("fresh", key, value=value_of(key, 1))
        self.gets("absent", absent)
        # Replies of what ends entries mean that it is on disk: killed at once.
        for what, key in keys.items():
            name = {"TAG": "tag" + key}.get(what.split(" ")[-1], key)
            if what == "DEL":
                self.integer(1, "CACHE.DEL", key)
            elif what != "stays":
                soft = ["SOFT"] if "SOFT" in what else []
                self.ok("CACHE.INVALIDATE", what.split(" ")[-1], name, *soft)
        self.server.crash()
        self.reconnect()
        for again in range(2):
            for what, key in keys.items():
                with self.subTest(what=what, again=again):
                    if what == "stays":
                        self.gets("fresh", key, value=value_of(key, 1))
                    elif "SOFT" in what:
                        self.null("CACHE.GET", key)
                        self.gets("stale" if again else "refresh", key, value=value_of(key, 1))
                    else:
                        self.null("CACHE.GET", key)
                        self.gets("busy" if again else "lead", key, "WAIT", 0)

    def test_a_value_that_is_set_after_an_invalidation_stays_after_a_crash(self):
        keys = [self.key() for _ in range(8)]
        for key in keys:
            self.ok("CACHE.INVALIDATE", "TAG", "again" + key)
            self.ok("CACHE.SET", key, "v", "TTL", 1000, "TAGS", 1, "again" + key)
        self.all_durable()
        self.server.crash()
        self.reconnect()
        for key in keys:
            self.gets("fresh", key, value="v")
            self.ok("CACHE.INVALIDATE", "TAG", "again" + key)
            self.null("CACHE.GET", key)

    def test_after_a_clean_stop_all_is_there_at_once(self):
        prefix = self.key("")
        names = [f"{prefix}{number}" for number in range(2000)]
        self.connection.pipeline([("CACHE.SET", name, value_of(name, 7), "TTL", 1000, "STALE", 2000,
                                   "TAGS", 2, "a", prefix) for name in names])
        before = self.stats(prefix)
        self.server.restart()
        self.reconnect()
        for name, value in zip(names, self.call("CACHE.MGET", *names)):
            self.assertEqual(read_value(name.encode(), value), 7)
        self.assertEqual(sorted(scan_cache(self.connection, "PREFIX", prefix)),
                         sorted(name.encode() for name in names))
        after = self.stats(prefix)
        for field in ("entries", "bytes", "without-ttl"):
            self.assertEqual(after[field], before[field])
        info = self.info(names[0])
        self.assertEqual((info["ttl-ms"], info["stale-ms"], info["tags"]),
                         (1_000_000, 2_000_000, [b"a", prefix.encode()]))
        self.ok("CACHE.INVALIDATE", "TAG", prefix)
        self.assertEqual(self.call("CACHE.MGET", *names), [None] * len(names))

    def test_bounds_hold_after_a_crash_under_pressure(self):
        server = harness.Server(cache_disk="2mb", cache_memory="1mb").start()
        self.addCleanup(server.close)
        for round_number in range(2):
            with resp.Connection(server.port) as connection:
                for start in range(0, 6000, 200):
                    connection.pipeline([("CACHE.SET", f"p{round_number}:{number}", b"v" * 600)
                                         for number in range(start, start + 200)])
            server.crash()
        with resp.Connection(server.port) as connection:
            stats = dict(zip(*[iter(connection.command("CACHE.STATS"))] * 2))
            self.assertLessEqual(stats[b"bytes"], 2 << 20)
            self.assertGreater(stats[b"bytes"], 1 << 20)
            keys = scan_cache(connection, "COUNT", 10_000)
            self.assertEqual(stats[b"entries"], len(keys))
            self.assertEqual(stats[b"bytes"], sum(len(key) + 64 + 600 for key in keys))
            connection.command("CACHE.DEL", *keys)
            stats = dict(zip(*[iter(connection.command("CACHE.STATS"))] * 2))
            self.assertEqual((stats[b"entries"], stats[b"bytes"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
