"""Storage of objects: DO.GET, PUT, DEL, LIST, DELETEALL, NEWID, and self.storage of a class.
Numbers in brackets are those of the conformance list (CONFORMANCE.md)."""

import math
import threading
import time
import unittest

import harness
import resp
from object_case import VALUES, ObjectTest

STORE = """
local Store = class("Store")

function Store:fill(count)
  for i = 1, tonumber(count) do self.storage:put(string.format("k%03d", i), i) end
end
function Store:put_nothing() self.storage:put({}) return "fine" end

-- What list shows of this turn's own changes.
function Store:merged()
  local storage = self.storage
  storage:put("k002x", "new")
  storage:delete("k003")
  storage:put("k004", "changed")
  storage:delete({"k001", "absent"})
  local seen = {}
  for _, entry in ipairs(storage:list{limit = 4}) do
    seen[#seen + 1] = entry.key .. "=" .. tostring(entry.value)
  end
  local last = storage:list{reverse = true, limit = 1}
  return {seen, last[1].key}
end

function Store:list_then_write()
  local before = self.storage:list()
  self.storage:put("zzz", 1)
  self.storage:delete("k001")
  return {#before, before[1].key, #self.storage:list()}
end

function Store:keys(options)
  local keys = {}
  for _, entry in ipairs(self.storage:list(options)) do keys[#keys + 1] = entry.key end
  return keys
end
function Store:ranges()
  return {
    self:keys{start = "k005", limit = 2}, self:keys{start_after = "k005", limit = 2},
    self:keys{end_before = "k003"}, self:keys{prefix = "k00", reverse = true, limit = 2},
    self:keys{start = "k002", end_before = "k004", reverse = true}, self:keys{prefix = "none"},
  }
end
function Store:both_starts() self.storage:list{start = "a", start_after = "b"} end
function Store:no_limit() self.storage:list{limit = 0} end
function Store:slip(which)
  self.storage:put("k", 1)
  if which == "list" then self.storage:list{prefix = "a", limt = 1} end
  if which == "delete_all" then self.storage:delete_all{keepalarm = true} end
  if which == "schedule" then self:schedule("s", {every = 5, methode = "merged"}) end
  if which == "both" then self:schedule("s", {every = 5, cron = "@daily", method = "merged"}) end
  if which == "http.fetch" then http.fetch{"http://127.0.0.1/"} end
  if which == "json.decode" then json.decode("1", {nulls = "nil"}) end
end

function Store:get_many()
  local found = self.storage:get({"k001", "absent", "k003"})
  return {found.k001, found.absent == nil, found.k003}
end
function Store:deleted()
  return {self.storage:delete("k001"), self.storage:delete("k001"),
    self.storage:delete({"k002", "k003", "absent"})}
end
function Store:bad_pair(size)
  self.storage:put{first = "1", second = "2", third = string.rep("x", size)}
end
function Store:cleared_and_put()
  local count = self.storage:delete_all()
  self.storage:delete_all()
  self.storage:put("after", "cleared")
  return count
end
return Store
"""

