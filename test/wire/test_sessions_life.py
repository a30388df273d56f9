"""How long sessions live: sliding and absolute ends, graces and tombstones, what of it survives
kill -9, and when a use is written. Times are the server's own, so many sessions share each wait."""

import json
import threading
import time
import unittest

import harness
import resp
from session_case import GONE, OVER, SMALL, SessionTest, listed, log_position, scan_sessions, serve
from session_case import session_of

# A life that is used once when some of it is over, and looked at when it would have ended unused.
SLOWNESS = 3 if harness.SLOW else 1
LIFE_S = 1 * SLOWNESS
USED_AFTER_S = 0.6 * SLOWNESS
LOOKED_AT_AFTER_S = 1.2 * SLOWNESS


def sleep_until(moment):
    time.sleep(max(0, moment - time.monotonic()))


@harness.only_holdfast
class Lives(SessionTest):
    options = {**SMALL, "session_tombstone": LIFE_S}

    def test_some_uses_prolong_a_life_and_no_use_moves_its_absolute_end(self):
        ids = {}

        def make(name, *options):
            ids[name] = self.create("USER", self.user, "DATA", '{"a":1}', *options)
            return ids[name]
        short = ("TTL", LIFE_S)
        uses = {
            "GET": lambda i: self.call("SESSION.GET", i),
            "GET DATA": lambda i: self.call("SESSION.GET", i, "DATA"),
            "FIELD": lambda i: self.call("SESSION.FIELD", i, "a"),
            "FIELD that is none": lambda i: self.call("SESSION.FIELD", i, "b"),
            "TOUCH": lambda i: self.call("SESSION.TOUCH", i),
            "TOUCH TTL": lambda i: self.call("SESSION.TOUCH", i, "TTL", LIFE_S),
            "LEASE": lambda i: self.call("SESSION.LEASE", i, "p"),
            "SET": lambda i: self.call("SESSION.SET", i, "2"),
            "UPDATE": lambda i: self.call("SESSION.UPDATE", i, "{}"),
            "ROTATE": lambda i: ids.update(ROTATE=self.call("SESSION.ROTATE", i)),
        }
        looks = {
            "nothing": lambda i: None,
            "GET NOTOUCH": lambda i: self.call("SESSION.GET", i, "NOTOUCH"),
            "GET NOTOUCH DATA": lambda i: self.call("SESSION.GET", i, "DATA", "NOTOUCH"),
            "TTL": lambda i: self.call("SESSION.TTL", i),
            "EXISTS": lambda i: self.call("SESSION.EXISTS", i),
            "LIST": lambda i: self.call("SESSION.LIST", "USER", self.user),
            "SCAN": lambda i: scan_sessions(self.connection),
            "SET NX": lambda i: self.call("SESSION.SET", i, "2", "NX"),
            "SET of a wrong version": lambda i: self.call("SESSION.SET", i, "2", "IFVERSION", 7),
            "UPDATE that is none": lambda i: self.call("SESSION.UPDATE", i, "[]"),
        }
        extensions = {
            "absolute GET": lambda i: self.call("SESSION.GET", i),
            "absolute SET": lambda i: self.call("SESSION.SET", i, "2", "TTL", 1000),
            "absolute UPDATE": lambda i: self.call("SESSION.UPDATE", i, "{}", "TTL", 1000),
            "absolute TOUCH": lambda i: self.call("SESSION.TOUCH", i, "TTL", 5000),
            "absolute ROTATE": lambda i: ids.update({"absolute ROTATE": self.call("SESSION.ROTATE", i)}),
        }
        started = time.monotonic()
        for name in {**uses, **looks}:
            make(name, *short)
        for name in extensions:
            make(name, "TTL", 1000, "ABSOLUTE", LIFE_S)
        made = time.monotonic()
        self.assertEqual(self.call("SESSION.TTL", ids["absolute GET"]), LIFE_S)
        sleep_until(started + USED_AFTER_S)
        for name, use in {**uses, **looks, **extensions}.items():
            use(ids[name])
        sleep_until(made + LOOKED_AT_AFTER_S)
        names = {identity: name for name, identity in ids.items()}
        self.assertEqual({names[identity] for identity in listed(self.connection, self.user)}, set(uses))
        for name in {**looks, **extensions}:
            with self.subTest(name):
                self.assertIsNone(self.session(ids[name]))
        for name in uses:
            with self.subTest(name):
                self.assertIsNotNone(self.session(ids[name]))

    def test_to_who_reads_an_ended_session_is_as_one_that_never_was(self):
        started = time.monotonic()
        commands = [
            ("GET",), ("GET", "NOTOUCH", "DATA"), ("FIELD", "a"), ("TOUCH",), ("TOUCH", "TTL", 9), ("TTL",),
            ("EXISTS",), ("DEL",), ("ROTATE",), ("ROTATE", "GRACE", 9), ("LEASE", "p"),
            ("LEASE", "p", "WAIT", 9000), ("LEASE", "p", "IFVERSION", 1)]
        expired = self.create("USER", self.user, "TTL", LIFE_S, "DATA", '{"a":1}')
        touched = self.create("USER", self.user, "TTL", LIFE_S)
        for seconds in (0.2, 0.4):
            sleep_until(started + seconds * SLOWNESS)
            self.call("SESSION.GET", touched)
        never = self.fresh()
        sleep_until(started + LOOKED_AT_AFTER_S)
        for protocol in (2, 3):
            connection = self.server.connect(protocol=protocol)
            for name, *arguments in commands:
                with self.subTest(command=name, protocol=protocol):
                    self.assertEqual(connection.command_raw("SESSION." + name, expired, *arguments),
                                     connection.command_raw("SESSION." + name, never, *arguments))
        sleep_until(started + LOOKED_AT_AFTER_S + 0.4 * SLOWNESS)
        self.assertEqual(listed(self.connection, self.user), [])
        self.assertTrue(
            harness.wait_until(lambda: self.call("SESSION.COUNT")
                               == len(scan_sessions(self.connection, "COUNT", 10000))),
            "ended sessions leave the count by themselves")

    def test_who_writes_brings_no_ended_session_back(self):
        """Whoever saves at each request is logged out at the absolute end, be it with NX; a sliding
        end leaves the id to who says that a new session is meant."""
        self.addCleanup(lambda: self.call("CONFIG", "SET", "session-tombstone", LIFE_S))
        self.ok("CONFIG", "SET", "session-tombstone", 1000)
        ends = {how: [self.fresh(how) for _ in range(3)] for how in ("sliding", "absolute")}
        lives = {"sliding": ("TTL", LIFE_S), "absolute": ("TTL", 1000, "ABSOLUTE", LIFE_S)}
        started = time.monotonic()
        for how, ids in ends.items():
            for identity in ids:
                self.create("ID", identity, "USER", self.user, *lives[how])
        saved = self.create("TTL", 1000, "ABSOLUTE", LIFE_S)
        while time.monotonic() < started + LOOKED_AT_AFTER_S:
            last = self.call("SESSION.SET", saved, "{}", "TTL", 1000)
            time.sleep(0.02)
        self.assertEqual(last.decode(), OVER)
        writes = [("SET", "{}"), ("SET", "{}", "XX"), ("SET", "{}", "IFVERSION", 0),
                  ("SET", "{}", "IFVERSION", 1), ("SET", "{}", "TTL", 5), ("UPDATE", "{}"),
                  ("UPDATE", "{}", "IFVERSION", 1), ("COMMIT", "p", "t", "{}"), ("RELEASE", "p", "t")]
        before = log_position(self.connection)
        for how, ids in ends.items():
            for name, *arguments in writes:
                with self.subTest(how=how, command=name):
                    self.fails(OVER, "SESSION." + name, ids[0], *arguments)
        self.fails(OVER, "SESSION.SET", ends["absolute"][0], "{}", "NX")
        self.fails(OVER, "SESSION.CREATE", "ID", ends["absolute"][0])
        self.assertTrue(log_position(self.connection) <= before + len(ends["sliding"] * 2),
                        "only the ends themselves are written")
        self.server.crash()
        self.connection = self.server.connect()
        self.call = self.connection.command
        self.ok("CONFIG", "SET", "session-tombstone", 1000)
        self.fails(OVER, "SESSION.SET", ends["absolute"][1], "{}", "NX")
        self.fails(OVER, "SESSION.SET", ends["sliding"][1], "{}")
        self.integer(1, "SESSION.SET", ends["sliding"][1], '{"new":1}', "NX")
        self.bulk(ends["sliding"][2], "SESSION.CREATE", "ID", ends["sliding"][2])
        self.bulk('{"new":1}', "SESSION.GET", ends["sliding"][1], "DATA")
        self.integer(2, "SESSION.EXISTS", *ends["sliding"], *ends["absolute"])

    def test_graces_and_tombstones_end(self):
        """An id that was changed means nothing after the grace, one that was deleted is free after
        session-tombstone."""
        started = time.monotonic()
        deleted, freed = self.create(), self.create()
        self.integer(2, "SESSION.DEL", deleted, freed)
        old, old_for_long = self.create("DATA", "[1]"), self.create("DATA", "[2]")
        new = self.call("SESSION.ROTATE", old, "GRACE", LIFE_S)
        self.call("SESSION.ROTATE", old_for_long, "GRACE", 100)
        self.fails(GONE, "SESSION.SET", deleted, "1")
        self.fails(GONE, "SESSION.CREATE", "ID", freed)
        self.integer(1, "SESSION.EXISTS", old)
        sleep_until(started + USED_AFTER_S)
        self.bulk("[1]", "SESSION.GET", old, "DATA")
        self.fails(GONE, "SESSION.UPDATE", deleted, "{}")
        sleep_until(started + LOOKED_AT_AFTER_S)
        self.integer(0, "SESSION.EXISTS", old)
        self.null("SESSION.GET", old)
        self.null("SESSION.ROTATE", old)
        self.bulk("[1]", "SESSION.GET", new, "DATA")
        self.bulk("[2]", "SESSION.GET", old_for_long, "DATA")
        self.integer(1, "SESSION.SET", deleted, "1")
        self.bulk(freed, "SESSION.CREATE", "ID", freed)
        self.integer(2, "SESSION.EXISTS", deleted, freed)

    def test_the_absolute_end_counts_from_the_creation(self):
        identity = self.create("ABSOLUTE", 100, "TTL", 50)
        created = self.session(identity)[b"created"]
        self.integer(1, "SESSION.TOUCH", identity, "TTL", 1000)
        self.assertEqual(self.session(identity)[b"expires"], created + 100000)
        self.integer(2, "SESSION.SET", identity, "2", "TTL", 2000)
        self.assertEqual(self.session(identity)[b"expires"], created + 100000)
        time.sleep(0.02)
        self.integer(3, "SESSION.SET", identity, "3", "ABSOLUTE", 60)
        self.assertEqual(self.session(identity)[b"expires"], created + 60000)
        self.integer(4, "SESSION.SET", identity, "4", "ABSOLUTE", 1000)
        self.assertEqual(self.session(identity)[b"expires"], created + 60000)
        new = self.call("SESSION.ROTATE", identity)
        self.assertEqual(self.session(new)[b"expires"], created + 60000)

    def test_an_absolute_end_that_has_passed_is_refused(self):
        identity = self.create("TTL", 100)
        time.sleep(1.05)
        with self.unchanged(identity):
            self.fails("ERR ABSOLUTE counts from the session's creation and is over already",
                       "SESSION.SET", identity, "2", "ABSOLUTE", 1)

    def test_the_configuration_says_how_long_others_live(self):
        self.addCleanup(self.call, "CONFIG", "SET", "session-ttl", 86400, "session-absolute", 0)
        self.ok("CONFIG", "SET", "session-ttl", 500, "session-absolute", 800)
        identity, set_one = self.create(), self.fresh()
        self.integer(1, "SESSION.SET", set_one, "1")
        own = self.create("TTL", 600, "ABSOLUTE", 700)
        self.ok("CONFIG", "SET", "session-ttl", 5, "session-absolute", 6)
        for one in (identity, set_one):
            self.integer(500, "SESSION.TTL", one)
            self.integer(1, "SESSION.TOUCH", one)
            self.integer(500, "SESSION.TTL", one)
            self.integer(1, "SESSION.TOUCH", one, "TTL", 9000)
            self.integer(800, "SESSION.TTL", one)
        self.integer(600, "SESSION.TTL", own)


