"""Histories of concurrent operations on objects, and whether they are linearizable.

A history is a list of operations, each with the moments (of one monotonic clock) between which it
took place. It is linearizable when every operation can be given a moment of its own within its
time, so that one after the other in that order they give the results that were seen. An operation
whose answer was lost took place within its time or not at all.

The search is Wing's and Gong's, with Lowe's memory of what has been tried: depth first over sets of
operations that have taken place and the state they led to. Objects share nothing, so the history of
each is judged alone.
"""

import dataclasses
import math
import time

LOST = object()  # the result of an operation that was not answered


@dataclasses.dataclass
class Operation:
    subject: str  # the object
    name: str
    arguments: tuple
    result: object
    began: float
    ended: float

    @property
    def is_lost(self):
        return self.result is LOST

    def __str__(self):
        result = "lost" if self.is_lost else repr(self.result)
        return (f"{self.began:.6f}-{self.ended:.6f} {self.subject} {self.name}{self.arguments} "
                f"-> {result}")


class Register:
    """A value that is read, written, and written if it is what one thinks."""

    initial = None

    @staticmethod
    def step(state, name, arguments):
        """The state afterwards and the result."""
        if name == "read":
            return state, state
        if name == "write":
            return arguments[0], None
        old, new = arguments
        return (new, True) if state == old else (state, False)


class Counter:
    initial = 0

    @staticmethod
    def step(state, name, arguments):
        if name == "read":
            return state, state
        return state + arguments[0], state + arguments[0]


class Recorder:
    """Notes operations as they are done; one for each thread."""

    def __init__(self, clock=time.monotonic):
        self.clock = clock
        self.operations = []

    def begin(self, subject, name, *arguments):
        operation = Operation(subject, name, arguments, LOST, self.clock(), math.inf)
        self.operations.append(operation)
        return operation

    def end(self, operation, result):
        operation.ended = self.clock()
        operation.result = result

    def is_over(self, operation):
        """It was not answered and cannot take place any more."""
        operation.ended = self.clock()


def complaint(operations, models):
    """None when the history is linearizable, else which object's is not and where the search ended.
    `models` gives the model of a subject."""
    by_subject = {}
    for operation in operations:
        by_subject.setdefault(operation.subject, []).append(operation)
    for subject, own in by_subject.items():
        failed = complaint_of_one(own, models(subject))
        if failed:
            return failed
    return None


def complaint_of_one(operations, model):
    operations = sorted(operations, key=lambda operation: operation.began)
    wanted = sum(1 << i for i, operation in enumerate(operations) if not operation.is_lost)
    stack = [(0, model.initial)]
    tried = set(stack)
    furthest = 0
    while stack:
        done, state = stack.pop()
        if done & wanted == wanted:
            return None
        if (done & wanted).bit_count() > (furthest & wanted).bit_count():
            furthest = done
        for i in next_ones(operations, done):
            operation = operations[i]
            after, result = model.step(state, operation.name, operation.arguments)
            if not operation.is_lost and result != operation.result:
                continue
            step = (done | 1 << i, after)
            if step not in tried:
                tried.add(step)
                stack.append(step)
    return describe(operations, furthest)


def next_ones(operations, done):
    """Those that may take place next: begun before any other that has not taken place ended."""
    latest = operations[done.bit_length() - 1].began if done else -math.inf
    first = (~done & done + 1).bit_length() - 1
    bound = math.inf
    found = []
    for i in range(first, len(operations)):
        operation = operations[i]
        if operation.began > bound:
            break
        if done >> i & 1:
            continue
        if not operation.is_lost:
            bound = min(bound, operation.ended)
        elif operation.ended < latest:
            continue  # too late for it
        found.append(i)
    return [i for i in found if operations[i].began <= bound]


def describe(operations, done):
    waiting = next_ones(operations, done)
    before = [i for i in range(len(operations)) if done >> i & 1][-5:]
    lines = ["not linearizable; before:"]
    lines += [f"  {operations[i]}" for i in before]
    lines.append("then none of these fits:")
    lines += [f"  {operations[i]}" for i in waiting]
    return "\n".join(lines)
