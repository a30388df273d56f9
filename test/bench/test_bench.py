"""tools/bench and tools/compare: what they understand of the load programs and of replies, and
small runs against Redis, which stands in for every server; and what they say of many sessions."""

import collections
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import lib_bench as lib  # noqa: E402
import lib_many  # noqa: E402
import lib_sessions  # noqa: E402

MEMTIER = """{"ALL STATS": {"Gets": {"Count": 1000, "Ops/sec": 500.0, "Misses/sec": 0.0,
    "Connection Errors": 0, "Average Latency": 1.5, "Max Latency": 4.0,
    "Percentile Latencies": {"p50.00": 1.0, "p99.00": 2.0, "p99.90": 3.0}}}}"""
REDIS_BENCHMARK = (
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",'
    '"p99_latency_ms","max_latency_ms"\n'
    '"SET","465.25","1.543","0.44","1.439","2.351","5.5","5.7"\n')

needs_servers = unittest.skipUnless(
    shutil.which("redis-server") and shutil.which("redis-benchmark"),
    "redis-server and redis-benchmark are not installed")
SCRIPT = "return redis.call('incrby', KEYS[1], ARGV[1])"
HOLDFAST = os.environ.get("HOLDFAST_SERVER") or str(ROOT / "build" / "holdfast-server")
tools = [tool for tool, program in lib.PROGRAMS.items() if shutil.which(program)]


