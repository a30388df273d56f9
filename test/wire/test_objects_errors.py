"""What bad input gets: an error with a code word, and nothing changed."""

import time
import unittest

import harness
import resp
from object_case import ObjectTest

CLASS_NAME = ("ERR a class name is 1 to 64 letters, digits and underscores, and starts with a "
              "letter")
ID = "ERR an id is 1 to 2048 bytes long"
KEY = "ERR a storage key is 1 to 2048 bytes long"

VICTIM = """
local Victim = class("Victim")
function Victim:init() self.n = 0 end
function Victim:alarm() end
function Victim:touch() self.n = self.n + 1 return self.n end
function Victim:_private() return "secret" end
function Victim:store(what)
  self.storage:put("before", 1)
  local cycle = {}
  cycle.itself = cycle
  local deep = {}
  for _ = 1, 200 do deep = {deep} end
  local values = {
    ["function"] = function() end, builtin = print or pairs, cycle = cycle, deep = deep,
    within = {1, {2, pairs}}, keyed = {[{}] = 1}, userdata = self.storage,
  }
  self.storage:put("bad", values[what])
end
function Victim:give(what)
  self.storage:put("given", 1)
  local cycle = {}
  cycle.itself = cycle
  local values = {["function"] = function() end, cycle = cycle, keyed = {[{}] = 1}}
  return values[what]
end
function Victim:put(key, value) self.storage:put(key, value) end
function Victim:put_key(kind)
  local keys = {number = 5, none = nil, long = string.rep("x", 2049), empty = "", table = {}}
  self.storage:put(keys[kind], "v")
end
function Victim:get_key(kind)
  local keys = {number = 5, none = nil, long = string.rep("x", 2049), empty = "",
    list = {"good", 5}}
  return self.storage:get(keys[kind])
end
function Victim:raise(what)
  local raised = {text = "a text", number = 42, float = 1.5, table = {}, none = nil,
    boolean = true, lines = "first\\r\\nsecond\\n+OK\\r\\n", binary = "a\\0b",
    long = ("x"):rep(100000)}
  error(raised[what], 0)
end
function Victim:fail_with(code, message) fail(code, message) end
function Victim:nap(ms) sleep(tonumber(ms)) end
function Victim:dot() return self.storage.get("key") end
function Victim:expire(seconds) self.storage:put("k", 1) self.storage:expire(tonumber(seconds)) end
function Victim:schedule_bad(which)
  self.storage:put("k", 1)
  local entries = {
    method = {every = 5, method = "absent"}, none = {method = "touch"},
    time = {every = 0, method = "touch"}, negative = {every = -1, method = "touch"},
    nan = {every = 0 / 0, method = "touch"}, endless = {every = math.huge, method = "touch"},
    cron = {cron = "* * *", method = "touch"}, argument = {every = 5, method = "touch",
      argument = pairs},
  }
  self:schedule("s", entries[which])
end
function Victim:schedule_name(name) self:schedule(name, {every = 5, method = "touch"}) end
return Victim
"""


