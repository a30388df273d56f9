"""Commands about clients, the configuration and the server itself."""

import os
import re
import time
import unittest

import harness
import resp
from harness import wait_until


def fields(line):
    """A line of CLIENT LIST as a dict."""
    return dict(part.split("=", 1) for part in line.decode().split())


def info_of(text):
    lines = [line for line in text.decode().split("\r\n") if line and not line.startswith("#")]
    return dict(line.split(":", 1) for line in lines)


class Clients(harness.WireTest):
    def clients(self, *arguments):
        return [fields(line) for line in self.call("CLIENT", "LIST", *arguments).splitlines()]

    def test_ids_grow_and_differ(self):
        first = self.call("CLIENT", "ID")
        second = self.server.connect().command("CLIENT", "ID")
        self.assertGreater(second, first)

    def test_a_name_is_kept_and_taken_away(self):
        self.null("CLIENT", "GETNAME")
        self.ok("CLIENT", "SETNAME", "bob")
        self.bulk("bob", "CLIENT", "GETNAME")
        self.assertEqual(fields(self.call("CLIENT", "INFO"))["name"], "bob")
        for wrong in ("a b", "a\nb", "\xe9"):
            self.fails("ERR Client names cannot contain spaces, newlines or special characters.",
                       "CLIENT", "SETNAME", wrong.encode())
        self.bulk("bob", "CLIENT", "GETNAME")
        self.ok("CLIENT", "SETNAME", "")
        self.null("CLIENT", "GETNAME")

    @harness.only_holdfast
    def test_library_names_show_in_the_list(self):
        self.ok("CLIENT", "SETINFO", "lib-name", "redis-py(x)")
        self.ok("CLIENT", "SETINFO", "LIB-VER", "5.0.1")
        line = fields(self.call("CLIENT", "INFO"))
        self.assertEqual((line["lib-name"], line["lib-ver"]), ("redis-py(x)", "5.0.1"))
        self.fails("ERR Unrecognized option 'lib-x'", "CLIENT", "SETINFO", "lib-x", "1")
        self.fails("ERR lib-ver cannot contain spaces, newlines or special characters.",
                   "CLIENT", "SETINFO", "lib-ver", "a b")

    def test_info_is_one_line_of_the_list(self):
        self.ok("SELECT", 3)
        own = fields(self.call("CLIENT", "INFO"))
        self.assertEqual(own["id"], str(self.call("CLIENT", "ID")))
        self.assertEqual(own["db"], "3")
        self.assertEqual(own["cmd"], "client|info")
        self.assertEqual(own["user"], "default")
        self.assertEqual(own["resp"], "2")
        host, port = self.connection.socket.getsockname()
        self.assertEqual(own["addr"], f"{host}:{port}")
        self.assertEqual(own["laddr"], f"127.0.0.1:{self.server.port}")
        listed = {line["id"]: line for line in self.clients()}
        self.assertEqual(listed[own["id"]]["addr"], own["addr"])
        self.assertEqual(list(own), list(listed[own["id"]]))

    def test_the_list_can_be_asked_for_ids_and_types(self):
        own = str(self.call("CLIENT", "ID"))
        other = str(self.server.connect().command("CLIENT", "ID"))
        self.server.connect().command("PING")
        self.assertEqual({c["id"] for c in self.clients("ID", own, other, 999999)}, {own, other})
        self.assertGreaterEqual(len(self.clients("TYPE", "normal")), 3)
        self.assertEqual(self.clients("TYPE", "pubsub"), [])
        self.fails("ERR Unknown client type 'foo'", "CLIENT", "LIST", "TYPE", "foo")
        self.fails("ERR Invalid client ID", "CLIENT", "LIST", "ID", "a")
        self.fails("ERR syntax error", "CLIENT", "LIST", "foo")
        self.assertIsInstance(self.server.connect(3).command("CLIENT", "LIST"), resp.Verbatim)

    def test_kill_by_address_in_the_old_form(self):
        victim = self.server.connect()
        address = fields(victim.command("CLIENT", "INFO"))["addr"]
        self.ok("CLIENT", "KILL", address)
        self.assertTrue(victim.is_closed())
        self.fails("ERR No such client", "CLIENT", "KILL", address)
        self.fails("ERR No such client", "CLIENT", "KILL", "")

    def test_kill_by_id_and_address_in_the_new_form(self):
        victims = [self.server.connect() for _ in range(3)]
        lines = [fields(victim.command("CLIENT", "INFO")) for victim in victims]
        self.integer(1, "CLIENT", "KILL", "ID", lines[0]["id"])
        self.integer(1, "CLIENT", "KILL", "ADDR", lines[1]["addr"])
        self.integer(0, "CLIENT", "KILL", "ID", lines[2]["id"], "ADDR", "1.2.3.4:5")
        self.integer(1, "client", "kill", "id", lines[2]["id"], "laddr", lines[2]["laddr"],
                     "type", "normal", "user", "default")
        for victim in victims:
            self.assertTrue(victim.is_closed())

    def test_kill_spares_the_caller_unless_told(self):
        others = [self.server.connect() for _ in range(3)]
        for other in others:
            other.command("PING")
        self.assertGreaterEqual(self.call("CLIENT", "KILL", "TYPE", "normal"), 3)
        for other in others:
            self.assertTrue(other.is_closed())
        self.assertEqual(self.call("PING"), b"PONG")
        own = self.call("CLIENT", "ID")
        self.integer(0, "CLIENT", "KILL", "ID", own)
        self.integer(1, "CLIENT", "KILL", "ID", own, "SKIPME", "no")
        self.assertTrue(self.connection.is_closed())

    def test_kill_refuses_what_it_does_not_know(self):
        for text, arguments in (
                ("ERR client-id should be greater than 0", ("ID", "0")),
                ("ERR client-id should be greater than 0", ("ID", "a")),
                ("ERR Unknown client type 'foo'", ("TYPE", "foo")),
                ("ERR No such user 'foo'", ("USER", "foo")),
                ("ERR syntax error", ("SKIPME", "maybe")),
                ("ERR syntax error", ("foo", "bar")),
                ("ERR syntax error", ("ID", "1", "ADDR"))):
            self.fails(text, "CLIENT", "KILL", *arguments)

    @harness.only_holdfast  # as Redis 7.4
    def test_kill_by_age_checks_the_age(self):
        for age in ("a", "", "1.5"):
            self.fails("ERR maxage is not an integer or out of range", "CLIENT", "KILL", "MAXAGE", age)
        for age in (0, -1):
            self.fails("ERR maxage should be greater than 0", "CLIENT", "KILL", "MAXAGE", age)
        self.integer(0, "CLIENT", "KILL", "MAXAGE", 1000000)

    def test_reply_off_and_skip(self):
        self.connection.send("CLIENT", "REPLY", "SKIP")
        self.connection.send("ECHO", "skipped")
        self.bulk("a", "ECHO", "a")
        self.connection.send("CLIENT", "REPLY", "OFF")
        self.connection.send("ECHO", "silent")
        self.connection.send("GET")
        self.connection.send("SET", "k", "v")
        self.assertTrue(self.connection.is_silent())
        self.ok("CLIENT", "REPLY", "ON")
        self.bulk("v", "GET", "k")
        self.fails("ERR syntax error", "CLIENT", "REPLY", "MAYBE")

    def test_switches(self):
        self.ok("CLIENT", "NO-EVICT", "on")
        self.assertIn("e", fields(self.call("CLIENT", "INFO"))["flags"])
        self.ok("CLIENT", "NO-EVICT", "OFF")
        self.assertEqual(fields(self.call("CLIENT", "INFO"))["flags"], "N")
        self.fails("ERR syntax error", "CLIENT", "NO-EVICT", "maybe")
        self.integer(-1, "CLIENT", "GETREDIR")
        self.ok("CLIENT", "TRACKING", "OFF")
        self.ok("CLIENT", "UNPAUSE")

    @harness.only_holdfast
    def test_what_is_not_offered_is_an_error(self):
        self.fails("ERR CLIENT TRACKING is not supported", "CLIENT", "TRACKING", "ON")
        self.fails("ERR CLIENT PAUSE is not supported", "CLIENT", "PAUSE", "100")
        self.ok("CLIENT", "NO-TOUCH", "ON")


