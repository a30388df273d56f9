"""Objects as wholes: their list, their lives, export and import. Numbers in brackets are those of
the conformance list (CONFORMANCE.md)."""

import json
import time
import unittest

import harness
from object_case import DAY_MS, VALUES, ObjectTest, now_ms

PAGED_OBJECTS = 4_000 if harness.SLOW else 100_500


@harness.only_holdfast
class Objects(ObjectTest):
    def test_pages_through_all_objects_in_order(self):
        """[87, 88]"""
        names = [b"user:%06d" % i for i in range(PAGED_OBJECTS)]
        for at in range(0, len(names), 10_000):
            replies = self.connection.pipeline(
                [("DO.PUT", "Paged", name, "k", "v") for name in names[at:at + 10_000]])
            self.assertEqual(set(replies), {b"OK"})
        pages, after = [], b""
        while True:
            page = self.call("DO.OBJECTS", "Paged", "STARTAFTER", after, "LIMIT", 10_000)
            if not page:
                break
            self.assertLessEqual(len(page), 10_000)
            pages += page
            after = page[-1]
        self.assertEqual(pages, names)
        self.assertEqual(len(self.call("DO.OBJECTS", "Paged")), 1000)
        self.assertEqual(self.call("DO.OBJECTS", "Paged", "PREFIX", "user:000"), names[:1000])
        self.assertEqual(
            self.call("DO.OBJECTS", "Paged", "PREFIX", "user:0010", "STARTAFTER", "user:001005",
                      "LIMIT", 3), names[1006:1009])
        info = self.info("Paged")
        self.assertEqual((info["objects"], info["instances"]), (PAGED_OBJECTS, 0))

    def test_shows_objects_that_hold_something_and_no_others(self):
        """[87]"""
        a, b, c = (self.fresh(prefix) for prefix in "abc")
        for name in (c, a, b):
            self.ok("DO.PUT", "Shown", name, "k", "v")
        self.assertEqual(self.call("DO.OBJECTS", "Shown"), [x.encode() for x in (a, b, c)])
        self.integer(1, "DO.DEL", "Shown", b, "k")
        self.integer(1, "DO.DELETEALL", "Shown", c)
        self.assertEqual(self.call("DO.OBJECTS", "Shown"), [a.encode()])
        self.assertEqual(self.call("DO.OBJECTS", "Shown", "STARTAFTER", a), [])
        self.ok("DO.PUT", "Shown", c, "k", "v")
        self.assertEqual(self.call("DO.OBJECTS", "Shown", "STARTAFTER", a), [c.encode()])
        self.server.crash()
        again = self.server.connect()
        self.assertEqual(again.command("DO.OBJECTS", "Shown"), [x.encode() for x in (a, c)])

    def test_a_prefix_is_literal_and_case_sensitive(self):
        for name in ("a_%", "a_%x", "axx", "A_%", "a_"):
            self.ok("DO.PUT", "Literal", name, "k", "v")
        self.assertEqual(self.call("DO.OBJECTS", "Literal", "PREFIX", "a_%"), [b"a_%", b"a_%x"])
        self.assertEqual(self.call("DO.OBJECTS", "Literal", "PREFIX", "a_"),
                         [b"a_", b"a_%", b"a_%x"])


@harness.only_holdfast
class Life(ObjectTest):
    def test_a_life_ends_the_whole_object(self):
        self.load("""local Mortal = class("Mortal")
            function Mortal:alarm() end
            function Mortal:tick() self.storage:put("ticked", 1) end
            function Mortal:begin()
              self.memory = (self.memory or 0) + 1
              self.storage:put("k", "v")
              self.storage:set_alarm(time.now() + 86400000)
              self:schedule("often", {every = 86400, method = "tick"})
              self.storage:expire(1)
              return self.memory
            end
            return Mortal""")
        one, two, kept = self.fresh(), self.fresh(), self.fresh()
        for identity in (one, two, kept):
            self.integer(1, "DO.CALL", "Mortal", identity, "begin")
        self.integer(1, "DO.TTL", "Mortal", one)
        self.integer(1, "DO.EXPIRE", "Mortal", two, 2)
        self.integer(1, "DO.PERSIST", "Mortal", kept)
        self.integer(0, "DO.PERSIST", "Mortal", kept)
        self.integer(-1, "DO.TTL", "Mortal", kept)
        self.assertEqual(len(self.alarms("Mortal")), 6)
        self.soon(lambda: self.call("DO.TTL", "Mortal", one) == -2, 5)
        self.null("DO.GET", "Mortal", one, "k")
        self.assertEqual(self.call("DO.LIST", "Mortal", one), [])
        self.null("DO.GETALARM", "Mortal", one)
        self.assertEqual(self.info("Mortal", one)["keys"], 0)
        self.bulk("v", "DO.GET", "Mortal", two, "k")
        self.integer(1, "DO.CALL", "Mortal", one, "begin")  # its memory is gone as well
        self.integer(1, "DO.DELETEALL", "Mortal", one)
        self.soon(lambda: self.call("DO.TTL", "Mortal", two) == -2, 5)
        self.assertEqual(self.call("DO.OBJECTS", "Mortal"), [kept.encode()])
        self.soon(lambda: len(self.alarms("Mortal")) == 2, 5)
        self.assertEqual({entry["id"] for entry in self.alarms("Mortal")}, {kept.encode()})

    def test_each_use_makes_a_sliding_life_whole_again(self):
        used, unused, looked = self.fresh("used"), self.fresh("unused"), self.fresh("looked")
        for identity in (used, unused, looked):
            self.ok("DO.PUT", "Sliding", identity, "k", "v")
            self.integer(1, "DO.EXPIRE", "Sliding", identity, 2, "TOUCH")
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            self.bulk("v", "DO.GET", "Sliding", used, "k")
            self.call("DO.TTL", "Sliding", looked)  # looking leaves no trace
            self.call("DO.INFO", "Sliding", looked)
            self.call("DO.EXPORT", "Sliding", looked)
            time.sleep(0.05)
        self.null("DO.GET", "Sliding", unused, "k")
        self.integer(-2, "DO.TTL", "Sliding", looked)

    def test_a_life_survives_a_crash(self):
        identity = self.fresh()
        self.ok("DO.PUT", "Lasting", identity, "k", "v")
        self.integer(1, "DO.EXPIRE", "Lasting", identity, 1000)
        self.server.crash()
        again = self.server.connect()
        self.assertIn(again.command("DO.TTL", "Lasting", identity), range(900, 1001))


