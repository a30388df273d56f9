"""Reply types: each command's reply in RESP2 and in RESP3, byte for byte what Redis sends."""

import unittest

import harness
import resp


class Types(harness.WireTest):
    # A command, its reply in RESP2, its reply in RESP3 (None: the same).
    REPLIES = (
        (["SET", "k", "v"], b"+OK\r\n", None),
        (["GET", "k"], b"$1\r\nv\r\n", None),
        (["GET", "none"], b"$-1\r\n", b"_\r\n"),
        (["SET", "k", "w", "NX"], b"$-1\r\n", b"_\r\n"),
        (["SET", "k", "w", "GET"], b"$1\r\nv\r\n", None),
        (["SET", "new", "w", "XX", "GET"], b"$-1\r\n", b"_\r\n"),
        (["GETSET", "none", "x"], b"$-1\r\n", b"_\r\n"),
        (["GETDEL", "none"], b"$1\r\nx\r\n", None),
        (["GETDEL", "none"], b"$-1\r\n", b"_\r\n"),
        (["GETEX", "none"], b"$-1\r\n", b"_\r\n"),
        (["MGET", "k", "none"], b"*2\r\n$1\r\nw\r\n$-1\r\n", b"*2\r\n$1\r\nw\r\n_\r\n"),
        (["MSET", "a", "1"], b"+OK\r\n", None),
        (["MSETNX", "a", "1"], b":0\r\n", None),
        (["SETNX", "a", "1"], b":0\r\n", None),
        (["APPEND", "a", "0"], b":2\r\n", None),
        (["INCR", "a"], b":11\r\n", None),
        (["INCRBYFLOAT", "a", "0.5"], b"$4\r\n11.5\r\n", None),
        (["GETRANGE", "none", "0", "1"], b"$0\r\n\r\n", None),
        (["STRLEN", "none"], b":0\r\n", None),
        (["SETRANGE", "a", "0", "2"], b":4\r\n", None),
        (["EXISTS", "a", "a"], b":2\r\n", None),
        (["TYPE", "a"], b"+string\r\n", None),
        (["TYPE", "none"], b"+none\r\n", None),
        (["TTL", "none"], b":-2\r\n", None),
        (["EXPIRETIME", "a"], b":-1\r\n", None),
        (["PERSIST", "a"], b":0\r\n", None),
        (["OBJECT", "ENCODING", "none"], b"$-1\r\n", b"_\r\n"),
        (["OBJECT", "ENCODING", "k"], b"$6\r\nembstr\r\n", None),
        (["OBJECT", "REFCOUNT", "none"], b"$-1\r\n", b"_\r\n"),
        (["OBJECT", "FREQ", "none"], b"$-1\r\n", b"_\r\n"),
        (["OBJECT", "IDLETIME", "none"], b"$-1\r\n", b"_\r\n"),
        (["MEMORY", "USAGE", "none"], b"$-1\r\n", b"_\r\n"),
        (["DEL", "a", "k"], b":2\r\n", None),
        (["DBSIZE"], b":0\r\n", None),
        (["RANDOMKEY"], b"$-1\r\n", b"_\r\n"),
        (["KEYS", "*"], b"*0\r\n", None),
        (["SCAN", "0"], b"*2\r\n$1\r\n0\r\n*0\r\n", None),
        (["RENAME", "none", "a"], b"-ERR no such key\r\n", None),
        (["COPY", "none", "a"], b":0\r\n", None),
        (["PING"], b"+PONG\r\n", None),
        (["PING", "x"], b"$1\r\nx\r\n", None),
        (["ECHO", "x"], b"$1\r\nx\r\n", None),
        (["SELECT", "0"], b"+OK\r\n", None),
        (["FLUSHALL"], b"+OK\r\n", None),
    )

    def test_replies_in_resp2(self):
        for command, in_two, _ in self.REPLIES:
            self.assertEqual(self.connection.command_raw(*command), in_two, command)

    def test_replies_in_resp3(self):
        connection = self.server.connect(protocol=3)
        for command, in_two, in_three in self.REPLIES:
            self.assertEqual(connection.command_raw(*command), in_three or in_two, command)


class Hello(harness.WireTest):
    FIELDS = [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]

    def test_hello_is_a_map_in_resp3_and_flat_in_resp2(self):
        flat = self.call("HELLO", "2")
        self.assertIs(type(flat), list)
        self.assertEqual(flat[0::2], self.FIELDS)
        mapped = self.call("HELLO", "3")
        self.assertIsInstance(mapped, resp.Map)
        self.assertEqual(list(mapped), self.FIELDS)
        self.assertEqual(mapped[b"proto"], 3)
        self.assertIs(type(mapped[b"id"]), int)
        self.assertEqual((mapped[b"mode"], mapped[b"role"], mapped[b"modules"]),
                         (b"standalone", b"master", []))
        self.assertEqual(mapped[b"server"], b"redis")

    def test_the_protocol_changes_between_two_commands_of_a_pipeline(self):
        replies = self.connection.pipeline(
            [("GET", "none"), ("HELLO", "3"), ("GET", "none"), ("HELLO", "2"), ("GET", "none")])
        self.assertEqual([replies[i].form for i in (0, 2, 4)], ["$-1", "_", "$-1"])

    def test_other_versions_and_words_are_refused(self):
        for version in ("1", "4", "0"):
            self.fails("NOPROTO unsupported protocol version", "HELLO", version)
        self.fails("ERR Protocol version is not an integer or out of range", "HELLO", "x")
        self.assertTrue(self.call("HELLO", "3", "FOO").startswith(b"ERR Syntax error in HELLO"))
        self.null("GET", "none")

    def test_reset_goes_back_to_resp2_and_database_0(self):
        connection = self.server.connect(protocol=3)
        connection.command("SELECT", "4")
        reply = connection.command("RESET")
        self.assertIsInstance(reply, resp.Simple)
        self.assertEqual(reply, b"RESET")
        self.assertEqual(connection.command("GET", "none"), resp.Null("$-1"))
        connection.command("SET", "k", "v")
        self.bulk("v", "GET", "k")


class ServerReplies(harness.WireTest):
    def test_texts_are_verbatim_and_settings_a_map_in_resp3(self):
        connection = self.server.connect(protocol=3)
        self.assertIsInstance(connection.command("INFO", "server"), resp.Verbatim)
        self.assertIsInstance(connection.command("CLIENT", "LIST"), resp.Verbatim)
        self.assertIsInstance(connection.command("CONFIG", "GET", "port"), resp.Map)
        self.assertIs(type(self.call("INFO", "server")), bytes)
        self.assertIs(type(self.call("CONFIG", "GET", "port")), list)

    def test_databases_is_one_pair(self):
        self.assertEqual(self.call("CONFIG", "GET", "databases"), [b"databases", b"16"])


if __name__ == "__main__":
    unittest.main()
