"""Concurrent calls of the same objects are linearizable, also across kill -9: every answered call
took place once, at one moment between its sending and its answer. The checker is checked first."""

import itertools
import random
import threading
import time
import unittest

import harness
import resp
from object_case import ObjectTest
from object_history import LOST, Counter, Operation, Recorder, Register, complaint

CLIENTS = 6
SECONDS = 1.5 if not harness.SLOW else 3
OPERATIONS_MAX = 700  # of one client and round: the search takes time too
CRASHES = 4

REGISTER = """
local Register = class("Register")
function Register:init() self.value = self.storage:get("value") end
function Register:set(value)
  self.value = value
  self.storage:put("value", value)
end
function Register:read() return self.value end
function Register:write(value) self:set(value) end
function Register:cas(old, new)
  if self.value ~= old then return false end
  self:set(new)
  return true
end
-- What stands between reading and writing is a wait, so this needs the gate.
function Register:slow_cas(old, new)
  return self:exclusive(function()
    local is_old = self.value == old
    sleep(0)
    if is_old then self:set(new) end
    return is_old
  end)
end
return Register
"""

COUNTER = """
local Counter = class("Counter")
function Counter:add(by)
  local n = (self.storage:get("n") or 0) + by
  self.storage:put("n", n)
  return n
end
function Counter:read() return self.storage:get("n") or 0 end
return Counter
"""

RELAY = """
local Relay = class("Relay")
function Relay:pass(class, id, method, ...) return objects.call(class, id, method, ...) end
return Relay
"""


def history(*lines):
    """From (name, arguments, result, began, ended)."""
    return [Operation("x", name, arguments, result, began, ended)
            for name, arguments, result, began, ended in lines]


def by_force(operations, model):
    """Whether some order will do, by trying them all."""
    lost = [i for i, operation in enumerate(operations) if operation.is_lost]
    for left_out in itertools.chain.from_iterable(
            itertools.combinations(lost, count) for count in range(len(lost) + 1)):
        rest = [op for i, op in enumerate(operations) if i not in left_out]
        for order in itertools.permutations(rest):
            if any(later.ended < earlier.began
                   for earlier, later in itertools.combinations(order, 2)):
                continue
            state = model.initial
            for operation in order:
                state, result = model.step(state, operation.name, operation.arguments)
                if not operation.is_lost and result != operation.result:
                    break
            else:
                return True
    return False


