"""What tools/cache-report and tools/cleanup share: a connection that raises errors, the two kinds
of things that have keys (cache entries and plain strings), and keys as text for people."""

import collections
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "test" / "support"))
import resp  # noqa: E402

REPLY_SECONDS_MAX = 60


class ToolError(Exception):
    """One line for the user; the tools print it and exit with 1."""


FAILURES = (ToolError, OSError, resp.Closed, resp.Malformed)


def add_server_options(parser):
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6379)
    parser.add_argument("--password", default=os.environ.get("REDISCLI_AUTH", ""),
                        help="if not given, that in REDISCLI_AUTH, which other users of the "
                        "machine cannot see")
    parser.add_argument("--strings", action="store_true",
                        help="plain strings of database 0 instead of cache entries")


class Client:
    """One connection. Error replies are raised, but in a pipeline only after all was read."""

    def __init__(self, arguments):
        self.connection = resp.Connection(arguments.port, arguments.host,
                                          timeout=REPLY_SECONDS_MAX)
        try:
            if arguments.password:
                self.ask("AUTH", arguments.password)
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, *command):
        return self.ask_all([command])[0]

    def ask_all(self, commands):
        replies = self.connection.pipeline(commands) if commands else []
        for command, reply in zip(commands, replies):
            if isinstance(reply, resp.Error):
                raise ToolError(f"{command[0]}: {reply.decode(errors='replace')}")
        return replies

    def info(self, section):
        lines = self.ask("INFO", section).decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def pairs(reply):
    """A map, as RESP3 has it or flat, by name; bytes become text."""
    if not isinstance(reply, dict):
        reply = dict(zip(reply[::2], reply[1::2]))
    return {name.decode(): value.decode(errors="replace") if isinstance(value, bytes) else value
            for name, value in reply.items()}


# What is known of a key: `has_ttl` whether it expires by itself, `age_ms` None where nobody knows.
Entry = collections.namedtuple("Entry", "key bytes has_ttl age_ms")


class CacheEntries:
    noun = "cache entries"

    @staticmethod
    def scan(cursor, prefix, count):
        return ("CACHE.SCAN", cursor, "PREFIX", prefix, "COUNT", count)

    @staticmethod
    def look_up(client, keys):
        """An Entry of each key that is still there."""
        entries = []
        for key, reply in zip(keys, client.ask_all([("CACHE.INFO", key) for key in keys])):
            if isinstance(reply, resp.Null):
                continue
            said = pairs(reply)
            ttl_ms = said.get("ttl-ms")
            entries.append(Entry(key, said["bytes"], isinstance(ttl_ms, int) and ttl_ms >= 0,
                                 said["age-ms"]))
        return entries

    @staticmethod
    def delete(keys):
        return ("CACHE.DEL", *keys)


class Strings:
    noun = "strings"

    @staticmethod
    def scan(cursor, prefix, count):
        return ("SCAN", cursor, "MATCH", glob_of(prefix), "COUNT", count, "TYPE", "string")

    @staticmethod
    def look_up(client, keys):
        commands = [(name, key) for key in keys for name in ("TTL", "STRLEN")]
        replies = client.ask_all(commands)
        return [Entry(key, len(key) + size, ttl >= 0, None)
                for key, ttl, size in zip(keys, replies[::2], replies[1::2]) if ttl != -2]

    @staticmethod
    def delete(keys):
        return ("UNLINK", *keys)


def kind_of(arguments):
    return Strings if arguments.strings else CacheEntries


def scan_batches(client, kind, prefix, count):
    """Lists of at most `count` keys; a key may come twice when others are written meanwhile."""
    cursor = b"0"
    while True:
        cursor, keys = client.ask(*kind.scan(cursor, prefix, count))
        keys = [key for key in keys if key.startswith(prefix)]
        for start in range(0, len(keys), count):
            yield keys[start:start + count]
        if int(cursor) == 0:
            return


def glob_of(prefix):
    """A pattern for MATCH that stands for the very bytes of the prefix."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"*"


def prefix_of(key, depth):
    """The first `depth` segments with their colons, as many as there are."""
    end = 0
    for _ in range(depth):
        colon = key.find(b":", end)
        if colon < 0:
            break
        end = colon + 1
    return key[:end]


def shown(key):
    """A key as text that leaves a terminal as it is."""
    text = key.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
