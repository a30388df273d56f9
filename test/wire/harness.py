"""Starts real servers for the wire tests: Holdfast, and Redis as the judge of what is right.

HOLDFAST_SERVER names the binary (build/holdfast-server when unset). The word `redis` in its place
runs the tests against Redis itself, which shows that they ask for what Redis does; tests of
Holdfast's own ways are left out then. A server lives in a directory of its own, listens on a free
port of the loopback, and is ended by its process id. When a test fails, the lines its server wrote
are shown.
"""

import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))

import resp  # noqa: E402



def have_the_usual_signals():
    """Tests send signals and wait for processes: whatever started them may have had some ignored or
    blocked, as a shell has SIGINT for what it runs in the background, and what is ignored is passed
    on to every process that they start."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
                   signal.SIGCHLD):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


have_the_usual_signals()

START_SECONDS = 60
STOP_SECONDS = 60
PROGRAM = os.environ.get("HOLDFAST_SERVER", str(ROOT / "build" / "holdfast-server"))
IS_REDIS = PROGRAM == "redis"
# Sanitizers make everything slower and some limits smaller; tests of volume read this.
SLOW = bool(os.environ.get("HOLDFAST_SLOW"))

only_holdfast = unittest.skipIf(IS_REDIS, "Holdfast's own way")


def free_port():
    """Below the ports that the kernel gives to clients: one of those may be taken by somebody's
    connection while a server is down."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def raise_file_limit(wanted):
    """Open files that this process and its servers may have: `wanted` if the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(soft, allowed)


def wait_until(condition, seconds=10, every=0.005):
    """Polls until the condition holds; False when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


