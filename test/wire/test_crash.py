"""kill -9 of a real server under load, again and again: no acknowledged write is lost.

Writers, each with a connection and keys of its own, pipeline commands whose effect they can work
out themselves. A cell is what changes together: one key, or several that only commands over all of
them touch. It remembers the states from the last acknowledged one on; after the crash the server
must show one of these: not an older one, not one that was never asked for, no half of one. Since
nobody else writes to a cell, every reply is foretold too. Shared cells are written by everybody;
there the rule is that no value survives which was acknowledged before a later, acknowledged write
was even sent.

HOLDFAST_SEED repeats the choices of a run, HOLDFAST_LONG=1 makes a thousand cycles of it. What this
cannot show is the loss of writes that the kernel had and the disk had not: the simulator does.
"""

import collections
import math
import os
import random
import re
import subprocess
import threading
import time
import unittest

import harness
import resp

CYCLES = 1000 if os.environ.get("HOLDFAST_LONG") else 10
RELAXED_CYCLES = 100 if os.environ.get("HOLDFAST_LONG") else 3
WRITERS = 4
RELAXED_LOSS_SECONDS = 2.5  # one second as promised, and the time to write and sync on a busy disk
DAY_MS = 86_400_000

ABSENT = (None, None)  # the state of a key is its value and when it expires, in ms since the epoch

# Small, so that a run of seconds sees many checkpoints and goes round the segments.
SMALL = {"checkpoint_log_size": "1mb", "checkpoint_interval": 1, "log_segment_size": "1mb"}


class Cell:
    """Keys that change together, and the states that a crash may leave them in."""

    def __init__(self, *keys, loss_seconds=0.0):
        self.keys = keys
        self.loss_seconds = loss_seconds
        self.settle((ABSENT,) * len(keys))

    def settle(self, state):
        self.history = collections.deque([[state, 0.0]])  # state, when acknowledged

    @property
    def state(self):
        return self.history[-1][0]

    def change(self, state):
        entry = [state, math.inf]
        self.history.append(entry)
        return entry

    def acknowledge(self, entry):
        entry[1] = time.monotonic()
        self.forget(entry[1])

    def forget(self, now):
        """States before the last that must have survived."""
        while len(self.history) > 1 and self.history[1][1] <= now - self.loss_seconds:
            self.history.popleft()

    def recover(self, found, begin_ms, end_ms, killed_at):
        """Goes on from what the server shows; None, or what is wrong with it."""
        self.forget(killed_at)
        allowed = [state for state, _ in self.history]
        for state in reversed(allowed):
            if all(map(agrees, state, found, [begin_ms] * len(found), [end_ms] * len(found))):
                self.settle(state)
                return None
        return (f"{[brief(key) for key in self.keys]} hold {[brief(one) for one in found]}, "
                f"which is none of the {len(allowed)} allowed states, the acknowledged one "
                f"{[brief(one) for one in allowed[0]]} and the last one sent "
                f"{[brief(one) for one in allowed[-1]]}")


class SharedCell:
    """Keys that all writers set to one value at a time."""

    def __init__(self, *keys):
        self.keys = keys
        self.lock = threading.Lock()
        self.settle(ABSENT)

    def settle(self, state):
        self.writes = {state: [-math.inf, -math.inf]}  # value -> when sent, when acknowledged

    def change(self, value):
        entry = [time.monotonic(), math.inf]
        with self.lock:
            self.writes[(value, None)] = entry
        return entry

    def acknowledge(self, entry):
        entry[1] = time.monotonic()

    def recover(self, found, _begin_ms, _end_ms, _killed_at):
        names = [brief(key) for key in self.keys]
        if len(set(found)) != 1:
            return f"{names} were written together but hold {[brief(one) for one in found]}"
        if found[0] not in self.writes:
            return f"{names} hold {brief(found[0])}, which nobody wrote"
        sent_last = max(sent for sent, done in self.writes.values() if done < math.inf)
        if self.writes[found[0]][1] < sent_last:
            return f"{names} hold {brief(found[0])}, older than an acknowledged write"
        self.settle(found[0])
        return None


def agrees(state, found, begin_ms, end_ms):
    """Whether a key in this state may be seen so between the two times."""
    value, expires_ms = state
    if value is not None and expires_ms is not None and expires_ms <= end_ms:
        return found == ABSENT or (expires_ms >= begin_ms and found[0] in (None, value))
    return state == found


def brief(thing):
    text = repr(thing)
    return text if len(text) < 90 else f"{text[:40]}...{text[-30:]} ({len(text)} characters)"


