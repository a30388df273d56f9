"""SESSION.* one by one: what each command and option does, what is refused, and that what is refused
changes nothing."""

import json
import string
import unittest

import harness
import resp
from session_case import GONE, LOST, SMALL, SessionTest, listed, pairs, scan_sessions, serve
from session_case import session_of, shard_of

TEN_YEARS_S = 10 * 365 * 86400
BASE64URL = set((string.ascii_letters + string.digits + "-_").encode())

# Text that a parser would not give back as it came.
TEXTS = [
    b"{}", b"[]", b"null", b"true", b'""', b"0", b"-0.0", b"1e400", b"1.50", b"123456789012345678901",
    b' {"a" : 1.0 ,\t"b":[ ]}\r\n', b'{"a":1,"a":2}', b'{"z":1,"a":2}', b'"\\u0041\\/\\ud83d\\ude00"',
    '{"name":"Grüße 😀"}'.encode(), b'{"":{"":""}}', b"[" * 100 + b"]" * 100,
    b'{"a":"\\ud83d","\\uDE00":1e999}', b'\xef\xbb\xbf{"a":1}', b"[1]\x0b\x0c\xc2\xa0\xe2\x80\xa8\n\xef\xbb\xbf",
]

# (text, the byte at which it goes wrong)
BAD_TEXTS = [
    (b"", 0), (b"{", 1), (b"[1,2", 4), (b"tru", 3), (b'{"a":}', 5), (b'{"a":1}x', 7), (b"{'a':1}", 1),
    (b"[1,]", 3), (b"01", 1), (b'"\xff"', 1), (b'"a\nb"', 2), (b"NaN", 0), (b'{"a":1,}', 7),
    (b"\xef\xbb\xbf\xef\xbb\xbf{}", 3), (b'"\\x"', 2), (b"{}\0", 2), (b"{}\xc2\x85", 3), (b"[\v1]", 1),
]

# RFC 7396, appendix A, as far as it merges objects: (original, patch, result).
RFC_7396 = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'), ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"), ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'), ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'), ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def random_value(random, depth):
    kind = random.randrange(7 if depth else 4)
    if kind < 4:
        return [None, random.randrange(100), f"text {random.random()}", True][kind]
    if kind == 4:
        return [random_value(random, depth - 1) for _ in range(random.randrange(3))]
    return random_object(random, depth)


def random_object(random, depth=3):
    return {random.choice("abcdef"): random_value(random, depth - 1)
            for _ in range(random.randrange(4))}


