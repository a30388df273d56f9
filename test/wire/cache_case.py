"""What the tests of the cache share: replies of CACHE.SWR with names, keys that nobody had, crowds of
clients, and the figures of the log."""

import collections
import itertools
import select

import harness
import resp

State = collections.namedtuple("State", "name value age_ms token retry_ms")
LEASE_LOST = "LEASELOST the token holds no lease of this key: it has ended, or the key was invalidated"
AGE_MAX_S = 366 * 86400
NOW_S = 5  # what must come at once comes within this; far less than any WAIT that is meant to last

numbers = itertools.count(1)


def state_of(reply):
    """Checks the form that every state has."""
    assert isinstance(reply, list) and len(reply) == 5, reply
    name, value, age_ms, token, retry_ms = (
        None if isinstance(part, resp.Null) else part for part in reply)
    state = State(name.decode(), value, age_ms, token and token.decode(), retry_ms)
    has_value = state.name in ("fresh", "refresh", "stale", "failed")
    assert (state.value is not None) == has_value, state
    assert (state.age_ms is not None) == (has_value or state.name == "absent"), state
    assert (state.token is not None) == (state.name in ("lead", "refresh")), state
    assert (state.retry_ms is not None) == (state.name in ("busy", "failed")), state
    return state


def as_map(reply):
    if not isinstance(reply, dict):
        reply = dict(zip(reply[::2], reply[1::2]))
    return {name.decode(): value for name, value in reply.items()}


def scan_cache(connection, *options):
    """Every key that a whole iteration gives, repeats included."""
    keys, cursor = [], b"0"
    while True:
        cursor, page = connection.command("CACHE.SCAN", cursor, *options)
        assert int(cursor) < 1 << 53, "a cursor must survive a client's doubles"
        keys += page
        if cursor == b"0":
            return keys


class CacheTest(harness.WireTest):
    """FLUSHALL leaves the cache alone, so each test takes keys that nobody had."""

    protocol = 2

    def setUp(self):
        super().setUp()
        if self.protocol != 2:
            self.reconnect()

    def reconnect(self):
        self.connection = self.open()
        self.call = self.connection.command

    def open(self, **options):
        return self.server.connect(protocol=self.protocol, **options)

    def key(self, name="key"):
        return f"{self._testMethodName[5:45]}-{next(numbers)}:{name}"

    def crowd(self, size):
        return Crowd([self.open(timeout=60) for _ in range(size)])

    def swr(self, key, *options, by=None):
        reply = (by or self.connection).command("CACHE.SWR", key, *options)
        self.assertNotIsInstance(reply, resp.Error, (key, options))
        return state_of(reply)

    def gets(self, name, key, *options, value=None, by=None):
        """The state that the key is in for this caller."""
        state = self.swr(key, *options, by=by)
        self.assertEqual(state.name, name, (key, options, state))
        if value is not None:
            self.assertEqual(state.value, resp.to_bytes(value), state)
        return state

    def park(self, key, *options, count=1):
        """Connections that wait for the key's lease, in this order."""
        waiters = []
        for _ in range(count):
            waiter = self.open()
            before = self.stats()["coalesced"]
            waiter.send("CACHE.SWR", key, *options)
            self.soon(lambda: self.stats()["coalesced"] > before)
            waiters.append(waiter)
        return waiters

    def answer(self, waiter, name, value=None):
        """What a parked connection gets, soon."""
        waiter.socket.settimeout(NOW_S)
        state = state_of(waiter.read())
        self.assertEqual(state.name, name, state)
        if value is not None:
            self.assertEqual(state.value, resp.to_bytes(value), state)
        return state

    def lost(self, *command):
        self.fails(LEASE_LOST, *command)

    def error(self, *command):
        reply = self.call(*command)
        self.assertIsInstance(reply, resp.Error, command)
        return reply.decode()

    def soon(self, condition, seconds=20):
        self.assertTrue(harness.wait_until(condition, seconds), "it did not come to hold")

    def info(self, key):
        reply = self.call("CACHE.INFO", key)
        return None if isinstance(reply, resp.Null) else as_map(reply)

    def stats(self, *prefix):
        return as_map(self.call("CACHE.STATS", *prefix))

    def figures(self, section="holdfast"):
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def all_durable(self):
        def is_durable():
            figures = self.figures()
            return figures["durable_lsn"] == figures["appended_lsn"]
        self.soon(is_durable)


class Crowd:
    """Many connections that say the same thing at about the same time."""

    def __init__(self, members):
        self.members = list(members)
        self.by_file = {member.socket.fileno(): member for member in self.members}
        self.poll = select.poll()
        for file in self.by_file:
            self.poll.register(file, select.POLLIN)

    def send(self, *command):
        data = resp.encode(*command)
        for member in self.members:
            member.send_bytes(data)

    def first(self, seconds=30):
        """One that has an answer, and the answer; it is not waited for any more."""
        files = self.poll.poll(seconds * 1000)
        assert files, "nobody was answered"
        member = self.by_file[files[0][0]]
        return member, state_of(self.take(member).read())

    def take(self, member):
        self.poll.unregister(member.socket.fileno())
        self.members.remove(member)
        return member

    def is_silent(self, ms):
        return not self.poll.poll(ms)

    def rest(self):
        return [state_of(member.read()) for member in self.members]