class Configuration(harness.WireTest):
    def pairs(self, *patterns):
        reply = self.call("CONFIG", "GET", *patterns)
        return dict(zip(reply[::2], reply[1::2]))

    def test_get_takes_patterns_and_gives_each_name_once(self):
        self.assertEqual(self.call("CONFIG", "GET", "databases"), [b"databases", b"16"])
        self.assertEqual(self.call("CONFIG", "GET", "DATA*", "databases", "nosuch"),
                         [b"databases", b"16"])
        self.assertEqual(self.call("CONFIG", "GET", "nosuch"), [])
        names = self.call("CONFIG", "GET", "*")[::2]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual({b"maxclients", b"timeout", b"slowlog-max-len", b"port"}, set(names))

    def test_get_is_a_map_in_resp3(self):
        reply = self.server.connect(3).command("CONFIG", "GET", "databases")
        self.assertIsInstance(reply, resp.Map)
        self.assertEqual(reply, {b"databases": b"16"})

    def test_what_redis_may_be_told_is_taken(self):
        """Values without effect here are kept and shown all the same."""
        before = {b"hz": b"10", b"latency-tracking": b"yes", b"hash-max-listpack-entries": b"512",
                  b"hash-max-ziplist-entries": b"512", b"zset-max-ziplist-value": b"64",
                  b"list-max-listpack-size": b"-2", b"set-max-intset-entries": b"512",
                  b"client-output-buffer-limit":
                      b"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"}
        shown = self.call("CONFIG", "GET", *before)
        self.assertEqual(dict(zip(shown[::2], shown[1::2])), before)
        for name, value, got in (
                ("hz", "100", "100"), ("latency-tracking", "no", "no"),
                ("hash-max-listpack-entries", "100", "100"), ("hash-max-ziplist-value", "1kb", "1024"),
                ("list-max-ziplist-size", "-5", "-5"), ("zset-max-listpack-entries", "7", "7"),
                ("client-output-buffer-limit", "pubsub 1mb 1mb 10",
                 "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 1048576 10"),
                ("save", "", ""), ("activerehashing", "no", "no")):
            self.ok("CONFIG", "SET", name, value)
            self.assertEqual(self.call("CONFIG", "GET", name), [name.encode(), got.encode()])
        for name, value in (("hz", "x"), ("latency-tracking", "maybe"),
                            ("client-output-buffer-limit", "pubsub 1"), ("save", "1")):
            reply = self.call("CONFIG", "SET", name, value)
            self.assertIn(f"ERR CONFIG SET failed (possibly related to argument '{name}')",
                          reply.decode())
        for name, value in before.items():
            self.ok("CONFIG", "SET", name, value)

    def test_a_password_is_any_bytes(self):
        self.addCleanup(lambda: self.server.connect().pipeline(
            [("AUTH", b"a\0b"), ("CONFIG", "SET", "requirepass", "")]))
        self.ok("CONFIG", "SET", "requirepass", b"a\0b")
        with resp.Connection(self.server.port) as stranger:
            self.assertEqual(stranger.command("AUTH", "a").split()[0], b"WRONGPASS")
            self.assertEqual(stranger.command("PING").split()[0], b"NOAUTH")
            self.assertEqual(stranger.command("AUTH", b"a\0b"), b"OK")
            self.assertEqual(stranger.command("CONFIG", "GET", "requirepass")[1], b"a\0b")

    def test_set_changes_several_or_none(self):
        self.ok("CONFIG", "SET", "slowlog-max-len", 77, "TIMEOUT", 1000)
        self.assertEqual(self.pairs("slowlog-max-len", "timeout"),
                         {b"slowlog-max-len": b"77", b"timeout": b"1000"})
        reply = self.call("CONFIG", "SET", "slowlog-max-len", 5, "timeout", "abc")
        self.assertTrue(reply.startswith(b"ERR CONFIG SET failed (possibly related to argument "
                                         b"'timeout') - argument couldn't be parsed"), reply)
        reply = self.call("CONFIG", "SET", "slowlog-max-len", 5, "databases", "3")
        self.assertTrue(reply.startswith(b"ERR CONFIG SET failed (possibly related to argument "
                                         b"'databases') - "), reply)
        self.fails("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
                   "CONFIG", "SET", "slowlog-max-len", 5, "nosuch", 1)
        self.fails("ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate "
                   "parameter", "CONFIG", "SET", "timeout", 1, "timeout", 2)
        self.fails("ERR syntax error", "CONFIG", "SET", "timeout", 1, "slowlog-max-len")
        self.fails("ERR wrong number of arguments for 'config|set' command",
                   "CONFIG", "SET", "timeout")
        self.assertEqual(self.pairs("slowlog-max-len", "timeout"),
                         {b"slowlog-max-len": b"77", b"timeout": b"1000"})
        self.ok("CONFIG", "SET", "slowlog-max-len", 128, "timeout", 0)

    def test_rewrite_needs_a_file(self):
        self.fails("ERR The server is running without a config file", "CONFIG", "REWRITE")

    def test_resetstat_sets_the_counters_to_zero(self):
        for _ in range(10):
            self.call("GET", "k")
        self.ok("CONFIG", "RESETSTAT")
        info = info_of(self.call("INFO", "commandstats", "stats"))
        self.assertNotIn("cmdstat_get", info)
        self.assertLess(int(info["total_commands_processed"]), 5)

    def test_help_lists_the_subcommands(self):
        for container in ("CONFIG", "CLIENT", "COMMAND", "SLOWLOG", "LATENCY", "MEMORY", "OBJECT",
                          "FUNCTION", "SCRIPT"):
            reply = self.call(container, "HELP")
            self.assertEqual(reply[0], f"{container} <subcommand> [<arg> [value] [opt] ...]. "
                                       "Subcommands are:".encode())
            self.assertTrue(any(line.startswith(b"HELP") for line in reply), reply)
            self.assertTrue(all(isinstance(line, resp.Simple) for line in reply))
            self.fails(f"ERR unknown subcommand 'foo'. Try {container} HELP.", container, "foo")
            if container != "COMMAND":
                self.fails(f"ERR wrong number of arguments for '{container.lower()}' command",
                           container)


    @harness.only_holdfast
    def test_help_lists_the_commands_of_a_family(self):
        for family in ("DO", "SESSION", "CACHE"):
            reply = self.call(family, "HELP")
            self.assertEqual(reply[0], f"{family}.<command> [<arg> [value] [opt] ...]. "
                                       "Commands are:".encode())
            self.assertTrue(all(isinstance(line, resp.Simple) for line in reply))
            listed = {name.decode().upper().replace("|", " ") for name in
                      self.call("COMMAND", "LIST", "FILTERBY", "PATTERN", f"{family}.*")}
            # A container is told by its subcommands.
            listed -= {name.split(" ")[0] for name in listed if " " in name}
            told = [line.decode() for line in reply[1::2] if line != f"{family} HELP".encode()]
            self.assertEqual(len(told), len(listed))
            for name in listed:
                self.assertEqual(sum(line == name or line.startswith(name + " ")
                                     for line in told), 1, name)
            self.assertIn(f"{family} HELP".encode(), reply[1::2])
            self.assertIn(f"{family}.GET".encode(), b" ".join(reply[1::2]))
            self.fails(f"ERR unknown subcommand 'get'. Try {family} HELP.", family, "get", "k")
            self.fails(f"ERR wrong number of arguments for '{family.lower()}' command", family)