@harness.only_holdfast
class Making(SessionTest):
    def test_a_session_is_what_it_was_made_of(self):
        identity = self.create("USER", self.user, "DATA", '{"cart":[1]}', "TTL", 100, "ABSOLUTE", 500)
        reply = self.call("SESSION.GET", identity, "NOTOUCH")
        self.assertEqual(reply[::2], [b"id", b"user", b"version", b"created", b"updated", b"expires",
                                      b"data"])
        session = pairs(reply)
        self.assertEqual((session[b"id"], session[b"user"], session[b"version"], session[b"data"]),
                         (identity, self.user, 1, b'{"cart":[1]}'))
        self.assertEqual(session[b"updated"], session[b"created"])
        self.assertEqual(session[b"expires"], session[b"created"] + 100000)
        self.integer(100, "SESSION.TTL", identity)

    def test_a_session_of_nothing_has_an_empty_object_and_a_day(self):
        identity = self.create()
        session = self.session(identity)
        self.assertIsInstance(session[b"user"], resp.Null)
        self.assertEqual(session[b"data"], b"{}")
        self.assertEqual(session[b"expires"] - session[b"created"], 86400000)

    def test_ids_are_long_random_and_spread(self):
        made = self.connection.pipeline([("SESSION.CREATE",)] * 200)
        self.assertEqual(len(set(made)), 200)
        self.assertEqual({len(identity) for identity in made}, {32})
        self.assertLessEqual({letter for identity in made for letter in identity}, BASE64URL)
        self.assertGreater(len({identity[:4] for identity in made}), 190)
        self.assertGreater(len({shard_of(identity) for identity in made}), 2)

    def test_resp3_has_maps_and_its_own_null(self):
        three = self.server.connect(protocol=3)
        identity = self.create("USER", self.user, "DATA", "[1]")
        found = three.command("SESSION.GET", identity)
        self.assertIsInstance(found, resp.Map)
        self.assertEqual(found, dict(self.session(identity), **{}))
        self.assertEqual(three.command_raw("SESSION.GET", "none"), b"_\r\n")
        self.assertEqual(self.connection.command_raw("SESSION.GET", "none"), b"$-1\r\n")
        self.assertEqual(three.command_raw("SESSION.LEASE", "none", "p"), b"_\r\n")
        self.assertEqual(self.connection.command_raw("SESSION.LEASE", "none", "p"), b"*-1\r\n")
        (one,) = three.command("SESSION.LIST", "USER", self.user)
        self.assertIsInstance(one, resp.Map)
        self.assertEqual(list(one), [b"id", b"version", b"created", b"updated", b"expires"])
        self.assertEqual(one[b"id"], identity)
        (flat,) = self.call("SESSION.LIST", "USER", self.user)
        self.assertEqual(pairs(flat), one)
        three.command("SESSION.LEASE", identity, "p", "MS", 5000)
        held = three.command_raw("SESSION.LEASE", identity, "p")
        self.assertRegex(held, rb"^\*2\r\n_\r\n:\d+\r\n$")
        self.assertRegex(self.connection.command_raw("SESSION.LEASE", identity, "p"),
                         rb"^\*2\r\n\$-1\r\n:\d+\r\n$")

    def test_an_id_may_be_any_bytes_and_is_taken_once(self):
        for identity in (self.fresh(), b"\0\r\n\xff" + self.fresh(), b"{tag}" + self.fresh(),
                         b"x" * 2048, b"i"):
            with self.subTest(identity=identity[:20]):
                self.bulk(identity, "SESSION.CREATE", "ID", identity, "USER", self.user)
                with self.unchanged(identity):
                    self.error("SESSIONEXISTS", "SESSION.CREATE", "ID", identity, "DATA", "[2]")
                self.assertIn(identity, listed(self.connection, self.user))
                self.assertIn(identity, scan_sessions(self.connection))
                self.integer(1, "SESSION.DEL", identity)
        self.assertEqual(listed(self.connection, self.user), [])

    def test_the_longest_names_fit_together(self):
        identity, user = b"y" * 2048, b"u" * 2048
        self.create("ID", identity, "USER", user, "DATA", "1")
        self.assertEqual(listed(self.connection, user), [identity])
        self.assertEqual(scan_sessions(self.connection, "USER", user), [identity])
        new = self.call("SESSION.ROTATE", identity, "GRACE", 10)
        self.assertEqual(listed(self.connection, user), [new])
        self.server.crash()
        again = self.server.connect()
        self.assertEqual(listed(again, user), [new])
        self.assertEqual(again.command("SESSION.DELUSER", user), 1)
        self.assertIsNone(session_of(again, identity))

    def test_words_are_of_any_case_and_order(self):
        identity = self.fresh()
        self.bulk(identity, "session.create", "ttl", 50, "id", identity, "Data", "[]", "uSER", self.user)
        self.integer(50, "Session.Ttl", identity)
        self.integer(2, "SESSION.SET", identity, "1", "ifversion", 1, "ttl", 60, "xx")
        self.bulk("1", "SESSION.GET", identity, "data", "notouch")
        self.integer(60, "SESSION.TTL", identity)

    def test_a_string_of_the_same_name_is_another_thing(self):
        identity = self.fresh()
        self.ok("SET", identity, "string")
        self.create("ID", identity)
        self.integer(1, "DEL", identity)
        self.integer(1, "SESSION.EXISTS", identity)
        self.integer(0, "EXISTS", identity)


