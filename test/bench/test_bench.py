"""tools/bench and tools/compare: what they understand of the load programs, and a whole small run
of both against Redis, which stands in for every server."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import lib_bench as lib  # noqa: E402

MEMTIER = """{"ALL STATS": {"Gets": {"Count": 1000, "Ops/sec": 500.0, "Misses/sec": 0.0,
    "Connection Errors": 0, "Average Latency": 1.5,
    "Percentile Latencies": {"p50.00": 1.0, "p99.00": 2.0, "p99.90": 3.0}}}}"""
REDIS_BENCHMARK = (
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",'
    '"p99_latency_ms","max_latency_ms"\n'
    '"SET","465.25","1.543","0.44","1.439","2.351","5.5","5.7"\n')

needs_servers = unittest.skipUnless(
    shutil.which("redis-server") and shutil.which("redis-benchmark"),
    "redis-server and redis-benchmark are not installed")
tools = [tool for tool, program in lib.PROGRAMS.items() if shutil.which(program)]


class Reading(unittest.TestCase):
    def test_reads_the_figures_of_memtier(self):
        count, figures = lib.parse_memtier(json.loads(MEMTIER), "GET", "")
        self.assertEqual(count, 1000)
        self.assertEqual((figures.ops, figures.mean), (500.0, 1.5))
        self.assertEqual((figures.p50, figures.p99, figures.p999), (1.0, 2.0, 3.0))

    def test_takes_no_error_reply_for_an_operation(self):
        with self.assertRaisesRegex(lib.BenchError, "OOM"):
            lib.parse_memtier(json.loads(MEMTIER), "GET",
                              "server 127.0.0.1:7801 handle error response: -OOM command\n")

    def test_refuses_reads_of_keys_that_are_not_there(self):
        document = json.loads(MEMTIER)
        document["ALL STATS"]["Gets"]["Misses/sec"] = 50.0
        with self.assertRaisesRegex(lib.BenchError, "absent keys"):
            lib.parse_memtier(document, "GET", "")

    def test_reads_the_figures_of_redis_benchmark(self):
        figures = lib.parse_redis_benchmark(REDIS_BENCHMARK, "")
        self.assertEqual((figures.ops, figures.mean), (465.25, 1.543))
        self.assertEqual((figures.p50, figures.p99), (1.439, 5.5))
        self.assertEqual(lib.milliseconds(figures), "1.44 / 5.50")

    def test_takes_the_median_of_each_column(self):
        rounds = [lib.Figures(1, 9, 3, 3, 3, 3), lib.Figures(5, 1, 3, 3, 3, 3),
                  lib.Figures(2, 2, 3, 3, 3, 3)]
        self.assertEqual(lib.median(rounds), lib.Figures(2, 2, 3, 3, 3, 3))


class Readme(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "README.md"

    def test_replaces_only_the_block_between_the_marks(self):
        self.path.write_text("a\n<!-- compare:start -->\nold\n<!-- compare:end -->\nb\n")
        lib.replace_block(self.path, r"new \1")
        self.assertEqual(self.path.read_text(),
                         "a\n<!-- compare:start -->\nnew \\1\n<!-- compare:end -->\nb\n")

    def test_leaves_a_file_without_the_marks_alone(self):
        self.path.write_text("a\n")
        with self.assertRaisesRegex(lib.BenchError, "compare:start"):
            lib.replace_block(self.path, "new")
        self.assertEqual(self.path.read_text(), "a\n")


@needs_servers
class Running(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="holdfast-bench-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def start(self, *options):
        server = lib.Server("Redis", lib.redis_command("--appendonly", "no", *options),
                            os.path.join(self.directory, "data"))
        self.addCleanup(server.__exit__)
        return server

    def test_bench_prints_a_row_for_each_workload(self):
        server = self.start()
        for tool in tools:
            with self.subTest(tool=tool):
                command = [ROOT / "tools" / "bench", "--port", str(server.endpoint.port),
                           "--rounds", "1", "--requests", "2000", "--keys", "1000", "--tool", tool]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                names = [line.split("|")[1].strip() for line in output.splitlines()[2:]]
                self.assertEqual(names, [workload.name for workload in lib.WORKLOADS])

    def test_a_server_that_refuses_writes_gives_no_figures(self):
        server = self.start("--maxmemory", "1mb")
        for tool in tools:
            with self.subTest(tool=tool), self.assertRaises(lib.BenchError):
                lib.run_load(lib.Load(tool, requests=5000), server.endpoint, lib.WORKLOADS[0])

    def test_charges_the_server_for_its_processor_time(self):
        server = self.start()
        load = lib.Load(tools[0], requests=40_000, keys=1000)
        figures = lib.run_load(load, server.endpoint, lib.WORKLOADS[0], server.pid)
        self.assertGreater(figures.cpu_us, 0.5)
        self.assertLess(figures.cpu_us, 1000)

    def test_a_server_that_does_not_start_is_reported_with_its_own_words(self):
        with self.assertRaisesRegex(lib.BenchError, "Bad directive"):
            self.start("--no-such-parameter", "1")
        self.assertEqual(os.listdir(self.directory), [])


if __name__ == "__main__":
    unittest.main()
