"""tools/cache-report and tools/cleanup, against a server in this process that knows just the
commands they use, and against a real one."""

import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import pty
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "test" / "wire"))

import harness  # noqa: E402
import lib_cache as lib  # noqa: E402

SECONDS_MAX = 60
DAY_MS = 86_400_000
COUNTERS = ("gets", "swrs", "fresh", "stale", "early", "refresh", "lead", "miss", "coalesced",
            "busy", "failed", "absent", "refreshes", "failures", "leases-lost", "sets", "fills",
            "deletes", "invalidations", "scans", "evictions-memory", "evictions-disk",
            "hits-memory", "hits-disk")


def load_tool(name):
    """A tool as a module; its name has no ending."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"),
                                                  str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules[loader.name] = module  # dataclasses look their module up
    loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


cache_report = load_tool("cache-report")
cleanup = load_tool("cleanup")


class FakeServer(socketserver.ThreadingTCPServer):
    """CACHE.SCAN, STATS, INFO, DEL over a dictionary. `before(server, command)` is called first;
    what it returns is sent as it is, None for the usual reply, b"" hangs up."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.port = self.server_address[1]
        self.lock = threading.Lock()
        self.entries = {}  # key: (number, bytes, ttl-ms, age-ms); numbers are SCAN's order
        self.numbers = 0
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.prefixes = {}
        self.run_id, self.uptime_s = "a" * 40, 86400
        self.password = None
        self.before = lambda server, command: None
        self.commands = []

    def put(self, key, size=100, ttl_ms=60000, age_ms=0):
        self.numbers += 1
        self.entries[key] = (self.numbers, size, ttl_ms, age_ms)

    def reply(self, command):
        name, *words = command
        if name == b"AUTH":
            right = words == [self.password]
            return b"+OK\r\n" if right else b"-WRONGPASS invalid username-password pair\r\n"
        if name == b"PING":
            return b"+PONG\r\n"
        if name == b"INFO":
            return bulk(b"# Server\r\nrun_id:%s\r\nuptime_in_seconds:%d\r\n" %
                        (self.run_id.encode(), self.uptime_s))
        if name == b"CACHE.DEL":
            return b":%d\r\n" % sum(self.entries.pop(key, None) is not None for key in words)
        if name == b"CACHE.INFO":
            return self.info(words[0])
        if name == b"CACHE.SCAN":
            return self.scan(*words)
        if name == b"CACHE.STATS":
            return self.stats(*words)
        return b"-ERR unknown command '%s'\r\n" % name

    def info(self, key):
        if key not in self.entries:
            return b"*-1\r\n"
        _, size, ttl_ms, age_ms = self.entries[key]
        return array([bulk(b"age-ms"), b":%d\r\n" % age_ms, bulk(b"ttl-ms"), b":%d\r\n" % ttl_ms,
                      bulk(b"stale-ms"), b":%d\r\n" % ttl_ms, bulk(b"bytes"), b":%d\r\n" % size,
                      bulk(b"tags"), array([])])

    def scan(self, cursor, *options):
        self.counters["scans"] += 1
        named = dict(zip(options[::2], options[1::2]))
        count = int(named[b"COUNT"])
        rest = sorted((one[0], key) for key, one in self.entries.items()
                      if one[0] > int(cursor) and key.startswith(named[b"PREFIX"]))
        page = rest[:count]
        after = page[-1][0] if len(rest) > count else 0
        return array([bulk(b"%d" % after), array([bulk(key) for _, key in page])])

    def stats(self, *words):
        if words == (b"PREFIXES",):
            return array([bulk(prefix) for prefix in self.prefixes])
        counters = self.prefixes[words[0]] if words else self.counters
        prefix = words[0] if words else b""
        held = [one for key, one in self.entries.items() if key.startswith(prefix)]
        fields = dict(dict.fromkeys(COUNTERS, 0), **counters)
        fields.update({"entries": len(held), "bytes": sum(one[1] for one in held),
                       "memory-bytes": 0, "without-ttl": sum(one[2] < 0 for one in held)})
        parts = [part for name, value in fields.items()
                 for part in (bulk(name.encode()), b":%d\r\n" % value)]
        return array(parts + [bulk(b"hit-rate"), bulk(b"97.31")])


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        is_known = self.server.password is None
        while True:
            line = self.rfile.readline()
            if not line:
                return
            command = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                command.append(self.rfile.read(size + 2)[:-2])
            with self.server.lock:
                self.server.commands.append(command)
                reply = self.server.before(self.server, command)
                if reply is None and not is_known and command[0] != b"AUTH":
                    reply = b"-NOAUTH Authentication required.\r\n"
                if reply is None:
                    reply = self.server.reply(command)
                    is_known = is_known or command[0] == b"AUTH" and reply[:1] == b"+"
            if reply == b"":
                return
            try:
                self.wfile.write(reply)
            except ConnectionError:
                return


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def array(parts):
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def run_tool(name, *words, code=0, **options):
    environment = {key: value for key, value in os.environ.items() if key != "REDISCLI_AUTH"}
    environment.update(options.pop("environment", {}))
    done = subprocess.run([sys.executable, "-B", ROOT / "tools" / name, *words], env=environment,
                          capture_output=True, timeout=SECONDS_MAX, check=False,
                          **{"stdin": subprocess.DEVNULL, **options})
    output, errors = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, (done.returncode, output, errors)
    assert "Traceback" not in errors, errors
    return output, errors