@harness.only_holdfast
class Writing(SessionTest):
    def test_json_is_kept_byte_for_byte(self):
        ids = []
        for text in TEXTS:
            made = self.create("DATA", text)
            self.bulk(text, "SESSION.GET", made, "DATA")
            self.assertEqual(self.session(made)[b"data"], text)
            identity = self.fresh()
            self.integer(1, "SESSION.SET", identity, text)
            ids += [made, identity]
        self.server.crash()
        again = self.server.connect()
        for text, *both in zip(TEXTS, ids[::2], ids[1::2]):
            for identity in both:
                self.assertEqual(again.command("SESSION.GET", identity, "DATA"), text)

    def test_set_creates_and_then_replaces(self):
        identity = self.fresh()
        self.integer(1, "SESSION.SET", identity, '{"a":1}', "USER", self.user, "TTL", 100)
        first = self.session(identity)
        self.integer(2, "SESSION.SET", identity, '{"b":2}')
        second = self.session(identity)
        self.assertEqual(second[b"data"], b'{"b":2}')
        for kept in (b"user", b"created"):
            self.assertEqual(second[kept], first[kept])
        self.assertGreaterEqual(second[b"updated"], first[b"updated"])
        self.assertEqual(second[b"expires"] - second[b"updated"], 100000, "the life it was given stays")
        self.integer(3, "SESSION.SET", identity, "3", "TTL", 7)
        self.integer(7, "SESSION.TTL", identity)
        self.assertEqual(listed(self.connection, self.user), [identity])

    def test_nx_xx_and_ifversion_are_conditions(self):
        identity = self.fresh()
        self.null("SESSION.SET", identity, "1", "XX")
        self.fails("VERSION 0 is the session's version", "SESSION.SET", identity, "1", "IFVERSION", 1)
        self.assertIsNone(self.session(identity))
        self.integer(1, "SESSION.SET", identity, "1", "NX", "IFVERSION", 0)
        with self.unchanged(identity):
            self.null("SESSION.SET", identity, "2", "NX", "TTL", 5)
            for version in (0, 2, 9223372036854775807):
                self.fails("VERSION 1 is the session's version",
                           "SESSION.SET", identity, "2", "IFVERSION", version, "USER", "x")
        self.integer(2, "SESSION.SET", identity, "2", "XX", "IFVERSION", 1)

    def test_of_two_writers_with_one_version_the_second_is_refused(self):
        identity = self.create()
        writes = [("SESSION.SET", identity, f"{number}", "IFVERSION", 1) for number in range(50)]
        first, *others = self.connection.pipeline(writes)
        self.assertEqual(first, 2)
        self.assertEqual(set(others), {b"VERSION 2 is the session's version"})
        self.bulk("0", "SESSION.GET", identity, "DATA")

    def test_an_update_replaces_fields_and_keeps_the_rest(self):
        identity = self.create("DATA", b'{ "a" : 1.0, "b":{"x":1,"y":2} }', "TTL", 100)
        self.integer(2, "SESSION.UPDATE", identity, '{"b":{"z":3},"c":null}')
        data = self.call("SESSION.GET", identity, "DATA")
        self.assertEqual(json.loads(data), {"a": 1.0, "b": {"z": 3}, "c": None})
        self.assertTrue(data.startswith(b'{ "a" : 1.0,'), data)
        self.integer(3, "SESSION.UPDATE", identity, '{"b":{"q":4},"c":null,"a":null}', "DEEP")
        self.assertEqual(json.loads(self.call("SESSION.GET", identity, "DATA")), {"b": {"z": 3, "q": 4}})
        self.integer(4, "SESSION.UPDATE", identity, "{}", "TTL", 9, "IFVERSION", 3)
        self.integer(9, "SESSION.TTL", identity)
        with self.unchanged(identity):
            self.fails("VERSION 4 is the session's version",
                       "SESSION.UPDATE", identity, '{"n":1}', "IFVERSION", 3)

    def test_a_session_has_a_bound_of_values(self):
        def member(name, count):
            return '{"%s":[%s]}' % (name, ",".join("0" * count))

        identity = self.create()
        self.assertEqual(self.call("SESSION.UPDATE", identity, member("a", 70_000)), 2)
        self.assertEqual(self.call("SESSION.UPDATE", identity, member("b", 60_000)), 3)
        before = self.session(identity)
        for form in ((), ("DEEP",)):
            reply = self.call("SESSION.UPDATE", identity, member("c", 2_000), *form)
            self.assertRegex(reply.decode(), r"^BADJSON at byte \d+: too many values$")
        self.assertTrue(self.session(identity) == before)

    def test_an_update_of_nothing_creates_nothing(self):
        identity = self.fresh()
        with self.unchanged(identity):
            self.null("SESSION.UPDATE", identity, '{"a":1}')
            self.fails("VERSION 0 is the session's version",
                       "SESSION.UPDATE", identity, '{"a":1}', "IFVERSION", 1)

    def test_deep_updates_follow_rfc_7396(self):
        for original, patch, result in RFC_7396:
            with self.subTest(original=original, patch=patch):
                identity = self.create("DATA", original)
                self.integer(2, "SESSION.UPDATE", identity, patch, "DEEP")
                self.assertEqual(json.loads(self.call("SESSION.GET", identity, "DATA")),
                                 json.loads(result))

    def test_random_updates_agree_with_a_plain_model(self):
        random = harness.seeded_random(self.id())
        identity = self.create()
        flat, deep = {}, {}
        other = self.create()
        commands, expected = [], []
        for _ in range(300):
            change = random_object(random)
            flat = {**flat, **change}
            deep = merge_patch(deep, change)
            text = json.dumps(change, indent=random.choice([None, 2]))
            commands += [("SESSION.UPDATE", identity, text), ("SESSION.GET", identity, "DATA"),
                         ("SESSION.UPDATE", other, text, "DEEP"), ("SESSION.GET", other, "DATA")]
            expected += [flat, deep]
        replies = self.connection.pipeline(commands)
        self.assertEqual([json.loads(reply) for reply in replies[1::2]], expected)
        self.assertEqual(replies[::4], list(range(2, 302)))

    def test_a_field_is_found_by_its_path(self):
        identity = self.create("DATA", b'{"a":{"b.c":[10, {"d" : null}]},"":1,"n":1.50,"n2":{"0":"zero"}}')
        for path, found in ((rb"a.b\.c.1", b'{"d" : null}'), (rb"a.b\.c.1.d", b"null"),
                            (rb"a.b\.c.0", b"10"), (b"n", b"1.50"), (b"", b"1"), (b"n2.0", b'"zero"')):
            self.bulk(found, "SESSION.FIELD", identity, path)
        for path in ("b", "a.b.c", "a.x", r"a.b\.c.2", r"a.b\.c.-1", "n.0", "a.", "A"):
            self.null("SESSION.FIELD", identity, path)
        self.null("SESSION.FIELD", "none", "a")

    def test_a_session_gets_another_life_by_touch(self):
        identity = self.create("TTL", 100)
        self.integer(1, "SESSION.TOUCH", identity, "TTL", 50)
        self.integer(50, "SESSION.TTL", identity)
        self.integer(1, "SESSION.TOUCH", identity)
        self.integer(50, "SESSION.TTL", identity)
        self.integer(1, "SESSION.TOUCH", identity, "TTL", TEN_YEARS_S)
        self.integer(TEN_YEARS_S, "SESSION.TTL", identity)
        self.assertEqual(self.session(identity)[b"version"], 1, "a use is no new version")
        self.integer(0, "SESSION.TOUCH", "none")
        self.integer(-2, "SESSION.TTL", "none")

    def test_exists_and_del_count(self):
        one, two = self.create("USER", self.user), self.create("USER", self.user)
        self.integer(3, "SESSION.EXISTS", one, "none", two, one)
        self.integer(2, "SESSION.DEL", one, "none", two, one)
        self.integer(0, "SESSION.EXISTS", one, two)
        self.integer(0, "SESSION.DEL", one, two)
        self.assertEqual(listed(self.connection, self.user), [])

    def test_a_deleted_id_is_not_revived(self):
        identity = self.create("USER", self.user, "DATA", '{"a":1}')
        token = self.call("SESSION.LEASE", identity, "p")[0]
        self.integer(1, "SESSION.DEL", identity)
        with self.unchanged(identity):
            for command in (("SET", identity, "1"), ("SET", identity, "1", "NX"),
                            ("SET", identity, "1", "XX"), ("SET", identity, "1", "IFVERSION", 0),
                            ("UPDATE", identity, '{"a":2}'), ("UPDATE", identity, "{}", "IFVERSION", 0),
                            ("CREATE", "ID", identity), ("COMMIT", identity, "p", token, "{}"),
                            ("CREATE", "ID", identity, "USER", self.user, "MAXPER", 1),
                            ("RELEASE", identity, "p", token)):
                self.fails(GONE, "SESSION." + command[0], *command[1:])
            self.integer(0, "SESSION.TOUCH", identity, "TTL", 100)
            self.null("SESSION.GET", identity)
            self.null("SESSION.ROTATE", identity)
            self.null("SESSION.LEASE", identity, "p", "WAIT", 1000)
        self.server.crash()
        self.assertEqual(self.server.connect().command("SESSION.SET", identity, "1").decode(), GONE)

    def test_a_pipeline_sees_its_own_writes(self):
        identity = self.fresh()
        commands = [("SESSION.CREATE", "ID", identity, "USER", self.user)]
        expected = [identity]
        for number in range(2, 60):
            commands += [("SESSION.SET", identity, f"[{number}]"), ("SESSION.GET", identity, "DATA"),
                         ("SESSION.EXISTS", identity, "none"), ("SESSION.FIELD", identity, "0")]
            expected += [number, b"[%d]" % number, 1, b"%d" % number]
        commands += [("SESSION.LIST", "USER", self.user), ("SESSION.DELUSER", self.user),
                     ("SESSION.EXISTS", identity), ("SESSION.LIST", "USER", self.user)]
        replies = self.connection.pipeline(commands)
        self.assertEqual(replies[:-4], expected)
        self.assertEqual(pairs(replies[-4][0])[b"id"], identity)
        self.assertEqual(replies[-3:], [1, 0, []])


