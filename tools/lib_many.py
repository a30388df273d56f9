"""What tools/compare says of a server with very many sessions.

Holdfast and Redis with `appendfsync always` are filled with the same sessions (tools/load-sessions),
one after the other, and then started again and again in turn: after a clean stop, and after a
`kill -9` right behind the replies to a burst of writes. A start lasts until a session has been read.
Resident memory is read outside the page cache, once the server has nothing left to do.
"""

import os
import statistics
import time

import lib_bench as lib
import lib_sessions

SESSIONS = 10_000_000  # the goals are for as many
SESSIONS_SMALL = 100_000
BURST = 200_000  # sessions written again before a kill
START_GOAL_S, START_RATIO_GOAL, MEMORY_GOAL = 1.0, 20.0, 0.2
LOGOUTS = 7
LOGOUT_SESSIONS = 10_000
LOGOUT_GOAL_MS = 50.0
IDLE_SECONDS_MAX = 900
TARGETS = {"Holdfast": "holdfast", "Redis, `always`": "redis"}


class Measured:
    """Of one server: figures of each round, in seconds and bytes."""

    def __init__(self):
        self.clean, self.killed, self.started_bytes = [], [], []
        self.load_seconds = self.loaded_bytes = self.disk_bytes = 0


def settle(server):
    """Until what a load left behind is done: checkpoints, Redis's rewriting of its log."""
    holdfast = server.name == "Holdfast"
    lib.ask(server.endpoint, "SAVE" if holdfast else "PING")
    deadline = time.monotonic() + IDLE_SECONDS_MAX
    while True:
        info = lib.info(server.endpoint)
        busy = (info["checkpoint_running"] != "0" or info["checkpoint_lag_records"] != "0"
                if holdfast else info["aof_rewrite_in_progress"] != "0"
                or info["aof_rewrite_scheduled"] != "0")
        if not busy:
            break
        if time.monotonic() > deadline:
            raise lib.BenchError(f"{server.name} is still busy after {IDLE_SECONDS_MAX} s")
        time.sleep(0.2)
    server.settle(30.0)


def fill(server, count, measured, say):
    """Loads the sessions and reads what they take, right afterwards and at rest."""
    sessions = lib_sessions.Sessions(count, target=TARGETS[server.name])
    say(f"{server.name}: writing {count:,} sessions")
    measured.load_seconds = lib_sessions.load_sessions(
        server.endpoint, sessions, lib_sessions.Progress(count))
    settle(server)
    measured.loaded_bytes = lib.anonymous_bytes(server.pid)
    measured.disk_bytes = lib.disk_bytes(server.directory)


def start(server, number):
    """Seconds until this session has been read, the server being stopped."""
    name = lib_sessions.session_id(number)
    if server.name == "Holdfast":
        return server.seconds_to_answer(lib.encode("SESSION.GET", name), b"*14\r\n")
    return server.seconds_to_answer(lib.encode("GET", name), b"$%d\r\n" % lib_sessions.JSON_BYTES)


def start_round(server, count, measured):
    """The server is stopped before and afterwards."""
    number = len(measured.clean) * 7919
    measured.clean.append(start(server, number % count))
    server.settle(30.0)
    measured.started_bytes.append(lib.anonymous_bytes(server.pid))
    burst = lib_sessions.Sessions(min(count, BURST), users=lib_sessions.usual_users(count),
                                  target=TARGETS[server.name])
    lib_sessions.load_sessions(server.endpoint, burst)
    server.kill()
    measured.killed.append(start(server, (number + 1) % count))
    settle(server)
    server.stop()


def log_out(server, count):
    """Milliseconds of DELUSER: of sessions just written, and of settled ones."""
    times = {True: [], False: []}
    first = count
    for number in range(LOGOUTS):
        for settled in times:
            user = b"many-%d-%d" % (number, settled)
            lib_sessions.load_sessions(server.endpoint, lib_sessions.Sessions(
                LOGOUT_SESSIONS, first, user=user))
            first += LOGOUT_SESSIONS
            if settled:
                settle(server)
            times[settled].append(milliseconds_to_delete(server.endpoint, user))
    return times