class Writer(threading.Thread):
    """Pipelines random commands over its cells until the server goes away."""

    def __init__(self, cells, shared, name, choices, port, faults, pause_seconds):
        super().__init__(name=name)
        self.cells, self.shared, self.random, self.faults = cells, shared, choices, faults
        self.pause_seconds = pause_seconds
        self.connection = resp.Connection(port)
        self.acknowledged = 0
        self.number = 0

    def run(self):
        try:
            with self.connection:
                while True:
                    self.send_batch(self.random.choice((1, 3, 20, 100)))
                    time.sleep(self.pause_seconds)
        except (resp.Closed, OSError):
            pass
        except Exception as error:
            self.faults.append(f"{self.name}: {error!r}")

    def send_batch(self, size):
        steps = [self.step() for _ in range(size)]
        self.connection.send_bytes(b"".join(resp.encode(*command) for command, *_ in steps))
        for command, expected, cell, entry in steps:
            reply = self.connection.read()
            if reply != expected:
                self.faults.append(
                    f"{brief(command)} answered {brief(reply)}, not {brief(expected)}")
            cell.acknowledge(entry)
            self.acknowledged += 1

    def step(self):
        """A command, its reply, its cell and the entry to acknowledge."""
        self.number += 1
        if self.shared and self.random.random() < 0.05:
            cell = self.random.choice(self.shared)
            value = b"%s/%d" % (self.name.encode(), self.number)
            return ["MSET", *interleave(cell.keys, value)], b"OK", cell, cell.change(value)
        cell, make = self.random.choice(self.cells)
        command, reply, state = make(self, cell)
        return command, reply, cell, cell.change(state)

    def value(self, sizes=(0, 1, 20, 128, 128, 128, 900, 5000)):
        """Text that tells which it is, and of which no piece can be taken for another."""
        head = b"%s/%d/" % (self.name.encode(), self.number)
        return head + head * (self.random.choice(sizes) // len(head))

    def far_time(self):
        return int(time.time() * 1000) + DAY_MS + self.random.randrange(DAY_MS)


# Each returns the command, the reply that it must get, and the state that it leaves.


def change_text(writer, cell):
    (key,), ((value, expires_ms),) = cell.keys, cell.state
    choice = writer.random.random()
    if choice < 0.4:
        new = writer.value()
        return ["SET", key, new], b"OK", ((new, None),)
    if choice < 0.5:
        new, at = writer.value(), writer.far_time()
        return ["SET", key, new, "PXAT", at], b"OK", ((new, at),)
    if choice < 0.6:
        new = writer.value()
        return ["SET", key, new, "KEEPTTL"], b"OK", ((new, expires_ms),)
    if choice < 0.75 and len(value or b"") < 20_000:
        more = writer.value()
        new = (value or b"") + more
        return ["APPEND", key, more], len(new), ((new, expires_ms),)
    if choice < 0.85:
        at = writer.far_time()
        if value is None:
            return ["PEXPIREAT", key, at], 0, (ABSENT,)
        return ["PEXPIREAT", key, at], 1, ((value, at),)
    if choice < 0.9:
        return ["PERSIST", key], int(expires_ms is not None), ((value, None),)
    if choice < 0.95:
        return ["GETDEL", key], value, (ABSENT,)
    return [writer.random.choice(("DEL", "UNLINK")), key], int(value is not None), (ABSENT,)


def change_large(writer, cell):
    (key,), ((value, _),) = cell.keys, cell.state
    if writer.random.random() < 0.97:  # or the log would hold little else
        return ["STRLEN", key], len(value or b""), cell.state
    new = writer.value((70_000, 150_000))
    return ["SET", key, new], b"OK", ((new, None),)


def change_counter(writer, cell):
    (key,), ((value, _),) = cell.keys, cell.state
    if writer.random.random() < 0.02:
        return ["DEL", key], int(value is not None), (ABSENT,)
    by = writer.random.choice((1, 1, 1, -1, 1000))
    command = ["INCR", key] if by == 1 else ["DECR", key] if by == -1 else ["INCRBY", key, by]
    new = int(value or 0) + by
    return command, new, ((b"%d" % new, None),)


def change_short_lived(writer, cell):
    new, at = writer.value(), int(time.time() * 1000) + writer.random.randrange(20, 2500)
    return ["SET", cell.keys[0], new, "PXAT", at], b"OK", ((new, at),)


def change_group(writer, cell):
    keys, state = cell.keys, cell.state
    count = sum(value is not None for value, _ in state)
    choice = writer.random.random()
    if choice < 0.5:
        new = writer.value()
        return ["MSET", *interleave(keys, new)], b"OK", ((new, None),) * len(keys)
    if choice < 0.6:
        new = writer.value()
        after = state if count else ((new, None),) * len(keys)
        return ["MSETNX", *interleave(keys, new)], int(count == 0), after
    if choice < 0.75:
        if state[0] == ABSENT:
            return ["RENAME", keys[0], keys[1]], b"ERR no such key", state
        return ["RENAME", keys[0], keys[1]], b"OK", (ABSENT, state[0]) + state[2:]
    if choice < 0.9:
        copied = state[1] != ABSENT
        after = state[:-1] + (state[1],) if copied else state
        return ["COPY", keys[1], keys[-1], "REPLACE"], int(copied), after
    return ["DEL", *keys], count, (ABSENT,) * len(keys)


def interleave(keys, value):
    return [word for key in keys for word in (key, value)]


def make_cells(name, loss_seconds):
    """(cell, how it changes) of one writer; the names spread the keys of a group over shards."""

    def cells(kind, count, change, keys_each=1, filler=""):
        return [(Cell(*(f"{name}:{kind}{filler}:{number}:{part}" for part in range(keys_each)),
                      loss_seconds=loss_seconds), change) for number in range(count)]

    return (cells("text", 150, change_text) + cells("counter", 20, change_counter)
            + cells("short", 20, change_short_lived) + cells("group", 30, change_group, 4)
            + cells("large", 4, change_large) + cells("long", 4, change_text, filler="-" * 1900))


class Crashes(unittest.TestCase):
    """One server, one data directory, many ends."""

    def begin(self, loss_seconds=0.0, **options):
        self.random = harness.seeded_random(self.id())
        self.loss_seconds = loss_seconds
        self.server = harness.Server(**SMALL, **options)
        self.addCleanup(self.server.close)
        self.cells = [make_cells(f"w{number}", loss_seconds) for number in range(WRITERS)]
        self.shared = [] if loss_seconds else [
            SharedCell(*(f"shared:{number}:{part}" for part in range(3))) for number in range(4)]
        self.acknowledged = 0
        self.checkpoints = 0
        self.killed_at = time.monotonic()

    def threads(self):
        """Another number of them at each start; the data must not care."""
        return {"workers": self.random.randint(1, 4),
                "io_threads": self.random.choice((0, 0, 1, 2))}

    def run_cycles(self, cycles, seconds):
        for cycle in range(cycles):
            while self.random.random() < 0.2:
                self.kill_while_starting()
            self.server.start(**self.threads())
            self.verify(f"cycle {cycle}")
            self.work(f"cycle {cycle}", self.random.uniform(*seconds))
        self.server.start(**self.threads())
        self.verify("at the end")
        self.assertGreater(self.acknowledged, 100 * cycles)

    def kill_while_starting(self):
        with open(self.server.output_path, "ab") as output:
            self.server.process = subprocess.Popen(
                self.server.arguments(**self.threads()), stdout=output, stderr=output)
        time.sleep(self.random.uniform(0.0, 0.1))
        self.server.kill()

    def work(self, words, seconds):
        faults = []
        pause_seconds = 0.005 if self.loss_seconds else 0.0
        writers = [Writer(cells, self.shared, f"{words}, writer {number}",
                          random.Random(self.random.getrandbits(64)), self.server.port, faults,
                          pause_seconds)
                   for number, cells in enumerate(self.cells)]
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        self.assertTrue(self.server.is_running(), f"{words}: {self.server.log()}")
        self.count_checkpoints()
        self.killed_at = time.monotonic()
        if self.random.random() < 0.15:
            self.assertEqual(self.server.stop(), 0, f"{words}: {self.server.log()}")
        else:
            self.server.kill()
        for writer in writers:
            writer.join()
            self.acknowledged += writer.acknowledged
        self.refuse(faults, words)

    def count_checkpoints(self):
        with resp.Connection(self.server.port) as connection:
            found = re.search(rb"checkpoints_completed:(\d+)", connection.command("INFO", "all"))
        self.checkpoints += int(found.group(1)) if found else 0

    def verify(self, words):
        faults = []
        everything = [cell for cells in self.cells for cell, _ in cells] + self.shared
        with resp.Connection(self.server.port) as connection:
            for cell in everything:
                begin_ms = int(time.time() * 1000)
                replies = connection.pipeline([["MGET", *cell.keys]]
                                              + [["PEXPIRETIME", key] for key in cell.keys])
                # The server's clock may be read a moment later than the reply is made.
                end_ms = int(time.time() * 1000) + 1
                found = tuple((None, None) if not value and isinstance(value, resp.Null)
                              else (value, at if at >= 0 else None)
                              for value, at in zip(replies[0], replies[1:]))
                faults.append(cell.recover(found, begin_ms, end_ms, self.killed_at))
        faults = [fault for fault in faults if fault]
        self.refuse(faults, f"{words}, {len(everything)} cells")

    def refuse(self, faults, words):
        if faults:
            self.fail("\n".join([f"{words}: {len(faults)} faults", *faults[:5], self.server.log()]))

    def test_loses_no_acknowledged_write_when_killed_under_load(self):
        self.begin(overlay_memory="16mb")
        self.run_cycles(CYCLES, (0.1, 1.5))
        if not harness.IS_REDIS:
            self.assertGreater(self.checkpoints, 0, "crashes of a server that never checkpointed")

    @harness.only_holdfast
    def test_tears_nothing_and_loses_little_when_replies_do_not_wait(self):
        self.begin(loss_seconds=RELAXED_LOSS_SECONDS, durability="everysec")
        self.run_cycles(RELAXED_CYCLES, (0.3, 4.0))


if __name__ == "__main__":
    unittest.main()
