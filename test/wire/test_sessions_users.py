"""Many sessions: those of a user (LIST, DELUSER, MAXPER), all of them (SCAN, COUNT), and ids that are
stored as digests (session-id-hashing)."""

import hashlib
import os
import threading
import time
import unittest

import harness
import resp
from session_case import GONE, SMALL, SessionTest, listed, pairs, scan_sessions, serve, session_of
from session_case import first_slot_of, shard_of

SECONDS = 3 if harness.SLOW else 1


@harness.only_holdfast
class Users(SessionTest):
    def make(self, count, user=None):
        """In the order of their creation, each in another millisecond."""
        made = []
        for _ in range(count):
            made.append(self.create("USER", user or self.user))
            created = self.session(made[-1])[b"created"]
            while time.time() * 1000 < created + 2:
                time.sleep(0.001)
        return made

    def list(self, user=None):
        return listed(self.connection, user or self.user)

    def test_a_list_has_all_of_a_user_the_oldest_first(self):
        made = self.make(20)
        self.assertGreater(len({shard_of(identity) for identity in made}), 2)
        self.assertEqual(self.list(), made)
        for flat in self.call("SESSION.LIST", "USER", self.user):
            one = pairs(flat)
            session = self.session(one[b"id"])
            self.assertEqual(one, {name: session[name] for name in one})
        self.server.crash()
        self.assertEqual(listed(self.server.connect(), self.user), made)
        self.assertEqual(listed(self.server.connect(), "nobody"), [])

    def test_users_whose_names_begin_alike_do_not_mix(self):
        names = [self.user + end for end in (b"1", b"10", b"11", b"1\0", b"1\xff", b"", b":1", b"1:", b"19")]
        made = {name: self.make(2, name) for name in names}
        for name in names:
            self.assertEqual(self.list(name), made[name])
        self.integer(2, "SESSION.DELUSER", self.user + b"1")
        self.assertEqual(self.list(self.user + b"1"), [])
        for name in names[1:]:
            self.assertEqual(self.list(name), made[name])
        self.create("USER", self.user + b"10", "MAXPER", 1)
        self.assertEqual([len(self.list(name)) for name in names], [0, 1, 2, 2, 2, 2, 2, 2, 2])

    def test_a_session_moves_from_user_to_user(self):
        other = self.fresh("user")
        identity, stays = self.make(2)
        self.integer(2, "SESSION.SET", identity, "1", "USER", other)
        self.assertEqual((self.list(), self.list(other)), ([stays], [identity]))
        self.integer(3, "SESSION.SET", identity, "1", "USER", "")
        self.assertEqual((self.list(), self.list(other)), ([stays], []))
        self.assertIsInstance(self.session(identity)[b"user"], resp.Null)
        self.integer(4, "SESSION.SET", identity, "1", "USER", self.user)
        self.server.crash()
        again = self.server.connect()
        self.assertEqual(listed(again, self.user), [identity, stays])
        self.assertEqual(again.command("SESSION.DELUSER", self.user), 2)
        self.assertEqual(again.command("SESSION.DELUSER", other), 0)

    def test_log_out_everywhere(self):
        made = self.make(12)
        kept = made[5]
        self.integer(11, "SESSION.DELUSER", self.user, "EXCEPT", kept)
        self.assertEqual(self.list(), [kept])
        for identity in made:
            self.assertEqual(self.session(identity) is not None, identity == kept)
        self.fails(GONE, "SESSION.SET", made[0], "1")
        stranger = self.create("USER", self.fresh("user"))
        for nobody in ("none", made[0], stranger):
            self.make(1)
            self.integer(len(self.list()), "SESSION.DELUSER", self.user, "EXCEPT", nobody)
        self.integer(1, "SESSION.EXISTS", stranger)
        self.integer(0, "SESSION.DELUSER", self.user)

    def test_the_one_that_is_kept_may_be_named_by_its_old_id(self):
        made = self.make(3)
        new = self.call("SESSION.ROTATE", made[0], "GRACE", 60)
        self.integer(2, "SESSION.DELUSER", self.user, "EXCEPT", made[0])
        self.assertEqual(self.list(), [new])

    def test_log_out_everywhere_is_one_moment(self):
        """Whoever looks sees all of a user's sessions or none."""
        identities = [b"%d-%d" % (id(self), number) for number in range(30)]
        failures, done = [], threading.Event()

        def look(command):
            connection = resp.Connection(self.server.port)
            while not done.is_set():
                reply = connection.command(*command)
                count = reply if isinstance(reply, int) else len(reply)
                if count not in (0, 30):
                    failures.append((command[0], count))
            connection.close()
        threads = [threading.Thread(target=look, args=(command,)) for command in (
            ("SESSION.LIST", "USER", self.user), ("SESSION.EXISTS", *identities))]
        self.call("CONFIG", "SET", "session-tombstone", 0)
        self.addCleanup(self.call, "CONFIG", "SET", "session-tombstone", 86400)
        for number, identity in enumerate(identities):
            self.create("ID", identity, "USER", self.user)
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        self.integer(30, "SESSION.DELUSER", self.user)
        time.sleep(0.05)
        done.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_one_more_than_allowed_ends_the_oldest(self):
        made = self.make(5)
        new = self.create("USER", self.user, "MAXPER", 5)
        self.assertEqual(self.list(), made[1:] + [new])
        self.assertIsNone(self.session(made[0]))
        self.fails(GONE, "SESSION.SET", made[0], "1")
        newer = self.create("USER", self.user, "MAXPER", 2)
        self.assertEqual(self.list(), [new, newer])
        self.create("USER", self.user, "MAXPER", 10)
        self.assertEqual(len(self.list()), 3)
        last = self.create("USER", self.user, "MAXPER", 1)
        self.server.crash()
        self.assertEqual(listed(self.server.connect(), self.user), [last])

    def test_many_of_a_user_are_listed_and_ended_in_several_turns(self):
        count = 10_000
        made = self.connection.pipeline([("SESSION.CREATE", "USER", self.user)] * count)
        self.assertEqual(sorted(self.list()), sorted(made))
        self.fails(f"MAXSESSIONS the user has {count} sessions", "SESSION.CREATE",
                   "USER", self.user, "MAXPER", 10, "REJECT")
        oldest_first = self.list()
        new = self.create("USER", self.user, "MAXPER", 10)
        self.assertEqual(self.list(), [*oldest_first[-9:], new])
        self.connection.pipeline([("SESSION.CREATE", "USER", self.user)] * count)
        self.integer(count + 10, "SESSION.DELUSER", self.user)
        self.assertEqual(self.list(), [])

    def test_many_of_a_user_in_one_shard_are_met_once_each(self):
        count = 2_500
        made = [b"{%s}%d" % (self.user, number) for number in range(count)]
        self.connection.pipeline([("SESSION.CREATE", "USER", self.user, "ID", identity)
                                  for identity in made])
        self.assertEqual(sorted(self.list()), sorted(made))
        new = b"{%s}new" % self.user
        self.create("USER", self.user, "ID", new, "MAXPER", count - 100)
        self.assertEqual(len(self.list()), count - 100)
        self.integer(count - 101, "SESSION.DELUSER", self.user, "EXCEPT", new)
        self.assertEqual(self.list(), [new])

    def test_very_many_are_ended_in_rounds_and_each_is_told(self):
        count = 3_000
        name = b"i" * 600
        self.connection.pipeline([("SESSION.CREATE", "USER", self.user, "ID", name + b"%d" % number)
                                  for number in range(count)])
        listener = self.server.connect()
        listener.command("SUBSCRIBE", "session:deleted")
        self.integer(count, "SESSION.DELUSER", self.user)
        told = {listener.read()[2] for _ in range(count)}
        self.assertEqual(told, {name + b"%d" % number for number in range(count)})
        self.assertEqual(self.list(), [])
        self.server.crash()
        self.assertEqual(listed(self.server.connect(), self.user), [])

    def test_looking_at_large_sessions_reads_none_of_their_data(self):
        text = '{"a":"%s"}' % ("x" * 900_000)
        for number in range(3):
            self.integer(1, "SESSION.SET", f"large{number}", text)
        self.server.stop()
        self.server.start()
        connection = self.server.connect()
        before = self.server.memory_peak()
        self.assertEqual(connection.command("SESSION.EXISTS", *["large0", "large1"] * 500), 1000)
        self.assertEqual(connection.command("SESSION.DEL", "large0", "large1", "large2"), 3)
        self.assertLess(self.server.memory_peak() - before, 64 << 20)

    def test_one_more_than_allowed_can_be_refused(self):
        made = self.make(3)
        with self.unchanged(*made):
            self.fails("MAXSESSIONS the user has 3 sessions",
                       "SESSION.CREATE", "USER", self.user, "MAXPER", 3, "REJECT")
            self.fails("MAXSESSIONS the user has 3 sessions",
                       "SESSION.CREATE", "USER", self.user, "MAXPER", 2, "REJECT", "ID", self.fresh())
            self.error("SESSIONEXISTS", "SESSION.CREATE", "USER", self.user, "MAXPER", 1, "ID", made[0])
        self.create("USER", self.user, "MAXPER", 4, "REJECT")
        self.integer(1, "SESSION.DEL", made[0])
        self.create("USER", self.user, "MAXPER", 4, "REJECT")

    def test_expired_sessions_do_not_count(self):
        self.create("USER", self.user, "TTL", 1)
        kept = self.create("USER", self.user)
        time.sleep(1.02)
        new = self.create("USER", self.user, "MAXPER", 2, "REJECT")
        self.assertEqual(self.list(), [kept, new])

    def test_many_log_in_at_once_and_no_more_stay_than_allowed(self):
        """Whatever workers serve them: counting and making is one moment."""
        replies = []

        def log_in(options):
            connection = resp.Connection(self.server.port)
            for _ in range(15):
                replies.append(connection.command("SESSION.CREATE", "USER", self.user, "MAXPER", 4, *options))
            connection.close()
        for options in ((), ("REJECT",)):
            self.call("SESSION.DELUSER", self.user)
            del replies[:]
            threads = [threading.Thread(target=log_in, args=(options,)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(replies), 90)
            self.assertEqual(len(self.list()), 4)
            made = [reply for reply in replies if not isinstance(reply, resp.Error)]
            self.assertEqual(len(made), 4 if options else 90)
            self.integer(4, "SESSION.EXISTS", *made)

    def test_lists_are_right_while_sessions_come_and_go(self):
        """Sessions that stay are in every list; none is there twice; none of another user is."""
        other, done, failures = self.fresh("user"), threading.Event(), []
        staying = set(self.make(5))

        def disturb():
            connection = resp.Connection(self.server.port)
            while not done.is_set():
                made = connection.pipeline([("SESSION.CREATE", "USER", self.user)] * 3)
                connection.command("SESSION.SET", made[0], "1", "USER", other)
                new = connection.command("SESSION.ROTATE", made[1])
                connection.command("SESSION.DEL", made[0], new, made[2])
            connection.close()
        threads = [threading.Thread(target=disturb) for _ in range(3)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 0.5 * SECONDS
        while time.monotonic() < deadline:
            found = self.list()
            if len(found) != len(set(found)) or staying - set(found):
                failures.append(found)
        done.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual((set(self.list()), self.list(other)), (staying, []))


@harness.only_holdfast
class Scans(SessionTest):
    def test_an_iteration_gives_each_once_whatever_the_step(self):
        made = {b"%s" % one for one in self.connection.pipeline(
            [("SESSION.CREATE", "USER", b"%s-%d" % (self.user, i % 3)) for i in range(300)])}
        for options in ((), ("COUNT", 1), ("COUNT", 17), ("COUNT", 10000)):
            found = scan_sessions(self.connection, *options)
            self.assertEqual(len(found), len(set(found)))
            self.assertLessEqual(made, set(found))
            self.integer(len(found), "SESSION.COUNT")
        of_one = scan_sessions(self.connection, "USER", self.user + b"-1", "COUNT", 50)
        self.assertEqual(set(of_one), set(listed(self.connection, self.user + b"-1")))
        self.assertEqual(set(scan_sessions(self.connection, "USER", self.user)), made)
        self.assertEqual(scan_sessions(self.connection, "USER", self.user + b"-3"), [])
        without = self.create()
        self.assertNotIn(without, scan_sessions(self.connection, "USER", ""))
        self.assertIn(without, scan_sessions(self.connection))

    def test_a_step_is_as_long_as_was_asked(self):
        self.connection.pipeline([("SESSION.CREATE",)] * 200)
        _, page = self.call("SESSION.SCAN", 0, "COUNT", 20)
        self.assertEqual(len(page), 20)
        _, page = self.call("SESSION.SCAN", 0)
        self.assertEqual(len(page), 10)

    def test_what_stays_is_given_once_while_others_come_and_go(self):
        staying = set(self.connection.pipeline([("SESSION.CREATE",)] * 300))
        done = threading.Event()

        def disturb():
            connection = resp.Connection(self.server.port)
            while not done.is_set():
                made = connection.pipeline([("SESSION.CREATE",)] * 20)
                connection.pipeline([("SESSION.ROTATE", one) for one in made[:5]])
                connection.command("SESSION.DEL", *made[5:])
            connection.close()
        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            for count in (5, 50):
                found = scan_sessions(self.connection, "COUNT", count)
                self.assertLessEqual(staying, set(found))
                twice = [one for one in staying if found.count(one) > 1]
                self.assertEqual(twice, [])
        finally:
            done.set()
            thread.join()

    def test_a_cursor_goes_on_after_a_restart(self):
        self.connection.pipeline([("SESSION.CREATE",)] * 50)
        expected = set(scan_sessions(self.connection))
        cursor, found = self.call("SESSION.SCAN", 0, "COUNT", 20)
        self.server.crash()
        again = self.server.connect()
        while cursor != b"0":
            cursor, page = again.command("SESSION.SCAN", cursor, "COUNT", 20)
            found += page
        self.assertEqual((len(found), set(found)), (len(expected), expected))
        self.assertEqual(again.command("SESSION.COUNT"), len(expected))

    def test_any_number_is_a_cursor(self):
        for cursor in (1, 12345678901, (1 << 53) - 1, 77 << 40):
            reply = self.call("SESSION.SCAN", cursor)
            self.assertIsInstance(reply, list)


@harness.only_holdfast
class Digests(SessionTest):
    """session-id-hashing: whoever reads the data directory can log in as nobody."""

    options = {**SMALL, "session_id_hashing": "yes"}

    def handle_of(self, identity):
        return b"handle:%04x:%s" % (first_slot_of(identity), hashlib.sha256(identity).hexdigest().encode())

    def test_everything_works_as_without(self):
        identity = self.create("USER", self.user, "DATA", '{"a":1}', "TTL", 100)
        session = self.session(identity)
        self.assertEqual((session[b"id"], session[b"data"]), (identity, b'{"a":1}'))
        self.integer(2, "SESSION.SET", identity, '{"a":2}', "IFVERSION", 1)
        self.integer(3, "SESSION.UPDATE", identity, '{"b":2}')
        self.bulk("2", "SESSION.FIELD", identity, "b")
        self.integer(1, "SESSION.TOUCH", identity)
        self.integer(1, "SESSION.EXISTS", identity)
        token, _ = self.call("SESSION.LEASE", identity, "p")
        new = self.call("SESSION.ROTATE", identity, "GRACE", 60)
        self.integer(4, "SESSION.COMMIT", new, "p", token, '{"c":3}')
        self.assertEqual(self.session(identity)[b"id"], new, "who has the old id is told the new one")
        self.assertEqual([self.call("SESSION.ROTATE", identity) for _ in range(3)], [new] * 3)
        self.server.crash()
        again = self.server.connect()
        self.assertEqual(again.command("SESSION.ROTATE", identity), new)
        self.assertEqual(session_of(again, identity), session_of(again, new))
        self.assertEqual(again.command("SESSION.DEL", identity), 1)
        self.assertEqual(again.command("SESSION.SET", new, "1").decode(), GONE)

    def test_lists_show_handles_which_end_and_change_sessions_and_do_nothing_else(self):
        made = [self.create("USER", self.user, "DATA", '{"a":1}') for _ in range(8)]
        handles = [self.handle_of(identity) for identity in made]
        self.assertEqual(set(listed(self.connection, self.user)), set(handles))
        self.assertEqual(set(scan_sessions(self.connection, "USER", self.user)), set(handles))
        handle = handles[0]
        for name, *arguments in (("GET",), ("GET", "NOTOUCH", "DATA"), ("FIELD", "a"), ("TTL",), ("EXISTS",),
                                 ("TOUCH",), ("UPDATE", "{}"), ("LEASE", "p"), ("COMMIT", "p", "t", "{}"),
                                 ("SET", "1", "XX")):
            with self.subTest(name):
                self.assertEqual(self.connection.command_raw("SESSION." + name, handle, *arguments),
                                 self.connection.command_raw("SESSION." + name, "none", *arguments))
        self.integer(2, "SESSION.DEL", handle, handles[1], "handle:0001:" + "0" * 64)
        self.integer(0, "SESSION.EXISTS", made[0], made[1])
        self.fails(GONE, "SESSION.SET", made[0], "1")
        new = self.call("SESSION.ROTATE", handles[2])
        self.assertEqual(self.call("SESSION.GET", new, "DATA"), b'{"a":1}')
        self.assertIsNone(self.session(made[2]))
        self.integer(5, "SESSION.DELUSER", self.user, "EXCEPT", handles[3])
        self.assertEqual(listed(self.connection, self.user), [handles[3]])
        for bad in (handle[:-1], handle + b"0", handle.upper(), b"handle:zzzz:" + handle[12:]):
            self.integer(0, "SESSION.DEL", bad)

    def test_who_was_rotated_by_a_handle_is_told_no_id(self):
        """The server does not know the old id then, so it cannot hide the new one from others by it."""
        identity = self.create("USER", self.user, "DATA", '{"a":1}')
        handle = self.handle_of(identity)
        new = self.call("SESSION.ROTATE", handle, "GRACE", 60)
        session = self.session(identity)
        self.assertEqual((session[b"id"], session[b"data"]), (identity, b'{"a":1}'))
        self.fails(GONE, "SESSION.ROTATE", identity)
        self.fails(GONE, "SESSION.ROTATE", handle)
        self.assertEqual(self.session(new)[b"id"], new)
        self.assertEqual(listed(self.connection, self.user), [self.handle_of(new)])
        self.integer(1, "SESSION.DEL", identity)
        self.assertIsNone(self.session(new))

    def test_no_id_stands_in_any_file(self):
        server = serve(self, session_id_hashing="yes", checkpoint_interval=1)
        connection = server.connect()
        ids = connection.pipeline([("SESSION.CREATE", "USER", "visible-user")] * 50)
        ids += [connection.command("SESSION.CREATE", "ID", b"chosen-by-somebody-%d" % i) for i in range(5)]
        ids += [connection.command("SESSION.ROTATE", one, "GRACE", 60) for one in ids[:20]]
        connection.pipeline([("SESSION.GET", one) for one in ids])
        connection.command("SESSION.DEL", *ids[20:25])
        connection.pipeline([("SESSION.LEASE", one, "p") for one in ids])

        def text_of_all_files():
            text = b""
            for folder, _, names in os.walk(server.directory):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as file:
                        text += file.read()
            return text
        server.crash()
        self.assertIn(b"visible-user", text_of_all_files())
        self.assertTrue(harness.wait_until(lambda: b"checkpoints_completed:0" not in server.connect().command(
            "INFO", "holdfast")))
        server.stop()
        text = text_of_all_files()
        self.assertIn(b"visible-user", text)
        for identity in ids:
            self.assertNotIn(identity, text)
            self.assertNotIn(identity.hex().encode(), text)

    def test_sessions_outlast_a_change_of_the_setting(self):
        server = serve(self, workers=2)
        ids, connection = {}, server.connect()
        for round_number, hashing in enumerate(("no", "yes", "no", "yes")):
            if round_number:
                server.restart(session_id_hashing=hashing)
                connection = server.connect()
            made = connection.command("SESSION.CREATE", "USER", "u", "DATA", f"[{round_number}]")
            ids[made] = b"[%d]" % round_number
            chosen = connection.command("SESSION.CREATE", "ID", f"chosen-{round_number}", "USER", "u")
            ids[chosen] = b"{}"
            for identity, data in list(ids.items()):
                self.assertEqual(connection.command("SESSION.GET", identity, "DATA"), data)
                self.assertEqual(connection.command("SESSION.CREATE", "ID", identity),
                                 b"SESSIONEXISTS there is a session of this id")
                new = connection.command("SESSION.ROTATE", identity, "GRACE", 60)
                self.assertEqual(connection.command("SESSION.ROTATE", identity), new)
                ids[new] = ids.pop(identity)
                self.assertEqual(session_of(connection, identity)[b"id"], new)
            self.assertEqual(len(listed(connection, "u")), len(ids))
            self.assertEqual(len(scan_sessions(connection)), len(ids))
            self.assertEqual(connection.command("SESSION.COUNT"), len(ids))
        # By what the lists show, whichever form it has.
        for shown in listed(connection, "u")[::2]:
            self.assertEqual(connection.command("SESSION.DEL", shown), 1)
        server.restart(session_id_hashing="no")
        connection = server.connect()
        self.assertEqual(connection.command("SESSION.DELUSER", "u"), len(ids) // 2)
        for identity in ids:
            self.assertEqual(connection.command("SESSION.SET", identity, "1").decode(), GONE)


if __name__ == "__main__":
    unittest.main()
