"""Everything at once, over three workers: strings, sessions, the cache, objects that call each other,
subscribers; connections that end in every way at every point. Nobody who stays waits for ever, what was
acknowledged is there, and nothing is left behind by those who went."""

import os
import random
import socket
import struct
import threading
import time
import unittest

import harness
import resp

CLIENTS = 10
SECONDS = 60 if os.environ.get("HOLDFAST_LONG") else 4
PATIENCE_S = 120 if harness.SLOW else 30
KEYS = [b"key-%d" % number for number in range(20)]
CACHED = [b"group:%d" % number for number in range(12)]
IDS = [b"session-%017d" % number for number in range(12)]
OBJECTS = [b"object-%d" % number for number in range(10)]
COUNTERS = [b"counter-%d" % number for number in range(6)]
NO_LEASE = b"0" * 48
BIG = b"b" * 200_000

CLASS = """
local Storm = class("Storm")
function Storm:bump()
  local n = (self.storage:get("n") or 0) + 1
  self.storage:put("n", n)
  return n
end
function Storm:late(ms) sleep(tonumber(ms)) return self:bump() end
function Storm:alone(ms)
  return self:exclusive(function() sleep(tonumber(ms)) return self:bump() end)
end
function Storm:ask(depth, ...)
  local others = {...}
  if #others > 0 then objects.call("Storm", others[1], "ask", depth, table.unpack(others, 2)) end
  self.storage:put("asked", (self.storage:get("asked") or 0) + 1)
end
function Storm:fail() self:bump() error("as it was told to") end
function Storm:loud() return {string.rep("x", 100000)} end
function Storm:soon() self.storage:set_alarm(time.now() + 5) end
function Storm:alarm() self.storage:put("rang", true) end
function Storm:counted() return self.storage:get("n") or 0 end
return Storm
"""


def any_command(choose):
    """What may be refused, or wait."""
    key, cached, identity = choose.choice(KEYS), choose.choice(CACHED), choose.choice(IDS)
    one, wait = choose.choice(OBJECTS), choose.choice([0, 1, 20, 200])
    return choose.choice([
        lambda: ("SET", key, BIG if choose.random() < 0.1 else b"small"),
        lambda: ("MGET", *KEYS),
        lambda: ("MSET", *[word for name in KEYS for word in (name, b"all")]),
        lambda: ("EXISTS", *KEYS * 400),
        lambda: ("DEL", key),
        lambda: ("KEYS", "*"),
        lambda: ("PUBLISH", "channel", b"message"),
        lambda: ("CACHE.SWR", cached, "WAIT", wait, "TTL", 0.01, "LEASE", choose.choice([5, 100, 9000])),
        lambda: ("CACHE.SWR", cached, "WAIT", 10_000, "LEASE", 50),
        lambda: ("CACHE.FILL", cached, NO_LEASE, "late"),
        lambda: ("CACHE.SET", cached, "value", "TTL", 0.02, "STALE", 0.02, "TAGS", 1, "tag"),
        lambda: ("CACHE.INVALIDATE", "TAG", "tag"),
        lambda: ("CACHE.DEL", cached),
        lambda: ("CACHE.MGET", *CACHED),
        lambda: ("SESSION.SET", identity, '{"a":1}', "USER", "user", "TTL", choose.choice([1, 50])),
        lambda: ("SESSION.LEASE", identity, "p", "MS", choose.choice([5, 100, 9000]), "WAIT", wait),
        lambda: ("SESSION.LEASE", identity, "p", "MS", 50, "WAIT", 10_000),
        lambda: ("SESSION.DEL", identity),
        lambda: ("SESSION.LIST", "USER", "user"),
        lambda: ("DO.CALL", "Storm", one, "late", choose.choice([0, 1, 30])),
        lambda: ("DO.CALL", "Storm", one, "alone", choose.choice([0, 1, 30])),
        lambda: ("DO.CALL", "Storm", one, "ask", 0, *choose.sample(OBJECTS, 3)),
        lambda: ("DO.CALL", "Storm", one, "fail"),
        lambda: ("DO.CALL", "Storm", one, "loud"),
        lambda: ("DO.CALL", "Storm", one, "soon"),
        lambda: ("DO.PUT", "Storm", one, "k", "v"),
        lambda: ("DO.LIST", "Storm", one),
        lambda: ("DO.EVICT", "Storm", one),
        lambda: ("DO.DELETEALL", "Storm", one),
        lambda: ("DO.CLASS", "LOAD", "Storm", CLASS + "-- %d\n" % choose.randrange(3), "REPLACE"),
        lambda: ("INFO",),
        lambda: ("CLIENT", "LIST"),
        lambda: ("RESET",),
    ])()


