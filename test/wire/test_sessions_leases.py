"""SESSION.LEASE, COMMIT, RELEASE: whatever happens to holders and to those who wait, one at a time
holds a lease, and nobody is forgotten."""

import json
import selectors
import socket
import struct
import threading
import time
import unittest

import harness
import resp
from session_case import GONE, LOST, OVER, SMALL, SessionTest, serve, session_of

# "At once" is measured against this: far below the leases and waits of these tests.
PROMPT_S = 15 if harness.SLOW else 3
LONG_MS = 60000
CALLERS = 300 if harness.SLOW else 1000


def close_hard(connection):
    """With a reset, as when the process's machine has gone."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class LeaseTest(SessionTest):
    def setUp(self):
        super().setUp()
        self.identity = self.create("USER", self.user, "DATA", '{"n":0}', "TTL", 1000)

    def hold(self, connection=None, ms=LONG_MS, identity=None):
        """Returns the token."""
        token, left = (connection or self.connection).command(
            "SESSION.LEASE", identity or self.identity, "oauth", "MS", ms)
        self.assertIs(type(token), bytes)
        self.assertEqual(left, ms)
        return token

    def wait(self, *options, identity=None, protocol=2):
        """A connection that stands in line, behind those before."""
        connection = self.server.connect(protocol=protocol)
        connection.send("SESSION.LEASE", identity or self.identity, "oauth", "MS", LONG_MS,
                        "WAIT", LONG_MS, *options)
        self.assertTrue(connection.is_silent(0.1 if harness.SLOW else 0.03))
        return connection

    def promptly(self, connection):
        """Its reply, which has to come without waiting for any time-out."""
        connection.socket.settimeout(PROMPT_S)
        return connection.read()

    def assert_granted(self, reply):
        self.assertIs(type(reply), list, reply)
        self.assertEqual((len(reply), type(reply[0]), reply[1]), (2, bytes, LONG_MS), reply)
        self.assertRegex(reply[0], rb"^[0-9a-f]{32}$")
        return reply[0]

    def assert_free(self, identity=None):
        other = self.server.connect()
        deadline = time.monotonic() + PROMPT_S
        while True:
            token, _ = other.command("SESSION.LEASE", identity or self.identity, "oauth", "MS", LONG_MS)
            if token or time.monotonic() > deadline:
                self.assertTrue(token, "somebody holds the lease")
                return
            time.sleep(0.005)


@harness.only_holdfast
class Leases(LeaseTest):
    def test_one_of_many_who_ask_at_once_is_granted(self):
        connections = [self.server.connect() for _ in range(60)]
        for connection in connections:
            connection.send("SESSION.LEASE", self.identity, "oauth", "MS", 5000)
        replies = [connection.read() for connection in connections]
        self.assertEqual(sum(bool(token) for token, _ in replies), 1)
        for token, ms in replies:
            self.assertTrue(0 < ms <= 5000)

    def test_others_are_told_how_long_it_is_held(self):
        self.hold(ms=5000)
        time.sleep(0.05)
        token, left = self.call("SESSION.LEASE", self.identity, "oauth", "WAIT", 0)
        self.assertEqual((type(token), len(str(left))), (resp.Null, 4))
        self.assertLessEqual(left, 4950)

    def test_ten_seconds_unless_told_otherwise(self):
        self.assertEqual(self.call("SESSION.LEASE", self.identity, "other")[1], 10000)

    def test_purposes_and_sessions_do_not_mix(self):
        other = self.create()
        tokens = [self.call("SESSION.LEASE", identity, purpose)[0]
                  for identity in (self.identity, other)
                  for purpose in ("a", "b", "A", b"\0\r\n", "x" * 255)]
        self.assertEqual(len(set(tokens)), 10)
        self.assertNotIn(None, tokens)
        self.integer(2, "SESSION.COMMIT", other, "b", tokens[6], '{"b":1}')
        self.assertFalse(self.call("SESSION.LEASE", other, "a")[0])
        self.assertTrue(self.call("SESSION.LEASE", other, "b")[0])

    def test_a_commit_merges_and_ends_the_lease(self):
        token = self.hold()
        self.integer(2, "SESSION.COMMIT", self.identity, "oauth", token, '{"access":"new","n":1}')
        self.bulk('{"n":1,"access":"new"}', "SESSION.GET", self.identity, "DATA")
        with self.unchanged(self.identity):
            self.fails(LOST, "SESSION.COMMIT", self.identity, "oauth", token, '{"access":"late"}')
            self.fails(LOST, "SESSION.RELEASE", self.identity, "oauth", token)
        self.assertNotEqual(self.hold(), token)

    def test_who_waits_is_told_what_was_committed(self):
        token = self.hold()
        waiting = [self.wait(protocol=2 + i % 2) for i in range(6)]
        self.integer(2, "SESSION.COMMIT", self.identity, "oauth", token, '{"access":"new"}')
        for connection in waiting:
            reply = self.promptly(connection)
            self.assertEqual(reply, [None, 0, b'{"n":0,"access":"new"}'])
        self.assert_free()

    def test_a_released_lease_goes_from_one_to_the_next(self):
        token = self.hold()
        waiting = [self.wait() for _ in range(4)]
        tokens = {token}
        while waiting:
            self.ok("SESSION.RELEASE", self.identity, "oauth", token)
            token = self.assert_granted(self.promptly(waiting.pop(0)))
            self.assertNotIn(token, tokens)
            tokens.add(token)
            for connection in waiting:
                self.assertTrue(connection.is_silent(0.01))
        self.ok("SESSION.RELEASE", self.identity, "oauth", token)
        self.assert_free()

    def test_who_has_read_old_data_is_told_the_new_and_gets_no_lease(self):
        version = self.session(self.identity)[b"version"]
        token, _ = self.call("SESSION.LEASE", self.identity, "oauth", "IFVERSION", version)
        self.integer(2, "SESSION.COMMIT", self.identity, "oauth", token, '{"access":"new"}')
        told = [None, 0, b'{"n":0,"access":"new"}']
        for protocol in (2, 3):
            late = self.server.connect(protocol=protocol)
            for options in ((), ("WAIT", LONG_MS), ("MS", 5, "WAIT", 0)):
                self.assertEqual(late.command("SESSION.LEASE", self.identity, "oauth", *options,
                                              "IFVERSION", version), told)
        # Told, though somebody has a lease of the new version, and nobody waits.
        token, _ = self.call("SESSION.LEASE", self.identity, "oauth", "IFVERSION", version + 1)
        self.assertIs(type(token), bytes)
        self.assertEqual(self.call("SESSION.LEASE", self.identity, "oauth", "WAIT", LONG_MS,
                                   "IFVERSION", version), told)
        reply = self.call("SESSION.LEASE", self.identity, "oauth", "IFVERSION", version + 1)
        self.assertEqual((reply[0], len(reply)), (None, 2))
        self.ok("SESSION.RELEASE", self.identity, "oauth", token)
        # Without it, or of a session that is none, it is as ever.
        self.assertIs(type(self.call("SESSION.LEASE", self.identity, "other")[0]), bytes)
        self.assertIsInstance(
            self.call("SESSION.LEASE", self.fresh(), "oauth", "IFVERSION", 0), resp.Null)
        self.fails("ERR IFVERSION is a version, 0 for none",
                   "SESSION.LEASE", self.identity, "oauth", "IFVERSION", -1)
        self.misfits("SESSION.LEASE", self.identity, "oauth", "IFVERSION")

    def test_who_waits_with_old_data_is_not_granted_the_lease(self):
        """The holder's lease is over before it has what it fetched, which it saves all the same."""
        self.hold(ms=1000)
        outdated = self.wait("IFVERSION", 1)
        any_data = self.wait()
        self.integer(2, "SESSION.UPDATE", self.identity, '{"access":"late"}')
        self.assertEqual(self.promptly(outdated), [None, 0, b'{"n":0,"access":"late"}'])
        self.assert_granted(self.promptly(any_data))

    def test_nobody_overtakes_those_in_line(self):
        token = self.hold()
        first = self.wait()
        replies = self.connection.pipeline([("SESSION.RELEASE", self.identity, "oauth", token),
                                            ("SESSION.LEASE", self.identity, "oauth")])
        self.assertEqual(replies[0], b"OK")
        self.assertFalse(replies[1][0])
        self.assert_granted(self.promptly(first))

    def test_when_its_time_is_over_the_first_in_line_has_it_and_the_token_is_dead(self):
        started = time.monotonic()
        token = self.hold(ms=300)
        first, second = self.wait(), self.wait()
        new = self.assert_granted(self.promptly(first))
        self.assertGreaterEqual(time.monotonic() - started, 0.299)
        self.assertTrue(second.is_silent(0.03))
        with self.unchanged(self.identity):
            self.fails(LOST, "SESSION.COMMIT", self.identity, "oauth", token, '{"access":"late"}')
            self.fails(LOST, "SESSION.RELEASE", self.identity, "oauth", token)
        self.integer(2, "SESSION.COMMIT", self.identity, "oauth", new, '{"n":1}')
        self.assertEqual(self.promptly(second), [None, 0, b'{"n":1}'])

    def test_a_token_is_dead_after_its_time_though_nobody_took_over(self):
        token = self.hold(ms=1)
        time.sleep(0.01)
        with self.unchanged(self.identity):
            self.fails(LOST, "SESSION.COMMIT", self.identity, "oauth", token, '{"n":9}')

    def test_who_has_waited_enough_is_told_how_long_it_is_still_held(self):
        self.hold(ms=20000)
        connection = self.server.connect()
        started = time.monotonic()
        token, left = connection.command("SESSION.LEASE", self.identity, "oauth", "WAIT", 100)
        self.assertGreaterEqual(time.monotonic() - started, 0.099)
        self.assertFalse(token)
        self.assertTrue(20000 - 1000 * (PROMPT_S + 1) < left <= 19900, left)

    def test_a_holder_that_hangs_up_hands_on_at_once(self):
        for close in (resp.Connection.close, close_hard):
            with self.subTest(close=close.__name__):
                holder = self.server.connect()
                token = self.hold(holder)
                first, second = self.wait(), self.wait()
                close(holder)
                new = self.assert_granted(self.promptly(first))
                self.assertTrue(second.is_silent(0.05))
                self.fails(LOST, "SESSION.COMMIT", self.identity, "oauth", token, "{}")
                close(first)
                newer = self.assert_granted(self.promptly(second))
                self.fails(LOST, "SESSION.RELEASE", self.identity, "oauth", new)
                self.ok("SESSION.RELEASE", self.identity, "oauth", newer)

    def test_all_leases_of_a_client_end_with_it(self):
        holder = self.server.connect()
        ids = [self.identity] + [self.create() for _ in range(20)]
        for identity in ids:
            self.hold(holder, identity=identity)
        holder.close()
        for identity in ids:
            self.assert_free(identity)

    def test_a_client_that_is_killed_loses_its_lease(self):
        holder = self.server.connect()
        number = holder.command("CLIENT", "ID")
        self.hold(holder)
        first = self.wait()
        self.integer(1, "CLIENT", "KILL", "ID", number)
        self.assert_granted(self.promptly(first))

    def test_who_gave_up_waiting_does_not_block_those_behind(self):
        for close in (resp.Connection.close, close_hard):
            with self.subTest(close=close.__name__):
                self.identity = self.create()
                token = self.hold()
                gone = [self.wait() for _ in range(5)]
                last = self.wait()
                for connection in gone:
                    close(connection)
                self.ok("SESSION.RELEASE", self.identity, "oauth", token)
                token = self.assert_granted(self.promptly(last))
                self.ok("SESSION.RELEASE", self.identity, "oauth", token)
                self.assert_free()

    def test_a_client_that_waits_behind_itself_leaves_nothing_behind(self):
        holder = self.server.connect()
        self.hold(holder)
        holder.send("SESSION.LEASE", self.identity, "oauth", "MS", LONG_MS, "WAIT", LONG_MS)
        self.assertTrue(holder.is_silent(0.05))
        close_hard(holder)
        self.assert_free()

    def test_who_has_closed_its_sending_side_is_answered_at_once(self):
        """That is what a client looks like that is gone: it can use no lease, so it waits for none."""
        token = self.hold()
        half = self.wait()
        half.socket.shutdown(socket.SHUT_WR)
        token_or_nil, left_ms = self.promptly(half)
        self.assertEqual(token_or_nil, None)
        self.assertGreater(left_ms, 0)
        self.assertTrue(half.is_closed())
        self.integer(2, "SESSION.COMMIT", self.identity, "oauth", token, '{"n":5}')

    def test_replies_keep_the_order_of_a_pipeline(self):
        connection = self.server.connect()
        lease = ("SESSION.LEASE", self.identity, "oauth", "WAIT", LONG_MS, "MS")
        other = self.create()
        started = time.monotonic()
        replies = connection.pipeline([
            lease + (150,), lease + (160,), ("PING",), ("SESSION.LEASE", other, "p", "MS", 7),
            lease + (LONG_MS,), ("SESSION.COUNT",), ("SESSION.EXISTS", other, self.identity)])
        self.assertGreaterEqual(time.monotonic() - started, 0.309)
        self.assertEqual([reply[1] for reply in (replies[0], replies[1], replies[3], replies[4])],
                         [150, 160, 7, LONG_MS])
        self.assertEqual(len({replies[i][0] for i in (0, 1, 3, 4)}), 4)
        self.assertEqual((replies[2], replies[6]), (b"PONG", 2))

    def test_a_lease_and_its_line_outlive_a_rotation(self):
        token = self.hold()
        waiting = self.wait()
        new = self.call("SESSION.ROTATE", self.identity, "GRACE", 60)
        by_new_id = self.wait(identity=new)
        self.integer(2, "SESSION.COMMIT", new, "oauth", token, '{"n":1}')
        for connection in (waiting, by_new_id):
            self.assertEqual(self.promptly(connection), [None, 0, b'{"n":1}'])

    def test_who_waits_by_an_id_without_grace_learns_that_it_is_gone(self):
        token = self.hold()
        waiting = self.wait()
        new = self.call("SESSION.ROTATE", self.identity)
        self.integer(2, "SESSION.COMMIT", new, "oauth", token, '{"secret":1}')
        self.assertIsInstance(self.promptly(waiting), resp.Null)
        self.fails(GONE, "SESSION.COMMIT", self.identity, "oauth", token, "{}")

    def test_the_end_of_a_session_answers_all_who_wait(self):
        other = self.create("USER", self.user)
        def expire():
            self.integer(1, "SESSION.TOUCH", self.identity, "TTL", 1)
        ends = {
            "DEL": lambda: self.integer(1, "SESSION.DEL", self.identity),
            "DEL of several": lambda: self.integer(2, "SESSION.DEL", self.identity, other),
            "DELUSER": lambda: self.integer(1, "SESSION.DELUSER", self.user),
            "MAXPER": lambda: self.create("USER", self.user, "MAXPER", 1),
            "expiry": expire,
        }
        for name, end in ends.items():
            with self.subTest(name):
                self.identity = self.create("USER", self.user)
                if name == "DEL of several":
                    other = self.create()
                else:
                    self.call("SESSION.DELUSER", self.user, "EXCEPT", self.identity)
                token = self.hold()
                waiting = [self.wait() for _ in range(3)]
                end()
                for connection in waiting:
                    self.assertIsInstance(self.promptly(connection), resp.Null)
                error = OVER if name == "expiry" else GONE
                self.fails(error, "SESSION.COMMIT", self.identity, "oauth", token, '{"n":1}')
                self.fails(error, "SESSION.RELEASE", self.identity, "oauth", token)
                self.null("SESSION.GET", self.identity)

    def test_a_session_made_anew_has_no_part_in_the_old_ones_lease(self):
        identity = self.fresh()
        self.call("CONFIG", "SET", "session-tombstone", 0)
        self.addCleanup(self.call, "CONFIG", "SET", "session-tombstone", 86400)
        self.create("ID", identity)
        token = self.hold(identity=identity)
        self.integer(1, "SESSION.DEL", identity)
        self.create("ID", identity)
        with self.unchanged(identity):
            self.fails(LOST, "SESSION.COMMIT", identity, "oauth", token, '{"stolen":1}')
        self.hold(identity=identity)