class Rewriting(unittest.TestCase):
    @harness.only_holdfast
    def test_a_rewritten_file_is_read_at_the_next_start(self):
        server = harness.Server()
        self.addCleanup(server.close)
        path = os.path.join(server.directory, "holdfast.conf")
        with open(path, "w") as file:
            file.write("# my own words\nslowlog-max-len 50\n")
        arguments = server.arguments
        server.arguments = lambda **more: [arguments()[0], path] + arguments(**more)[1:]
        server.start()
        with resp.Connection(server.port) as connection:
            self.assertEqual(connection.command("CONFIG", "SET", "slowlog-max-len", 60), b"OK")
            self.assertEqual(connection.command("CONFIG", "REWRITE"), b"OK")
        server.restart()
        with resp.Connection(server.port) as connection:
            self.assertEqual(connection.command("CONFIG", "GET", "slowlog-max-len")[1], b"60")
        with open(path) as file:
            self.assertIn("# my own words\n", file.read())


class Info(harness.WireTest):
    # By section: fields that clients and dashboards read.
    FIELDS = {
        "server": "redis_version redis_mode os arch_bits process_id run_id tcp_port "
                  "uptime_in_seconds uptime_in_days executable config_file",
        "clients": "connected_clients blocked_clients maxclients",
        "memory": "used_memory used_memory_human used_memory_rss used_memory_peak "
                  "used_memory_peak_human total_system_memory maxmemory maxmemory_policy "
                  "mem_fragmentation_ratio mem_allocator",
        "persistence": "loading rdb_changes_since_last_save rdb_bgsave_in_progress "
                       "rdb_last_save_time rdb_last_bgsave_status aof_enabled "
                       "aof_rewrite_in_progress aof_last_write_status",
        "stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec "
                 "total_net_input_bytes total_net_output_bytes rejected_connections expired_keys "
                 "evicted_keys pubsub_channels latest_fork_usec total_error_replies",
        "replication": "role connected_slaves master_replid master_repl_offset",
        "cpu": "used_cpu_sys used_cpu_user",
        "cluster": "cluster_enabled",
    }

    def info(self, *sections):
        return info_of(self.call("INFO", *sections))

    def test_each_section_by_name_and_by_default(self):
        everything = self.info()
        for section, names in self.FIELDS.items():
            text = self.call("INFO", section.upper())
            headline = "CPU" if section == "cpu" else section.capitalize()
            self.assertTrue(text.startswith(f"# {headline}\r\n".encode()), text[:40])
            self.assertLessEqual(set(names.split()), set(info_of(text)), section)
            self.assertLessEqual(set(names.split()), set(everything), section)

    def test_sections_are_combined_and_unknown_ones_ignored(self):
        info = self.info("replication", "nosuch", "cpu")
        self.assertIn("role", info)
        self.assertIn("used_cpu_sys", info)
        self.assertNotIn("redis_version", info)
        self.assertEqual(self.call("INFO", "nosuch"), b"")
        self.assertIn("role", self.info("default"))
        self.assertNotIn("cmdstat_get", self.info("default"))
        self.call("GET", "k")
        for name in ("all", "everything"):
            self.assertIn("cmdstat_get", self.info(name))

    def test_it_is_verbatim_in_resp3(self):
        self.assertIsInstance(self.server.connect(3).command("INFO", "server"), resp.Verbatim)

    def test_facts_that_clients_wait_for(self):
        info = self.info()
        self.assertEqual((info["loading"], info["role"], info["redis_mode"]),
                         ("0", "master", "standalone"))
        self.assertEqual(int(info["process_id"]), self.server.process.pid)
        self.assertEqual(int(info["tcp_port"]), self.server.port)

    def test_keyspace_counts_keys_by_database(self):
        self.assertEqual(self.info("keyspace"), {})
        for i in range(50):
            self.call("SET", f"k{i}", "v")
        self.call("EXPIRE", "k1", 1000)
        self.call("SELECT", 5)
        self.call("SET", "k", "v")
        info = self.info("keyspace")
        self.assertEqual(set(info), {"db0", "db5"})
        self.assertTrue(info["db0"].startswith("keys=50,expires=1,avg_ttl="), info)
        self.assertTrue(info["db5"].startswith("keys=1,expires=0,avg_ttl=0"), info)

    def test_command_statistics_tell_calls_failures_and_refusals(self):
        self.ok("CONFIG", "RESETSTAT")
        self.call("SET", "k", "text")
        self.call("INCR", "k")
        self.call("GET")
        info = self.info("commandstats", "stats")
        line = re.compile(r"calls=(\d+),usec=\d+,usec_per_call=[\d.]+,"
                          r"rejected_calls=(\d+),failed_calls=(\d+)$")
        self.assertEqual(line.match(info["cmdstat_set"]).groups(), ("1", "0", "0"))
        self.assertEqual(line.match(info["cmdstat_incr"]).groups(), ("1", "0", "1"))
        self.assertEqual(line.match(info["cmdstat_get"]).groups(), ("0", "1", "0"))
        self.assertEqual(info["total_error_replies"], "2")

    def test_errors_are_counted_by_their_code(self):
        self.ok("CONFIG", "RESETSTAT")
        self.assertEqual(self.info("errorstats"), {})
        self.call("SET", "k", "text")
        for command in (("NOSUCH",), ("INCR", "k"), ("GET",), ("CONFIG", "nosuch"),
                        ("AUTH", "nobody", "x"), ("HELLO", 9)):
            self.assertIsInstance(self.call(*command), resp.Error)
        # Within a pipeline, and from a client that is not told.
        self.connection.send_bytes(b"NOSUCH\r\nINCR k\r\n")
        self.assertEqual([type(self.connection.read()) for _ in range(2)], [resp.Error] * 2)
        info = self.info("errorstats", "stats")
        self.assertEqual({name: value for name, value in info.items() if name.startswith("errorstat")},
                         {"errorstat_ERR": "count=6", "errorstat_WRONGPASS": "count=1",
                          "errorstat_NOPROTO": "count=1"})
        self.assertEqual(info["total_error_replies"], "8")
        # SET, INCR, AUTH, HELLO and INFO have run; whatever was refused before has not.
        self.assertLessEqual(int(info["total_commands_processed"]), 8)
        self.ok("CONFIG", "RESETSTAT")
        self.assertEqual(self.info("errorstats"), {})

    @harness.only_holdfast
    def test_who_waits_for_a_lease_is_blocked(self):
        identity = self.call("SESSION.CREATE")
        self.call("SESSION.LEASE", identity, "p", "MS", 60000)
        self.assertEqual(self.info("clients")["blocked_clients"], "0")
        waiting = [self.server.connect() for _ in range(3)]
        for one in waiting:
            one.send("SESSION.LEASE", identity, "p", "WAIT", 60000)
        self.assertTrue(harness.wait_until(
            lambda: self.info("clients")["blocked_clients"] == "3"))
        self.integer(1, "SESSION.DEL", identity)
        for one in waiting:
            self.assertIsInstance(one.read(), resp.Null)
        self.assertEqual(self.info("clients")["blocked_clients"], "0")

    @harness.only_holdfast
    def test_more_codes_than_redis_tells_apart_are_counted_together(self):
        self.integer(1, "DO.CLASS", "LOAD", "Codes", """
            local Codes = class("Codes")
            function Codes:raise(code) fail(code, "as wished") end
            return Codes""")
        self.addCleanup(lambda: self.call("DO.CLASS", "DROP", "Codes"))
        self.ok("CONFIG", "RESETSTAT")
        for i in range(140):
            self.fails(f"CODE{i} as wished", "DO.CALL", "Codes", "one", "raise", f"CODE{i}")
        errors = self.info("errorstats")
        self.assertEqual((len(errors), errors["errorstat_CODE127"],
                          errors["errorstat_ERRORSTATS_OVERFLOW"]), (129, "count=1", "count=12"))
        self.assertEqual(self.info("stats")["total_error_replies"], "140")
        self.ok("CONFIG", "RESETSTAT")

    def test_latencies_of_commands_are_kept(self):
        def histograms(*names):
            reply = self.server.connect(3).command("LATENCY", "HISTOGRAM", *names)
            return {name.decode(): {key.decode(): value for key, value in one.items()}
                    for name, one in reply.items()}
        self.ok("CONFIG", "RESETSTAT")
        for i in range(50):
            self.call("SET", f"k{i}", "v" * 1000)
        self.call("GET", "k")
        self.call("CONFIG", "GET", "hz")
        self.call("GET")  # has not run
        every = histograms()
        self.assertLessEqual({"set", "get", "config|get"}, set(every))
        self.assertEqual((every["set"]["calls"], every["get"]["calls"]), (50, 1))
        for one in every.values():
            bounds, counts = list(one["histogram_usec"]), list(one["histogram_usec"].values())
            self.assertEqual(bounds, sorted(set(bounds)))
            self.assertEqual(counts, sorted(set(counts)))
            self.assertEqual(counts[-1], one["calls"])
        self.assertEqual(set(histograms("set", "GET", "nosuch")), {"set", "get"})
        self.assertEqual(set(histograms("config")), {"config|get", "config|resetstat"})
        flat = self.call("LATENCY", "HISTOGRAM", "get")
        self.assertEqual((flat[0], flat[1][:3]), (b"get", [b"calls", 1, b"histogram_usec"]))
        told = self.info("latencystats")["latency_percentiles_usec_set"]
        self.assertRegex(told, r"^p50=[\d.]+,p99=[\d.]+,p99.9=[\d.]+$")
        values = [float(part.split("=")[1]) for part in told.split(",")]
        self.assertEqual(values, sorted(values))
        self.assertGreater(values[0], 0)
        self.addCleanup(lambda: self.call("CONFIG", "SET", "latency-tracking", "yes",
                                          "latency-tracking-info-percentiles", "50 99 99.9"))
        self.ok("CONFIG", "SET", "latency-tracking-info-percentiles", "0 100")
        self.assertRegex(self.info("latencystats")["latency_percentiles_usec_set"],
                         r"^p0=[\d.]+,p100=[\d.]+$")
        self.assertIsInstance(
            self.call("CONFIG", "SET", "latency-tracking-info-percentiles", "50 101"), resp.Error)
        self.assertNotIn("latency_percentiles_usec_set", self.info())
        self.ok("CONFIG", "SET", "latency-tracking", "no")
        self.ok("CONFIG", "RESETSTAT")
        self.call("SET", "k", "v")
        self.assertNotIn("set", histograms())

    @harness.only_holdfast
    def test_the_holdfast_section_follows_the_writes(self):
        before = self.info("holdfast")
        for i in range(20):
            self.call("SET", f"k{i}", "v" * 100)
        after = self.info("holdfast")
        self.assertGreaterEqual(int(after["durable_lsn"]), int(before["durable_lsn"]) + 20)
        self.assertGreater(int(after["overlay_bytes"]), 0)
        self.assertGreater(int(after["fsyncs"]), int(before["fsyncs"]))
        self.assertGreater(float(after["fsync_usec_average"]), 0)
        self.assertEqual(after["disk_full"], "0")
        for index in range(int(after["shards"])):
            self.assertRegex(after[f"shard{index}"], r"^queue=\d+,turns=\d+$")
        done = int(after["checkpoints_completed"])
        self.assertEqual(self.call("BGSAVE"), b"Background saving started")
        self.assertTrue(wait_until(
            lambda: int(self.info("holdfast")["checkpoints_completed"]) > done))
        self.assertGreaterEqual(int(self.info("holdfast")["checkpoint_lsn"]),
                                int(after["durable_lsn"]))

    def test_python_s_client_parses_it(self):
        import redis
        client = redis.Redis(port=self.server.port, decode_responses=True)
        client.set("k", "v")
        info = client.info()
        self.assertEqual(info["db0"]["keys"], 1)
        self.assertIsInstance(info["used_memory"], int)
        self.assertGreaterEqual(client.info("commandstats")["cmdstat_set"]["calls"], 1)
        self.assertTrue(any(int(c["id"]) == client.client_id() for c in client.client_list()))
        self.assertEqual(client.config_get("databases"), {"databases": "16"})
        slower_than = client.config_get("slowlog-log-slower-than")
        client.config_set("slowlog-log-slower-than", 0)
        client.get("k")
        client.config_set(*slower_than.popitem())
        self.assertIn(b"GET k", [entry["command"] for entry in client.slowlog_get()])
        client.close()


