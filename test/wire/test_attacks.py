"""What once crashed the server, held it up or took memory past its bounds, on one worker and on four.
Attacks by names that meet in tables are in test_collisions, those of classes in test_objects_sandbox."""

import socket
import struct
import unittest

import harness
import object_case
import resp

MIB = 1 << 20

CALLERS = """
local Callers = class("Callers")
function Callers:ask(other, depth)
  depth = tonumber(depth)
  sleep(1)
  if depth > 0 then return objects.call("Callers", other, "ask", self.id, depth - 1) + 1 end
  return 1
end
return Callers
"""


def reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Attacks:
    def info(self, name):
        lines = self.call("INFO", "everything").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)[name]

    def nobody_waits(self):
        self.assertTrue(harness.wait_until(lambda: self.info("leases_waiting") == "0"
                                           and self.info("blocked_clients") == "0"))

    def test_a_waiter_of_several_leases_dies_while_the_holder_gives_them_up(self):
        holder = self.server.connect()
        for number in range(20 if harness.SLOW else 60):
            keys = [b"%d:%d" % (number, key) for key in range(8)]
            tokens = [holder.command("CACHE.SWR", key)[3] for key in keys]
            waiter = self.server.connect()
            waiter.send_bytes(b"".join(resp.encode("CACHE.SWR", key, "WAIT", 10000)
                                       for key in keys))
            if number % 3:
                harness.wait_until(lambda: self.info("leases_waiting") != "0", seconds=0.05)
            if number % 2:
                reset(waiter)
            else:
                self.call("CLIENT", "KILL", "ADDR", "%s:%d" % waiter.socket.getsockname())
            ends = holder.pipeline([("CACHE.FAIL", key, token) for key, token in zip(keys, tokens)])
            self.assertEqual(ends, [b"OK"] * len(keys))
            waiter.close()
        self.nobody_waits()
        self.is_undisturbed()

    def test_the_dead_wait_for_nothing(self):
        token = self.call("CACHE.SWR", "held", "LEASE", 60000)[3]
        wait = resp.encode("CACHE.SWR", "held", "WAIT", 60000)
        for number in range(75):
            one = self.server.connect()
            # No more than a connection may have under way: what is behind is not read yet.
            one.send_bytes(wait * (200 if number % 3 == 2 else 300))
            if number % 3 == 0:
                reset(one)
            elif number % 3 == 1:
                one.socket.shutdown(socket.SHUT_WR)
            else:
                one.send_bytes(resp.encode("RESET"))
        self.nobody_waits()
        self.ok("CACHE.FILL", "held", token, "value")

    def test_a_reset_connection_holds_no_lease(self):
        one = self.server.connect()
        one.command("CACHE.SWR", "given-up", "LEASE", 60000)
        one.command("RESET")
        self.assertEqual(self.call("CACHE.SWR", "given-up")[0], b"lead")

    def test_floods_of_commands_that_a_loop_runs_leave_others_their_turn(self):
        for command in (("CONFIG", "GET", "*"), ("COMMAND", "INFO", "set"), ("INFO",),
                        ("KEYS", "*a*a*a*a*[b-c]?")):
            flood = self.server.connect()
            flood.socket.setblocking(False)
            data = resp.encode(*command) * (5_000 if harness.SLOW else 50_000)
            try:
                while data:
                    data = data[flood.socket.send(data):]
            except BlockingIOError:
                pass
            self.assertEqual(self.call("PING"), b"PONG")
            self.ok("SET", "a" * 2000, "1")
            reset(flood)

    def test_replies_that_are_too_long_are_refused_before_they_are_made(self):
        self.ok("CONFIG", "SET", "client-output-limit", "32mb")
        self.addCleanup(self.call, "CONFIG", "SET", "client-output-limit", "512mb")
        value = b"v" * (4 * MIB)
        identity = self.fresh()
        for number in range(16):
            self.ok("SET", b"big%d" % number, value)
            self.ok("DO.PUT", "Plain", identity, b"big%d" % number, value)
        before = self.server.memory_bytes()
        too_long = "ERR the reply would be longer"
        keys = [b"big%d" % (number % 16) for number in range(150)]
        for command in (("MGET", *keys), ("DO.LIST", "Plain", identity),
                        ("DO.GET", "Plain", identity, *keys)):
            self.assertTrue(self.call(*command).startswith(too_long.encode()), command[0])
        if not harness.SLOW:
            self.assertLess(self.server.memory_bytes() - before, 200 * MIB)

    def test_objects_that_call_each_other_while_they_are_evicted(self):
        self.load(CALLERS, None, "REPLACE")
        pairs = [(self.fresh(), self.fresh()) for _ in range(6)]
        clients = [self.server.connect() for _ in range(12)]
        for _ in range(10):
            for number, client in enumerate(clients):
                one, other = pairs[number % 6][::1 if number < 6 else -1]
                client.send("DO.CALL", "Callers", one, "ask", other, 0 if number % 5 == 0 else 1)
            for one, other in pairs:
                self.call("DO.EVICT", "Callers", one)
                self.call("DO.EVICT", "Callers", other)
            for client in clients:
                reply = client.read()
                self.assertTrue(reply in (1, 2) or b"wait" in reply, reply)

    def test_patterns_that_fit_nearly_everywhere(self):
        texts = [b"a" * 2048, b"a" * 2000 + b"b"]
        for text in texts:
            self.ok("SET", text, "v")
        for pattern in (b"a*" * 1000 + b"c", b"?a*" * 1000 + b"c", b"*[a-z]" * 600 + b"c",
                        b"*a" * 1000 + b"*"):
            found = self.call("KEYS", pattern)
            self.assertEqual(sorted(found), sorted(texts) if pattern[-1:] == b"*" else [])


@harness.only_holdfast
class OneWorker(Attacks, object_case.ObjectTest):
    options = {"workers": 1}


@harness.only_holdfast
class FourWorkers(Attacks, object_case.ObjectTest):
    options = {"workers": 4}


if __name__ == "__main__":
    unittest.main()
