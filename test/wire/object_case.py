"""What the tests of objects share: a server, fresh ids, classes that are loaded by the way, and a
server whose wall clock is not ours."""

import contextlib
import functools
import itertools
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import harness
import resp

DAY_MS = 86_400_000
RETRIES = 6  # of a failing alarm, before it is given up
RETRY_FIRST_MS = 2000  # doubled each time, plus up to a quarter

numbers = itertools.count(1)


def now_ms():
    return time.time_ns() // 1_000_000


def as_map(reply):
    """A RESP2 map as a dictionary of texts."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2])}


def shard_of(identity, shards=16):
    """The shard of an id that has no hash tag: CRC16 (XMODEM) of its bytes modulo the slots."""
    crc = 0
    for byte in resp.to_bytes(identity):
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % 16384 * shards // 16384


# Stores and returns a value of each type.
VALUES = """
local Values = class("Values")

local samples = {
  text = "plain", empty = "", binary = "a\\0\\r\\n\\255b",
  zero = 0, integer = 42, negative = -7,
  least = math.mininteger, most = math.maxinteger,
  float = 1.5, whole = 3.0, tiny = 5e-324, huge = 1e308, third = 1 / 3,
  infinite = math.huge, minus_infinite = -math.huge,
  yes = true, no = false,
  sequence = {1, 2.5, "three", true, {4}},
  map = {b = 2, a = "one", c = {x = 1.0}},
  mixed = {"first", "second", name = "both", [10] = "ten"},
  none = {},
}

function Values:store() self.storage:put(samples) end
function Values:nan() self.storage:put("nan", 0 / 0) return self.storage:get("nan") end

-- Type and value of each key after a round trip, and whether they are what was put.
function Values:same()
  local function equal(a, b)
    if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end
    if type(a) ~= "table" then return a == b end
    for key, value in pairs(a) do if not equal(value, b[key]) then return false end end
    for key in pairs(b) do if a[key] == nil then return false end end
    return true
  end
  local wrong = {}
  for key, value in pairs(samples) do
    if not equal(value, self.storage:get(key)) then wrong[#wrong + 1] = key end
  end
  return wrong
end

function Values:give(key) return samples[key] end
function Values:give_nothing() end
function Values:give_nil() return nil end
function Values:give_two() return 1, 2 end
function Values:give_nan() return 0 / 0 end

function Values:raw(key, value) self.storage:put(key, value) end
function Values:kind(key)
  local value = self.storage:get(key)
  return math.type(value) or type(value)
end
return Values
"""


class ObjectTest(harness.WireTest):
    """FLUSHALL leaves objects alone, so each test takes ids that nobody had."""

    def fresh(self, prefix="object"):
        return f"{prefix}-{self._testMethodName[:40]}-{next(numbers)}"

    def reconnect(self):
        """After a restart of the server."""
        self.connection = self.server.connect()
        self.call = self.connection.command

    def load(self, source, name=None, *options):
        """The version. The name is the one that the source gives to class()."""
        name = name or source.split('class("')[1].split('"')[0]
        version = self.call("DO.CLASS", "LOAD", name, source, *options)
        self.assertIs(type(version), int, version)
        return version

    def error(self, code, *command):
        """The text of an error that starts with this code word."""
        reply = self.call(*command)
        self.assertIsInstance(reply, resp.Error, (command, reply))
        self.assertEqual(reply.split(b" ")[0].decode(), code, (command, reply))
        return reply.decode()

    def is_null(self, reply):
        self.assertIsInstance(reply, resp.Null)

    def is_not_null(self, reply):
        self.assertNotIsInstance(reply, resp.Null)

    def info(self, *which):
        return as_map(self.call("DO.INFO", *which))

    def alarms(self, class_name, *options):
        return [as_map(entry) for entry in self.call("DO.ALARMS", class_name, *options)]

    def soon(self, condition, seconds=20):
        """Fails unless the condition comes to hold."""
        self.assertTrue(harness.wait_until(condition, seconds), "it did not come to hold")

    def in_threads(self, count, work):
        """Runs work(number) in threads of their own and tells what each returned."""
        results = [None] * count

        def run(number):
            results[number] = work(number)
        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


SHIFT_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *out)
{
	static int (*next)(clockid_t, struct timespec *);
	static long seconds;
	if (!next) {
		const char *text = getenv("SHIFT_CLOCK_SECONDS");
		seconds = text ? atol(text) : 0;
		next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	}
	int result = next(clock, out);
	if (clock == CLOCK_REALTIME)
		out->tv_sec += seconds;
	return result;
}
"""


@functools.cache
def shift_library():
    """A library in front of libc's; the directory that it is in, which must stay."""
    directory = tempfile.TemporaryDirectory(prefix="holdfast-clock-")
    source = pathlib.Path(directory.name) / "shift.c"
    source.write_text(SHIFT_SOURCE)
    library = source.with_suffix(".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library, directory


@contextlib.contextmanager
def ahead(seconds):
    """Servers started within see a wall clock that is so far ahead. What lies days ahead is tested
    by a restart, not by waiting."""
    changed = {
        "LD_PRELOAD": str(shift_library()[0]),
        "SHIFT_CLOCK_SECONDS": str(int(seconds)),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
