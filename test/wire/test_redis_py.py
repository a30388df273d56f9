"""What applications do, through the redis client for Python (RESP2, with its own parser)."""

import time
import unittest

import harness

try:
    import redis
except ImportError:
    redis = None


@unittest.skipIf(redis is None, "the redis client for Python is not installed")
class Applications(harness.WireTest):
    def setUp(self):
        super().setUp()
        self.client = redis.Redis(port=self.server.port)
        self.addCleanup(self.client.close)

    def test_strings_and_lives(self):
        self.assertTrue(self.client.set("session:1", b"\x80data", ex=100))
        self.assertEqual(self.client.get("session:1"), b"\x80data")
        self.assertGreater(self.client.ttl("session:1"), 90)
        self.assertTrue(self.client.expire("session:1", 1000, gt=True))
        self.assertIsNone(self.client.set("session:1", "x", nx=True))
        self.assertEqual(self.client.set("session:1", "y", get=True, keepttl=True), b"\x80data")
        self.assertEqual(self.client.getex("session:1", persist=True), b"y")
        self.assertEqual(self.client.ttl("session:1"), -1)
        self.assertEqual(self.client.incrbyfloat("f", 0.5), 0.5)
        self.assertEqual(self.client.mget("session:1", "none"), [b"y", None])
        self.assertIsNone(self.client.get("none"))
        self.assertTrue(self.client.copy("session:1", "session:2", destination_db=1))
        with self.assertRaises(redis.ResponseError):
            self.client.rename("none", "some")

    def test_pipelines_without_a_transaction(self):
        with self.client.pipeline(transaction=False) as pipeline:
            for i in range(1000):
                pipeline.set(f"k{i}", i)
                pipeline.get(f"k{i}")
            replies = pipeline.execute()
        self.assertEqual(replies[1::2], [b"%d" % i for i in range(1000)])

    def test_scan_iterators(self):
        self.client.mset({f"k{i}": i for i in range(500)})
        self.assertEqual(len(set(self.client.scan_iter(match="k*", count=50))), 500)
        self.assertEqual(len(self.client.keys("k1*")), 111)
        self.assertEqual(self.client.dbsize(), 500)

    def test_connections_with_a_database_and_a_name(self):
        other = redis.Redis(port=self.server.port, db=3, client_name="tester")
        self.addCleanup(other.close)
        other.set("k", "three")
        self.assertIsNone(self.client.get("k"))
        self.assertEqual(other.client_getname(), "tester")
        self.assertIn("redis_version", self.client.info())
        self.assertEqual(self.client.info("keyspace")["db3"]["keys"], 1)
        self.assertTrue(self.client.flushdb())
        self.assertEqual(other.get("k"), b"three")

    def test_a_client_reconnects_after_a_restart_and_finds_everything(self):
        self.client.set("k", "v", px=100000)
        deadline = int(time.time() * 1000) + 100000
        self.server.restart()
        client = redis.Redis(port=self.server.port)
        self.addCleanup(client.close)
        self.assertEqual(client.get("k"), b"v")
        self.assertLess(abs(client.execute_command("PEXPIRETIME", "k") - deadline), 2000)


if __name__ == "__main__":
    unittest.main()
