"""Calls of objects: instances, gates, waits, calls between objects, classes that change meanwhile.
Numbers in brackets are those of the conformance list (CONFORMANCE.md)."""

import signal
import time
import unittest

import harness
import resp
from object_case import ObjectTest, as_map, shard_of

PROBE = """
local Probe = class("Probe")

-- So many milliseconds, or until that other object has been told "go".
local function pause(how)
  local ms = tonumber(how)
  if ms then return sleep(ms) end
  while objects.call("Probe", how, "recall") ~= "go" do sleep(2) end
end

function Probe:init()
  self.storage:put("inits", (self.storage:get("inits") or 0) + 1)
  self.n = self.storage:get("n") or 0
  self.calls = 0
end
function Probe:alarm() end
function Probe:inits() return self.storage:get("inits") end
function Probe:add(by)
  self.n = self.n + (tonumber(by) or 1)
  self.storage:put("n", self.n)
  return self.n
end
function Probe:remember(text) self.memory = text end
function Probe:recall() return self.memory end
function Probe:count() self.calls = self.calls + 1 return self.calls end
function Probe:name() return {self.id, self.class} end

function Probe:put_and_raise()
  self.memory = "lost"
  self.storage:put("n", 1000)
  self.storage:delete("kept")
  self.storage:set_alarm(4102444800000)
  self:schedule("s", {every = 1000, method = "add"})
  error("on purpose")
end
function Probe:put_and_fail()
  self.memory = "kept"
  self.storage:put("n", 1000)
  fail("TEAPOT", "short and stout")
end
function Probe:put_wait_raise()
  self.storage:put("before", 1)
  sleep(1)
  self.storage:put("after", 1)
  error("after the wait")
end

function Probe:put_nap_put(ms)
  self.storage:put("before", 1)
  sleep(tonumber(ms))
  self.storage:put("after", 1)
end

function Probe:nap(ms) sleep(tonumber(ms)) return "woke" end
function Probe:nap_then_put(ms, key, value)
  sleep(tonumber(ms))
  self.storage:put(key, value)
  return self.storage:get(key)
end
function Probe:look_twice(how)
  local before = self.n
  pause(how)
  return {before, self.n, self.storage:get("n")}
end
function Probe:slow_add(how)
  local before = self.n
  pause(how)
  self.n = before + 1
  return self.n
end
function Probe:guarded_add(how)
  return self:exclusive(function() return self:slow_add(how) end)
end
function Probe:guarded_error(how)
  self:exclusive(function() pause(how) error("within") end)
end
function Probe:nested(depth)
  depth = tonumber(depth)
  if depth == 0 then return "deep" end
  return self:exclusive(function() return self:nested(depth - 1) end)
end
function Probe:append(text)
  self.storage:put("order", (self.storage:get("order") or "") .. text .. " ")
end
function Probe:order() return self.storage:get("order") end
function Probe:wait_in_sort()
  table.sort({3, 2, 1}, function(a, b) sleep(1) return a < b end)
end
function Probe:wait_in_pcall()
  local ok, message = pcall(function() sleep(1) error({"thrown"}) end)
  local _, result = pcall(function() sleep(1) return "fine" end)
  return {ok, message[1], result}
end
function Probe:many_naps(count)
  for _ = 1, tonumber(count) do sleep(0) end
  return "done"
end
return Probe
"""

FRAGILE = """
local Fragile = class("Fragile")
function Fragile:init()
  if not self.storage:get("mended") then
    self.storage:put("half", "done")
    error("not yet")
  end
  self.ready = true
end
function Fragile:ready_now() return self.ready end
return Fragile
"""

SLOW_START = """
local SlowStart = class("SlowStart")
function SlowStart:init()
  self.storage:put("starts", (self.storage:get("starts") or 0) + 1)
  self.phase = "starting"
  while objects.call("Probe", "go-" .. self.id, "recall") ~= "go" do sleep(2) end
  self.phase = "ready"
end
function SlowStart:look() return self.phase end
return SlowStart
"""

