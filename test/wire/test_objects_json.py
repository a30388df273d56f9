"""JSON in classes: what came as JSON stays what it was, in storage, replies, exports and calls."""

import json

from object_case import ObjectTest

KEEPER = """
local Keeper = class("Keeper")

function Keeper:keep(key, text) self.storage:put(key, json.decode(text)) end
function Keeper:show(key) return json.encode(self.storage:get(key)) end
function Keeper:give(key) return self.storage:get(key) end
function Keeper:relay(id, value) return objects.call("Keeper", id, "echo", json.decode(value)) end
function Keeper:echo(value) return value end
function Keeper:relay_json(id, value) return json.encode(self:relay(id, value)) end
function Keeper:ids(text)
  local seen = {}
  for _, item in ipairs(json.decode(text, { big_numbers = "text" })) do
    seen[item.id] = true
  end
  local count = 0
  for _ in pairs(seen) do count = count + 1 end
  return count
end
return Keeper
"""

# What services send, as a class writes it again.
WORLD = [(b'"\\uD83D"', b'"\\ud83d"'), (b'{"\\ude00":"a\\ud83d\\u0041"}', b'{"\\ude00":"a\\ud83dA"}'),
         (b'"\\ud83d\\ude00"', '"😀"'.encode()), (b"[1e999,-1e999]", b"[1e999,-1e999]"),
         (b'\xef\xbb\xbf{"a":1}', b'{"a":1}'), (b"[1]\x0b\x0c\xc2\xa0\xe2\x80\xa8\n", b"[1]"),
         (b'"caf\xe9 \xff"', '"caf\ufffd \ufffd"'.encode()), (b'"\\u0000"', b'"\\u0000"')]

TEXTS = ['[1,null,3]', '{}', '[]', '{"x":null}', 'null', '[{},[],[{}],null]',
         '{"a":{},"b":[],"c":null}', '[null,null]']


class JsonInClasses(ObjectTest):
    def setUp(self):
        super().setUp()
        self.load(KEEPER, "Keeper", "REPLACE")

    def test_storage_and_do_get_show_what_was_decoded(self):
        keeper = self.fresh()
        for text in TEXTS:
            with self.subTest(text):
                self.call("DO.CALL", "Keeper", keeper, "keep", "k", text)
                self.assertEqual(self.call("DO.CALL", "Keeper", keeper, "show", "k"), text.encode())
                self.assertEqual(self.call("DO.GET", "Keeper", keeper, "k"), text.encode())
                self.call("DO.EVICT", "Keeper", keeper)
                self.assertEqual(self.call("DO.CALL", "Keeper", keeper, "show", "k"), text.encode())

    def test_what_services_send_is_read_and_loses_nothing(self):
        keeper, copy = self.fresh(), self.fresh("copy")
        for number, (text, written) in enumerate(WORLD):
            with self.subTest(text):
                self.call("DO.CALL", "Keeper", keeper, "keep", f"k{number}", text)
                self.assertEqual(self.call("DO.CALL", "Keeper", keeper, "show", f"k{number}"), written)
        exported = self.call("DO.EXPORT", "Keeper", keeper)
        self.assertEqual(self.call("DO.IMPORT", "Keeper", copy, exported), b"OK")
        for number, (text, written) in enumerate(WORLD):
            self.assertEqual(self.call("DO.CALL", "Keeper", copy, "show", f"k{number}"), written)

    def test_an_import_takes_what_json_takes(self):
        copy = self.fresh("copy")
        text = (b'\xef\xbb\xbf {"holdfast-object":1,"values":[["\\ud83d","\\ude00 \\ud83d\\ude00"],'
                b'["k",[1e999,-1e999,"\\ud83d",{"pairs":[["\\udbff",[]]]}]]]}\x0c\xc2\xa0\n')
        self.assertEqual(self.call("DO.IMPORT", "Keeper", copy, text), b"OK")
        self.assertEqual(self.call("DO.GET", "Keeper", copy, "k"),
                         b'[1e999,-1e999,"\\ud83d",{"\\udbff":[]}]')
        self.assertEqual(self.call("DO.GET", "Keeper", copy, b"\xed\xa0\xbd"),
                         b"\xed\xb8\x80 \xf0\x9f\x98\x80")

    def test_an_export_keeps_it(self):
        keeper, copy = self.fresh(), self.fresh("copy")
        for number, text in enumerate(TEXTS):
            self.call("DO.CALL", "Keeper", keeper, "keep", f"k{number}", text)
        exported = self.call("DO.EXPORT", "Keeper", keeper)
        json.loads(exported)
        self.assertEqual(self.call("DO.IMPORT", "Keeper", copy, exported), b"OK")
        for number, text in enumerate(TEXTS):
            with self.subTest(text):
                self.assertEqual(self.call("DO.GET", "Keeper", copy, f"k{number}"), text.encode())

    def test_a_reply_has_the_types_of_the_protocol(self):
        keeper = self.fresh()
        self.call("DO.CALL", "Keeper", keeper, "keep", "k", '{"a":{},"b":[],"c":[1,null,3],"d":null}')
        flat = self.call("DO.CALL", "Keeper", keeper, "give", "k")
        self.assertEqual(flat[:4], [b"a", [], b"b", []])
        self.assertEqual(flat[5][0::2], [1, 3])
        self.is_null(flat[5][1])
        self.is_null(flat[7])
        self.call("HELLO", "3")
        reply = self.call("DO.CALL", "Keeper", keeper, "give", "k")
        self.assertIsInstance(reply, dict)
        self.assertEqual(reply[b"a"], {})
        self.assertEqual(reply[b"b"], [])
        self.is_null(reply[b"d"])

    def test_calls_between_objects_hand_it_on(self):
        keeper, other = self.fresh(), self.fresh("other")
        for text in TEXTS:
            with self.subTest(text):
                self.assertEqual(
                    self.call("DO.CALL", "Keeper", keeper, "relay_json", other, text),
                    text.encode())

    def test_ids_beyond_64_bits_stay_apart_on_request(self):
        items = [{"id": 2 ** 64 + number} for number in range(10)]
        self.assertEqual(
            self.call("DO.CALL", "Keeper", self.fresh(), "ids", json.dumps(items)), 10)
