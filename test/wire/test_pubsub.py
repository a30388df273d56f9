"""Publish and subscribe. Most of it is Redis's way, and Redis itself passes it."""

import threading
import unittest

import harness
import resp

try:
    import redis
except ImportError:
    redis = None


def fields(line):
    line = line.removeprefix(b"txt:")
    return dict(word.split("=", 1) for word in line.decode().split())


class PubSub(harness.WireTest):
    """Several workers, so subscribers and publishers sit on different loops."""

    def subscriber(self, *channels, protocol=2, command="SUBSCRIBE"):
        connection = self.server.connect(protocol)
        if channels:
            connection.send(command, *channels)
            for _ in channels:
                connection.read()
        return connection

    def info(self, name):
        lines = self.call("INFO", "stats").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)[name]

    def numbers(self, *channels):
        reply = self.call("PUBSUB", "NUMSUB", *channels)
        return dict(zip(reply[::2], reply[1::2]))


class Subscribing(PubSub):
    def test_each_channel_is_confirmed_with_the_number_of_subscriptions(self):
        for protocol, kind in ((2, list), (3, resp.Push)):
            with self.subTest(protocol=protocol):
                client = self.server.connect(protocol)
                client.send("SUBSCRIBE", "a", "b", "a")
                client.send("PSUBSCRIBE", "a*")
                client.send("subscribe", "")
                replies = [client.read() for _ in range(5)]
                self.assertEqual(replies, [
                    [b"subscribe", b"a", 1], [b"subscribe", b"b", 2], [b"subscribe", b"a", 2],
                    [b"psubscribe", b"a*", 3], [b"subscribe", b"", 4]])
                self.assertEqual({type(reply) for reply in replies}, {kind})

    def test_unsubscribing_counts_down(self):
        client = self.subscriber("a", "b", "c")
        self.assertEqual(client.command("PSUBSCRIBE", "p*"), [b"psubscribe", b"p*", 4])
        self.assertEqual(client.command("UNSUBSCRIBE", "b"), [b"unsubscribe", b"b", 3])
        self.assertEqual(client.command("UNSUBSCRIBE", "b"), [b"unsubscribe", b"b", 3])
        self.assertEqual(client.command("PUNSUBSCRIBE", "other"), [b"punsubscribe", b"other", 3])
        client.send("UNSUBSCRIBE")
        replies = [client.read(), client.read()]
        self.assertEqual({reply[1] for reply in replies}, {b"a", b"c"})
        self.assertEqual([reply[2] for reply in replies], [2, 1])
        self.assertEqual(client.command("PUNSUBSCRIBE"), [b"punsubscribe", b"p*", 0])
        self.assertEqual(client.command("SET", "k", "v"), b"OK")

    def test_with_nothing_to_unsubscribe_from_the_name_is_null(self):
        for protocol, null in ((2, b"$-1\r\n"), (3, b"_\r\n")):
            client = self.server.connect(protocol)
            head = b"*3\r\n" if protocol == 2 else b">3\r\n"
            for command in (b"UNSUBSCRIBE", b"PUNSUBSCRIBE"):
                name = command.lower()
                self.assertEqual(client.command_raw(command),
                                 head + b"$%d\r\n%s\r\n" % (len(name), name) + null + b":0\r\n")

    def test_wrong_numbers_of_arguments(self):
        for command in (["SUBSCRIBE"], ["PSUBSCRIBE"], ["PUBLISH", "a"], ["PUBLISH", "a", "b", "c"]):
            self.fails(f"ERR wrong number of arguments for '{command[0].lower()}' command", *command)

    def test_a_resp2_subscriber_may_send_little_else(self):
        client = self.subscriber("a")
        for command, name in ((["GET", "k"], "get"), (["CLIENT", "ID"], "client|id"),
                              (["PUBLISH", "a", "b"], "publish"), (["HELLO", "3"], "hello"),
                              (["MSET", "a", "1", "b", "2"], "mset"), (["ECHO", "x"], "echo"),
                              (["PUBSUB", "NUMPAT"], "pubsub|numpat")):
            reply = client.command(*command)
            self.assertIsInstance(reply, resp.Error)
            self.assertEqual(reply.decode(),
                             f"ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE "
                             "/ PING / QUIT / RESET are allowed in this context")
        self.assertEqual(client.command("NOSUCH"),
                         b"ERR unknown command 'NOSUCH', with args beginning with: ")
        self.assertEqual(client.command("GET"), b"ERR wrong number of arguments for 'get' command")
        self.assertEqual(client.command("PING"), [b"pong", b""])
        self.assertEqual(client.command("PING", "hello"), [b"pong", b"hello"])
        self.assertEqual(client.command("UNSUBSCRIBE", "a"), [b"unsubscribe", b"a", 0])
        self.assertEqual(client.command("PING"), b"PONG")
        self.null("GET", "k")

    def test_a_resp3_subscriber_may_send_everything(self):
        client = self.subscriber("a", protocol=3)
        self.assertEqual(client.command("PING"), b"PONG")
        self.assertEqual(client.command("SET", "k", "v"), b"OK")
        self.assertEqual(client.command("GET", "k"), b"v")
        self.assertEqual(client.command("PSUBSCRIBE", "x"), [b"psubscribe", b"x", 2])

    def test_going_back_to_resp2_keeps_the_subscriptions(self):
        client = self.subscriber("a", protocol=3)
        client.command("HELLO", 2)
        self.assertEqual(client.command("PING"), [b"pong", b""])
        self.integer(1, "PUBLISH", "a", "text")
        reply = client.read()
        self.assertEqual(reply, [b"message", b"a", b"text"])
        self.assertNotIsInstance(reply, resp.Push)

    def test_reset_ends_subscriptions(self):
        for protocol in (2, 3):
            client = self.subscriber("a", "b", protocol=protocol)
            client.command("PSUBSCRIBE", "p")
            self.assertEqual(client.command("RESET"), b"RESET")
            self.assertEqual(client.command("PING"), b"PONG")
            self.integer(0, "PUBLISH", "a", "x")
            self.integer(0, "PUBSUB", "NUMPAT")
            self.assertTrue(client.is_silent(0.05))

    def test_quit_and_closing_end_subscriptions(self):
        quitter = self.subscriber("a")
        closer = self.subscriber("a")
        self.integer(2, "PUBLISH", "a", "x")
        quitter.read()
        self.assertEqual(quitter.command("QUIT"), b"OK")
        self.assertTrue(quitter.is_closed())
        closer.close()
        self.assertTrue(harness.wait_until(lambda: self.call("PUBSUB", "CHANNELS") == []))
        self.integer(0, "PUBLISH", "a", "x")

    def test_confirmations_and_messages_come_whatever_client_reply_says(self):
        client = self.server.connect()
        client.send("CLIENT", "REPLY", "OFF")
        client.send("SUBSCRIBE", "a")
        self.assertEqual(client.read(), [b"subscribe", b"a", 1])
        self.integer(1, "PUBLISH", "a", "x")
        self.assertEqual(client.read(), [b"message", b"a", b"x"])
        client.send("PING")
        self.assertTrue(client.is_silent())

    def test_publishing_with_replies_off(self):
        listener = self.subscriber("a")
        client = self.server.connect()
        client.send("CLIENT", "REPLY", "SKIP")
        client.send("PUBLISH", "a", "x")
        self.assertEqual(client.command("PING"), b"PONG")
        self.assertEqual(listener.read(), [b"message", b"a", b"x"])