class Introspection(harness.WireTest):
    def test_command_info_has_redis_s_shape(self):
        known, unknown = self.call("COMMAND", "INFO", "GeT", "nosuch")
        self.assertEqual(known[:2], [b"get", 2])
        self.assertEqual(set(known[2]), {b"readonly", b"fast"})
        self.assertEqual(known[3:6], [1, 1, 1])
        self.assertEqual(set(known[6]), {b"@read", b"@string", b"@fast"})
        self.assertEqual(known[9], [])
        self.assertIsInstance(unknown, resp.Null)
        spec = known[8][0]
        self.assertEqual(spec[:2], [b"flags", [b"RO", b"access"]])
        mset = self.call("COMMAND", "INFO", "mset")[0]
        self.assertEqual(mset[:2] + mset[3:6], [b"mset", -3, 1, -1, 2])
        reply = self.server.connect(3).command("COMMAND", "INFO", "get")
        self.assertIsInstance(reply[0][2], resp.Set)

    def test_a_container_lists_its_subcommands(self):
        container = self.call("COMMAND", "INFO", "config")[0]
        self.assertEqual(container[:2], [b"config", -2])
        names = {sub[0] for sub in container[9]}
        self.assertLessEqual({b"config|get", b"config|set", b"config|help"}, names)
        self.assertEqual(self.call("COMMAND", "INFO", "config|get")[0][:2], [b"config|get", -3])

    def test_all_commands_are_counted_listed_and_described(self):
        count = self.call("COMMAND", "COUNT")
        everything = self.call("COMMAND")
        self.assertEqual(len(everything), count)
        self.assertEqual(len(self.call("COMMAND", "INFO")), count)
        names = self.call("COMMAND", "LIST")
        self.assertEqual({name for name in names if b"|" not in name},
                         {command[0] for command in everything})
        documented = self.server.connect(3).command("COMMAND", "DOCS")
        self.assertEqual(set(documented), {command[0] for command in everything})

    @harness.only_holdfast
    def test_every_key_command_agrees_with_redis_on_arity_and_keys(self):
        if not harness.shutil.which("redis-server"):
            self.skipTest("needs redis-server")
        redis = harness.Server(program="redis")
        self.addCleanup(redis.close)
        redis.start()
        theirs = {}
        for command in redis.connect().command("COMMAND"):
            for one in [command] + command[9]:
                theirs[one[0]] = one
        for command in self.call("COMMAND"):
            for one in [command] + command[9]:
                # Redis 7.2 takes commands without arguments here.
                if one[0] not in theirs or one[0] == b"command|getkeys":
                    continue
                judge = theirs[one[0]]
                with self.subTest(command=one[0]):
                    self.assertEqual(one[1], judge[1])
                    self.assertEqual(one[3:6], judge[3:6])
                    self.assertEqual(len(one[8]), len(judge[8][:1]))
                    if one[3] or judge[3]:
                        flags = {b"write", b"readonly", b"denyoom", b"fast"}
                        self.assertEqual(flags & set(one[2]), flags & set(judge[2]))

    def test_docs_are_maps(self):
        docs = self.server.connect(3).command("COMMAND", "DOCS", "SET", "nosuch")
        self.assertEqual(list(docs), [b"set"])
        self.assertLessEqual({b"summary", b"since", b"group", b"arguments"}, set(docs[b"set"]))
        self.assertEqual(docs[b"set"][b"group"], b"string")
        key = docs[b"set"][b"arguments"][0]
        self.assertEqual((key[b"name"], key[b"type"]), (b"key", b"key"))
        flat = self.call("COMMAND", "DOCS", "set")
        self.assertEqual(flat[0], b"set")
        self.assertIs(type(flat[1]), list)

    def test_docs_describe_subcommands(self):
        docs = self.server.connect(3).command("COMMAND", "DOCS", "config")
        self.assertIn(b"config|get", docs[b"config"][b"subcommands"])

    def test_list_filters(self):
        self.assertEqual(self.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "MGE*"), [b"mget"])
        self.assertIn(b"get", self.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "READ"))
        self.assertNotIn(b"set", self.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "read"))
        self.assertEqual(self.call("COMMAND", "LIST", "FILTERBY", "MODULE", "m"), [])
        self.fails("ERR syntax error", "COMMAND", "LIST", "FILTERBY", "foo", "bar")
        self.fails("ERR syntax error", "COMMAND", "LIST", "foo")

    def test_getkeys(self):
        for keys, command in (([b"a", b"c"], ["MSET", "a", "b", "c", "d"]),
                              ([b"a"], ["SET", "a", "b", "EX", "5"]),
                              ([b"a", b"b"], ["DEL", "a", "b"]),
                              ([b"a", b"b"], ["COPY", "a", "b", "REPLACE"]),
                              ([b"a"], ["OBJECT", "ENCODING", "a"])):
            self.assertEqual(self.call("COMMAND", "GETKEYS", *command), keys)
        self.fails("ERR Invalid command specified", "COMMAND", "GETKEYS", "nosuch", "a")
        self.fails("ERR The command has no key arguments", "COMMAND", "GETKEYS", "PING", "a")
        self.fails("ERR Invalid number of arguments specified for command",
                   "COMMAND", "GETKEYS", "SET", "a")

    def test_unknown_commands_are_quoted_and_cut(self):
        self.fails("ERR unknown command 'foo', with args beginning with: 'a' 'b  c' '%s' "
                   % ("d" * 117), "foo", "a", "b\r\nc", "d" * 200)
        self.fails("ERR unknown command '%s', with args beginning with: " % ("x" * 128), "x" * 300)
        self.fails("ERR unknown command 'g\x01t', with args beginning with: ", "g\x01t")

    @harness.only_holdfast
    def test_families_that_do_not_exist_are_unknown(self):
        for name in ("MULTI", "EXEC", "WATCH", "SSUBSCRIBE", "SPUBLISH", "MONITOR", "ACL", "EVAL",
                     "HSET", "SENTINEL", "SWAPDB", "DEBUG", "OBJECTS"):
            reply = self.call(name, "x")
            self.assertEqual(reply, f"ERR unknown command '{name}', with args beginning with: "
                                    "'x' ".encode())


