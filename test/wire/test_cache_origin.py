"""Where the server refreshes entries of the cache by itself: `cache-origin` and CACHE.SWR ... CALL.
Each test has a line of configuration of its own, so that a pause of one is not another's."""

import email.utils
import gzip
import subprocess
import threading
import time
import unittest

import harness
from cache_case import NOW_S, CacheTest, Crowd, state_of
from fake_origin import Answer, Origin

LONG = ("WAIT", 60_000)
RETRY_MS = 1100  # after a first failure: a second, and clocks that are read apart
HEADERS = ("Authorization: Bearer s3cret", "X-Words: two words", "X-Colon: a:b", "X-Empty:")


class OriginTest(CacheTest):
    workers = 1  # each worker pauses an origin for itself

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.close)
        cls.elsewhere = Origin()
        cls.addClassCleanup(cls.elsewhere.close)
        names = unittest.defaultTestLoader.getTestCaseNames(cls)
        cls.options = {
            "workers": cls.workers,
            "fetch_allow": f"{cls.origin.host} localhost:{cls.elsewhere.port}",
            "cache_origin": [(name + ":", f"{cls.origin.url}/{name}/", *HEADERS) for name in names],
        }
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.base = f"/{self._testMethodName}/"
        self.start_count = len(self.asked())

    def key(self, name="key"):
        return f"{self._testMethodName}:{name}"

    def answers(self, *answers, path=""):
        """These in turn, the last for ever; also functions of the request."""
        left = list(answers)

        def next_answer(request):
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(request) if callable(answer) else answer
        self.origin.answers[self.base + path] = next_answer

    def asked(self, path=""):
        return self.origin.asked(self.base + path)

    def stale(self, key, value="old", seconds=1000):
        """An entry that is stale at once."""
        self.ok("CACHE.SET", key, value, "TTL", 0, "STALE", seconds)