CALLER = """
local Caller = class("Caller")
function Caller:relay(class, id, method, ...) return objects.call(class, id, method, ...) end
function Caller:typed(id)
  return objects.call("Callee", id, "types",
    1, 1.5, 2.0, "text", "a\\0b", true, false, nil, {1, 2, x = {y = 1.0}}, nil)
end
function Caller:result(id, which)
  local value = objects.call("Callee", id, "give", which)
  return {math.type(value) or type(value), value}
end
function Caller:catch(id, method, ...)
  local ok, raised = pcall(objects.call, "Callee", id, method, ...)
  return {ok, raised.code, raised.message}
end
function Caller:not_caught(id, method)
  self.memory = "x"
  self.storage:put("before", 1)
  objects.call("Callee", id, method)
end
function Caller:fine_until_error(id)
  self.storage:put("before", 1)
  objects.call("Callee", id, "give", "integer")
  self.storage:put("after", 1)
  error("at last")
end
function Caller:sum(prefix, count)
  local sum = 0
  for i = 1, tonumber(count) do sum = sum + objects.call("Callee", prefix .. i, "add", i) end
  return sum
end
function Caller:itself() return objects.call("Caller", self.id, "relay", "x", "y", "z") end
function Caller:exclusively(class, id, method, ...)
  local arguments = {...}
  return self:exclusive(function()
    return objects.call(class, id, method, table.unpack(arguments))
  end)
end
function Caller:chain(prefix, at, last)
  at, last = tonumber(at), tonumber(last)
  if at == last then return at end
  return objects.call("Caller", prefix .. (at + 1), "chain", prefix, at + 1, last)
end
function Caller:fan(prefix, count)
  for i = 1, tonumber(count) do objects.call("Callee", prefix .. i, "add", 1) end
  return "fanned"
end
return Caller
"""

CALLEE = """
local Callee = class("Callee")
local samples = {integer = 7, float = 7.0, text = "seven", yes = true, no = false, list = {1, 2},
  map = {a = 1}}
function Callee:types(...)
  local types = {select("#", ...)}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    types[#types + 1] = math.type(value) or type(value)
  end
  local map = select(9, ...)
  types[#types + 1] = {map[1], map[2], math.type(map.x.y), select(5, ...) == "a\\0b"}
  return types
end
function Callee:give(which) return samples[which] end
function Callee:add(by)
  local n = (self.storage:get("n") or 0) + by
  self.storage:put("n", n)
  return n
end
function Callee:raises() self.storage:put("n", "never") error("in the callee") end
function Callee:fails() self.storage:put("n", "never") fail("EMPTY", "nothing left") end
function Callee:loops() while true do end end
function Callee:nap_then_put(ms) sleep(ms) self.storage:put("napped", "yes") end
function Callee:_private() end
function Callee:Alarm() return "a method like others" end
return Callee
"""


ending = None  # a server that stops while the other tests run: it gives its calls seconds


def setUpModule():
    global ending
    if harness.IS_REDIS:
        return
    server = harness.Server()
    unittest.addModuleCleanup(server.close)
    server.start()
    waiting, looking = server.connect(), server.connect()
    assert waiting.command("DO.CLASS", "LOAD", "Probe", PROBE) == 1
    waiting.send("DO.CALL", "Probe", "a", "put_nap_put", 600000)
    assert harness.wait_until(
        lambda: as_map(looking.command("DO.INFO", "Probe", "a"))["waiting"] == 1)
    server.process.send_signal(signal.SIGTERM)
    ending = server, waiting


@harness.only_holdfast
class Calls(ObjectTest):
    sources = {"Probe": PROBE, "Fragile": FRAGILE, "SlowStart": SLOW_START, "Caller": CALLER,
               "Callee": CALLEE}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with resp.Connection(cls.server.port) as connection:
            for name, source in cls.sources.items():
                reply = connection.command("DO.CLASS", "LOAD", name, source)
                assert reply == 1, reply

    def setUp(self):
        super().setUp()
        self.identity = self.fresh()
        self.go = "go-" + self.identity

    def let_go(self):
        """Ends the pauses of whoever waits for self.go."""
        self.null("DO.CALL", "Probe", self.go, "remember", "go")

    def probe(self, method, *arguments):
        return self.call("DO.CALL", "Probe", self.identity, method, *arguments)

    def until_waiting(self, class_name="Probe"):
        """A call is within the object."""
        self.soon(lambda: self.info(class_name, self.identity)["waiting"] == 1)

    def until_queued(self, count=1, class_name="Probe"):
        """So many requests are at its gate."""
        self.soon(lambda: self.info(class_name, self.identity)["queued"] == count)