class Publishing(PubSub):
    def test_a_message_reaches_every_subscriber_of_every_loop(self):
        listeners = [self.subscriber("news", protocol=2 + i % 2) for i in range(12)]
        other = self.subscriber("other")
        self.integer(12, "PUBLISH", "news", b"\x00\r\n\xff")
        for listener in listeners:
            self.assertEqual(listener.read(), [b"message", b"news", b"\x00\r\n\xff"])
        self.assertTrue(other.is_silent(0.05))

    def test_the_bytes_of_messages(self):
        two, three = self.subscriber("a"), self.subscriber("a", protocol=3)
        for client in (two, three):
            client.send("PSUBSCRIBE", "?")
            client.read()
        self.integer(4, "PUBLISH", "a", "xy")
        message = b"3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nxy\r\n"
        pattern = b"4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\na\r\n$2\r\nxy\r\n"
        self.assertEqual([two.read_raw(), two.read_raw()], [b"*" + message, b"*" + pattern])
        self.assertEqual([three.read_raw(), three.read_raw()], [b">" + message, b">" + pattern])

    def test_patterns(self):
        listener = self.subscriber("user:*:in", "h[ae]llo", "\\*", command="PSUBSCRIBE")
        self.integer(1, "PUBLISH", "user:7:in", "1")
        self.integer(1, "PUBLISH", "hallo", "2")
        self.integer(0, "PUBLISH", "hillo", "3")
        self.integer(0, "PUBLISH", "USER:7:in", "4")
        self.integer(1, "PUBLISH", "*", "5")
        self.integer(0, "PUBLISH", "x", "6")
        self.assertEqual([listener.read() for _ in range(3)], [
            [b"pmessage", b"user:*:in", b"user:7:in", b"1"],
            [b"pmessage", b"h[ae]llo", b"hallo", b"2"], [b"pmessage", b"\\*", b"*", b"5"]])

    def test_a_client_gets_a_message_once_for_each_subscription_that_fits(self):
        listener = self.subscriber("abc")
        listener.send("PSUBSCRIBE", "a*", "*c", "x*")
        for _ in range(3):
            listener.read()
        self.integer(3, "PUBLISH", "abc", "m")
        replies = [listener.read() for _ in range(3)]
        self.assertEqual(replies[0], [b"message", b"abc", b"m"])
        self.assertEqual({reply[1] for reply in replies[1:]}, {b"a*", b"*c"})

    def test_after_unsubscribing_nothing_comes(self):
        listener = self.subscriber("a", "b")
        self.assertEqual(listener.command("UNSUBSCRIBE", "a"), [b"unsubscribe", b"a", 1])
        self.integer(0, "PUBLISH", "a", "x")
        self.integer(1, "PUBLISH", "b", "x")
        self.assertEqual(listener.read(), [b"message", b"b", b"x"])

    def test_a_resp3_publisher_hears_itself_before_the_reply(self):
        client = self.subscriber("a", protocol=3)
        client.send("PUBLISH", "a", "x")
        self.assertEqual([client.read(), client.read()], [[b"message", b"a", b"x"], 1])

    def test_messages_of_a_publisher_come_in_its_order(self):
        listeners = [self.subscriber("c") for _ in range(6)]
        publishers = [self.server.connect() for _ in range(4)]
        count = 200 if harness.SLOW else 2000

        def publish(number):
            replies = publishers[number].pipeline(
                [["PUBLISH", "c", f"{number}:{i}"] for i in range(count)])
            self.assertEqual(replies, [6] * count)

        threads = [threading.Thread(target=publish, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        heard = [[listener.read()[2] for _ in range(4 * count)] for listener in listeners]
        for thread in threads:
            thread.join()
        for number in range(4):
            own = [text for text in heard[0] if text.startswith(b"%d:" % number)]
            self.assertEqual(own, [b"%d:%d" % (number, i) for i in range(count)])
        for other in heard[1:]:
            self.assertEqual(other, heard[0])  # all see all messages in one order

    def test_a_message_behind_a_write_in_a_pipeline_finds_it_done(self):
        listener = self.subscriber("c")
        reader = self.server.connect()
        for i in range(200):
            # Keys of all workers; the listener looks as soon as it hears.
            self.connection.send("SET", f"k{i}", "new")
            self.connection.send("PUBLISH", "c", f"k{i}")
            self.assertEqual(reader.command("GET", listener.read()[2]), b"new")
        for _ in range(400):
            self.connection.read()

    def test_a_subscription_in_a_pipeline_is_confirmed_before_its_messages(self):
        stop = threading.Event()

        def publish():
            with resp.Connection(self.server.port) as publisher:
                while not stop.is_set():
                    publisher.pipeline([["PUBLISH", "c", "x"]] * 20)

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            for i in range(100):
                with resp.Connection(self.server.port, protocol=3) as client:
                    keys = [f"k{i}:{j}" for j in range(5)]
                    client.send_bytes(b"".join(resp.encode("GET", key) for key in keys)
                                      + resp.encode("SUBSCRIBE", "c"))
                    for _ in keys:
                        self.assertNotIsInstance(client.read(), resp.Push)
                    self.assertEqual(client.read(), [b"subscribe", b"c", 1])
                    self.assertEqual(client.read(), [b"message", b"c", b"x"])
        finally:
            stop.set()
            thread.join()

    def test_large_messages(self):
        listeners = [self.subscriber("a") for _ in range(4)]
        text = bytes(range(256)) * 4096
        for _ in range(3):
            self.integer(4, "PUBLISH", "a", text)
        for listener in listeners:
            for _ in range(3):
                self.assertEqual(listener.read(), [b"message", b"a", text])

    def test_clients_that_come_and_go_while_others_publish(self):
        stop = threading.Event()
        rounds = 10 if harness.SLOW else 40

        def publish(number):
            with resp.Connection(self.server.port) as publisher:
                while not stop.is_set():
                    publisher.pipeline([["PUBLISH", f"c{i}", "x"] for i in range(10)])

        def come_and_go(number):
            for i in range(rounds):
                with resp.Connection(self.server.port, protocol=2 + i % 2) as client:
                    client.send("SUBSCRIBE", *[f"c{j}" for j in range(10)])
                    client.send("PSUBSCRIBE", "c*", "?1", "none")
                    if i % 3 == 0:
                        client.send("UNSUBSCRIBE")
                    for _ in range(50):
                        client.read()

        publishers = [threading.Thread(target=publish, args=(i,)) for i in range(2)]
        comers = [threading.Thread(target=come_and_go, args=(i,)) for i in range(4)]
        for thread in publishers + comers:
            thread.start()
        for thread in comers:
            thread.join()
        stop.set()
        for thread in publishers:
            thread.join()
        # Who has unsubscribed from the channels may still have its patterns.
        self.assertTrue(harness.wait_until(lambda: self.call("PUBSUB", "CHANNELS") == [] and
                                           self.call("PUBSUB", "NUMPAT") == 0))
        self.is_undisturbed()


class Asking(PubSub):
    def test_channels_and_their_subscribers(self):
        self.assertEqual(self.call("PUBSUB", "CHANNELS"), [])
        self.subscriber("a1", "a2")
        self.subscriber("a1", "b", protocol=3)
        self.subscriber("a*", command="PSUBSCRIBE")
        self.assertEqual(set(self.call("PUBSUB", "CHANNELS")), {b"a1", b"a2", b"b"})
        self.assertEqual(set(self.call("pubsub", "channels", "a?")), {b"a1", b"a2"})
        self.assertEqual(self.call("PUBSUB", "NUMSUB"), [])
        self.assertEqual(self.call("PUBSUB", "NUMSUB", "a1", "none", "b"),
                         [b"a1", 2, b"none", 0, b"b", 1])
        flat = self.server.connect(3).command("PUBSUB", "NUMSUB", "a1")
        self.assertEqual(flat, [b"a1", 2])
        self.assertNotIsInstance(flat, resp.Map)

    def test_patterns_are_counted_once(self):
        self.integer(0, "PUBSUB", "NUMPAT")
        self.subscriber("a*", "b*", command="PSUBSCRIBE")
        self.subscriber("a*", command="PSUBSCRIBE")
        self.integer(2, "PUBSUB", "NUMPAT")

    def test_wrong_questions(self):
        self.fails("ERR unknown subcommand or wrong number of arguments for 'Channels'. "
                   "Try PUBSUB HELP.", "PUBSUB", "Channels", "a", "b")
        self.fails("ERR unknown subcommand 'foo'. Try PUBSUB HELP.", "PUBSUB", "foo")
        self.fails("ERR wrong number of arguments for 'pubsub' command", "PUBSUB")
        self.fails("ERR wrong number of arguments for 'pubsub|numpat' command",
                   "PUBSUB", "NUMPAT", "x")
        self.assertEqual(self.call("PUBSUB", "HELP")[0],
                         b"PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")

    def test_the_list_of_clients_tells_of_subscriptions(self):
        listener = self.subscriber("a", "b", protocol=3)
        listener.command("PSUBSCRIBE", "p")
        own = fields(listener.command("CLIENT", "INFO"))
        self.assertEqual((own["flags"], own["sub"], own["psub"]), ("P", "2", "1"))
        listed = [fields(line) for line in self.call("CLIENT", "LIST", "TYPE", "pubsub").splitlines()]
        self.assertEqual([(c["id"], c["flags"], c["sub"], c["psub"]) for c in listed],
                         [(own["id"], "P", "2", "1")])
        normal = [fields(line) for line in self.call("CLIENT", "LIST", "TYPE", "normal").splitlines()]
        self.assertNotIn(own["id"], [c["id"] for c in normal])
        self.assertTrue(all(c["flags"] == "N" for c in normal))
        listener.send("RESET")
        self.assertTrue(harness.wait_until(
            lambda: self.call("CLIENT", "LIST", "TYPE", "pubsub") == b""))

    def test_subscribers_can_be_killed(self):
        listener, other = self.subscriber("a"), self.server.connect()
        self.integer(1, "CLIENT", "KILL", "TYPE", "pubsub")
        self.assertTrue(listener.is_closed())
        self.assertEqual(other.command("PING"), b"PONG")
        self.assertTrue(harness.wait_until(lambda: self.numbers("a")[b"a"] == 0))

    def test_info_counts_channels_and_patterns(self):
        self.subscriber("a", "b")
        self.subscriber("b")
        self.subscriber("p", command="PSUBSCRIBE")
        self.assertEqual((self.info("pubsub_channels"), self.info("pubsub_patterns")), ("2", "1"))

    def test_commands_say_that_they_are_of_this_family(self):
        for name, arity in (("subscribe", -2), ("unsubscribe", -1), ("psubscribe", -2),
                            ("punsubscribe", -1), ("publish", 3)):
            info = self.call("COMMAND", "INFO", name)[0]
            self.assertEqual(info[1], arity)
            self.assertLessEqual({b"pubsub", b"loading", b"stale"}, set(info[2]), name)
            self.assertIn(b"@pubsub", info[6])
            self.assertEqual(len(info[2]), len(set(info[2])))


class Limits(PubSub):
    options = {"timeout": 1}

    def test_the_idle_timeout_does_not_close_subscribers(self):
        listener, idle = self.subscriber("a"), self.server.connect()
        idle.command("PING")
        self.assertTrue(idle.is_closed())
        with resp.Connection(self.server.port) as publisher:
            self.assertEqual(publisher.command("PUBLISH", "a", "x"), 1)
        self.assertEqual(listener.read(), [b"message", b"a", b"x"])


@harness.only_holdfast
class OwnLimits(PubSub):
    options = {"client_output_limit": "1mb"}

    def test_a_subscriber_that_does_not_read_is_dropped(self):
        lazy = self.server.connect(receive_buffer=4096)
        lazy.send("SUBSCRIBE", "a")
        lazy.read()
        eager = self.subscriber("a")
        text = b"x" * 100_000
        for _ in range(1000):
            if self.call("PUBLISH", "a", text) == 1:
                break
            self.assertEqual(eager.read()[2], text)
        self.assertEqual(self.numbers("a"), {b"a": 1})
        self.assertEqual(eager.read()[2], text)
        self.assertEqual(self.info("client_output_buffer_limit_disconnections"), "1")
        self.assertLess(len(lazy.read_to_end()), 100_000_000)
        self.is_undisturbed()

    def test_the_memory_of_subscriptions_is_bounded(self):
        client = self.server.connect(3)
        names = [b"%05d" % i + b"n" * 1019 for i in range(14_000)]
        for i, name in enumerate(names[:13_000]):
            self.assertEqual(client.command("SUBSCRIBE", name)[2], i + 1)
        self.assertEqual(client.command("SUBSCRIBE", *names[13_000:]),
                         b"ERR the subscriptions of one connection exceed 16 MiB")
        client.command("RESET")
        # Patterns with ? or [ have tables to be compared by.
        patterns = [b"%04d?" % i + b"n" * 4091 for i in range(130)]
        self.assertEqual(client.command("PSUBSCRIBE", *patterns),
                         b"ERR the subscriptions of one connection exceed 16 MiB")
        pattern = patterns[0][:1024]
        self.assertEqual(client.command("PSUBSCRIBE", pattern)[2], 1)
        self.integer(1, "PUBLISH", pattern, "matches itself")
        self.assertEqual(client.read()[2:], [pattern, b"matches itself"])
        client.command("RESET")
        many = list(map(str, range(65_000)))
        self.assertEqual(client.command("PSUBSCRIBE", *many),
                         b"ERR the subscriptions of one connection exceed 16 MiB")
        self.integer(0, "PUBSUB", "NUMPAT")

    def test_the_patterns_of_all_are_bounded(self):
        refusal = b"ERR the patterns of all connections exceed 8 MiB"
        clients = [self.server.connect(3) for _ in range(3)]
        for i, client in enumerate(clients):
            names = [b"%d.%04d" % (i, n) + b"n" * 4000 for n in range(900)]
            replies = [client.command("PSUBSCRIBE", name) for name in names]
            self.assertEqual(refusal in replies, i == 2)
        # What others have already costs nothing more.
        shared, new = b"0.0000" + b"n" * 4000, b"x" * 4096
        self.assertEqual(clients[2].command("PSUBSCRIBE", shared)[1], shared)
        self.assertEqual(clients[2].command("PSUBSCRIBE", shared, new), refusal)
        self.assertEqual(clients[2].command("SUBSCRIBE", new[:1024])[1], new[:1024])
        clients[0].command("RESET")
        self.assertEqual(clients[2].command("PSUBSCRIBE", new)[1], new)

    def test_a_list_of_channels_has_a_bound(self):
        client = self.server.connect(3)
        names = [b"%05d" % i + b"n" * 1019 for i in range(13_000)]
        for i in range(0, len(names), 10):
            client.command("SUBSCRIBE", *names[i:i + 10])
            for _ in range(9):
                client.read()
        self.assertEqual(len(self.call("PUBSUB", "CHANNELS")), len(names))
        self.assertEqual(self.call("PUBSUB", "CHANNELS", "00001*"), names[1:2])
        self.fails("ERR there are too many channels for a list, or for this pattern",
                   "PUBSUB", "CHANNELS", b"*a?" * 50)
        client.command("RESET")
        self.assertEqual(self.call("PUBSUB", "CHANNELS", b"*a?" * 50), [])

    def test_names_have_bounds(self):
        channel, pattern = b"c" * 1024, b"p" * 4096
        subscriber = self.subscriber(channel)
        self.integer(1, "PUBLISH", channel, "text")
        self.assertEqual(subscriber.read(), [b"message", channel, b"text"])
        for command in (("SUBSCRIBE", channel + b"c"), ("SUBSCRIBE", "a", channel + b"c"),
                        ("PUBLISH", channel + b"c", "text")):
            self.fails("ERR the name of a channel is at most 1024 bytes long", *command)
        for command in (("PSUBSCRIBE", pattern + b"p"), ("PUBSUB", "CHANNELS", pattern + b"p"),
                        ("KEYS", pattern + b"p"), ("SCAN", 0, "MATCH", pattern + b"p"),
                        ("CONFIG", "GET", pattern + b"p"),
                        ("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern + b"p")):
            self.fails("ERR a pattern is at most 4096 bytes long", *command)
        self.assertEqual(self.call("PUBSUB", "CHANNELS", pattern), [])
        self.assertEqual(self.call("KEYS", pattern), [])

    def test_what_a_loop_runs_at_once_has_a_bound(self):
        for command in (("CONFIG", "GET"), ("COMMAND", "INFO"), ("COMMAND", "DOCS"),
                        ("CLIENT", "LIST", "ID"), ("LATENCY", "HISTOGRAM")):
            self.fails(f"ERR '{'|'.join(command[:2]).lower()}' takes at most 256 arguments "
                       "at a time", *command, *["1"] * 256)
        self.fails("ERR the patterns of one CONFIG GET are at most 4096 bytes long together",
                   "CONFIG", "GET", "*" * 2048, "*" * 2049)
        self.assertTrue(self.call("CONFIG", "GET", "*" * 2048, "*" * 2048))
        for command in (("SUBSCRIBE",), ("UNSUBSCRIBE",), ("PUBSUB", "NUMSUB")):
            self.fails(f"ERR '{'|'.join(command).lower()}' takes at most 65536 arguments "
                       "at a time", *command, *["1"] * 65536)
        for command in (("UNSUBSCRIBE",), ("PUNSUBSCRIBE",), ("PUBSUB", "NUMSUB")):
            self.fails("ERR the names of one command are at most 16777216 bytes long together",
                       *command, *["n" * 1024] * 16384, "x")
        self.assertEqual(len(self.call("PUBSUB", "NUMSUB", *["n" * 1024] * 16384)), 32768)
        self.assertEqual(self.call("EXISTS", *["1"] * 65536), 0)


class SmallMemory(PubSub):
    options = {"input_memory": "1mb"}

    def test_the_subscriptions_of_all_connections_have_a_bound(self):
        clients = [self.server.connect(3) for _ in range(3)]
        names = [[b"%d:%05d" % (number, i) for i in range(1500)] for number in range(3)]

        def subscribe(client, channels):
            client.send("SUBSCRIBE", *channels)
            return [client.read()[2] for _ in channels]

        for client, channels in zip(clients[:2], names):
            self.assertEqual(subscribe(client, channels), list(range(1, 1501)))
        self.assertEqual(
            clients[2].command("SUBSCRIBE", *names[2]),
            b"OVERLOADED the subscriptions of all connections take as much as input-memory allows")
        # More than a closing connection drops at once: they go soon.
        clients[0].close()
        harness.wait_until(lambda: self.call("PUBSUB", "NUMSUB", names[0][0])[1] == 0)
        harness.wait_until(lambda: self.call("PUBSUB", "NUMSUB", names[0][-1])[1] == 0)
        self.assertEqual(subscribe(clients[2], names[2]), list(range(1, 1501)))
        # The server ends with subscriptions of connections that are still leaving.
        for client in clients:
            client.close()


class LoopsApart(Publishing):
    """Connections on threads that own no shard."""

    options = {"workers": 2, "io_threads": 2}


class OneLoop(Publishing):
    options = {"workers": 1}


@unittest.skipIf(redis is None, "the redis client for Python is not installed")
class Applications(harness.WireTest):
    def test_messages_through_a_library(self):
        client = redis.Redis(port=self.server.port)
        self.addCleanup(client.close)
        with client.pubsub(ignore_subscribe_messages=True) as listener:
            listener.subscribe("chat")
            listener.psubscribe("room.*")
            listener.get_message(timeout=5)
            listener.get_message(timeout=5)
            self.assertEqual(client.publish("chat", "hello"), 1)
            self.assertEqual(client.publish("room.1", b"\xff"), 1)
            first, second = listener.get_message(timeout=5), listener.get_message(timeout=5)
            self.assertEqual((first["type"], first["data"]), ("message", b"hello"))
            self.assertEqual((second["type"], second["pattern"], second["channel"], second["data"]),
                             ("pmessage", b"room.*", b"room.1", b"\xff"))
            self.assertEqual(client.pubsub_numsub("chat"), [(b"chat", 1)])
            self.assertEqual(client.pubsub_numpat(), 1)
            listener.ping()
            self.assertEqual(listener.get_message(timeout=5)["type"], "pong")
            listener.unsubscribe()
            listener.punsubscribe()
            listener.get_message(timeout=5)
            listener.get_message(timeout=5)
        self.assertEqual(client.pubsub_channels(), [])