class Client:
    """One thread's connections, one after the other, and what it counted."""

    def __init__(self, port, seed):
        self.port = port
        self.choose = random.Random(seed)
        self.acknowledged = dict.fromkeys(COUNTERS, 0)
        self.sent = dict.fromkeys(COUNTERS, 0)
        self.waits_for = ()
        self.failures = []
        self.connection = None

    def connect(self):
        self.connection = resp.Connection(self.port, timeout=PATIENCE_S,
                                          protocol=self.choose.choice([2, 3]))

    def count(self):
        counter = self.choose.choice(COUNTERS)
        command = self.choose.choice([("INCR", counter), ("DO.CALL", "Storm", counter, "bump")])
        return counter, command

    def talk(self):
        """A pipeline of anything, with something that is counted in between."""
        commands, counted = [], {}
        for _ in range(self.choose.choice([1, 1, 4, 30])):
            if self.choose.random() < 0.3:
                counter, command = self.count()
                counted[len(commands)] = counter
                self.sent[counter] += 1
                commands.append(command)
            else:
                commands.append(any_command(self.choose))
        data = b"".join(resp.encode(*command) for command in commands)
        if self.choose.random() < 0.3:
            self.part(data)
            return
        self.waits_for = commands[0]
        self.connection.send_bytes(data)
        for number, command in enumerate(commands):
            self.waits_for = command
            reply = self.connection.read()
            if number not in counted:
                continue
            if type(reply) is int:
                self.acknowledged[counted[number]] += 1
            elif not reply.startswith((b"OVERLOADED", b"TIMEOUT", b"CLASSERR")):
                self.failures.append((command, reply))

    def part(self, data):
        """Sends all or a part, and goes, in one of the ways there are."""
        if self.choose.random() < 0.5:
            data = data[:self.choose.randrange(len(data) + 1)]
        one = self.connection.socket
        if self.choose.random() < 0.2:
            data += resp.encode("SUBSCRIBE", "channel") + resp.encode("PSUBSCRIBE", "chan*")
        if self.choose.random() < 0.2:
            data += resp.encode("GET", KEYS[0]) * 50
        self.connection.send_bytes(data)
        if self.choose.random() < 0.5:
            time.sleep(self.choose.choice([0, 0.001, 0.02, 0.1]))
        way = self.choose.randrange(4)
        if way == 0:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif way == 1:
            one.shutdown(socket.SHUT_WR)
            time.sleep(self.choose.choice([0, 0.01, 0.05]))
        elif way == 2:
            with resp.Connection(self.port, timeout=PATIENCE_S) as other:
                other.command("CLIENT", "KILL", "LADDR", "127.0.0.1:%d" % self.port, "ADDR",
                              "%s:%d" % one.getsockname())
        self.connection.close()
        self.connect()

    def run(self, until):
        try:
            self.connect()
            while time.monotonic() < until:
                self.talk()
        except (OSError, resp.Closed) as error:
            self.failures.append((repr(error), [word[:60] for word in self.waits_for[:6]]))
        finally:
            self.connection.close()


@harness.only_holdfast
class Storm(harness.Case):
    def info(self, connection):
        lines = connection.command("INFO", "everything").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def is_calm(self, connection):
        info = self.info(connection)
        return [info[name] for name in ("connected_clients", "blocked_clients", "leases_waiting",
                                        "object_calls_waiting", "object_calls_queued")] == [
                                            "1", "0", "0", "0", "0"]

    def check(self, connection, clients):
        for counter in COUNTERS:
            done = (connection.command("INCRBY", counter, 0)
                    + connection.command("DO.CALL", "Storm", counter, "counted"))
            self.assertLessEqual(sum(client.acknowledged[counter] for client in clients), done)
            self.assertGreaterEqual(sum(client.sent[counter] for client in clients), done)

    def storm(self, **options):
        seeds = harness.seeded_random(self.id())
        self.server = harness.Server(workers=3, shards=7, checkpoint_interval=1,
                                     **options)
        self.addCleanup(self.server.close)
        self.server.start()
        connection = self.server.connect()
        connection.command("DO.CLASS", "LOAD", "Storm", CLASS)
        clients = [Client(self.server.port, seeds.random()) for _ in range(CLIENTS)]
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=client.run, args=(until,), daemon=True)
                   for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 2 * PATIENCE_S)
        self.assertEqual([client.failures for client in clients if client.failures], [])
        self.assertGreater(sum(sum(client.acknowledged.values()) for client in clients), 0)
        self.assertTrue(harness.wait_until(lambda: self.is_calm(connection), PATIENCE_S, 0.05),
                        connection.command("INFO", "everything"))
        self.check(connection, clients)
        self.server.crash()
        self.check(self.server.connect(), clients)
        self.assertEqual(self.server.stop(), 0)

    def test_those_who_stay_are_answered_and_those_who_go_leave_nothing(self):
        self.storm()

    def test_with_little_memory(self):
        self.storm(output_memory="4mb", client_output_limit="2mb", input_memory="8mb",
                   client_output_timeout=1)


if __name__ == "__main__":
    unittest.main()