@harness.only_holdfast
class Errors(ObjectTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with resp.Connection(cls.server.port) as connection:
            reply = connection.command("DO.CLASS", "LOAD", "Victim", VICTIM)
            assert reply == 1, reply

    def setUp(self):
        super().setUp()
        self.identity = self.fresh()
        self.ok("DO.PUT", "Victim", self.identity, "kept", "value")
        self.before = self.state()

    def state(self):
        info = self.info("Victim", self.identity)
        for figure in ("calls", "errors", "last-error", "last-error-at", "last-active",
                       "in-memory"):
            info.pop(figure)
        return (info, self.call("DO.LIST", "Victim", self.identity),
                self.call("DO.GETALARM", "Victim", self.identity))

    def tearDown(self):
        if self.server.is_running():
            self.assertEqual(self.state(), self.before)
            self.is_undisturbed()
        super().tearDown()

    def victim_error(self, code, method, *arguments):
        return self.error(code, "DO.CALL", "Victim", self.identity, method, *arguments)

    def test_unknown_classes_and_methods(self):
        """[88]"""
        self.fails("NOCLASS class 'Nobody' is not loaded", "DO.CALL", "Nobody", "a", "method")
        self.fails("NOCLASS class 'victim' is not loaded", "DO.CALL", "victim", "a", "touch")
        self.fails("NOMETHOD Victim has no method 'absent'",
                   "DO.CALL", "Victim", self.identity, "absent")
        self.fails("NOMETHOD Victim has no method 'Touch'",
                   "DO.CALL", "Victim", self.identity, "Touch")
        # Neither what every table has behind it nor what is no function is a method.
        for method in ("storage", "id", "class", "n", "exclusive", "schedule", "__index", "__name"):
            self.error("NOMETHOD", "DO.CALL", "Victim", self.identity, method, "x")
        self.fails("NOCLASS class 'Nobody' is not loaded", "DO.WAKE", "Nobody", "method")
        self.fails("NOCLASS class 'Nobody' is not loaded", "DO.SETALARM", "Nobody", "a", 5)
        self.fails("NOCLASS class 'Nobody' is not loaded", "DO.RUNALARM", "Nobody", "a")
        self.fails("NOCLASS class 'Nobody' is not loaded", "DO.CLASS", "SOURCE", "Nobody")
        self.fails("NOCLASS class 'Nobody' is not loaded", "DO.CLASS", "DROP", "Nobody")

    def test_private_methods(self):
        for method in ("_private", "init", "alarm", "_absent"):
            self.fails(f"NOMETHOD Victim.{method} is private",
                       "DO.CALL", "Victim", self.identity, method)
            self.fails(f"NOMETHOD Victim.{method} is private", "DO.WAKE", "Victim", method)
        self.error("NOMETHOD", "DO.CALL", "Victim", self.identity, "")
        self.fails("NOMETHOD a method's name is 1 to 64 bytes long",
                   "DO.CALL", "Victim", self.identity, "m" * 65)

    def test_wrong_numbers_of_arguments(self):
        for command in ("DO.CALL Victim a", "DO.GET Victim a", "DO.PUT Victim a k",
                        "DO.PUT Victim a k v k", "DO.DEL Victim a", "DO.LIST Victim",
                        "DO.DELETEALL Victim", "DO.SETALARM Victim a", "DO.SETALARM Victim a 1 2",
                        "DO.GETALARM Victim", "DO.GETALARM Victim a b", "DO.DELALARM Victim",
                        "DO.NEWID x", "DO.OBJECTS", "DO.WAKE Victim", "DO.INFO",
                        "DO.EXPORT Victim", "DO.EXPORT Victim a b", "DO.IMPORT Victim a",
                        "DO.RUNALARM Victim", "DO.EVICT Victim", "DO.EVICT Victim a b",
                        "DO.EXPIRE Victim a", "DO.TTL Victim", "DO.PERSIST Victim", "DO.ALARMS",
                        "DO.CLASS LOAD Name", "DO.CLASS DROP", "DO.CLASS DROP a b",
                        "DO.CLASS SOURCE", "DO.CLASS LIST x"):
            words = command.split()
            if words[0] == "DO.CLASS":
                words[:2] = [" ".join(words[:2])]
            self.miscounts(*words)
        self.fails("ERR wrong number of arguments for 'do.class' command", "DO.CLASS")
        self.fails("ERR unknown subcommand 'UNKNOWN'. Try DO.CLASS HELP.", "DO.CLASS", "UNKNOWN")
        self.fails("ERR unknown command 'DO.UNKNOWN'. Try DO HELP.", "DO.UNKNOWN")

    def test_options_that_are_none(self):
        identity = self.identity
        for command in (
                ("DO.LIST", "Victim", identity, "SIDEWAYS"),
                ("DO.LIST", "Victim", identity, "LIMIT"),
                ("DO.LIST", "Victim", identity, "START"),
                ("DO.LIST", "Victim", identity, "REVERSE", "REVERSE"),
                ("DO.LIST", "Victim", identity, "PREFIX", "a", "PREFIX", "b"),
                ("DO.DELETEALL", "Victim", identity, "NOW"),
                ("DO.DELETEALL", "Victim", identity, "KEEPALARM", "KEEPALARM"),
                ("DO.OBJECTS", "Victim", "LIMIT"), ("DO.OBJECTS", "Victim", "SIDEWAYS", "1"),
                ("DO.WAKE", "Victim", "touch", "SIDEWAYS"),
                ("DO.INFO", "Victim", identity, "x"), ("DO.ALARMS", "Victim", "SIDEWAYS"),
                ("DO.IMPORT", "Victim", identity, "{}", "OVER"),
                ("DO.EXPIRE", "Victim", identity, 5, "SLIDE"),
                ("DO.CLASS", "LOAD", "Victim", VICTIM, "OVER")):
            self.misfits(*command)
        for limit in ("0", "-1", "x", "100001"):
            self.fails("ERR LIMIT must be an integer from 1 to 100000",
                       "DO.OBJECTS", "Victim", "LIMIT", limit)
        for limit in ("0", "10001"):
            self.fails("ERR LIMIT must be an integer from 1 to 10000",
                       "DO.ALARMS", "Victim", "LIMIT", limit)

    def test_class_names(self):
        for name in ("", "1st", "_x", "a-b", "a b", "ä", "a\0b", "x" * 65, "../etc"):
            for command in (("DO.CALL", name, "a", "m"), ("DO.GET", name, "a", "k"),
                            ("DO.PUT", name, "a", "k", "v"), ("DO.LIST", name, "a"),
                            ("DO.DELETEALL", name, "a"), ("DO.SETALARM", name, "a", 5),
                            ("DO.OBJECTS", name), ("DO.INFO", name), ("DO.ALARMS", name),
                            ("DO.WAKE", name, "m"), ("DO.EXPORT", name, "a"),
                            ("DO.EVICT", name, "a"), ("DO.RUNALARM", name, "a"),
                            ("DO.CLASS", "LOAD", name, "x"), ("DO.CLASS", "DROP", name)):
                self.fails(CLASS_NAME, *command)
        self.fails("NOCLASS class '" + "x" * 64 + "' is not loaded",
                   "DO.CALL", "x" * 64, "a", "m")

    def test_ids_and_keys_that_are_too_long_or_empty(self):
        """[2, 18, 88]"""
        for bad in ("", "x" * 2049):
            for command in (("DO.CALL", "Victim", bad, "m"), ("DO.GET", "Victim", bad, "k"),
                            ("DO.PUT", "Victim", bad, "k", "v"), ("DO.DEL", "Victim", bad, "k"),
                            ("DO.LIST", "Victim", bad), ("DO.DELETEALL", "Victim", bad),
                            ("DO.SETALARM", "Victim", bad, 5), ("DO.GETALARM", "Victim", bad),
                            ("DO.DELALARM", "Victim", bad), ("DO.INFO", "Victim", bad),
                            ("DO.EXPORT", "Victim", bad), ("DO.RUNALARM", "Victim", bad),
                            ("DO.EVICT", "Victim", bad), ("DO.EXPIRE", "Victim", bad, 5),
                            ("DO.TTL", "Victim", bad), ("DO.PERSIST", "Victim", bad),
                            ("DO.IMPORT", "Victim", bad, '{"holdfast-object":1}')):
                self.fails(ID, *command)
            self.fails(KEY, "DO.GET", "Victim", self.identity, "kept", bad)
            self.fails(KEY, "DO.PUT", "Victim", self.identity, "new", "v", bad, "v")
            self.fails(KEY, "DO.DEL", "Victim", self.identity, "kept", bad)
        for kind in ("number", "none", "long", "empty"):
            self.assertIn("a storage key is",
                          self.victim_error("CLASSERR", "put_key", kind))
            self.assertIn("a storage key is", self.victim_error("CLASSERR", "get_key", kind))
        self.victim_error("CLASSERR", "put_key", "table")
        self.assertIn("a storage key is", self.victim_error("CLASSERR", "get_key", "list"))

    def test_sources_that_are_no_class(self):
        for source, hint in (
                ("local x = = 5", "Fresh:1:"), ("\n\nthis is not lua", "Fresh:3:"),
                ("error('raised at load')", "raised at load"), ("error({})", "error of type table"),
                ("return 5", "does not return a class"), ("return {}", "does not return a class"),
                ("local c = class('Fresh')", "does not return a class"),
                ("return class('Other')", "returns class 'Other', not 'Fresh'"),
                ("return class(5)", "'5', not 'Fresh'"), ("return class()", ""),
                ("while true do end", "ran too long"), ("local x <const> = 1 x = 2", "Fresh:1:"),
                ("return setmetatable({}, {__index = class('Fresh')})", "does not return a class"),
                ("objects.call('a', 'b', 'c')", ""), ("self.storage:put('a', 1)", ""),
                (b"\x1bLuaT\x00\x19\x93\r\n\x1a\n", ""), ("x" * ((1 << 20) + 1), "is longer than")):
            text = self.error("BADCLASS", "DO.CLASS", "LOAD", "Fresh", source)
            self.assertIn(hint, text)
            self.assertNotIn("\n", text)
        self.fails("NOCLASS class 'Fresh' is not loaded", "DO.CALL", "Fresh", "a", "b")
        self.fails("CLASSEXISTS class 'Victim' is loaded; REPLACE replaces it",
                   "DO.CLASS", "LOAD", "Victim", VICTIM)

    def test_a_class_with_objects_is_not_dropped(self):
        self.fails("CLASSINUSE class 'Victim' has objects; delete them first",
                   "DO.CLASS", "DROP", "Victim")

    def test_values_that_cannot_be_stored(self):
        for what in ("function", "builtin", "cycle", "deep", "within", "keyed", "userdata",
                     "absent"):
            self.victim_error("CLASSERR", "store", what)
        self.assertIn("nil cannot be stored", self.victim_error("CLASSERR", "store", "absent"))
        for what in ("function", "cycle", "keyed"):
            self.victim_error("CLASSERR", "give", what)

    def test_times_that_are_none(self):
        for bad in ("nan", "inf", "1e3", "0", "-1", "", " 5", "9223372036854775808"):
            self.fails("ERR time is not an integer of milliseconds above 0, or out of range",
                       "DO.SETALARM", "Victim", self.identity, bad)
        for bad in ("nan", "0", "-1", "1.5", "315360001", ""):
            self.fails("ERR life is not an integer of seconds from 1 to 315360000",
                       "DO.EXPIRE", "Victim", self.identity, bad)
        for bad in ("nan", "0", "-1", "1e99", "inf", ""):
            self.victim_error("CLASSERR", "expire", bad)
        for which in ("method", "none", "time", "negative", "nan", "endless", "cron", "argument",
                      "absent"):
            self.victim_error("CLASSERR", "schedule_bad", which)
        for name in ("", "x" * 65):
            self.victim_error("CLASSERR", "schedule_name", name)
        for bad in ("-1", "nan", "600001", "x"):
            self.victim_error("CLASSERR", "nap", bad)

    def test_what_a_class_raises_is_one_line(self):
        for what, text in (("text", "CLASSERR Victim.raise: a text"),
                           ("number", "CLASSERR Victim.raise: 42"),
                           ("float", "CLASSERR Victim.raise: 1.5"),
                           ("table", "CLASSERR Victim.raise: error of type table"),
                           ("none", "CLASSERR Victim.raise: error of type nil"),
                           ("boolean", "CLASSERR Victim.raise: error of type boolean")):
            self.fails(text, "DO.CALL", "Victim", self.identity, "raise", what)
        for what in ("lines", "binary", "long"):
            raw = self.connection.command_raw("DO.CALL", "Victim", self.identity, "raise", what)
            self.assertTrue(raw.startswith(b"-CLASSERR Victim.raise: "))
            self.assertEqual(raw.count(b"\n"), 1)
            self.assertLess(len(raw), 1000)
        self.assertIn("call it with a colon", self.victim_error("CLASSERR", "dot"))

    def test_codes_of_fail(self):
        self.fails("OWN_CODE".replace("_", "") + " own words", "DO.CALL", "Victim", self.identity,
                   "fail_with", "OWNCODE", "own words")
        for code in ("lower", "", "TWO WORDS", "BAD\r\n", "X" * 33):
            self.victim_error("CLASSERR", "fail_with", code, "words")
        raw = self.connection.command_raw("DO.CALL", "Victim", self.identity, "fail_with", "CODE",
                                          "first\r\n+OK\r\n")
        self.assertEqual(raw.count(b"\n"), 1)
        self.assertTrue(raw.startswith(b"-CODE first"))

    def test_errors_are_counted_and_remembered(self):
        self.victim_error("CLASSERR", "raise", "text")
        info = self.info("Victim")
        self.assertEqual(info["last-error"], b"CLASSERR Victim.raise: a text")
        self.assertLessEqual(info["last-error-at"], int(time.time() * 1000) + 1000)


if __name__ == "__main__":
    unittest.main()
