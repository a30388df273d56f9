"""Many clients do anything at all with the same few sessions, on several workers and over a crash.
Nobody waits for ever, and afterwards everything about the sessions agrees."""

import os
import random
import threading
import time
import unittest

import harness
import resp
from session_case import listed, scan_sessions, serve

CLIENTS = 8
SECONDS = 20 if os.environ.get("HOLDFAST_LONG") else 2
PATIENCE_S = 60 if harness.SLOW else 15
IDS = [b"id-%d" % number for number in range(30)]
USERS = [b"user-%d" % number for number in range(4)]
EXPECTED_ERRORS = {b"SESSIONGONE", b"SESSIONEXISTS", b"LEASELOST", b"VERSION", b"MAXSESSIONS"}


def any_command(choose):
    identity, user = choose.choice(IDS), choose.choice(USERS)
    return choose.choice([
        lambda: ("SESSION.CREATE", "ID", identity, "USER", user, "TTL", choose.choice([1, 100])),
        lambda: ("SESSION.CREATE", "USER", user, "MAXPER", choose.choice([1, 5, 20]), "TTL", 50),
        lambda: ("SESSION.CREATE", "USER", user, "MAXPER", 3, "REJECT", "ABSOLUTE", 1),
        lambda: ("SESSION.SET", identity, f'{{"n":{choose.random()}}}', "USER", user, "TTL",
                 choose.choice([1, 9])),
        lambda: ("SESSION.SET", identity, "{}", "IFVERSION", choose.randrange(3)),
        lambda: ("SESSION.UPDATE", identity, '{"a":{"b":1}}', "DEEP"),
        lambda: ("SESSION.GET", identity),
        lambda: ("SESSION.DEL", identity, choose.choice(IDS)),
        lambda: ("SESSION.ROTATE", identity, "GRACE", choose.choice([0, 1, 5])),
        lambda: ("SESSION.DELUSER", user),
        lambda: ("SESSION.DELUSER", user, "EXCEPT", identity),
        lambda: ("SESSION.LEASE", identity, "p", "MS", choose.choice([1, 20, 200]),
                 "WAIT", choose.choice([0, 10, 100])),
        lambda: ("SESSION.COMMIT", identity, "p", "token", "{}"),
        lambda: ("SESSION.LIST", "USER", user),
        lambda: ("SESSION.SCAN", 0, "COUNT", 5),
        lambda: ("SESSION.COUNT",),
        lambda: ("INFO", "holdfast"),
    ])()


@harness.only_holdfast
class Storm(harness.Case):
    def work(self, seed):
        choose = random.Random(seed)
        connection = resp.Connection(self.server.port, timeout=PATIENCE_S)
        commands = []
        try:
            while time.monotonic() < self.deadline:
                commands = [any_command(choose) for _ in range(choose.choice([1, 1, 5, 20]))]
                if choose.random() < 0.03:
                    connection.send_bytes(b"".join(resp.encode(*command) for command in commands))
                    connection.close()
                    connection = resp.Connection(self.server.port, timeout=PATIENCE_S)
                    continue
                for reply in connection.pipeline(commands):
                    if isinstance(reply, resp.Error) and reply.split()[0] not in EXPECTED_ERRORS:
                        self.failures.append(reply)
        except (OSError, resp.Closed) as error:
            self.failures.append((repr(error), [command[0] for command in commands]))
        finally:
            connection.close()

    def check(self, connection):
        """Everything agrees as soon as nothing is just about to expire."""
        def agrees():
            found = scan_sessions(connection, "COUNT", 50)
            return (len(set(found)) == len(found) == connection.command("SESSION.COUNT")
                    and all(sorted(listed(connection, user)) ==
                            sorted(scan_sessions(connection, "USER", user)) for user in USERS))
        self.assertTrue(harness.wait_until(agrees, every=0.05), scan_sessions(connection))

    def test_nothing_hangs_and_everything_agrees_afterwards(self):
        seeds = harness.seeded_random(self.id())
        for options in ({"workers": 3, "io_threads": 1, "shards": 7, "checkpoint_interval": 1},
                        {"workers": 2, "session_id_hashing": "yes"}):
            with self.subTest(options):
                self.failures = []
                self.server = serve(self, session_tombstone=1, touch_granularity=1, **options)
                self.deadline = time.monotonic() + SECONDS
                threads = [threading.Thread(target=self.work, args=(seeds.random(),), daemon=True)
                           for _ in range(CLIENTS)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(SECONDS + 2 * PATIENCE_S)
                self.assertEqual(self.failures, [])
                self.check(self.server.connect())
                self.server.crash()
                self.check(self.server.connect())
                self.assertEqual(self.server.stop(), 0)
                self.server.close()


if __name__ == "__main__":
    unittest.main()