@harness.only_holdfast
class Rotating(SessionTest):
    def test_a_new_id_has_everything_of_the_old(self):
        identity = self.create("USER", self.user, "DATA", '{"a":1}', "TTL", 100)
        self.integer(2, "SESSION.UPDATE", identity, '{"b":2}')
        before = self.session(identity)
        new = self.call("SESSION.ROTATE", identity)
        self.assertEqual((len(new), new == identity), (32, False))
        after = self.session(new)
        for kept in (b"user", b"version", b"created", b"updated", b"data"):
            self.assertEqual(after[kept], before[kept])
        self.assertEqual(after[b"id"], new)
        self.assertIsNone(self.session(identity))
        self.fails(GONE, "SESSION.SET", identity, "1")
        self.null("SESSION.ROTATE", identity)
        self.assertEqual(listed(self.connection, self.user), [new])
        self.null("SESSION.ROTATE", "none")

    def test_the_old_id_works_for_the_grace(self):
        identity = self.create("USER", self.user, "DATA", '{"a":1}', "TTL", 100)
        new = self.call("SESSION.ROTATE", identity, "GRACE", 60)
        self.assertEqual(self.session(identity), self.session(new), "and tells the new id")
        self.assertEqual(self.session(identity)[b"id"], new)
        self.integer(2, "SESSION.SET", identity, '{"a":2}')
        self.integer(3, "SESSION.UPDATE", identity, '{"b":3}')
        self.bulk("2", "SESSION.FIELD", new, "a")
        self.integer(100, "SESSION.TTL", identity)
        self.integer(1, "SESSION.TOUCH", identity, "TTL", 70)
        self.integer(70, "SESSION.TTL", new)
        self.assertEqual(listed(self.connection, self.user), [new])
        self.assertEqual(scan_sessions(self.connection).count(new), 1)
        self.assertNotIn(identity, scan_sessions(self.connection))
        self.error("SESSIONEXISTS", "SESSION.CREATE", "ID", identity)

    def test_two_rotations_by_the_old_id_tell_one_new_id(self):
        identity = self.create()
        new, *others = self.connection.pipeline([("SESSION.ROTATE", identity, "GRACE", 60)] * 10)
        self.assertEqual(set(others), {new})
        self.server.crash()
        self.assertEqual(self.server.connect().command("SESSION.ROTATE", identity), new)

    def test_only_the_last_id_before_has_a_grace(self):
        first = self.create("USER", self.user)
        second = self.call("SESSION.ROTATE", first, "GRACE", 60)
        third = self.call("SESSION.ROTATE", second, "GRACE", 60)
        self.integer(1, "SESSION.EXISTS", first, second)
        self.assertIsNone(self.session(first))
        self.assertEqual(self.session(second)[b"id"], third)
        self.fails(GONE, "SESSION.SET", first, "1")
        self.null("SESSION.ROTATE", first)

    def test_who_logs_out_by_the_old_id_is_logged_out(self):
        identity = self.create("USER", self.user)
        new = self.call("SESSION.ROTATE", identity, "GRACE", 60)
        self.integer(1, "SESSION.DEL", identity, new)
        for gone in (identity, new):
            self.null("SESSION.GET", gone)
            self.fails(GONE, "SESSION.SET", gone, "1")
        self.assertEqual(listed(self.connection, self.user), [])

    def test_a_lease_outlives_a_rotation(self):
        identity = self.create("DATA", "{}")
        token, _ = self.call("SESSION.LEASE", identity, "p")
        new = self.call("SESSION.ROTATE", identity)
        self.assertIsInstance(self.call("SESSION.LEASE", new, "p")[0], resp.Null)
        self.integer(2, "SESSION.COMMIT", new, "p", token, '{"a":1}')
        self.bulk('{"a":1}', "SESSION.GET", new, "DATA")