class Instances(Calls):
    def test_init_runs_once_before_the_first_calls(self):
        def first(number):
            with resp.Connection(self.server.port) as connection:
                return connection.command("DO.CALL", "Probe", self.identity, "inits")
        self.assertEqual(self.in_threads(8, first), [1] * 8)

    def test_nothing_enters_while_init_waits(self):
        """[51]"""
        connections = [self.server.connect() for _ in range(5)]
        for connection in connections:
            connection.send("DO.CALL", "SlowStart", self.identity, "look")
        self.until_queued(4, "SlowStart")
        self.let_go()
        self.assertEqual([connection.read() for connection in connections], [b"ready"] * 5)
        self.bulk("1", "DO.GET", "SlowStart", self.identity, "starts")

    def test_a_storage_command_waits_for_init(self):
        """[51]"""
        one, two = self.server.connect(), self.server.connect()
        one.send("DO.CALL", "SlowStart", self.identity, "look")
        self.until_waiting("SlowStart")
        two.send("DO.GET", "SlowStart", self.identity, "starts")
        self.until_queued(1, "SlowStart")
        self.let_go()
        self.assertEqual((one.read(), two.read()), (b"ready", b"1"))

    def test_an_error_in_init_changes_nothing_and_the_next_call_begins_anew(self):
        """[33, 53]"""
        for _ in range(2):
            text = self.error("CLASSERR", "DO.CALL", "Fragile", self.identity, "ready_now")
            self.assertRegex(text, r"^CLASSERR Fragile\.init: Fragile:\d+: not yet$")
            self.null("DO.GET", "Fragile", self.identity, "half")
        self.ok("DO.PUT", "Fragile", self.identity, "mended", "yes")
        self.integer(1, "DO.CALL", "Fragile", self.identity, "ready_now")

    def test_memory_lives_until_eviction_and_storage_beyond(self):
        """[82]"""
        self.assertEqual([self.probe("add", 2), self.probe("remember", "999")], [2, None])
        self.assertEqual([self.probe("recall"), self.probe("count"), self.probe("count")],
                         [b"999", 1, 2])
        self.assertEqual(self.info("Probe", self.identity)["in-memory"], 1)
        self.integer(1, "DO.EVICT", "Probe", self.identity)
        self.integer(0, "DO.EVICT", "Probe", self.identity)
        self.assertEqual(self.info("Probe", self.identity)["in-memory"], 0)
        self.assertEqual([self.probe("recall"), self.probe("count"), self.probe("add", 0)],
                         [None, 1, 2])
        self.integer(2, "DO.CALL", "Probe", self.identity, "inits")

    def test_an_evicted_object_ends_its_calls_first(self):
        """[80, 82]"""
        inside, late = self.server.connect(), self.server.connect()
        self.probe("remember", "old")
        inside.send("DO.CALL", "Probe", self.identity, "look_twice", self.go)
        self.until_waiting()
        self.integer(1, "DO.EVICT", "Probe", self.identity)
        late.send("DO.CALL", "Probe", self.identity, "inits")
        self.until_queued()
        self.let_go()
        self.assertEqual((inside.read(), late.read()), ([0, 0], 2))
        self.is_null(self.probe("recall"))

    def test_an_error_drops_the_fields_and_changes_nothing(self):
        """[33, 36]"""
        self.probe("add", 5)
        self.probe("remember", "before")
        self.ok("DO.PUT", "Probe", self.identity, "kept", "yes")
        self.probe("remember", "before")
        text = self.error("CLASSERR", "DO.CALL", "Probe", self.identity, "put_and_raise")
        self.assertRegex(text, r"^CLASSERR Probe\.put_and_raise: Probe:\d+: on purpose$")
        self.is_null(self.probe("recall"))
        self.assertEqual(self.probe("add", 0), 5)
        self.bulk("yes", "DO.GET", "Probe", self.identity, "kept")
        self.null("DO.GETALARM", "Probe", self.identity)
        self.assertEqual(self.info("Probe", self.identity)["schedules"], 0)
        self.assertEqual(self.probe("inits"), 3)

    def test_fail_keeps_the_fields_and_changes_nothing(self):
        """[36]"""
        self.probe("add", 5)
        self.fails("TEAPOT short and stout", "DO.CALL", "Probe", self.identity, "put_and_fail")
        self.bulk("kept", "DO.CALL", "Probe", self.identity, "recall")
        self.bulk("5", "DO.GET", "Probe", self.identity, "n")
        self.assertEqual(self.probe("inits"), 1)

    def test_what_was_written_before_a_wait_survives_a_later_error(self):
        """[28]"""
        text = self.error("CLASSERR", "DO.CALL", "Probe", self.identity, "put_wait_raise")
        self.assertIn("after the wait", text)
        self.assertEqual([b"1", None],
                         self.call("DO.GET", "Probe", self.identity, "before", "after"))

    def test_a_write_past_an_instance_drops_it(self):
        writes = [("DO.PUT", "Probe", self.identity, "unrelated", "x"),
                  ("DO.DEL", "Probe", self.identity, "unrelated"),
                  ("DO.SETALARM", "Probe", self.identity, 4102444800000),
                  ("DO.DELALARM", "Probe", self.identity),
                  ("DO.IMPORT", "Probe", self.identity,
                   '{"holdfast-object":1,"values":[["n",70],["inits",0]]}', "REPLACE"),
                  ("DO.DELETEALL", "Probe", self.identity)]
        for write in writes:
            self.probe("remember", "there")
            self.assertNotIsInstance(self.call(*write), resp.Error)
            self.assertEqual(self.info("Probe", self.identity)["in-memory"], 0, write)
            self.is_null(self.probe("recall"))
            if write[0] == "DO.IMPORT":
                self.assertEqual([self.probe("add", 1), self.probe("inits")], [71, 1])
        self.assertEqual([self.probe("add", 1), self.probe("inits")], [1, 1])

    def test_a_crash_ends_a_call_where_it_waits(self):
        """[28, 86]"""
        other = self.server.connect()
        other.send("DO.CALL", "Probe", self.identity, "put_nap_put", 600000)
        self.until_waiting()
        self.server.crash()
        self.reconnect()
        self.assertEqual(self.call("DO.GET", "Probe", self.identity, "before", "after"),
                         [b"1", None])
        self.assertEqual(self.info("Probe", self.identity)["waiting"], 0)

    def test_reading_leaves_an_instance_alone(self):
        self.probe("remember", "there")
        self.call("DO.GET", "Probe", self.identity, "n")
        self.call("DO.LIST", "Probe", self.identity)
        self.call("DO.INFO", "Probe", self.identity)
        self.call("DO.OBJECTS", "Probe")
        self.call("DO.EXPORT", "Probe", self.identity)
        self.bulk("there", "DO.CALL", "Probe", self.identity, "recall")

    def test_a_crash_takes_the_memory_and_leaves_the_storage(self):
        """[86]"""
        self.probe("remember", "999")
        self.assertEqual(self.probe("add", 2), 2)
        self.server.crash()
        self.reconnect()
        self.is_null(self.probe("recall"))
        self.assertEqual(self.probe("add", 1), 3)

    def test_an_object_knows_its_name(self):
        """[7, 8]"""
        for identity in (b"\x00\xff\r\n", b"x" * 2048):
            self.assertEqual(self.call("DO.CALL", "Probe", identity, "name"),
                             [identity, b"Probe"])

    def test_no_addition_is_lost(self):
        """[50]"""
        def add(number):
            with resp.Connection(self.server.port) as connection:
                return connection.pipeline([("DO.CALL", "Probe", self.identity, "add")] * 100)
        replies = self.in_threads(8, add)
        self.assertEqual(sorted(sum(replies, [])), list(range(1, 801)))
        for own in replies:
            self.assertEqual(own, sorted(own))
        self.bulk("800", "DO.GET", "Probe", self.identity, "n")

    def test_maps_are_maps_in_resp3(self):
        three = self.server.connect(protocol=3)
        self.probe("add", 1)
        self.ok("DO.SETALARM", "Probe", self.identity, 4102444800000)
        for reply in (three.command("DO.INFO", "Probe"),
                      three.command("DO.INFO", "Probe", self.identity),
                      three.command("DO.CLASS", "LIST")[0], three.command("DO.ALARMS", "Probe")[0]):
            self.assertIsInstance(reply, resp.Map)
        flat = self.call("DO.INFO", "Probe", self.identity)
        mapped = three.command("DO.INFO", "Probe", self.identity)
        self.assertEqual(flat[::2], list(mapped))
        self.assertEqual([value or 0 for value in flat[1::2]],
                         [value or 0 for value in mapped.values()])
        self.assertEqual(mapped[b"alarm"], 4102444800000)
        self.integer(1, "DO.DELALARM", "Probe", self.identity)

    def test_info_tells_of_calls_and_errors(self):
        self.probe("add", 1)
        self.error("CLASSERR", "DO.CALL", "Probe", self.identity, "put_and_raise")
        before = self.info("Probe")
        self.probe("add", 1)
        self.probe("nap", 1)
        info = self.info("Probe", self.identity)
        self.assertEqual((info["in-memory"], info["keys"], info["queued"], info["waiting"]),
                         (1, 2, 0, 0))
        self.is_not_null(info["last-active"])
        self.assertGreaterEqual(info["changed"], info["created"])
        after = self.info("Probe")
        self.assertEqual(after["calls"] - before["calls"], 2)
        self.assertEqual(after["errors"], before["errors"])
        self.assertIn(b"on purpose", after["last-error"])
        self.is_not_null(after["last-error-at"])
        self.assertGreater(after["memory-bytes"], 0)
        self.assertEqual((after["version"], after["from"]), (1, b"command"))


