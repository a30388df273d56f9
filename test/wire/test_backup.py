"""The ways to make a backup that README.md gives, run as they stand there."""

import os
import re
import subprocess
import threading
import unittest

import harness
import resp

CLASS = """
local Ledger = class("Ledger")
function Ledger:add() self.storage:put("n", (self.storage:get("n") or 0) + 1) return self.storage:get("n") end
return Ledger
"""


def recipe(first_line):
    """The block of commands in README.md that begins with this comment."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (harness.ROOT / "README.md").read_text(),
                        flags=re.S | re.M)
    return next(block for block in blocks if block.startswith(f"# {first_line}"))


@harness.only_holdfast
class Backup(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)
        self.server.start()
        self.copy = os.path.join(self.server.directory, "copy")
        with self.server.connect() as connection:
            connection.command("DO.CLASS", "LOAD", "Ledger", CLASS)
            self.session = connection.command("SESSION.CREATE", "DATA", '{"a":1}')
        self.counts = [0, 0]
        self.stopped = threading.Event()

    def write(self):
        """Writes until the server is gone or the test is over; notes what was answered."""
        try:
            with self.server.connect(timeout=60) as connection:
                while not self.stopped.is_set():
                    number = self.counts[0] + 1
                    connection.command("SET", f"key{number}", number)
                    self.counts[0] = number
                    self.counts[1] = connection.command("DO.CALL", "Ledger", "a", "add")
        except (resp.Closed, OSError):
            pass

    def back_up(self, first_line):
        environment = dict(os.environ, PORT=str(self.server.port), BACKUP=self.copy,
                           DATA=os.path.join(self.server.directory, "data"))
        writer = threading.Thread(target=self.write)
        writer.start()
        harness.wait_until(lambda: self.counts[1] >= 50)
        before = list(self.counts)
        try:
            subprocess.run(["bash", "-euc", recipe(first_line)], env=environment, check=True,
                           stdout=subprocess.DEVNULL)
            return before
        finally:
            self.stopped.set()
            writer.join()

    def has(self, server, counts):
        """All of it and at the most what was written since."""
        with server.connect() as connection:
            numbers = connection.pipeline([("GET", f"key{i + 1}") for i in range(counts[0])])
            self.assertEqual(numbers, [b"%d" % (i + 1) for i in range(counts[0])])
            self.assertGreater(connection.command("DO.CALL", "Ledger", "a", "add"), counts[1])
            self.assertEqual(connection.command("SESSION.GET", self.session, "DATA"), b'{"a":1}')

    def restored(self):
        server = harness.Server()
        self.addCleanup(server.close)
        server.start(dir=self.copy)
        return server

    def test_with_a_stop(self):
        self.back_up("With a stop.")
        self.server.process.wait(harness.STOP_SECONDS)
        self.has(self.restored(), self.counts)

    def test_without_a_stop(self):
        before = self.back_up("Without a stop")
        self.has(self.restored(), before)
        self.has(self.server, self.counts)


if __name__ == "__main__":
    unittest.main()