@harness.only_holdfast
class Refusals(SessionTest):
    """Each leaves the sessions, the lists and the log as they were."""

    options = {"max_value_size": "16mb"}

    def setUp(self):
        super().setUp()
        self.identity = self.create("USER", self.user, "DATA", '{"a":1}')

    def refused(self, text, *command):
        with self.subTest(command=[str(part)[:40] for part in command]):
            self.fails(text, *command)

    def test_json_that_is_none_is_refused_with_its_position(self):
        token = self.call("SESSION.LEASE", self.identity, "p")[0]
        with self.unchanged(self.identity):
            for text, position in BAD_TEXTS:
                for command in (("SET", self.identity, text), ("SET", "new", text),
                                ("UPDATE", self.identity, text), ("CREATE", "DATA", text)):
                    reply = self.error("BADJSON", "SESSION." + command[0], *command[1:])
                    self.assertTrue(reply.startswith(f"BADJSON at byte {position}: "), (text, reply))
            self.error("BADJSON", "SESSION.COMMIT", self.identity, "p", token, "{")

    def test_only_objects_are_merged(self):
        text = self.create("DATA", '"text"')
        tokens = [self.call("SESSION.LEASE", one, "p")[0] for one in (self.identity, text)]
        change = "BADJSON a merge takes a JSON object, and the change is none"
        data = "BADJSON a merge takes a JSON object, and the session's data is none"
        with self.unchanged(self.identity, text):
            for none in ("1", "[]", "null", ' "{}"'):
                self.refused(change, "SESSION.UPDATE", self.identity, none)
                self.refused(change, "SESSION.UPDATE", self.identity, none, "DEEP")
                self.refused(change, "SESSION.COMMIT", self.identity, "p", tokens[0], none)
            self.refused(data, "SESSION.UPDATE", text, "{}")
            self.refused(data, "SESSION.COMMIT", text, "p", tokens[1], "{}")
        self.integer(2, "SESSION.COMMIT", self.identity, "p", tokens[0], "{}")

    def test_lives_have_bounds(self):
        def life(name, least=1):
            return f"ERR {name} is {least} to {TEN_YEARS_S} seconds"
        with self.unchanged(self.identity):
            for bad in ("0", "-1", TEN_YEARS_S + 1, "1.5", "x", "", "9223372036854775808", " 1"):
                for command in (("CREATE",), ("SET", self.identity, "1"), ("UPDATE", self.identity, "{}"),
                                ("TOUCH", self.identity)):
                    self.refused(life("TTL"), "SESSION." + command[0], *command[1:], "TTL", bad)
                for command in (("CREATE",), ("SET", self.identity, "1")):
                    self.refused(life("ABSOLUTE"), "SESSION." + command[0], *command[1:], "ABSOLUTE", bad)
                if bad != "0":
                    self.refused(life("GRACE", 0), "SESSION.ROTATE", self.identity, "GRACE", bad)

    def test_options_that_are_none_are_refused(self):
        identity = self.identity
        with self.unchanged(identity):
            for command in (("CREATE", "NX"), ("CREATE", "USER"), ("CREATE", "DATA"), ("CREATE", "GRACE", 1),
                            ("CREATE", "TTL", 1, "TTL", 1), ("CREATE", "x"), ("CREATE", "IFVERSION", 1),
                            ("SET", identity, "1", "NX", "XX"), ("SET", identity, "1", "DEEP"),
                            ("SET", identity, "1", "DATA", "2"), ("SET", identity, "1", "TTL"),
                            ("SET", identity, "1", "XX", "XX"), ("SET", identity, "1", "MAXPER", 1),
                            ("UPDATE", identity, "{}", "NX"), ("UPDATE", identity, "{}", "USER", "x"),
                            ("UPDATE", identity, "{}", "ABSOLUTE", 1), ("GET", identity, "DEEP"),
                            ("GET", identity, "DATA", "DATA"), ("TOUCH", identity, "ABSOLUTE", 1),
                            ("ROTATE", identity, "TTL", 1), ("ROTATE", identity, "GRACE"),
                            ("LIST", "NOBODY", "x"), ("DELUSER", self.user, "BUT", identity),
                            ("DELUSER", self.user, "EXCEPT"), ("LEASE", identity, "p", "TTL", 1),
                            ("LEASE", identity, "p", "MS"), ("SCAN", 0, "MATCH", "x"),
                            ("SCAN", 0, "COUNT"), ("DELUSER", self.user, "EXCEPT", identity, "x")):
                with self.subTest(command=command):
                    self.misfits("SESSION." + command[0], *command[1:])

    def test_a_syntax_error_says_where_it_is_and_how_the_command_is_written(self):
        touch, rotate = "SESSION.TOUCH id [TTL seconds]", "SESSION.ROTATE id [GRACE seconds]"
        for where, usage, command in (
                ("'Foo'", touch, ("SESSION.TOUCH", "id", "Foo")),
                ("'TTL'", touch, ("session.touch", "id", "TTL", "1", "TTL", "2")),
                ("the end", rotate, ("SESSION.ROTATE", "id", "grace")),
                ("'XX'", None, ("SESSION.SET", "id", "1", "NX", "XX")),
                ("'" + "x" * 32 + "'", touch, ("SESSION.TOUCH", "id", "x" * 32)),
                # What may be data, an id or a token is not repeated, and no byte is that is none of text.
                ("argument 2", touch, ("SESSION.TOUCH", "id", "x" * 33)),
                ("argument 2", touch, ("SESSION.TOUCH", "id", "aGVsbG8xMjM")),
                ("argument 2", touch, ("SESSION.TOUCH", "id", b"\xff\r\n\x00")),
                ("argument 2", touch, ("SESSION.TOUCH", "id", "")),
                ("'BUT'", "SESSION.DELUSER user [EXCEPT id]", ("SESSION.DELUSER", "user", "BUT", "id")),
                ("'x'", "SESSION.DELUSER user [EXCEPT id]",
                 ("SESSION.DELUSER", "user", "EXCEPT", "id", "x")),
                ("'OVER'", "DO.IMPORT class id text [REPLACE]", ("DO.IMPORT", "Box", "a", "{}", "OVER")),
                ("'b'", "DO.CLASS RELOAD [name]", ("DO.CLASS", "RELOAD", "a", "b")),
                ("the end", None, ("DO.OBJECTS", "Box", "LIMIT")),
                ("'NEVER'", None, ("CACHE.INVALIDATE", "NEVER", "tag")),
                ("argument 3", None, ("CACHE.SET", "key", "value", "60"))):
            reply = self.call(*command).decode()
            start = f"ERR syntax error at {where}: "
            self.assertTrue(reply.startswith(start), (command, reply))
            if usage:
                self.assertEqual(reply[len(start):], usage, command)

    def test_commands_of_redis_answer_a_syntax_error_as_redis_does(self):
        for command in (("SET", "key", "value", "FOO"), ("SCAN", 0, "FOO", 1), ("GETEX", "key", "FOO")):
            self.fails("ERR syntax error", *command)

    def test_numbers_have_bounds(self):
        identity = self.identity
        with self.unchanged(identity):
            for bad in ("-1", "x", "1.0", "9223372036854775808"):
                self.refused("ERR IFVERSION is a version, 0 for none",
                             "SESSION.SET", identity, "1", "IFVERSION", bad)
            for bad in ("0", "10001", "x"):
                self.refused("ERR MAXPER is 1 to 10000, and needs USER",
                             "SESSION.CREATE", "USER", self.user, "MAXPER", bad)
            self.refused("ERR MAXPER is 1 to 10000, and needs USER", "SESSION.CREATE", "MAXPER", 1)
            self.refused("ERR MAXPER is 1 to 10000, and needs USER",
                         "SESSION.CREATE", "USER", self.user, "REJECT")
            for bad in ("0", "3600001", "x"):
                self.refused("ERR MS is 1 to 3600000 milliseconds", "SESSION.LEASE", identity, "p", "MS", bad)
            for bad in ("-1", "60001", "x"):
                self.refused("ERR WAIT is 0 to 60000 milliseconds",
                             "SESSION.LEASE", identity, "p", "WAIT", bad)
            for bad in ("0", "10001", "x"):
                self.refused("ERR COUNT is 1 to 10000", "SESSION.SCAN", 0, "COUNT", bad)
            for bad in ("-1", "x", "9007199254740992", "18446744073709551616"):
                self.refused("ERR invalid cursor", "SESSION.SCAN", bad)

    def test_names_have_bounds(self):
        identity, long = self.identity, "x" * 2049
        id_error = "ERR a session's id is 1 to 2048 bytes long"
        user_error = "ERR a user's name is 1 to 2048 bytes long"
        purpose_error = "ERR a purpose is 1 to 255 bytes long"
        with self.unchanged(identity):
            for bad in ("", long):
                for command in (("CREATE", "ID", bad), ("SET", bad, "1"), ("GET", bad), ("ROTATE", bad),
                                ("UPDATE", bad, "{}"), ("FIELD", bad, "a"), ("TOUCH", bad), ("TTL", bad),
                                ("EXISTS", identity, bad), ("DEL", identity, bad), ("LEASE", bad, "p"),
                                ("COMMIT", bad, "p", "t", "{}"), ("RELEASE", bad, "p", "t"),
                                ("DELUSER", self.user, "EXCEPT", bad)):
                    self.refused(id_error, "SESSION." + command[0], *command[1:])
                for command in (("LIST", "USER", bad), ("DELUSER", bad)):
                    self.refused(user_error, "SESSION." + command[0], *command[1:])
            for command in (("CREATE", "USER", long), ("SET", identity, "1", "USER", long)):
                self.refused(user_error, "SESSION." + command[0], *command[1:])
            for bad in ("", "x" * 256):
                for command in (("LEASE", identity, bad), ("COMMIT", identity, bad, "t", "{}"),
                                ("RELEASE", identity, bad, "t")):
                    self.refused(purpose_error, "SESSION." + command[0], *command[1:])

    def test_wrong_tokens_change_nothing(self):
        other = self.create("USER", self.user)
        token, _ = self.call("SESSION.LEASE", self.identity, "p", "MS", 60000)
        with self.unchanged(self.identity, other):
            for wrong in (("x", "p", self.identity), ("", "p", self.identity),
                          (token[:-1], "p", self.identity), (token.upper() + b"0", "p", self.identity),
                          (token, "q", self.identity), (token, "p", other), (token, "p", "none")):
                self.refused(LOST, "SESSION.COMMIT", wrong[2], wrong[1], wrong[0], '{"a":2}')
                self.refused(LOST, "SESSION.RELEASE", wrong[2], wrong[1], wrong[0])
        self.integer(2, "SESSION.COMMIT", self.identity, "p", token, '{"a":2}')
        with self.unchanged(self.identity):
            self.refused(LOST, "SESSION.COMMIT", self.identity, "p", token, '{"a":3}')
            self.refused(LOST, "SESSION.RELEASE", self.identity, "p", token)

    def test_json_that_is_too_large_is_refused(self):
        large = '"%s"' % ("x" * ((8 << 20) - 1))
        text = f"ERR the session's JSON of {len(large)} bytes exceeds {8 << 20}"
        half = '{"%s":"%s"}'
        big = self.create("DATA", half % ("b", "x" * (5 << 20)))
        token = self.call("SESSION.LEASE", big, "p", "MS", 60000)[0]
        with self.unchanged(self.identity, big):
            self.refused(text, "SESSION.CREATE", "DATA", large, "USER", self.user)
            self.refused(text, "SESSION.SET", self.identity, large)
            for command in (("UPDATE", big), ("COMMIT", big, "p", token)):
                reply = self.call("SESSION." + command[0], *command[1:], half % ("c", "x" * (5 << 20)))
                self.assertRegex(reply, rb"^ERR the session's JSON of \d+ bytes exceeds 8388608$")
        self.integer(2, "SESSION.COMMIT", big, "p", token, '{"b":1}')
        self.is_undisturbed()

    def test_a_handle_is_no_id_for_a_new_session(self):
        handle = b"handle:0001:" + b"a" * 64
        with self.unchanged(handle):
            for command in (("CREATE", "ID", handle), ("SET", handle, "1")):
                self.refused("ERR a session's id does not have the form of a handle",
                             "SESSION." + command[0], *command[1:])
        self.bulk(handle + b"a", "SESSION.CREATE", "ID", handle + b"a")
        self.integer(1, "SESSION.DEL", handle + b"a")

    def test_wrong_counts_of_arguments_are_told(self):
        for name, *arguments in (("get",), ("set", "x"), ("update", "x"), ("field", "x"), ("del",),
                                 ("field", "x", "y", "z"), ("ttl",), ("ttl", "x", "y"), ("exists",),
                                 ("touch",), ("rotate",), ("list", "user"), ("deluser",), ("scan",),
                                 ("lease", "x"), ("commit", "x", "p", "t"), ("release", "x", "p"),
                                 ("count", "x"), ("list", "user", "x", "y")):
            self.miscounts("SESSION." + name.upper(), *arguments)
        self.fails("ERR wrong number of arguments for 'session.list' command: SESSION.LIST USER user",
                   "session.list", "ada")
        self.fails("ERR unknown command 'Session.Foo'. Try SESSION HELP.", "Session.Foo", "ada")
        self.fails("ERR unknown command 'sessions.foo', with args beginning with: ", "sessions.foo")