@harness.only_holdfast
class Many(LeaseTest):
    """Of all who find a token about to expire, one refreshes it."""

    options = {**SMALL, "workers": 3, "io_threads": 1}

    def test_a_thousand_callers_cause_one_refresh(self):
        harness.raise_file_limit(2 * CALLERS + 200)
        waiting = selectors.DefaultSelector()
        for _ in range(CALLERS):
            connection = self.server.connect()
            connection.send("SESSION.LEASE", self.identity, "oauth", "MS", LONG_MS, "WAIT", LONG_MS)
            waiting.register(connection.socket, selectors.EVENT_READ, connection)
        (key, _), *others = waiting.select(timeout=PROMPT_S)
        self.assertEqual(others, [])
        token = self.assert_granted(key.data.read())
        waiting.unregister(key.fileobj)
        self.assertEqual(waiting.select(timeout=0.1), [])
        self.assertEqual(key.data.command("SESSION.COMMIT", self.identity, "oauth", token,
                                          '{"access":"fresh"}'), 2)
        connections = [key.data for key in waiting.get_map().values()]
        self.assertEqual(len(connections), CALLERS - 1)
        for connection in connections:
            self.assertEqual(self.promptly(connection), [None, 0, b'{"n":0,"access":"fresh"}'])
        self.assertEqual(self.session(self.identity)[b"version"], 2)
        waiting.close()

    def test_a_thousand_callers_with_old_data_cause_one_refresh(self):
        """All have read the expired token. Some ask before the commit, some while it comes, some
        behind it, some wait and some do not."""
        harness.raise_file_limit(2 * CALLERS + 200)
        random = harness.seeded_random(self.id())
        version = self.session(self.identity)[b"version"]
        callers = [self.server.connect() for _ in range(CALLERS)]

        def ask(caller):
            wait = random.choice([0, LONG_MS])
            caller.send("SESSION.LEASE", self.identity, "oauth", "MS", LONG_MS, "WAIT", wait,
                        "IFVERSION", version)
        holder, *others = callers
        ask(holder)
        token = self.assert_granted(self.promptly(holder))
        for caller in others[:len(others) // 2]:
            ask(caller)
        holder.send("SESSION.COMMIT", self.identity, "oauth", token, '{"access":"fresh"}')
        for caller in others[len(others) // 2:]:
            ask(caller)
        self.assertEqual(self.promptly(holder), 2)
        told = [None, 0, b'{"n":0,"access":"fresh"}']
        for caller in others:
            reply = self.promptly(caller)
            if reply != told:  # it did not wait, and asks again as it is told to
                self.assertEqual((reply[0], len(reply)), (None, 2))
                ask(caller)
                self.assertEqual(self.promptly(caller), told)
        self.assertEqual(self.session(self.identity)[b"version"], 2)
        self.assert_free()

    def test_whatever_holders_do_there_is_one_at_a_time(self):
        """They commit, release, hang up or forget; each commit counts on from what the one before
        left, so two holders at a time would lose a count."""
        random = harness.seeded_random(self.id())
        held, lock, failures, commits = [], threading.Lock(), [], []
        plans = [[random.choice(["commit"] * 3 + ["release", "close", "close hard", "forget"])
                  for _ in range(12)] for _ in range(12)]

        def act(connection, plan, token):
            with lock:
                if held:
                    failures.append(f"{plan} while {held}")
                held.append(plan)
            data = json.loads(connection.command("SESSION.GET", self.identity, "DATA"))
            with lock:
                held.remove(plan)
            if plan == "commit":
                reply = connection.command("SESSION.COMMIT", self.identity, "oauth", token,
                                           json.dumps({"n": data["n"] + 1}))
                commits.append(reply)
            elif plan == "release":
                connection.command("SESSION.RELEASE", self.identity, "oauth", token)

        def work(plan_list):
            connection = resp.Connection(self.server.port)
            for plan in plan_list:
                ms = 60 if plan == "forget" else LONG_MS
                reply = connection.command("SESSION.LEASE", self.identity, "oauth", "MS", ms,
                                           "WAIT", LONG_MS)
                if reply[0] is not None and reply[0]:
                    act(connection, plan, reply[0])
                    if plan.startswith("close"):
                        (close_hard if plan == "close hard" else resp.Connection.close)(connection)
                        connection = resp.Connection(self.server.port)
                elif len(reply) != 3:
                    failures.append(f"{plan} was answered {reply}")
            connection.close()
        threads = [threading.Thread(target=work, args=(plan,), daemon=True) for plan in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20 * PROMPT_S)
            self.assertFalse(thread.is_alive(), "somebody waits for ever")
        self.assertEqual(failures, [])
        self.assertEqual({type(reply) for reply in commits}, {int})
        self.assertEqual(json.loads(self.session(self.identity)[b"data"])["n"], len(commits))
        self.assert_free()


    def test_leases_run_out_while_commands_hold_all_shards(self):
        """A worker whose lease has run out on a shard that another worker's command holds must go on
        reading its mailbox: by that the shard comes back."""
        deadline, failures = time.monotonic() + 1, []

        def work(commands):
            connection = resp.Connection(self.server.port, timeout=PROMPT_S)
            try:
                while time.monotonic() < deadline:
                    connection.pipeline(commands)
            except (OSError, resp.Closed) as error:
                failures.append(repr(error))
            connection.close()
        ids = [self.create() for _ in range(20)]
        surveys = [("SESSION.LIST", "USER", self.user), ("SESSION.DELUSER", self.fresh("user"))]
        leases = [("SESSION.LEASE", identity, "p", "MS", 1 + i % 3, "WAIT", i % 2)
                  for i, identity in enumerate(ids)]
        threads = [threading.Thread(target=work, args=(commands,), daemon=True)
                   for commands in (surveys, surveys, surveys, leases, leases)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PROMPT_S)
        self.assertEqual(failures, [])
        self.integer(len(ids), "SESSION.EXISTS", *ids)


@harness.only_holdfast
class Ends(harness.Case):
    def setUp(self):
        self.server = serve(self, workers=2)

    def test_a_server_that_stops_answers_who_waits_and_does_not_wait_for_leases(self):
        connection = self.server.connect()
        ids = [connection.command("SESSION.CREATE") for _ in range(8)]
        for identity in ids:
            connection.command("SESSION.LEASE", identity, "p", "MS", LONG_MS)
        waiting = []
        for identity in ids * 3:
            one = self.server.connect()
            one.send("SESSION.LEASE", identity, "p", "WAIT", LONG_MS)
            waiting.append(one)
        self.assertTrue(waiting[-1].is_silent(0.1))
        started = time.monotonic()
        self.server.process.terminate()
        for one in waiting:
            self.assertEqual(one.read(), b"ERR the server is shutting down")
        self.assertEqual(self.server.process.wait(30), 0)
        self.assertLess(time.monotonic() - started, PROMPT_S)
        self.server.process = None

    def test_tokens_do_not_survive_a_restart(self):
        connection = self.server.connect()
        identity = connection.command("SESSION.CREATE")
        for restart in (self.server.crash, self.server.restart):
            token, _ = connection.command("SESSION.LEASE", identity, "p", "MS", LONG_MS)
            restart()
            connection = self.server.connect()
            before = session_of(connection, identity)
            for command in (("COMMIT", identity, "p", token, '{"n":1}'),
                            ("RELEASE", identity, "p", token)):
                self.assertEqual(connection.command("SESSION." + command[0], *command[1:]).decode(), LOST)
            self.assertEqual(session_of(connection, identity), before)
            new, _ = connection.command("SESSION.LEASE", identity, "p", "MS", LONG_MS)
            self.assertNotEqual(new, token)
            self.assertEqual(connection.command("SESSION.RELEASE", identity, "p", new), b"OK")

    def test_what_a_commit_brought_is_there_after_a_crash(self):
        connection = self.server.connect()
        identity = connection.command("SESSION.CREATE")
        token, _ = connection.command("SESSION.LEASE", identity, "p")
        self.assertEqual(connection.command("SESSION.COMMIT", identity, "p", token, '{"n":1}'), 2)
        self.server.crash()
        self.assertEqual(session_of(self.server.connect(), identity)[b"data"], b'{"n":1}')


if __name__ == "__main__":
    unittest.main()
