"""redis-cli and redis-benchmark against the server: what they ask for when they start, and each of
redis-cli's modes that works without a command the server lacks."""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
import unittest

import harness
import resp

CLI = shutil.which("redis-cli")
BENCHMARK = shutil.which("redis-benchmark")


@unittest.skipUnless(CLI, "needs redis-cli")
class RedisCli(harness.WireTest):
    def cli(self, *arguments, given=None, seconds=60):
        done = subprocess.run([CLI, "-p", str(self.server.port), *arguments], input=given,
                              capture_output=True, timeout=seconds)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode(errors="replace")

    def terminal(self, *arguments):
        """redis-cli as a person has it: at a terminal. Ends with the test."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        environment = dict(os.environ, TERM="xterm", HOME=self.server.directory)
        process = subprocess.Popen([CLI, "-p", str(self.server.port), *arguments], stdin=slave,
                                   stdout=slave, stderr=slave, env=environment)
        os.close(slave)

        def end():
            process.kill()
            process.wait()
            os.close(master)
        self.addCleanup(end)
        return master

    def read_until(self, terminal, pattern, seconds=20):
        """What the terminal shows, up to the pattern."""
        seen, deadline = "", time.monotonic() + seconds
        while not re.search(pattern, seen):
            if time.monotonic() > deadline:
                self.fail(f"{pattern!r} does not come; seen: {seen[-2000:]!r}")
            if select.select([terminal], [], [], 0.1)[0]:
                more = os.read(terminal, 65536).decode(errors="replace")
                seen += re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", more)
        return seen

    def test_one_command_in_both_protocols(self):
        for protocol in ([], ["-3"]):
            self.assertEqual(self.cli(*protocol, "SET", "k", "v"), "OK\n")
            self.assertEqual(self.cli(*protocol, "GET", "k"), "v\n")
            self.assertIn("databases", self.cli(*protocol, "CONFIG", "GET", "databases"))
            self.assertIn("redis_version", self.cli(*protocol, "INFO", "server"))
            self.assertIn("id=", self.cli(*protocol, "CLIENT", "LIST"))
            self.assertIn("summary", self.cli(*protocol, "COMMAND", "DOCS", "get"))

    def test_commands_from_standard_input(self):
        self.assertEqual(self.cli(given=b"SET a 1\nINCR a\nSELECT 1\nGET a\n"), "OK\n2\nOK\n\n")
        self.assertEqual(self.cli("-n", "3", given=b"SET a 1\nDBSIZE\n"), "OK\n1\n")

    def test_bigkeys_memkeys_and_scan(self):
        keys = {f"key:{i}" for i in range(300)}
        for key in keys:
            self.call("SET", key, "v" * 10)
        self.call("SET", "key:big", "v" * 5000)
        keys.add("key:big")
        for mode in ("--bigkeys", "--memkeys"):
            output = self.cli(mode)
            self.assertIn("Sampled 301 keys", output)
            self.assertRegex(output, r"Biggest string found .*key:big")
        self.assertEqual(set(self.cli("--scan").split()), keys)
        self.assertEqual(set(self.cli("-3", "--scan", "--pattern", "key:1*").split()),
                         {key for key in keys if key.startswith("key:1")})

    def test_mass_insertion_by_pipe(self):
        commands = b"".join(resp.encode("SET", f"k{i}", i) for i in range(10000))
        self.assertIn("errors: 0, replies: 10000", self.cli("--pipe", given=commands))
        self.assertEqual(self.call("DBSIZE"), 10000)

    def test_stat_and_latency(self):
        self.call("SET", "k", "v")
        for protocol in ([], ["-3"]):
            self.read_until(self.terminal(*protocol, "--stat", "-i", "0.1"),
                            r"keys +mem +clients +blocked +requests +connections *\s+"
                            r"1 +[\d.]+[BKMG] +\d+ +0 +\d+ +(\(\+\d+\) +)?\d+")
            self.read_until(self.terminal(*protocol, "--latency", "-i", "1"), r"samples")
            self.assertRegex(self.cli(*protocol, "--latency", "--raw", "-i", "1"),
                             r"^\d+ \d+ \d+\.\d+ \d+")

    def test_a_person_gets_help_and_answers(self):
        """At a terminal redis-cli asks for COMMAND DOCS first and makes help and hints of it."""
        prompt = r"\d> $"
        terminal = self.terminal()
        self.read_until(terminal, prompt)
        for line, expected in (
                ("help getrange", r"GETRANGE key start end\s+summary: "),
                ("help mset", r"MSET key value \[key value \.\.\.\]"),
                ("help client list", r"CLIENT LIST \["),
                ("help @string", r"STRLEN key"),
                ("set k v", r"\nOK"),
                ("get k", r'\n"v"')):
            os.write(terminal, line.encode() + b"\r")
            self.read_until(terminal, expected + r"(.|\n)*" + prompt)

    def test_the_password_option(self):
        self.ok("CONFIG", "SET", "requirepass", "secret")
        try:
            self.assertEqual(self.cli("-a", "secret", "--no-auth-warning", "PING"), "PONG\n")
            self.assertEqual(self.cli("-3", "--user", "default", "--pass", "secret",
                                      "--no-auth-warning", "PING"), "PONG\n")
            self.assertIn("NOAUTH", self.cli("PING"))
        finally:
            self.ok("CONFIG", "SET", "requirepass", "")


@unittest.skipUnless(BENCHMARK, "needs redis-benchmark")
class RedisBenchmark(harness.WireTest):
    def test_it_runs_without_a_warning(self):
        for protocol in ([], ["-3"]):
            done = subprocess.run(
                [BENCHMARK, "-p", str(self.server.port), *protocol, "-q", "-n", "2000", "-c", "10",
                 "-P", "4", "-t", "ping_inline,ping_mbulk,set,get,incr,mset"],
                capture_output=True, timeout=120, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr, "")
            self.assertNotIn("WARNING", done.stdout)
            for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"):
                self.assertRegex(done.stdout, rf"{name}.*requests per second")


if __name__ == "__main__":
    unittest.main()