class Server:
    """A server process and its directory. Options are parameters: `log_segment_size="8mb"`; one that
    is repeated is a list, one of several words a tuple: `env=[("Class", "NAME", "value")]`. `limits`
    are what the kernel holds the process to: `{resource.RLIMIT_FSIZE: bytes}`."""

    open = []

    def __init__(self, program=PROGRAM, **options):
        self.program = program
        self.directory = tempfile.mkdtemp(prefix="holdfast-wire-")
        self.options = options
        self.limits = {}
        self.port = free_port()
        self.process = None
        self.connections = []
        Server.open.append(self)

    @property
    def log_path(self):
        return os.path.join(self.directory, "server.log")

    @property
    def output_path(self):
        return os.path.join(self.directory, "output")

    def arguments(self, **more):
        options = {"port": self.port, "logfile": self.log_path, "bind": "127.0.0.1"}
        if self.program == "redis":
            command = ["redis-server"]
            options.update(dir=self.directory, save="", appendonly="yes", appendfsync="always",
                           proto_max_bulk_len="64mb")
        else:
            command = [self.program]
            # Several workers, so that requests travel between threads whatever the machine has;
            # small segments: less to prepare at each start.
            options.update(dir=os.path.join(self.directory, "data"), workers=3,
                           log_segment_size="8mb")
        options.update(self.options)
        options.update(more)
        if self.program == "redis":
            for name in ("log_segment_size", "workers", "io_threads", "shards",
                         "checkpoint_interval", "checkpoint_log_size", "overlay_memory",
                         "max_value_size", "client_output_limit"):
                options.pop(name, None)
        for name, value in options.items():
            for given in value if isinstance(value, list) else [value]:
                words = given if isinstance(given, tuple) else (given,)
                command += ["--" + name.replace("_", "-"), *map(str, words)]
        return command

    def start(self, **more):
        """Returns when the server answers PING."""
        assert self.process is None
        with open(self.output_path, "ab") as output:
            self.process = subprocess.Popen(self.arguments(**more), stdout=output, stderr=output,
                                            cwd=self.directory, preexec_fn=self.take_limits)
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n"
                                     + self.log())
            if self.answers():
                return self
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError("the server does not answer:\n" + self.log())
            time.sleep(0.01)

    def take_limits(self):
        for name, value in self.limits.items():
            resource.setrlimit(name, (value, value))

    def answers(self):
        try:
            with resp.Connection(self.port, timeout=5) as connection:
                return not connection.command("PING").startswith(b"LOADING")
        except (ConnectionError, socket.timeout, resp.Closed):
            return False

    def connect(self, protocol=2, **options):
        connection = resp.Connection(self.port, protocol=protocol, **options)
        self.connections.append(connection)
        return connection

    def disconnect(self):
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def stop(self):
        """SIGTERM; the exit code."""
        self.disconnect()
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def kill(self):
        """SIGKILL: what was not on disk is gone."""
        self.disconnect()
        self.process.kill()
        return self._reap()

    def _reap(self):
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server does not stop:\n" + self.log()) from None
        finally:
            self.process = None
        return code

    def restart(self, **more):
        self.stop()
        return self.start(**more)

    def crash(self, **more):
        self.kill()
        return self.start(**more)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def memory_bytes(self):
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def memory_peak(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10

    def log(self, lines=60):
        text = ""
        for path in (self.output_path, self.log_path):
            if os.path.exists(path):
                with open(path, errors="replace") as file:
                    text += "".join(file.readlines()[-lines:])
        return text

    def close(self):
        self.disconnect()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self in Server.open:
            Server.open.remove(self)
        shutil.rmtree(self.directory, ignore_errors=True)


class Case(unittest.TestCase):
    """Shows, when a test fails, what the servers wrote that were running then."""

    def run(self, result=None):
        result = result or self.defaultTestResult()
        tellers = {name: getattr(result, name) for name in ("addError", "addFailure")}
        for name, tell in tellers.items():
            setattr(result, name, lambda test, error, tell=tell: (show_logs(self), tell(test, error)))
        try:
            return super().run(result)
        finally:
            for name, tell in tellers.items():
                setattr(result, name, tell)


def show_logs(test):
    for server in Server.open:
        sys.stderr.write(f"--- {test.id()}: what {server.program} wrote ---\n{server.log()}---\n")


class WireTest(Case):
    """One server for the class, empty at the start of each test."""

    options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(**cls.options)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def setUp(self):
        if not self.server.is_running():
            self.server.process = None
            self.server.start()
        self.connection = self.server.connect()
        self.call = self.connection.command
        self.call("FLUSHALL")
        self.addCleanup(self.server.disconnect)

    def ok(self, *command):
        reply = self.call(*command)
        self.assertEqual(reply, b"OK", command)
        self.assertIsInstance(reply, resp.Simple)

    def fails(self, text, *command):
        reply = self.call(*command)
        self.assertIsInstance(reply, resp.Error, (command, reply))
        self.assertEqual(reply.decode(), text, command)

    def misfits(self, *command):
        """A syntax error of the server's own families: where, and how the command is written."""
        reply = self.call(*command)
        self.assertIsInstance(reply, resp.Error, (command, reply))
        self.assertRegex(
            reply.decode(),
            rf"^ERR syntax error at ('[A-Za-z]{{1,32}}'|argument \d+|the end): {command[0]} ", command)

    def miscounts(self, command, *arguments):
        """The same of their number. `command` is its whole name."""
        reply = self.call(*command.split(" "), *arguments).decode()
        start = f"ERR wrong number of arguments for '{command.lower().replace(' ', '|')}' command: {command}"
        self.assertEqual(reply[:len(start)], start)

    def integer(self, value, *command):
        reply = self.call(*command)
        self.assertIs(type(reply), int, (command, reply))
        self.assertEqual(reply, value, command)

    def bulk(self, value, *command):
        reply = self.call(*command)
        self.assertIs(type(reply), bytes, (command, reply))
        self.assertEqual(reply, resp.to_bytes(value), command)

    def null(self, *command):
        reply = self.call(*command)
        self.assertIsInstance(reply, resp.Null, (command, reply))

    def is_undisturbed(self):
        """Another client is served as if nothing had happened."""
        with resp.Connection(self.server.port) as other:
            self.assertEqual(other.command("PING"), b"PONG")
            self.assertEqual(other.command("SET", "undisturbed", "yes"), b"OK")
            self.assertEqual(other.command("GET", "undisturbed"), b"yes")


def scan_all(connection, *options, between=None):
    """Every key that a whole iteration of SCAN gives, in the order given, repeats included."""
    keys = []
    cursor = b"0"
    while True:
        cursor, page = connection.command("SCAN", cursor, *options)
        assert int(cursor) < 1 << 53, "a cursor must survive a client's doubles"
        keys += page
        if cursor == b"0":
            return keys
        if between:
            between(cursor)


def seeded_random(name):
    """A generator that HOLDFAST_SEED repeats; the seed is shown when a test fails."""
    seed = os.environ.get("HOLDFAST_SEED") or random.SystemRandom().getrandbits(32)
    sys.stderr.write(f"[{name}: HOLDFAST_SEED={seed}]\n")
    return random.Random(f"{name}:{seed}")
