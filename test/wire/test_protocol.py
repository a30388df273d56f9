"""The protocol's edges: what bad input gets, what slow and idle and broken clients do to others.

Texts and behaviour are Redis's; most tests run unchanged against it."""

import http.client
import random
import socket
import ssl
import struct
import threading
import time
import unittest
import urllib.error
import urllib.request

import harness
import resp
from harness import wait_until


class BadInput(harness.WireTest):
    def closes_with(self, sent, text):
        with resp.Connection(self.server.port) as connection:
            connection.send_bytes(sent)
            reply = connection.read()
            self.assertIsInstance(reply, resp.Error)
            self.assertEqual(reply.decode(), text, sent[:60])
            self.assertTrue(connection.is_closed(), sent[:60])
        self.is_undisturbed()

    def test_protocol_errors_say_what_was_wrong_and_close(self):
        for sent, text in (
                (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
                (b"*1\r\n:5\r\n", "expected '$', got ':'"),
                (b"*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"),
                (b"*1\r\n$-1\r\n", "invalid bulk length"),
                (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "invalid bulk length"),
                (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n", "invalid bulk length"),
                (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$blabla\r\n", "invalid bulk length"),
                (b"*1\r\n$\r\n", "invalid bulk length"),
                (b"*1\r\n$ 4\r\n", "invalid bulk length"),
                (b"*1\r\n$+4\r\n", "invalid bulk length"),
                (b"*3000000000\r\n", "invalid multibulk length"),
                (b"*99999999999999999999\r\n", "invalid multibulk length"),
                (b"*x\r\n", "invalid multibulk length"),
                (b"*\r\n", "invalid multibulk length"),
                (b"* 1\r\n", "invalid multibulk length"),
                (b'set """test-key""" test-value\r\n', "unbalanced quotes in request"),
                (b"get 'a\r\n", "unbalanced quotes in request"),
                (b'get "a"b\r\n', "unbalanced quotes in request"),
        ):
            with self.subTest(sent=sent):
                self.closes_with(sent, "ERR Protocol error: " + text)

    @harness.only_holdfast
    def test_a_command_has_at_most_a_million_arguments(self):
        self.closes_with(b"*1048577\r\n", "ERR Protocol error: invalid multibulk length")

    def test_lines_without_an_end_are_cut_off_at_64_kib(self):
        for prefix, text in ((b"", "too big inline request"),
                             (b"*", "too big mbulk count string"),
                             (b"*1\r\n$", "too big bulk count string")):
            with self.subTest(prefix=prefix), resp.Connection(self.server.port) as connection:
                try:
                    connection.send_bytes(prefix)
                    for _ in range(40):
                        connection.send_bytes(b"1" * 2048)
                        time.sleep(0.0005)
                except ConnectionError:
                    pass
                # The reset that follows may overtake the text.
                reply = connection.read_to_end()
                self.assertIn(reply, (b"-ERR Protocol error: " + text.encode() + b"\r\n", b""))
        self.is_undisturbed()

    def test_nothing_is_answered_to_empty_lines_and_counts_below_one(self):
        self.connection.send_bytes(b"\r\n\r\n*0\r\n*-1\r\n*-10\r\n\n*-9223372036854775808\r\n")
        self.assertTrue(self.connection.is_silent())
        self.assertEqual(self.call("PING"), b"PONG")

    def test_zero_bytes_in_headers_close(self):
        for prefix in (b"\x00", b"*\x00", b"$\x00", b"*1\r\n$\x00", b"\x00\r\n", b"*\x001\r\n"):
            with self.subTest(prefix=prefix), resp.Connection(self.server.port) as connection:
                try:
                    connection.send_bytes(prefix)
                    for _ in range(100):
                        connection.send_bytes(b"payload" * 200)
                except ConnectionError:
                    pass
                connection.socket.settimeout(10)
                try:
                    reply = connection.read_to_end()
                except ConnectionError:
                    reply = b""
                self.assertTrue(reply == b"" or b"Protocol error" in reply
                                or b"unknown command" in reply, reply[:80])
        self.is_undisturbed()

    def test_a_million_opening_arrays(self):
        with resp.Connection(self.server.port) as connection:
            try:
                connection.send_bytes(b"*1\r\n" * 1000000)
            except ConnectionError:
                pass
            reply = connection.read_to_end()
            self.assertIn(reply, (b"-ERR Protocol error: expected '$', got '*'\r\n", b""))
        self.is_undisturbed()

    def test_a_great_count_takes_no_memory_before_its_arguments_come(self):
        if harness.IS_REDIS:
            self.skipTest("Redis reserves more")
        before = self.server.memory_bytes()
        clients = [resp.Connection(self.server.port) for _ in range(50)]
        for client in clients:
            client.send_bytes(b"*1048576\r\n$3\r\nDEL\r\n")
        self.is_undisturbed()
        self.assertLess(self.server.memory_bytes() - before, 100 << 20)
        for client in clients:
            client.close()

    def test_unknown_commands_and_wrong_counts_keep_the_connection(self):
        self.fails("ERR unknown command 'foo', with args beginning with: 'a' 'b' ", "foo", "a", "b")
        self.fails("ERR unknown command 'foo', with args beginning with: ", "foo")
        self.fails("ERR unknown command 'foo', with args beginning with: 'a  b' ", "foo", "a\r\nb")
        long = "x" * 300
        reply = self.call(long, long, long)
        self.assertTrue(reply.startswith(b"ERR unknown command '" + b"x" * 128 + b"', with"))
        self.fails("ERR wrong number of arguments for 'get' command", "GET")
        self.fails("ERR wrong number of arguments for 'get' command", "get", "a", "b")
        self.fails("ERR wrong number of arguments for 'object|encoding' command",
                   "OBJECT", "ENCODING")
        self.fails("ERR unknown subcommand 'FOO'. Try OBJECT HELP.", "OBJECT", "FOO", "k")
        self.fails("ERR wrong number of arguments for 'object' command", "OBJECT")
        self.fails("ERR unknown command '', with args beginning with: ", "")
        self.assertEqual(self.call("PING"), b"PONG")

    def test_what_came_before_a_protocol_error_is_answered_and_done(self):
        self.connection.send_bytes(resp.encode("SET", "k", "v") + resp.encode("GET", "k")
                                   + b"*1\r\nfoo\r\n" + resp.encode("SET", "k", "later"))
        self.assertEqual(self.connection.read(), b"OK")
        self.assertEqual(self.connection.read(), b"v")
        self.assertIn(b"Protocol error", self.connection.read())
        self.assertTrue(self.connection.is_closed())
        with resp.Connection(self.server.port) as other:
            self.assertEqual(other.command("GET", "k"), b"v")

    def test_random_bytes_disturb_nobody(self):
        generator = harness.seeded_random("garbage")
        words = [b"*", b"$", b"\r\n", b"\n", b"1", b"3", b"-1", b"SET", b"GET", b"k", b"\x00",
                 b'"', b"'", b" ", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", b"\xff" * 5]
        for _ in range(30 if harness.SLOW else 200):
            data = b"".join(generator.choice(words) for _ in range(generator.randint(1, 60)))
            with resp.Connection(self.server.port) as connection:
                try:
                    connection.send_bytes(data)
                    connection.socket.shutdown(socket.SHUT_WR)
                    connection.read_to_end()
                except ConnectionError:
                    pass
        self.is_undisturbed()


class OtherProtocols(harness.WireTest):
    """Whoever gets a browser or another program to connect here must not have its lines run. The
    connection is closed at once, nothing is answered, and the log says what came from where."""

    BODY = b"SET pwned 1\r\n" * 3
    REQUESTS = {
        "a form's POST": b"POST / HTTP/1.1\r\nHost: localhost:6379\r\nContent-Length: 39\r\n\r\n",
        "PUT": b"PUT /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET with a body": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 39\r\n\r\n",
        "HEAD": b"HEAD / HTTP/1.0\r\n\r\n",
        "a method of the page's choice": b"SET /pwned HTTP/1.1\r\nHost: a\r\n\r\n",
        "a proxy's request": b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT": b"CONNECT a:6379 HTTP/1.1\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a header": b"Host: localhost\r\n\r\n",
        "any header": b"Content-Length: 39\r\n\r\n",
        "RTSP": b"OPTIONS rtsp://a RTSP/1.0\r\n\r\n",
        "SIP": b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n",
    }
    OTHERS = {
        "EHLO": b"EHLO mail.example.com\r\n",
        "HELO": b"HELO mail\r\n",
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "TLS 1.0": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        "TLS in a first piece": b"\x16\x03\x01",
    }

    def closed_by(self, sent, before=b""):
        """Whether the server closes without a word, and runs nothing."""
        with resp.Connection(self.server.port) as connection:
            if before:
                connection.send_bytes(before)
                self.assertEqual(connection.read(), b"PONG")
            try:
                connection.send_bytes(sent)
            except (ConnectionResetError, BrokenPipeError):
                pass
            closed = connection.is_closed()
        self.assertEqual(self.call("EXISTS", "pwned", "/pwned", "HTTP/1.1"), 0)
        return closed

    def test_post_and_host_close_as_in_redis(self):
        for sent in (b"POST / HTTP/1.1\r\n", b"post\r\n", b"Host: localhost\r\n", b"host:\r\n"):
            for before in (b"", b"PING\r\n", b"*1\r\n$4\r\nPING\r\n"):
                with self.subTest(sent=sent, before=before):
                    self.assertTrue(self.closed_by(sent + self.BODY, before))
        self.is_undisturbed()

    @harness.only_holdfast
    def test_nothing_of_a_web_request_is_run(self):
        for name, sent in {**self.REQUESTS, **self.OTHERS}.items():
            with self.subTest(name):
                self.assertTrue(self.closed_by(sent + self.BODY))
                self.assertTrue(self.closed_by(sent + self.BODY, b"PING\r\n"))
        self.is_undisturbed()

    @harness.only_holdfast
    def test_real_clients_of_other_protocols_are_turned_away(self):
        with self.assertRaises((ConnectionError, http.client.HTTPException, urllib.error.URLError)):
            urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/", data=self.BODY, timeout=10)
        with self.assertRaises((ConnectionError, ssl.SSLError)):
            with socket.create_connection(("127.0.0.1", self.server.port), 10) as plain:
                ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        self.null("GET", "pwned")
        self.is_undisturbed()

    @harness.only_holdfast
    def test_in_pieces_and_behind_commands_under_way(self):
        sent = self.REQUESTS["a form's POST"] + self.BODY
        with resp.Connection(self.server.port) as connection:
            for i in range(0, 17):
                connection.send_bytes(sent[i:i + 1])
                time.sleep(0.002)
            self.assertTrue(connection.is_closed())
        with resp.Connection(self.server.port) as connection:
            connection.send_bytes(b"".join(resp.encode("SET", f"k{i}", i) for i in range(500))
                                  + sent)
            connection.read_to_end()
        # What was under way to other workers gets there, though nobody is told.
        self.assertTrue(harness.wait_until(lambda: self.call("GET", "k499") == b"499"))
        self.null("GET", "pwned")

    @harness.only_holdfast
    def test_the_log_says_once_in_a_while_what_came_from_where(self):
        server = harness.Server(requirepass="secret")
        self.addCleanup(server.close)
        server.start()

        def lines():
            return [line for line in server.log(1000).splitlines() if "looks like" in line]
        with resp.Connection(server.port) as connection:
            address = "127.0.0.1:%d" % connection.socket.getsockname()[1]
            connection.send_bytes(b"POST /a?token=s3cret HTTP/1.1\r\n" + self.BODY)
            self.assertTrue(connection.is_closed())
        self.assertEqual(len(lines()), 1)
        self.assertIn(f"addr={address} closed: what it sends looks like an HTTP request, and is not run",
                      lines()[0])
        self.assertNotIn("s3cret", lines()[0])
        started = time.monotonic()
        for _ in range(50):
            with resp.Connection(server.port) as connection:
                connection.send_bytes(b"\x16\x03\x01\x02")
                self.assertTrue(connection.is_closed())
        self.assertLessEqual(len(lines()), 2 + (time.monotonic() - started) // 10)
        self.assertEqual(server.connect().command("AUTH", "secret"), b"OK")


class Splitting(harness.WireTest):
    DIALOGUE = (resp.encode("SET", "k", "a\r\nb") + b"get k\r\n" + b"\r\n" + b"*0\r\n"
                + resp.encode("APPEND", "k", "") + b"set q \"x\\x41\\n\" EX 100\r\nGET q\n"
                + resp.encode("MGET", "k", "q", "none"))
    ANSWER = (b"+OK\r\n$4\r\na\r\nb\r\n:4\r\n+OK\r\n$3\r\nxA\n\r\n"
              b"*3\r\n$4\r\na\r\nb\r\n$3\r\nxA\n\r\n$-1\r\n")

    def read_exactly(self, connection, size):
        data = b""
        while len(data) < size:
            more = connection.socket.recv(size - len(data))
            self.assertTrue(more, data)
            data += more
        return data

    def test_a_dialogue_split_once_at_every_byte(self):
        for at in range(1, len(self.DIALOGUE)):
            self.connection.send_bytes(self.DIALOGUE[:at])
            time.sleep(0.001)
            self.connection.send_bytes(self.DIALOGUE[at:])
            self.assertEqual(self.read_exactly(self.connection, len(self.ANSWER)), self.ANSWER, at)

    def test_a_dialogue_sent_byte_by_byte(self):
        for byte in self.DIALOGUE:
            self.connection.send_bytes(bytes([byte]))
            time.sleep(0.0005)
        self.assertEqual(self.read_exactly(self.connection, len(self.ANSWER)), self.ANSWER)

    def test_inline_commands_quote_as_redis_does(self):
        for line, value in ((b"set k plain", b"plain"), (b"set k 'single quoted'",
                            b"single quoted"), (b"set k \"tab\\there\"", b"tab\there"),
                            (b"set k \"\\x00\\xff\"", b"\x00\xff"), (b"  set\tk  spaced  ",
                            b"spaced"), (b"set k 'it\\'s'", b"it's"), (b"set k \"\"", b""),
                            (b"SET k a\"b\"", None)):
            self.connection.send_bytes(line + b"\r\n")
            reply = self.connection.read()
            if value is None:
                self.assertEqual(reply, b"OK")
            else:
                self.assertEqual(reply, b"OK", line)
                self.bulk(value, "GET", "k")

    def test_large_arguments_in_odd_pieces(self):
        generator = random.Random(7)
        value = bytes(generator.getrandbits(8) for _ in range(50000)) * 20
        sent = resp.encode("SET", "k", value) + resp.encode("GET", "k")
        at = 0
        while at < len(sent):
            size = generator.choice([1, 5, 1000, 16383, 16384, 16385, 65536, 200000])
            self.connection.send_bytes(sent[at:at + size])
            at += size
        self.assertEqual(self.connection.read(), b"OK")
        self.assertTrue(self.connection.read() == value)


class Pipelines(harness.WireTest):
    def test_thousands_of_commands_at_once_are_answered_in_order(self):
        count = 2000 if harness.SLOW else 20000
        commands = [("SET", f"k{i % 997}", i) if i % 2 == 0 else ("GET", f"k{(i - 1) % 997}")
                    for i in range(count)]
        replies = self.connection.pipeline(commands)
        for i, reply in enumerate(replies):
            self.assertEqual(reply, b"OK" if i % 2 == 0 else b"%d" % (i - 1))

    def test_commands_for_all_shards_keep_the_connections_order(self):
        count = 200 if harness.SLOW else 1500
        commands, expected = [], []
        for i in range(count):
            commands += [("SET", f"a{i}", i), ("MGET", f"a{i}", f"a{i - 1}", "none"), ("DBSIZE",),
                         ("PING", i), ("APPEND", f"a{i}", "x"), ("FOO",), ("ECHO", i)]
            expected += [b"OK", [b"%d" % i, b"%dx" % (i - 1) if i else None, None], i + 1,
                         b"%d" % i, len(str(i)) + 1, None, b"%d" % i]
        for command, reply, right in zip(commands, self.connection.pipeline(commands), expected):
            if right is None:
                self.assertIsInstance(reply, resp.Error)
            else:
                self.assertEqual(reply, right, command)

    def test_a_pipeline_sees_its_own_writes(self):
        commands = [("INCR", "counter"), ("GET", "counter")] * 3000
        for i, reply in enumerate(self.connection.pipeline(commands)):
            right = i // 2 + 1
            self.assertEqual(reply, right if i % 2 == 0 else b"%d" % right)

    def test_quit_answers_what_came_before_and_nothing_behind(self):
        self.connection.send_bytes(resp.encode("SET", "k", "v") + resp.encode("QUIT")
                                   + resp.encode("SET", "k", "later"))
        self.assertEqual(self.connection.read_to_end(), b"+OK\r\n+OK\r\n")
        with resp.Connection(self.server.port) as other:
            self.assertEqual(other.command("GET", "k"), b"v")

    def test_a_client_that_shuts_its_side_still_gets_its_answers(self):
        if harness.IS_REDIS:
            self.skipTest("Redis closes at once")
        self.connection.send_bytes(b"".join(resp.encode("INCR", "n") for _ in range(100)))
        self.connection.socket.shutdown(socket.SHUT_WR)
        self.connection.read_to_end()
        with resp.Connection(self.server.port) as other:
            self.assertTrue(wait_until(lambda: other.command("GET", "n") == b"100"))


class OddClients(harness.WireTest):
    options = {"maxclients": 12000}

    @harness.only_holdfast
    def test_a_client_that_never_reads_is_dropped_and_memory_stays_bounded(self):
        server = harness.Server(client_output_limit="16mb")
        self.addCleanup(server.close)
        server.start()
        with resp.Connection(server.port) as other:
            other.command("SET", "k", "v" * 100000)
        before = server.memory_bytes()
        deaf = resp.Connection(server.port, receive_buffer=4096, timeout=1)
        dropped = False
        peak = 0
        deadline = time.monotonic() + 60
        while not dropped and time.monotonic() < deadline:
            try:
                deaf.send_bytes(resp.encode("GET", "k") * 50)
            except socket.timeout:
                # The server reads no more either: that bounds memory just as well.
                peak = max(peak, server.memory_bytes())
                break
            except ConnectionError:
                dropped = True
            peak = max(peak, server.memory_bytes())
        # A sanitizer keeps freed memory for a while.
        self.assertLess(peak - before, (600 if harness.SLOW else 200) << 20)
        with resp.Connection(server.port) as other:
            self.assertEqual(other.command("PING"), b"PONG")
        deaf.close()

    def test_half_open_connections_do_no_harm(self):
        """Half a command, then silence or a reset, again and again."""
        lingering = []
        for i in range(200):
            connection = resp.Connection(self.server.port)
            connection.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nhalf"[:5 + i % 30])
            if i % 2:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                             struct.pack("ii", 1, 0))
                connection.close()
            else:
                lingering.append(connection)
        self.is_undisturbed()
        for connection in lingering:
            connection.close()
        self.is_undisturbed()

    def test_clients_that_leave_without_reading_lose_no_write(self):
        for i in range(50):
            connection = resp.Connection(self.server.port)
            connection.send_bytes(b"".join(resp.encode("INCR", f"left:{i}") for _ in range(20)))
            connection.close()
        self.is_undisturbed()
        if not harness.IS_REDIS:
            self.assertTrue(wait_until(lambda: all(
                reply in (None, b"20") or int(reply) <= 20
                for reply in self.call("MGET", *[f"left:{i}" for i in range(50)]))))

    def test_ten_thousand_idle_clients(self):
        wanted = 500 if harness.SLOW else 10000
        limit = harness.raise_file_limit(2 * wanted + 1000)
        count = min(wanted, (limit - 500) if limit < 2 * wanted else wanted)
        self.server.disconnect()
        # The limit of open files is inherited at the start.
        self.server.restart()
        clients = []
        try:
            for i in range(count):
                client = socket.create_connection(("127.0.0.1", self.server.port), timeout=30)
                clients.append(client)
                if i % 500 == 0:
                    self.is_undisturbed()
            self.is_undisturbed()
            for client in clients[::100]:
                client.sendall(b"PING\r\n")
                self.assertEqual(client.recv(100), b"+PONG\r\n")
            started = time.monotonic()
            with resp.Connection(self.server.port) as other:
                for _ in range(200):
                    other.command("SET", "k", "v")
            self.assertLess(time.monotonic() - started, 30)
        finally:
            for client in clients:
                client.close()
        with resp.Connection(self.server.port) as other:
            self.assertTrue(wait_until(lambda: b"connected_clients:1\r" in
                                       other.command("INFO", "clients"), 60, 0.05))

    def test_one_client_more_than_allowed_is_told_so(self):
        server = harness.Server(maxclients=5)
        self.addCleanup(server.close)
        server.start()
        self.assertTrue(wait_until(lambda: self.client_count(server) == 1))
        clients = [server.connect() for _ in range(5)]
        for client in clients:
            self.assertEqual(client.command("PING"), b"PONG")
        with resp.Connection(server.port) as late:
            self.assertEqual(late.read(), b"ERR max number of clients reached")
            self.assertTrue(late.is_closed())
        clients[0].close()
        self.assertTrue(wait_until(server.answers))

    def client_count(self, server):
        with resp.Connection(server.port) as connection:
            info = connection.command("INFO", "clients")
            return int(info.split(b"connected_clients:")[1].split(b"\r")[0])


class Strangers(harness.WireTest):
    """Before authentication."""

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.server.connect().command("CONFIG", "SET", "requirepass", "secret")
        cls.server.disconnect()

    def setUp(self):
        self.connection = self.server.connect()
        self.call = self.connection.command
        self.addCleanup(self.server.disconnect)

    def test_strangers_may_only_introduce_themselves(self):
        self.fails("NOAUTH Authentication required.", "GET", "k")
        self.fails("NOAUTH Authentication required.", "SET", "k", "v")
        self.fails("ERR unknown command 'FOO', with args beginning with: ", "FOO")
        self.fails("WRONGPASS invalid username-password pair or user is disabled.", "AUTH", "wrong")
        self.ok("AUTH", "secret")
        self.ok("SET", "k", "v")

    def test_limits_for_strangers(self):
        for sent, text in ((b"*11\r\n", "unauthenticated multibulk length"),
                           (b"*1\r\n$16385\r\n", "unauthenticated bulk length")):
            with resp.Connection(self.server.port) as connection:
                connection.send_bytes(sent)
                self.assertEqual(connection.read().decode(), "ERR Protocol error: " + text)
                self.assertTrue(connection.is_closed())
        with resp.Connection(self.server.port) as connection:
            connection.send_bytes(b"*10\r\n" + b"$1\r\nx\r\n" * 10)
            self.assertIsInstance(connection.read(), resp.Error)
            self.assertEqual(connection.command("AUTH", "secret"), b"OK")
            self.assertEqual(connection.command("SET", "k", "x" * 20000), b"OK")

    def test_authentication_takes_effect_within_a_pipeline(self):
        self.connection.send_bytes(resp.encode("GET", "k") + resp.encode("AUTH", "no")
                                   + resp.encode("AUTH", "default", "secret")
                                   + resp.encode("SET", "k", "v") + resp.encode("GET", "k"))
        replies = [self.connection.read() for _ in range(5)]
        self.assertTrue(replies[0].startswith(b"NOAUTH"))
        self.assertTrue(replies[1].startswith(b"WRONGPASS"))
        self.assertEqual(replies[2:], [b"OK", b"OK", b"v"])


if __name__ == "__main__":
    unittest.main()