class Waits(Calls):
    def test_replies_keep_the_order_of_a_connection(self):
        replies = self.connection.pipeline([
            ("DO.CALL", "Probe", self.identity, "nap", 200), ("PING",), ("SET", "k", "v"),
            ("GET", "k"), ("DO.CALL", "Probe", self.fresh(), "nap", 1),
            ("DO.CALL", "Probe", self.identity, "add", 4), ("DO.GET", "Probe", self.identity, "n"),
            ("DO.CALL", "Probe", self.identity, "nap", 50),
            ("DO.CALL", "Probe", self.identity, "add", 1)])
        self.assertEqual(replies, [b"woke", b"PONG", b"OK", b"v", b"woke", 4, b"4", b"woke", 5])

    def test_others_enter_while_a_call_waits(self):
        """[50]"""
        other = self.server.connect()
        self.probe("add", 1)
        other.send("DO.CALL", "Probe", self.identity, "look_twice", self.go)
        self.until_waiting()
        self.assertEqual(self.probe("add", 10), 11)
        self.let_go()
        self.assertEqual(other.read(), [1, 11, 11])

    def test_a_call_that_waited_sees_what_was_put_past_it(self):
        other = self.server.connect()
        self.probe("add", 1)
        other.send("DO.CALL", "Probe", self.identity, "look_twice", self.go)
        self.until_waiting()
        self.ok("DO.PUT", "Probe", self.identity, "n", "from outside")
        self.let_go()
        self.assertEqual(other.read(), [1, 1, b"from outside"])
        self.bulk("from outside", "DO.GET", "Probe", self.identity, "n")

    def test_a_call_goes_on_without_its_connection(self):
        other = self.server.connect()
        other.send("DO.CALL", "Probe", self.identity, "nap_then_put", 200, "done", "yes")
        other.send("DO.CALL", "Probe", self.identity, "append", "queued")
        self.until_waiting()
        other.close()
        self.soon(lambda: self.call("DO.GET", "Probe", self.identity, "done") == b"yes")
        self.soon(lambda: self.probe("order") == b"queued ")

    def test_exclusive_keeps_others_out(self):
        """[51, 52]"""
        def work(method):
            identity = self.fresh()

            def add(number):
                with resp.Connection(self.server.port) as connection:
                    return connection.command("DO.CALL", "Probe", identity, method, 20)
            return sorted(self.in_threads(8, add))
        self.assertEqual(work("guarded_add"), list(range(1, 9)))
        self.assertLess(max(work("slow_add")), 8)

    def test_storage_commands_wait_for_exclusive(self):
        """[51]"""
        holder, other = self.server.connect(), self.server.connect()
        holder.send("DO.CALL", "Probe", self.identity, "guarded_add", self.go)
        self.until_waiting()
        other.send("DO.GET", "Probe", self.identity, "inits", "n")
        self.until_queued()
        self.let_go()
        self.assertEqual((holder.read(), other.read()), (1, [b"1", None]))

    def test_an_error_within_exclusive_opens_the_object(self):
        """[53]"""
        holder, other = self.server.connect(), self.server.connect()
        holder.send("DO.CALL", "Probe", self.identity, "guarded_error", self.go)
        self.until_waiting()
        other.send("DO.CALL", "Probe", self.identity, "add", 1)
        self.until_queued()
        self.let_go()
        self.assertIn(b"within", holder.read())
        self.assertEqual(other.read(), 1)

    def test_exclusive_nests_64_deep(self):
        """[52, 55]"""
        self.bulk("deep", "DO.CALL", "Probe", self.identity, "nested", 64)
        text = self.error("CLASSERR", "DO.CALL", "Probe", self.identity, "nested", 65)
        self.assertIn("exclusive within exclusive more than 64 deep", text)
        self.assertEqual(self.probe("add", 1), 1)

    def test_who_comes_first_goes_first(self):
        """[50]"""
        holder, one, two = (self.server.connect() for _ in range(3))
        holder.send("DO.CALL", "Probe", self.identity, "guarded_add", self.go)
        self.until_waiting()
        expected = []
        for number in range(10):
            for name, connection in (("one", one), ("two", two)):
                connection.send("DO.CALL", "Probe", self.identity, "append", f"{name}{number}")
                expected.append(f"{name}{number}")
                self.until_queued(len(expected))
        self.let_go()
        for connection in (one, two):
            for _ in range(10):
                self.is_null(connection.read())
        self.assertEqual(self.probe("order").decode().split(), expected)

    def test_a_queued_call_of_a_closed_connection_does_no_harm(self):
        """[50]"""
        holder, gone = self.server.connect(), self.server.connect()
        holder.send("DO.CALL", "Probe", self.identity, "guarded_add", self.go)
        self.until_waiting()
        gone.send("DO.CALL", "Probe", self.identity, "append", "gone")
        self.until_queued()
        gone.close()
        self.let_go()
        self.probe("append", "behind")
        self.assertEqual(self.probe("order"), b"gone behind ")

    def test_waits_work_where_they_can_and_are_refused_where_not(self):
        self.assertEqual(self.probe("wait_in_pcall"), [0, b"thrown", b"fine"])
        text = self.error("CLASSERR", "DO.CALL", "Probe", self.identity, "wait_in_sort")
        self.assertIn("nothing can be waited for here", text)
        self.bulk("done", "DO.CALL", "Probe", self.identity, "many_naps", 500)

    def test_many_calls_wait_at_once(self):
        ids = [self.fresh() for _ in range(300)]
        started = time.monotonic()
        replies = self.connection.pipeline(
            [("DO.CALL", "Probe", identity, "nap", 200) for identity in ids])
        self.assertEqual(set(replies), {b"woke"})
        self.assertLess(time.monotonic() - started, 30)  # not one after the other: 60 s

    def test_the_end_of_the_server_ends_the_waits(self):
        server, waiting = ending
        self.assertEqual(waiting.read(), b"ERR the server is shutting down")
        self.assertEqual(server._reap(), 0)
        server.start()
        again = server.connect()
        self.assertEqual(again.command("DO.GET", "Probe", "a", "before", "after"), [b"1", None])


