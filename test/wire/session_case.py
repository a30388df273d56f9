"""What the tests of SESSION.* share."""

import binascii
import contextlib

import harness
import resp

SLOTS = 16384
SHARDS = 16  # the server's default
GONE = "SESSIONGONE the session of this id was deleted"
OVER = "SESSIONGONE the session of this id has ended"
LOST = "LEASELOST the token holds no lease: it has ended, or is of another session or purpose"


def shard_of(identity):
    """From the slot as Redis Cluster computes it, for ids without a hash tag."""
    return binascii.crc_hqx(resp.to_bytes(identity), 0) % SLOTS * SHARDS // SLOTS


def first_slot_of(identity):
    """Of the shard in which the id lies."""
    return shard_of(identity) * SLOTS // SHARDS


def pairs(flat):
    """RESP2's flat array of a map."""
    return dict(zip(flat[::2], flat[1::2])) if isinstance(flat, list) else flat


def session_of(connection, identity):
    """All of a session, without touching it; None when there is none."""
    reply = connection.command("SESSION.GET", identity, "NOTOUCH")
    return pairs(reply) or None


def listed(connection, user):
    """The ids that LIST shows, in its order."""
    return [pairs(one)[b"id"] for one in connection.command("SESSION.LIST", "USER", user)]


def scan_sessions(connection, *options, between=None):
    """Every id that a whole iteration of SESSION.SCAN gives, repeats included."""
    found = []
    cursor = b"0"
    while True:
        cursor, page = connection.command("SESSION.SCAN", cursor, *options)
        assert int(cursor) < 1 << 53, "a cursor must survive a client's doubles"
        found += page
        if cursor == b"0":
            return found
        if between:
            between()


def log_position(connection):
    """The LSN of the last record that was appended to the log."""
    info = connection.command("INFO", "holdfast").decode()
    return int(dict(line.split(":", 1) for line in info.splitlines() if ":" in line)["appended_lsn"])


# A log file is no smaller than the largest value, and the first write waits for one.
SMALL = {"max_value_size": "1mb", "log_segment_size": "2mb"}


def serve(test, **options):
    """A running server for one test, which has done its first write."""
    server = harness.Server(**{**SMALL, **options})
    test.addCleanup(server.close)
    connection = server.start().connect()
    assert connection.command("SET", "first", "write") == b"OK"
    return server


class SessionTest(harness.WireTest):
    """Sessions outlast FLUSHALL, so each test takes ids and users of its own."""

    options = SMALL
    count = 0

    def setUp(self):
        super().setUp()
        self.user = self.fresh("user")

    def fresh(self, what="id"):
        SessionTest.count += 1
        return f"{what}-{SessionTest.count}-of-{self._testMethodName[:40]}".encode()

    def create(self, *options):
        identity = self.call("SESSION.CREATE", *options)
        self.assertIs(type(identity), bytes, identity)
        return identity

    def session(self, identity):
        return session_of(self.connection, identity)

    def error(self, code, *command):
        reply = self.call(*command)
        self.assertIsInstance(reply, resp.Error, (command, reply))
        self.assertEqual(reply.decode().split()[0], code, (command, reply))
        return reply.decode()

    @contextlib.contextmanager
    def unchanged(self, *identities, user=None):
        """Nothing of these sessions, of the user's list or in the log is other than before."""
        def state():
            return ([self.session(identity) for identity in identities],
                    listed(self.connection, user or self.user),
                    self.call("SESSION.COUNT"), log_position(self.connection))
        before = state()
        yield
        self.assertEqual(state(), before)
