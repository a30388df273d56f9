"""Classes that are loaded, replaced and dropped while their objects are at work."""

import os
import re
import shutil
import signal
import subprocess
import threading
import unittest

import harness
import resp
from object_case import ObjectTest, as_map


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

    def test_few_versions_may_have_calls_that_wait(self):
        tag = "{" + self.fresh() + "}"  # all on one worker
        others = []
        for number in range(self.server.options.get("workers", 8) + 8):
            reply = self.call("DO.CLASS", "LOAD", "Versioned", version(str(number)), "REPLACE")
            if isinstance(reply, resp.Error):
                break
            others.append(self.server.connect())
            others[-1].send("DO.CALL", "Versioned", f"{tag}{number}", "nap", 4000)
            self.soon(lambda: self.info("Versioned")["waiting"] == len(others))
        self.assertRegex(reply, rb"^CLASSBUSY calls still wait in \d versions of class 'Versioned';")
        self.assertGreaterEqual(len(others), 5)
        for number, other in enumerate(others):
            self.assertEqual(other.read(), b"%d" % number)
        self.soon(lambda: isinstance(
            self.call("DO.CLASS", "LOAD", "Versioned", version("new"), "REPLACE"), int))
        self.bulk("new", "DO.CALL", "Versioned", f"{tag}new", "which")

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

    def test_replace_may_stand_before_the_source(self):
        """redis-cli -x DO.CLASS LOAD Piped REPLACE puts the source last."""
        piped = version("first").replace("Versioned", "Piped")
        self.integer(1, "DO.CLASS", "LOAD", "Piped", "REPLACE", piped)
        again = version("second").replace("Versioned", "Piped")
        self.integer(2, "DO.CLASS", "LOAD", "Piped", "replace", again)
        self.bulk("second", "DO.CALL", "Piped", self.fresh(), "which")
        self.misfits("DO.CLASS", "LOAD", "Piped", "RENEW", piped)
        cli = shutil.which("redis-cli")
        if cli:
            done = subprocess.run([cli, "-p", str(self.server.port), "-x", "DO.CLASS", "LOAD",
                                   "Piped", "REPLACE"], input=piped.encode(),
                                  stdout=subprocess.PIPE, timeout=30, check=True)
            self.assertEqual(done.stdout.strip(), b"3")

    def test_a_class_survives_a_crash(self):
        self.load(version("first").replace("Versioned", "Durable"))
        self.load(version("second").replace("Versioned", "Durable"), None, "REPLACE")
        self.server.crash()
        self.reconnect()
        self.bulk("second", "DO.CALL", "Durable", self.fresh(), "which")
        self.assertEqual(self.info("Durable")["version"], 2)


