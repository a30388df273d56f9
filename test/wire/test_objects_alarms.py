"""Alarms, schedules, wakes: what runs by itself, when, how often, and what a crash leaves of it.
Numbers in brackets are those of the conformance list (CONFORMANCE.md). What lies minutes or days
ahead is tested by servers whose clock is ahead."""

import os
import time
import unittest

import harness
import resp
from object_case import (DAY_MS, ObjectTest, RETRIES, RETRY_FIRST_MS, ahead, as_map, now_ms,
                         shard_of)

FAR_MS = 4102444800000  # 2100

BELL = """
local Bell = class("Bell")

-- What is written before a wait stays, whatever happens to the run afterwards.
function Bell:note(info)
  local runs = self.storage:get("runs") or {}
  runs[#runs + 1] = {time.now(), info.scheduled_time, info.retry_count, info.is_retry,
    self.storage:get_alarm() or 0, self.id}
  self.storage:put("runs", runs)
  self.storage:put("count", #runs)
end

local modes = {}
function Bell:alarm(info)
  self:note(info)
  local mode = modes[self.storage:get("mode")]
  if mode then mode(self, info) end
end

function modes.fail() sleep(0) error("broken bell") end
function modes.soft() sleep(0) fail("SOFT", "broken softly") end
function modes.fail_once(self, info) if info.retry_count == 0 then sleep(0) error("once") end end
function modes.rearm(self) self.storage:set_alarm(FAR) end
function modes.rearm_and_fail(self) self.storage:set_alarm(FAR) sleep(0) error("after rearming") end
function modes.rearm_lost(self) self.storage:set_alarm(FAR) error("the same turn") end
function modes.set_and_delete(self)
  self.storage:set_alarm(time.now())
  self.storage:delete_alarm()
end
function modes.delete(self) self.storage:put("deleted", self.storage:delete_alarm()) end
function modes.loop() sleep(0) while true do end end
function modes.nap() sleep(800) end
function modes.clear(self) self.storage:delete_all() self.storage:put("count", -1) end

function Bell:ring_in(ms, mode)
  if mode then self.storage:put("mode", mode) end
  local at = time.now() + tonumber(ms)
  self.storage:set_alarm(at)
  return at
end
function Bell:mode(mode) self.storage:put("mode", mode) end
function Bell:runs() return self.storage:get("runs") or {} end
function Bell:alarm_set() return self.storage:get_alarm() end
function Bell:with_values(ms)
  self.storage:put{a = 1, b = 2}
  self.storage:set_alarm(time.now() + tonumber(ms))
end
function Bell:raise_with_values(ms) self:with_values(ms) error("on purpose") end
function Bell:clear_then_ring_in(ms)
  self.storage:delete_all()
  return self:ring_in(ms)
end
function Bell:clear(keep) return self.storage:delete_all{keep_alarm = keep == "keep"} end
function Bell:bad_time(which)
  local times = {zero = 0, negative = -1, float = 1.5, nan = 0 / 0, text = "soon",
    infinite = math.huge}
  self.storage:set_alarm(times[which])
end

-- schedules
function Bell:tick(argument, info)
  local ticks = self.storage:get("ticks") or {}
  ticks[#ticks + 1] = {time.now(), info.scheduled_time, info.retry_count, info.name,
    argument and argument.word or ""}
  self.storage:put("ticks", ticks)
  self.storage:put("tick_count", #ticks)
  if argument and argument.fails then sleep(0) error("broken tick") end
end
function Bell:ticks() return self.storage:get("ticks") or {} end
function Bell:every(name, seconds, word, fails)
  self:schedule(name, {every = tonumber(seconds), method = "tick",
    argument = {word = word, fails = fails == "fails"}})
end
function Bell:cron(name, line) self:schedule(name, {cron = line, method = "tick"}) end
function Bell:stop(name) return self:unschedule(name) end
function Bell:listed()
  local listed = {}
  for _, entry in ipairs(self:schedules()) do
    listed[#listed + 1] = {entry.name, entry.method, entry.cron or entry.every, entry.next,
      entry.retry_count}
  end
  return listed
end
function Bell:many(count)
  for i = 1, tonumber(count) do self:schedule("s" .. i, {every = 1000, method = "tick"}) end
end

-- wakes
function Bell:woken(by, fails)
  self.storage:put("woken", (self.storage:get("woken") or 0) + 1)
  self.storage:put("by", by or "nobody")
  if fails then error("broken wake") end
end
return Bell
""".replace("FAR", str(FAR_MS))

MUTE = 'local Mute = class("Mute") function Mute:put() self.storage:put("k", 1) end return Mute'