TRANSACTION = """
local Transaction = class("Transaction")

function Transaction:alarm() end
function Transaction:commits()
  local result = self.storage:transaction(function()
    self.storage:put("a", 1)
    return "returned"
  end)
  return {result, self.storage:get("a")}
end
function Transaction:rolls_back()
  self.storage:put("a", "old")
  self.storage:transaction(function(rollback)
    self.storage:put("a", "new")
    self.storage:put("b", "new")
    self.storage:delete("a")
    rollback()
  end)
  return {self.storage:get("a"), self.storage:get("b") == nil}
end
function Transaction:throws()
  self.storage:put("a", "old")
  self.field = "kept"
  local ok, message = pcall(function()
    self.storage:transaction(function() self.storage:put("a", "new") error("on purpose", 0) end)
  end)
  return {ok, message, self.storage:get("a"), self.field}
end
function Transaction:inner_then_outer()
  self.storage:put("a", "old")
  self.storage:transaction(function(rollback)
    self.storage:put("b", "outer")
    self.storage:transaction(function() self.storage:put("a", "inner") end)
    rollback()
  end)
  return {self.storage:get("a"), self.storage:get("b") == nil}
end
function Transaction:inner_throws()
  self.storage:transaction(function()
    self.storage:put("a", "outer")
    pcall(self.storage.transaction, self.storage, function()
      self.storage:put("a", "inner")
      self.storage:put("b", "inner")
      error("on purpose")
    end)
  end)
  return {self.storage:get("a"), self.storage:get("b") == nil}
end
function Transaction:first_ever_rolled_back()
  self.storage:transaction(function(rollback)
    self.storage:put("a", 1)
    self.storage:set_alarm(time.now() + 100000)
    rollback()
  end)
  local untouched = {self.storage:get("a") == nil, self.storage:get_alarm() == nil}
  return untouched
end
function Transaction:put_and_alarm_rolled_back()
  self.storage:put("a", "old")
  self.storage:set_alarm(4102444800000)
  self.storage:transaction(function(rollback)
    self.storage:put("a", "new")
    self.storage:set_alarm(4102444800001)
    self.storage:delete_alarm()
    rollback()
  end)
  return {self.storage:get("a"), self.storage:get_alarm()}
end
function Transaction:lists_own()
  self.storage:put{a = 1, b = 2}
  return self.storage:transaction(function(rollback)
    self.storage:put("c", 3)
    self.storage:delete("a")
    local keys = {}
    for _, entry in ipairs(self.storage:list()) do keys[#keys + 1] = entry.key end
    rollback()
    return keys
  end)
end
function Transaction:clears() self.storage:transaction(function() self.storage:delete_all() end) end
function Transaction:waits() self.storage:transaction(function() sleep(1) end) end
return Transaction
"""


