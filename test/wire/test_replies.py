"""Long replies and long pipelines: who reads gets everything, what would be too long is refused before
it is made, and nobody else waits for either."""

import random
import socket
import unittest

import harness
import object_case
import resp
from harness import only_holdfast

MIB = 1 << 20


def value_of(number, size=MIB):
    return (b"%d:" % number) * (size // len(b"%d:" % number))


class Strings(harness.WireTest):
    def setUp(self):
        super().setUp()
        self.values = {b"big%d" % i: value_of(i) for i in range(32)}
        for key, value in self.values.items():
            self.ok("SET", key, value)

    def test_who_reads_gets_a_pipeline_of_large_replies(self):
        keys = [random.choice(list(self.values)) for _ in range(300)]
        replies = self.connection.pipeline([("GET", key) for key in keys])
        self.assertEqual(replies, [self.values[key] for key in keys])

    def test_who_reads_slowly_gets_it_too(self):
        reader = self.server.connect()
        keys = [random.choice(list(self.values)) for _ in range(40)]
        for key in keys:
            reader.send("GET", key)
        for key in keys:
            self.assertEqual(self.call("PING"), b"PONG")
            self.assertEqual(reader.read(), self.values[key])

    def test_one_reply_of_many_large_values_is_of_one_moment(self):
        keys = list(self.values) * 3 + [b"absent"]
        random.shuffle(keys)
        self.assertEqual(self.call("MGET", *keys), [self.values.get(key) for key in keys])

    def test_a_write_in_between_is_seen_whole_or_not_at_all(self):
        writer, reader = self.server.connect(), self.server.connect()
        keys = list(self.values)
        old = [self.values[key] for key in keys]
        new = [value_of(1000 + i, 1000) for i in range(len(keys))]
        for _ in range(3):
            for values in (new, old):
                pairs = [word for pair in zip(keys, values) for word in pair]
                reader.send("MGET", *keys)
                if values is new:
                    writer.command("MSET", *pairs)
                else:
                    for key, value in zip(keys, values):
                        writer.command("SET", key, value)
                    reader.read()
                    continue
                self.assertIn(reader.read(), (old, new))

    @only_holdfast
    def test_a_reply_that_would_be_too_long_is_refused_and_the_rest_goes_on(self):
        self.ok("CONFIG", "SET", "client-output-limit", "8mb")
        try:
            keys = list(self.values)
            replies = self.connection.pipeline([("MGET", *keys), ("MGET", *keys[:7]),
                                                ("STRLEN", keys[0])])
            self.assertRegex(str(replies[0]), "ERR the reply would be longer than 8388608 bytes")
            self.assertEqual(replies[1], [self.values[key] for key in keys[:7]])
            self.assertEqual(replies[2], len(self.values[keys[0]]))
        finally:
            self.ok("CONFIG", "SET", "client-output-limit", "512mb")


class Listings(harness.WireTest):
    def test_keys_gives_each_of_many_once(self):
        names = [b"k%d" % i for i in range(20000)]
        for start in range(0, len(names), 1000):
            self.ok("MSET", *[word for name in names[start:start + 1000] for word in (name, b"v")])
        self.assertEqual(sorted(self.call("KEYS", "*")), sorted(names))
        self.assertEqual(len(self.call("KEYS", "k1*1")), len(
            [name for name in names if name.startswith(b"k1") and name.endswith(b"1")
             and len(name) > 2]))
        self.integer(len(names), "DBSIZE")
        self.assertIn(b"db0:keys=%d," % len(names), self.call("INFO", "keyspace"))
        self.ok("FLUSHALL")
        self.assertEqual(self.call("KEYS", "*"), [])
        self.integer(0, "DBSIZE")


@only_holdfast
class Objects(object_case.ObjectTest):
    COUNT = 3000

    def setUp(self):
        super().setUp()
        self.identity = self.fresh()
        self.values = {b"key%05d" % i: value_of(i, 1000 + 7 * (i % 100))
                       for i in range(self.COUNT)}
        pairs = [word for pair in self.values.items() for word in pair]
        for start in range(0, len(pairs), 1000):
            self.ok("DO.PUT", "Plain", self.identity, *pairs[start:start + 1000])

    def flat(self, keys):
        return [word for key in keys for word in (key, self.values[key])]

    def test_a_long_list_has_everything_in_order(self):
        keys = sorted(self.values)
        self.assertEqual(self.call("DO.LIST", "Plain", self.identity), self.flat(keys))
        self.assertEqual(self.call("DO.LIST", "Plain", self.identity, "REVERSE"),
                         self.flat(keys[::-1]))
        self.assertEqual(self.call("DO.LIST", "Plain", self.identity, "KEYS"), keys)

    def test_a_long_list_keeps_to_its_bounds(self):
        keys = sorted(self.values)
        for reverse in (False, True):
            options = ("REVERSE",) if reverse else ()
            chosen = keys[10:2900][::-1] if reverse else keys[10:2900]
            self.assertEqual(
                self.call("DO.LIST", "Plain", self.identity, "START", keys[10], "END", keys[2900],
                          *options), self.flat(chosen))
            self.assertEqual(
                self.call("DO.LIST", "Plain", self.identity, "START", keys[10], "END", keys[2900],
                          "LIMIT", 2500, *options), self.flat(chosen[:2500]))

    def test_many_values_are_got_in_the_order_asked_for(self):
        keys = random.sample(sorted(self.values), self.COUNT) + [b"absent"]
        self.assertEqual(self.call("DO.GET", "Plain", self.identity, *keys),
                         [self.values.get(key) for key in keys])

    def test_a_list_beyond_the_limit_is_refused(self):
        self.ok("CONFIG", "SET", "client-output-limit", "1mb")
        try:
            for command in (("DO.LIST",), ("DO.LIST", "PREFIX", "key"),
                            ("DO.GET", *sorted(self.values))):
                reply = self.call(command[0], "Plain", self.identity, *command[1:])
                self.assertRegex(str(reply), "ERR the reply would be longer than 1048576 bytes")
            self.assertEqual(len(self.call("DO.LIST", "Plain", self.identity, "LIMIT", 100)), 200)
        finally:
            self.ok("CONFIG", "SET", "client-output-limit", "512mb")

    def test_calls_wait_their_turn_behind_a_long_list(self):
        reader, writer = self.server.connect(), self.server.connect()
        reader.send("DO.LIST", "Plain", self.identity, "KEYS")
        writer.send("DO.DELETEALL", "Plain", self.identity)
        self.assertIn(len(reader.read()), (0, self.COUNT))
        self.assertEqual(writer.read(), self.COUNT)


@only_holdfast
class Many(object_case.ObjectTest):
    """Commands with so many keys that their turns pause."""

    COUNT = 10000 if harness.SLOW else 20000

    def setUp(self):
        super().setUp()
        self.keys = [b"many%05d" % i for i in range(self.COUNT)]
        self.pairs = [word for key in self.keys for word in (key, b"of " + key)]
        self.values = [b"of " + key for key in self.keys]

    def test_strings(self):
        self.assertEqual(self.call("MSETNX", *self.pairs), 1)
        self.assertEqual(self.call("MSETNX", "fresh", "value", *self.pairs), 0)
        self.assertEqual(self.call("MGET", *self.keys, "fresh"), self.values + [None])
        self.assertEqual(self.call("EXISTS", *self.keys, "fresh", *self.keys), 2 * self.COUNT)
        self.ok("MSET", *self.pairs[:self.COUNT], *self.pairs)
        self.assertEqual(self.call("DBSIZE"), self.COUNT)
        self.assertEqual(self.call("DEL", *self.keys, "fresh", *self.keys), self.COUNT)
        self.assertEqual(self.call("DBSIZE"), 0)

    def test_a_change_of_many_keys_is_seen_whole(self):
        writer = self.server.connect()
        chosen = self.keys[::1000]
        for value in (b"1", b"2", b"3"):
            writer.send("MSET", *[word for key in self.keys for word in (key, value)])
            for _ in range(20):
                self.assertEqual(len(set(self.call("MGET", *chosen))), 1)
            self.assertEqual(writer.read(), b"OK")
            self.assertEqual(set(self.call("MGET", *chosen)), {value})

    def test_what_many_keys_got_survives_a_kill(self):
        self.ok("MSET", *self.pairs)
        self.server.crash()
        self.reconnect()
        self.assertEqual(self.call("MGET", *self.keys), self.values)

    def test_objects(self):
        identity = self.fresh()
        self.ok("DO.PUT", "Plain", identity, *self.pairs)
        self.assertEqual(self.call("DO.GET", "Plain", identity, *self.keys, "absent"),
                         self.values + [None])
        self.assertEqual(self.call("DO.LIST", "Plain", identity), self.pairs)
        self.assertEqual(self.call("DO.LIST", "Plain", identity, "LIMIT", self.COUNT - 1, "KEYS"),
                         self.keys[:-1])
        self.assertEqual(self.call("DO.DEL", "Plain", identity, *self.keys[1:], "absent"),
                         self.COUNT - 1)
        self.assertEqual(self.call("DO.LIST", "Plain", identity), self.pairs[:2])

    def test_an_ended_object_that_is_written_anew_has_only_what_is_new(self):
        identity = self.fresh()
        self.ok("DO.PUT", "Plain", identity, "old", "value")
        self.assertEqual(self.call("DO.EXPIRE", "Plain", identity, 1), 1)
        self.soon(lambda: self.call("DO.TTL", "Plain", identity) == -2)
        self.ok("DO.PUT", "Plain", identity, *self.pairs)
        self.assertEqual(self.call("DO.LIST", "Plain", identity), self.pairs)

    def test_sessions(self):
        ids = [b"session-%017d" % i for i in range(self.COUNT)]
        replies = self.connection.pipeline([("SESSION.SET", one, "1") for one in ids])
        self.assertEqual(replies, [1] * self.COUNT)
        self.assertEqual(self.call("SESSION.EXISTS", *ids, *ids), 2 * self.COUNT)
        self.assertEqual(self.call("SESSION.DEL", *ids, *ids), self.COUNT)
        self.assertEqual(self.call("SESSION.EXISTS", *ids), 0)

    def test_the_cache(self):
        keys = self.keys[:10000]
        values = [b"value of %s " % key + b"v" * 2000 for key in keys]
        self.connection.pipeline([("CACHE.SET", key, value, "TAGS", "1", "all")
                                  for key, value in zip(keys, values)])
        self.assertEqual(self.call("CACHE.MGET", *keys), values)
        self.ok("CACHE.INVALIDATE", "TAG", "all")
        self.assertEqual(self.call("CACHE.MGET", *keys), [None] * len(keys))
        self.connection.pipeline([("CACHE.SET", key, value) for key, value in zip(keys, values)])
        self.assertEqual(self.call("CACHE.DEL", *keys, *keys), len(keys))
        self.assertEqual(self.call("CACHE.MGET", *keys), [None] * len(keys))


@only_holdfast
class Pipelines(harness.WireTest):
    def flood(self, command, count):
        """A connection that has sent so many commands and reads nothing."""
        flood = self.server.connect()
        flood.socket.setblocking(False)
        rest = command * count
        while rest:
            try:
                rest = rest[flood.socket.send(rest):]
            except BlockingIOError:
                break
        return flood

    def test_others_are_served_while_somebody_floods(self):
        for command in (b"CONFIG GET *\r\n", b"COMMAND INFO set\r\n", b"NOSUCH\r\n", b"PING\r\n",
                        b"COMMAND DOCS\r\n"):
            with self.subTest(command):
                flood = self.flood(command, 10000 if harness.SLOW else 100000)
                self.assertEqual(self.call("PING"), b"PONG")
                self.ok("SET", "a", "1")
                flood.close()

    def test_memory_has_a_bound_whoever_does_not_read(self):
        self.ok("CONFIG", "SET", "output-memory", "32mb")
        try:
            self.ok("SET", "big", value_of(1, 8 * MIB))
            before = self.server.memory_bytes()
            floods = [self.flood(b"GET big\r\n" * 10, 10) for _ in range(30)]
            self.assertEqual(self.call("PING"), b"PONG")
            if not harness.SLOW:
                self.assertLess(self.server.memory_bytes() - before, 150 * MIB)
            self.assertTrue(harness.wait_until(
                lambda: "over output-memory" in self.server.log()))
            for flood in floods:
                flood.close()
        finally:
            self.ok("CONFIG", "SET", "output-memory", "auto")


if __name__ == "__main__":
    unittest.main()