@harness.only_holdfast
class SmallValues(SessionTest):
    """max-value-size bounds the text of a session too, also what merges make of it."""

    def test_what_grows_too_large_is_refused_before_anything_is_done(self):
        identity = self.create("DATA", '{"a":"%s"}' % ("x" * 700000), "TTL", 1000)
        self.call("SESSION.GET", identity)
        token = self.call("SESSION.LEASE", identity, "p", "MS", 60000)[0]
        with self.unchanged(identity):
            change = '{"b":"%s"}' % ("x" * 700000)
            self.error("ERR", "SESSION.COMMIT", identity, "p", token, change)
            self.error("ERR", "SESSION.UPDATE", identity, change, "TTL", 1)
        self.integer(2, "SESSION.COMMIT", identity, "p", token, '{"b":1}')


@harness.only_holdfast
class Secrets(SessionTest):
    options = {**SMALL, "slowlog_log_slower_than": 0, "slowlog_max_len": 1000}

    def test_ids_and_data_stand_in_no_slowlog(self):
        user = self.user
        identity = self.create("USER", user, "DATA", '{"password":"secret"}')
        chosen = b"chosen-" + self.fresh()
        self.create("ID", chosen)
        self.call("SESSION.SET", chosen, '{"password":"secret"}', "TTL", 100)
        self.call("SESSION.UPDATE", identity, '{"secret":1}', "DEEP")
        for name in ("GET", "TOUCH", "TTL", "EXISTS"):
            self.call("SESSION." + name, identity)
        self.call("SESSION.FIELD", identity, "secret")
        token = self.call("SESSION.LEASE", identity, "p")[0]
        self.call("SESSION.COMMIT", identity, "p", token, '{"secret":2}')
        other = self.call("SESSION.LEASE", identity, "p")[0]
        self.call("SESSION.RELEASE", identity, "p", other)
        new = self.call("SESSION.ROTATE", identity, "GRACE", 10)
        self.call("SESSION.DELUSER", user, "EXCEPT", new)
        self.call("SESSION.DEL", chosen, new)
        self.call("SESSION.SCAN", 0)
        entries = self.call("SLOWLOG", "GET", 1000)
        names = {entry[3][0].upper() for entry in entries}
        self.assertLessEqual({b"SESSION." + name for name in (
            b"CREATE", b"SET", b"GET", b"UPDATE", b"FIELD", b"TOUCH", b"TTL", b"EXISTS", b"DEL", b"ROTATE",
            b"DELUSER", b"LEASE", b"COMMIT", b"RELEASE", b"SCAN")}, names)
        with open(self.server.log_path, "rb") as log:
            text = repr(entries).encode() + log.read()
        for secret in (identity, chosen, new, token, other, b"secret"):
            self.assertNotIn(secret, text)