def milliseconds_to_delete(endpoint, user):
    with endpoint.connect(60.0) as connection, connection.makefile("rb") as file:
        connection.sendall(lib.encode("PING"))
        lib.read_reply(file)
        begin = time.perf_counter()
        connection.sendall(lib.encode("SESSION.DELUSER", user))
        deleted = lib.read_reply(file)
        elapsed = time.perf_counter() - begin
    if deleted != LOGOUT_SESSIONS:
        raise lib.BenchError(f"SESSION.DELUSER ended {deleted} sessions of {LOGOUT_SESSIONS}")
    return 1000 * elapsed


def measure(commands, directory, count, rounds, cpus, say):
    """Figures by server name, and the times of log_out; `commands` are as lib.Server takes them."""
    measured, servers = {}, {}
    times = {}
    try:
        for name, command in commands.items():
            os.sync()
            place = os.path.join(directory, TARGETS[name])
            server = servers[name] = lib.Server(name, command, place, cpus)
            measured[name] = Measured()
            fill(server, count, measured[name], say)
            if name == "Holdfast":
                times = log_out(server, count)
            server.stop()
        for number in range(rounds):
            for name, server in servers.items():
                start_round(server, count, measured[name])
                say(f"round {number + 1} {name}: {count:,} sessions, start "
                    f"{measured[name].clean[-1]:.3f} s, after kill -9 "
                    f"{measured[name].killed[-1]:.3f} s")
    finally:
        for server in servers.values():
            server.__exit__()
    return measured, times


# -------------------------------------------------------------------------------------------------
# Tables


def mebibytes(number):
    return f"{number / 2**20:,.1f}"


def start_row(work, ours, theirs, judged):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    ratio = theirs / ours
    met = ours < START_GOAL_S and ratio >= START_RATIO_GOAL
    return [work, f"{ours:.3f}", f"{theirs:.3f}", f"{ratio:.1f}x faster",
            *([f"< {START_GOAL_S:.0f} s, >= {START_RATIO_GOAL:.0f}x", "met" if met else "missed"]
              if judged else ["", ""])]


def memory_row(work, ours, theirs, judged):
    ratio = ours / theirs
    return [work, mebibytes(ours), mebibytes(theirs), f"{ratio:.3f}x",
            *([f"<= {MEMORY_GOAL:.2f}x", "met" if ratio <= MEMORY_GOAL else "missed"]
              if judged else ["", ""])]


def tables(measured, times, count):
    """A text and a table, then those of SESSION.DELUSER."""
    ours, theirs = (measured[name] for name in TARGETS)
    judged = count >= SESSIONS
    rows = [
        start_row("start after a clean stop, s", ours.clean, theirs.clean, judged),
        start_row("start after kill -9, s", ours.killed, theirs.killed, judged),
        memory_row("resident outside the page cache, after loading, MiB", ours.loaded_bytes,
                   theirs.loaded_bytes, judged),
        memory_row("the same after a start, MiB", statistics.median(ours.started_bytes),
                   statistics.median(theirs.started_bytes), judged),
        ["on disk, MiB", mebibytes(ours.disk_bytes), mebibytes(theirs.disk_bytes),
         f"{ours.disk_bytes / theirs.disk_bytes:.2f}x", "", ""],
        ["loading, sessions/s", lib.thousands(count / ours.load_seconds),
         lib.thousands(count / theirs.load_seconds),
         f"{theirs.load_seconds / ours.load_seconds:.2f}x", "", ""]]
    goals = "" if judged else f" The goals are for {SESSIONS:,}."
    text = (f"{count:,} sessions: ids of {lib_sessions.ID_BYTES} characters, JSON of "
            f"{lib_sessions.JSON_BYTES} bytes, {lib_sessions.SESSIONS_PER_USER} a user, whose index "
            "Holdfast keeps and Redis (`SET id json EX ttl`, `appendfsync always`) does not. A "
            "start lasts until a session has been read; files are in the page cache; `kill -9` "
            f"comes right behind {min(count, BURST):,} writes.{goals}")
    logouts = [[f"{LOGOUT_SESSIONS:,} sessions, {'settled' if settled else 'just written'}",
                f"{statistics.median(list_):.1f}", f"{max(list_):.1f}", f"< {LOGOUT_GOAL_MS:.0f}",
                "met" if statistics.median(list_) < LOGOUT_GOAL_MS else "missed"]
               for settled, list_ in times.items()]
    return [text, lib.table(["", "Holdfast", "Redis", "ratio", "goal", ""], rows),
            f"`SESSION.DELUSER`, beside those {count:,}:",
            lib.table(["of one user", "median ms", "slowest ms", "goal", ""], logouts)]