@harness.only_holdfast
class Files(ObjectTest):
    """Classes that come from class-dir, and which of a file and a load holds."""

    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)
        self.directory = os.path.join(self.server.directory, "classes")
        os.mkdir(self.directory)
        self.server.options["class_dir"] = self.directory
        self.write("Shop", "file 1")
        self.server.start()
        self.reconnect()

    @classmethod
    def setUpClass(cls):
        pass

    def path(self, name):
        return os.path.join(self.directory, name + ".lua")

    def write(self, name, text, source=None):
        """As deployments do: a new file in place of the old one."""
        with open(self.path(name) + ".new", "w") as file:
            file.write(source or version(text).replace("Versioned", name))
        os.rename(self.path(name) + ".new", self.path(name))

    def load(self, text, name="Shop"):
        return super().load(version(text).replace("Versioned", name), name, "REPLACE")

    def holds(self, text, name="Shop"):
        self.bulk(text, "DO.CALL", name, "a", "which")

    def entry(self, name="Shop"):
        return {entry["name"]: entry for entry in
                map(as_map, self.call("DO.CLASS", "LIST"))}[name.encode()]

    def hang_up(self):
        """Returns when the server has dealt with the signal."""
        said = self.server.log(10000).count("SIGHUP: the log file")
        self.server.process.send_signal(signal.SIGHUP)
        self.soon(lambda: self.server.log(10000).count("SIGHUP: the log file") > said)
        self.call("DO.CLASS", "LIST")

    def test_reload_takes_a_file_that_a_load_hid(self):
        self.holds("file 1")
        self.assertEqual(self.entry()["from"], b"file")
        self.assertEqual(self.entry()["file"].decode(), self.path("Shop"))
        self.load("loaded")
        self.holds("loaded")
        self.assertEqual(self.entry()["from"], b"command")
        self.assertEqual(self.entry()["file"].decode(), self.path("Shop"))
        self.assertEqual(self.call("DO.CLASS", "RELOAD", "Shop"), [b"Shop"])
        self.holds("file 1")
        self.assertEqual(self.entry()["from"], b"file")
        self.assertEqual(self.call("DO.CLASS", "RELOAD", "Shop"), [])
        self.server.crash()
        self.reconnect()
        self.holds("file 1")

    def test_reload_takes_all_files_that_have_changed_and_new_ones(self):
        self.write("Shop", "file 2")
        self.write("Till", "till")
        self.assertEqual(self.call("DO.CLASS", "RELOAD"), [b"Shop", b"Till"])
        self.holds("file 2")
        self.holds("till", "Till")
        self.assertIn("class Shop: taken from", self.server.log())

    def test_a_file_that_does_not_compile_changes_nothing(self):
        self.write("Other", "other")
        self.write("Shop", None, "local Shop = class('Shop')\nfunction Shop:which( return")
        text = self.error("BADCLASS", "DO.CLASS", "RELOAD")
        self.assertIn("Shop.lua: Shop:2:", text)
        self.assertIn("all classes stay as they are", text)
        self.holds("file 1")
        self.fails("NOCLASS class 'Other' is not loaded", "DO.CALL", "Other", "a", "which")
        self.hang_up()
        self.soon(lambda: "SIGHUP: BADCLASS" in self.server.log())
        self.assertIn("Shop.lua: Shop:2:", self.server.log())
        self.holds("file 1")
        # One that is sound may be taken by itself.
        self.assertEqual(self.call("DO.CLASS", "RELOAD", "Other"), [b"Other"])
        self.holds("other", "Other")

    def test_reload_says_what_it_cannot_take(self):
        self.assertIn("Nothing.lua: No such file or directory",
                      self.error("BADCLASS", "DO.CLASS", "RELOAD", "Nothing"))
        self.error("ERR", "DO.CLASS", "RELOAD", "../x")
        self.misfits("DO.CLASS", "RELOAD", "Shop", "Shop")

    def test_a_signal_takes_what_came_later_than_a_load(self):
        self.write("Shop", "file 2")
        self.hang_up()
        self.soon(lambda: self.call("DO.CALL", "Shop", "a", "which") == b"file 2")
        self.load("loaded")
        self.hang_up()
        self.holds("loaded")
        self.write("Shop", "file 3")
        self.hang_up()
        self.soon(lambda: self.call("DO.CALL", "Shop", "a", "which") == b"file 3")

    def test_a_start_takes_what_came_later_than_a_load(self):
        self.load("loaded")
        self.server.restart()
        self.reconnect()
        self.holds("loaded")
        self.assertEqual(self.entry()["file"].decode(), self.path("Shop"))
        self.server.stop()
        self.write("Shop", "file 2")
        self.server.start()
        self.reconnect()
        self.holds("file 2")
        self.server.restart()
        self.reconnect()
        self.holds("file 2")

    def test_a_stored_class_goes_on_beside_a_broken_file(self):
        self.load("loaded")
        self.server.stop()
        self.write("Shop", None, "not lua")
        self.server.start()
        self.reconnect()
        self.holds("loaded")
        self.assertIn("Shop.lua: Shop:1:", self.server.log())

    def test_a_class_is_dropped_after_its_file(self):
        self.assertIn(self.path("Shop"), self.error("CLASSFILE", "DO.CLASS", "DROP", "Shop"))
        os.remove(self.path("Shop"))
        self.assertEqual(self.call("DO.CLASS", "RELOAD"), [])
        self.holds("file 1")
        self.call("DO.DELETEALL", "Shop", "a")
        self.ok("DO.CLASS", "DROP", "Shop")

    def test_the_conversion_of_the_readme_converts(self):
        readme = (harness.ROOT / "README.md").read_text()
        conversion = re.search(r"```lua\n(function Shop:init\(\).*?)```", readme, re.S).group(1)
        frame = 'local Shop = class("Shop")\n%s\n' \
                "function Shop:touch() end\nreturn Shop\n"
        self.write("Shop", None, frame % """function Shop:add(key, value)
  self.storage:put("item:" .. key, value)
end""")
        self.call("DO.CLASS", "RELOAD")
        self.call("DO.CALL", "Shop", "corner", "add", "a", "pears, 12")
        self.write("Shop", None, frame % (conversion + """
function Shop:item(key)
  local item = self.storage:get("item:" .. key)
  return item.name .. " " .. item.price
end"""))
        self.call("DO.CLASS", "RELOAD")
        self.bulk("pears 12", "DO.CALL", "Shop", "corner", "item", "a")
        self.call("DO.EVICT", "Shop", "corner")
        self.bulk("pears 12", "DO.CALL", "Shop", "corner", "item", "a")
        self.bulk("2", "DO.GET", "Shop", "corner", "version")

    def test_objects_keep_their_data_and_take_the_new_code(self):
        keeper = """
local Shop = class("Shop")
function Shop:set(value) self.storage:put("v", value) return %d end
function Shop:get() return self.storage:get("v") end
return Shop
"""
        self.write("Shop", None, keeper % 1)
        self.call("DO.CLASS", "RELOAD")
        self.integer(1, "DO.CALL", "Shop", "a", "set", "kept")
        self.write("Shop", None, keeper % 2)
        self.call("DO.CLASS", "RELOAD")
        self.bulk("kept", "DO.CALL", "Shop", "a", "get")
        self.integer(2, "DO.CALL", "Shop", "a", "set", "other")