class Checker(unittest.TestCase):
    def good(self, operations, model):
        self.assertIsNone(complaint(operations, lambda subject: model))

    def bad(self, operations, model):
        self.assertIn("not linearizable", complaint(operations, lambda subject: model))

    def test_accepts_what_can_be_ordered(self):
        self.good([], Register)
        self.good(history(("write", (1,), None, 0, 1), ("read", (), 1, 2, 3)), Register)
        # A read beside a write sees the old or the new.
        for seen in (None, 1):
            self.good(history(("write", (1,), None, 0, 5), ("read", (), seen, 1, 2)), Register)
        self.good(history(("add", (1,), 2, 0, 5), ("add", (1,), 1, 0, 5)), Counter)
        self.good(history(("cas", (None, 1), True, 0, 5), ("cas", (None, 2), False, 0, 5)),
                  Register)

    def test_refuses_a_stale_read(self):
        self.bad(history(("write", (1,), None, 0, 1), ("read", (), None, 2, 3)), Register)
        self.bad(history(("write", (1,), None, 0, 1), ("write", (2,), None, 2, 3),
                         ("read", (), 1, 4, 5)), Register)

    def test_refuses_a_read_that_goes_back(self):
        self.bad(history(("write", (1,), None, 0, 9), ("read", (), 1, 1, 2),
                         ("read", (), None, 3, 4)), Register)

    def test_refuses_a_value_that_nobody_wrote(self):
        self.bad(history(("write", (1,), None, 0, 9), ("read", (), 2, 1, 2)), Register)

    def test_refuses_a_lost_update(self):
        self.bad(history(("add", (1,), 1, 0, 5), ("add", (1,), 1, 0, 5)), Counter)
        self.bad(history(("cas", (None, 1), True, 0, 5), ("cas", (None, 2), True, 0, 5)),
                 Register)

    def test_a_lost_answer_took_place_once_or_not_at_all(self):
        lost = ("write", (1,), LOST, 0, 4)
        self.good(history(lost, ("read", (), None, 5, 6)), Register)
        self.good(history(lost, ("read", (), 1, 5, 6)), Register)
        self.good(history(lost, ("read", (), None, 1, 2), ("read", (), 1, 3, 7)), Register)
        self.bad(history(lost, ("read", (), 1, 1, 2), ("read", (), None, 3, 5)), Register)
        # Not after the crash that it was lost in.
        self.bad(history(lost, ("read", (), None, 5, 6), ("read", (), 1, 7, 8)), Register)
        self.bad(history(("add", (5,), LOST, 0, 1), ("add", (1,), 1, 2, 3),
                         ("add", (1,), 7, 4, 5)), Counter)

    def test_agrees_with_brute_force(self):
        dice = harness.seeded_random(self.id())
        verdicts = []
        for _ in range(1500):
            operations = []
            for _ in range(dice.randint(1, 5)):
                began = dice.random()
                name = dice.choice(("read", "write", "cas"))
                arguments = {"read": (), "write": (dice.randint(1, 2),),
                             "cas": (dice.choice((None, 1, 2)), dice.randint(1, 2))}[name]
                result = {"read": dice.choice((None, 1, 2)), "write": None,
                          "cas": dice.random() < 0.5}[name]
                if dice.random() < 0.2:
                    result = LOST
                operations.append(Operation("x", name, arguments, result, began,
                                            began + dice.random() / 2))
            verdict = complaint(operations, lambda subject: Register) is None
            self.assertEqual(verdict, by_force(operations, Register),
                             "\n".join(map(str, operations)))
            verdicts.append(verdict)
        self.assertGreater(verdicts.count(True), 100)
        self.assertGreater(verdicts.count(False), 100)


class Client(threading.Thread):
    """Does random operations and notes them, until it is told to stop."""

    def __init__(self, test, number, registers, counters, dice):
        super().__init__()
        self.server = test.server
        self.number = number
        self.registers = registers
        self.counters = counters
        self.random = dice
        self.recorder = Recorder()
        self.stopping = test.stopping
        self.up = test.up
        self.written = itertools.count(1)
        self.wrong = None
        self.seen = {}  # register -> what it was last seen to hold
        self.crashes = 0

    def run(self):
        while not self.stopping.is_set():
            self.up.wait()
            operation = None
            try:
                with resp.Connection(self.server.port) as connection:
                    while not self.stopping.is_set():
                        if len(self.recorder.operations) >= OPERATIONS_MAX * (self.crashes + 1):
                            time.sleep(0.005)
                            if not self.up.is_set():
                                raise resp.Closed()
                            continue
                        operation = self.choose()
                        self.do(connection, *operation)
                        operation = None
            except (resp.Closed, OSError):
                self.crashes += 1
                # It is known to be over when the server is there again.
                while not self.up.wait(0.05) and not self.stopping.is_set():
                    pass
                if operation:
                    self.recorder.is_over(operation[0])
            except Exception as error:  # is shown by the test
                self.wrong = error
                return

    def choose(self):
        """The operation, noted as begun, the command, and how to read its reply."""
        if self.random.random() < 0.35:
            subject = self.random.choice(self.counters)
            by = self.random.randint(0, 3)
            if by == 0:
                return self.noted(subject, "read", (), self.called("Counter", subject, "read"))
            return self.noted(subject, "add", (by,),
                              ("DO.CALL", "Relay", f"relay{self.number}", "pass", "Counter",
                               subject, "add", by) if by == 3 else
                              ("DO.CALL", "Counter", subject, "add", by))
        subject = self.random.choice(self.registers)
        kind = self.random.random()
        if kind < 0.4:
            command = self.called("Register", subject, "read")
            if kind < 0.1:
                command = ("DO.GET", "Register", subject, "value")
            return self.noted(subject, "read", (), command)
        new = f"{self.number}.{next(self.written)}"
        if kind < 0.6:
            command = self.called("Register", subject, "write", new)
            if kind < 0.45:
                command = ("DO.PUT", "Register", subject, "value", new)
            return self.noted(subject, "write", (new,), command)
        old = self.seen.get(subject) or "never"
        method = "slow_cas" if kind < 0.7 else "cas"
        return self.noted(subject, "cas", (old, new), self.called("Register", subject, method,
                                                                  old, new))

    def called(self, class_name, subject, *words):
        if self.random.random() < 0.2:
            return ("DO.CALL", "Relay", f"relay{self.number}", "pass", class_name, subject, *words)
        return ("DO.CALL", class_name, subject, *words)

    def noted(self, subject, name, arguments, command):
        return self.recorder.begin(subject, name, *arguments), command

    def do(self, connection, operation, command):
        reply = connection.command(*command)
        if isinstance(reply, resp.Error):
            raise AssertionError(f"{command}: {reply.decode()}")
        result = None
        if operation.name == "cas":
            result = bool(reply)
        elif operation.name in ("read", "add") and operation.subject in self.registers:
            result = reply.decode() if isinstance(reply, bytes) else None
        elif operation.subject in self.counters:
            result = int(reply)
        self.recorder.end(operation, result)
        if operation.subject in self.registers:
            if operation.name == "read":
                self.seen[operation.subject] = result
            elif operation.name == "write" or result:
                self.seen[operation.subject] = operation.arguments[-1]
        if self.random.random() < 0.01:
            connection.command("DO.EVICT", self.random.choice(("Register", "Counter")),
                               operation.subject)