@harness.only_holdfast
class Writes(SessionTest):
    """What a use costs: nothing, or one record of the log."""

    def position(self):
        return log_position(self.connection)

    def written(self, *command):
        before = self.position()
        self.call(*command)
        return self.position() - before

    def test_uses_within_the_granularity_write_nothing(self):
        identity = self.create("TTL", 1000, "DATA", '{"a":1}')
        end = self.session(identity)[b"expires"]
        before = self.position()
        for _ in range(20):
            time.sleep(0.002)
            self.connection.pipeline([("SESSION.GET", identity), ("SESSION.TOUCH", identity),
                                      ("SESSION.FIELD", identity, "a"),
                                      ("SESSION.TOUCH", identity, "TTL", 1000)])
        self.assertGreaterEqual(self.session(identity)[b"expires"], end + 40)
        self.assertEqual(self.position(), before)
        self.assertEqual(self.written("SESSION.TOUCH", identity, "TTL", 1001), 1, "another life")

    def test_a_use_beyond_the_granularity_is_written(self):
        self.addCleanup(self.call, "CONFIG", "SET", "touch-granularity", 5)
        self.ok("CONFIG", "SET", "touch-granularity", 1)
        identity = self.create("TTL", 50)
        self.assertEqual(self.written("SESSION.GET", identity), 0)
        time.sleep(0.6)
        self.assertEqual(self.written("SESSION.GET", identity, "NOTOUCH"), 0)
        self.assertEqual(self.written("SESSION.GET", identity), 1)
        self.assertEqual(self.written("SESSION.GET", identity), 0)
        time.sleep(0.6)
        self.assertEqual(self.written("SESSION.TTL", identity), 0)
        self.assertEqual(self.written("SESSION.EXISTS", identity), 0)
        self.assertEqual(self.written("SESSION.FIELD", identity, "none"), 1)

    def test_uses_that_memory_has_no_room_for_are_written(self):
        connection = serve(self, touch_memory="1mb", shards=1024).connect()
        identity = connection.command("SESSION.CREATE", "TTL", 1000)
        before = log_position(connection)
        time.sleep(0.01)
        connection.command("SESSION.GET", identity)
        self.assertEqual(log_position(connection), before + 1)