@harness.only_holdfast
class Keys(ObjectTest):
    """The original's four keys, and ours."""

    def setUp(self):
        super().setUp()
        self.identity = self.fresh()
        self.ok("DO.PUT", "Plain", self.identity, "qux", 4, "bar", 1, "foo", 3, "baz", 2)

    def keys(self, *options):
        return self.call("DO.LIST", "Plain", self.identity, "KEYS", *options)

    def test_lists_keys_and_values_in_byte_order(self):
        """[9]"""
        self.assertEqual(self.call("DO.LIST", "Plain", self.identity),
                         [b"bar", b"1", b"baz", b"2", b"foo", b"3", b"qux", b"4"])
        other = self.fresh()
        keys = [b"\x00", b"\x00\x00", b"A", b"Z", b"a", b"a\x00", b"a\x00b", b"a ", b"aa",
                "é".encode(), b"\xfe\xff", b"\xff", b"\xff\x00", b"\xff\xff"]
        for key in reversed(keys):
            self.ok("DO.PUT", "Plain", other, key, key)
        self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS"), sorted(keys))
        self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS", "REVERSE"),
                         sorted(keys, reverse=True))
        self.assertEqual(self.call("DO.LIST", "Plain", other, "PREFIX", b"\xff", "KEYS"),
                         [b"\xff", b"\xff\x00", b"\xff\xff"])
        self.assertEqual(self.call("DO.LIST", "Plain", other, "PREFIX", b"a\x00", "KEYS"),
                         [b"a\x00", b"a\x00b"])

    def test_what_was_deleted_is_stepped_over(self):
        """More than one turn of the list steps over."""
        other, count = self.fresh(), 40_000
        names = [b"%05d" % i for i in range(count)]
        for i in range(0, count, 1000):
            pairs = [part for name in names[i:i + 1000] for part in (name, b"v")]
            self.ok("DO.PUT", "Plain", other, *pairs)
        left = [names[0], names[count // 2], names[-1]]
        for i in range(0, count, 1000):
            self.call("DO.DEL", "Plain", other,
                      *[name for name in names[i:i + 1000] if name not in left])
        for _ in range(2):
            self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS"), left)
            self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS", "REVERSE"), left[::-1])
            self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS", "LIMIT", 2), left[:2])
            self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS", "START", names[1],
                                       "LIMIT", 1), left[1:2])

    def test_start_is_inclusive_and_startafter_exclusive(self):
        """[10]"""
        self.assertEqual(self.keys("START", "foo"), [b"foo", b"qux"])
        self.assertEqual(self.keys("START", "foo "), [b"qux"])
        self.assertEqual(self.keys("STARTAFTER", "foo"), [b"qux"])
        self.assertEqual(self.keys("STARTAFTER", "fo"), [b"foo", b"qux"])
        self.assertEqual(self.keys("START", ""), [b"bar", b"baz", b"foo", b"qux"])
        self.assertEqual(self.keys("START", "zz"), [])
        self.assertEqual(self.keys("START", "x" * 5000), [])
        self.fails("ERR START and STARTAFTER at the same time are not compatible",
                   "DO.LIST", "Plain", self.identity, "START", "a", "STARTAFTER", "b")

    def test_end_is_exclusive(self):
        """[11]"""
        self.assertEqual(self.keys("END", "foo"), [b"bar", b"baz"])
        self.assertEqual(self.keys("END", "foo "), [b"bar", b"baz", b"foo"])
        self.assertEqual(self.keys("START", "baz", "END", "qux"), [b"baz", b"foo"])
        self.assertEqual(self.keys("START", "foo", "END", "bar"), [])
        self.assertEqual(self.keys("END", ""), [])

    def test_limit_takes_the_first(self):
        """[12]"""
        self.assertEqual(self.keys("LIMIT", 2), [b"bar", b"baz"])
        self.assertEqual(self.keys("LIMIT", 1, "STARTAFTER", "bar"), [b"baz"])
        for limit in ("0", "-1", "x", "1.5", "99999999999999999999"):
            self.fails("ERR LIMIT must be an integer above 0",
                       "DO.LIST", "Plain", self.identity, "LIMIT", limit)

    def test_reverse_does_not_swap_the_bounds(self):
        """[13]"""
        self.assertEqual(self.keys("REVERSE"), [b"qux", b"foo", b"baz", b"bar"])
        self.assertEqual(self.keys("REVERSE", "END", "foo", "LIMIT", 1), [b"baz"])
        self.assertEqual(self.keys("REVERSE", "START", "baz", "END", "qux"), [b"foo", b"baz"])
        self.assertEqual(self.keys("REVERSE", "STARTAFTER", "baz"), [b"qux", b"foo"])

    def test_a_prefix_meets_the_other_bounds(self):
        self.assertEqual(self.keys("PREFIX", "ba"), [b"bar", b"baz"])
        self.assertEqual(self.keys("PREFIX", "ba", "STARTAFTER", "bar"), [b"baz"])
        self.assertEqual(self.keys("PREFIX", "ba", "END", "baz", "REVERSE"), [b"bar"])
        self.assertEqual(self.keys("PREFIX", "ba", "START", "foo"), [])
        self.assertEqual(self.keys("PREFIX", ""), [b"bar", b"baz", b"foo", b"qux"])

    def test_del_counts_what_was_there(self):
        """[14]"""
        self.integer(1, "DO.DEL", "Plain", self.identity, "bar")
        self.integer(0, "DO.DEL", "Plain", self.identity, "bar")
        self.integer(2, "DO.DEL", "Plain", self.identity, "bar", "baz", "foo", "foo")
        self.assertEqual(self.keys(), [b"qux"])

    def test_put_overwrites(self):
        """[15]"""
        self.ok("DO.PUT", "Plain", self.identity, "bar", "new")
        self.bulk("new", "DO.GET", "Plain", self.identity, "bar")
        self.assertEqual(self.info("Plain", self.identity)["keys"], 4)

    def test_deleteall_counts_and_leaves_a_usable_object(self):
        """[16]"""
        self.integer(4, "DO.DELETEALL", "Plain", self.identity)
        self.integer(0, "DO.DELETEALL", "Plain", self.identity)
        self.assertEqual(self.keys(), [])
        self.ok("DO.PUT", "Plain", self.identity, "bar", "again")
        self.assertEqual(self.call("DO.LIST", "Plain", self.identity), [b"bar", b"again"])

    def test_deleteall_of_many_shows_none_of_them_again(self):
        """[16]"""
        many = self.fresh()
        pairs = [part for i in range(5000) for part in (f"k{i}", "old")]
        self.ok("DO.PUT", "Plain", many, *pairs)
        self.integer(5000, "DO.DELETEALL", "Plain", many)
        self.null("DO.GET", "Plain", many, "k7")
        self.ok("DO.PUT", "Plain", many, "k8", "new")
        self.assertEqual(self.call("DO.LIST", "Plain", many), [b"k8", b"new"])
        self.server.crash()
        self.reconnect()
        self.assertEqual(self.call("DO.LIST", "Plain", many), [b"k8", b"new"])

    def test_get_tells_absent_from_empty(self):
        """[17]"""
        self.ok("DO.PUT", "Plain", self.identity, "empty", "")
        self.assertEqual(self.call("DO.GET", "Plain", self.identity, "empty", "none", "bar"),
                         [b"", None, b"1"])
        self.bulk("", "DO.GET", "Plain", self.identity, "empty")
        self.null("DO.GET", "Plain", self.identity, "none")
        with self.server.connect(protocol=3) as three:
            self.assertEqual(three.command_raw("DO.GET", "Plain", self.identity, "none"), b"_\r\n")
            self.assertEqual(three.command_raw("DO.GET", "Plain", self.identity, "none", "bar"),
                             b"*2\r\n_\r\n$1\r\n1\r\n")
            self.assertEqual(three.command("DO.LIST", "Plain", self.identity, "LIMIT", 1),
                             [b"bar", b"1"])

    def test_limit_counts_living_keys_only(self):
        """[20]"""
        other = self.fresh()
        for i in range(20):
            self.ok("DO.PUT", "Plain", other, f"k{i:02}", i)
        for i in range(0, 20, 2):
            self.integer(1, "DO.DEL", "Plain", other, f"k{i:02}")
        living = [b"k%02d" % i for i in range(1, 20, 2)]
        self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS", "LIMIT", 5), living[:5])
        self.assertEqual(self.call("DO.LIST", "Plain", other, "KEYS", "LIMIT", 5, "REVERSE"),
                         living[:-6:-1])

    def test_the_last_value_of_a_key_wins(self):
        """[28]"""
        self.ok("DO.PUT", "Plain", self.identity, "twice", "first", "other", 1, "twice", "last")
        self.bulk("last", "DO.GET", "Plain", self.identity, "twice")
        self.assertEqual(self.info("Plain", self.identity)["keys"], 6)

    def test_the_same_value_again_is_no_change(self):
        """[24]"""
        before = self.info("Plain", self.identity)
        time.sleep(0.01)
        self.ok("DO.PUT", "Plain", self.identity, "bar", "1")
        self.assertEqual(self.info("Plain", self.identity), before)
        self.ok("DO.PUT", "Plain", self.identity, "bar", "2")
        self.assertGreater(self.info("Plain", self.identity)["changed"], before["changed"])

    def test_objects_and_classes_are_apart(self):
        """[88]"""
        self.ok("DO.PUT", "Other", self.identity, "bar", "of another class")
        self.ok("DO.PUT", "Plain", self.identity + "x", "bar", "of another id")
        self.bulk("1", "DO.GET", "Plain", self.identity, "bar")
        self.integer(1, "DO.DELETEALL", "Other", self.identity)
        self.assertEqual(len(self.keys()), 4)
        self.call("SET", self.identity, "a plain key")
        self.bulk("1", "DO.GET", "Plain", self.identity, "bar")
        self.call("FLUSHALL")
        self.assertEqual(len(self.keys()), 4)

    def test_reading_creates_nothing(self):
        """[6]"""
        other = self.fresh("Nobody")
        self.null("DO.GET", "Plain", other, "key")
        self.assertEqual(self.call("DO.LIST", "Plain", other), [])
        self.null("DO.GETALARM", "Plain", other)
        self.integer(0, "DO.DEL", "Plain", other, "key")
        self.integer(0, "DO.DELETEALL", "Plain", other)
        self.integer(-2, "DO.TTL", "Plain", other)
        self.integer(0, "DO.EXPIRE", "Plain", other, 100)
        self.integer(0, "DO.PERSIST", "Plain", other)
        self.null("DO.EXPORT", "Plain", other)
        self.assertEqual(self.call("DO.OBJECTS", "Plain", "PREFIX", other), [])

    def test_new_ids_are_never_the_same(self):
        """[5]"""
        ids = self.connection.pipeline([("DO.NEWID",)] * 1000)
        self.assertEqual(len(set(ids)), 1000)
        self.assertTrue(all(len(identity) == 32 for identity in ids))
        self.ok("DO.PUT", "Plain", ids[0], "key", "value")
        self.bulk("value", "DO.GET", "Plain", ids[0], "key")


