"""The same long random dialogue with Redis and with Holdfast, reply for reply, byte for byte.

Options are combined at will, sensible or not, and arguments are numbers, texts and nonsense, so
that errors are compared as well as answers. What depends on chance or on the very millisecond is
compared by what it means: listings as sets, lives within a second. Now and then both databases are
compared as a whole; now and then Holdfast is stopped or killed, and has to come back as it was."""

import unittest

import harness
import resp

COMMANDS = 4000 if harness.SLOW else 40000
BATCH = 40
DATABASES = 3
KEYS = [b"a", b"b", b"c", b"counter", b"float", b"{tag}1", b"{tag}2", b"", b"\x00\xff\r\n",
        b"k" * 300, b"k" * 2048]
NUMBERS = [b"0", b"1", b"-1", b"2", b"5", b"10", b"-3", b"100", b"007", b"+1", b" 1", b"1 ", b"-0",
           b"", b"abc", b"1.5", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775808", b"-9223372036854775809", b"4611686018427387904",
           b"9223372036854775", b"9223372036854776", b"-9223372036854775", b"-9223372036854776",
           b"2147483648", b"-2147483649", b"1\x00"]
FLOATS = [b"0", b"1.5", b"-1.5", b"3.0e3", b"1e-7", b"-0", b"0.1", b"10.5", b"5.0e200", b"1e4000",
          b"-1e4000", b"1.1897314953572317650e4932", b"inf", b"-inf", b"+inf", b"Infinity", b"nan",
          b"abc", b"", b" 1", b"1 ", b"0x10", b"0x1p3", b"1e", b".5", b"5.", b"1e5000", b"1e-5000",
          b"1e-4940", b"-1e-5000", b"1.2\x00", b"+1", b"3.14159265358979323846264338327950288"]
VALUES = [b"", b"x", b"value", b"\x00\x01\r\n$3\r\n", b"v" * 44, b"v" * 45, b"v" * 5000, b"12",
          b"-7", b"3.25", b"12345678901234567890", b"123456789012345678901"]
WORDS = [b"NX", b"XX", b"GT", b"LT", b"GET", b"KEEPTTL", b"PERSIST", b"EX", b"PX", b"EXAT", b"PXAT",
         b"REPLACE", b"DB", b"SYNC", b"ASYNC", b"MATCH", b"COUNT", b"TYPE", b"FOO", b"nx", b""]
FAR_MS = 4102444800000  # 2100-01-01