class Between(Calls):
    def caller(self, method, *arguments):
        return self.call("DO.CALL", "Caller", self.identity, method, *arguments)

    def test_arguments_and_results_keep_their_types(self):
        self.assertEqual(self.caller("typed", self.fresh()), [
            10, b"integer", b"float", b"float", b"string", b"string", b"boolean", b"boolean",
            b"nil", b"table", b"nil", [1, 2, b"float", 1]])
        three = self.server.connect(protocol=3)
        for which, kind, value in (
                ("integer", b"integer", 7), ("float", b"float", 7.0), ("text", b"string", b"seven"),
                ("yes", b"boolean", True), ("no", b"boolean", False),
                ("list", b"table", [1, 2]), ("map", b"table", {b"a": 1})):
            self.assertEqual(
                three.command("DO.CALL", "Caller", self.identity, "result", self.fresh(), which),
                [kind, value])
        self.assertEqual(three.command("DO.CALL", "Caller", self.identity, "relay", "Callee", "x",
                                       "give", "absent"), None)

    def test_calls_cross_shards(self):
        prefix = self.fresh()
        self.assertGreater(len({shard_of(f"{prefix}{i}") % 3 for i in range(1, 41)}), 1)
        self.integer(820, "DO.CALL", "Caller", self.identity, "sum", prefix, 40)
        self.integer(1640, "DO.CALL", "Caller", self.identity, "sum", prefix, 40)
        for i in (1, 40):
            self.bulk(str(2 * i), "DO.GET", "Callee", f"{prefix}{i}", "n")

    def test_an_error_of_the_callee_reaches_the_caller(self):
        """[36]"""
        other = self.fresh()
        ok, code, message = self.caller("catch", other, "raises")
        self.assertEqual((ok, code), (0, b"CLASSERR"))
        self.assertRegex(message, rb"^Callee\.raises: Callee:\d+: in the callee$")
        self.assertEqual(self.caller("catch", other, "fails"), [0, b"EMPTY", b"nothing left"])
        self.assertEqual(self.caller("catch", other, "absent"),
                         [0, b"NOMETHOD", b"Callee has no method 'absent'"])
        ok, code, message = self.caller("catch", other, "loops")
        self.assertEqual((ok, code), (0, b"TIMEOUT"))
        self.null("DO.GET", "Callee", other, "n")
        text = self.error("CLASSERR", "DO.CALL", "Caller", self.identity, "not_caught", other,
                          "raises")
        self.assertIn("in the callee", text)
        self.fails("EMPTY nothing left", "DO.CALL", "Caller", self.identity, "not_caught", other,
                   "fails")
        self.fails("NOCLASS class 'Nowhere' is not loaded", "DO.CALL", "Caller", self.identity,
                   "relay", "Nowhere", "x", "y")
        for arguments in (("Bad-Name", "x", "y"), ("Callee", "", "y"), ("Callee", "x" * 2049, "y"),
                          ("Callee", "x", "_private"), ("Callee", "x", "init"),
                          ("Callee", "x", "alarm"), ("Callee", "x", "")):
            self.error("CLASSERR", "DO.CALL", "Caller", self.identity, "relay", *arguments)

    def test_names_of_methods_are_told_apart_by_case(self):
        self.bulk("a method like others", "DO.CALL", "Callee", self.fresh(), "Alarm")
        self.bulk("a method like others", "DO.CALL", "Caller", self.identity, "relay", "Callee",
                  self.fresh(), "Alarm")

    def test_effects_before_a_call_survive_a_later_error(self):
        """[28]"""
        self.assertIn("at last", self.error("CLASSERR", "DO.CALL", "Caller", self.identity,
                                            "fine_until_error", self.fresh()))
        self.assertEqual([b"1", None],
                         self.call("DO.GET", "Caller", self.identity, "before", "after"))
        other = self.fresh()
        self.error("CLASSERR", "DO.CALL", "Caller", other, "not_caught", self.fresh(), "raises")
        self.bulk("1", "DO.GET", "Caller", other, "before")

    def test_a_cycle_is_an_error_and_not_a_hang(self):
        text = self.error("CYCLE", "DO.CALL", "Caller", self.identity, "itself")
        self.assertIn(self.identity, text)
        two, three = self.fresh(), self.fresh()
        self.error("CYCLE", "DO.CALL", "Caller", self.identity, "relay", "Caller", two, "relay",
                   "Caller", three, "relay", "Caller", self.identity, "relay", "Callee", "x",
                   "give", "y")
        self.error("CYCLE", "DO.CALL", "Caller", self.identity, "exclusively", "Caller", two,
                   "relay", "Caller", self.identity, "relay", "Callee", "x", "give", "y")
        self.integer(7, "DO.CALL", "Caller", self.identity, "relay", "Callee", self.identity,
                     "give", "integer")

    def test_calls_that_cross_are_no_cycle(self):
        one, two = self.fresh(), self.fresh()

        def work(number):
            here, there = (one, two) if number % 2 else (two, one)
            with resp.Connection(self.server.port) as connection:
                return connection.pipeline([("DO.CALL", "Caller", here, "relay", "Caller", there,
                                             "relay", "Callee", here, "give", "integer")] * 30)
        for replies in self.in_threads(4, work):
            self.assertEqual(replies, [7] * 30)

    def test_calls_nest_16_deep(self):
        prefix = self.fresh()
        self.integer(16, "DO.CALL", "Caller", f"{prefix}1", "chain", prefix, 1, 16)
        self.fails("DEPTH objects call each other more than 16 deep",
                   "DO.CALL", "Caller", f"{prefix}1", "chain", prefix, 1, 17)
        self.integer(16, "DO.CALL", "Caller", f"{prefix}1", "chain", prefix, 1, 16)

    def test_a_callee_goes_on_without_its_caller(self):
        other, callee = self.server.connect(), self.fresh()
        other.send("DO.CALL", "Caller", self.identity, "relay", "Callee", callee, "nap_then_put",
                   200)
        self.soon(lambda: self.info("Caller", self.identity)["waiting"] == 1)
        other.close()
        self.soon(lambda: self.call("DO.GET", "Callee", callee, "napped") == b"yes")

    def test_an_open_gate_serves_while_a_callee_is_slow(self):
        other = self.server.connect()
        other.send("DO.CALL", "Caller", self.identity, "relay", "Probe", self.fresh(),
                   "look_twice", self.go)
        self.soon(lambda: self.info("Caller", self.identity)["waiting"] == 1)
        self.integer(7, "DO.CALL", "Caller", self.identity, "relay", "Callee", "x", "give",
                     "integer")
        self.assertTrue(other.is_silent(0.01))
        self.let_go()
        self.assertEqual(other.read(), [0, 0])

    def test_many_callers_of_one_object_lose_nothing(self):
        prefix = self.fresh()

        def fan(number):
            with resp.Connection(self.server.port) as connection:
                return connection.pipeline(
                    [("DO.CALL", "Caller", f"{prefix}-caller{number}", "fan", prefix, 10)] * 20)
        for replies in self.in_threads(6, fan):
            self.assertEqual(replies, [b"fanned"] * 20)
        for i in range(1, 11):
            self.bulk("120", "DO.GET", "Callee", f"{prefix}{i}", "n")