@harness.only_holdfast
class Crashes(harness.Case):
    def test_no_crash_shortens_a_life_or_lengthens_it_by_more_than_the_granularity(self):
        for percent in (5, 20):
            server = serve(self, touch_granularity=percent)
            connection = server.connect()
            lives = {connection.command("SESSION.CREATE", "TTL", 100 + 50 * i,
                                        *(("ABSOLUTE", 110 + 50 * i) if i % 4 == 3 else ())): 100 + 50 * i
                     for i in range(20)}
            for i, identity in enumerate(lives):
                if i % 2:
                    connection.command("SESSION.GET", identity)
            before = {identity: session_of(connection, identity) for identity in lives}
            for _ in range(2):
                server.crash()
                connection = server.connect()
                for i, (identity, life_s) in enumerate(lives.items()):
                    old, new = before[identity], session_of(connection, identity)
                    self.assertGreaterEqual(new[b"expires"], old[b"expires"])
                    self.assertLessEqual(new[b"expires"], old[b"expires"] + life_s * 10 * percent)
                    if i % 4 == 3:
                        self.assertLessEqual(new[b"expires"], new[b"created"] + (life_s + 10) * 1000)
                    self.assertEqual({**new, b"expires": 0}, {**old, b"expires": 0})
            # A use makes the life exact again.
            for identity, life_s in lives.items():
                start_ms = int(time.time() * 1000)
                connection.command("SESSION.GET", identity)
                new = session_of(connection, identity)
                self.assertLessEqual(new[b"expires"], int(time.time() * 1000) + life_s * 1000 + 5)
                self.assertGreaterEqual(new[b"expires"], start_ms + life_s * 1000 - 100 * SLOWNESS)
            server.close()

    @unittest.skipIf(harness.SLOW, "the bounds are too narrow for a slow server")
    def test_after_a_crash_sessions_end_between_their_promise_and_the_granularity(self):
        server = serve(self, touch_granularity=50)
        connection = server.connect()
        started = time.monotonic()
        unused, used, absolute, long = connection.pipeline(
            [("SESSION.CREATE", "TTL", 2, "USER", "u")] * 2
            + [("SESSION.CREATE", "TTL", 2, "ABSOLUTE", 2, "USER", "u")] + [("SESSION.CREATE", "TTL", 9)])
        position = log_position(connection)
        sleep_until(started + 0.7)
        connection.command("SESSION.GET", used)
        self.assertEqual(log_position(connection), position, "memory alone knows of that use")
        server.crash()
        connection = server.connect()
        sleep_until(started + 2.1)
        self.assertIsNone(session_of(connection, absolute))
        sleep_until(started + 2.6)
        self.assertIsNotNone(session_of(connection, used), "promised until 2.7 seconds")
        sleep_until(started + 3.2)
        for identity in (unused, used):
            self.assertIsNone(session_of(connection, identity))
        self.assertEqual(connection.command("SESSION.LIST", "USER", "u"), [])
        self.assertTrue(harness.wait_until(lambda: connection.command("SESSION.COUNT") == 1))
        self.assertEqual(scan_sessions(connection), [long])

    def test_what_was_acknowledged_under_load_is_there_after_kill_9(self):
        for round_number, options in enumerate(({"workers": 3}, {"workers": 2, "io_threads": 1},
                                                {"workers": 1, "checkpoint_interval": 1})):
            with self.subTest(options):
                Load(self, serve(self, **options), harness.seeded_random(f"load {round_number}")).run()


