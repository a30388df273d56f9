"""Names that are made to meet in a hash table: commands over tens of thousands of them do what they do
over any others, and SCAN hands out no more at a time.

The names met in XXH3 under its published secret, which the server once used for its tables. XXH3
multiplies the two halves of the last 16 bytes, each combined with 8 bytes of the secret first: a half
that equals its part of the secret becomes 0, and what the other half holds no longer matters. Nobody can
make such names for a hash whose secret is random. What they cost is for who runs this by hand to see:
nothing here looks at a clock."""

import time
import unittest

import harness

# Bytes 16 to 23 of XXH3's secret.
SECRET = bytes.fromhex("ded46de9839097db")
COUNT = 40000


def names(count=COUNT, prefix="evil:"):
    """All of one XXH3, with whatever stands in front, as long as that makes less than 128 bytes."""
    start = prefix.encode().ljust(56, b".") + SECRET
    return [start + b"%08d" % i for i in range(count)]


@harness.only_holdfast
class Collisions(harness.WireTest):
    def setUp(self):
        super().setUp()
        self.connection = self.server.connect(timeout=120)
        self.command = self.connection.command
        self.addCleanup(self.show, time.monotonic())

    def show(self, started):
        print(f"# {self.id()}: {time.monotonic() - started:.2f} s")

    def test_mset_and_mget(self):
        keys = names()
        self.assertEqual(self.command("MSET", *[word for key in keys for word in (key, key[-8:])]),
                         b"OK")
        self.assertEqual(self.command("MGET", *keys), [key[-8:] for key in keys])
        self.assertEqual(self.command("DBSIZE"), COUNT)
        self.assertEqual(self.command("DEL", *keys), COUNT)

    def test_scan_gives_few_at_a_time(self):
        keys = names()
        self.command("MSET", *[word for key in keys for word in (key, b"v")])
        cursor, seen, largest = b"0", [], 0
        while True:
            cursor, page = self.command("SCAN", cursor, "COUNT", 10)
            seen += page
            largest = max(largest, len(page))
            if cursor == b"0":
                break
        self.assertLess(largest, 100)
        self.assertEqual(sorted(seen), keys)

    def test_one_object_s_storage(self):
        keys = names()
        self.command("DO.PUT", "Cart", "one", *[word for key in keys for word in (key, b"v")])
        self.assertEqual(self.command("DO.GET", "Cart", "one", *keys), [b"v"] * COUNT)
        self.assertEqual(self.command("DO.DEL", "Cart", "one", *keys), COUNT)

    def test_objects(self):
        pages = [names(5000, f"page{i}") for i in range(4)]
        for page in pages:
            self.connection.pipeline([("DO.PUT", "Cart", name, "k", "v") for name in page])
            self.assertEqual(self.connection.pipeline([("DO.GET", "Cart", name, "k")
                                                       for name in page]), [b"v"] * len(page))

    def test_channels(self):
        channels = names(20000)
        self.connection.send("SUBSCRIBE", *channels)
        for i, channel in enumerate(channels):
            self.assertEqual(self.connection.read(), [b"subscribe", channel, i + 1])
        with_words = self.server.connect()
        self.assertEqual(with_words.command("PUBLISH", channels[-1], "hello"), 1)
        self.assertEqual(self.connection.read(), [b"message", channels[-1], b"hello"])
        self.connection.send("UNSUBSCRIBE")
        for _ in channels:
            self.connection.read()

    def test_the_cache(self):
        keys = names(10000)
        tags = names(10000, "tag:")
        self.connection.pipeline([("CACHE.SET", key, "v", "TTL", 60, "TAGS", 1, tag)
                                  for key, tag in zip(keys, tags)])
        self.assertEqual(self.command("CACHE.MGET", *keys), [b"v"] * len(keys))
        self.connection.pipeline([("CACHE.INVALIDATE", "TAG", tag) for tag in tags])
        self.assertEqual(self.command("CACHE.MGET", *keys), [None] * len(keys))

    def test_leases_and_sessions(self):
        ids = names(10000, "id")
        self.connection.pipeline([("SESSION.CREATE", "ID", name, "USER", name) for name in ids])
        self.assertEqual(self.command("SESSION.COUNT"), len(ids))
        leases = self.connection.pipeline([("SESSION.LEASE", name, name) for name in ids])
        self.assertTrue(all(token for token, _ in leases))
        cursor, seen, largest = b"0", 0, 0
        while True:
            cursor, page = self.command("SESSION.SCAN", cursor, "COUNT", 10)
            seen += len(page)
            largest = max(largest, len(page))
            if cursor == b"0":
                break
        self.assertEqual(seen, len(ids))
        self.assertLess(largest, 100)


@harness.only_holdfast
class Orders(harness.Case):
    """The order of SCAN is each data directory's own, and stays."""

    def order(self, server):
        connection = server.connect()
        connection.command("MSET", *[word for i in range(50) for word in (f"k{i}", "v")])
        return harness.scan_all(connection)

    def test_two_directories_have_two_orders(self):
        servers = [harness.Server(shards=1) for _ in range(2)]
        for server in servers:
            self.addCleanup(server.close)
            server.start()
        first, second = map(self.order, servers)
        self.assertEqual(sorted(first), sorted(second))
        self.assertNotEqual(first, second)
        servers[0].crash()
        self.assertEqual(harness.scan_all(servers[0].connect()), first)
        servers[0].restart()
        self.assertEqual(harness.scan_all(servers[0].connect()), first)


if __name__ == "__main__":
    unittest.main()