@harness.only_holdfast
class QueueLimit(ObjectTest):
    options = {"object_queue_limit": 5}

    def test_calls_beyond_the_queue_are_refused(self):
        self.load(PROBE)
        identity = self.fresh()
        holder, other = self.server.connect(), self.server.connect()
        holder.send("DO.CALL", "Probe", identity, "guarded_add", "go")
        self.soon(lambda: self.info("Probe", identity)["waiting"] == 1)
        for _ in range(8):
            other.send("DO.CALL", "Probe", identity, "append", "x")
        self.soon(lambda: self.info("Probe")["overloaded"] == 3)
        self.fails("OVERLOADED retry-after-ms 100: too many calls wait for the object",
                   "DO.GET", "Probe", identity, "n")
        # Others are not concerned, and one of them lets the queue move.
        self.null("DO.CALL", "Probe", "go", "remember", "go")
        self.assertEqual(holder.read(), 1)
        replies = [other.read() for _ in range(8)]
        self.assertEqual(replies[:5], [None] * 5)
        for reply in replies[5:]:
            self.assertEqual(
                reply, b"OVERLOADED retry-after-ms 100: too many calls wait for the object")
        self.integer(1, "DO.CALL", "Probe", identity, "add", 0)
        self.assertEqual(self.info("Probe", identity)["queued"], 0)