@harness.only_holdfast
class Layouts(harness.Case):
    """The same story whatever threads serve it."""

    def story(self, server):
        one, two = server.connect(), server.connect(protocol=3)
        ids = one.pipeline([("SESSION.CREATE", "USER", f"u{i % 3}", "DATA", f"[{i}]") for i in range(60)])
        chosen = [b"chosen-%d" % i for i in range(40)]
        self.assertEqual(one.pipeline([("SESSION.SET", i, "{}", "USER", "u0") for i in chosen]), [1] * 40)
        self.assertEqual(sorted(listed(one, "u0")), sorted(ids[::3] + chosen))
        self.assertEqual(sorted(scan_sessions(two, "COUNT", 7)), sorted(ids + chosen))
        self.assertEqual(two.command("SESSION.COUNT"), 100)
        new = two.pipeline([("SESSION.ROTATE", i, "GRACE", 60) for i in chosen])
        self.assertEqual(one.pipeline([("SESSION.UPDATE", i, '{"a":1}') for i in chosen]), [2] * 40)
        self.assertEqual(two.command("SESSION.EXISTS", *new, *chosen, *ids), 140)
        token, _ = one.command("SESSION.LEASE", new[0], "p")
        two.send("SESSION.LEASE", new[0], "p", "WAIT", 20000)
        self.assertTrue(two.is_silent(0.05))
        self.assertEqual(one.command("SESSION.COMMIT", new[0], "p", token, '{"t":2}'), 3)
        self.assertEqual(two.read(), [None, 0, b'{"a":1,"t":2}'])
        made = one.command("SESSION.CREATE", "USER", "u1", "MAXPER", 5)
        self.assertEqual(len(listed(two, "u1")), 5)
        self.assertEqual(listed(two, "u1")[-1], made)
        self.assertEqual(one.command("SESSION.DELUSER", "u0", "EXCEPT", new[7]), 59)
        self.assertEqual(listed(two, "u0"), [new[7]])
        self.assertEqual(one.command("SESSION.DEL", *ids, *new), 4 + 20 + 1)
        self.assertEqual(scan_sessions(one), [made])
        self.assertEqual(two.command("SESSION.COUNT"), 1)

    def test_the_story_on_one_worker_on_several_and_with_io_threads(self):
        for options in ({"workers": 1}, {"workers": 4}, {"workers": 2, "io_threads": 2},
                        {"workers": 1, "shards": 1}, {"workers": 3, "shards": 2, "io_threads": 1}):
            with self.subTest(options):
                server = serve(self, **options)
                self.story(server)
                server.close()


if __name__ == "__main__":
    unittest.main()
