"""What happens when there is no room: on the disk, for the process's files, within map-size, or in its
address space."""

import resource
import subprocess
import time
import unittest

import harness
import resp

VALUE = b"v" * 1000
BATCH = 500
MB = 1 << 20
DISK_FULL = b"DISKFULL the disk is full: writes are refused until there is room, reads go on"
MAP_FULL = (b"DISKFULL the data is as large as map-size allows: only commands that delete are run, "
            b"until there is room; or start the server with a larger one")


@harness.only_holdfast
class Full(harness.Case):
    def setUp(self):
        self.server = harness.Server(checkpoint_interval=1, max_value_size="1mb")
        self.addCleanup(self.server.close)

    def fill(self, most, *options):
        """Sets keys until one is refused; how many there are, and what was said."""
        connection = self.server.connect()
        for first in range(0, most, BATCH):
            replies = connection.pipeline([("SET", f"key:{n}", VALUE, *options)
                                           for n in range(first, first + BATCH)])
            refused = [reply for reply in replies if isinstance(reply, resp.Error)]
            if refused:
                return first + len(replies) - len(refused), refused[0]
        raise AssertionError(f"{most} values of {len(VALUE)} bytes fit")

    def is_served(self, keys):
        connection = self.server.connect()
        self.assertEqual(connection.command("GET", "key:0"), VALUE)
        self.assertEqual(connection.command("GET", f"key:{keys - 1}"), VALUE)
        self.assertEqual(connection.command("DBSIZE"), keys)

    def takes_writes(self):
        connection = self.server.connect()
        return connection.command("SET", "key:0", VALUE) == b"OK"

    def on_a_disk_of(self, size):
        """Gives the server's directory a file system of its own, which takes root."""
        directory = self.server.directory
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory],
                          capture_output=True, check=False).returncode:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(subprocess.run, ["umount", directory], check=True)
        self.addCleanup(self.server.close)

    def test_a_nearly_full_disk_goes_on_with_small_log_files(self):
        self.on_a_disk_of(40 * MB)
        self.server.options.update(log_segment_size="64mb", max_value_size="64mb")
        self.server.start()
        connection = self.server.connect()
        value = b"v" * 60000
        # Three times as much as fits onto the disk, of which fifty values are left.
        for n in range(2000):
            self.assertTrue(harness.wait_until(
                lambda name=f"key:{n % 50}": connection.command("SET", name, value) == b"OK"))
        # What no file can be made for is refused, and nothing waits behind it.
        self.assertEqual(connection.command("SET", "large", b"v" * 30 * MB), DISK_FULL)
        self.assertTrue(harness.wait_until(self.takes_writes))
        self.server.restart()
        self.assertEqual(self.server.connect().command("GET", "key:49"), value)

    def test_files_as_large_as_they_may_be_are_a_full_disk(self):
        self.server.limits = {resource.RLIMIT_FSIZE: 24 * MB}
        self.server.start()
        keys, told = self.fill(100000)
        self.assertEqual(told, DISK_FULL)
        self.is_served(keys)
        # A smaller limit, at which nothing can be written at all, does not keep reads from starting.
        self.server.kill()
        self.server.limits = {resource.RLIMIT_FSIZE: 3 * MB}
        self.server.start()
        self.is_served(keys)
        connection = self.server.connect()
        self.assertTrue(harness.wait_until(
            lambda: connection.command("SET", "key:0", VALUE) == DISK_FULL))
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.is_served(keys)
        self.server.limits = {}
        self.server.restart()
        self.assertTrue(self.takes_writes())
        self.is_served(keys)

    def test_data_as_large_as_map_size_allows_can_be_deleted(self):
        self.server.start(map_size="64mb")
        keys, told = self.fill(200000)
        self.assertEqual(told, MAP_FULL)
        self.server.restart(map_size="64mb")
        self.is_served(keys)
        connection = self.server.connect()
        self.assertEqual(connection.command("SET", "one", "more"), MAP_FULL)
        self.assertEqual(connection.command("EXPIRE", "key:1", 1000), 1)
        self.assertEqual(connection.command("DEL", "key:2"), 1)
        self.assertEqual(connection.command("GETDEL", "key:3"), VALUE)
        self.assertEqual(connection.command("FLUSHALL"), b"OK")
        self.assertTrue(harness.wait_until(self.takes_writes, 30, 0.05))
        log = self.server.log()
        self.assertIn("64 MB that map-size allows: writes are refused but for those that delete", log)
        self.assertIn("smaller than map-size again: writes go on", log)

    def test_what_expires_makes_room_within_map_size(self):
        self.server.start(map_size="64mb")
        # They all live until the map is full, however slow the machine is.
        _, told = self.fill(200000, "PXAT", str(time.time_ns() // 1_000_000 + 120_000))
        self.assertEqual(told, MAP_FULL)
        connection = self.server.connect()
        cursor = b"0"
        while True:
            cursor, keys = connection.command("SCAN", cursor, "COUNT", 1000)
            connection.pipeline([("PEXPIRE", key, 1) for key in keys])
            if cursor == b"0":
                break
        self.assertTrue(harness.wait_until(self.takes_writes, 30, 0.05))

    def test_a_larger_map_size_makes_room_too(self):
        self.server.start(map_size="64mb")
        keys, _ = self.fill(200000)
        self.server.restart(map_size="1gb")
        self.assertTrue(self.takes_writes())
        self.is_served(keys)

    @unittest.skipIf(harness.SLOW, "sanitizers take terabytes of address space")
    def test_a_map_that_does_not_fit_into_the_address_space_is_halved(self):
        self.server.limits = {resource.RLIMIT_AS: 2048 * MB}
        self.server.start()
        self.assertIn("map-size is taken as 256 MB: more does not fit into the address space",
                      self.server.log())
        self.assertTrue(self.takes_writes())
        self.server.restart()
        self.is_served(1)


if __name__ == "__main__":
    unittest.main()
