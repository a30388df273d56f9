"""What goes wrong speaks: the log, DO.INFO and DO.ALARMS say which object, which line, which limit."""

import unittest

import harness
from object_case import ObjectTest, now_ms

FAULTY = """local Faulty = class("Faulty")

local function price(item)
  return item.price + 1
end

function Faulty:buy(item)
  local total = price(nil)
  return total
end
function Faulty:within()
  return self:exclusive(function() return self:buy() end)
end
function Faulty:loop()
  local n = 0
  while true do
    n = n + 1
  end
end
function Faulty:soft() fail("TEAPOT", "short and stout") end
function Faulty:alarm()
  if not self.storage:get("mended") then
    local t = nil
    t.x = 1
  end
end
function Faulty:mend() self.storage:put("mended", true) end
function Faulty:tick() error("no tick") end
function Faulty:every() self:schedule("poll", {every = 600, method = "tick"}) end
function Faulty:soon() self:schedule("poll", {every = 0.2, method = "tick"}) end
function Faulty:tell() log("sold", {name = "pear", prices = {1, 2}}) end
function Faulty:fetch(url) return {http.fetch{url = url}} end
return Faulty
"""


@harness.only_holdfast
class Reports(ObjectTest):
    options = {"turn_instructions": "100000"}

    def setUp(self):
        super().setUp()
        self.load(FAULTY, "Faulty", "REPLACE")
        self.faulty = self.fresh("it's")

    def log(self):
        return self.server.log(100000)

    def shown(self):
        """Its name as the log has it."""
        return "Faulty '" + self.faulty.replace("'", "\\x27") + "'"

    def line(self, *parts):
        """The first line of the log that has all of them, when it has come."""
        def found():
            return [line for line in self.log().splitlines() if all(part in line for part in parts)]
        self.soon(found)
        return found()[0]

    def fail_call(self, method, *words):
        return self.error("CLASSERR", "DO.CALL", "Faulty", self.faulty, method, *words)

    def test_an_error_has_its_traceback_in_the_log(self):
        self.assertIn("Faulty:4: attempt to index a nil value", self.fail_call("buy"))
        line = self.line(self.shown(), "Faulty:4:", "traceback")
        self.assertRegex(line, r"traceback: Faulty:4 in \w+ 'price', Faulty:8 in the function of line 7")

    def test_within_exclusive_too(self):
        self.fail_call("within")
        line = self.line(self.shown(), "traceback")
        self.assertIn("Faulty:4:", line)
        self.assertIn("Faulty:12", line.split("traceback")[1])

    def test_what_a_class_raises_for_its_clients_is_not_logged(self):
        self.fails("TEAPOT short and stout", "DO.CALL", "Faulty", self.faulty, "soft")
        self.fail_call("buy")
        self.line(self.shown(), "Faulty:4:")
        self.assertNotIn("TEAPOT", self.log())

    def test_a_flood_is_summed_up(self):
        other = FAULTY.replace('"Faulty"', '"Flood"')
        self.load(other, "Flood", "REPLACE")
        for _ in range(500):
            self.error("CLASSERR", "DO.CALL", "Flood", self.faulty, "buy")
        lines = [line for line in self.log().splitlines() if "Flood '" in line]
        self.assertGreaterEqual(len(lines), 20)
        self.assertLess(len(lines), 500)

    def test_a_timeout_names_line_and_limit(self):
        text = self.error("TIMEOUT", "DO.CALL", "Faulty", self.faulty, "loop")
        self.assertRegex(text, r"^TIMEOUT Faulty.loop took more than turn-instructions \(100000\) "
                               r"at Faulty:1[67]$")
        self.assertRegex(self.line(self.shown(), "TIMEOUT"), r"traceback: Faulty:1[67]")

    def test_a_source_that_loops_names_line_and_limit(self):
        text = self.error("BADCLASS", "DO.CLASS", "LOAD", "Looping", "\n\nwhile true do end")
        self.assertIn("the source ran too long while it was loaded, at Looping:3: "
                      "turn-instructions is 100000", text)

    def test_a_failing_alarm_speaks_until_it_goes_well(self):
        self.call("DO.SETALARM", "Faulty", self.faulty, 1)
        error = "CLASSERR Faulty.alarm: Faulty:24: attempt to index a nil value"
        line = self.line("alarm of " + self.shown(), "failed, try 1")
        self.assertIn(error, line)
        self.assertRegex(line, r"it runs again in [23] s")
        self.assertIn("traceback", self.line(self.shown() + ": CLASSERR", "Faulty:24"))
        entry = [a for a in self.alarms("Faulty") if a["id"] == self.faulty.encode()][0]
        self.assertIn(error.encode(), entry["error"])
        self.assertEqual(entry["retries"], 1)
        failing = self.info("Faulty", self.faulty)["failing"]
        self.assertEqual(len(failing), 1)
        self.assertIn(b"alarm, 1 failed: " + error.encode(), failing[0])
        # It is on disk.
        self.server.crash()
        self.reconnect()
        self.assertEqual(len(self.info("Faulty", self.faulty)["failing"]), 1)
        self.call("DO.CALL", "Faulty", self.faulty, "mend")
        self.integer(1, "DO.RUNALARM", "Faulty", self.faulty)
        self.assertEqual(self.info("Faulty", self.faulty)["failing"], [])
        self.assertEqual([a for a in self.alarms("Faulty") if a["id"] == self.faulty.encode()], [])

    def test_a_failing_schedule_speaks(self):
        self.call("DO.CALL", "Faulty", self.faulty, "soon")
        self.line("schedule poll of " + self.shown(), "no tick")
        self.soon(lambda: self.info("Faulty", self.faulty)["failing"])
        failing = self.info("Faulty", self.faulty)["failing"]
        self.assertIn(b"schedule poll, ", failing[0])
        self.assertIn(b"Faulty:28: no tick", failing[0])
        entry = [a for a in self.alarms("Faulty") if a["id"] == self.faulty.encode()][0]
        self.assertIn(b"Faulty:28: no tick", entry["error"])
        self.call("DO.DELETEALL", "Faulty", self.faulty)

    def test_an_alarm_whose_class_has_lost_its_method_speaks(self):
        self.call("DO.CLASS", "LOAD", "Gone", FAULTY.replace('"Faulty"', '"Gone"'))
        self.call("DO.SETALARM", "Gone", self.faulty, now_ms() + 1000)
        self.call("DO.CLASS", "LOAD", "Gone", "REPLACE", 'local G = class("Gone") return G')
        self.assertIn("it is given up", self.line("alarm of Gone '", "has no method 'alarm'"))

    def test_a_refused_fetch_is_logged_once_a_host(self):
        for path in ("a", "b", "c"):
            for host in ("one.invalid", "two.invalid"):
                reply = self.call("DO.CALL", "Faulty", self.faulty, "fetch",
                                  f"http://{host}/{path}")
                self.assertIn(b"FORBIDDEN", reply)
        for host in ("one.invalid", "two.invalid"):
            lines = [line for line in self.log().splitlines()
                     if "http.fetch of" in line and host in line]
            self.assertEqual(len(lines), 1, lines)
            self.assertIn("fetch-allow", lines[0])
            self.assertIn(self.shown(), lines[0])

    def test_log_names_the_object_and_shows_tables(self):
        self.call("DO.CALL", "Faulty", self.faulty, "tell")
        self.assertIn("sold {", self.line(self.shown() + ": sold"))
        line = self.line(self.shown() + ": sold")
        self.assertIn('name = "pear"', line)
        self.assertIn("prices = {1, 2}", line)


if __name__ == "__main__":
    unittest.main()