# One Lua state a worker: what its objects count together is what runs there at a time.
CROWD = """
local Crowd = class("Crowd")
local running, peak = 0, 0
function Crowd:alarm()
  running = running + 1
  if running > peak then peak = running end
  sleep(20)
  running = running - 1
  self.storage:put("peak", peak)
  self.storage:put("runs", (self.storage:get("runs") or 0) + 1)
end
function Crowd:ring_in(ms) self.storage:set_alarm(time.now() + tonumber(ms)) end
return Crowd
"""


class Bells(ObjectTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with resp.Connection(cls.server.port) as connection:
            for name, source in (("Bell", BELL), ("Mute", MUTE), ("Crowd", CROWD)):
                reply = connection.command("DO.CLASS", "LOAD", name, source)
                assert reply == 1, reply

    def setUp(self):
        super().setUp()
        self.identity = self.fresh()

    def bell(self, method, *arguments, identity=None):
        reply = self.call("DO.CALL", "Bell", identity or self.identity, method, *arguments)
        self.assertNotIsInstance(reply, resp.Error, reply)
        return reply

    def count(self, identity=None):
        reply = self.call("DO.GET", "Bell", identity or self.identity, "count")
        return int(reply) if reply else 0

    def until_rung(self, times=1, identity=None):
        self.soon(lambda: self.count(identity) >= times)

    def run_alarm(self, identity=None):
        return self.call("DO.RUNALARM", "Bell", identity or self.identity)

    def of(self, entries, identity=None):
        wanted = (identity or self.identity).encode()
        return [entry for entry in entries if entry["id"] == wanted]

    def due(self, identity=None):
        return self.of(self.alarms("Bell", "LIMIT", 10000), identity)

    def failed(self, identity=None):
        return self.of(self.alarms("Bell", "FAILED", "LIMIT", 10000), identity)


@harness.only_holdfast
class Alarms(Bells):
    def test_an_alarm_is_set_read_and_deleted(self):
        """[56]"""
        self.null("DO.GETALARM", "Bell", self.identity)
        self.integer(0, "DO.DELALARM", "Bell", self.identity)
        self.ok("DO.SETALARM", "Bell", self.identity, FAR_MS)
        self.ok("DO.SETALARM", "Bell", self.identity, FAR_MS)
        self.integer(FAR_MS, "DO.GETALARM", "Bell", self.identity)
        self.assertEqual(self.bell("alarm_set"), FAR_MS)
        self.assertEqual(len(self.due()), 1)
        self.ok("DO.SETALARM", "Bell", self.identity, FAR_MS - 1)
        self.integer(FAR_MS - 1, "DO.GETALARM", "Bell", self.identity)
        self.assertEqual(len(self.due()), 1)
        self.integer(1, "DO.DELALARM", "Bell", self.identity)
        self.integer(0, "DO.DELALARM", "Bell", self.identity)
        self.null("DO.GETALARM", "Bell", self.identity)
        self.assertEqual(self.due(), [])
        self.assertEqual(self.call("DO.OBJECTS", "Bell", "PREFIX", self.identity), [])

    def test_no_alarm_is_early_and_each_is_told_its_time(self):
        """[75]"""
        ids = [self.fresh() for _ in range(60)]
        times = {identity: self.bell("ring_in", 100 + 10 * i, identity=identity)
                 for i, identity in enumerate(ids)}
        for identity, at in times.items():
            self.until_rung(identity=identity)
            (run,) = self.bell("runs", identity=identity)
            self.assertGreaterEqual(run[0], at)
            self.assertEqual(run[1:], [at, 0, 0, 0, identity.encode()])
            self.null("DO.GETALARM", "Bell", identity)
            self.assertEqual(self.count(identity), 1)

    def test_an_alarm_of_the_past_runs_now(self):
        """[63]"""
        before = now_ms()
        self.ok("DO.SETALARM", "Bell", self.identity, 1)
        self.until_rung()
        (run,) = self.bell("runs")
        self.assertGreaterEqual(run[1], before)
        self.assertGreaterEqual(run[0], run[1])

    def test_an_alarm_moved_or_deleted_does_not_run(self):
        """[60, 61, 62]"""
        moved, deleted, cleared, earlier = (self.fresh(x) for x in "abcd")
        for identity in (moved, deleted, cleared):
            self.bell("ring_in", 800, identity=identity)
        self.ok("DO.SETALARM", "Bell", earlier, FAR_MS)
        for i in range(20):
            self.ok("DO.SETALARM", "Bell", moved, FAR_MS + i)
        self.integer(1, "DO.DELALARM", "Bell", deleted)
        self.integer(0, "DO.DELETEALL", "Bell", cleared)
        self.bell("ring_in", 900, identity=earlier)
        self.until_rung(identity=earlier)
        self.assertEqual([self.count(x) for x in (moved, deleted, cleared, earlier)],
                         [0, 0, 0, 1])
        self.integer(FAR_MS + 19, "DO.GETALARM", "Bell", moved)
        self.assertEqual(len(self.due(moved)), 1)

    def test_values_and_alarm_are_one_change(self):
        """[57]"""
        self.error("CLASSERR", "DO.CALL", "Bell", self.identity, "raise_with_values", 1)
        self.null("DO.GETALARM", "Bell", self.identity)
        self.assertEqual(self.call("DO.LIST", "Bell", self.identity), [])
        self.bell("with_values", 100000)
        self.is_not_null(self.call("DO.GETALARM", "Bell", self.identity))
        self.assertEqual(self.call("DO.LIST", "Bell", self.identity),
                         [b"a", b"1", b"b", b"2"])
        self.assertEqual(self.count(), 0)

    def test_an_object_of_an_alarm_alone_exists(self):
        self.ok("DO.SETALARM", "Bell", self.identity, FAR_MS)
        self.assertEqual(self.call("DO.OBJECTS", "Bell", "PREFIX", self.identity),
                         [self.identity.encode()])
        self.integer(0, "DO.DELETEALL", "Bell", self.identity)
        self.assertEqual(self.call("DO.OBJECTS", "Bell", "PREFIX", self.identity), [])

    def test_deleteall_takes_the_alarm_unless_told_not_to(self):
        """[66]"""
        self.bell("with_values", 100000)
        alarm = self.call("DO.GETALARM", "Bell", self.identity)
        self.integer(2, "DO.DELETEALL", "Bell", self.identity, "KEEPALARM")
        self.integer(alarm, "DO.GETALARM", "Bell", self.identity)
        self.integer(0, "DO.DELETEALL", "Bell", self.identity)
        self.null("DO.GETALARM", "Bell", self.identity)
        self.bell("with_values", 100000)
        self.assertEqual(self.bell("clear", "keep"), 2)
        self.is_not_null(self.call("DO.GETALARM", "Bell", self.identity))
        self.assertEqual(self.bell("clear", "all"), 0)
        self.null("DO.GETALARM", "Bell", self.identity)

    def test_an_alarm_set_after_delete_all_survives(self):
        """[67]"""
        self.bell("ring_in", 100000)
        at = self.bell("clear_then_ring_in", 200000)
        self.integer(at, "DO.GETALARM", "Bell", self.identity)
        self.assertEqual(len(self.due()), 1)

    def test_a_class_without_a_handler_takes_no_alarm(self):
        self.fails("NOALARM class 'Mute' has no alarm method",
                   "DO.SETALARM", "Mute", self.identity, FAR_MS)
        self.fails("NOALARM class 'Mute' has no alarm method", "DO.RUNALARM", "Mute",
                   self.identity)

    def test_times_that_are_none_are_refused(self):
        """[56]"""
        for time_ in ("0", "-5", "1.5", "nan", "soon", "", "9223372036854775808"):
            self.fails("ERR time is not an integer of milliseconds above 0, or out of range",
                       "DO.SETALARM", "Bell", self.identity, time_)
        for which in ("zero", "negative", "float", "nan", "text", "infinite"):
            self.assertIn("a time is a whole number of milliseconds above 0", self.error(
                "CLASSERR", "DO.CALL", "Bell", self.identity, "bad_time", which))
        self.null("DO.GETALARM", "Bell", self.identity)

    def test_the_handler_sees_no_alarm_and_leaves_none(self):
        """[64]"""
        self.bell("ring_in", 100000)
        self.integer(1, "DO.RUNALARM", "Bell", self.identity)
        (run,) = self.bell("runs")
        self.assertEqual(run[4], 0)
        self.null("DO.GETALARM", "Bell", self.identity)
        self.assertEqual(self.due(), [])

    def test_runalarm_runs_it_once(self):
        """[78]"""
        self.bell("ring_in", 100000)
        self.assertEqual([self.run_alarm(), self.run_alarm(), self.run_alarm(self.fresh())],
                         [1, 0, 0])
        self.assertEqual(self.count(), 1)

    def test_an_alarm_set_in_the_handler_stays(self):
        """[64]"""
        self.bell("ring_in", 10, "rearm")
        self.until_rung()
        self.soon(lambda: self.call("DO.GETALARM", "Bell", self.identity) == FAR_MS)
        self.assertEqual(self.count(), 1)

    def test_an_alarm_set_in_a_handler_that_fails_wins_over_the_retry(self):
        """[65, 68, 73]"""
        self.bell("ring_in", 100000, "rearm_and_fail")
        for number in range(1, 2 * RETRIES):
            text = self.error("CLASSERR", "DO.RUNALARM", "Bell", self.identity)
            self.assertIn("after rearming", text)
            self.assertEqual(self.count(), number)
            (entry,) = self.due()
            self.assertEqual((entry["due"], entry["retries"]), (FAR_MS, 0))
        self.assertEqual(self.failed(), [])
        self.assertEqual({run[2] for run in self.bell("runs")}, {0})

    def test_an_alarm_set_in_the_turn_that_fails_is_not_set(self):
        """[65]"""
        at = self.bell("ring_in", 100000, "rearm_lost")
        self.error("CLASSERR", "DO.RUNALARM", "Bell", self.identity)
        self.integer(at, "DO.GETALARM", "Bell", self.identity)
        (entry,) = self.due()
        self.assertEqual((entry["retries"], entry["scheduled"]), (1, at))
        self.assertEqual(self.count(), 0)

    def test_set_and_delete_in_the_handler_is_one_run(self):
        """[76]"""
        self.bell("ring_in", 10, "set_and_delete")
        self.until_rung()
        self.soon(lambda: self.due() == [])
        later = self.fresh()
        self.bell("ring_in", 100, identity=later)
        self.until_rung(identity=later)
        self.assertEqual(self.count(), 1)
        self.null("DO.GETALARM", "Bell", self.identity)

    def test_deleting_does_not_stop_the_run_under_way(self):
        self.bell("ring_in", 10, "delete")
        self.until_rung()
        self.soon(lambda: self.due() == [])
        self.bulk("false", "DO.GET", "Bell", self.identity, "deleted")
        napping = self.fresh()
        self.bell("ring_in", 1, "nap", identity=napping)
        self.until_rung(identity=napping)
        self.integer(1, "DO.DELALARM", "Bell", napping)
        self.soon(lambda: self.info("Bell", napping)["waiting"] == 0)
        self.assertEqual((self.count(napping), self.due(napping)), (1, []))

    def test_a_handler_may_clear_its_object(self):
        """[67]"""
        self.bell("ring_in", 10, "clear")
        self.soon(lambda: self.count() == -1)
        self.soon(lambda: self.due() == [])
        self.assertEqual(self.call("DO.LIST", "Bell", self.identity), [b"count", b"-1"])

    def test_calls_are_served_while_a_handler_waits_and_none_runs_beside_it(self):
        self.bell("ring_in", 1, "nap")
        self.until_rung()
        self.assertEqual(self.bell("alarm_set"), None)
        self.assertEqual(self.run_alarm(), 0)
        self.soon(lambda: self.info("Bell", self.identity)["waiting"] == 0)
        self.assertEqual(self.count(), 1)

    def test_an_alarm_finds_its_object_after_eviction(self):
        """[8]"""
        identity = "\x01 ünd \r\n-" + self.fresh()
        self.bell("ring_in", 300, identity=identity)
        self.integer(1, "DO.EVICT", "Bell", identity)
        self.until_rung(identity=identity)
        (run,) = self.bell("runs", identity=identity)
        self.assertEqual(run[5], identity.encode())


@harness.only_holdfast
class Retries(Bells):
    def test_a_failing_alarm_is_tried_again_by_the_table_and_given_up(self):
        """[65, 68, 74]"""
        at = self.bell("ring_in", 100000, "fail")
        for retry in range(RETRIES + 1):
            (entry,) = self.due()
            self.assertEqual((entry["kind"], entry["scheduled"], entry["retries"]),
                             (b"alarm", at, retry))
            self.integer(at, "DO.GETALARM", "Bell", self.identity)
            before = now_ms()
            self.assertIn("broken bell", self.error("CLASSERR", "DO.RUNALARM", "Bell",
                                                    self.identity))
            after = now_ms()
            if retry < RETRIES:
                (entry,) = self.due()
                delay = RETRY_FIRST_MS << retry
                self.assertGreaterEqual(entry["due"], before + delay)
                self.assertLessEqual(entry["due"], after + delay * 5 // 4)
        self.assertEqual(self.due(), [])
        self.null("DO.GETALARM", "Bell", self.identity)
        self.assertEqual([run[1:4] for run in self.bell("runs")],
                         [[at, n, int(n > 0)] for n in range(RETRIES + 1)])
        (entry,) = self.failed()
        self.assertEqual((entry["kind"], entry["scheduled"], entry["retries"]),
                         (b"alarm", at, RETRIES))
        self.assertIn(b"broken bell", entry["error"])
        self.assertLessEqual(entry["failed-at"], now_ms())
        self.assertEqual(self.run_alarm(), 0)
        info = self.info("Bell", self.identity)
        self.is_null(info["alarm"])
        # A new alarm begins anew.
        self.ok("DO.SETALARM", "Bell", self.identity, FAR_MS)
        self.error("CLASSERR", "DO.RUNALARM", "Bell", self.identity)
        self.assertEqual(self.bell("runs")[-1][2], 0)

    def test_retries_come_by_themselves_and_stop_with_success(self):
        """[65, 75]"""
        looping, once = self.fresh("loop"), self.fresh("once")
        self.bell("ring_in", 1, "loop", identity=looping)
        at = self.bell("ring_in", 1, "fail_once", identity=once)
        self.until_rung(identity=looping)
        self.until_rung(2, once)
        first, second = self.bell("runs", identity=once)
        self.assertGreaterEqual(second[0] - first[0], RETRY_FIRST_MS)
        self.assertEqual(second[1:4], [at, 1, 1])
        self.soon(lambda: self.due(once) == [])
        self.assertEqual(self.failed(once), [])
        # A time-out counts as a failure, and harms nobody else.
        self.soon(lambda: self.due(looping) and self.due(looping)[0]["retries"] >= 1)
        self.integer(1, "DO.DELALARM", "Bell", looping)

    def test_an_own_error_counts_as_well(self):
        """[74]"""
        self.bell("ring_in", 100000, "soft")
        self.fails("SOFT broken softly", "DO.RUNALARM", "Bell", self.identity)
        (entry,) = self.due()
        self.assertEqual(entry["retries"], 1)

    def test_retries_and_dead_letters_survive_a_crash(self):
        """[65, 71]"""
        failing, dead = self.fresh("failing"), self.fresh("dead")
        for identity, runs in ((failing, 3), (dead, RETRIES + 1)):
            self.bell("ring_in", 100000, "fail", identity=identity)
            for _ in range(runs):
                self.error("CLASSERR", "DO.RUNALARM", "Bell", identity)
        before = (self.due(failing), self.failed(dead))
        self.server.crash()
        self.reconnect()
        self.assertEqual((self.due(failing), self.failed(dead)), before)
        self.assertEqual(self.due(failing)[0]["retries"], 3)
        self.error("CLASSERR", "DO.RUNALARM", "Bell", failing)
        self.assertEqual(self.bell("runs", identity=failing)[-1][2], 3)

    def test_a_handler_that_is_gone_is_not_tried_again(self):
        """[74]"""
        source = BELL.replace('class("Bell")', 'class("Gone")')
        self.load(source)
        self.ok("DO.SETALARM", "Gone", self.identity, now_ms() + 1000)
        self.load(source.replace("Bell:alarm(", "Bell:_no_alarm("), "Gone", "REPLACE")
        self.soon(lambda: self.alarms("Gone", "FAILED"))
        (entry,) = self.alarms("Gone", "FAILED")
        self.assertEqual((entry["kind"], entry["retries"]), (b"alarm", 0))
        self.assertEqual(self.alarms("Gone"), [])


@harness.only_holdfast
class Schedules(Bells):
    def test_a_schedule_runs_again_and_again(self):
        self.bell("every", "fast", "0.2", "word")
        self.bell("every", "slow", "1000", "other")
        self.soon(lambda: len(self.bell("ticks")) >= 4)
        ticks = self.bell("ticks")
        for at, scheduled, retries, name, word in ticks:
            self.assertGreaterEqual(at, scheduled)
            self.assertEqual((retries, name, word), (0, b"fast", b"word"))
        times = [tick[1] for tick in ticks]
        for earlier, later in zip(times, times[1:]):
            self.assertGreaterEqual(later - earlier, 200)
            self.assertEqual((later - earlier) % 200, 0)
        self.assertEqual([entry[0:3] for entry in self.bell("listed")],
                         [[b"fast", b"tick", b"0.2"], [b"slow", b"tick", b"1000"]])
        self.assertEqual(self.info("Bell", self.identity)["schedules"], 2)
        self.assertEqual({entry["name"] for entry in self.due()}, {b"fast", b"slow"})
        self.assertEqual([self.bell("stop", "fast"), self.bell("stop", "fast"),
                          self.bell("stop", "slow")], [1, 0, 1])
        self.assertEqual(self.due(), [])
        count = len(self.bell("ticks"))
        self.ok("DO.SETALARM", "Bell", self.identity, now_ms() + 400)
        self.until_rung()
        self.assertEqual(len(self.bell("ticks")), count)

    def test_a_schedule_is_not_lost_by_failures(self):
        self.bell("every", "bad", "0.2", "", "fails")
        self.soon(lambda: len(self.bell("ticks")) >= 3)
        self.assertGreaterEqual(len(self.failed()), 2)
        entry = self.failed()[0]
        self.assertEqual((entry["kind"], entry["name"], entry["retries"]),
                         (b"schedule", b"bad", 0))
        self.assertIn(b"broken tick", entry["error"])
        self.assertEqual(len(self.due()), 1)
        self.bell("stop", "bad")

    def test_a_failed_run_is_tried_again_before_the_next(self):
        """[65]"""
        self.bell("every", "patient", "60", "", "fails")
        with self.ahead_of(61):
            self.soon(lambda: self.call("DO.GET", "Bell", self.identity, "tick_count") == b"1")
            self.soon(lambda: self.due()[0]["retries"] == 1)
            (entry,) = self.due()
            (tick,) = self.bell("ticks")
            self.assertEqual((entry["kind"], entry["scheduled"]), (b"schedule", tick[1]))
            self.assertGreaterEqual(entry["due"] - tick[0], RETRY_FIRST_MS)
            self.soon(lambda: self.call("DO.GET", "Bell", self.identity, "tick_count") == b"2")
            self.assertEqual([tick[2] for tick in self.bell("ticks")], [0, 1])

    def test_cron_lines_give_the_next_time(self):
        self.bell("cron", "half", "*/30 * * * *")
        self.bell("cron", "daily", "@daily")
        daily, half = self.bell("listed")
        now = now_ms()
        self.assertEqual((daily[2], half[2]), (b"@daily", b"*/30 * * * *"))
        self.assertEqual((half[3] % 1_800_000, daily[3] % DAY_MS), (0, 0))
        self.assertTrue(now - 1000 < half[3] <= now + 1_800_000)
        self.assertTrue(now - 1000 < daily[3] <= now + DAY_MS)
        for line in ("", "* * * *", "61 * * * *", "x * * * *", "0 0 31 2 *"):
            self.error("CLASSERR", "DO.CALL", "Bell", self.identity, "cron", "bad", line)
        self.assertEqual(len(self.bell("listed")), 2)

    def test_an_object_has_256_schedules_at_most(self):
        self.bell("many", 256)
        self.bell("many", 256)
        self.assertIn("256 schedules", self.error("CLASSERR", "DO.CALL", "Bell", self.identity,
                                                  "many", 257))
        self.assertEqual(self.info("Bell", self.identity)["schedules"], 256)
        self.integer(0, "DO.DELETEALL", "Bell", self.identity)
        self.assertEqual(self.due(), [])

    def ahead_of(self, seconds):
        return Ahead(self, seconds)


class Ahead:
    """The test's server comes back after a crash with its clock ahead; at the end as it was."""

    def __init__(self, test, seconds):
        self.test = test
        self.seconds = seconds

    def __enter__(self):
        with ahead(self.seconds):
            self.test.server.crash()
        self.test.reconnect()

    def __exit__(self, *unused):
        self.test.server.crash()
        self.test.reconnect()


class ScheduledServer(harness.Server):
    def arguments(self, **more):
        words = ["--schedule", "0 3 * * *", "Bell", "woken", "PREFIX", "chosen"]
        return super().arguments(**more) + words


@harness.only_holdfast
class Time(Bells):
    """Days pass while the server is down."""

    def test_what_came_due_meanwhile_runs_at_the_start(self):
        """[63, 71, 77]"""
        alarm, far, schedule, ended, wake = (self.fresh(x) for x in
                                             ("alarm", "far", "schedule", "ended", "wake"))
        at = self.bell("ring_in", 3 * DAY_MS, identity=alarm)
        self.bell("ring_in", 30 * DAY_MS, identity=far)
        self.bell("every", "s", str(3600), "w", identity=schedule)
        self.bell("ring_in", 3 * DAY_MS, identity=ended)
        self.integer(1, "DO.EXPIRE", "Bell", ended, 2 * 86400)
        with Ahead(self, 4 * 86400):
            self.until_rung(identity=alarm)
            (run,) = self.bell("runs", identity=alarm)
            self.assertEqual(run[1:4], [at, 0, 0])
            self.assertGreaterEqual(run[0], now_ms() + 3 * DAY_MS)
            self.assertEqual(self.count(far), 0)
            self.soon(lambda: len(self.bell("ticks", identity=schedule)) == 1)
            (entry,) = self.due(schedule)  # 95 missed runs are made up for once
            self.assertGreater(entry["due"], now_ms() + 4 * DAY_MS)
            self.integer(-2, "DO.TTL", "Bell", ended)
            self.assertEqual(self.due(ended), [])
            self.assertEqual(self.call("DO.OBJECTS", "Bell", "PREFIX", ended), [])

    def test_dead_letters_are_kept_for_thirty_days(self):
        self.bell("ring_in", 100000, "fail")
        for _ in range(RETRIES + 1):
            self.error("CLASSERR", "DO.RUNALARM", "Bell", self.identity)
        with Ahead(self, 29 * 86400):
            self.assertEqual(len(self.failed()), 1)
        with Ahead(self, 31 * 86400):
            self.assertEqual(self.failed(), [])

    def test_schedule_lines_of_the_server_wake_its_objects(self):
        server = ScheduledServer()
        self.addCleanup(server.close)
        shift = 0

        def travel_to(moment_s):
            """To the next such second of a day."""
            nonlocal shift
            shift += (moment_s - int(time.time() + shift)) % 86400
            with ahead(shift):
                server.crash() if server.is_running() else server.start()
            return server.connect()

        def woken(connection):
            return [connection.command("DO.GET", "Bell", name, "woken") for name in names]
        connection = travel_to(3600)
        names = ["chosen-1", "chosen-2", "other"]
        self.assertEqual(connection.command("DO.CLASS", "LOAD", "Bell", BELL), 1)
        for name in names:
            self.assertEqual(connection.command("DO.PUT", "Bell", name, "k", "v"), b"OK")
        connection = travel_to(3 * 3600 - 4)
        self.assertEqual(woken(connection), [None] * 3)
        self.soon(lambda: woken(connection) == [b"1", b"1", None])
        connection = travel_to(3 * 3600 - 3600)  # nearly a day later
        self.assertEqual(woken(connection), [b"1", b"1", None])
        shift += 5 * 86400
        connection = travel_to(4 * 3600)  # what was missed is made up for once
        self.soon(lambda: woken(connection) == [b"2", b"2", None])
        connection = travel_to(4 * 3600 + 60)
        self.assertEqual(woken(connection), [b"2", b"2", None])

    def test_a_class_that_is_not_loaded_costs_no_retry(self):
        """[74]"""
        server = harness.Server()
        self.addCleanup(server.close)
        directory = server.directory + "/classes"
        os.mkdir(directory)
        with open(directory + "/Bell.lua", "w") as file:
            file.write(BELL)
        server.start(class_dir=directory)
        connection = server.connect()
        info = as_map(connection.command("DO.INFO", "Bell"))
        self.assertEqual((info["from"], info["version"]), (b"file", 0))
        self.assertIn(b"CLASSFILE", connection.command("DO.CLASS", "DROP", "Bell"))
        self.assertIs(type(connection.command("DO.CALL", "Bell", "x", "ring_in", 700)), int)
        server.kill()
        time.sleep(0.7)
        server.start()
        connection = server.connect()
        self.assertEqual(connection.command("DO.CALL", "Bell", "x", "runs"),
                         b"NOCLASS class 'Bell' is not loaded")

        def entry():
            entries = connection.command("DO.ALARMS", "Bell")
            return as_map(entries[0]) if entries else {"due": 0}
        self.soon(lambda: entry()["due"] > now_ms() + 30_000)
        self.assertEqual(entry()["retries"], 0)
        with ahead(61):
            server.crash(class_dir=directory)
        connection = server.connect()
        self.soon(lambda: connection.command("DO.GET", "Bell", "x", "count") == b"1")


@harness.only_holdfast
class Crashes(Bells):
    def test_alarms_survive_kill_9_at_any_moment(self):
        """[71, 77]"""
        ids = [self.fresh() for _ in range(200)]
        times = {}
        for round_ in range(4):
            part = ids[round_ * 50:round_ * 50 + 50]
            replies = self.connection.pipeline(
                [("DO.CALL", "Bell", identity, "ring_in", 1 + i * 12)
                 for i, identity in enumerate(part)])
            times.update(zip(part, replies))
            time.sleep(0.2)
            self.server.crash()
            self.reconnect()
        for identity, at in times.items():
            self.until_rung(identity=identity)
            runs = self.bell("runs", identity=identity)
            # Its effects appear with its end, so exactly once.
            self.assertEqual(len(runs), 1)
            self.assertGreaterEqual(runs[0][0], at)
            self.assertEqual(runs[0][1:3], [at, 0])
        self.assertEqual([entry for entry in self.alarms("Bell", "LIMIT", 10000)
                          if entry["id"].decode() in times], [])

    def test_a_run_that_a_crash_cut_off_runs_again(self):
        """[71]"""
        at = self.bell("ring_in", 1, "nap")
        self.until_rung()
        self.server.crash()
        self.reconnect()
        self.until_rung(2)
        # What it had written before its wait stayed; a crash is no failure of the handler.
        self.assertEqual([run[1:4] for run in self.bell("runs")], [[at, 0, 0]] * 2)
        self.soon(lambda: self.due() == [])
        self.assertEqual(self.count(), 2)

    def test_a_wake_that_was_answered_reaches_everybody(self):
        prefix = self.fresh()
        ids = [f"{prefix}-{i}" for i in range(300)]
        self.connection.pipeline([("DO.PUT", "Bell", identity, "k", "v") for identity in ids])
        self.integer(300, "DO.WAKE", "Bell", "woken", "PREFIX", prefix, "ARGS", "crash")
        self.server.crash()
        self.reconnect()

        def woken():
            return self.connection.pipeline(
                [("DO.GET", "Bell", identity, "woken", "by") for identity in ids])
        self.soon(lambda: all(by is not None and by == b"crash" for _, by in woken()))
        self.assertEqual(set(number for number, _ in woken()), {b"1"})


@harness.only_holdfast
class Overdue(Bells):
    options = {"alarm_concurrency": 4}

    def test_what_is_overdue_does_not_flood_the_server(self):
        ids = [self.fresh() for _ in range(150)]
        self.connection.pipeline(
            [("DO.CALL", "Crowd", identity, "ring_in", 300) for identity in ids])
        self.server.kill()
        time.sleep(0.35)
        self.server.start()
        self.reconnect()
        slowest = 0

        def runs():
            nonlocal slowest
            started = time.monotonic()
            self.call("PING")
            slowest = max(slowest, time.monotonic() - started)
            return self.connection.pipeline(
                [("DO.GET", "Crowd", identity, "runs", "peak") for identity in ids])
        self.soon(lambda: all(run == b"1" for run, _ in runs()))
        peaks = {int(peak) for _, peak in runs()}
        self.assertLessEqual(max(peaks), 4)
        self.assertGreaterEqual(max(peaks), 2)
        self.assertLess(slowest, 5)


@harness.only_holdfast
class Wakes(Bells):
    def test_a_wake_calls_every_object_of_a_prefix(self):
        prefix = self.fresh()
        ids = [f"{prefix}-{i}" for i in range(1000)]
        self.connection.pipeline([("DO.PUT", "Bell", identity, "k", "v") for identity in ids])
        other = self.fresh("not-woken")
        self.ok("DO.PUT", "Bell", other, "k", "v")
        self.assertGreater(len({shard_of(identity) for identity in ids}), 10)
        self.integer(1000, "DO.WAKE", "Bell", "woken", "PREFIX", prefix, "ARGS", "all")

        def woken():
            return self.connection.pipeline(
                [("DO.GET", "Bell", identity, "woken") for identity in ids])
        self.soon(lambda: set(woken()) == {b"1"})
        self.bulk("all", "DO.GET", "Bell", ids[7], "by")
        self.null("DO.GET", "Bell", other, "woken")
        # Twice in one millisecond is twice.
        replies = self.connection.pipeline(
            [("DO.WAKE", "Bell", "woken", "PREFIX", ids[999])] * 5)
        self.assertEqual(replies, [1] * 5)
        self.soon(lambda: self.call("DO.GET", "Bell", ids[999], "woken") == b"6")
        self.bulk("nobody", "DO.GET", "Bell", ids[999], "by")
        self.integer(0, "DO.WAKE", "Bell", "woken", "PREFIX", prefix + "-none")

    def test_a_wake_that_fails_is_noted_and_not_repeated(self):
        self.ok("DO.PUT", "Bell", self.identity, "k", "v")
        self.integer(1, "DO.WAKE", "Bell", "woken", "PREFIX", self.identity, "ARGS", "a", "fails")
        self.soon(lambda: len(self.failed()) == 1)
        (entry,) = self.failed()
        self.assertEqual((entry["kind"], entry["name"], entry["retries"]), (b"wake", b"woken", 0))
        self.assertIn(b"broken wake", entry["error"])
        self.assertEqual(self.due(), [])
        self.null("DO.GET", "Bell", self.identity, "woken")

    def test_a_wake_by_a_method_that_is_not_there_is_refused(self):
        self.ok("DO.PUT", "Bell", self.identity, "k", "v")
        self.fails("NOMETHOD Bell has no method 'no_such_method'",
                   "DO.WAKE", "Bell", "no_such_method", "PREFIX", self.identity)
        self.assertEqual(self.due(), [])

    def test_a_list_of_what_is_due_is_in_the_order_of_time(self):
        self.load(BELL.replace('class("Bell")', 'class("Listed")'))
        ids = [self.fresh() for _ in range(30)]
        for i, identity in enumerate(ids):
            self.ok("DO.SETALARM", "Listed", identity, FAR_MS + (i * 7) % 30)
        listed = self.alarms("Listed")
        self.assertEqual([entry["due"] for entry in listed], [FAR_MS + i for i in range(30)])
        self.assertEqual(self.alarms("Listed", "LIMIT", 3), listed[:3])
        self.assertEqual({entry["kind"] for entry in listed}, {b"alarm"})
        self.assertEqual(self.alarms("Listed", "FAILED"), [])


if __name__ == "__main__":
    unittest.main()