class Watching(harness.WireTest):
    def test_the_slowlog_keeps_what_took_long(self):
        self.ok("CONFIG", "SET", "slowlog-log-slower-than", 0)
        self.ok("SLOWLOG", "RESET")
        self.call("CLIENT", "SETNAME", "bob")
        self.call("SET", "k", "x" * 200)
        self.call("MGET", *[f"k{i}" for i in range(50)])
        self.ok("CONFIG", "SET", "slowlog-log-slower-than", -1)
        entries = self.call("SLOWLOG", "GET", -1)
        ids = [entry[0] for entry in entries]
        self.assertEqual(ids, sorted(ids, reverse=True))
        by_name = {entry[3][0]: entry for entry in entries}
        taken = by_name[b"SET"]
        self.assertEqual(taken[3], [b"SET", b"k", b"x" * 128 + b"... (72 more bytes)"])
        self.assertLess(abs(taken[1] - time.time()), 60)
        self.assertEqual(taken[4].decode(), "%s:%d" % self.connection.socket.getsockname())
        self.assertEqual(taken[5], b"bob")
        self.assertEqual(len(by_name[b"MGET"][3]), 32)
        self.assertEqual(by_name[b"MGET"][3][-1], b"... (20 more arguments)")
        self.integer(len(entries), "SLOWLOG", "LEN")
        self.assertEqual(len(self.call("SLOWLOG", "GET", 1)), 1)
        self.fails("ERR count should be greater than or equal to -1", "SLOWLOG", "GET", -2)
        self.fails("ERR count should be greater than or equal to -1", "SLOWLOG", "GET", "a")
        self.ok("SLOWLOG", "RESET")
        self.integer(0, "SLOWLOG", "LEN")

    def test_latency(self):
        self.assertEqual(self.call("LATENCY", "LATEST"), [])
        self.assertEqual(self.call("LATENCY", "HISTORY", "command"), [])
        self.integer(0, "LATENCY", "RESET")
        self.assertIsInstance(self.call("LATENCY", "DOCTOR"), bytes)
        self.assertEqual(self.call("LATENCY", "HISTOGRAM", "nosuch"), [])

    def test_memory(self):
        self.assertIsInstance(self.call("MEMORY", "DOCTOR"), bytes)
        stats = self.server.connect(3).command("MEMORY", "STATS")
        self.assertIsInstance(stats, resp.Map)
        self.assertGreater(stats[b"allocator.resident"], 0)
        self.assertGreaterEqual(stats[b"peak.allocated"], stats[b"total.allocated"])
        self.assertIsInstance(stats[b"fragmentation"], float)
        self.ok("MEMORY", "PURGE")