class Http(OriginTest):
    def test_fetches_once_for_all_who_ask(self):
        gate = threading.Event()
        self.answers(Answer(200, "value", {"Cache-Control": "max-age=100"}, gate=gate))
        crowd = self.crowd(100)
        crowd.send("CACHE.SWR", self.key(), *LONG)
        self.assertTrue(crowd.is_silent(200))
        gate.set()
        self.assertEqual({(one.name, one.value) for one in crowd.rest()}, {("fresh", b"value")})
        self.assertEqual(len(self.asked()), 1)
        self.gets("fresh", self.key(), value="value")
        self.assertEqual(len(self.asked()), 1)

    def test_headers_and_odd_keys_are_sent(self):
        self.answers(Answer(200, "v"))
        for name, path in (("a/b?c=d&e", "a/b?c=d&e"), ("a b", "a%20b"), (b"\x00\xff\r\n", "%00%FF%0D%0A"),
                           ("%41", "%41"), ("q?x=R%26D", "q?x=R%26D"), ("100%", "100%25"),
                           ("notes..md", "notes..md"), ("compare/v1...v2", "compare/v1...v2"),
                           ("?range=1..5", "?range=1..5"), ("a#b", "a%23b"), ('"<>\\^`{|}', "%22%3C%3E%5C%5E%60%7B%7C%7D"),
                           ("é", "%C3%A9"), ("", "")):
            key = self.key("").encode() + (name if isinstance(name, bytes) else name.encode())
            self.gets("fresh", key, *LONG, value="v")
            request = self.asked()[-1]
            self.assertEqual(request.path, self.base + path)
            for header in HEADERS:
                header_name, _, value = header.partition(":")
                self.assertEqual(request.headers.get(header_name.lower(), ""), value.strip())
            self.assertNotIn("if-none-match", request.headers)

    def test_a_key_does_not_climb_and_harms_no_other(self):
        self.answers(Answer(200, "v"))
        for name in ("../secret", "a/../../b", "..", "a/..", "%2e%2e/secret", "a/.%2E", "..%2fsecret", "..;/x"):
            self.gets("busy", self.key(name), "WAIT", 5000)
        self.assertEqual(self.asked(), [])
        self.gets("fresh", self.key("good"), *LONG, value="v")

    def test_what_the_headers_say_is_kept(self):
        for number, (control, lives) in enumerate((
                ("max-age=7, stale-while-revalidate=20", (7000, 27_000)),
                ("max-age=7", (7000, 7000)), ("s-maxage=9, max-age=7", (9000, 9000)),
                ("max-age=7, must-revalidate", (7000, 7000)), (None, (60_000, 60_000)))):
            key = self.key(number)
            self.answers(Answer(200, "v", {"Cache-Control": control} if control else {}))
            self.gets("fresh", key, *LONG, value="v")
            info = self.info(key)
            self.assertEqual((info["ttl-ms"], info["stale-ms"]), lives, control)

    def test_a_setting_allows_what_is_stale(self):
        self.ok("CONFIG", "SET", "cache-origin-stale", 30)
        self.addCleanup(self.ok, "CONFIG", "SET", "cache-origin-stale", 0)
        self.answers(Answer(200, "v", {"Cache-Control": "max-age=0"}))
        self.gets("fresh", self.key(), *LONG, value="v")
        self.assertEqual(self.info(self.key())["stale-ms"], 30_000)
        self.gets("stale", self.key(), value="v")

    def test_an_answer_that_is_over_at_once_is_not_served_again(self):
        self.answers(Answer(200, "one", {"Cache-Control": "max-age=0"}),
                     Answer(200, "two", {"Cache-Control": "max-age=0"}))
        self.gets("fresh", self.key(), *LONG, value="one")
        self.gets("fresh", self.key(), *LONG, value="two")

    def test_lives_that_the_caller_names_are_for_answers_that_name_none(self):
        self.answers(Answer(200, "v"))
        self.gets("fresh", self.key(), 5, 50, *LONG)
        info = self.info(self.key())
        self.assertEqual((info["ttl-ms"], info["stale-ms"]), (5000, 50_000))

    def test_a_stale_value_is_served_at_once_while_the_server_refreshes(self):
        gate, key = threading.Event(), self.key()
        self.answers(Answer(200, "new", {"Cache-Control": "max-age=100"}, gate=gate))
        self.stale(key)
        start = time.monotonic()
        for _ in range(5):
            self.gets("stale", key, *LONG, value="old")
        self.assertLess(time.monotonic() - start, NOW_S)
        gate.set()
        self.soon(lambda: self.swr(key).value == b"new")
        self.assertEqual(len(self.asked()), 1)

    def test_not_modified_renews_what_is_there(self):
        key = self.key()
        tags = {"ETag": '"one"', "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
        self.answers(Answer(200, "value", {"Cache-Control": "max-age=0, stale-while-revalidate=100", **tags}),
                     Answer(304, headers={"Cache-Control": "max-age=0, stale-while-revalidate=100"}),
                     Answer(304, headers={"Cache-Control": "max-age=100"}))
        self.gets("fresh", key, *LONG, value="value")
        for count in (2, 3):
            self.gets("stale", key, value="value")
            self.soon(lambda: len(self.asked()) == count and self.origin.running == 0)
            request = self.asked()[-1]
            self.assertEqual((request.headers.get("if-none-match"),
                              request.headers.get("if-modified-since")), tuple(tags.values()), count)
            self.soon(lambda: self.stats()["refreshes"] >= count)
        self.soon(lambda: self.swr(key).name == "fresh")
        self.gets("fresh", key, value="value")
        self.assertEqual(self.info(key)["ttl-ms"], 100_000)

    def test_not_modified_without_a_value_ends(self):
        self.answers(Answer(304))
        self.gets("busy", self.key(), "WAIT", 500)
        self.assertLess(len(self.asked()), 5, "an origin that talks nonsense is not asked without end")

    def test_not_found_is_absent(self):
        for status in (404, 410):
            key = self.key(status)
            self.answers(Answer(status, "not here"))
            self.gets("absent", key, *LONG)
            self.gets("absent", key)
            self.assertEqual(len(self.asked(str(status))), 1)
        self.answers(Answer(404, headers={"Cache-Control": "max-age=7"}))
        self.gets("absent", self.key("short"), *LONG)
        self.assertEqual(self.info(self.key("short"))["ttl-ms"], 7000)

    def test_negative_answers_are_kept_as_their_headers_say(self):
        for number, headers in enumerate(({"Cache-Control": "no-store"}, {"Cache-Control": "max-age=0"},
                                          {"Expires": "0"}, {"Vary": "*"}, {"Cache-Control": "private"})):
            for status in (404, 410, 403):
                key = self.key(f"{status}/{number}")
                self.answers(Answer(status, "no", headers), path=f"{status}/{number}")
                self.gets("absent", key, *LONG)
                self.gets("absent", key, *LONG)
                self.assertEqual(len(self.asked(f"{status}/{number}")), 2, (status, headers))
                self.assertIsNone(self.info(key))

    def test_what_is_not_whole_leaves_the_old_value(self):
        squeezed = gzip.compress(b"a value of some length" * 100)

        def answer(status, body, *headers):
            lines = [f"HTTP/1.1 {status} Words", "Cache-Control: max-age=100", *headers,
                     f"Content-Length: {len(body)}"]
            return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        for number, raw in enumerate((
                answer(206, b"part", "Content-Range: bytes 0-3/9"), answer(204, b""), answer(205, b""),
                answer(201, b"made"), answer(202, b"later"), answer(207, b"many"),
                answer(200, squeezed[:len(squeezed) // 2], "Content-Encoding: gzip"),
                answer(200, squeezed[:-1], "Content-Encoding: gzip"),
                answer(200, squeezed, "Content-Encoding: br"), answer(200, b"x", "Content-Encoding: odd"),
                answer(200, b"plain", "Content-Encoding: gzip"), answer(200, b"whole")[:60],
                answer(200, b"whole")[:-1], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n")):
            with self.subTest(raw=raw[:200]):
                key = self.key(f"{number}/")
                self.answers(Answer(raw=raw), path=f"{number}/")
                # Most of what is asked succeeds.
                self.answers(Answer(200, "good"), path="good")
                self.gets("fresh", self.key(f"good{number}"), *LONG)
                self.gets("fresh", self.key(f"good{number}b"), *LONG)
                self.stale(key)
                self.gets("stale", key, value="old")
                self.soon(lambda: self.swr(key).name == "failed")
                self.gets("failed", key, value="old")
        self.answers(Answer(raw=answer(200, squeezed, "Content-Encoding: gzip")), path="last")
        self.gets("fresh", self.key("last"), *LONG, value=b"a value of some length" * 100)
        self.answers(Answer(203, "changed on the way"), path="203")
        self.gets("fresh", self.key("203"), *LONG, value="changed on the way")

    def test_a_stale_value_goes_when_it_is_not_found_any_more(self):
        self.answers(Answer(404))
        self.stale(self.key())
        self.gets("stale", self.key())
        self.soon(lambda: self.swr(self.key()).name == "absent")

    def test_who_waits_for_a_failure_is_told_when_to_retry(self):
        gate = threading.Event()
        self.answers(Answer(503, gate=gate))
        crowd = self.crowd(50)
        crowd.send("CACHE.SWR", self.key(), *LONG)
        self.soon(lambda: len(self.asked()) == 1)
        gate.set()
        start = time.monotonic()
        answers = crowd.rest()
        self.assertLess(time.monotonic() - start, NOW_S)
        self.assertEqual({one.name for one in answers}, {"busy"})
        self.assertTrue(all(0 < one.retry_ms <= RETRY_MS for one in answers), answers[0])
        self.assertEqual(len(self.asked()), 1)

    def test_a_stale_value_is_served_as_failed_and_pauses_grow(self):
        self.answers(Answer(500))
        key, times = self.key(), []
        self.stale(key)
        self.gets("stale", key, value="old")
        end = time.monotonic() + 3.6
        while time.monotonic() < end:
            state = self.swr(key)
            self.assertIn(state.name, ("stale", "failed"))
            self.assertEqual(state.value, b"old")
            times.append(state.name)
            time.sleep(0.01)
        asked = [request.at for request in self.asked()]
        self.assertEqual(len(asked), 3, "at once, after one second, after two more")
        self.assertGreater(asked[1] - asked[0], 0.95)
        self.assertGreater(asked[2] - asked[1], 1.9)
        self.assertGreater(times.count("failed"), times.count("stale"))
        # It answers again: the pause is forgotten, and the next failure has a short one.
        self.answers(Answer(200, "new", {"Cache-Control": "max-age=100"}))

    def test_network_errors_are_failures(self):
        self.answers(Answer("closed"))
        self.gets("busy", self.key(), *LONG)
        key = self.key("stale")
        self.stale(key)
        self.gets("stale", key, value="old")
        self.soon(lambda: self.swr(key).name == "failed")

    def test_retry_after_is_respected_up_to_an_hour(self):
        for number, (header, least_s, most_s) in enumerate((
                ("120", 115, 120), (email.utils.formatdate(time.time() + 900, usegmt=True), 880, 900),
                ("86400", 3595, 3600))):
            path = f"{number}/"
            self.answers(Answer(429, headers={"Retry-After": header}), path=path)
            state = self.gets("busy", self.key(path), *LONG)
            self.assertTrue(least_s * 1000 < state.retry_ms <= most_s * 1000, state)
            self.gets("busy", self.key(path), *LONG)
            self.stale(self.key(path + "stale"))
            self.gets("stale", self.key(path + "stale"), value="old")
            self.soon(lambda: self.swr(self.key(path + "stale")).name == "failed")
            state = self.gets("failed", self.key(path + "stale"), value="old")
            self.assertGreater(state.retry_ms, least_s * 1000)
            self.assertEqual(len(self.asked(path)), 2)

    def test_one_key_that_fails_keeps_nobody_from_the_others(self):
        self.answers(Answer(500), path="bad")
        self.answers(Answer(200, "v", {"Cache-Control": "no-store"}), path="good")
        for number in range(100):
            self.gets("fresh", self.key(f"good{number % 7}"), *LONG, value="v")
            self.gets("busy", self.key("bad"), "WAIT", 0)
        self.assertLess(len(self.asked("bad")), 5)
        info = self.info(self.key("bad"))
        self.assertEqual((info["state"], info["origin-state"], info["origin-error"]),
                         (b"none", b"failed", b"it answers 500"))
        self.assertEqual(self.figures("cache")["cache_origins_paused"], "0")

    def test_an_origin_of_which_most_fails_is_left_alone_until_a_probe_succeeds(self):
        self.answers(Answer(500))
        for number in range(10):
            self.gets("busy", self.key(number), *LONG)
        self.gets("busy", self.key("new"), *LONG)
        self.assertEqual(len(self.asked()), 10)
        info = self.info(self.key("new"))
        self.assertEqual((info["state"], info["origin-state"]), (b"none", b"paused"))
        figures = self.figures("cache")
        self.assertEqual(figures["cache_origins_paused"], "1")
        line, = [value for name, value in figures.items() if name.startswith("cache_origin") and "url=" in value]
        self.assertIn(f"state=paused,workers=1,prefix={self.key('')},url={self.origin.url}{self.base},"
                      "error=it answers 500", line)
        self.answers(Answer(200, "v"))
        self.soon(lambda: self.swr(self.key("new"), *LONG).name == "fresh")
        self.gets("fresh", self.key("newer"), *LONG, value="v")
        log = self.server.log(10_000)
        self.assertEqual(log.count(f"{self.base} (of keys {self.key('')}) is left alone"), 1)
        self.assertEqual(log.count(f"{self.base} (of keys {self.key('')}) answers again"), 1)
        self.assertEqual(self.figures("cache")["cache_origins_paused"], "0")

    def test_stale_if_error_serves_who_waited_for_the_failure(self):
        key = self.key()
        self.answers(Answer(200, "old", {"Cache-Control": "max-age=0, stale-while-revalidate=0, "
                                                          "stale-if-error=100"}), Answer(500))
        self.gets("fresh", key, *LONG, value="old")
        state = self.gets("failed", key, *LONG, value="old")
        self.assertGreater(state.retry_ms, 0)
        self.gets("failed", key, value="old")

    def test_no_store_is_given_to_who_waited_and_not_kept(self):
        gate, key = threading.Event(), self.key()
        self.answers(Answer(200, "secret", {"Cache-Control": "no-store"}, gate=gate))
        crowd = self.crowd(20)
        crowd.send("CACHE.SWR", key, *LONG)
        self.soon(lambda: len(self.asked()) == 1)
        self.assertTrue(crowd.is_silent(50))
        gate.set()
        self.assertEqual({(one.name, one.value) for one in crowd.rest()}, {("fresh", b"secret")})
        self.assertEqual(len(self.asked()), 1)
        self.null("CACHE.GET", key)
        self.assertIsNone(self.info(key))
        self.gets("fresh", key, *LONG, value="secret")
        self.assertEqual(len(self.asked()), 2)

    def test_a_redirect_to_a_forbidden_host_is_a_failure(self):
        self.answers(Answer(302, headers={"Location": f"http://127.0.0.1:{self.elsewhere.port}/x"}))
        self.gets("busy", self.key(), *LONG)
        self.assertEqual(self.elsewhere.requests, [])

    def test_a_redirect_to_an_allowed_host_is_followed_without_credentials(self):
        self.elsewhere.answers["/allowed"] = lambda request: Answer(200, "there")
        self.answers(Answer(302, headers={
            "Location": f"http://localhost:{self.elsewhere.port}/allowed"}))
        self.gets("fresh", self.key(), *LONG, value="there")
        request, = self.elsewhere.asked("/allowed")
        for line in HEADERS:
            self.assertNotIn(line.split(":")[0].lower(), request.headers)

    def test_keys_of_nothing_but_odd_bytes_are_sent_whole(self):
        self.answers(lambda request: Answer(200, request.path))
        for size in range(70, 90):
            state = self.gets("fresh", self.key("%" * size), *LONG)
            self.assertTrue(state.value.endswith(b"%25" * size), size)

    def test_other_refusals_are_absent_for_a_while_and_pause_nothing(self):
        self.answers(Answer(403), Answer(200, "other"))
        self.gets("absent", self.key("a"), *LONG)
        self.gets("fresh", self.key("b"), *LONG, value="other")
        info = self.call("CACHE.INFO", self.key("a"))
        self.assertEqual(info[info.index(b"ttl-ms") + 1], 10_000)

    def test_a_slow_origin_ends_with_the_lease(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.answers(Answer(200, "late", gate=gate))
        start = time.monotonic()
        state = self.gets("busy", self.key(), "LEASE", 300, "WAIT", 20_000)
        self.assertTrue(0.25 < time.monotonic() - start < 5)
        self.assertGreater(state.retry_ms, 0)
        self.assertEqual(len(self.asked()), 1, "who waits does not ask it a second time")
        gate.set()
        time.sleep(0.05)
        self.null("CACHE.GET", self.key())

    def test_many_keys_at_once_are_fetched_some_at_a_time(self):
        self.answers(lambda request: Answer(200, request.path, delay=0.03))
        clients = [self.open() for _ in range(300)]
        self.origin.running_most = 0
        for number, client in enumerate(clients):
            client.send("CACHE.SWR", self.key(number), *LONG)
        for number, client in enumerate(clients):
            self.answer(client, "fresh", f"{self.base}{number}")
        self.assertEqual(len(self.asked()), 300)
        self.assertTrue(16 < self.origin.running_most <= 64, self.origin.running_most)

    def test_who_called_may_hang_up_and_the_fetch_goes_on(self):
        """Also one that has had a lease of its own before."""
        gate, key = threading.Event(), self.key()
        self.answers(Answer(200, "value", {"Cache-Control": "max-age=100"}, gate=gate))
        caller = self.open()
        self.gets("lead", "mine:" + key, by=caller)
        caller.send("CACHE.SWR", key, *LONG)
        self.soon(lambda: len(self.asked()) == 1)
        waiter, = self.park(key, *LONG)
        caller.close()
        self.soon(lambda: self.swr("mine:" + key, "WAIT", 0).name == "lead")
        time.sleep(0.05)
        self.assertEqual(len(self.asked()), 1, "it is still being fetched")
        gate.set()
        self.answer(waiter, "fresh", "value")
        self.assertEqual(len(self.asked()), 1)

    def test_a_set_or_delete_meanwhile_makes_the_answer_void(self):
        for command in (("CACHE.SET", self.key(), "set"), ("CACHE.DEL", self.key())):
            gate = threading.Event()
            self.answers(Answer(200, "late", gate=gate))
            self.stale(self.key())
            count = len(self.asked())
            self.gets("stale", self.key())
            self.soon(lambda: len(self.asked()) == count + 1)
            self.call(*command)
            lost = self.stats()["leases-lost"]
            gate.set()
            self.soon(lambda: self.stats()["leases-lost"] > lost)
            self.assertEqual(self.call("CACHE.GET", self.key()),
                             b"set" if len(command) == 3 else None)

    def test_secrets_are_not_shown(self):
        shown = repr(self.call("CONFIG", "GET", "*")) + repr(self.call("CONFIG", "GET", "cache-origin"))
        self.assertNotIn("s3cret", shown)
        self.assertNotIn("s3cret", self.server.log(10_000))

    def test_counts_what_it_fetches(self):
        before = self.stats()
        self.answers(Answer(200, "v", delay=0.02))
        self.gets("fresh", self.key(), *LONG)
        after = self.stats()
        self.assertEqual(after["origin-fetches"] - before["origin-fetches"], 1)
        self.assertGreaterEqual(after["origin-ms"] - before["origin-ms"], 15)
        self.assertEqual(after["refreshes"] - before["refreshes"], 1)

    def test_keys_under_no_prefix_are_the_callers(self):
        token = self.gets("lead", "not-" + self.key(), "WAIT", 0).token
        self.ok("CACHE.FILL", "not-" + self.key(), token, "v")

    def test_entries_in_resp3_and_pipelines(self):
        self.answers(lambda request: Answer(200, request.path))
        with self.server.connect(protocol=3) as client:
            self.gets("fresh", self.key(0), *LONG, value=f"{self.base}0", by=client)
            replies = client.pipeline([("CACHE.SWR", self.key(number), *LONG) for number in range(9)])
        self.assertEqual([state_of(reply).value.decode() for reply in replies],
                         [f"{self.base}{number}" for number in range(9)])


class HttpOnSeveralWorkers(OriginTest):
    workers = 3

    def test_fetches_once_for_each_key_whoever_asks(self):
        self.answers(lambda request: Answer(200, request.path, {"Cache-Control": "max-age=100"},
                                            delay=0.05))
        clients = [self.open() for _ in range(60)]
        for number, client in enumerate(clients):
            client.send("CACHE.SWR", self.key(number % 20), *LONG)
        for number, client in enumerate(clients):
            self.answer(client, "fresh", f"{self.base}{number % 20}")
        self.assertEqual(len(self.asked()), 20)

    def test_the_server_stops_promptly_while_fetches_run(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.answers(Answer(200, "late", gate=gate))
        clients = [self.open() for _ in range(100)]
        for number, client in enumerate(clients):
            client.send("CACHE.SWR", self.key(number), *LONG)
        self.soon(lambda: len(self.asked()) > 20)
        start = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - start, 10)


FETCHER = """
local Fetcher = class("Fetcher")
function Fetcher:get(key)
  self.count = (self.count or 0) + 1
  if key:find("nil") then return nil end
  if key:find("error") then error("on purpose") end
  if key:find("fail") then fail("TEAPOT", "short and stout") end
  if key:find("number") then return 42 end
  if key:find("float") then return 0.1 end
  if key:find("boolean") then return true end
  if key:find("table") then return {1, 2} end
  if key:find("slow") then sleep(200) end
  if key:find("empty") then return "" end
  return key .. ":" .. self.count
end
function Fetcher:counted() return self.count or 0 end
return Fetcher
"""


class Calls(CacheTest):
    options = {"workers": 2}

    def setUp(self):
        super().setUp()
        name = "F" + self._testMethodName[5:30].replace("_", "")
        self.call("DO.CLASS", "LOAD", name, FETCHER.replace('"Fetcher"', f'"{name}"'))
        self.how = ("CALL", name, "one", "get")
        self.name = name

    def count(self):
        return self.call("DO.CALL", self.name, "one", "counted")

    def test_a_result_is_the_value_and_the_key_its_argument(self):
        key = self.key()
        self.gets("fresh", key, *LONG, *self.how, value=f"{key}:1")
        self.gets("fresh", key, *self.how, value=f"{key}:1")
        self.bulk(f"{key}:1", "CACHE.GET", key)
        self.assertEqual((self.info(key)["ttl-ms"], self.info(key)["stale-ms"]), (60_000, 600_000))
        self.gets("fresh", self.key("empty"), *LONG, *self.how, value="")
        self.gets("fresh", self.key("number"), *LONG, *self.how, value="42")
        self.gets("fresh", self.key("float"), *LONG, *self.how, value="0.1")
        self.gets("fresh", self.key("boolean"), *LONG, *self.how, value="1")
        key = self.key("with lives")
        self.gets("fresh", key, 5, 50, *LONG, *self.how)
        self.assertEqual((self.info(key)["ttl-ms"], self.info(key)["stale-ms"]), (5000, 50_000))

    def test_nil_is_absent(self):
        self.gets("absent", self.key("nil"), *LONG, *self.how)
        self.gets("absent", self.key("nil"), *self.how)

    def check_failure(self, key, *how):
        start = time.monotonic()
        state = self.gets("busy", key, *LONG, *(how or self.how))
        self.assertLess(time.monotonic() - start, NOW_S)
        self.assertTrue(0 < state.retry_ms <= RETRY_MS, state)

    def test_an_error_is_a_failure(self):
        self.check_failure(self.key("error"))
        key = self.key("error, stale")
        self.ok("CACHE.SET", key, "old", "TTL", 0, "STALE", 100)
        self.soon(lambda: self.swr(key, *self.how).name == "failed")
        self.gets("failed", key, *self.how, value="old")

    def test_fail_is_a_failure(self):
        self.check_failure(self.key("fail"))

    def test_a_table_is_a_failure(self):
        self.check_failure(self.key("table"))

    def test_no_such_class_or_method_is_a_failure(self):
        self.check_failure(self.key(), "CALL", "Nowhere", "one", "get")
        self.check_failure(self.key(), "CALL", self.name, "one", "nothing")
        self.check_failure(self.key(), "CALL", self.name, "one", "init")
        log = self.server.log()
        self.assertIn("The cache asks the class Nowhere in vain: NOCLASS", log)
        self.assertIn(f"The cache asks the class {self.name} in vain: NOMETHOD", log)

    def test_many_callers_lead_to_one_call(self):
        key = self.key("slow")
        crowd = self.crowd(100)
        crowd.send("CACHE.SWR", key, *LONG, *self.how)
        self.assertEqual({(one.name, one.value) for one in crowd.rest()},
                         {("fresh", f"{key}:1".encode())})
        self.assertEqual(self.count(), 1)

    def test_a_stale_value_is_served_while_the_object_is_called(self):
        key = self.key("slow")
        self.ok("CACHE.SET", key, "old", "TTL", 0, "STALE", 100)
        start = time.monotonic()
        for _ in range(5):
            self.gets("stale", key, *LONG, *self.how, value="old")
        self.assertLess(time.monotonic() - start, 0.2)
        self.soon(lambda: self.swr(key, 100, 200, *self.how).value == f"{key}:1".encode())
        self.assertEqual(self.count(), 1)

    def test_a_bad_key_keeps_the_class_from_no_other(self):
        failing = self.key("error")
        self.gets("busy", failing, *LONG, *self.how)
        for number in range(50):
            self.gets("fresh", self.key(number), *LONG, *self.how)
            self.gets("busy", failing, "WAIT", 0, *self.how)

    def test_ids_on_any_worker_can_be_called(self):
        for number in range(20):
            key = self.key(number)
            self.gets("fresh", key, *LONG, "CALL", self.name, f"id{number}", "get", value=f"{key}:1")


class Lines(harness.Case):
    def test_lines_that_mean_nothing_are_refused_at_the_start(self):
        for line, text in ((("api:",), "PREFIX URL"), (("api:", "ftp://x/"), "not an http"),
                           (("", "http://x/"), "not the prefix"),
                           (("api:", "http://x/", "no colon"), "Name: value"),
                           (("api:", "http://x/", ": v"), "Name: value")):
            server = harness.Server(cache_origin=[line])
            try:
                with self.assertRaises(AssertionError) as caught:
                    server.start()
                self.assertIn(text, str(caught.exception))
            finally:
                server.close()

    def test_an_origin_that_may_not_be_fetched_is_refused_wherever_it_shows(self):
        line = ("api:", "https://api.example.com/")
        text = "cache-origin api: https://api.example.com/: fetch-allow"
        for options in ({}, {"fetch_allow": "other.example.com"}):
            server = harness.Server(cache_origin=[line], **options)
            try:
                with self.assertRaises(AssertionError) as caught:
                    server.start()
                self.assertIn(text, str(caught.exception))
                checked = subprocess.run([*server.arguments(), "--check-config"], capture_output=True,
                                         text=True, check=False)
                self.assertNotEqual(checked.returncode, 0)
                self.assertIn(text, checked.stderr + checked.stdout)
            finally:
                server.close()

    def test_the_list_cannot_be_set_to_one_without_an_origin(self):
        server = harness.Server(cache_origin=[("api:", "https://api.example.com/")],
                                fetch_allow="api.example.com")
        try:
            server.start()
            with server.connect() as client:
                for value in ("", "other.example.com"):
                    reply = client.command("CONFIG", "SET", "fetch-allow", value)
                    self.assertIn(b"cache-origin api: https://api.example.com/", reply)
                self.assertEqual(client.command("CONFIG", "GET", "fetch-allow")[1], b"api.example.com")
                self.assertEqual(client.command("CONFIG", "SET", "fetch-allow", "*.example.com"), b"OK")
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main()
