"""Classes that are loaded, replaced and dropped while their objects are at work."""

import threading
import unittest

import harness
import resp
from object_case import ObjectTest


def version(number, extra=""):
    return f"""
local Versioned = class("Versioned")
function Versioned:which() self.seen = (self.seen or 0) + 1 return "{number}" end
function Versioned:seen_so_far() return self.seen end
function Versioned:nap(ms) sleep(tonumber(ms)) return self:which() end
{extra}
return Versioned
"""


@harness.only_holdfast
class Classes(ObjectTest):
    def test_running_turns_end_on_the_old_version(self):
        identity, other = self.fresh(), self.server.connect()
        first = self.load(version("one"), None, "REPLACE")
        self.bulk("one", "DO.CALL", "Versioned", identity, "which")
        other.send("DO.CALL", "Versioned", identity, "nap", 600)
        self.soon(lambda: self.info("Versioned", identity)["waiting"] == 1)
        self.assertEqual(self.load(version("two"), None, "REPLACE"), first + 1)
        late = self.server.connect()
        late.send("DO.CALL", "Versioned", identity, "which")
        self.bulk("two", "DO.CALL", "Versioned", self.fresh(), "which")
        self.assertEqual(other.read(), b"one")
        self.assertEqual(late.read(), b"two")
        self.integer(1, "DO.CALL", "Versioned", identity, "seen_so_far")
        self.assertEqual(self.info("Versioned")["version"], first + 1)

    def test_every_worker_has_the_new_version_at_once(self):
        ids = [self.fresh() for _ in range(48)]
        for number in range(10):
            self.load(version(f"v{number}"), None, "REPLACE")
            replies = self.connection.pipeline(
                [("DO.CALL", "Versioned", identity, "which") for identity in ids])
            self.assertEqual(set(replies), {b"v%d" % number})

    def test_calls_under_way_are_answered_by_one_version_or_the_other(self):
        self.load(version("0"), None, "REPLACE")
        done = threading.Event()

        def ask(number):
            seen = []
            with resp.Connection(self.server.port) as connection:
                while not done.is_set():
                    seen.append(connection.command("DO.CALL", "Versioned", f"hot{number}", "which"))
            return seen
        results = []
        thread = threading.Thread(target=lambda: results.extend(self.in_threads(4, ask)))
        thread.start()
        for number in range(1, 30):
            self.load(version(str(number)), None, "REPLACE")
        done.set()
        thread.join()
        for seen in results:
            numbers = [int(text) for text in seen]
            self.assertEqual(numbers, sorted(numbers))

    def test_a_source_that_is_wrong_replaces_nothing(self):
        self.load(version("good"), None, "REPLACE")
        before = self.info("Versioned")["version"]
        for bad, hint in (("not lua", "Versioned:1:"), ("return 5", "does not return a class"),
                          ("error('raised')", "raised"), ("while true do end", "ran too long"),
                          ("local x = class('Other') return x", "'Other', not 'Versioned'"),
                          ("sleep(5)", ""), ("", "does not return a class"),
                          ("\x1bLua", "")):
            text = self.error("BADCLASS", "DO.CLASS", "LOAD", "Versioned", bad, "REPLACE")
            self.assertIn(hint, text)
        self.assertEqual(self.info("Versioned")["version"], before)
        self.bulk("good", "DO.CALL", "Versioned", self.fresh(), "which")

    def test_classes_are_listed_shown_and_dropped(self):
        source = version("listed").replace("Versioned", "Listed")
        self.load(source)
        listed = {entry["name"]: entry for entry in
                  (dict(zip((n.decode() for n in e[::2]), e[1::2]))
                   for e in self.call("DO.CLASS", "LIST"))}
        entry = listed[b"Listed"]
        self.assertEqual((entry["version"], entry["bytes"], entry["from"]),
                         (1, len(source), b"command"))
        self.assertEqual(len(entry["sha256"]), 64)
        self.bulk(source, "DO.CLASS", "SOURCE", "Listed")
        self.fails("CLASSEXISTS class 'Listed' is loaded; REPLACE replaces it",
                   "DO.CLASS", "LOAD", "Listed", source)
        identity = self.fresh()
        self.ok("DO.PUT", "Listed", identity, "k", "v")
        self.fails("CLASSINUSE class 'Listed' has objects; delete them first",
                   "DO.CLASS", "DROP", "Listed")
        self.bulk("listed", "DO.CALL", "Listed", identity, "which")
        self.integer(1, "DO.DELETEALL", "Listed", identity)
        self.ok("DO.CLASS", "DROP", "Listed")
        for command in (("DO.CALL", "Listed", identity, "which"), ("DO.CLASS", "SOURCE", "Listed"),
                        ("DO.CLASS", "DROP", "Listed"), ("DO.WAKE", "Listed", "which"),
                        ("DO.SETALARM", "Listed", identity, 5)):
            self.fails("NOCLASS class 'Listed' is not loaded", *command)
        self.server.crash()
        self.reconnect()
        self.fails("NOCLASS class 'Listed' is not loaded", "DO.CLASS", "SOURCE", "Listed")

    def test_a_class_survives_a_crash(self):
        self.load(version("first").replace("Versioned", "Durable"))
        self.load(version("second").replace("Versioned", "Durable"), None, "REPLACE")
        self.server.crash()
        self.reconnect()
        self.bulk("second", "DO.CALL", "Durable", self.fresh(), "which")
        self.assertEqual(self.info("Durable")["version"], 2)


if __name__ == "__main__":
    unittest.main()