class Orders(harness.WireTest):
    def test_time_is_two_texts(self):
        seconds, microseconds = self.call("TIME")
        self.assertLess(abs(int(seconds) - time.time()), 5)
        self.assertIn(int(microseconds), range(1000000))

    def test_the_role_is_master_without_replicas(self):
        role, offset, replicas = self.call("ROLE")
        self.assertEqual((role, replicas), (b"master", []))
        self.assertIs(type(offset), int)

    def test_waits_wait_for_nobody(self):
        self.integer(0, "WAIT", 0, 10)
        self.fails("ERR value is not an integer or out of range", "WAIT", "a", 1)
        self.fails("ERR timeout is not an integer or out of range", "WAIT", 0, "a")
        self.fails("ERR timeout is negative", "WAIT", 0, -1)

    @harness.only_holdfast
    def test_waitaof_counts_the_log(self):
        self.call("SET", "k", "v")
        self.assertEqual(self.call("WAITAOF", 1, 0, 0), [1, 0])
        self.fails("ERR value is out of range, value must between 0 and 1", "WAITAOF", 2, 0, 0)

    def test_scripts_and_functions_are_flushed(self):
        for container in ("SCRIPT", "FUNCTION"):
            self.ok(container, "FLUSH")
            self.ok(container, "FLUSH", "ASYNC")
            self.ok(container, "flush", "sync")
        self.fails("ERR SCRIPT FLUSH only support SYNC|ASYNC option", "SCRIPT", "FLUSH", "foo")
        self.fails("ERR FUNCTION FLUSH only supports SYNC|ASYNC option", "FUNCTION", "FLUSH", "foo")

    def test_there_is_no_cluster(self):
        for command in (["CLUSTER", "INFO"], ["CLUSTER", "NODES"], ["cluster", "slots"]):
            self.fails("ERR This instance has cluster support disabled", *command)

    @harness.only_holdfast
    def test_readonly_and_readwrite_are_welcome(self):
        self.ok("READONLY")
        self.ok("READWRITE")

    def test_saving(self):
        before = self.call("LASTSAVE")
        self.ok("SAVE")
        self.assertTrue(wait_until(lambda: self.call("LASTSAVE") >= before))
        self.assertEqual(self.call("BGSAVE", "SCHEDULE"), b"Background saving started")
        self.fails("ERR syntax error", "BGSAVE", "foo")

    def test_lolwut_names_the_server(self):
        self.assertIn(b"Redis" if harness.IS_REDIS else b"Holdfast", self.call("LOLWUT"))