class Case(unittest.TestCase):
    def setUp(self):
        self.server = FakeServer()
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = os.path.join(directory.name, "counters.json")

    def report(self, *words, **options):
        output, _ = run_tool("cache-report", "--port", str(self.server.port), *words, **options)
        return json.loads(output) if "--json" in words else output

    def clean(self, *words, **options):
        return run_tool("cleanup", "--port", str(self.server.port), "--pause", "0", *words,
                        **options)

    def sent(self, name):
        return [command for command in self.server.commands if command[0] == name]


class Words(unittest.TestCase):
    def test_a_prefix_has_as_many_segments_as_there_are(self):
        for key, depth, prefix in ((b"a:b:c", 1, b"a:"), (b"a:b:c", 2, b"a:b:"),
                                   (b"a:b:c", 3, b"a:b:"), (b"abc", 1, b""), (b":a", 1, b":"),
                                   (b"a::b", 2, b"a::"), (b"", 1, b"")):
            self.assertEqual(lib.prefix_of(key, depth), prefix, (key, depth))

    def test_a_pattern_stands_for_the_very_bytes(self):
        self.assertEqual(lib.glob_of(b"a*b?[c]\\-^\xff"), b"a\\*b\\?\\[c\\]\\\\-^\xff*")

    def test_keys_are_shown_without_what_terminals_obey(self):
        self.assertEqual(lib.shown(b"\x1b[2J\xff\r\n\xc3\xa4 b"), "\\x1b[2J\\xff\\r\\n\u00e4 b")

    def test_durations_have_units(self):
        for text, seconds in (("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43200),
                              ("7d", 604800), ("2w", 1209600), ("0", 0)):
            self.assertEqual(cleanup.parse_duration(text), seconds)

    def test_a_price_begins_behind_what_is_included(self):
        per_month = dict.fromkeys(cache_report.PRICES, 0)
        per_month.update(reads=10_000_000, writes=1_000_001, storage=3_500_000_000)
        usd = {name: item["usd"] for name, item in cache_report.month_cost(per_month).items()}
        self.assertAlmostEqual(usd.pop("writes"), 0.000005)
        self.assertEqual(usd, {"reads": 0, "deletes": 0, "lists": 0, "storage": 1.25})


class Pace(unittest.TestCase):
    def test_a_server_that_answers_evenly_gets_the_least_pause(self):
        pace = cleanup.Pace(0.01)
        for ping_s in (0.0005, 0.0002, 0.0019, 0.0003):
            self.assertEqual(pace.next(0.001, ping_s), 0.01)

    def test_pauses_double_while_the_server_is_slow_and_shrink_again(self):
        pace = cleanup.Pace(0.01)
        pace.next(0.001, 0.001)
        self.assertEqual([pace.next(0.001, 0.02) for _ in range(3)], [0.02, 0.04, 0.08])
        for _ in range(20):
            longest = pace.next(0.001, 0.02)
        self.assertEqual(longest, pace.PAUSE_MAX_S)
        self.assertEqual([pace.next(0.001, 0.001) for _ in range(9)][-3:], [0.015625, 0.01, 0.01])

    def test_a_pause_is_as_long_as_the_batch_was(self):
        self.assertEqual(cleanup.Pace(0).next(0.5, 0.001), 0.5)

    def test_progress_is_plain_lines_where_there_is_no_terminal(self):
        now, out = [0.0], io.StringIO()
        progress = cleanup.Progress("deleted", out, lambda: now[0])
        for now[0] in (5.0, 10.0, 15.0, 20.0):
            progress.note(50, [lib.Entry(b"k", 7, True, 0)], 1)
        self.assertEqual(out.getvalue(), "deleted 2 of 100 keys looked at, 10 keys/s\n"
                         "deleted 4 of 200 keys looked at, 10 keys/s\n")
        self.assertEqual(progress.bytes, 28)


class Report(Case):
    def test_tells_operations_a_day_and_what_a_month_would_cost(self):
        self.server.counters.update({"gets": 900_000, "swrs": 100_000, "sets": 60_000,
                                     "fills": 40_000, "deletes": 50_000, "scans": 10_000,
                                     "hits-memory": 700_000, "hits-disk": 100_000})
        self.server.put(b"large:1", size=3_000_000_000)
        report = self.report("--json")
        self.assertEqual(report["operations"]["reads"], {"count": 1_000_000, "per_day": 1_000_000})
        usd = {name: item["usd"] for name, item in report["cost"]["items"].items()}
        self.assertEqual(usd, {"reads": 10, "writes": 10, "deletes": 2.5, "lists": 0, "storage": 1})
        self.assertEqual(report["cost"]["usd"], 23.5)
        self.assertEqual((report["hit_rate"], report["server_hit_rate"]), (80, "97.31"))
        self.assertEqual((report["counted_from"], report["seconds"]), ("start", 86400))
        self.assertEqual(report["cost"]["prices_of"], cache_report.PRICES_DATE)

    def test_gathers_bytes_and_entries_without_a_ttl_by_prefix(self):
        for number in range(450):  # more than two steps of the scan
            self.server.put(b"cache:api:%d" % number, size=10)
        self.server.put(b"cache:web:1", size=7, ttl_ms=-1)
        self.server.put(b"plain\x1b", size=5, ttl_ms=-1)
        report = self.report("--json")
        self.assertEqual(report["prefixes"], [
            {"prefix": "cache:", "entries": 451, "bytes": 4507, "without_ttl": 1},
            {"prefix": "", "entries": 1, "bytes": 5, "without_ttl": 1}])
        self.assertEqual((report["entries"], report["bytes"]), (452, 4512))
        self.assertEqual(report["without_ttl"], 2)
        self.assertEqual(report["without_ttl_examples"], ["cache:web:1", "plain\\x1b"])
        deep = self.report("--json", "--depth", "2")["prefixes"]
        self.assertEqual([row["prefix"] for row in deep], ["cache:api:", "cache:web:", ""])
        self.assertLessEqual(max(int(command[-1]) for command in self.sent(b"CACHE.SCAN")), 1000)

    def test_shows_counters_of_prefixes_that_the_server_counts_apart(self):
        self.server.put(b"cache:a:1", size=9)
        self.server.prefixes = {b"cache:": {"gets": 8, "hits-memory": 2, "sets": 3},
                                b"cache:a:": {"swrs": 5}, b"\xff:": {}}
        rows = {row["prefix"]: row for row in self.report("--json")["prefixes"]}
        self.assertEqual(rows["cache:"], {
            "prefix": "cache:", "entries": 1, "bytes": 9, "without_ttl": 0, "reads": 8, "writes": 3,
            "hit_rate": 25})
        self.assertEqual((rows["cache:a:"]["entries"], rows["cache:a:"]["reads"]), (1, 5))
        self.assertIsNone(rows["\\xff:"]["hit_rate"])

    def test_counts_from_the_time_when_the_file_was_written(self):
        self.server.counters["gets"] = 100
        self.server.prefixes = {b"a:": {"gets": 10}}
        first = self.report("--json", "--since", self.file)
        self.assertEqual((first["counted_from"], first["operations"]["reads"]["count"]),
                         ("start", 100))
        with open(self.file, encoding="utf-8") as file:
            document = json.load(file)
        document["at"] -= 2 * 86400
        with open(self.file, "w", encoding="utf-8") as file:
            json.dump(document, file)
        self.server.counters["gets"] = 700
        self.server.prefixes[b"a:"] = {"gets": 30}
        self.server.prefixes[b"b:"] = {"gets": 3}
        second = self.report("--json", "--since", self.file)
        self.assertEqual((second["counted_from"], second["restarted"]), ("file", False))
        reads = second["operations"]["reads"]
        self.assertEqual(reads["count"], 600)
        self.assertAlmostEqual(reads["per_day"], 300, delta=0.1)
        self.assertEqual(second["operations"]["lists"]["count"], 0, "the tool's own scans")
        rows = {row["prefix"]: row["reads"] for row in second["prefixes"]}
        self.assertEqual(rows, {"a:": 20, "b:": 3})
        third = self.report("--json", "--since", self.file)
        self.assertEqual(third["operations"]["reads"]["count"], 0)

    def test_counts_from_the_start_when_the_server_or_its_counters_began_anew(self):
        self.server.counters["gets"] = 100
        self.report("--since", self.file)
        self.server.counters["gets"] = 40
        reset = self.report("--json", "--since", self.file)
        self.assertEqual((reset["counted_from"], reset["restarted"]), ("start", True))
        self.server.counters["gets"] = 4000
        self.server.run_id = "b" * 40
        restarted = self.report("--json", "--since", self.file)
        self.assertEqual(restarted["operations"]["reads"]["count"], 4000)
        self.assertTrue(restarted["restarted"])

    def test_leaves_a_file_alone_that_is_not_its_own(self):
        for text in ("", "[]", "{}", "null", '{"version": 1, "mode": "strings"}'):
            with open(self.file, "w", encoding="utf-8") as file:
                file.write(text)
            _, errors = run_tool("cache-report", "--port", str(self.server.port), "--since",
                                 self.file, code=1)
            self.assertEqual(errors.count("\n"), 1, errors)
            with open(self.file, encoding="utf-8") as file:
                self.assertEqual(file.read(), text)

    def test_is_tables_for_people(self):
        self.server.counters["gets"] = 1_234_567
        self.server.put(b"we|rd:1", ttl_ms=-1)
        output = self.report()
        for line in ("| reads | 1,234,567 | 1,234,567 |", "| we\\|rd: | 1 | 100 | 1 | - | - | - |",
                     "| reads | 37.037 million | 10 million | 0.50 | 13.52 |",
                     "| total |  |  |  | 13.52 |", "Without a TTL, for example: we|rd:1"):
            self.assertIn(line, output)
        self.assertIn(cache_report.PRICES_SOURCE, output)
        self.assertNotIn("guess", output)
        self.server.uptime_s = 60
        self.assertIn("guess", self.report())

    def test_an_empty_cache_is_no_error(self):
        report = self.report("--json")
        self.assertEqual((report["hit_rate"], report["entries"], report["prefixes"]), (None, 0, []))
        self.assertIn("Hit rate -", self.report())

    def test_logs_in_and_says_in_one_line_why_it_cannot(self):
        self.server.password = b"secret"
        self.report("--password", "secret")
        self.report(environment={"REDISCLI_AUTH": "secret"})
        for words, text in ((("--password", "wrong"), "WRONGPASS"), ((), "NOAUTH")):
            _, errors = run_tool("cache-report", "--port", str(self.server.port), *words, code=1)
            self.assertIn(text, errors)
            self.assertEqual(errors.count("\n"), 1)
        _, errors = run_tool("cache-report", "--port", str(harness.free_port()), code=1)
        self.assertIn("refused", errors)


class Cleanup(Case):
    def keys(self):
        return sorted(self.server.entries)

    def test_deletes_what_has_the_prefix_and_nothing_else(self):
        for key in (b"cache:*:1", b"cache:*:2", b"cache:x:1", b"cache:", b"Cache:*:1"):
            self.server.put(key, size=50)
        output, _ = self.clean("--prefix", "cache:*")
        self.assertEqual(self.keys(), [b"Cache:*:1", b"cache:", b"cache:x:1"])
        self.assertRegex(output,
                         r"^deleted 2 cache entries that begin with cache:\*: 100 bytes, 2 ")

    def test_does_not_trust_a_server_that_gives_other_keys(self):
        self.server.put(b"keep:1")
        self.server.put(b"go:1")
        self.server.scan = lambda *_: array([bulk(b"0"), array([bulk(b"keep:1"), bulk(b"go:1")])])
        self.clean("--prefix", "go:")
        self.assertEqual(self.keys(), [b"keep:1"])

    def test_takes_bounded_steps_with_a_ping_between(self):
        for number in range(101):
            self.server.put(b"a:%03d" % number)
        self.clean("--prefix", "a:", "--batch", "10", "--no-ttl")
        self.assertEqual(len(self.keys()), 101)
        self.clean("--prefix", "a:", "--batch", "10")
        self.assertEqual(self.keys(), [])
        sizes = [len(command) - 1 for command in self.sent(b"CACHE.DEL")]
        self.assertEqual((max(sizes), sum(sizes)), (10, 101))
        self.assertEqual({command[-1] for command in self.sent(b"CACHE.SCAN")}, {b"10"})
        self.assertEqual(len(self.sent(b"PING")), 22)

    def test_a_page_larger_than_asked_for_is_cut_into_batches(self):
        for number in range(25):
            self.server.put(b"a:%d" % number)
        scan = self.server.scan
        self.server.scan = lambda cursor, *_: scan(cursor, b"PREFIX", b"a:", b"COUNT", b"25")
        self.clean("--prefix", "a:", "--batch", "10")
        self.assertEqual([len(one) - 1 for one in self.sent(b"CACHE.DEL")], [10, 10, 5])

    def test_waits_longer_while_the_server_is_slow(self):
        for number in range(10):
            self.server.put(b"a:%d" % number)
        pings = []

        def slow(server, command):
            if command[0] == b"PING":
                pings.append(time.monotonic())
                time.sleep(0.1 if len(pings) > 2 else 0)
        self.server.before = slow
        self.clean("--prefix", "a:", "--batch", "1")
        self.assertGreater(pings[-1] - pings[-2], 0.2)  # the delay itself, and a pause as long

    def test_takes_ages_and_ttls_into_account(self):
        self.server.put(b"a:new", age_ms=7 * DAY_MS - 1)
        self.server.put(b"a:old", age_ms=7 * DAY_MS)
        self.server.put(b"a:old-for-ever", age_ms=8 * DAY_MS, ttl_ms=-1)
        self.server.put(b"a:new-for-ever", age_ms=0, ttl_ms=-1)
        output, _ = self.clean("--prefix", "a:", "--older-than", "7d", "--no-ttl")
        self.assertEqual(self.keys(), [b"a:new", b"a:new-for-ever", b"a:old"])
        self.assertIn("4 keys looked at", output)
        self.clean("--prefix", "a:", "--older-than", "7d")
        self.assertEqual(self.keys(), [b"a:new", b"a:new-for-ever"])
        self.clean("--prefix", "a:", "--no-ttl")
        self.assertEqual(self.keys(), [b"a:new"])

    def test_a_dry_run_deletes_nothing(self):
        for number in range(30):
            self.server.put(b"a:%02d" % number)
        output, _ = self.clean("--prefix", "a:", "--dry-run", "--batch", "7")
        self.assertEqual(len(self.keys()), 30)
        self.assertEqual(self.sent(b"CACHE.DEL"), [])
        self.assertIn("would delete 30 cache entries", output)
        self.assertIn("For example: a:00 a:01 ", output)
        self.assertNotIn("a:10", output)

    def test_entries_that_go_by_themselves_meanwhile_are_not_counted(self):
        for number in range(10):
            self.server.put(b"a:%d" % number)

        def vanish(server, command):
            if command[0] == b"CACHE.INFO":
                server.entries.pop(b"a:3", None)
            if command[0] == b"CACHE.DEL":
                server.entries.pop(b"a:4", None)
        self.server.before = vanish
        output, _ = self.clean("--prefix", "a:")
        self.assertIn("deleted 8 cache entries", output)

    def test_a_failure_on_the_way_is_told_with_what_was_done(self):
        for number in range(30):
            self.server.put(b"a:%02d" % number)
        for reply, text in ((b"", "closed the connection"), (b"?\r\n", "a reply starts with"),
                            (b"-OOM no memory\r\n", "OOM no memory")):
            deletions = []

            def fail(server, command):
                deletions.append(command) if command[0] == b"CACHE.DEL" else None
                return reply if len(deletions) == 2 else None
            self.server.before = fail
            output, errors = self.clean("--prefix", "a:", "--batch", "5", code=1)
            self.assertIn(text, errors)
            self.assertIn("deleted 5 cache entries", output)
        self.assertEqual(len(self.keys()), 15)

    def test_an_interrupt_ends_it_with_the_summary(self):
        self.server.put(b"a:1")
        self.server.put(b"a:2")
        process = subprocess.Popen(
            [sys.executable, "-B", ROOT / "tools" / "cleanup", "--port", str(self.server.port),
             "--prefix", "a:", "--batch", "1", "--pause", "60000"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(harness.wait_until(lambda: self.sent(b"PING")))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual((process.returncode, errors), (130, b""))
        self.assertIn(b"deleted 1 cache entries", output)
        self.assertEqual(self.keys(), [b"a:2"])

    def answer(self, text, *words, code=0):
        """With a terminal to ask."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, text)
            return self.clean("--prefix", "a:", *words, code=code, stdin=theirs)
        finally:
            os.close(ours)
            os.close(theirs)

    def test_asks_on_a_terminal(self):
        for text, words, code in ((b"n\n", (), 3), (b"\n", (), 3), (b"yess\n", (), 3)):
            self.server.put(b"a:1")
            output, _ = self.answer(text, *words, code=code)
            self.assertIn("Delete the cache entries that begin with a:, on 127.0.0.1:", output)
            self.assertEqual(self.server.commands, [])
        for text, words in ((b"y\n", ()), (b"Yes\n", ()), (b"", ("--yes",))):
            self.server.put(b"a:1")
            self.answer(text, *words)
            self.assertEqual(self.keys(), [])
        self.answer(b"", "--dry-run")

    def test_refuses_options_that_cannot_be_meant(self):
        for words, text in (
                ((), "--prefix"), (("--prefix", ""), "empty --prefix"),
                (("--prefix", "a:", "--strings", "--older-than", "1d"), "nobody knows the age"),
                (("--prefix", "a:", "--older-than", "week"), "is not like"),
                (("--prefix", "a:", "--older-than", "-1d"), "expected one argument"),
                (("--prefix", "a:", "--batch", "0"), "--batch is 1"),
                (("--prefix", "a:", "--batch", "10001"), "--batch is 1"),
                (("--prefix", "a:", "--pause", "-1"), "--pause")):
            _, errors = self.clean(*words, code=2)
            self.assertIn(text, errors)
        self.assertEqual(self.server.commands, [])

    def test_help_says_what_the_exit_codes_mean(self):
        output, _ = run_tool("cleanup", "--help")
        for code in ("0", "1", "2", "3", "130"):
            self.assertRegex(output, rf"(?s)Exit codes.*\n    {code} +\w")


@harness.only_holdfast
class RealCache(harness.WireTest):
    """The same tools against the commands that they were written for."""

    def setUp(self):
        super().setUp()
        keys = []
        cursor = b"0"
        while True:
            cursor, page = self.call("CACHE.SCAN", cursor, "COUNT", 1000)
            keys += page
            if cursor == b"0":
                break
        if keys:
            self.call("CACHE.DEL", *keys)

    def tool(self, name, *words):
        return run_tool(name, "--port", str(self.server.port), *words)[0]

    def test_report_counts_what_was_done(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "counters.json")
            self.tool("cache-report", "--since", path)
            for number in range(10):
                self.ok("CACHE.SET", f"user:{number}", "12345", "TTL", 100)
            self.ok("CACHE.SET", "temp:1", "1")
            for _ in range(5):
                self.bulk("12345", "CACHE.GET", "user:1")
            self.null("CACHE.GET", "user:absent")
            token = self.call("CACHE.SWR", "user:led", "WAIT", 0)[3]
            self.ok("CACHE.FILL", "user:led", token, "12345", "TTL", 100)
            self.assertEqual(self.call("CACHE.SWR", "user:led")[0], b"fresh")
            self.integer(1, "CACHE.DEL", "user:9")
            self.call("CACHE.INFO", "user:1")
            report = json.loads(self.tool("cache-report", "--since", path, "--json"))
        counts = {name: one["count"] for name, one in report["operations"].items()}
        self.assertEqual(counts, {"reads": 8, "writes": 12, "deletes": 1, "lists": 0})
        self.assertEqual((report["hit_rate"], report["counted_from"]), (75, "file"))
        self.assertEqual((report["entries"], report["without_ttl"]), (11, 1))
        rows = {row["prefix"]: row for row in report["prefixes"]}
        self.assertEqual(rows["user:"], {
            "prefix": "user:", "entries": 10, "bytes": 9 * 11 + 13, "without_ttl": 0, "reads": 8,
            "writes": 11, "hit_rate": 75})
        self.assertEqual(rows["temp:"], {
            "prefix": "temp:", "entries": 1, "bytes": 7, "without_ttl": 1, "reads": 0, "writes": 1,
            "hit_rate": None})
        self.assertEqual(report["without_ttl_examples"], ["temp:1"])
        self.assertIn("Cache of 127.0.0.1", self.tool("cache-report"))

    def test_cleanup_takes_the_literal_prefix_and_what_has_no_ttl(self):
        names = [b"a*[b]\\:1", b"a*[b]\\:2", b"axb\\:1", b"other"]
        for name in names:
            self.ok("CACHE.SET", name, "v")
        self.ok("CACHE.SET", names[0], "v", "TTL", 1000)
        self.assertIn("would delete 2 cache entries",
                      self.tool("cleanup", "--prefix", "a*[b]\\", "--dry-run"))
        self.assertIn("deleted 0 cache entries",
                      self.tool("cleanup", "--prefix", "a*[b]\\", "--older-than", "1h"))
        self.assertIn("deleted 1 cache entries",
                      self.tool("cleanup", "--prefix", "a*[b]\\", "--no-ttl"))
        self.bulk("v", "CACHE.GET", names[0])
        self.assertIn("deleted 1 cache entries", self.tool("cleanup", "--prefix", "a*[b]\\"))
        self.assertEqual(self.call("CACHE.MGET", *names), [None, None, b"v", b"v"])

    def test_cleanup_of_many_leaves_none_and_no_other(self):
        self.connection.pipeline([
            ("CACHE.SET", f"{'go' if number % 2 else 'stay'}:{number}", number)
            for number in range(4000)])
        output = self.tool("cleanup", "--prefix", "go:", "--batch", "500", "--pause", "0")
        self.assertIn("deleted 2,000 cache entries", output)
        cursor, keys = b"1", []
        while cursor != b"0":
            cursor, page = self.call("CACHE.SCAN", 0 if cursor == b"1" else cursor, "COUNT", 10_000)
            keys += page
        self.assertEqual((len(keys), {key[:5] for key in keys}), (2000, {b"stay:"}))


@harness.only_holdfast
class RealStrings(harness.WireTest):
    def tool(self, name, *words):
        return run_tool(name, "--port", str(self.server.port), "--strings", *words)[0]

    def test_cleanup_takes_the_literal_prefix(self):
        names = [b"a*[b]\\:1", b"a*[b]\\:2", b"axb\\:1", b"a*b\\:1", b"other"]
        for name in names:
            self.ok("SET", name, "v")
        self.call("EXPIRE", names[0], 1000)
        self.assertIn("would delete 2 strings",
                      self.tool("cleanup", "--prefix", "a*[b]\\", "--dry-run"))
        self.assertIn("deleted 1 strings", self.tool("cleanup", "--prefix", "a*[b]\\", "--no-ttl"))
        self.assertEqual(set(harness.scan_all(self.connection)), set(names) - {names[1]})
        self.tool("cleanup", "--prefix", "a*[b]\\", "--pause", "0")
        self.assertEqual(set(harness.scan_all(self.connection)), set(names[2:]))

    def test_cleanup_of_many_leaves_none_and_no_other(self):
        self.connection.pipeline([("SET", f"{'go' if number % 2 else 'stay'}:{number}", number)
                                  for number in range(4000)])
        output = self.tool("cleanup", "--prefix", "go:", "--batch", "500", "--pause", "0")
        self.assertIn("deleted 2,000 strings", output)
        self.integer(2000, "DBSIZE")

    def test_report_counts_what_was_done(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "counters.json")
            self.tool("cache-report", "--since", path)
            for number in range(10):
                self.ok("SET", f"user:{number}", "12345")
            self.ok("SET", "temp:1", "1", "EX", "100")
            for _ in range(3):
                self.bulk("12345", "GET", "user:1")
            self.null("GET", "absent")
            self.integer(1, "DEL", "user:9")
            report = json.loads(self.tool("cache-report", "--since", path, "--json"))
        counts = {name: one["count"] for name, one in report["operations"].items()}
        self.assertEqual(counts, {"reads": 4, "writes": 11, "deletes": 1, "lists": 0})
        self.assertEqual((report["hit_rate"], report["counted_from"]), (75, "file"))
        self.assertEqual(report["prefixes"], [
            {"prefix": "user:", "entries": 9, "bytes": 9 * 11, "without_ttl": 9},
            {"prefix": "temp:", "entries": 1, "bytes": 7, "without_ttl": 0}])
        self.assertIn("Strings of 127.0.0.1", self.tool("cache-report"))


if __name__ == "__main__":
    unittest.main()