@harness.only_holdfast
class Transfer(ObjectTest):
    def test_an_import_makes_the_same_object(self):
        self.load(VALUES)
        one, two = self.fresh("one"), self.fresh("two")
        self.null("DO.CALL", "Values", one, "store")
        self.ok("DO.PUT", "Values", one, b"\xff\x00key", b"\xfe\x00value", "outside", "text")
        self.integer(1, "DO.EXPIRE", "Values", one, 5000)
        text = self.call("DO.EXPORT", "Values", one)
        parsed = json.loads(text)
        self.assertEqual((parsed["holdfast-object"], parsed["class"], parsed["id"]),
                         (1, "Values", one))
        self.assertAlmostEqual(parsed["life"]["expires"], now_ms() + 5_000_000, delta=60_000)
        self.ok("DO.IMPORT", "Values", two, text)
        self.assertEqual(self.call("DO.LIST", "Values", two), self.call("DO.LIST", "Values", one))
        self.assertEqual(self.call("DO.CALL", "Values", two, "same"), [])
        again = json.loads(self.call("DO.EXPORT", "Values", two))
        self.assertEqual(again["values"], parsed["values"])
        self.assertEqual(again["life"], parsed["life"])

    def test_an_import_carries_alarm_and_schedules(self):
        self.load("""local Moved = class("Moved")
            function Moved:alarm() end
            function Moved:poll() end
            function Moved:begin()
              self.storage:put("k", 1)
              self.storage:set_alarm(4102444800000)
              self:schedule("a", {every = 1800, method = "poll", argument = {x = 1.0, "y"}})
              self:schedule("b", {cron = "*/30 * * * *", method = "poll"})
            end
            function Moved:names()
              local names = {}
              for _, entry in ipairs(self:schedules()) do
                names[#names + 1] = {entry.name, entry.method, entry.cron or entry.every}
              end
              return names
            end
            return Moved""")
        one, two = self.fresh(), self.fresh()
        self.null("DO.CALL", "Moved", one, "begin")
        text = self.call("DO.EXPORT", "Moved", one)
        self.integer(1, "DO.DELETEALL", "Moved", one)
        self.ok("DO.IMPORT", "Moved", two, text)
        self.integer(4102444800000, "DO.GETALARM", "Moved", two)
        self.assertEqual(self.call("DO.CALL", "Moved", two, "names"),
                         [[b"a", b"poll", b"1800"], [b"b", b"poll", b"*/30 * * * *"]])
        self.assertEqual({entry["id"] for entry in self.alarms("Moved")}, {two.encode()})
        self.assertEqual(len(self.alarms("Moved")), 3)
        again = json.loads(self.call("DO.EXPORT", "Moved", two))
        self.assertEqual(again["schedules"], json.loads(text)["schedules"])

    def test_an_import_replaces_only_when_told_to(self):
        identity = self.fresh()
        self.ok("DO.PUT", "Import", identity, "old", "1")
        text = '{"holdfast-object":1,"values":[["new","2"]]}'
        self.fails("OBJECTEXISTS the object holds data; REPLACE replaces it",
                   "DO.IMPORT", "Import", identity, text)
        self.assertEqual(self.call("DO.LIST", "Import", identity), [b"old", b"1"])
        self.ok("DO.IMPORT", "Import", identity, text, "REPLACE")
        self.assertEqual(self.call("DO.LIST", "Import", identity), [b"new", b"2"])

    def test_a_bad_import_changes_nothing(self):
        identity = self.fresh()
        self.ok("DO.PUT", "Import", identity, "old", "1")
        good = {"holdfast-object": 1, "values": [["k", "v"]]}
        for change in ({"holdfast-object": 2}, {"unknown": 1}, {"values": [["k"]]},
                       {"values": [["", "v"]]}, {"values": [["k" * 2049, "v"]]},
                       {"values": [None]}, {"values": [["k", 1], ["k", 2]]},
                       {"values": [["k", {"float": "one"}]]}, {"alarm": {"at": -5}},
                       {"life": {"expires": 1}}, {"life": {"expires": now_ms() + 5000 * DAY_MS}},
                       {"schedules": [{"name": "a", "method": "m", "next": 5}]},
                       {"schedules": [{"name": "a", "cron": "61 * * * *", "method": "m",
                                       "next": 5}]}):
            self.error("BADIMPORT", "DO.IMPORT", "Import", identity,
                       json.dumps({**good, **change}), "REPLACE")
        for text in ("", "{", "[]", "1", '{"values":[]}', b"\xff"):
            self.error("BADIMPORT", "DO.IMPORT", "Import", identity, text, "REPLACE")
        self.assertEqual(self.call("DO.LIST", "Import", identity), [b"old", b"1"])


if __name__ == "__main__":
    unittest.main()