@harness.only_holdfast
class Sizes(ObjectTest):
    options = {"max_value_size": "2mb", "log_segment_size": "8mb", "turn_time_limit": 60000}

    def test_ids_and_keys_are_binary_and_up_to_2048_bytes_long(self):
        """[7, 18]"""
        longest = bytes(range(256)) * 8
        for identity in (longest, b"\x00", b"\r\n", b"\xff" * 2048, "ä{tag}".encode()):
            self.ok("DO.PUT", "Sizes", identity, longest, "of the longest key", b"\x00", "short")
            self.bulk("of the longest key", "DO.GET", "Sizes", identity, longest)
            self.assertEqual(self.call("DO.LIST", "Sizes", identity, "KEYS"), [b"\x00", longest])
            self.assertEqual(self.call("DO.LIST", "Sizes", identity, "STARTAFTER", longest), [])
            self.assertEqual(
                self.call("DO.OBJECTS", "Sizes", "PREFIX", identity, "LIMIT", 1), [identity])
        for bad in (b"", b"x" * 2049):
            self.fails("ERR a storage key is 1 to 2048 bytes long",
                       "DO.PUT", "Sizes", "a", "good", 1, bad, 2)
            self.fails("ERR an id is 1 to 2048 bytes long", "DO.PUT", "Sizes", bad, "key", 1)
            self.fails("ERR an id is 1 to 2048 bytes long", "DO.CALL", "Sizes", bad, "method")
        self.null("DO.GET", "Sizes", "a", "good")

    def test_values_are_binary_and_up_to_max_value_size(self):
        """[18]"""
        identity = self.fresh()
        most = 2 << 20
        for size in (0, 1, 65535, 65536, 65537, most):
            value = bytes(i * 7 % 256 for i in range(251)) * (size // 251 + 1)
            self.ok("DO.PUT", "Sizes", identity, f"k{size}", value[:size])
            self.bulk(value[:size], "DO.GET", "Sizes", identity, f"k{size}")
        self.server.restart()
        again = self.server.connect()
        self.assertEqual(len(again.command("DO.GET", "Sizes", identity, f"k{most}")), most)

    def test_a_class_cannot_store_more_than_max_value_size(self):
        """[18]"""
        self.load(STORE)
        identity = self.fresh()
        self.ok("DO.PUT", "Store", identity, "third", "old")
        text = self.error("CLASSERR", "DO.CALL", "Store", identity, "bad_pair", (2 << 20) + 1)
        self.assertIn("a value of more than 2097152 bytes cannot be stored", text)
        self.assertEqual(self.call("DO.LIST", "Store", identity), [b"third", b"old"])

    def test_what_exceeds_a_log_segment_is_refused_whole(self):
        """[19]"""
        identity = self.fresh()
        value = b"v" * 131072
        pairs = [part for i in range(32) for part in (f"k{i:03}", value)]
        self.ok("DO.PUT", "Sizes", identity, *pairs)
        too_many = [part for i in range(128) for part in (f"n{i:03}", value)]
        self.fails("ERR the changes of one command exceed the size of a log segment; split the "
                   "command", "DO.PUT", "Sizes", identity, *too_many)
        self.server.crash()
        again = self.server.connect()
        keys = again.command("DO.LIST", "Sizes", identity, "KEYS")
        self.assertEqual(keys, [b"k%03d" % i for i in range(32)])
        self.assertEqual(again.command("DO.GET", "Sizes", identity, "k031"), value)


@harness.only_holdfast
class Typed(ObjectTest):
    """Values and results of a class have types; the wire shows them as RESP has them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with resp.Connection(cls.server.port) as connection:
            for name, source in (("Values", VALUES), ("Store", STORE),
                                 ("Transaction", TRANSACTION)):
                reply = connection.command("DO.CLASS", "LOAD", name, source)
                assert reply == 1, reply

    def setUp(self):
        super().setUp()
        self.identity = self.fresh()

    def test_values_come_back_with_their_types(self):
        self.null("DO.CALL", "Values", self.identity, "store")
        self.assertEqual(self.call("DO.CALL", "Values", self.identity, "same"), [])
        self.integer(1, "DO.EVICT", "Values", self.identity)
        self.assertEqual(self.call("DO.CALL", "Values", self.identity, "same"), [])
        self.server.crash()
        again = self.server.connect()
        self.assertEqual(again.command("DO.CALL", "Values", self.identity, "same"), [])

    def test_get_and_list_show_typed_values_as_text(self):
        self.null("DO.CALL", "Values", self.identity, "store")
        shown = {
            "text": b"plain", "empty": b"", "binary": b"a\0\r\n\xffb", "zero": b"0",
            "integer": b"42", "negative": b"-7", "least": b"-9223372036854775808",
            "most": b"9223372036854775807", "float": b"1.5", "whole": b"3.0",
            "tiny": b"4.94065645841247e-324", "huge": b"1e+308", "third": b"0.3333333333333333",
            "infinite": b"inf", "minus_infinite": b"-inf", "yes": b"true", "no": b"false",
            "sequence": b'[1,2.5,"three",true,[4]]', "map": b'{"a":"one","b":2,"c":{"x":1.0}}',
            "mixed": b'{"1":"first","10":"ten","2":"second","name":"both"}', "none": b"[]",
        }
        self.assertEqual(self.call("DO.GET", "Values", self.identity, *shown), list(shown.values()))
        listed = self.call("DO.LIST", "Values", self.identity)
        self.assertEqual(dict(zip(listed[::2], listed[1::2])),
                         {key.encode(): value for key, value in shown.items()})
        self.assertEqual(float(shown["tiny"]), 5e-324)

    def test_text_put_from_outside_is_text_inside(self):
        self.ok("DO.PUT", "Values", self.identity, "number", "42", "word", "true")
        self.bulk("string", "DO.CALL", "Values", self.identity, "kind", "number")
        self.bulk("string", "DO.CALL", "Values", self.identity, "kind", "word")
        self.null("DO.CALL", "Values", self.identity, "raw", "argument", "42")
        self.bulk("string", "DO.CALL", "Values", self.identity, "kind", "argument")
        self.bulk("nil", "DO.CALL", "Values", self.identity, "kind", "absent")

    def test_results_in_resp2(self):
        def raw(method, *arguments):
            return self.connection.command_raw("DO.CALL", "Values", self.identity, method,
                                               *arguments)
        self.assertEqual(raw("give_nothing"), b"$-1\r\n")
        self.assertEqual(raw("give_nil"), b"$-1\r\n")
        self.assertEqual(raw("give_two"), b"*2\r\n:1\r\n:2\r\n")
        self.assertEqual(raw("give", "text"), b"$5\r\nplain\r\n")
        self.assertEqual(raw("give", "empty"), b"$0\r\n\r\n")
        self.assertEqual(raw("give", "binary"), b"$6\r\na\0\r\n\xffb\r\n")
        self.assertEqual(raw("give", "integer"), b":42\r\n")
        self.assertEqual(raw("give", "least"), b":-9223372036854775808\r\n")
        self.assertEqual(raw("give", "float"), b"$3\r\n1.5\r\n")
        self.assertEqual(raw("give", "whole"), b"$1\r\n3\r\n")
        self.assertEqual(raw("give", "infinite"), b"$3\r\ninf\r\n")
        self.assertEqual(raw("give", "minus_infinite"), b"$4\r\n-inf\r\n")
        self.assertEqual(raw("give_nan"), b"$3\r\nnan\r\n")
        self.assertEqual(raw("give", "yes"), b":1\r\n")
        self.assertEqual(raw("give", "no"), b":0\r\n")
        self.assertEqual(raw("give", "none"), b"*0\r\n")
        self.assertEqual(self.call("DO.CALL", "Values", self.identity, "give", "sequence"),
                         [1, b"2.5", b"three", 1, [4]])
        self.assertEqual(self.call("DO.CALL", "Values", self.identity, "give", "map"),
                         [b"a", b"one", b"b", 2, b"c", [b"x", b"1"]])
        self.assertEqual(self.call("DO.CALL", "Values", self.identity, "give", "mixed"),
                         [b"1", b"first", b"10", b"ten", b"2", b"second", b"name", b"both"])

    def test_results_in_resp3(self):
        three = self.server.connect(protocol=3)

        def raw(method, *arguments):
            return three.command_raw("DO.CALL", "Values", self.identity, method, *arguments)
        self.assertEqual(raw("give_nothing"), b"_\r\n")
        self.assertEqual(raw("give", "text"), b"$5\r\nplain\r\n")
        self.assertEqual(raw("give", "integer"), b":42\r\n")
        self.assertEqual(raw("give", "float"), b",1.5\r\n")
        self.assertEqual(raw("give", "whole"), b",3\r\n")
        self.assertEqual(raw("give", "infinite"), b",inf\r\n")
        self.assertEqual(raw("give", "minus_infinite"), b",-inf\r\n")
        self.assertEqual(raw("give_nan"), b",nan\r\n")
        self.assertEqual(raw("give", "yes"), b"#t\r\n")
        self.assertEqual(raw("give", "no"), b"#f\r\n")
        self.assertEqual(raw("give", "none"), b"*0\r\n")
        for key, value in (("huge", 1e308), ("tiny", 5e-324), ("third", 1 / 3)):
            self.assertEqual(three.command("DO.CALL", "Values", self.identity, "give", key), value)
        self.assertEqual(three.command("DO.CALL", "Values", self.identity, "give", "sequence"),
                         [1, 2.5, b"three", True, [4]])
        found = three.command("DO.CALL", "Values", self.identity, "give", "map")
        self.assertIsInstance(found, resp.Map)
        self.assertEqual(found, {b"a": b"one", b"b": 2, b"c": {b"x": 1.0}})
        self.assertEqual(three.command("DO.CALL", "Values", self.identity, "give", "mixed"),
                         {b"1": b"first", b"2": b"second", b"10": b"ten", b"name": b"both"})

    def test_a_stored_nan_is_one_again(self):
        three = self.server.connect(protocol=3)
        found = three.command("DO.CALL", "Values", self.identity, "nan")
        self.assertTrue(math.isnan(found))
        self.bulk("nan", "DO.GET", "Values", self.identity, "nan")

    def test_a_batch_of_nothing_is_fine(self):
        """[17]"""
        self.bulk("fine", "DO.CALL", "Store", self.identity, "put_nothing")
        self.assertEqual(self.call("DO.OBJECTS", "Store", "PREFIX", self.identity), [])
        self.miscounts("DO.PUT", "Store", self.identity)

    def test_a_list_merges_the_changes_of_its_turn(self):
        """[21]"""
        self.null("DO.CALL", "Store", self.identity, "fill", 9)
        self.assertEqual(self.call("DO.CALL", "Store", self.identity, "merged"),
                         [[b"k002=2", b"k002x=new", b"k004=changed", b"k005=5"], b"k009"])

    def test_a_list_is_of_the_moment_of_the_call(self):
        """[22]"""
        self.null("DO.CALL", "Store", self.identity, "fill", 9)
        self.assertEqual(self.call("DO.CALL", "Store", self.identity, "list_then_write"),
                         [9, b"k001", 9])

    def test_a_class_lists_as_a_client_does(self):
        """[10, 11, 12, 13]"""
        self.null("DO.CALL", "Store", self.identity, "fill", 12)
        self.assertEqual(self.call("DO.CALL", "Store", self.identity, "ranges"), [
            [b"k005", b"k006"], [b"k006", b"k007"], [b"k001", b"k002"], [b"k009", b"k008"],
            [b"k003", b"k002"], []])
        self.assertIn("start and start_after exclude each other",
                      self.error("CLASSERR", "DO.CALL", "Store", self.identity, "both_starts"))
        self.assertIn("limit is a whole number above 0",
                      self.error("CLASSERR", "DO.CALL", "Store", self.identity, "no_limit"))

    def test_an_option_that_is_none_is_named_with_those_there_are(self):
        for function, text in (
                ("list", "list: unknown option 'limt'; there is start, start_after, end_before, prefix, "
                         "reverse, limit"),
                ("delete_all", "delete_all: unknown option 'keepalarm'; there is keep_alarm"),
                ("schedule", "schedule: unknown option 'methode'; there is every, cron, method, argument"),
                ("both", "a schedule's `every` and `cron` exclude each other"),
                ("http.fetch", "http.fetch: options stand by name, not by a number; there is url, method, "
                               "headers, body, timeout, redirects"),
                ("json.decode", "json.decode: unknown option 'nulls'; there is null, big_numbers")):
            self.assertIn(text, self.error("CLASSERR", "DO.CALL", "Store", self.identity, "slip", function))
            self.null("DO.GET", "Store", self.identity, "k")

    def test_a_class_gets_and_deletes_many(self):
        """[14, 17]"""
        three = self.server.connect(protocol=3)
        self.null("DO.CALL", "Store", self.identity, "fill", 3)
        self.assertEqual(three.command("DO.CALL", "Store", self.identity, "get_many"), [1, True, 3])
        self.assertEqual(three.command("DO.CALL", "Store", self.identity, "deleted"),
                         [True, False, 2])

    def test_a_put_after_delete_all_survives(self):
        """[32]"""
        self.null("DO.CALL", "Store", self.identity, "fill", 5)
        self.integer(5, "DO.CALL", "Store", self.identity, "cleared_and_put")
        self.assertEqual(self.call("DO.LIST", "Store", self.identity), [b"after", b"cleared"])

    def test_a_read_sent_before_a_write_shows_the_old(self):
        """[22, 23]"""
        self.ok("DO.PUT", "Store", self.identity, "key", "old")
        for _ in range(20):
            got, listed, put, again, _ = self.connection.pipeline([
                ("DO.GET", "Store", self.identity, "key"), ("DO.LIST", "Store", self.identity),
                ("DO.PUT", "Store", self.identity, "key", "new", "more", "1"),
                ("DO.GET", "Store", self.identity, "key"),
                ("DO.IMPORT", "Store", self.identity,
                 '{"holdfast-object":1,"values":[["key","old"]]}', "REPLACE")])
            self.assertEqual((got, listed, put, again),
                             (b"old", [b"key", b"old"], b"OK", b"new"))

    def test_a_list_never_shows_half_a_batch(self):
        """[22, 28]"""
        done = threading.Event()

        def write():
            writer = self.server.connect()
            number = 0
            while not done.is_set():
                number += 1
                pairs = [part for i in range(50) for part in (f"k{i}", number)]
                self.assertEqual(writer.command("DO.PUT", "Store", self.identity, *pairs), b"OK")
        thread = threading.Thread(target=write)
        thread.start()
        try:
            seen = set()
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                values = self.call("DO.LIST", "Store", self.identity)[1::2]
                self.assertIn(len(values), (0, 50))
                self.assertLessEqual(len(set(values)), 1)
                seen.update(values)
            self.assertGreater(len(seen), 1)
        finally:
            done.set()
            thread.join()

    def test_a_transaction_commits_and_returns(self):
        """[34]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "commits"),
                         [b"returned", 1])
        self.bulk("1", "DO.GET", "Transaction", self.identity, "a")

    def test_a_transaction_rolls_back(self):
        """[35]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "rolls_back"),
                         [b"old", 1])
        self.assertEqual(self.call("DO.LIST", "Transaction", self.identity), [b"a", b"old"])

    def test_an_error_in_a_transaction_restores_and_is_passed_on(self):
        """[36]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "throws"),
                         [0, b"on purpose", b"old", b"kept"])
        self.bulk("old", "DO.GET", "Transaction", self.identity, "a")

    def test_an_outer_rollback_undoes_the_inner_commit(self):
        """[37]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "inner_then_outer"),
                         [b"old", 1])

    def test_an_inner_error_undoes_the_inner_only(self):
        """[38]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "inner_throws"),
                         [b"outer", 1])

    def test_a_first_write_rolled_back_leaves_no_object(self):
        """[39]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity,
                                   "first_ever_rolled_back"),
                         [1, 1])
        self.assertEqual(self.call("DO.OBJECTS", "Transaction", "PREFIX", self.identity), [])
        self.null("DO.GETALARM", "Transaction", self.identity)
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "commits"),
                         [b"returned", 1])

    def test_a_rollback_restores_the_alarm_too(self):
        """[39, 57]"""
        self.assertEqual(
            self.call("DO.CALL", "Transaction", self.identity, "put_and_alarm_rolled_back"),
            [b"old", 4102444800000])
        self.integer(4102444800000, "DO.GETALARM", "Transaction", self.identity)

    def test_a_list_in_a_transaction_shows_its_own(self):
        """[41]"""
        self.assertEqual(self.call("DO.CALL", "Transaction", self.identity, "lists_own"),
                         [b"b", b"c"])
        self.assertEqual(self.call("DO.LIST", "Transaction", self.identity, "KEYS"), [b"a", b"b"])

    def test_a_transaction_neither_waits_nor_deletes_all(self):
        """[34]"""
        self.assertIn("nothing can be waited for within a transaction",
                      self.error("CLASSERR", "DO.CALL", "Transaction", self.identity, "waits"))
        self.assertIn("cannot be a part of a transaction",
                      self.error("CLASSERR", "DO.CALL", "Transaction", self.identity, "clears"))


if __name__ == "__main__":
    unittest.main()
