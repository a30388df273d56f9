"""Connecting as the client libraries do: each one's first pipeline, sent in one write, and what
must come back, in order and of the right type. Where Redis is installed it is asked the same, and
the answers are compared."""

import shutil
import unittest

import harness
import resp

HELLO_KEYS = [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
SETINFO = [["CLIENT", "SETINFO", "LIB-NAME", "a-library"],
           ["CLIENT", "SETINFO", "LIB-VER", "6.0.1"]]
MAINTENANCE = ["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip"]

# By client: the pipeline, and the index of the replies that Redis 7.0 does not know.
PIPELINES = {
    "node-redis 6": ([["HELLO", "3", "SETNAME", "app"], ["SELECT", "2"], ["READONLY"], *SETINFO,
                      ["CLIENT", "TRACKING", "ON"], MAINTENANCE], {2, 3, 4, 5, 6}),
    "node-redis 4": ([["CLIENT", "SETNAME", "app"], *SETINFO, ["READONLY"], ["SELECT", "2"]],
                     {1, 2, 3}),
    "ioredis 6": ([["HELLO", "3"], ["SELECT", "2"], ["CLIENT", "SETNAME", "app"], ["READONLY"],
                   *SETINFO, ["INFO"]], {3, 4, 5, 6}),
    "redis-py 8": ([["HELLO", "3"], MAINTENANCE, ["CLIENT", "SETNAME", "app"], *SETINFO,
                    ["SELECT", "2"]], {1, 3, 4}),
    "go-redis 9": ([["hello", "3", "setname", "app"], ["select", "2"], ["client", "setname", "app"],
                    ["client", "maint_notifications", "on"],
                    ["client", "setinfo", "LIB-NAME", "go-redis(,go1.22)"],
                    ["client", "setinfo", "LIB-VER", "9.7.0"]], {3, 4, 5}),
    "redis-client of Ruby": ([["hello", "3"], ["select", "2"],
                              ["client", "setinfo", "lib-name", "redis-client"],
                              ["client", "setinfo", "lib-ver", "0.22.2"]], {2, 3}),
    "lettuce 7": ([["HELLO", "3", "SETNAME", "app"], ["SELECT", "2"], ["READONLY"], *SETINFO,
                   MAINTENANCE], {2, 3, 4, 5}),
    "SER 2": ([["CLIENT", "SETNAME", "app"], *SETINFO, ["CLIENT", "ID"],
               ["CONFIG", "GET", "timeout"], ["CONFIG", "GET", "replica-read-only"],
               ["CONFIG", "GET", "databases"], ["SENTINEL", "MASTERS"], ["INFO", "replication"],
               ["INFO", "server"], ["CLUSTER", "NODES"], ["GET", "__Booksleeve_TieBreak"],
               ["ECHO", b"\x01\x02\x00\xff0123456789ab"],
               ["SUBSCRIBE", "__Booksleeve_MasterChanged"],
               ["PING"]], {1, 2, 3, 7, 8, 9}),
    "phpredis": ([["AUTH", "default", "any"], ["SELECT", "2"], ["ECHO", "id"]], set()),
    "redis-benchmark": ([["CONFIG", "GET", "save"], ["CONFIG", "GET", "appendonly"]], set()),
}


def shape(reply):
    """The reply with what differs from server to server blanked: version and connection id."""
    if isinstance(reply, resp.Map):
        pairs = list(reply.items())
    elif isinstance(reply, list) and len(reply) == 14 and reply[0] == b"server":
        pairs = list(zip(reply[::2], reply[1::2]))
    else:
        return type(reply), reply
    blanked = [(key, type(value) if key in (b"version", b"id") else value) for key, value in pairs]
    return type(reply), blanked


class Handshakes(harness.WireTest):
    def send_all(self, server, pipeline):
        with resp.Connection(server.port) as connection:
            return connection.pipeline(pipeline)

    def test_every_command_of_every_handshake_is_answered_in_order(self):
        for client, (pipeline, _) in PIPELINES.items():
            with self.subTest(client=client), resp.Connection(self.server.port) as connection:
                replies = connection.pipeline(pipeline + [["PING", "the end"]])
                self.assertIn(replies[-1], (b"the end", [b"pong", b"the end"]))
                self.assertTrue(connection.is_silent(0.05), "more replies than commands")

    @unittest.skipUnless(shutil.which("redis-server"), "needs redis-server")
    def test_what_redis_knows_is_answered_as_redis_does(self):
        redis = harness.Server(program="redis")
        self.addCleanup(redis.close)
        redis.start()
        for client, (pipeline, unknown_to_redis) in PIPELINES.items():
            ours, theirs = self.send_all(self.server, pipeline), self.send_all(redis, pipeline)
            for index, command in enumerate(pipeline):
                if index not in unknown_to_redis:
                    with self.subTest(client=client, command=command):
                        self.assertEqual(shape(ours[index]), shape(theirs[index]))

    @harness.only_holdfast
    def test_commands_that_come_later_are_plain_errors(self):
        for client, (pipeline, _) in PIPELINES.items():
            replies = self.send_all(self.server, pipeline)
            for command, reply in zip(pipeline, replies):
                words = [str(word).upper() for word in command]
                with self.subTest(client=client, command=command):
                    if words[0] == "SENTINEL":
                        self.assertTrue(reply.startswith(b"ERR unknown command '"), reply)
                        self.assertIsInstance(reply, resp.Error)
                    elif words[:2] == ["CLIENT", "MAINT_NOTIFICATIONS"]:
                        self.assertEqual(reply, b"ERR unknown subcommand '%s'. Try CLIENT HELP."
                                         % command[1].encode())
                    elif words[:2] == ["CLIENT", "TRACKING"]:
                        self.assertIsInstance(reply, resp.Error)
                    elif words[:2] == ["CLIENT", "SETINFO"] or words[0] == "READONLY":
                        self.assertIsInstance(reply, resp.Simple)

    def test_hello_2_is_a_flat_array_of_bulk_strings_and_integers(self):
        reply = self.call("HELLO", "2")
        self.assertIs(type(reply), list)
        self.assertEqual(reply[::2], HELLO_KEYS)
        self.assertEqual([type(value) for value in reply[1::2]],
                         [bytes, bytes, int, int, bytes, bytes, list])
        values = dict(zip(reply[::2], reply[1::2]))
        self.assertEqual((values[b"server"], values[b"proto"], values[b"mode"], values[b"role"],
                          values[b"modules"]), (b"redis", 2, b"standalone", b"master", []))

    def test_hello_3_is_a_map_and_what_follows_is_resp3(self):
        reply = self.call("HELLO", 3)
        self.assertIsInstance(reply, resp.Map)
        self.assertEqual(list(reply), HELLO_KEYS)
        self.assertEqual([type(value) for value in reply.values()],
                         [bytes, bytes, int, int, bytes, bytes, list])
        self.assertEqual(reply[b"proto"], 3)
        self.assertEqual(self.connection.command_raw("GET", "none"), b"_\r\n")
        self.assertEqual(reply[b"id"], self.call("CLIENT", "ID"))

    def test_hello_without_a_version_keeps_the_protocol(self):
        self.assertIs(type(self.call("HELLO")), list)
        self.call("HELLO", 3)
        self.assertIsInstance(self.call("HELLO"), resp.Map)
        self.call("HELLO", 2)
        self.assertIs(type(self.call("HELLO")), list)

    def test_a_failing_hello_changes_nothing(self):
        self.fails("NOPROTO unsupported protocol version", "HELLO", 4)
        self.fails("NOPROTO unsupported protocol version", "HELLO", 1)
        self.fails("ERR Protocol version is not an integer or out of range", "HELLO", "three")
        self.fails("ERR Syntax error in HELLO option 'foo'", "HELLO", 3, "foo")
        self.fails("ERR Syntax error in HELLO option 'AUTH'", "HELLO", 3, "AUTH", "default")
        self.fails("ERR Syntax error in HELLO option 'SETNAME'", "HELLO", 3, "SETNAME")
        self.fails("ERR Client names cannot contain spaces, newlines or special characters.",
                   "HELLO", 3, "SETNAME", "a b")
        self.assertEqual(self.connection.command_raw("CLIENT", "GETNAME"), b"$-1\r\n")

    @harness.only_holdfast  # Redis 7.0 has set the name already
    def test_hello_sets_no_name_when_the_password_is_wrong(self):
        self.fails("WRONGPASS invalid username-password pair or user is disabled.",
                   "HELLO", 3, "SETNAME", "bob", "AUTH", "somebody", "any")
        self.assertEqual(self.connection.command_raw("CLIENT", "GETNAME"), b"$-1\r\n")

    def test_hello_names_the_connection(self):
        self.call("HELLO", 3, "AUTH", "default", "any", "SETNAME", "bob")
        self.bulk("bob", "CLIENT", "GETNAME")

    def test_select_holds_for_the_rest_of_the_pipeline(self):
        replies = self.connection.pipeline([
            ["SET", "k", "zero"], ["SELECT", "1"], ["GET", "k"], ["SET", "k", "one"],
            ["SELECT", "0"], ["GET", "k"], ["SELECT", "1"], ["GET", "k"]])
        self.assertEqual(replies[2], None)
        self.assertEqual((replies[5], replies[7]), (b"zero", b"one"))

    def test_select_refuses_what_is_no_database(self):
        self.fails("ERR DB index is out of range", "SELECT", 16)
        self.fails("ERR DB index is out of range", "SELECT", -1)
        self.fails("ERR value is not an integer or out of range", "SELECT", "a")
        self.fails("ERR value is not an integer or out of range", "SELECT", "9" * 20)
        self.fails("ERR value is out of range, value must between -2147483648 and 2147483647",
                   "SELECT", "99999999999")
        self.ok("SELECT", 15)

    def test_reset_makes_the_connection_new(self):
        self.call("HELLO", 3, "SETNAME", "bob")
        self.ok("SELECT", 3)
        self.assertEqual(self.call("RESET"), b"RESET")
        self.assertEqual(self.connection.command_raw("GET", "none"), b"$-1\r\n")
        self.assertEqual(self.connection.command_raw("CLIENT", "GETNAME"), b"$-1\r\n")
        self.assertIn(b" db=0 ", self.call("CLIENT", "INFO"))

    def test_quit_answers_what_came_before_and_closes(self):
        self.connection.send_bytes(resp.encode("SET", "k", "v") + resp.encode("QUIT")
                                   + resp.encode("SET", "k", "w"))
        self.assertEqual(self.connection.read(), b"OK")
        self.assertEqual(self.connection.read(), b"OK")
        self.assertTrue(self.connection.is_closed())
        with resp.Connection(self.server.port) as other:
            self.assertEqual(other.command("GET", "k"), b"v")

    def test_ping_and_echo(self):
        self.assertEqual(self.call("PING"), b"PONG")
        self.bulk(b"a\x00b", "PING", b"a\x00b")
        self.fails("ERR wrong number of arguments for 'ping' command", "PING", "a", "b")
        self.bulk(b"a\x00b", "ECHO", b"a\x00b")
        self.fails("ERR wrong number of arguments for 'echo' command", "ECHO")


class Passwords(harness.WireTest):
    """A server with a password, and what a stranger may do."""

    options = {"requirepass": "secret"}
    NOAUTH = b"NOAUTH Authentication required."
    WRONGPASS = b"WRONGPASS invalid username-password pair or user is disabled."

    @classmethod
    def setUpClass(cls):
        # The harness starts a test with FLUSHALL, which a stranger may not.
        cls.server = harness.Server(**cls.options)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def setUp(self):
        self.connection = self.server.connect()
        self.call = self.connection.command
        self.addCleanup(self.server.disconnect)

    def test_a_stranger_is_refused_everything_but_the_handshake(self):
        for command in (["GET", "k"], ["PING"], ["CLIENT", "ID"], ["INFO"], ["COMMAND"],
                        ["SELECT", "1"], ["SHUTDOWN"], ["CONFIG", "GET", "requirepass"]):
            with self.subTest(command=command):
                self.assertEqual(self.call(*command), self.NOAUTH)
        self.assertEqual(self.call("RESET"), b"RESET")
        self.assertEqual(self.call("QUIT"), b"OK")
        self.assertTrue(self.connection.is_closed())

    @harness.only_holdfast  # Redis 7.0 leaves out a word
    def test_a_stranger_s_hello_is_told_how_to_authenticate(self):
        self.fails("NOAUTH HELLO must be called with the client already authenticated, otherwise "
                   "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                   "client and select the RESP protocol version at the same time", "HELLO", 3)
        self.assertEqual(self.call("GET", "k"), self.NOAUTH)

    def test_both_forms_of_auth(self):
        for command in (["AUTH", "secret"], ["AUTH", "default", "secret"],
                        ["HELLO", "3", "AUTH", "default", "secret"]):
            with self.subTest(command=command), resp.Connection(self.server.port) as connection:
                self.assertNotIsInstance(connection.command(*command), resp.Error)
                self.assertEqual(connection.command("PING"), b"PONG")

    def test_wrong_passwords_and_users(self):
        for command in (["AUTH", "wrong"], ["AUTH", "default", "wrong"], ["AUTH", ""],
                        ["AUTH", "Default", "secret"], ["AUTH", "somebody", "secret"],
                        ["AUTH", "secretsecret"], ["AUTH", "secre"], ["AUTH", b"secret\x00"],
                        ["HELLO", "3", "AUTH", "default", "wrong"]):
            with self.subTest(command=command):
                self.assertEqual(self.call(*command), self.WRONGPASS)
        self.fails("ERR syntax error", "AUTH", "a", "b", "c")
        self.assertEqual(self.call("GET", "k"), self.NOAUTH)

    def test_a_failing_auth_in_a_pipeline_is_one_reply_and_the_rest_goes_on(self):
        replies = self.connection.pipeline([
            ["PING"], ["AUTH", "wrong"], ["PING"], ["AUTH", "secret"], ["PING"], ["AUTH", "wrong"],
            ["PING"]])
        self.assertEqual(replies, [self.NOAUTH, self.WRONGPASS, self.NOAUTH, b"OK", b"PONG",
                                   self.WRONGPASS, b"PONG"])

    def test_reset_takes_the_authentication_back(self):
        self.ok("AUTH", "secret")
        self.assertEqual(self.call("RESET"), b"RESET")
        self.assertEqual(self.call("PING"), self.NOAUTH)

    def test_a_new_password_is_for_new_connections(self):
        self.ok("AUTH", "secret")
        self.ok("CONFIG", "SET", "requirepass", "new")
        try:
            self.assertEqual(self.call("PING"), b"PONG")
            with resp.Connection(self.server.port) as other:
                self.assertEqual(other.command("AUTH", "secret"), self.WRONGPASS)
                self.assertEqual(other.command("AUTH", "new"), b"OK")
        finally:
            self.ok("CONFIG", "SET", "requirepass", "secret")

    @harness.only_holdfast
    def test_the_slowlog_keeps_no_password(self):
        self.ok("AUTH", "secret")
        self.ok("CONFIG", "SET", "slowlog-log-slower-than", "0")
        self.ok("AUTH", "secret")
        self.call("HELLO", 2, "AUTH", "default", "secret")
        self.ok("CONFIG", "SET", "requirepass", "secret")
        self.ok("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        entries = self.call("SLOWLOG", "GET", "-1")
        self.assertFalse([entry for entry in entries if b"secret" in entry[3]], entries)


class WithoutPassword(harness.WireTest):
    def test_auth_says_that_there_is_none(self):
        self.fails("ERR AUTH <password> called without any password configured for the default "
                   "user. Are you sure your configuration is correct?", "AUTH", "any")
        self.ok("AUTH", "default", "any")
        self.fails(Passwords.WRONGPASS.decode(), "AUTH", "somebody", "any")


if __name__ == "__main__":
    unittest.main()