class Shutdown(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.close)
        self.server.start()

    def test_shutdown_closes_without_a_reply_and_keeps_the_data(self):
        for mode in ([], ["SAVE"], ["nosave"], ["NOW", "FORCE"]):
            connection = self.server.connect()
            connection.command("SET", "k", "".join(mode))
            connection.send("SHUTDOWN", *mode)
            self.assertTrue(connection.is_closed(30))
            self.assertEqual(self.server.process.wait(30), 0)
            self.server.process = None
            self.server.disconnect()
            self.server.start()
            if not (harness.IS_REDIS and mode):
                self.assertEqual(self.server.connect().command("GET", "k"), "".join(mode).encode())

    @harness.only_holdfast
    def test_what_was_pipelined_before_it_is_answered(self):
        connection = self.server.connect()
        connection.send_bytes(b"".join(resp.encode("INCR", "n") for _ in range(100))
                              + resp.encode("SHUTDOWN"))
        self.assertEqual([connection.read() for _ in range(100)], list(range(1, 101)))
        self.assertTrue(connection.is_closed(30))

    def test_a_refused_shutdown_changes_nothing(self):
        connection = self.server.connect()
        self.assertEqual(connection.command("SHUTDOWN", "foo"), b"ERR syntax error")
        self.assertEqual(connection.command("SHUTDOWN", "ABORT"), b"ERR No shutdown in progress.")
        self.assertEqual(connection.command("PING"), b"PONG")


if __name__ == "__main__":
    unittest.main()