def load_compare():
    """tools/compare as a module; its name has no ending."""
    loader = importlib.machinery.SourceFileLoader("compare", str(ROOT / "tools" / "compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


compare = load_compare()


class Reading(unittest.TestCase):
    def test_reads_the_figures_of_memtier(self):
        count, figures = lib.parse_memtier(json.loads(MEMTIER), "GET", "")
        self.assertEqual(count, 1000)
        self.assertEqual((figures.ops, figures.mean), (500.0, 1.5))
        self.assertEqual((figures.p50, figures.p99, figures.p999), (1.0, 2.0, 3.0))
        self.assertEqual(figures.slowest, 4.0)

    def test_finds_the_figures_of_any_command(self):
        document = json.loads(MEMTIER.replace("Gets", "Do.calls"))
        self.assertEqual(lib.parse_memtier(document, "DO.CALL", "")[0], 1000)

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
        self.assertEqual(figures.slowest, 5.7)
        self.assertEqual(lib.milliseconds(figures), "1.44 / 5.50")

    def test_takes_the_median_of_each_column(self):
        rounds = [lib.Figures(1, 9, 3, 3, 3, 3, 3), lib.Figures(5, 1, 3, 3, 3, 3, 3),
                  lib.Figures(2, 2, 3, 3, 3, 3, 3)]
        self.assertEqual(lib.median(rounds), lib.Figures(2, 2, 3, 3, 3, 3, 3))

    def test_takes_percentiles_by_nearest_rank(self):
        figures = lib.latency_figures([number / 1000 for number in range(1000, 0, -1)], 2.0)
        self.assertEqual((figures.ops, figures.mean), (500.0, 500.5))
        self.assertEqual((figures.p50, figures.p99, figures.p999, figures.slowest),
                         (500, 990, 999, 1000))
        self.assertEqual(lib.latency_figures([0.25], 1.0).p999, 250)

    def test_hands_words_with_blanks_to_memtier_in_quotes(self):
        self.assertEqual(lib.memtier_words("EVAL", "return 1", "0"), 'EVAL "return 1" 0')
        with self.assertRaisesRegex(lib.BenchError, "double quote"):
            lib.memtier_words("EVAL", 'return "1"')

    def test_reads_replies_of_every_kind(self):
        file = io.BytesIO(b"*5\r\n+OK\r\n:7\r\n$4\r\na\r\nb\r\n$-1\r\n*0\r\n+next\r\n")
        self.assertEqual(lib.read_reply(file), ["OK", 7, "a\r\nb", None, []])
        self.assertEqual(lib.read_reply(file), "next")

    def test_raises_an_error_reply_and_a_closed_connection(self):
        with self.assertRaisesRegex(ValueError, "^ERR no$"):
            lib.read_reply(io.BytesIO(b"-ERR no\r\n"))
        with self.assertRaisesRegex(ValueError, "closed"):
            lib.read_reply(io.BytesIO(b""))


class Replies(unittest.TestCase):
    def setUp(self):
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.received = bytearray()

    def take(self, data):
        self.theirs.sendall(data)
        return lib.take_replies(self.ours, self.received, b":12\r\n")

    def test_are_counted_when_they_are_whole(self):
        self.assertEqual(self.take(b":12\r\n:12\r\n:1"), 2)
        self.assertEqual(self.take(b"2\r"), 0)
        self.assertEqual(self.take(b"\n"), 1)

    def test_of_another_kind_give_no_figures(self):
        for data in (b":13\r\n", b"-", b":12\r\n-ERR no\r\n", b":12\r\n:2"):
            with self.subTest(data=data), self.assertRaisesRegex(lib.BenchError, "expected"):
                self.received.clear()
                self.take(data)

    def test_that_never_come_give_no_figures(self):
        self.theirs.close()
        with self.assertRaisesRegex(lib.BenchError, "expected"):
            lib.take_replies(self.ours, self.received, b":12\r\n")


class Judging(unittest.TestCase):
    def figures(self, ops):
        return lib.Figures(ops, 1, 1, 2, 3, 4, 5)

    def test_durable_calls_have_a_goal_against_the_script_but_not_its_digest(self):
        script, digest = (workload.name for workload in compare.SCRIPTS)
        for ops, verdict in ((1500, "met"), (1490, "missed")):
            medians = {compare.ADDS.name: self.figures(ops), script: self.figures(1000),
                       digest: self.figures(1000)}
            rows = compare.call_tables(medians, [compare.ADDS])[1].splitlines()[2:]
            cells = [[cell.strip() for cell in row.split("|")] for row in rows]
            self.assertEqual(cells[0][5:8], [f"{ops / 1000:.2f}x", ">= 1.50x", verdict])
            self.assertEqual(cells[1][6:8], ["", ""])

    def test_fresh_hits_of_the_cache_have_a_goal_but_not_its_writes(self):
        pairs = compare.CACHE_WORKLOADS
        for ops, verdict in ((900, "met"), (890, "missed")):
            medians = {(compare.REDIS, theirs): self.figures(1000) for _, theirs in pairs}
            medians.update({(compare.HOLDFAST, ours.name): self.figures(ops) for ours, _ in pairs})
            rows = compare.cache_table(medians, pairs).splitlines()[2:]
            cells = [[cell.strip() for cell in row.split("|")] for row in rows]
            self.assertEqual([row[2].rsplit(" ", 1)[1] for row in cells],
                             ["GET", "GET", "SET", "SET"])
            for row in cells[:2]:
                self.assertEqual(row[5:8], [f"{ops / 1000:.2f}x", ">= 0.90x", verdict])
            for row in cells[2:]:
                self.assertEqual(row[6:8], ["", ""])

    def test_a_miss_gives_no_figures_of_hits(self):
        good = {"fresh": 5, "swrs": 5, "hits-disk": 0}
        compare.check_hits(good)
        for name, number in (("fresh", 4), ("hits-disk", 1)):
            with self.subTest(name=name), self.assertRaisesRegex(lib.BenchError, "fresh hit"):
                compare.check_hits({**good, name: number})

    def test_each_workload_of_the_cache_has_one_of_redis_with_the_same_load(self):
        by_name = {workload.name: workload for workload in lib.WORKLOADS}
        for ours, theirs in compare.CACHE_WORKLOADS:
            self.assertEqual((ours.connections, ours.pipeline),
                             (by_name[theirs].connections, by_name[theirs].pipeline))

    def test_neighbours_show_medians_and_the_slowest_of_all_rounds(self):
        rounds = [(self.figures(9), lib.Figures(9, 1, 1, 2, 3, slowest, 5), each)
                  for slowest, each in ((10, 30.0), (90, 33.0), (20, 50.0))]
        settings = {"workers": "2", "turn-instructions": "5000000", "turn-time-limit": "1000"}
        text, table = compare.neighbour_table({"GET c20": rounds}, settings)
        self.assertIn("`turn-instructions 5000000` and `turn-time-limit 1000`, 2 workers", text)
        self.assertEqual(
            table.splitlines()[2],
            "| GET c20 | 1.00 / 2.00 / 3.00 / 4.00 | 1.00 / 2.00 / 3.00 / 90.00 | 33.0 |")


    def many(self, clean, killed, memory):
        one = lib_many.Measured()
        one.clean, one.killed = [clean], [killed]
        one.started_bytes, one.loaded_bytes, one.disk_bytes = [memory], memory, 5 << 20
        one.load_seconds = 2.0
        return one

    def verdicts(self, ours, theirs, count, times):
        measured = dict(zip(lib_many.TARGETS, (ours, theirs)))
        _, table, _, logouts = lib_many.tables(measured, times, count)
        cells = [[cell.strip() for cell in row.split("|")]
                 for row in table.splitlines()[2:] + logouts.splitlines()[2:]]
        return [row[-2] for row in cells]

    def test_starts_have_two_goals_and_memory_one(self):
        theirs = self.many(12.0, 30.0, 1000)
        times = {True: [10.0, 51.0, 20.0], False: [60.0]}
        for ours, expected in (
                (self.many(0.5, 1.5, 200), ["met", "missed", "met", "met"]),
                (self.many(0.7, 0.9, 201), ["missed", "met", "missed", "missed"])):
            verdicts = self.verdicts(ours, theirs, lib_many.SESSIONS, times)
            self.assertEqual(verdicts, [*expected, "", "", "met", "missed"])

    def test_a_few_sessions_are_not_held_against_the_goals(self):
        one = self.many(1.0, 1.0, 1000)
        verdicts = self.verdicts(one, one, lib_many.SESSIONS_SMALL, {True: [1.0]})
        self.assertEqual(verdicts, ["", "", "", "", "", "", "met"])


class MadeUpSessions(unittest.TestCase):
    def test_have_ids_of_their_own_and_users_in_equal_shares(self):
        sessions = lib_sessions.Sessions(10_000)
        ids = {lib_sessions.session_id(number) for number in range(10_000)}
        self.assertEqual(len(ids), 10_000)
        self.assertEqual({len(one) for one in ids}, {lib_sessions.ID_BYTES})
        owners = collections.Counter(map(sessions.user_of, range(10_000)))
        self.assertEqual(set(owners.values()), {lib_sessions.SESSIONS_PER_USER})

    def test_have_json_of_the_size_that_is_asked_for(self):
        for size in (128, 500):
            text = lib_sessions.session_json(size)
            self.assertEqual(len(text), size)
            self.assertIsInstance(json.loads(text), dict)
        with self.assertRaisesRegex(lib.BenchError, "at the least"):
            lib_sessions.session_json(10)

    def test_are_written_by_commands_that_name_them(self):
        sessions = lib_sessions.Sessions(8, json_bytes=200, ttl_s=60)
        received = io.BytesIO(lib_sessions.encode_sessions(sessions, range(3, 5)))
        for number in (3, 4):
            words = lib.read_reply(received)
            self.assertEqual(words, [
                "SESSION.SET", lib_sessions.session_id(number).decode(),
                lib_sessions.session_json(200).decode(), "TTL", "60", "USER",
                sessions.user_of(number).decode()])
        self.assertEqual(received.read(), b"")

    def test_show_how_far_they_are_in_lines_where_there_is_no_terminal(self):
        out = io.StringIO()
        progress = lib_sessions.Progress(2000, out)
        progress.begin -= 20
        progress.shown -= 20
        progress.show(1000)
        progress.show(1001)  # not so soon
        progress.show(2000, last=True)
        first, last = out.getvalue().splitlines()
        self.assertRegex(first, r"^1,000 of 2,000 sessions, 50/s, 20 s, 20 s left$")
        self.assertRegex(last, r"^2,000 of 2,000 sessions, 100/s, 20 s$")


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

    def test_drives_any_command_over_keys_at_random(self):
        server = self.start()
        workload = lib.Workload("EVAL", "EVAL", 5, 2, (SCRIPT, "1", lib.KEY, "1"))
        for tool in tools:
            with self.subTest(tool=tool):
                lib.ask(server.endpoint, "FLUSHALL")
                load = lib.Load(tool, requests=2000, keys=100)
                lib.run_load(load, server.endpoint, workload)
                names = lib.ask(server.endpoint, "KEYS", "*")
                expected = {lib.KEY_PREFIX + lib.key_format(load) % number
                            for number in lib.key_numbers(load)}
                self.assertLessEqual(set(names), expected)
                self.assertGreater(len(names), 50)
                sums = lib.ask(server.endpoint, "MGET", *names)
                self.assertGreaterEqual(sum(map(int, sums)), 2000)

    @unittest.skipUnless("memtier" in tools, "memtier_benchmark is not installed")
    def test_takes_each_key_once_and_finds_it_after_a_restart(self):
        server = self.start("--appendonly", "yes")
        load = lib.Load("memtier", keys=1000)
        lib.send_for_each_key(server.endpoint, load, ("INCRBY", lib.KEY, "5"), b":5\r\n")
        before = server.pid
        server.restart()
        self.assertNotEqual(server.pid, before)
        lib.run_load(load, server.endpoint,
                     lib.Workload("once", "INCRBY", 50, 1, (lib.KEY, "1"), each_key_once=True))
        names = [f"key:{number}" for number in range(1, 1001)]
        self.assertEqual(lib.ask(server.endpoint, "MGET", *names), ["6"] * 1000)

    def test_a_probe_charges_a_server_that_stands_still_for_all_that_was_due(self):
        server = self.start()
        load = lib.Load(tools[0], seconds=1, keys=1, value_bytes=3, requests_per_second=500)
        lib.preload(server.endpoint, load)
        workload = lib.Workload("GET c20", "GET", 20, 1, (lib.KEY,))
        lib.ask(server.endpoint, "CLIENT", "PAUSE", "400", "ALL")
        figures = lib.probe(load, server.endpoint, workload, b"$3\r\nxxx\r\n")
        self.assertGreater(figures.slowest, 300)
        # Forty in a hundred wait half of that; one a connection would be four in a hundred.
        self.assertGreater(figures.mean, 50)
        with self.assertRaisesRegex(lib.BenchError, "expected"):
            lib.probe(load, server.endpoint, workload, b"$3\r\nyyy\r\n")

    def test_a_busy_call_that_ends_otherwise_gives_no_figures(self):
        server = self.start()
        with compare.BusyCalls(server.endpoint) as busy:
            busy.thread.join(10)
            with self.assertRaisesRegex(lib.BenchError, "unknown command"):
                busy.milliseconds_each()

    def test_charges_the_server_for_its_processor_time(self):
        server = self.start()
        load = lib.Load(tools[0], requests=40_000, keys=1000)
        figures = lib.run_load(load, server.endpoint, lib.WORKLOADS[0], server.pid)
        self.assertGreater(figures.cpu_us, 0.5)
        self.assertLess(figures.cpu_us, 1000)

    def test_loads_sessions_and_the_sets_of_their_users(self):
        server = self.start()
        command = [ROOT / "tools" / "load-sessions", "1000", "--target", "redis", "--user-index",
                   "--port", str(server.endpoint.port), "--pipeline", "7", "--connections", "3"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertRegex(done.stdout, r"^1000 sessions in [\d.]+ s, \d+/s\n$")
        self.assertIn("1,000 of 1,000 sessions", done.stderr)
        self.assertEqual(lib.ask(server.endpoint, "DBSIZE"), 1250)
        sessions = lib_sessions.Sessions(1000)
        for number in (0, 7, 999):
            name, user = lib_sessions.session_id(number), sessions.user_of(number)
            self.assertEqual(lib.ask(server.endpoint, "STRLEN", name), 128)
            self.assertGreater(lib.ask(server.endpoint, "TTL", name), 600_000)
            self.assertEqual(lib.ask(server.endpoint, "SISMEMBER", b"sessions:" + user, name), 1)

    def test_a_load_of_sessions_ends_at_the_first_refusal_or_when_its_time_is_over(self):
        server = self.start("--maxmemory", "1mb")
        sessions = lib_sessions.Sessions(100_000, target="redis")
        with self.assertRaisesRegex(lib.BenchError, "not written: -OOM"):
            lib_sessions.load_sessions(server.endpoint, sessions)
        lib.ask(server.endpoint, "CONFIG", "SET", "maxmemory", "0")
        late = lib_sessions.Sessions(100_000, target="redis", seconds_max=0)
        with self.assertRaisesRegex(lib.BenchError, "given up"):
            lib_sessions.load_sessions(server.endpoint, late)

    @unittest.skipUnless(os.access(HOLDFAST, os.X_OK), "holdfast-server is not built")
    def test_starts_both_servers_with_many_sessions_and_logs_users_out(self):
        commands = {"Holdfast": lib.holdfast_command(HOLDFAST),
                    "Redis, `always`": lib.redis_command("--appendonly", "yes",
                                                         "--appendfsync", "always")}
        with mock.patch.multiple(lib_many, LOGOUTS=1, LOGOUT_SESSIONS=100), \
                contextlib.redirect_stderr(io.StringIO()):
            measured, times = lib_many.measure(
                commands, self.directory, 1000, 1, frozenset(), lambda text: None)
        for one in measured.values():
            for seconds in one.clean + one.killed + [one.load_seconds]:
                self.assertGreater(seconds, 0)
            for size in [*one.started_bytes, one.loaded_bytes, one.disk_bytes]:
                self.assertGreater(size, 100_000)
        self.assertEqual([len(one) for one in times.values()], [1, 1])
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_server_that_does_not_start_is_reported_with_its_own_words(self):
        with self.assertRaisesRegex(lib.BenchError, "Bad directive"):
            self.start("--no-such-parameter", "1")
        self.assertEqual(os.listdir(self.directory), [])


if __name__ == "__main__":
    unittest.main()
