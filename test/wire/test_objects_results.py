"""What a method returns: one value, several, none; to clients, as JSON, and to other objects."""

import json
import unittest

import harness
from object_case import ObjectTest

GIVER = """
local Giver = class("Giver")

function Giver:none() end
function Giver:two() return 1, "two" end
function Giver:failed() return nil, "no such user" end
function Giver:trailing() return 1, nil end
function Giver:replaced(text) return text:gsub("a", "b") end
function Giver:table() return {a = {1, json.null}, b = json.object()} end
function Giver:text(value) return value end
function Giver:float() return 1.5 end
function Giver:yes() return true end
function Giver:raises() error("on purpose") end
function Giver:fails() fail("TEAPOT", "short") end
function Giver:later() sleep(1) return "a", "b", "c" end
function Giver:many(count) return table.unpack({}, 1, tonumber(count)) end
function Giver:huge() return ("\\1"):rep(2000000) end
function Giver:huge_twice() local s = ("x"):rep(600000) return s, s end

function Giver:ask(id, method, ...)
  return select("#", objects.call("Giver", id, method, ...)), objects.call("Giver", id, method, ...)
end
return Giver
"""

LONG = """
local Long = class("Long")
local results = {
  short = function() return "short" end,
  text = function() return ("x"):rep(2000000) end,
  texts = function() local s = ("x"):rep(200000) return {s, s, s, s, s, s} end,
  numbers = function() local t = {} for i = 1, 150000 do t[i] = i + 1000000 end return t end,
  map = function() local t = {} for i = 1, 30000 do t["a field of some length, " .. i + 1e6] = i end return t end,
}
function Long:count(kind)
  self.counted = (self.counted or 0) + 1
  self.storage:put("stored", tostring(self.counted))
  return kind == "short" and self.counted or results[kind]()
end
return Long
"""


@harness.only_holdfast
class Results(ObjectTest):
    options = {"max_value_size": "1mb", "turn_time_limit": 60000}

    def setUp(self):
        super().setUp()
        self.load(GIVER, "Giver", "REPLACE")
        self.giver = self.fresh()

    def give(self, *words):
        return self.call("DO.CALL", "Giver", self.giver, *words)

    def give_json(self, *words):
        reply = self.call("DO.CALLJSON", "Giver", self.giver, *words)
        self.assertIs(type(reply), bytes, (words, reply))
        return json.loads(reply)

    def test_several_values_are_an_array(self):
        self.assertEqual(self.give("two"), [1, b"two"])
        value, message = self.give("failed")
        self.is_null(value)
        self.assertEqual(message, b"no such user")
        self.assertEqual(self.give("replaced", "banana"), [b"bbnbnb", 3])
        one, nothing = self.give("trailing")
        self.assertEqual(one, 1)
        self.is_null(nothing)
        self.is_null(self.give("none"))

    def test_after_a_wait_too(self):
        self.assertEqual(self.give("later"), [b"a", b"b", b"c"])

    def test_other_objects_get_them_all(self):
        self.assertEqual(self.give("ask", self.fresh("other"), "two"), [2, 1, b"two"])
        count, value, message = self.give("ask", self.fresh("other"), "failed")
        self.is_null(value)
        self.assertEqual((count, message), (2, b"no such user"))
        self.assertEqual(self.give("ask", self.fresh("other"), "later"), [3, b"a", b"b", b"c"])
        self.assertEqual(self.give("ask", self.fresh("other"), "none"), 0)

    def test_there_is_a_bound(self):
        self.assertEqual(len(self.give("many", 1000)), 1000)
        self.assertIn("a method returns at most 1000 values",
                      self.error("CLASSERR", "DO.CALL", "Giver", self.giver, "many", 1001))
        self.assertIn("results of more than 1048576 bytes",
                      self.error("CLASSERR", "DO.CALL", "Giver", self.giver, "huge_twice"))
        self.assertIn("results of more than 1048576 bytes",
                      self.error("CLASSERR", "DO.CALL", "Giver", self.giver, "ask",
                                 self.fresh("other"), "huge_twice"))

    def test_json_is_the_same_for_every_protocol(self):
        for protocol in (2, 3):
            self.call("HELLO", protocol)
            self.is_same_json()

    def is_same_json(self):
        self.assertEqual(self.give_json("none"), None)
        self.assertEqual(self.give_json("two"), [1, "two"])
        self.assertEqual(self.give_json("failed"), [None, "no such user"])
        self.assertEqual(self.give_json("table"), {"a": [1, None], "b": {}})
        self.assertEqual(self.give_json("text", "7"), "7")
        self.assertEqual(self.give_json("float"), 1.5)
        self.assertIs(self.give_json("yes"), True)
        self.assertEqual(self.give_json("later"), ["a", "b", "c"])
        self.bulk("null", "DO.CALLJSON", "Giver", self.giver, "none")
        self.bulk('"\\u0001"', "DO.CALLJSON", "Giver", self.giver, "text", "\1")

    def test_errors_of_calls_as_json_are_errors(self):
        self.error("CLASSERR", "DO.CALLJSON", "Giver", self.giver, "raises")
        self.fails("TEAPOT short", "DO.CALLJSON", "Giver", self.giver, "fails")
        self.fails("NOMETHOD Giver has no method 'nothing'",
                   "DO.CALLJSON", "Giver", self.giver, "nothing")
        self.fails("NOMETHOD Giver.init is private", "DO.CALLJSON", "Giver", self.giver, "init")
        self.miscounts("DO.CALLJSON", "Giver", self.giver)
        self.assertIn("as JSON is longer than",
                      self.error("CLASSERR", "DO.CALLJSON", "Giver", self.giver, "huge"))


@harness.only_holdfast
class LongResults(ObjectTest):
    options = {"client_output_limit": "1mb", "turn_time_limit": 60000}

    def test_a_result_that_no_reply_can_hold_fails_the_call(self):
        self.load(LONG)
        for command in ("DO.CALL", "DO.CALLJSON"):
            for protocol in (2, 3):
                self.call("HELLO", protocol)
                self.is_undone(command)

    def is_undone(self, command):
        long = self.fresh("long")
        for kind in ("text", "texts", "numbers", "map"):
            self.integer(1, "DO.CALL", "Long", long, "count", "short")
            self.assertEqual(
                self.error("CLASSERR", command, "Long", long, "count", kind),
                "CLASSERR Long.count: the result is longer than 1048576 bytes "
                "(client-output-limit, output-memory)")
            # Neither what it stored nor what it had in memory is there.
            self.bulk("1", "DO.GET", "Long", long, "stored")


if __name__ == "__main__":
    unittest.main()
