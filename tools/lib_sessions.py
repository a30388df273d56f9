"""What tools/load-sessions and tools/compare share: made-up login sessions, and how they get in.

Session `number` is always the same: its id of 32 characters and its user look random, so that
neither server gets them in an order of its own, and come again from the number alone. Users have
the same number of sessions each, more or less. A load keeps one batch of commands under way on each
of some connections; every reply must say that the write was done.
"""

import dataclasses
import json
import sys
import time

import lib_bench as lib

ID_BYTES = 32
SESSIONS_MAX = 100_000_000
SESSIONS_PER_USER = 4
JSON_BYTES = 128
JSON_BYTES_MAX = 65_536
PIPELINE = 500
# What a server may have to answer before it is read: the replies of one batch fit into its socket.
PIPELINE_MAX = 5_000
CONNECTIONS = 16
TTL_SECONDS = 7 * 24 * 3600
USER_INDEX = b"sessions:"  # before the user in the names of Redis's sets
LINE_SECONDS, TERMINAL_SECONDS = 10, 0.5
ODD_A, ODD_B = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F  # odd: n * odd mod 2^64 repeats nothing
LOW_64 = (1 << 64) - 1
USER_STEP = 2654435761  # a prime above any number of users: every user comes in turn


@dataclasses.dataclass(frozen=True)
class Sessions:
    """Which sessions, and how they are written."""

    count: int
    first: int = 0
    users: int = 0  # among whom they are dealt out; 0: as many as give each of them a few
    json_bytes: int = JSON_BYTES
    ttl_s: int = TTL_SECONDS
    target: str = "holdfast"  # or `redis`
    user_index: bool = False  # of `redis`: SADD to the user's set as well; `holdfast` always has one
    pipeline: int = PIPELINE
    connections: int = CONNECTIONS
    seconds_max: int = 3600
    user: bytes = b""  # whose they all are, in place of that

    def user_of(self, number):
        users = self.users or usual_users(self.count)
        return self.user or b"user-%08d" % (number * USER_STEP % users)


def usual_users(count):
    return max(1, count // SESSIONS_PER_USER)


def session_id(number):
    return b"%016x%016x" % ((number + 1) * ODD_A & LOW_64, (number + 1) * ODD_B & LOW_64)


def session_json(size):
    """A JSON object of `size` bytes, as applications keep it in a session."""
    empty = json.dumps({"name": "", "roles": ["member"], "locale": "en", "csrf": "0" * 32},
                       separators=(",", ":"))
    if size < len(empty):
        raise lib.BenchError(f"the JSON of a session has {len(empty)} bytes at the least")
    return empty.replace('"name":""', '"name":"%s"' % ("n" * (size - len(empty)))).encode()


def form_of(*words):
    """A command for the operator %; a number among the words is the size of what goes there."""
    parts = [b"$%d\r\n%%b\r\n" % word if isinstance(word, int) else lib.encode_word(word)
             for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def encode_sessions(sessions, numbers):
    """The commands that write these sessions."""
    data, ttl = session_json(sessions.json_bytes), str(sessions.ttl_s)
    names = [(session_id(number), sessions.user_of(number)) for number in numbers]
    user_bytes = len(names[0][1])
    if sessions.target == "holdfast":
        form = form_of("SESSION.SET", ID_BYTES, data, "TTL", ttl, "USER", user_bytes)
        return b"".join([form % pair for pair in names])
    form = form_of("SET", ID_BYTES, data, "EX", ttl)
    if not sessions.user_index:
        return b"".join([form % id for id, _ in names])
    form += form_of("SADD", len(USER_INDEX) + user_bytes, ID_BYTES)
    return b"".join([form % (id, USER_INDEX + user, id) for id, user in names])


class Progress:
    """Count, rate and the time left: one line that changes on a terminal, else one now and then."""

    def __init__(self, total, file=None):
        self.total, self.file = total, file or sys.stderr
        self.terminal = self.file.isatty()
        self.begin = self.shown = time.monotonic()

    def show(self, done, last=False):
        now = time.monotonic()
        if not last and now - self.shown < (TERMINAL_SECONDS if self.terminal else LINE_SECONDS):
            return
        self.shown = now
        rate = done / max(now - self.begin, 1e-9)
        left = f", {(self.total - done) / rate:,.0f} s left" if rate and done < self.total else ""
        text = (f"{done:,} of {self.total:,} sessions, {rate:,.0f}/s, "
                f"{now - self.begin:,.0f} s{left}")
        if self.terminal:
            self.file.write(f"\r\033[K{text}" + ("\n" if last else ""))
        else:
            self.file.write(text + "\n")
        self.file.flush()


def count_replies(connection, received):
    """How many whole replies have come; an error or null among them is raised."""
    data = connection.recv(65536)
    if not data:
        raise lib.BenchError("the server closed the connection")
    received += data
    if b"-" in received:  # neither `:1` nor `+OK` has one
        begin = received.rfind(b"\n", 0, received.index(b"-")) + 1
        line = received[begin:].split(b"\r\n")[0]
        raise lib.BenchError("not written: " + line.decode(errors="replace"))
    count = received.count(b"\n")
    del received[:received.rfind(b"\n") + 1]
    return count


def load_sessions(endpoint, sessions, progress=None):
    """Writes them all and returns how many seconds it took. The progress is for people."""
    begin = time.monotonic()
    deadline = begin + sessions.seconds_max
    replies_each = 2 if sessions.user_index and sessions.target == "redis" else 1
    end, next_number, done = sessions.first + sessions.count, sessions.first, 0
    lanes = [[endpoint.connect(60.0), bytearray(), 0] for _ in range(sessions.connections)]
    try:
        while done < sessions.count:
            for lane in lanes:
                numbers = range(next_number, min(end, next_number + sessions.pipeline))
                next_number = numbers.stop
                commands = encode_sessions(sessions, numbers) if numbers else b""
                connection, received, waits_for = lane
                written = waits_for // replies_each
                while waits_for > 0:
                    waits_for -= count_replies(connection, received)
                done += written
                if commands:
                    connection.sendall(commands)
                lane[2] = len(numbers) * replies_each
            if time.monotonic() > deadline:
                raise lib.BenchError(f"{done:,} of {sessions.count:,} sessions after "
                                     f"{sessions.seconds_max:,} seconds: given up")
            if progress:
                progress.show(done)
    finally:
        for connection, _, _ in lanes:
            connection.close()
    if progress:
        progress.show(done, last=True)
    return time.monotonic() - begin