class Load:
    """Threads that make, change, rotate and end sessions of their own, and know what each must be.
    What was under way at the crash may have happened or not."""

    THREADS = 6
    USERS = 3

    def __init__(self, case, server, random):
        self.case, self.server = case, server
        self.seeds = [random.random() for _ in range(self.THREADS)]
        self.live = [{} for _ in range(self.THREADS)]      # id -> (user, number)
        self.gone = [set() for _ in range(self.THREADS)]   # ids that must not live
        self.unsure = [set() for _ in range(self.THREADS)]  # ids that a command was under way for
        self.creating = [None] * self.THREADS
        self.failures = []

    def work(self, index):
        import random
        choose = random.Random(self.seeds[index])
        connection = resp.Connection(self.server.port)
        live, gone, unsure = self.live[index], self.gone[index], self.unsure[index]
        try:
            while True:
                user = f"user-{choose.randrange(self.USERS)}"
                action = choose.choice(["create", "set", "set", "rotate", "del", "update"])
                if action == "create" or not live:
                    number = choose.randrange(1 << 30)
                    self.creating[index] = user
                    made = connection.command("SESSION.CREATE", "USER", user, "DATA", f'{{"n":{number}}}')
                    live[made] = (user, number)
                    self.creating[index] = None
                    continue
                identity = choose.choice(list(live))
                unsure.add(identity)
                if action == "rotate":
                    new = connection.command("SESSION.ROTATE", identity)
                    live[new] = live.pop(identity)
                    gone.add(identity)
                elif action == "del":
                    self.expect(connection.command("SESSION.DEL", identity), 1)
                    del live[identity]
                    gone.add(identity)
                else:
                    number = choose.randrange(1 << 30)
                    text = f'{{"n":{number}}}'
                    if action == "set":
                        reply = connection.command("SESSION.SET", identity, text, "USER", user)
                    else:
                        reply, user = connection.command("SESSION.UPDATE", identity, text), live[identity][0]
                    self.expect(type(reply), int)
                    live[identity] = (user, number)
                unsure.discard(identity)
        except (resp.Closed, ConnectionError):
            pass
        except BaseException as error:
            self.failures.append(repr(error))
            raise
        finally:
            connection.close()

    def expect(self, found, wanted):
        if found != wanted:
            self.failures.append(f"{found} instead of {wanted}")

    def run(self):
        threads = [threading.Thread(target=self.work, args=(index,)) for index in range(self.THREADS)]
        for thread in threads:
            thread.start()
        time.sleep(0.6 * SLOWNESS)
        self.server.process.kill()
        for thread in threads:
            thread.join()
        self.server.crash()
        self.check(self.server.connect())

    def check(self, connection):
        case = self.case
        case.assertEqual(self.failures, [])
        live = {identity: known for one in self.live for identity, known in one.items()}
        gone = set().union(*self.gone)
        unsure = set().union(*self.unsure)
        case.assertGreater(len(gone), 20, "there was no load")
        found = scan_sessions(connection, "COUNT", 100)
        case.assertEqual(len(found), len(set(found)))
        case.assertEqual(connection.command("SESSION.COUNT"), len(found))
        case.assertEqual(set(live) - unsure - set(found), set(), "acknowledged and lost")
        case.assertEqual(gone & set(found), set(), "ended and there again")
        # Each thread had one command under way: a new session, or a new id.
        case.assertLessEqual(len(set(found) - set(live)), self.THREADS)
        by_user = {}
        for identity in found:
            session = session_of(connection, identity)
            by_user.setdefault(session[b"user"].decode(), set()).add(identity)
            if identity in live and identity not in unsure:
                user, number = live[identity]
                case.assertEqual((session[b"user"].decode(), json.loads(session[b"data"])["n"]),
                                 (user, number))
        for user in range(self.USERS):
            case.assertEqual(set(listed(connection, f"user-{user}")), by_user.get(f"user-{user}", set()))
        for identity in list(gone)[:200]:
            case.assertEqual(connection.command("SESSION.SET", identity, "1").decode(), GONE)


if __name__ == "__main__":
    unittest.main()