class Talker:
    """Makes random commands: each with the way its replies are to be compared."""

    def __init__(self, random):
        self.random = random

    def pick(self, *choices):
        return self.random.choice(choices)

    def key(self):
        return self.random.choice(KEYS)

    def keys(self, most=4):
        return [self.key() for _ in range(self.random.randint(1, most))]

    def value(self):
        return self.random.choice(VALUES + NUMBERS[:8] + FLOATS[:4])

    def number(self):
        if self.random.random() < 0.5:
            return b"%d" % self.random.randint(-20, 20)
        return self.random.choice(NUMBERS)

    def seconds(self):
        """A span so long that nothing ends during the test; some that are wrong or past."""
        if self.random.random() < 0.75:
            return b"%d" % self.random.randint(10**5, 10**9)
        return self.random.choice([n for n in NUMBERS if n not in (b"1", b"2", b"5", b"10",
                                                                     b"100")])

    def moment(self, unit):
        if self.random.random() < 0.7:
            return b"%d" % ((FAR_MS + self.random.randint(0, 10**12)) // unit)
        return self.random.choice(NUMBERS)

    def amount(self, word):
        word = word.upper()
        if word == b"EX":
            return self.seconds()
        if word == b"PX":
            return self.seconds() + self.pick(b"000", b"000", b"")
        return self.moment(1000 if word == b"EXAT" else 1)

    def options(self, words, most=3):
        out = []
        for _ in range(self.random.randint(0, most)):
            word = self.random.choice(words)
            if self.random.random() < 0.03:
                word = self.random.choice(WORDS)
            out.append(word.lower() if self.random.random() < 0.3 else word)
            if word.upper() in (b"EX", b"PX", b"EXAT", b"PXAT") and self.random.random() < 0.95:
                out.append(self.amount(word))
        return out

    def database(self):
        return self.pick(b"0", b"1", b"2", b"1", b"2", b"15", b"16", b"-1", b"x", b"2147483648",
                         b"9223372036854775808")

    def command(self):
        name, arguments, compare = self.sensible()
        chance = self.random.random()
        if chance < 0.02 and arguments:
            arguments = arguments[:self.random.randint(0, len(arguments) - 1)]
        elif chance < 0.03:
            arguments = arguments + [self.random.choice(WORDS + NUMBERS)]
        if self.random.random() < 0.2:
            name = name.lower()
        return [name] + arguments, compare

    def sensible(self):
        key, value = self.key(), self.value()
        expire_words = [b"NX", b"XX", b"GT", b"LT"]
        time_words = [b"EX", b"PX", b"EXAT", b"PXAT"]
        makers = [
            lambda: ("GET", [key]),
            lambda: ("SET", [key, value]),
            lambda: ("SET", [key, value]),
            lambda: ("SET", [key, value]
                     + self.options([b"NX", b"XX", b"GET", b"KEEPTTL"] + time_words)),
            lambda: ("SET", [key, value]
                     + self.options([b"NX", b"XX", b"GET", b"KEEPTTL"] + time_words)),
            lambda: ("SETEX", [key, self.seconds(), value]),
            lambda: ("PSETEX", [key, self.seconds() + b"000", value]),
            lambda: ("SETNX", [key, value]),
            lambda: ("GETSET", [key, value]),
            lambda: ("GETDEL", [key]),
            lambda: ("GETEX", [key] + self.options([b"PERSIST"] + time_words, 2)),
            lambda: ("GETEX", [key] + self.options([b"PERSIST"] + time_words, 1)),
            lambda: ("MGET", self.keys()),
            lambda: ("MSET", [part for k in self.keys() for part in (k, self.value())]),
            lambda: ("MSETNX", [part for k in self.keys(2) for part in (k, self.value())]),
            lambda: ("APPEND", [key, value]),
            lambda: ("STRLEN", [key]),
            lambda: (self.pick("GETRANGE", "SUBSTR"), [key, self.number(), self.number()]),
            lambda: ("SETRANGE", [key, self.pick(b"0", b"1", b"7", b"60", b"-1", b"x",
                                                 b"67108864", b"9223372036854775807"), value]),
            lambda: (self.pick("INCR", "DECR"), [key]),
            lambda: (self.pick("INCR", "DECR"), [self.pick(b"counter", b"float")]),
            lambda: (self.pick("INCRBY", "DECRBY"), [key, self.number()]),
            lambda: (self.pick("INCRBY", "DECRBY"), [b"counter", self.number()]),
            lambda: ("INCRBYFLOAT", [self.pick(key, b"float"), self.random.choice(FLOATS)]),
            lambda: ("SET", [b"float", self.random.choice(FLOATS)]),
            lambda: ("SET", [b"counter", self.random.choice(NUMBERS)]),
            lambda: (self.pick("DEL", "UNLINK"), self.keys(3)),
            lambda: (self.pick("EXISTS", "TOUCH"), self.keys()),
            lambda: ("TYPE", [key]),
            lambda: (self.pick("RENAME", "RENAMENX"), [key, self.key()]),
            lambda: ("COPY", [key, self.key()] + self.copy_options()),
            lambda: ("MOVE", [key, self.database()]),
            lambda: ("SELECT", [self.database()]),
            lambda: ("EXPIRE", [key, self.seconds()] + self.options(expire_words, 2)),
            lambda: ("PEXPIRE", [key, self.seconds() + b"000"] + self.options(expire_words, 2)),
            lambda: ("EXPIREAT", [key, self.moment(1000)] + self.options(expire_words, 2)),
            lambda: ("PEXPIREAT", [key, self.moment(1)] + self.options(expire_words, 2)),
            lambda: (self.pick("TTL", "EXPIRETIME"), [key], 1),
            lambda: (self.pick("PTTL", "PEXPIRETIME"), [key], 1500),
            lambda: ("PERSIST", [key]),
            lambda: ("ECHO", [value]),
            lambda: ("OBJECT", [self.pick("FREQ", "IDLETIME", "REFCOUNT", "ENCODING"),
                                b"not there"]),
            lambda: ("OBJECT", ["FREQ", key]),
            lambda: ("MEMORY", ["USAGE", b"not there"] + self.pick(
                [], ["SAMPLES", b"5"], ["SAMPLES", b"0"], ["samples", b"-1"], ["samples"],
                ["SAMPLES", b"x"], [b"FOO"])),
            lambda: ("SCAN", [self.pick(b"x", b"-", b"1x", b" 1", b"99999999999999999999")],
                     "kind"),
            lambda: ("SCAN", [b"0"] + self.pick(
                [b"COUNT"], [b"COUNT", b"0"], [b"COUNT", b"-5"], [b"COUNT", b"x"], [b"MATCH"],
                [b"TYPE"], [b"FOO", b"1"], [b"COUNT", b"5", b"MATCH"]), "kind"),
            lambda: ("KEYS", [self.pick(b"*", b"?", b"[a-c]", b"c*r", b"{tag}*", b"[^a]",
                                        b"k*k", b"nothing", b"", b"\\*", b"[", b"[a", b"*\\")],
                     "set"),
        ]
        made = self.random.choice(makers)()
        if self.random.random() < 0.002:
            made = (self.pick("FLUSHDB", "FLUSHALL"), self.pick([], ["ASYNC"], ["SYNC"], ["FOO"]))
        return (made + (None,))[:3]

    def copy_options(self):
        out = []
        if self.random.random() < 0.5:
            out += [b"DB", self.database()]
        if self.random.random() < 0.5:
            out.append(b"REPLACE")
        if self.random.random() < 0.05:
            out.append(self.random.choice(WORDS))
        return out


def short(what):
    if isinstance(what, list):
        return " ".join(short(part) for part in what)
    text = repr(what)
    return text if len(text) < 90 else f"{text[:60]}...({len(what)} bytes)"


def alike(compare, judge, judged):
    """Whether two raw replies say the same."""
    if judge == judged:
        return True
    if compare == "kind":
        return judge[:1] == judged[:1] == b"*"
    if compare == "set" and judge[:1] == judged[:1] == b"*":
        return sorted(judge.split(b"\r\n")) == sorted(judged.split(b"\r\n"))
    if isinstance(compare, int) and judge[:1] == judged[:1] == b":":
        a, b = int(judge[1:]), int(judged[1:])
        return a >= 0 and b >= 0 and abs(a - b) <= compare
    return False


class Differential(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.judge = harness.Server("redis", appendonly="no")
        cls.addClassCleanup(cls.judge.close)
        cls.judge.start()
        cls.judged = harness.Server(checkpoint_interval=1)
        cls.addClassCleanup(cls.judged.close)
        cls.judged.start()

    def setUp(self):
        for server in (self.judge, self.judged):
            server.connect().command("FLUSHALL")

    def tearDown(self):
        for server in (self.judge, self.judged):
            server.disconnect()

    def connect(self, protocol):
        self.pair = [server.connect(protocol) for server in (self.judge, self.judged)]

    def talk(self, batch):
        """Sends a batch to both as one pipeline and compares the replies."""
        sent = b"".join(resp.encode(*command) for command, _ in batch)
        for connection in self.pair:
            connection.send_bytes(sent)
        for command, compare in batch:
            right, got = [connection.read_raw() for connection in self.pair]
            self.history.append((command, right, got))
            if not alike(compare, right, got):
                self.fail(self.story(command, right, got))

    def story(self, command, right, got):
        touched = {part for part in command[1:] if part in KEYS}
        related = [(c, r) for c, r, _ in self.history[:-1]
                   if touched & set(c[1:]) or c[0].upper() in ("SELECT", "FLUSHALL", "FLUSHDB")]
        lines = [f"{short(c)} -> {short(r)}" for c, r in related[-12:]]
        return "\n".join(["before:"] + lines + [
            f"command  {short(command)}", f"Redis    {short(right)}", f"Holdfast {short(got)}"])

    def compare_everything(self):
        """Both servers' databases as a whole. Asking for each key ends what should have ended."""
        everything = []
        for db in range(DATABASES):
            everything.append((["SELECT", db], None))
            everything += [(["EXISTS", key], None) for key in KEYS]
            everything += [(["GET", key], None) for key in KEYS]
            everything += [(["PEXPIRETIME", key], 1500) for key in KEYS]
            everything += [(["DBSIZE"], None), (["KEYS", "*"], "set")]
        self.talk(everything)
        for db in range(DATABASES):
            self.talk([(["SELECT", db], None)])
            listed = [sorted(harness.scan_all(connection, "COUNT", 3))
                      for connection in self.pair]
            self.assertEqual(listed[0], sorted(set(listed[1])))
        self.talk([(["SELECT", 0], None)])

    def dialogue(self, protocol, name, commands=COMMANDS, interrupt=None):
        self.history = []
        self.connect(protocol)
        talker = Talker(harness.seeded_random(name))
        for i in range(commands // BATCH):
            self.talk([talker.command() for _ in range(BATCH)])
            if i % 20 == 19:
                self.compare_everything()
            if interrupt and i % 25 == 24:
                self.compare_everything()
                self.pair[1].close()
                interrupt(talker.random)
                self.pair[1] = self.judged.connect(protocol)
                self.compare_everything()
        self.compare_everything()

    def test_answers_as_redis_does_in_resp2_with_one_worker(self):
        self.judged.restart(workers=1)
        self.dialogue(2, "resp2")

    def test_answers_as_redis_does_in_resp3_with_several_workers(self):
        self.judged.restart(workers=3)
        self.dialogue(3, "resp3")

    @harness.only_holdfast
    def test_comes_back_from_stops_and_kills_as_it_was(self):
        def interrupt(random):
            again = random.choice([self.judged.restart, self.judged.crash])
            again(workers=random.randint(1, 4), io_threads=random.choice([0, 0, 1]))

        self.dialogue(2, "interrupted", COMMANDS // 2, interrupt)


if __name__ == "__main__":
    unittest.main()