@harness.only_holdfast
class Idleness(ObjectTest):
    options = {"object_idle_timeout": 1}

    def test_idle_objects_leave_memory_and_busy_ones_stay(self):
        """[79, 80, 81]"""
        self.load(PROBE)
        idle, used, waiting = self.fresh("idle"), self.fresh("used"), self.fresh("waiting")
        other = self.server.connect()
        for identity in (idle, used, waiting):
            self.integer(2, "DO.CALL", "Probe", identity, "add", 2)
            self.null("DO.CALL", "Probe", identity, "remember", "999")
        other.send("DO.CALL", "Probe", waiting, "nap", 2500)
        counted = 0

        def is_gone(identity):
            nonlocal counted
            counted += 1
            self.integer(counted, "DO.CALL", "Probe", used, "count")
            return self.info("Probe", identity)["in-memory"] == 0
        self.assertTrue(harness.wait_until(lambda: is_gone(idle), 10, 0.1))
        self.null("DO.CALL", "Probe", idle, "recall")
        self.integer(2, "DO.CALL", "Probe", idle, "add", 0)
        self.bulk("999", "DO.CALL", "Probe", used, "recall")
        self.assertEqual(self.info("Probe", waiting)["in-memory"], 1)
        self.assertEqual(other.read(), b"woke")
        self.bulk("999", "DO.CALL", "Probe", waiting, "recall")
        self.assertTrue(harness.wait_until(
            lambda: self.info("Probe")["instances"] == 0, 10, 0.1))

    def test_the_first_object_of_a_quiet_worker_leaves_too(self):
        """[79] No wait and no alarm has ever set the worker's timer."""
        server = harness.Server(workers=1, object_idle_timeout=1).start()
        self.addCleanup(server.close)
        client = server.connect()
        client.command("DO.CLASS", "LOAD", "Probe", PROBE)
        time.sleep(2)  # what the start had set has run out; the server's clock is the system's
        self.assertEqual(client.command("DO.CALL", "Probe", "a", "add", 2), 2)

        def is_gone():
            flat = client.command("DO.INFO", "Probe")
            return dict(zip(flat[::2], flat[1::2]))[b"instances"] == 0
        self.assertTrue(harness.wait_until(is_gone, 10, 0.1))


if __name__ == "__main__":
    unittest.main()