@harness.only_holdfast
class WithoutFiles(ObjectTest):
    def test_reload_needs_a_directory(self):
        self.fails("ERR class-dir is not set: it names the directory of the files that RELOAD "
                   "takes", "DO.CLASS", "RELOAD")


class TestOption(unittest.TestCase):
    """holdfast-server --test, seen from a shell."""

    def run_server(self, *words):
        return subprocess.run([harness.PROGRAM, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, text=True)

    @harness.only_holdfast
    def test_without_tests_is_an_error(self):
        counter = str(harness.ROOT / "conf" / "classes" / "Counter.lua")
        for words in ((), (counter,), ("--port", "7000")):
            done = self.run_server("--test", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage: holdfast-server --test", done.stderr)
        done = self.run_server("--test", counter, "/nowhere/X_test.lua")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/X_test.lua", done.stdout)

    @harness.only_holdfast
    def test_a_slip_in_an_answer_to_a_fetch_is_named(self):
        path = os.path.join(harness.tempfile.mkdtemp(prefix="holdfast-wire-"), "Asker")
        with open(path + ".lua", "w") as file:
            file.write('local Asker = class("Asker")\nfunction Asker:ask()\n'
                       '  local _, message = http.fetch{url = "http://a/"}\n  return message\nend\n'
                       'return Asker\n')
        with open(path + "_test.lua", "w") as file:
            file.write('test("slip", function()\n  fetch(function() return {statsu = 404} end)\n'
                       '  equal(call("Asker", "a", "ask"), "an answer")\nend)\n')
        done = self.run_server("--test", path + ".lua", path + "_test.lua")
        self.assertIn("fetch: unknown option 'statsu'; there is status, headers, body, delay", done.stdout)
        shutil.rmtree(os.path.dirname(path))

    @harness.only_holdfast
    def test_files_without_a_test_are_an_error(self):
        path = os.path.join(harness.tempfile.mkdtemp(prefix="holdfast-wire-"), "Empty_test.lua")
        with open(path, "w") as file:
            file.write("-- nothing yet\n")
        done = self.run_server("--test", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no test", done.stdout)
        shutil.rmtree(os.path.dirname(path))


if __name__ == "__main__":
    unittest.main()