@harness.only_holdfast
class Linearizable(ObjectTest):
    def setUp(self):
        super().setUp()
        for name, source in (("Register", REGISTER), ("Counter", COUNTER), ("Relay", RELAY)):
            self.load(source, name, "REPLACE")
        self.stopping = threading.Event()
        self.up = threading.Event()
        self.up.set()
        dice = harness.seeded_random(self.id())
        self.dice = dice
        self.registers = [self.fresh("register") for _ in range(4)]
        self.counters = [self.fresh("counter") for _ in range(3)]
        self.clients = [Client(self, i, self.registers, self.counters,
                               random.Random(dice.getrandbits(64))) for i in range(CLIENTS)]

    def model(self, subject):
        return Register if subject in self.registers else Counter

    def run_clients(self, meanwhile):
        for client in self.clients:
            client.start()
        try:
            meanwhile()
        finally:
            self.stopping.set()
            self.up.set()
            for client in self.clients:
                client.join()
        for client in self.clients:
            if client.wrong:
                raise client.wrong
        return [operation for client in self.clients for operation in client.recorder.operations]

    def judge(self, operations):
        reads = sum(1 for operation in operations if operation.name == "read")
        swaps = sum(1 for operation in operations
                    if operation.name == "cas" and operation.result is True)
        self.assertGreater(reads, 100)
        self.assertGreater(swaps, 10)
        found = complaint(operations, self.model)
        self.assertIsNone(found, found)

    def test_concurrent_calls_are_linearizable(self):
        """[50]"""
        operations = self.run_clients(lambda: time.sleep(SECONDS))
        self.assertEqual([op for op in operations if op.is_lost], [])
        self.judge(operations)

    def test_calls_across_kill_9_are_linearizable(self):
        """[42, 86]"""
        def crash():
            for _ in range(CRASHES):
                time.sleep(0.2 + self.dice.random() / 3)
                self.up.clear()
                self.server.crash()
                self.up.set()
            time.sleep(0.4)
        operations = self.run_clients(crash)
        self.assertGreater(sum(1 for op in operations if op.is_lost), 0)
        self.judge(operations)


if __name__ == "__main__":
    unittest.main()
